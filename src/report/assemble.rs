//! Two nights side by side: what came, what went, how the score moved, for one reader.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::model::advisory::Freshness;
use crate::model::finding::{Finding, Kind};
use crate::model::night::{ImageResult, Night};
use crate::model::plan::Outside;
use crate::model::report::{Audience, Change, ImageReport, PreviousResult, Report, TrendPoint};
use crate::model::statement::StatementCheck;

/// One image of one night as the ledger knows it.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageFindings {
    /// Its result.
    pub result: ImageResult,
    /// All its findings, suppressed ones included.
    pub findings: Vec<Finding>,
    /// What could not be assessed.
    pub unassessed: Vec<String>,
    /// Soft lint violations, `file:line rule message`.
    pub warnings: Vec<String>,
}

/// Everything a report is made of.
#[derive(Debug)]
pub struct AssembleInput<'a> {
    /// The night.
    pub night: &'a Night,
    /// The night before it; `None` makes this one the baseline.
    pub previous: Option<&'a Night>,
    /// Tonight's images in plan order.
    pub images: Vec<ImageFindings>,
    /// The images of the night before; of one that was not judged then, its last judged night's.
    pub before: Vec<ImageFindings>,
    /// Whether both nights were scored by the same formula.
    pub same_formula: bool,
    /// Statements that need somebody.
    pub statements: Vec<StatementCheck>,
    /// Outside bases.
    pub outside: Vec<Outside>,
    /// The last nights of the whole repository, oldest first; the last 14 are kept.
    pub trend: Vec<TrendPoint>,
    /// One line for each policy rule in force.
    pub policy: Vec<String>,
    /// What people should know.
    pub notes: Vec<String>,
    /// Whom it is for.
    pub audience: Audience,
}

/// Joins two nights into the report of one reader; pure.
pub fn assemble(input: AssembleInput<'_>) -> Report {
    let AssembleInput { night, audience, mut trend, mut notes, .. } = input;
    let mut images = input.images;
    images.retain(|image| is_readers(&audience, &image.result));
    let before: HashMap<&str, &ImageFindings> =
        input.before.iter().map(|image| (image.result.name.as_str(), image)).collect();
    let baseline = input.previous.is_none();
    let (new, fixed) = if baseline {
        (Vec::new(), Vec::new())
    } else {
        notes.extend(gap_note(&images, &before));
        (came(&images, &before), went(night, &images, &before))
    };
    let score = mean(images.iter().map(|image| image.result.score));
    let moved = |image: &ImageFindings| {
        let then = before.get(image.result.name.as_str())?.result.score?;
        Some(image.result.score? - then)
    };
    let score_delta = mean(images.iter().map(moved));
    let comparable = !baseline && input.same_formula;
    let statements = readers_statements(&audience, &images, input.statements);
    // A night on which nothing was judged has no point, and an owner's images no trend of their own.
    trend.retain(|point| point.good + point.bad > 0 && matches!(audience, Audience::Pipeline(_)));
    trend.drain(..trend.len().saturating_sub(14));
    Report {
        night: night.clone(),
        baseline,
        score,
        score_delta: score_delta.filter(|_| comparable),
        new,
        fixed,
        statements,
        outside: input.outside,
        trend,
        policy: input.policy,
        notes,
        audience,
        images: images.into_iter().map(|image| with_previous(image, &before)).collect(),
    }
}

fn is_readers(audience: &Audience, result: &ImageResult) -> bool {
    match audience {
        Audience::Pipeline(_) => true,
        Audience::Owner(address) => {
            result.owners.iter().any(|owner| owner.trim().eq_ignore_ascii_case(address.trim()))
        }
    }
}

fn readers_statements(
    audience: &Audience,
    images: &[ImageFindings],
    mut statements: Vec<StatementCheck>,
) -> Vec<StatementCheck> {
    if let Audience::Owner(_) = audience {
        let names: HashSet<&str> = images.iter().map(|i| i.result.name.as_str()).collect();
        statements.retain(|statement| names.contains(statement.image.as_str()));
    }
    statements.sort_by(|a, b| (a.state, &a.id, &a.image).cmp(&(b.state, &b.id, &b.image)));
    statements
}

