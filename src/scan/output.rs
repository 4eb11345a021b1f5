//! A scan result as JSON, as a table for people and as SARIF.

use crate::model::advisory::FeedState;
use crate::model::finding::Finding;

/// A scan result, ready to be printed.
#[derive(Debug, Clone, Copy)]
pub struct Scan<'a> {
    /// What was scanned, as the user named it.
    pub target: &'a str,
    /// The image's id; empty for a folder.
    pub digest: &'a str,
    /// The advisory data it was scanned with.
    pub feeds: &'a FeedState,
    /// The findings, worst first.
    pub findings: &'a [Finding],
    /// What could not be assessed.
    pub unassessed: &'a [String],
}

/// The contract's JSON document.
pub fn json(scan: &Scan<'_>) -> serde_json::Value {
    serde_json::json!({ "target": scan.target })
}

/// A table at most `width` columns wide; `colour` allows ANSI colours.
pub fn table(_scan: &Scan<'_>, _width: u16, _colour: bool) -> String {
    String::new()
}

/// A SARIF 2.1.0 log with one run.
pub fn sarif(_scan: &Scan<'_>) -> serde_json::Value {
    serde_json::Value::Null
}
