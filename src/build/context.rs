//! The build context as a reproducible tar.

use std::io::Write;
use std::path::PathBuf;

use crate::model::build::BuildJob;

/// Why a context could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ContextError {
    /// A file is not what the listing says.
    #[error("{}: {problem}", path.display())]
    File {
        /// The file on disk.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A declared input and a file of the context have the same name.
    #[error(
        "{0}: a declared resource and a file of the context have this name; rename one of them"
    )]
    Clash(String),
    /// The reader went away or the tar could not be written.
    #[error("cannot write the build context: {0}")]
    Write(std::io::Error),
}

/// Writes the context of `job` to `to`: the same job gives the same bytes.
///
/// # Errors
/// Where a file vanished or changed since it was listed, or two entries share a name.
pub fn context_tar(job: &BuildJob, to: impl Write) -> Result<(), ContextError> {
    let _ = (job, to);
    todo!()
}
