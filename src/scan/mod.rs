//! What is wrong with an image: secrets in its layers, image checks, and how results are printed.

pub mod checks;
pub mod output;
pub mod secrets;
