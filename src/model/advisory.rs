//! Advisories as the index hands them to the matcher, and the state of the feeds they came from.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::finding::Severity;

/// One advisory's view of one package (OSV schema 1.6, one element of `affected`).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Advisory {
    /// The record's id.
    pub id: String,
    /// `aliases`, `upstream` and the like, CVE first.
    pub aliases: Vec<String>,
    /// `summary`, cut to 300 characters.
    pub summary: String,
    /// The ecosystem as written: `Debian:12`, `PyPI`, …
    pub ecosystem: String,
    /// The severity the record states, for this package or as a whole.
    pub severity: Option<Severity>,
    /// CVSS base score of the record.
    pub cvss: Option<f64>,
    /// RFC 3339; empty where missing.
    pub published: String,
    /// Version ranges; `GIT` ones are left out.
    pub ranges: Vec<VersionRange>,
    /// Listed versions.
    pub versions: Vec<String>,
}

/// An OSV range.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionRange {
    /// Whether the type is `SEMVER` and not `ECOSYSTEM`.
    pub semver: bool,
    /// The events as they stand.
    pub events: Vec<RangeEvent>,
}

/// An OSV range event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum RangeEvent {
    /// `introduced`; `0` is before everything.
    Introduced(String),
    /// `fixed`: this version and later ones are good.
    Fixed(String),
    /// `last_affected`: later ones are good.
    LastAffected(String),
    /// `limit`.
    Limit(String),
}

/// What other sources say of a CVE.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Enrichment {
    /// EPSS probability.
    pub epss: Option<f64>,
    /// Listed in KEV.
    pub kev: bool,
    /// A severity to borrow, and its CVSS base score.
    pub severity: Option<Severity>,
    /// CVSS base score.
    pub cvss: Option<f64>,
}

/// Where the matcher gets its advisories; implemented by the on-disk index and by tests in memory.
pub trait Advisories: Sync {
    /// All advisories for a package. `ecosystem` is the inventory's (`Debian:12`), `name` the source
    /// package's name where there is one.
    fn of(&self, ecosystem: &str, name: &str) -> Vec<Advisory>;
    /// Whether any record of this ecosystem is known; where not, its packages are unassessed.
    fn covers(&self, ecosystem: &str) -> bool;
    /// EPSS, KEV and a severity to borrow for any id of the finding (CVE ids mostly).
    fn enrich(&self, id: &str) -> Enrichment;
}

/// All feeds of an index.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct FeedState {
    /// Digest of the index: `sha256:…`; empty where there is none.
    pub index: String,
    /// When it was imported last.
    pub imported: Option<DateTime<Utc>>,
    /// The sources in it.
    pub sources: Vec<Feed>,
}

/// One source of advisory data.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Feed {
    /// `OSV PyPI`, `OSV Debian`, `KEV`, `EPSS`.
    pub name: String,
    /// Records that count (withdrawn ones left out).
    pub records: u64,
    /// The newest record's own date: how old the data is.
    pub as_of: Option<DateTime<Utc>>,
    /// When it was imported.
    pub imported: Option<DateTime<Utc>>,
    /// Where it came from.
    pub origin: String,
}

/// What the age of the feeds means for a night.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Freshness {
    /// All within the limit.
    Fresh,
    /// Some beyond the limit.
    Stale,
    /// No index at all.
    #[default]
    Missing,
}
