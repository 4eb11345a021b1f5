//! The source stage: check out the repository, find its images, and lint them.

mod dockerfile;
mod lines;

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use chrono::{DateTime, Utc};

pub use dockerfile::{DockerfileError, parse_dockerfile};

use crate::model::pipeline::SourceSpec;
use crate::model::source::{BrokenImage, ContextFile, ImageSource, VexDocument, Violation};

/// What stops the source stage as a whole; what is wrong with one image is a [`Violation`].
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// Where.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// Asked to stop.
    #[error("the checkout was stopped")]
    Cancelled,
}

/// One commit on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkout {
    /// Full hexadecimal commit id.
    pub commit: String,
    /// When it was committed; `None` where the date is out of range.
    pub committed_at: Option<DateTime<Utc>>,
    /// The principal of the verified signature, where one was asked for.
    pub signer: Option<String>,
    /// The work tree's absolute path.
    pub dir: PathBuf,
}

/// What a work tree holds.
#[derive(Debug, Clone, Default)]
pub struct Contents {
    /// Images that can be planned, by name.
    pub images: Vec<ImageSource>,
    /// Images that cannot.
    pub broken: Vec<BrokenImage>,
    /// OpenVEX documents, unparsed.
    pub vex: Vec<VexDocument>,
}

/// Checks out `spec.branch` (or the commit `at`) into the fresh folder `work`, by way of a bare mirror in `cache`.
///
/// # Errors
/// Where the repository cannot be had, or its commit is not signed as asked.
pub fn checkout(
    _spec: &SourceSpec,
    _credentials: Option<(String, String)>,
    _cache: &Path,
    _work: &Path,
    _at: Option<&str>,
    _cancel: &AtomicBool,
) -> Result<Checkout, Error> {
    Err(Error::Cancelled)
}

/// Finds and reads the images and OpenVEX documents below `dir`.
///
/// # Errors
/// Where `dir` or the settings of `spec` cannot be used at all.
pub fn read(_dir: &Path, _spec: &SourceSpec) -> Result<Contents, Error> {
    Ok(Contents::default())
}

/// All violations below `dir`, a repository's top or one image's folder, sorted by file and line.
///
/// # Errors
/// As [`read`].
pub fn lint(_dir: &Path, _spec: &SourceSpec) -> Result<Vec<Violation>, Error> {
    Ok(Vec::new())
}

/// SHA-256, hexadecimal, over the paths, kinds, executable bits and contents of a context.
pub fn context_digest(_files: &[ContextFile]) -> String {
    String::new()
}