fn with_previous(image: ImageFindings, before: &HashMap<&str, &ImageFindings>) -> ImageReport {
    let previous = before.get(image.result.name.as_str()).map(|image| &image.result);
    let mut findings = image.findings;
    findings.sort_by(worst_first);
    ImageReport {
        before: previous.map(|result| PreviousResult {
            outcome: result.outcome,
            score: result.score,
            counts: result.counts,
        }),
        result: image.result,
        findings,
        unassessed: image.unassessed,
        warnings: image.warnings,
    }
}

/// Whether the image has findings that can be compared at all.
fn judged(image: &ImageFindings) -> bool {
    image.result.grade.is_some()
}

/// Why a finding is listed as new that may be there for long.
const NOT_JUDGED: &str = "not judged on the night before";

/// Says how much of the news is only new because nobody looked before.
fn gap_note(images: &[ImageFindings], before: &HashMap<&str, &ImageFindings>) -> Option<String> {
    let unknown: Vec<&ImageFindings> =
        images.iter().filter(|image| judged(image) && earlier(image, before).is_none()).collect();
    let open = |image: &&ImageFindings| image.findings.iter().filter(|f| f.counts()).count();
    let sum: usize = unknown.iter().map(open).sum();
    let (first, rest) = unknown.iter().filter(|image| open(image) > 0).fold(
        (None, 0usize),
        |(first, rest), image| match first {
            None => (Some(&image.result.name), rest),
            some => (some, rest + 1),
        },
    );
    let name = first?;
    let who = match rest {
        0 => format!("{name} was"),
        1 => format!("{name} and 1 more image were"),
        rest => format!("{name} and {rest} more images were"),
    };
    let what = if sum == 1 { "1 open finding is" } else { &format!("{sum} open findings are") };
    Some(format!("{who} {NOT_JUDGED}: {what} listed as new"))
}

/// The image as it was judged before.
fn earlier<'a>(
    image: &ImageFindings,
    before: &HashMap<&str, &'a ImageFindings>,
) -> Option<&'a ImageFindings> {
    before.get(image.result.name.as_str()).copied().filter(|image| judged(image))
}

/// What makes findings of several images the same piece of news.
pub(super) fn key(finding: &Finding) -> String {
    match &finding.package {
        Some(package) => {
            let name = source_name(package.source.as_deref()).unwrap_or(&package.name);
            format!("{}|{}|{}|{name}", finding.kind.as_str(), finding.id, package.ecosystem)
        }
        None => {
            let path = finding.path.as_deref().unwrap_or("");
            format!("{}|{}||{path}", finding.kind.as_str(), finding.id)
        }
    }
}

fn source_name(source: Option<&str>) -> Option<&str> {
    source.and_then(|source| source.split_whitespace().next())
}

fn keyed(findings: &[Finding], counts: bool) -> BTreeMap<String, &Finding> {
    let mut map = BTreeMap::new();
    for finding in findings.iter().filter(|finding| finding.counts() == counts) {
        map.entry(key(finding)).or_insert(finding);
    }
    map
}

fn came(images: &[ImageFindings], before: &HashMap<&str, &ImageFindings>) -> Vec<Change> {
    let mut changes = Changes::default();
    for image in images.iter().filter(|image| judged(image)) {
        let earlier = earlier(image, before);
        let then = earlier.map_or(&[][..], |image| &image.findings);
        let (counted, excused) = (keyed(then, true), keyed(then, false));
        for (key, finding) in keyed(&image.findings, true) {
            if counted.contains_key(&key) {
                continue;
            }
            let mut finding = finding.clone();
            if excused.contains_key(&key) && finding.note.is_none() {
                finding.note = Some("no longer justified".into());
            }
            if earlier.is_none() {
                let why = finding.note.take().map_or_else(String::new, |note| format!("; {note}"));
                finding.note = Some(format!("{NOT_JUDGED}{why}"));
            }
            changes.add(key, finding, &image.result.name, None);
        }
    }
    changes.sorted()
}

