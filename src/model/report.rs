//! The compliance report as data: one night for one reader.

use serde::{Deserialize, Serialize};

use super::advisory::Freshness;
use super::finding::{Counts, Finding};
use super::night::{ImageResult, Night};
use super::plan::Outside;
use super::statement::StatementCheck;

/// Everything a rendering needs; the same for mail, page and terminal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The night.
    pub night: Night,
    /// Whether it is the pipeline's first: a baseline.
    pub baseline: bool,
    /// Whom it is for.
    pub audience: Audience,
    /// The images this reader sees, in plan order.
    pub images: Vec<ImageReport>,
    /// Mean score of all judged images and its move since the last night.
    pub score: Option<f64>,
    /// The move; `None` on the first night or where the formula changed.
    pub score_delta: Option<f64>,
    /// New findings that count, worst first.
    pub new: Vec<Change>,
    /// Findings that are gone, worst first.
    pub fixed: Vec<Change>,
    /// Statements that need somebody.
    pub statements: Vec<StatementCheck>,
    /// Outside bases of the night.
    pub outside: Vec<Outside>,
    /// The last 14 ended nights, oldest first, this one included.
    pub trend: Vec<TrendPoint>,
    /// One line for each policy rule in force.
    pub policy: Vec<String>,
    /// What people should know: missed nights, stale feeds, unpinned inputs.
    pub notes: Vec<String>,
}

/// Whom a report is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Audience {
    /// The pipeline's recipients: every image.
    Pipeline(String),
    /// A maintainer: the images that name the address.
    Owner(String),
}

impl Audience {
    /// The reader's address.
    pub fn address(&self) -> &str {
        match self {
            Self::Pipeline(address) | Self::Owner(address) => address,
        }
    }
}

/// One image of a report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImageReport {
    /// Its result.
    pub result: ImageResult,
    /// Its result on the night before; `None` where there was none.
    pub before: Option<PreviousResult>,
    /// All its findings, suppressed ones included, worst first.
    pub findings: Vec<Finding>,
    /// What could not be assessed.
    pub unassessed: Vec<String>,
    /// Soft lint violations, `file:line rule message`.
    pub warnings: Vec<String>,
}

/// What an image was on the night before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PreviousResult {
    /// Its outcome.
    pub outcome: super::night::Outcome,
    /// Its score.
    pub score: Option<f64>,
    /// Its counts.
    pub counts: Counts,
}

/// One advisory that came or went, with the images it concerns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// The finding, as the first of the images has it.
    pub finding: Finding,
    /// The images.
    pub images: Vec<String>,
    /// For a fixed one: the version that came instead, where the package is still there.
    pub now: Option<String>,
}

/// One night of the trend.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrendPoint {
    /// The night's id.
    pub night: String,
    /// `2026-11-22`, in the pipeline's zone.
    pub date: String,
    /// Mean score.
    pub score: Option<f64>,
    /// Planned images.
    pub planned: u64,
    /// Released or reused.
    pub good: u64,
    /// Failed, blocked and held.
    pub bad: u64,
    /// Vulnerabilities that count, over all images.
    pub vulnerabilities: u64,
    /// Fresh, stale or missing feeds.
    pub freshness: Freshness,
}
