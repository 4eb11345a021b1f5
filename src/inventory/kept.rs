//! Which files of a layer are worth keeping, and what is kept of them.

use super::facts;
use super::gaps::Gaps;
use super::limits::Limits;
use super::tarball::Kind;
use super::{dpkg, golang, npm, python};

/// What is kept of a file's content.
#[derive(Debug)]
pub(super) enum Kept {
    /// Small text, as it stands (accounts: hashes already cut out).
    Text(String),
    /// Installed packages of a dpkg status file.
    Dpkg(Vec<dpkg::Record>),
    /// A Python distribution.
    Python(python::Record),
    /// An npm package.
    Npm(npm::Record),
    /// A Go binary.
    Go(golang::BuildInfo),
}

/// What a path promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Interest {
    /// `os-release` and `debian_version`.
    Text,
    /// `passwd`, `shadow`, `group`.
    Account,
    /// A dpkg file list.
    FileList,
    /// The dpkg status file or one of `status.d`.
    Dpkg,
    /// Python metadata.
    Python,
    /// An npm `package.json`.
    Npm,
}

/// The dpkg status file.
pub(super) const STATUS: &str = "var/lib/dpkg/status";
/// Distroless images keep one status file a package here.
pub(super) const STATUS_D: &str = "var/lib/dpkg/status.d/";
/// File lists of the installed packages.
pub(super) const INFO: &str = "var/lib/dpkg/info/";

impl Interest {
    /// What is of interest in the file at `path`, by its name alone.
    pub fn of(path: &str) -> Option<Self> {
        let name = path.rsplit('/').next().unwrap_or(path);
        match name {
            "status" => (path == STATUS).then_some(Self::Dpkg),
            "passwd" | "shadow" | "group" => path.starts_with("etc/").then_some(Self::Account),
            "debian_version" => Some(Self::Text),
            "METADATA" | "PKG-INFO" => python::is_metadata(path).then_some(Self::Python),
            "package.json" => npm::is_package(path).then_some(Self::Npm),
            _ if name.ends_with("os-release") => Some(Self::Text),
            _ if name.ends_with(".egg-info") => Some(Self::Python),
            _ if name.ends_with(".list") && path.starts_with(INFO) => Some(Self::FileList),
            _ if path.starts_with(STATUS_D) && !name.ends_with(".md5sums") => Some(Self::Dpkg),
            _ => None,
        }
    }

    /// Most bytes of such a file; a longer text is cut, anything else longer is a gap.
    pub fn limit(self, limits: &Limits) -> u64 {
        match self {
            Self::Text => 64 << 10,
            Self::Account => 1 << 20,
            Self::Npm => limits.json_bytes.min(4 << 20),
            Self::FileList | Self::Dpkg | Self::Python => limits.file_bytes,
        }
    }

    /// Whether the first bytes up to the limit serve as well as the whole file.
    pub fn may_be_cut(self) -> bool {
        matches!(self, Self::Text | Self::Account | Self::Python)
    }

    /// The kind of gap such a file leaves when it cannot be read.
    pub fn gap(self) -> &'static str {
        match self {
            Self::Text => "operating system",
            Self::Account => "accounts",
            Self::FileList => "dpkg file list",
            Self::Dpkg => "dpkg status",
            Self::Python => "python package",
            Self::Npm => "npm package",
        }
    }

    /// What is kept of the content; problems become gaps.
    pub fn keep(self, path: &str, content: &[u8], gaps: &mut Gaps) -> Option<Kept> {
        let text = || String::from_utf8_lossy(content);
        match self {
            Self::Text | Self::FileList => Some(Kept::Text(text().into_owned())),
            Self::Account => Some(Kept::Text(facts::without_hashes(&text()))),
            Self::Dpkg => Some(Kept::Dpkg(dpkg::parse(path, content, gaps))),
            Self::Python => python::parse(path, content, gaps).map(Kept::Python),
            Self::Npm => npm::parse(path, content, gaps).map(Kept::Npm),
        }
    }
}

/// Whether a file of this kind can have content of interest.
pub(super) fn has_content(kind: Kind) -> bool {
    matches!(kind, Kind::File | Kind::Hardlink)
}

impl Kept {
    /// Bytes it costs, roughly.
    pub fn cost(&self) -> u64 {
        let bytes = match self {
            Self::Text(text) => text.len(),
            Self::Dpkg(records) => records.iter().map(dpkg::Record::cost).sum(),
            Self::Python(record) => record.cost(),
            Self::Npm(record) => record.cost(),
            Self::Go(info) => info.cost(),
        };
        bytes as u64
    }
}
