//! Findings to a verdict: statements, policy and score; pure, `now` is an argument.

mod policy;
mod product;
mod purl;
mod score;
mod statements;
#[cfg(test)]
mod tests;
mod vex;

use std::cmp::Ordering;
use std::fmt;

use chrono::{DateTime, Utc};

use crate::model::advisory::Freshness;
use crate::model::finding::{Counts, Finding};
use crate::model::inventory::Inventory;
use crate::model::pipeline::Policy;
use crate::model::statement::Statement;
use crate::model::verdict::Verdict;

pub use policy::describe_policy;
pub use score::FORMULA;
pub use statements::unmatched;
pub use vex::parse_vex;

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

impl fmt::Debug for JudgeInput<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JudgeInput")
            .field("image", &self.image)
            .field("digest", &self.digest)
            .field("findings", &self.findings.len())
            .field("now", &self.now)
            .finish_non_exhaustive()
    }
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

/// Decides the findings by the statements, scores what counts and applies the policy; any rule that
/// is not met holds the image.
pub fn judge(input: JudgeInput<'_>) -> Verdict {
    let subject =
        Subject { name: input.image, folder: input.folder, tags: input.tags, digest: input.digest };
    let mut findings = input.findings;
    let statements =
        statements::apply(&mut findings, input.statements, &subject, input.inventory, input.now);
    findings.sort_by(worst_first);
    let score = score::score(&findings, input.inventory, input.freshness, input.unassessed);
    let reasons = policy::reasons(
        input.policy,
        policy::Facts {
            findings: &findings,
            score: &score,
            user: &input.inventory.config.user,
            bases: input.bases,
            freshness: input.freshness,
            first_seen: input.first_seen,
            now: input.now,
        },
    );
    let counts = Counts::of(&findings);
    Verdict { released: reasons.is_empty(), reasons, score, findings, counts, statements }
}

/// Known exploited first, then by severity, CVSS, EPSS, id and place.
fn worst_first(a: &Finding, b: &Finding) -> Ordering {
    let number = |value: Option<f64>| value.unwrap_or(-1.0);
    let name = |finding: &Finding| finding.package.as_ref().map(|package| package.name.clone());
    (b.kev.cmp(&a.kev))
        .then(b.severity.cmp(&a.severity))
        .then(number(b.cvss).total_cmp(&number(a.cvss)))
        .then(number(b.epss).total_cmp(&number(a.epss)))
        .then_with(|| a.id.cmp(&b.id))
        .then_with(|| name(a).cmp(&name(b)))
        .then_with(|| a.path.cmp(&b.path))
}
