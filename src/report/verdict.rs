//! The verdict on a night as a whole: what the subject line and the header say.

use serde::Serialize;

use crate::model::advisory::Freshness;
use crate::model::finding::Severity;
use crate::model::night::Outcome;
use crate::model::report::{ImageReport, Report};

/// How a night ended for one reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Every image is good.
    Pass,
    /// Some are held by policy, none failed.
    Held,
    /// Some failed or are blocked.
    Fail,
    /// Not every planned image has an outcome.
    Incomplete,
    /// The night as a whole could not be done.
    Error,
}

impl Verdict {
    /// The spelling in headers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Held => "held",
            Self::Fail => "fail",
            Self::Incomplete => "incomplete",
            Self::Error => "error",
        }
    }

    pub(super) fn colour(self) -> &'static str {
        match self {
            Self::Pass => "#1b7245",
            Self::Held | Self::Incomplete => "#8a5a00",
            Self::Fail | Self::Error => "#a8261c",
        }
    }
}

/// The verdict on the images that this reader sees.
pub fn verdict(report: &Report) -> Verdict {
    let any = |wanted: &[Outcome]| report.images.iter().any(|i| wanted.contains(&i.result.outcome));
    if report.night.error.is_some() {
        Verdict::Error
    } else if report.night.ended.is_none() || !report.night.complete() {
        Verdict::Incomplete
    } else if any(&[Outcome::Failed, Outcome::Blocked]) {
        Verdict::Fail
    } else if any(&[Outcome::Held]) {
        Verdict::Held
    } else {
        Verdict::Pass
    }
}

/// Whether something stopped the night before any image was judged.
pub(super) fn stopped(report: &Report) -> bool {
    report.night.error.is_some() && report.images.iter().all(|image| image.result.grade.is_none())
}

/// Whether the night has no news for this reader: all good, nothing came or went, nothing waits.
pub fn quiet(report: &Report) -> bool {
    let same = |image: &ImageReport| {
        image.before.as_ref().is_some_and(|before| {
            is_good(before.outcome) == is_good(image.result.outcome)
                && before.score.is_some() == image.result.score.is_some()
        })
    };
    verdict(report) == Verdict::Pass
        && !report.baseline
        && report.new.is_empty()
        && report.fixed.is_empty()
        && report.statements.is_empty()
        && report.notes.is_empty()
        && report.night.feeds.freshness == Freshness::Fresh
        && report.images.iter().all(same)
}

pub(super) fn is_good(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Released | Outcome::Reused | Outcome::Skipped)
}

/// The worst severity among open findings.
pub(super) fn severity_highest(report: &Report) -> Option<Severity> {
    let findings = report.images.iter().flat_map(|image| &image.findings);
    findings.filter(|finding| finding.counts()).map(|finding| finding.severity).max()
}
