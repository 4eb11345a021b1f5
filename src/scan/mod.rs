//! What is wrong with an image: known vulnerabilities, secrets, image checks, and how it is printed.

pub mod checks;
pub mod matching;
pub mod output;
pub mod secrets;
pub mod version;
