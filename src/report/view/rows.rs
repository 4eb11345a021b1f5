//! The rows of each section: actions, changes, statements, failures, images.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::super::action::{self, Action};
use super::super::assemble;
use super::super::clean::clip;
use super::super::words::{listed, outcome_colour, owners, percent, severity_colour, signed, took};
use super::{ActionRow, Caps, ChangeRow, FailureRow, FindingRow, ImageRow, NAME, Section};
use crate::model::finding::{Finding, Severity};
use crate::model::night::{ImageResult, Outcome};
use crate::model::plan::short;
use crate::model::report::{Change, ImageReport, Report};

pub(super) fn actions(report: &Report, caps: &Caps, now: DateTime<Utc>) -> Section<ActionRow> {
    let all = action::actions(report);
    let pipeline = clip(&report.night.pipeline, 60);
    Section::of(&all, 14.min(caps.rows).max(caps.rows / 10), |action| match action {
        Action::Repair { image, unblocks } => ActionRow {
            repair: true,
            class: action::class(&image.result),
            stage: clip(image.result.stage.as_deref().unwrap_or(""), 40),
            text: clip(image.result.error.as_deref().unwrap_or("no error line"), caps.text),
            unblocks: *unblocks,
            colour: outcome_colour(Outcome::Failed),
            command: rebuild(&pipeline, &image.result.name, *unblocks > 0),
            ..of_image(image)
        },
        Action::Hold { image } => ActionRow {
            hold: true,
            class: action::class(&image.result),
            text: must_change(&image.result, caps.text),
            colour: outcome_colour(Outcome::Held),
            ..of_image(image)
        },
        Action::Secret { image, secrets } => ActionRow {
            secret: true,
            closes: secrets.len() as u64,
            held_by: clip(&image.result.held_by.join("; "), caps.text),
            text: listed(secrets.iter().map(|f| f.path.as_deref().unwrap_or(&f.id)), 3),
            colour: severity_colour(Severity::Critical),
            ..of_image(image)
        },
        Action::Upgrade(upgrade) => upgrade_row(upgrade, now),
    })
}

/// What keeps a held image back.
pub(in crate::report) fn must_change(result: &ImageResult, most: usize) -> String {
    clip(&format!("what must change: {}", result.held_by.join("; ")), most)
}

pub(super) fn of_image(image: &ImageReport) -> ActionRow {
    ActionRow {
        image: clip(&image.result.name, NAME),
        owners: owners(&image.result),
        ..ActionRow::default()
    }
}

pub(super) fn upgrade_row(upgrade: &action::Upgrade<'_>, now: DateTime<Utc>) -> ActionRow {
    let published = upgrade.published.and_then(|text| text.parse::<DateTime<Utc>>().ok());
    ActionRow {
        upgrade: true,
        package: clip(upgrade.package, 80),
        ecosystem: clip(upgrade.ecosystem, 30),
        from: listed(upgrade.from.iter().copied(), 2),
        to: clip(upgrade.to, 60),
        closes: upgrade.closes,
        images: upgrade.images.len() as u64,
        image_names: listed(upgrade.images.iter().copied(), 2),
        severity: upgrade.worst.severity.as_str(),
        colour: severity_colour(upgrade.worst.severity),
        kev: upgrade.worst.kev,
        owners: listed(upgrade.owners.iter().copied(), 2),
        since: published.map_or_else(String::new, |at| at.format("%Y-%m-%d").to_string()),
        days: published.map_or(0, |at| (now - at).num_days().max(0) as u64),
        ..ActionRow::default()
    }
}

/// A command that can be pasted; none where a name would need quoting.
pub(super) fn rebuild(pipeline: &str, image: &str, dependants: bool) -> String {
    let plain = |text: &str| {
        !text.is_empty()
            && !text.starts_with('-')
            && text.len() <= 120
            && text.chars().all(|c| c.is_ascii_alphanumeric() || "/._-:".contains(c))
    };
    if !plain(pipeline) || !plain(image) {
        return String::new();
    }
    let rest = if dependants { " --with-dependants" } else { "" };
    format!("midwatch rebuild {pipeline} {image}{rest}")
}

