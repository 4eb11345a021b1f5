//! The source stage: check out the repository, find its images, and lint them.

mod address;
mod context;
mod dockerfile;
mod files;
mod findings;
mod git;
mod hostkey;
mod ignore;
mod images;
mod layout;
mod lines;
mod manifest;
mod pattern;
mod people;
mod remote;
mod resource;
mod rules;
mod signature;
#[cfg(test)]
mod tests;
mod tree;
mod vex;
mod walk;
mod yaml;

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use chrono::{DateTime, Utc};

pub use context::context_digest;
pub use dockerfile::{DockerfileError, parse_dockerfile};

use crate::model::pipeline::SourceSpec;
use crate::model::source::{BrokenImage, ImageSource, VexDocument, Violation};

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
    /// An address that cannot be used.
    #[error("source.url `{url}`: {why}")]
    Address {
        /// As written, without password.
        url: String,
        /// What is wrong, what to do.
        why: String,
    },
    /// A path without a repository.
    #[error("{path}: not a git repository that can be used: {help}")]
    NotARepository {
        /// The path as written.
        path: PathBuf,
        /// What to do.
        help: String,
    },
    /// The server cannot be reached or refuses.
    #[error("{url}: {message}; {help}")]
    Remote {
        /// Without password.
        url: String,
        /// What the library says.
        message: String,
        /// What to do.
        help: String,
    },
    /// The repository has no such branch.
    #[error("{url}: no branch `{branch}`; it has {known}; set source.branch")]
    Branch {
        /// Without password.
        url: String,
        /// The wanted one.
        branch: String,
        /// Some of those that exist.
        known: String,
    },
    /// The repository has no commit at all.
    #[error("{url}: the repository is empty; push a commit first")]
    Empty {
        /// Without password.
        url: String,
    },
    /// The pinned commit is gone.
    #[error("{url}: commit {commit} is not there any more; open a new night with --new")]
    Commit {
        /// Without password.
        url: String,
        /// The pinned one.
        commit: String,
    },
    /// The commit is not signed as asked.
    #[error("commit {commit} is refused: {why}; {help}")]
    Signature {
        /// Full id.
        commit: String,
        /// What is wrong.
        why: String,
        /// What to do.
        help: String,
    },
    /// The allowed-signers file cannot be used.
    #[error("source.allowed-signers: {why}")]
    Signers {
        /// Path, line and what is wrong.
        why: String,
    },
    /// The mirror in the cache is damaged and could not be made anew.
    #[error("{path}: the mirror of the repository cannot be used: {message}; delete the folder")]
    Mirror {
        /// The mirror.
        path: PathBuf,
        /// What the library says.
        message: String,
    },
    /// The tree is beyond all bounds.
    #[error("the tree holds more than {entries} entries or {bytes} bytes; split the repository")]
    TooLarge {
        /// Most entries.
        entries: usize,
        /// Most bytes.
        bytes: u64,
    },
    /// A setting of `[source]` cannot be used.
    #[error("source.{key}: {why}")]
    Setting {
        /// The key in the pipeline file.
        key: &'static str,
        /// What is wrong, what to do.
        why: String,
    },
}

impl Error {
    fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Io { path: path.into(), source }
    }
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
    /// What belongs to no image: OpenVEX files that could not be read.
    pub violations: Vec<Violation>,
}

/// Checks out `spec.branch` (or the commit `at`) into the folder `work`, by way of a bare mirror in `cache`.
///
/// `work` is emptied first and belongs to the caller afterwards; nothing of the repository is executed. A commit `at`
/// that the mirror has needs no server. `credentials` are user and password for https. `cancel` is looked at while
/// bytes move; a silent server ends after two minutes.
///
/// # Errors
/// Where the repository cannot be had, or its commit is not signed as asked.
pub fn checkout(
    spec: &SourceSpec,
    credentials: Option<(String, String)>,
    cache: &Path,
    work: &Path,
    at: Option<&str>,
    cancel: &AtomicBool,
) -> Result<Checkout, Error> {
    let address = address::Address::of(&spec.url)?;
    git::run(&git::Job { spec, address, credentials, at, cancel }, cache, work)
}

/// Finds and reads the images and OpenVEX documents below `dir`.
///
/// # Errors
/// Where `dir` or the settings of `spec` cannot be used at all.
pub fn read(dir: &Path, spec: &SourceSpec) -> Result<Contents, Error> {
    images::read(dir, spec, true)
}

/// All violations below `dir`, a repository's top or one image's folder, sorted by file and line.
///
/// # Errors
/// As [`read`].
pub fn lint(dir: &Path, spec: &SourceSpec) -> Result<Vec<Violation>, Error> {
    let contents = images::read(dir, spec, false)?;
    let good = contents.images.into_iter().flat_map(|image| image.violations);
    let broken = contents.broken.into_iter().flat_map(|image| image.violations);
    let mut all: Vec<_> = good.chain(broken).chain(contents.violations).collect();
    all.sort_by(images::order);
    // An image inside another one's folder shares what is wrong there.
    all.dedup();
    Ok(all)
}
