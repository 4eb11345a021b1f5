//! Inventory × index: which known vulnerabilities an image has, and what else is wrong with it.

pub mod matching;
pub mod version;