/// Four or more advisories of one package version in the same images become one line.
pub(super) fn changes(all: &[Change], most: usize, caps: &Caps) -> Section<ChangeRow> {
    let mut groups: Vec<Vec<&Change>> = Vec::new();
    let mut places: BTreeMap<(String, String, String, bool), usize> = BTreeMap::new();
    for change in all {
        let Some(package) = &change.finding.package else {
            groups.push(vec![change]);
            continue;
        };
        let now = change.now.clone().unwrap_or_default();
        let key = (
            package.ecosystem.clone(),
            package.name.clone(),
            format!("{} {now}", package.version),
            change.finding.note.is_some(),
        );
        let place = *places.entry(key).or_insert(groups.len());
        match groups.get_mut(place) {
            Some(group) => group.push(change),
            None => groups.push(vec![change]),
        }
    }
    let mut lines: Vec<Vec<&Change>> = Vec::new();
    for group in groups {
        if group.len() >= 4 {
            lines.push(group);
        } else {
            lines.extend(group.into_iter().map(|change| vec![change]));
        }
    }
    lines.sort_by(|a, b| assemble::worst_first(&a[0].finding, &b[0].finding));
    Section::of(&lines, most, |group| change_row(group, caps))
}

pub(super) fn change_row(group: &[&Change], caps: &Caps) -> ChangeRow {
    let change = group[0];
    let finding = &change.finding;
    let package = finding.package.as_ref();
    let images: std::collections::BTreeSet<&str> =
        group.iter().flat_map(|change| change.images.iter().map(String::as_str)).collect();
    let fixed = finding.fixed.as_deref().filter(|_| group.len() == 1);
    ChangeRow {
        id: clip(finding.cve(), 60),
        colour: severity_colour(finding.severity),
        severity: finding.severity.as_str(),
        kev: group.iter().any(|change| change.finding.kev),
        epss: finding.epss.filter(|p| *p >= 0.1).map_or_else(String::new, percent),
        title: clip(&finding.title, caps.text.min(160)),
        package: clip(package.map_or("", |p| &p.name), 80),
        version: clip(package.map_or("", |p| &p.version), 60),
        fixed: clip(fixed.unwrap_or(""), 60),
        now: clip(change.now.as_deref().unwrap_or(""), 60),
        path: clip(finding.path.as_deref().filter(|_| package.is_none()).unwrap_or(""), NAME),
        note: clip(finding.note.as_deref().unwrap_or(""), 160),
        images: images.len() as u64,
        image_names: listed(images, 2),
        advisories: group.len() as u64,
        many: group.len() > 1,
    }
}

/// Suppressed findings by status and reason: `(status, reason, findings, images)`, most first.
pub(super) fn justified(report: &Report) -> Vec<(&'static str, String, u64, u64)> {
    let mut sums: BTreeMap<(&'static str, &str), (u64, u64)> = BTreeMap::new();
    for image in &report.images {
        let mut seen = std::collections::BTreeSet::new();
        for finding in image.findings.iter().filter(|finding| !finding.counts()) {
            let key =
                (finding.status.as_str(), finding.note.as_deref().unwrap_or("no reason given"));
            let sum = sums.entry(key).or_default();
            sum.0 += 1;
            sum.1 += u64::from(seen.insert(key));
        }
    }
    let mut rows: Vec<_> = sums
        .into_iter()
        .map(|((status, reason), (findings, images))| (status, reason.to_owned(), findings, images))
        .collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.2));
    rows
}

pub(super) fn texts<'a>(
    report: &'a Report,
    of: impl Fn(&'a ImageReport) -> &'a Vec<String>,
) -> Vec<(&'a str, &'a str)> {
    let each = |image: &'a ImageReport| {
        of(image).iter().map(move |text| (image.result.name.as_str(), text.as_str()))
    };
    report.images.iter().flat_map(each).collect()
}