fn went(
    night: &Night,
    images: &[ImageFindings],
    before: &HashMap<&str, &ImageFindings>,
) -> Vec<Change> {
    let mut changes = Changes::default();
    for image in images.iter().filter(|image| judged(image)) {
        let Some(earlier) = earlier(image, before) else { continue };
        let (counted, excused) = (keyed(&image.findings, true), keyed(&image.findings, false));
        for (key, finding) in keyed(&earlier.findings, true) {
            if counted.contains_key(&key) {
                continue;
            }
            if let Some(justified) = excused.get(&key) {
                let mut justified = (*justified).clone();
                justified.note.get_or_insert_with(|| "justified".into());
                changes.add(key, justified, &image.result.name, None);
            } else if still_assessed(night, image, finding) {
                let now = version_now(image, finding);
                changes.add(key, finding.clone(), &image.result.name, now);
            }
        }
    }
    changes.sorted()
}

/// A vulnerability that nobody could look for tonight is not fixed.
fn still_assessed(night: &Night, image: &ImageFindings, finding: &Finding) -> bool {
    if finding.kind != Kind::Vulnerability {
        return true;
    }
    let family =
        finding.package.as_ref().map_or("", |p| p.ecosystem.split(':').next().unwrap_or(""));
    let gap = !family.is_empty() && image.unassessed.iter().any(|text| names(text, family));
    night.feeds.freshness != Freshness::Missing && image.result.score.is_some() && !gap
}

fn names(text: &str, family: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric()).any(|word| word.eq_ignore_ascii_case(family))
}

fn version_now(image: &ImageFindings, gone: &Finding) -> Option<String> {
    let was = gone.package.as_ref()?;
    let same = |finding: &&Finding| {
        finding.package.as_ref().is_some_and(|p| p.name == was.name && p.ecosystem == was.ecosystem)
    };
    let package = image.findings.iter().find(same)?.package.as_ref()?;
    (package.version != was.version).then(|| package.version.clone())
}

#[derive(Default)]
struct Changes(BTreeMap<String, (Change, BTreeSet<String>)>);

impl Changes {
    fn add(&mut self, key: String, finding: Finding, image: &str, now: Option<String>) {
        let (change, images) = self.0.entry(key).or_insert_with(|| {
            let finding = finding.clone();
            (Change { finding, images: Vec::new(), now: None }, BTreeSet::new())
        });
        // What is really new in one of the images is no mere consequence of a gap in another.
        let gap = |finding: &Finding| {
            finding.note.as_deref().is_some_and(|note| note.starts_with(NOT_JUDGED))
        };
        if gap(&change.finding) && !gap(&finding) {
            change.finding = finding;
        }
        images.insert(image.to_owned());
        change.now = change.now.take().or(now);
    }

    fn sorted(self) -> Vec<Change> {
        let mut changes: Vec<Change> = self
            .0
            .into_values()
            .map(|(change, images)| Change { images: images.into_iter().collect(), ..change })
            .collect();
        changes.sort_by(|a, b| {
            worst_first(&a.finding, &b.finding).then(b.images.len().cmp(&a.images.len()))
        });
        changes
    }
}

/// Known exploited first, then severity, CVSS, EPSS, and the id to settle it.
pub(super) fn worst_first(a: &Finding, b: &Finding) -> std::cmp::Ordering {
    let number = |value: Option<f64>| value.filter(|v| v.is_finite()).unwrap_or(-1.0);
    b.counts()
        .cmp(&a.counts())
        .then(b.kev.cmp(&a.kev))
        .then(b.severity.cmp(&a.severity))
        .then(number(b.cvss).total_cmp(&number(a.cvss)))
        .then(number(b.epss).total_cmp(&number(a.epss)))
        .then_with(|| a.id.cmp(&b.id))
        .then_with(|| a.package.as_ref().map(|p| &p.name).cmp(&b.package.as_ref().map(|p| &p.name)))
}

fn mean(scores: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let known: Vec<f64> = scores.flatten().filter(|score| score.is_finite()).collect();
    (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
}
