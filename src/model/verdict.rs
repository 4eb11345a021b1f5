//! The verdict on one image: released or held, its score and every point of it.

use serde::{Deserialize, Serialize};

use super::finding::{Counts, Finding};
use super::statement::StatementCheck;

/// What judging one image gives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Released or held.
    pub released: bool,
    /// Why held; also rules that only warn.
    pub reasons: Vec<PolicyReason>,
    /// The score.
    pub score: Score,
    /// The findings with their status decided, worst first.
    pub findings: Vec<Finding>,
    /// Their counts.
    pub counts: Counts,
    /// Statements that need somebody.
    pub statements: Vec<StatementCheck>,
}

/// A policy rule that was not met.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyReason {
    /// The rule's key in the pipeline file.
    pub rule: String,
    /// `2 critical findings, at most 0 allowed`.
    pub message: String,
    /// Fingerprints of the findings that count against it, at most 50.
    pub findings: Vec<String>,
}

/// The score with its proof.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// 0 to 100, 100 best; `None` where it could not be assessed.
    pub value: Option<f64>,
    /// `A` to `F`, or `N/A`.
    pub grade: String,
    /// The formula's name and version.
    pub formula: String,
    /// Why there is no value, or what its value does not cover.
    pub unassessed: Vec<String>,
    /// Every deduction.
    pub points: Vec<Deduction>,
}

/// Points taken for one finding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Deduction {
    /// The finding's fingerprint.
    pub finding: String,
    /// What it says for people.
    pub label: String,
    /// Points taken after caps; the sum of all is `100 − value` before clamping at 0.
    pub points: f64,
}
