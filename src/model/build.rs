//! One image's build as a self-contained order and its end.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::source::ContextFile;

/// Everything the daemon needs to build one image.
#[derive(Debug, Clone)]
pub struct BuildJob {
    /// The image's name.
    pub image: String,
    /// The context's folder.
    pub dir: PathBuf,
    /// Its files, sorted by path.
    pub context: Vec<ContextFile>,
    /// The Dockerfile with its bases pinned.
    pub dockerfile: String,
    /// Fetched resources: name in the context → file on disk.
    pub inputs: Vec<(String, PathBuf)>,
    /// Build arguments.
    pub args: BTreeMap<String, String>,
    /// Labels to set.
    pub labels: BTreeMap<String, String>,
    /// References to tag the result with.
    pub tags: Vec<String>,
    /// `linux/amd64`, …; `None` is the daemon's own.
    pub platform: Option<String>,
    /// Network mode of `RUN`: `none`, `default`, `host`.
    pub network: String,
    /// Which builder.
    pub builder: Builder,
    /// Whether the daemon's build cache may serve.
    pub cache: bool,
    /// Limits.
    pub limits: Limits,
}

/// The daemon's two builders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Builder {
    /// BuildKit.
    #[default]
    Buildkit,
    /// The classic builder.
    Classic,
}

/// Bounds of one build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Wall-clock bound.
    pub time: Duration,
    /// Bytes of memory for the build's containers; `None` is no bound.
    pub memory: Option<u64>,
    /// Processors, in thousandths of one; `None` is no bound.
    pub milli_cpus: Option<u64>,
    /// Most bytes of log kept; the middle is cut out and counted.
    pub log_bytes: usize,
}

/// How a build ended; an `Err` beside it means that midwatch or the daemon's connection failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BuildEnd {
    /// An image came out.
    Built(Built),
    /// The build failed.
    Failed {
        /// `inputs`, `build`, `time-limit`, …
        stage: String,
        /// The first line that says what went wrong.
        error: String,
        /// The log, as far as it was written.
        log: String,
    },
    /// It was stopped from outside.
    Cancelled,
}

/// A finished build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Built {
    /// The image id: `sha256:…`.
    pub id: String,
    /// Bytes of the image.
    pub size: u64,
    /// The log.
    pub log: String,
    /// Milliseconds.
    pub took_ms: u64,
}
