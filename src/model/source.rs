//! A checked-out source repository and what the lint says of it.

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::dockerfile::Dockerfile;
use super::manifest::Manifest;

/// One commit of the source repository, on disk.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Where it came from, without credentials.
    pub url: String,
    /// Full hexadecimal commit id; empty for a plain folder.
    pub commit: String,
    /// When it was committed.
    pub committed_at: Option<DateTime<Utc>>,
    /// The principal of the verified signature, where one was asked for.
    pub signer: Option<String>,
    /// The work tree's absolute path.
    pub dir: PathBuf,
    /// Images that can be planned, by name.
    pub images: Vec<ImageSource>,
    /// Images that cannot: their folder has a hard violation.
    pub broken: Vec<BrokenImage>,
    /// OpenVEX documents, unparsed.
    pub vex: Vec<VexDocument>,
}

/// One image's folder.
#[derive(Debug, Clone)]
pub struct ImageSource {
    /// The manifest's `name`.
    pub name: String,
    /// The folder's path in the repository, `/`-separated; empty for the top.
    pub folder: String,
    /// The manifest.
    pub manifest: Manifest,
    /// SHA-256 of the manifest's bytes, hexadecimal.
    pub manifest_sha256: String,
    /// The Dockerfile.
    pub dockerfile: Dockerfile,
    /// Files of the build context after `.dockerignore`, sorted by path.
    pub context: Vec<ContextFile>,
    /// Soft violations.
    pub violations: Vec<Violation>,
}

/// A file, folder or link of a build context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextFile {
    /// Path inside the context, `/`-separated.
    pub path: String,
    /// What it is.
    pub kind: ContextKind,
    /// Whether the owner may execute it.
    pub executable: bool,
    /// Bytes; 0 for folders.
    pub size: u64,
    /// SHA-256 of the content, hexadecimal; empty for folders.
    pub sha256: String,
}

/// Kinds of entry in a context; symlinks are refused by the lint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContextKind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
}

/// A folder that cannot become an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrokenImage {
    /// The manifest's name where it could be read, else the folder.
    pub name: String,
    /// The folder's path in the repository.
    pub folder: String,
    /// Who to tell: maintainers' addresses, as far as they could be read.
    pub owners: Vec<String>,
    /// All violations, at least one of them hard.
    pub violations: Vec<Violation>,
}

/// An OpenVEX file of the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VexDocument {
    /// Path in the repository.
    pub path: String,
    /// The image folder it lies beside; `None` at the top: it speaks for every image.
    pub folder: Option<String>,
    /// Its text, at most the lint's size limit.
    pub text: String,
}

/// One broken rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// Path in the repository.
    pub file: String,
    /// Line, from 1; 0 where the file as a whole is meant.
    pub line: usize,
    /// Stable rule id, such as `manifest.tags.latest-first`.
    pub rule: String,
    /// Whether it stops the image.
    pub severity: Level,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: String,
}

/// How much a violation weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Shown; exit code 100.
    Soft,
    /// Stops the image; exit code 1 of the reference pipeline, 2 of `midwatch lint`.
    Hard,
}
