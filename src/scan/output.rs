//! A scan result as JSON, as a table for people and as SARIF.

mod sarif;
mod table;

use serde_json::{Value, json};

use crate::model::advisory::FeedState;
use crate::model::finding::Finding;
use crate::model::text::plain;

pub use sarif::sarif;
pub use table::table;

/// A scan result, ready to be printed.
#[derive(Debug, Clone, Copy)]
pub struct Scan<'a> {
    /// What was scanned, as the user named it.
    pub target: &'a str,
    /// The image's id; empty for a folder.
    pub digest: &'a str,
    /// The advisory data it was scanned with.
    pub feeds: &'a FeedState,
    /// The findings, in the order to print them in.
    pub findings: &'a [Finding],
    /// What could not be assessed.
    pub unassessed: &'a [String],
}

/// The command line's JSON document: `target`, `digest`, `feeds`, `findings`, `unassessed`.
pub fn json(scan: &Scan<'_>) -> Value {
    json!({
        "target": scan.target,
        "digest": scan.digest,
        "feeds": scan.feeds,
        "findings": scan.findings,
        "unassessed": scan.unassessed,
    })
}

#[cfg(test)]
mod tests;
