//! Findings to a verdict: statements, policy and score; pure, `now` is an argument.

use chrono::{DateTime, Utc};

use crate::model::advisory::Freshness;
use crate::model::finding::Finding;
use crate::model::inventory::Inventory;
use crate::model::pipeline::Policy;
use crate::model::source::VexDocument;
use crate::model::statement::{Statement, StatementCheck};
use crate::model::verdict::Verdict;

/// What the judge looks at; one image of one night.
#[derive(Clone)]
pub struct JudgeInput<'a> {
    /// The image's name.
    pub image: &'a str,
    /// Its folder in the repository.
    pub folder: &'a str,
    /// Its full references.
    pub tags: &'a [String],
    /// The image id.
    pub digest: &'a str,
    /// What the scanners found, undecided.
    pub findings: Vec<Finding>,
    /// What is inside.
    pub inventory: &'a Inventory,
    /// All valid statements of the repository.
    pub statements: &'a [Statement],
    /// The pipeline's policy.
    pub policy: &'a Policy,
    /// How fresh the advisory data is.
    pub freshness: Freshness,
    /// Fingerprint → when the finding was first seen in this image.
    pub first_seen: &'a dyn Fn(&str) -> Option<DateTime<Utc>>,
    /// Outside references that the image stands on, through its parents too.
    pub bases: &'a [String],
    /// What the matcher could not assess; an ecosystem is named as the inventory spells it.
    pub unassessed: &'a [String],
    /// The time of the judgement.
    pub now: DateTime<Utc>,
}

/// An image as statements may name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subject<'a> {
    /// The image's name.
    pub name: &'a str,
    /// Its folder in the repository.
    pub folder: &'a str,
    /// Its full references.
    pub tags: &'a [String],
    /// The image id; empty where it was not built.
    pub digest: &'a str,
}

/// Decides the findings, scores them and applies the policy.
pub fn judge(input: JudgeInput<'_>) -> Verdict {
    todo!()
}

/// Reads an OpenVEX document: the valid statements, and a check for each that is not.
pub fn parse_vex(document: &VexDocument) -> (Vec<Statement>, Vec<StatementCheck>) {
    todo!()
}

/// Statements that name no image of the repository.
pub fn unmatched(statements: &[Statement], images: &[Subject<'_>]) -> Vec<StatementCheck> {
    todo!()
}

/// One line for each rule in force.
pub fn describe_policy(policy: &Policy) -> Vec<String> {
    todo!()
}
