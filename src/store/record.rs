//! The shapes that go into the ledger and come out of it beside the model's own.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::model::finding::Finding;
use crate::model::inventory::Inventory;
use crate::model::night::{ImageResult, Night, NightKind, Outcome};
use crate::model::plan::{KeyParts, Plan};
use crate::model::source::BrokenImage;
use crate::model::verdict::Verdict;

/// A night to open.
#[derive(Debug, Clone)]
pub struct NewNight {
    /// Its id; ids of one pipeline sort by time.
    pub id: String,
    /// The pipeline's name.
    pub pipeline: String,
    /// What started it.
    pub kind: NightKind,
    /// When.
    pub started: DateTime<Utc>,
    /// The cache epoch its builds get.
    pub epoch: String,
    /// On demand: the images asked for.
    pub requested: Vec<String>,
    /// On demand: whether everything that stands on them comes along.
    pub with_dependants: bool,
    /// On demand: who asked.
    pub requested_by: Option<String>,
}

/// A night that was neither ended nor given up.
#[derive(Debug, Clone)]
pub struct Unfinished {
    /// The night.
    pub night: Night,
    /// Its cache epoch.
    pub epoch: String,
    /// On demand: the images asked for.
    pub requested: Vec<String>,
    /// On demand: whether everything that stands on them comes along.
    pub with_dependants: bool,
    /// On demand: who asked.
    pub requested_by: Option<String>,
    /// Its plan; `None` where it was interrupted before it had one.
    pub plan: Option<Plan>,
    /// Folders that could not be planned, under the names the ledger gave them.
    pub broken: Vec<BrokenImage>,
    /// Outside bases: reference → pinned image id.
    pub pins: BTreeMap<String, String>,
    /// Mail addresses of the maintainers, by image.
    pub owners: BTreeMap<String, Vec<String>>,
    /// Images that have their end.
    pub done: BTreeMap<String, ImageResult>,
    /// Images that were built but have no end yet.
    pub built: BTreeMap<String, BuiltMark>,
}

/// A finished build that still has to be scanned and judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuiltMark {
    /// The image id.
    pub id: String,
    /// Bytes of the image.
    pub size: u64,
    /// Digest of the build log in the content store.
    pub log: Option<String>,
    /// Milliseconds of the build.
    pub took_ms: u64,
}

/// The end of one image in a night.
#[derive(Debug, Clone)]
pub struct ImageEnd<'a> {
    /// The result.
    pub result: ImageResult,
    /// The verdict; `None` where nothing was judged, which leaves the image's findings as they were.
    pub verdict: Option<&'a Verdict>,
    /// What is inside; `None` leaves the image's packages as they were.
    pub inventory: Option<&'a Inventory>,
    /// What could not be assessed.
    pub unassessed: Vec<String>,
    /// Soft lint violations.
    pub warnings: Vec<String>,
    /// What went into the build key; given for images that were built tonight.
    pub parts: Option<KeyParts>,
    /// When it ended.
    pub at: DateTime<Utc>,
}

/// What lies behind an image's result.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageDetail {
    /// The image.
    pub image: String,
    /// The night's own verdict; `None` where nothing was judged.
    pub verdict: Option<Verdict>,
    /// What could not be assessed.
    pub unassessed: Vec<String>,
    /// Soft lint violations.
    pub warnings: Vec<String>,
}

/// The latest successful build of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastBuild {
    /// The night it was built in; empty where none ever succeeded.
    pub night: String,
    /// Its build key.
    pub key: String,
    /// What went into that key.
    pub parts: KeyParts,
    /// The image id; empty where none ever succeeded.
    pub digest: String,
    /// Whether the very last attempt succeeded.
    pub succeeded: bool,
}

/// What differs between two nights; findings of images judged in neither stay out.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Diff {
    /// Findings that the later night has and the earlier one had not, by image.
    pub new: Vec<(String, Finding)>,
    /// Findings that are gone, by image.
    pub fixed: Vec<(String, Finding)>,
    /// Findings that both have with another status: image, status before, the finding now.
    pub status: Vec<(String, Finding, Finding)>,
    /// Images whose outcome moved, came or went.
    pub outcomes: Vec<OutcomeMove>,
    /// Images whose score moved: image, before, after.
    pub scores: Vec<(String, Option<f64>, Option<f64>)>,
}

/// An image whose outcome is another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutcomeMove {
    /// The image.
    pub image: String,
    /// Its outcome on the earlier night; `None` where it was not planned.
    pub before: Option<Outcome>,
    /// Its outcome on the later night; `None` where it was not planned.
    pub after: Option<Outcome>,
}

/// An image that has a package; `who-has` prints it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Holder {
    /// The image.
    pub image: String,
    /// Its image id.
    pub digest: String,
    /// The package's name.
    pub package: String,
    /// Its version.
    pub version: String,
    /// The night in which the image was looked at.
    pub night: String,
}

/// One ended night of a trend.
#[derive(Debug, Clone, PartialEq)]
pub struct TrendRow {
    /// The night.
    pub night: Night,
    /// Mean score of the images that have one.
    pub score: Option<f64>,
    /// Vulnerabilities that count, over all images.
    pub vulnerabilities: u64,
}

/// A mail to be delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxMail {
    /// `Message-ID`; the same one twice is the same mail.
    pub message_id: String,
    /// The night it tells of.
    pub night: String,
    /// One address.
    pub recipient: String,
    /// The subject, for lists.
    pub subject: String,
    /// Digest of the `.eml` in the content store.
    pub blob: String,
    /// Not to be sent before.
    pub not_before: DateTime<Utc>,
    /// Given up after.
    pub deadline: DateTime<Utc>,
}

/// A mail that this process alone may send until `lease` ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    /// The mail.
    pub mail: OutboxMail,
    /// How often it was tried before.
    pub tries: u32,
    /// When another process may claim it.
    pub lease: DateTime<Utc>,
}

/// What became of a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailState {
    /// It waits, or is being sent.
    Pending,
    /// It was handed over.
    Sent,
    /// It was given up.
    Dead,
}

/// A mail and how its delivery stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The mail.
    pub mail: OutboxMail,
    /// What became of it.
    pub state: MailState,
    /// How often it was tried.
    pub tries: u32,
    /// The last error.
    pub error: Option<String>,
}

/// When a pipeline's next night is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// The next run.
    pub next_run_at: Option<DateTime<Utc>>,
    /// When the last scheduled night began.
    pub last_started: Option<DateTime<Utc>>,
}
