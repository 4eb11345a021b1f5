//! What a night will build, in which order and why.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::manifest::Resource;

/// The plan of one commit; `images` stand in an order in which no image precedes one it needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Full commit id.
    pub commit: String,
    /// The images, parents first.
    pub images: Vec<Planned>,
    /// Bases from outside the repository, by reference.
    pub outside: Vec<Outside>,
}

/// One image of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    /// The image's name.
    pub name: String,
    /// Its folder in the repository.
    pub folder: String,
    /// The build key: SHA-256 over [`KeyParts`], hexadecimal.
    pub key: String,
    /// What went into the key.
    pub parts: KeyParts,
    /// Why it is built, or why not.
    pub reason: Reason,
    /// Whether the last build may stand in for a new one.
    pub reuse: bool,
    /// Names of the images of this repository that must come first, sorted.
    pub after: Vec<String>,
    /// Every place of the Dockerfile that names an image that is not a stage of it.
    pub bases: Vec<BaseUse>,
    /// Build arguments as given to the daemon.
    pub args: BTreeMap<String, String>,
    /// `linux/amd64`, `linux/arm64`; `None` is the daemon's own.
    pub platform: Option<String>,
    /// Full references to tag the result with; the first is the published one.
    pub tags: Vec<String>,
    /// Declared resources.
    pub inputs: Vec<Resource>,
}

/// The components of a build key, each a digest or a value.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyParts {
    /// Hash over paths, modes and contents of the context.
    pub context: String,
    /// SHA-256 of the Dockerfile.
    pub dockerfile: String,
    /// SHA-256 of the manifest.
    pub manifest: String,
    /// Build arguments.
    pub args: BTreeMap<String, String>,
    /// The platform.
    pub platform: String,
    /// Parents in this repository: name → build key.
    pub parents: BTreeMap<String, String>,
    /// Outside bases: reference → digest; empty where not known.
    pub outside: BTreeMap<String, String>,
    /// Declared resources: name → `sha256:…`, or the address of one without a checksum.
    pub inputs: BTreeMap<String, String>,
}

/// One `FROM`, `COPY --from` or `RUN --mount=from` that names an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaseUse {
    /// Byte range in the Dockerfile to be replaced by the pinned reference.
    pub span: Range<usize>,
    /// What the name resolved to after variables.
    pub target: BaseTarget,
    /// Whether it is the base of the last stage.
    pub last: bool,
}

/// Where a base comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BaseTarget {
    /// Another image of this repository, by name.
    Image(String),
    /// An image of the world, by reference.
    Outside(String),
    /// A declared resource image, by its tag.
    Resource(String),
}

/// An outside base.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outside {
    /// The reference as the night resolved it.
    pub reference: String,
    /// Image id or manifest digest; `None` where the daemon could not tell.
    pub digest: Option<String>,
    /// Why there is no digest.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<String>,
}

/// Why an image is built, or why not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Reason {
    /// No earlier build is known.
    FirstBuild,
    /// Context, Dockerfile, manifest or arguments moved.
    SourceChanged {
        /// Which of them.
        what: Vec<String>,
    },
    /// A base moved.
    BaseMoved {
        /// The base's reference or name.
        base: String,
        /// Digest or key of the last build.
        from: String,
        /// Digest or key of this one.
        to: String,
    },
    /// A declared resource's checksum moved.
    InputChanged {
        /// The resource's name.
        input: String,
    },
    /// Nothing moved; the schedule rebuilds all the same.
    Scheduled,
    /// The last build failed or was never finished.
    Retry,
    /// Somebody asked.
    Requested {
        /// Who.
        by: String,
    },
    /// Nothing is known to have moved, but the last build cannot be shown to be the same.
    Unprovable {
        /// What stands in the way: `input x has no checksum`.
        what: String,
    },
    /// Nothing moved and the pipeline says `when-inputs-change`.
    Unchanged {
        /// The build that is reused: its night.
        night: String,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FirstBuild => write!(f, "first build"),
            Self::SourceChanged { what } => write!(f, "source changed: {}", what.join(", ")),
            Self::BaseMoved { base, from, to } => {
                write!(f, "base moved: {base} {} → {}", short(from), short(to))
            }
            Self::InputChanged { input } => write!(f, "input changed: {input}"),
            Self::Scheduled => write!(f, "forced by schedule"),
            Self::Retry => write!(f, "last build did not succeed"),
            Self::Requested { by } => write!(f, "requested by {by}"),
            Self::Unprovable { what } => write!(f, "cannot be reused: {what}"),
            Self::Unchanged { night } => write!(f, "unchanged since night {night}"),
        }
    }
}

/// The first twelve digits of a digest, without its algorithm.
pub fn short(digest: &str) -> &str {
    let hex = digest.rsplit(':').next().unwrap_or(digest);
    hex.get(..12).unwrap_or(hex)
}
