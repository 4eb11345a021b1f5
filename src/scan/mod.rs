//! Inventory × index: which known vulnerabilities an image has, and what else is wrong with it.

mod fold;
pub mod matching;
mod range;
pub mod version;
