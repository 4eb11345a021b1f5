//! What is inside an image.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::finding::Finding;

/// The inventory of one image.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Inventory {
    /// The image's id, the archive's or SBOM's digest; empty for a folder.
    pub digest: String,
    /// What it was read from, for people.
    pub target: String,
    /// The operating system.
    pub os: Option<Os>,
    /// `amd64`, `arm64`, …; empty where not known.
    pub architecture: String,
    /// Bytes of all layers, uncompressed.
    pub size: u64,
    /// The layers, lowest first.
    pub layers: Vec<Layer>,
    /// Packages, sorted by (ecosystem, name, version, path).
    pub packages: Vec<Package>,
    /// The image's configuration.
    pub config: ImageConfig,
    /// Facts about single files that the image checks need.
    pub files: FileFacts,
    /// Secrets found while the layers passed by.
    pub secrets: Vec<Finding>,
    /// What could not be read.
    pub gaps: Vec<Gap>,
}

/// Where a daemon on this machine keeps an image unpacked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unpacked {
    /// The file with the image's configuration.
    pub config: PathBuf,
    /// A folder for each layer, lowest first.
    pub layers: Vec<PathBuf>,
}

/// `/etc/os-release`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Os {
    /// `ID`: `debian`, `alpine`, …
    pub id: String,
    /// `VERSION_ID`; empty where missing (Debian testing).
    pub version: String,
    /// `PRETTY_NAME`.
    pub pretty: String,
}

/// A layer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// The diff id: digest of the uncompressed tar, `sha256:…`.
    pub digest: String,
    /// Bytes, uncompressed.
    pub size: u64,
    /// The history's `created_by`.
    pub created_by: String,
}

/// A package.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    /// The name in its ecosystem's own spelling (PEP 503 for PyPI).
    pub name: String,
    /// The version, epoch included.
    pub version: String,
    /// The OSV ecosystem: `Debian:12`, `PyPI`, `npm`, `Go`, …
    pub ecosystem: String,
    /// The package URL.
    pub purl: String,
    /// The source package, where the ecosystem has them.
    pub source: Option<SourcePackage>,
    /// The architecture; empty where it has none.
    pub architecture: String,
    /// Licences as written by the package.
    pub licences: Vec<String>,
    /// The diff id of the layer that brought it.
    pub layer: String,
    /// The file it was read from, without a leading slash.
    pub path: String,
    /// The operating-system package that owns that file.
    pub owner: Option<String>,
}

/// A source package.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourcePackage {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// The part of the image's configuration that is judged.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageConfig {
    /// `User`; empty is root.
    pub user: String,
    /// `Env`, each `KEY=VALUE`.
    pub env: Vec<String>,
    /// `ExposedPorts`.
    pub ports: Vec<String>,
    /// `Volumes`.
    pub volumes: Vec<String>,
    /// Whether a health check is set.
    pub healthcheck: bool,
    /// `Entrypoint` and `Cmd`, joined.
    pub command: Vec<String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// `history[].created_by`, oldest first.
    pub history: Vec<String>,
}

/// Facts about files of the final file system.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileFacts {
    /// Files with the setuid or setgid bit.
    pub setuid: Vec<FileRef>,
    /// World-writable files, and folders without the sticky bit.
    pub world_writable: Vec<FileRef>,
    /// `/etc/passwd`, lossy text, at most 1 MiB.
    pub passwd: Option<String>,
    /// `/etc/shadow`, lossy text, at most 1 MiB; the hashes are cut down to whether they are empty.
    pub shadow: Option<String>,
    /// `/etc/group`, lossy text, at most 1 MiB.
    pub group: Option<String>,
    /// Package managers, shells and sudo found on the path.
    pub tools: Vec<FileRef>,
    /// Package caches left behind.
    pub caches: Vec<FileRef>,
    /// Regular files.
    pub count: u64,
    /// Executable regular files.
    pub executables: u64,
}

/// A file and the layer that brought it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRef {
    /// Path without a leading slash.
    pub path: String,
    /// Permission bits, the lower twelve.
    pub mode: u32,
    /// The layer's diff id.
    pub layer: String,
}

/// Something that could not be assessed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// `rpm database`, `dpkg status`, `layer`, …
    pub kind: String,
    /// Where.
    pub path: String,
    /// Why.
    pub reason: String,
}

/// A file as it passes by in a layer.
#[derive(Debug)]
pub struct FileSeen<'a> {
    /// The layer's place in the archive, for people, until its digest is known.
    pub layer: &'a str,
    /// Path without a leading slash.
    pub path: &'a str,
    /// Its first bytes, up to the reader's limit for inspection.
    pub content: &'a [u8],
}