/// What nobody could look at, folded by text: `(images, text)`; images without a score first.
pub(super) fn unassessed(report: &Report) -> Vec<(String, String)> {
    let mut folded: BTreeMap<(bool, &str), Vec<&str>> = BTreeMap::new();
    for image in &report.images {
        let scored = image.result.score.is_some();
        let judged = image.result.grade.is_some();
        if image.unassessed.is_empty() && judged && !scored {
            folded
                .entry((false, "no score, and no reason recorded"))
                .or_default()
                .push(&image.result.name);
        }
        for text in &image.unassessed {
            folded.entry((scored, text)).or_default().push(&image.result.name);
        }
    }
    let row = |((scored, text), names): ((bool, &str), Vec<&str>)| {
        let mark = if scored { "" } else { "score N/A: " };
        (listed(names, 3), format!("{mark}{text}"))
    };
    folded.into_iter().map(row).collect()
}

pub(super) fn failure(result: &ImageResult, caps: &Caps) -> FailureRow {
    let why = why(result);
    FailureRow {
        image: clip(&result.name, NAME),
        outcome: result.outcome.as_str(),
        colour: outcome_colour(result.outcome),
        class: action::class(result),
        stage: clip(result.stage.as_deref().unwrap_or(""), 40),
        error: clip(&why, caps.text),
        owners: owners(result),
    }
}

/// What people should know of an image's end.
pub(in crate::report) fn why(result: &ImageResult) -> String {
    match result.outcome {
        Outcome::Failed => result.error.clone().unwrap_or_else(|| "no error line".into()),
        Outcome::Blocked => {
            format!("by {}", result.blocked_by.as_deref().unwrap_or("an unknown parent"))
        }
        Outcome::Held => result.held_by.join("; "),
        Outcome::Released | Outcome::Reused | Outcome::Skipped => result.reason.clone(),
    }
}

pub(super) fn worst_outcome_first(report: &Report) -> Vec<&ImageReport> {
    let mut order: Vec<&ImageReport> = report.images.iter().collect();
    order.sort_by_key(|image| match image.result.outcome {
        Outcome::Failed => 0,
        Outcome::Blocked => 1,
        Outcome::Held => 2,
        _ => 3,
    });
    order
}

pub(super) fn images(report: &Report, caps: &Caps, details: &mut usize) -> Section<ImageRow> {
    Section::of(&worst_outcome_first(report), caps.rows, |image| image_row(image, caps, details))
}

pub(super) fn image_row(image: &ImageReport, caps: &Caps, details: &mut usize) -> ImageRow {
    let result = &image.result;
    let shown = image.findings.len().min(*details).min(300);
    *details -= shown;
    let before = image.before.as_ref().and_then(|before| before.score);
    ImageRow {
        name: clip(&result.name, NAME),
        outcome: result.outcome.as_str(),
        colour: outcome_colour(result.outcome),
        reason: clip(&result.reason, caps.text),
        score: result.score.map_or_else(String::new, |score| format!("{score:.1}")),
        score_delta: result
            .score
            .zip(before)
            .map(|(now, then)| now - then)
            .filter(|delta| delta.abs() >= 0.05)
            .map_or_else(String::new, signed),
        grade: clip(result.grade.as_deref().unwrap_or("–"), 5),
        judged: result.grade.is_some(),
        counts: result.counts,
        vulnerabilities: result.counts.vulnerabilities(),
        took: took(result.took_ms),
        digest: clip(result.digest.as_deref().map_or("", short), 12),
        why: clip(&why(result), caps.text),
        owners: owners(result),
        findings: Section::of(&image.findings, shown, |f| finding_row(f, caps)),
    }
}

pub(super) fn finding_row(finding: &Finding, caps: &Caps) -> FindingRow {
    let package = finding.package.as_ref();
    FindingRow {
        id: clip(finding.cve(), 60),
        severity: finding.severity.as_str(),
        colour: severity_colour(finding.severity),
        kev: finding.kev,
        package: clip(package.map_or("", |p| &p.name), 80),
        version: clip(package.map_or("", |p| &p.version), 60),
        fixed: clip(finding.fixed.as_deref().unwrap_or(""), 60),
        path: clip(finding.path.as_deref().unwrap_or(""), NAME),
        title: clip(&finding.title, caps.text.min(200)),
        status: finding.status.as_str(),
        note: clip(finding.note.as_deref().unwrap_or(""), 200),
    }
}
