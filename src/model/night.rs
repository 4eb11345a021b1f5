//! A night and what became of each image; the JSON here is the command line's contract.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::advisory::{FeedState, Freshness};
use super::finding::Counts;

/// A night: one run of a pipeline, scheduled, by hand or on demand.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Night {
    /// `20261122T000000Z-1a2b3c`: sorts by time.
    pub id: String,
    /// The pipeline's name.
    pub pipeline: String,
    /// What started it.
    pub kind: NightKind,
    /// The commit; empty until the source was fetched.
    pub commit: String,
    /// When it began.
    pub started: DateTime<Utc>,
    /// When its last image ended; `None` while it runs or after it was interrupted.
    pub ended: Option<DateTime<Utc>>,
    /// Planned images; always the sum of the six below once ended.
    pub planned: u64,
    /// Built or reused before and released by policy.
    pub released: u64,
    /// Built, but held by policy.
    pub held: u64,
    /// Failed.
    pub failed: u64,
    /// Not tried, because a parent failed.
    pub blocked: u64,
    /// The last build stands, with proof.
    pub reused: u64,
    /// Left out on purpose.
    pub skipped: u64,
    /// The advisory data it was judged with.
    pub feeds: NightFeeds,
    /// Why the night as a whole could not be done; `None` otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Night {
    /// Whether every planned image has exactly one outcome.
    pub fn complete(&self) -> bool {
        self.planned
            == self.released + self.held + self.failed + self.blocked + self.reused + self.skipped
    }

    /// Sets the six sums.
    pub fn tally<'a>(&mut self, outcomes: impl IntoIterator<Item = &'a Outcome>) {
        [self.released, self.held, self.failed, self.blocked, self.reused, self.skipped] = [0; 6];
        for outcome in outcomes {
            *match outcome {
                Outcome::Released => &mut self.released,
                Outcome::Held => &mut self.held,
                Outcome::Failed => &mut self.failed,
                Outcome::Blocked => &mut self.blocked,
                Outcome::Reused => &mut self.reused,
                Outcome::Skipped => &mut self.skipped,
            } += 1;
        }
    }
}

/// What started a night.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NightKind {
    /// The schedule.
    Scheduled,
    /// `midwatch run`.
    Manual,
    /// `midwatch rebuild`.
    OnDemand,
}

impl NightKind {
    /// The JSON spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Manual => "manual",
            Self::OnDemand => "on-demand",
        }
    }
}

/// The feeds as a night saw them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct NightFeeds {
    /// Fresh, stale or missing.
    pub freshness: Freshness,
    /// Age of the oldest source in whole hours.
    pub oldest_hours: Option<i64>,
    /// The sources.
    #[serde(flatten)]
    pub state: FeedState,
}

/// The one end of an image in a night.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Built, scanned and good by policy.
    Released,
    /// Built and scanned, but not good by policy.
    Held,
    /// A stage failed.
    Failed,
    /// A parent failed or was blocked.
    Blocked,
    /// Not rebuilt: nothing moved. Scanned and judged all the same.
    Reused,
    /// Left out on purpose.
    Skipped,
}

impl Outcome {
    /// The JSON spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Released => "released",
            Self::Held => "held",
            Self::Failed => "failed",
            Self::Blocked => "blocked",
            Self::Reused => "reused",
            Self::Skipped => "skipped",
        }
    }
}

/// One image's result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImageResult {
    /// The image's name.
    pub name: String,
    /// Its end.
    pub outcome: Outcome,
    /// Why it was built, or why not; for a held one, see `held_by`.
    pub reason: String,
    /// The stage that failed.
    pub stage: Option<String>,
    /// The first error line.
    pub error: Option<String>,
    /// The parent whose failure blocked it.
    pub blocked_by: Option<String>,
    /// Policy rules not met, for people.
    #[serde(default)]
    pub held_by: Vec<String>,
    /// 0 to 100.
    pub score: Option<f64>,
    /// `A` to `F`, `N/A`; `None` where nothing was judged.
    pub grade: Option<String>,
    /// The image id.
    pub digest: Option<String>,
    /// Findings by kind and severity.
    pub counts: Counts,
    /// Milliseconds from start to end of its work.
    pub took_ms: u64,
    /// The build key.
    #[serde(default)]
    pub key: String,
    /// Mail addresses of its maintainers.
    #[serde(default)]
    pub owners: Vec<String>,
    /// Digest of the SBOM in the content store.
    #[serde(default)]
    pub sbom: Option<String>,
    /// Digest of the build log in the content store.
    #[serde(default)]
    pub log: Option<String>,
}

/// What `run --json` and `report --json` print.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NightReport {
    /// The night.
    pub night: Night,
    /// Its images in plan order.
    pub images: Vec<ImageResult>,
}
