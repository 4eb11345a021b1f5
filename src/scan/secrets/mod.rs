//! Finds credentials in files of a layer and in an image's configuration.

use crate::model::finding::Finding;
use crate::model::inventory::{FileSeen, ImageConfig};

/// Why the rules could not be compiled.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A rule's pattern is wrong.
    #[error("secret rule {rule}: {source}")]
    Rule {
        /// The rule's id.
        rule: String,
        /// What the regex engine says.
        source: regex::Error,
    },
    /// The keyword automaton could not be built.
    #[error("keywords of the secret rules: {0}")]
    Keywords(#[from] aho_corasick::BuildError),
}

/// All rules, compiled once; shared between threads.
#[derive(Debug)]
pub struct Secrets {}

impl Secrets {
    /// Compiles the rules.
    ///
    /// # Errors
    /// Where a rule's pattern does not compile.
    pub fn new() -> Result<Self, Error> {
        Ok(Self {})
    }

    /// Secrets in one file of a layer, at most 50, in order of place.
    pub fn inspect(&self, _file: &FileSeen<'_>) -> Vec<Finding> {
        Vec::new()
    }

    /// Secrets in environment, labels and history of an image.
    pub fn environment(&self, _config: &ImageConfig) -> Vec<Finding> {
        Vec::new()
    }
}
