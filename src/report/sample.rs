//! A realistic night for tests: twelve images, every outcome, news of every kind.
