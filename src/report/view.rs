//! A report as the templates want it: every number summed, every text clipped, every table capped.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde::Serialize;

use super::action::{self, Action};
use super::clean::clip;
use super::template::grouped;
use super::{RenderMeta, assemble};
use crate::model::advisory::Freshness;
use crate::model::finding::{Counts, Finding, Severity};
use crate::model::night::{ImageResult, Outcome};
use crate::model::plan::short;
use crate::model::report::{Audience, Change, ImageReport, Report, TrendPoint};
use crate::model::statement::StatementState;

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

    fn colour(self) -> &'static str {
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

fn is_good(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Released | Outcome::Reused | Outcome::Skipped)
}

/// The worst severity among open findings.
pub(super) fn severity_highest(report: &Report) -> Option<Severity> {
    let findings = report.images.iter().flat_map(|image| &image.findings);
    findings.filter(|finding| finding.counts()).map(|finding| finding.severity).max()
}

/// Caps of one rendering.
#[derive(Debug)]
pub(super) struct Caps {
    /// Rows of the largest table.
    pub rows: usize,
    /// Characters of an error or a message.
    pub text: usize,
    /// Findings shown image by image, over all images.
    pub details: usize,
}

/// Caps of a mail.
pub(super) const MAIL: Caps = Caps { rows: 40, text: 280, details: 0 };
/// Caps of a page.
pub(super) const PAGE: Caps = Caps { rows: 2_500, text: 1_000, details: 6_000 };

const NAME: usize = 120;

/// A capped table.
#[derive(Debug, Serialize)]
pub(super) struct Section<T> {
    /// What is shown.
    pub rows: Vec<T>,
    /// How many there are.
    pub total: u64,
    /// How many are left out.
    pub more: u64,
}

impl<T> Section<T> {
    fn of<S>(all: &[S], most: usize, row: impl FnMut(&S) -> T) -> Self {
        let rows: Vec<T> = all.iter().take(most).map(row).collect();
        Self { total: all.len() as u64, more: (all.len() - rows.len()) as u64, rows }
    }

    fn shrink(&mut self, most: usize) {
        self.rows.truncate(most);
        self.more = self.total - self.rows.len() as u64;
    }
}

/// Everything the templates name.
#[derive(Debug, Serialize)]
pub(super) struct View {
    // The head.
    repository: String,
    pipeline: String,
    night: String,
    kind: &'static str,
    pub(super) date: String,
    verdict: &'static str,
    verdict_word: String,
    verdict_colour: &'static str,
    pass: bool,
    fail: bool,
    held_only: bool,
    incomplete: bool,
    error: String,
    stopped: bool,
    quiet: bool,
    baseline: bool,
    compared: bool,
    single: bool,
    yours: bool,
    web_url: String,
    score: String,
    score_delta: String,
    delta_up: bool,
    // The sums.
    mine: Sums,
    all: Sums,
    done: u64,
    counts: Counts,
    vulnerabilities: u64,
    new_kev: u64,
    new_total: u64,
    fixed_total: u64,
    // Time and data.
    times: String,
    commit: String,
    freshness: &'static str,
    stale: bool,
    missing: bool,
    oldest: String,
    feeds: Section<FeedRow>,
    index: String,
    // The sections.
    actions: Section<ActionRow>,
    new: Section<ChangeRow>,
    fixed: Section<ChangeRow>,
    statements: Section<StatementRow>,
    justified: Section<JustifiedRow>,
    justified_total: u64,
    failures: Section<FailureRow>,
    images: Section<ImageRow>,
    unassessed: Section<NamedText>,
    warnings: Section<NamedText>,
    outside: Section<OutsideRow>,
    trend: Section<TrendRow>,
    spark_score: Spark,
    spark_open: Spark,
    spark_bad: Spark,
    policy: Section<String>,
    notes: Section<String>,
    csv_left_out: u64,
    // The foot.
    engine: String,
    address: String,
}

/// Images by outcome.
#[derive(Debug, Default, Serialize)]
struct Sums {
    planned: u64,
    released: u64,
    held: u64,
    failed: u64,
    blocked: u64,
    reused: u64,
    skipped: u64,
    bad: u64,
    complete: bool,
}

#[derive(Debug, Serialize)]
struct FeedRow {
    name: String,
    records: u64,
    age: String,
    origin: String,
}

#[derive(Debug, Default, Serialize)]
struct ActionRow {
    repair: bool,
    hold: bool,
    secret: bool,
    upgrade: bool,
    colour: &'static str,
    image: String,
    text: String,
    held_by: String,
    class: &'static str,
    stage: String,
    unblocks: u64,
    package: String,
    ecosystem: String,
    from: String,
    to: String,
    closes: u64,
    images: u64,
    image_names: String,
    severity: &'static str,
    kev: bool,
    owners: String,
    since: String,
    days: u64,
    command: String,
}

#[derive(Debug, Serialize)]
struct ChangeRow {
    id: String,
    colour: &'static str,
    severity: &'static str,
    kev: bool,
    epss: String,
    title: String,
    package: String,
    version: String,
    fixed: String,
    now: String,
    path: String,
    note: String,
    images: u64,
    image_names: String,
    advisories: u64,
    many: bool,
}

#[derive(Debug, Serialize)]
struct StatementRow {
    state: &'static str,
    colour: &'static str,
    id: String,
    image: String,
    message: String,
    origin: String,
    day: String,
}

#[derive(Debug, Serialize)]
struct JustifiedRow {
    status: &'static str,
    reason: String,
    findings: u64,
    images: u64,
}

#[derive(Debug, Serialize)]
struct FailureRow {
    image: String,
    outcome: &'static str,
    colour: &'static str,
    class: &'static str,
    stage: String,
    error: String,
    owners: String,
}

#[derive(Debug, Serialize)]
struct ImageRow {
    name: String,
    outcome: &'static str,
    colour: &'static str,
    reason: String,
    score: String,
    score_delta: String,
    grade: String,
    judged: bool,
    counts: Counts,
    vulnerabilities: u64,
    took: String,
    digest: String,
    why: String,
    owners: String,
    findings: Section<FindingRow>,
}

#[derive(Debug, Serialize)]
struct FindingRow {
    id: String,
    severity: &'static str,
    colour: &'static str,
    kev: bool,
    package: String,
    version: String,
    fixed: String,
    path: String,
    title: String,
    status: &'static str,
    note: String,
}

#[derive(Debug, Serialize)]
struct NamedText {
    name: String,
    text: String,
}

#[derive(Debug, Serialize)]
struct OutsideRow {
    reference: String,
    digest: String,
    error: String,
}

#[derive(Debug, Serialize)]
struct TrendRow {
    date: String,
    day: String,
    score: String,
    planned: u64,
    good: u64,
    bad: u64,
    open: u64,
    open_short: String,
    height: u64,
    rest: u64,
    colour: &'static str,
    this_night: bool,
    freshness: &'static str,
}

/// A line of block characters and its numbers.
#[derive(Debug, Default, Serialize)]
struct Spark {
    blocks: String,
    first: String,
    last: String,
}

impl View {
    /// Prepares a report for the templates.
    pub fn of(report: &Report, meta: &RenderMeta, caps: &Caps, csv_left_out: u64) -> Self {
        let night = &report.night;
        let verdict = verdict(report);
        let counts = sum_counts(report);
        let failures: Vec<&ImageReport> = worst_outcome_first(report)
            .into_iter()
            .filter(|image| !is_good(image.result.outcome))
            .collect();
        let moment = night.ended.unwrap_or(night.started);
        let justified = justified(report);
        let unassessed = unassessed(report);
        let warnings: Vec<(&str, &str)> = texts(report, |image| &image.warnings);
        let mut details = caps.details;
        let least = |most: usize| most.min(caps.rows);
        Self {
            repository: clip(&meta.repository, 60),
            pipeline: clip(&night.pipeline, 60),
            night: clip(&night.id, 60),
            kind: night.kind.as_str(),
            date: local_date(night.started, meta.timezone),
            verdict: verdict.as_str(),
            verdict_word: verdict.as_str().to_uppercase(),
            verdict_colour: verdict.colour(),
            pass: verdict == Verdict::Pass,
            fail: verdict == Verdict::Fail,
            held_only: verdict == Verdict::Held,
            incomplete: verdict == Verdict::Incomplete,
            error: night.error.as_deref().map_or_else(String::new, |text| clip(text, caps.text)),
            quiet: quiet(report),
            stopped: stopped(report),
            baseline: report.baseline && !stopped(report),
            compared: !report.baseline && !stopped(report),
            single: report.images.len() == 1,
            yours: matches!(report.audience, Audience::Owner(_)),
            web_url: meta.web_url.as_deref().filter(|url| is_web(url)).unwrap_or("").to_owned(),
            score: report.score.map_or_else(String::new, |score| format!("{score:.1}")),
            score_delta: report.score_delta.map_or_else(String::new, signed),
            delta_up: report.score_delta.is_some_and(|delta| delta > 0.0),
            mine: sums_of(report),
            all: sums_all(report),
            done: night.released
                + night.held
                + night.failed
                + night.blocked
                + night.reused
                + night.skipped,
            counts,
            vulnerabilities: counts.vulnerabilities(),
            new_kev: report.new.iter().filter(|change| change.finding.kev).count() as u64,
            new_total: report.new.len() as u64,
            fixed_total: report.fixed.len() as u64,
            times: times(report, meta.timezone),
            commit: clip(short(&night.commit), 12),
            freshness: freshness(night.feeds.freshness),
            stale: night.feeds.freshness == Freshness::Stale,
            missing: night.feeds.freshness == Freshness::Missing,
            oldest: night.feeds.oldest_hours.map_or_else(String::new, hours),
            feeds: Section::of(&night.feeds.state.sources, least(16), |feed| FeedRow {
                name: clip(&feed.name, 40),
                records: feed.records,
                age: feed
                    .as_of
                    .map_or_else(|| "no date".into(), |as_of| hours((moment - as_of).num_hours())),
                origin: clip(&feed.origin, 80),
            }),
            index: clip(short(&night.feeds.state.index), 12),
            actions: actions(report, caps, moment),
            new: changes(&report.new, least(25).max(caps.rows / 4), caps),
            fixed: changes(&report.fixed, least(15).max(caps.rows / 4), caps),
            statements: Section::of(&report.statements, least(20).max(caps.rows / 4), |check| {
                StatementRow {
                    state: state(check.state),
                    colour: state_colour(check.state),
                    id: clip(&check.id, 60),
                    image: clip(&check.image, NAME),
                    message: clip(&check.message, caps.text),
                    origin: clip(&check.origin, NAME),
                    day: check.expires.map_or_else(String::new, |at| local_date(at, meta.timezone)),
                }
            }),
            justified_total: justified.iter().map(|row| row.2).sum(),
            justified: Section::of(&justified, least(8), |row| JustifiedRow {
                status: row.0,
                reason: clip(&row.1, 160),
                findings: row.2,
                images: row.3,
            }),
            failures: Section::of(&failures, least(30).max(caps.rows / 2), |image| {
                failure(&image.result, caps)
            }),
            images: images(report, caps, &mut details),
            unassessed: Section::of(&unassessed, least(8).max(caps.rows / 4), |(name, text)| {
                NamedText { name: clip(name, NAME), text: clip(text, caps.text) }
            }),
            warnings: Section::of(&warnings, least(6).max(caps.rows / 4), |(name, text)| {
                NamedText { name: clip(name, NAME), text: clip(text, caps.text) }
            }),
            outside: Section::of(&report.outside, least(10), |outside| OutsideRow {
                reference: clip(&outside.reference, NAME),
                digest: clip(outside.digest.as_deref().map_or("", short), 12),
                error: clip(outside.error.as_deref().unwrap_or(""), 160),
            }),
            trend: trend(report),
            spark_score: spark(&report.trend, |point| point.score, |score| format!("{score:.1}")),
            spark_open: spark(&report.trend, |p| Some(p.vulnerabilities as f64), whole),
            spark_bad: spark(&report.trend, |point| Some(point.bad as f64), whole),
            policy: Section::of(&report.policy, least(16), |line| clip(line, 160)),
            notes: Section::of(&report.notes, least(12).max(caps.rows / 4), |note| {
                clip(note, caps.text)
            }),
            csv_left_out,
            engine: clip(&meta.engine, 40),
            address: clip(report.audience.address(), 120),
        }
    }

    /// Cuts every table down to `most` rows.
    pub fn shrink(&mut self, most: usize) {
        self.feeds.shrink(most);
        self.actions.shrink(most);
        self.new.shrink(most);
        self.fixed.shrink(most);
        self.statements.shrink(most);
        self.justified.shrink(most);
        self.failures.shrink(most);
        self.images.shrink(most);
        self.unassessed.shrink(most);
        self.warnings.shrink(most);
        self.outside.shrink(most);
        self.policy.shrink(most);
        self.notes.shrink(most);
    }
}

fn is_web(url: &str) -> bool {
    (url.starts_with("https://") || url.starts_with("http://")) && url.len() <= 300
}

fn sums_of(report: &Report) -> Sums {
    let mut night = report.night.clone();
    night.tally(report.images.iter().map(|image| &image.result.outcome));
    Sums {
        planned: report.images.len() as u64,
        released: night.released,
        held: night.held,
        failed: night.failed,
        blocked: night.blocked,
        reused: night.reused,
        skipped: night.skipped,
        bad: night.held + night.failed + night.blocked,
        complete: true,
    }
}

fn sums_all(report: &Report) -> Sums {
    let night = &report.night;
    Sums {
        planned: night.planned,
        released: night.released,
        held: night.held,
        failed: night.failed,
        blocked: night.blocked,
        reused: night.reused,
        skipped: night.skipped,
        bad: night.held + night.failed + night.blocked,
        complete: night.complete(),
    }
}

fn sum_counts(report: &Report) -> Counts {
    let mut sum = Counts::default();
    for counts in report.images.iter().map(|image| image.result.counts) {
        sum.critical += counts.critical;
        sum.high += counts.high;
        sum.medium += counts.medium;
        sum.low += counts.low;
        sum.negligible += counts.negligible;
        sum.unknown += counts.unknown;
        sum.kev += counts.kev;
        sum.fixable += counts.fixable;
        sum.secrets += counts.secrets;
        sum.checks += counts.checks;
        sum.suppressed += counts.suppressed;
    }
    sum
}

fn local_date(at: DateTime<Utc>, zone: Tz) -> String {
    at.with_timezone(&zone).format("%Y-%m-%d").to_string()
}

/// `00:00–00:41 Asia/Tokyo, 41 min`.
fn times(report: &Report, zone: Tz) -> String {
    let start = report.night.started.with_timezone(&zone);
    let Some(ended) = report.night.ended else {
        return format!("from {} {zone}, not ended", start.format("%H:%M"));
    };
    let end = ended.with_timezone(&zone);
    let day = if end.date_naive() == start.date_naive() { "%H:%M" } else { "%Y-%m-%d %H:%M" };
    let took = took((ended - report.night.started).num_milliseconds().max(0) as u64);
    let (start, end) = (start.format("%H:%M").to_string(), end.format(day).to_string());
    if start == end {
        format!("{start} {zone}, {took}")
    } else {
        format!("{start}–{end} {zone}, {took}")
    }
}

/// Milliseconds for people: `0.8 s`, `41 s`, `12 min`, `3 h 05 min`.
pub(super) fn took(ms: u64) -> String {
    match ms {
        0..10_000 => format!("{:.1} s", ms as f64 / 1000.0),
        10_000..120_000 => format!("{} s", ms / 1000),
        120_000..7_200_000 => format!("{} min", ms / 60_000),
        _ => format!("{} h {:02} min", ms / 3_600_000, ms / 60_000 % 60),
    }
}

fn hours(hours: i64) -> String {
    match hours.max(0) {
        hours @ 0..48 => format!("{hours} h"),
        hours => format!("{} days", hours / 24),
    }
}

/// `+0.4`, `−0.6`, `±0.0`.
pub(super) fn signed(delta: f64) -> String {
    match (delta * 10.0).round() {
        tenths if tenths > 0.0 => format!("+{:.1}", tenths / 10.0),
        tenths if tenths < 0.0 => format!("−{:.1}", -tenths / 10.0),
        _ => "±0.0".into(),
    }
}

/// The word for the age of the data.
pub(super) fn freshness(freshness: Freshness) -> &'static str {
    match freshness {
        Freshness::Fresh => "fresh",
        Freshness::Stale => "STALE",
        Freshness::Missing => "MISSING",
    }
}

fn severity_colour(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "#8c1d40",
        Severity::High => "#b03a10",
        Severity::Medium => "#8a5a00",
        Severity::Low => "#3a5f85",
        Severity::Unknown | Severity::Negligible => "#59636e",
    }
}

fn outcome_colour(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Released | Outcome::Reused => "#1b7245",
        Outcome::Held => "#8a5a00",
        Outcome::Failed => "#a8261c",
        Outcome::Blocked => "#7a3b69",
        Outcome::Skipped => "#59636e",
    }
}

fn state(state: StatementState) -> &'static str {
    match state {
        StatementState::Invalid => "invalid",
        StatementState::Expired => "expired",
        StatementState::Expiring => "expiring",
        StatementState::Contradicted => "contradicted",
        StatementState::Stale => "stale",
        StatementState::Unmatched => "unmatched",
        StatementState::Fixable => "fix available",
        StatementState::Broad => "too broad",
    }
}

fn state_colour(state: StatementState) -> &'static str {
    match state {
        StatementState::Invalid | StatementState::Expired | StatementState::Contradicted => {
            "#a8261c"
        }
        StatementState::Expiring | StatementState::Fixable => "#8a5a00",
        StatementState::Stale | StatementState::Unmatched | StatementState::Broad => "#59636e",
    }
}

/// `a`, `a and b`, `a, b and 7 more`.
fn listed<'a>(names: impl IntoIterator<Item = &'a str>, most: usize) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    let shown: Vec<String> = names.iter().take(most).map(|name| clip(name, 70)).collect();
    match (shown.len(), names.len() - shown.len()) {
        (_, rest) if rest > 0 => format!("{} and {} more", shown.join(", "), grouped(rest as u64)),
        (2, _) => shown.join(" and "),
        _ => shown.join(", "),
    }
}

fn owners(result: &ImageResult) -> String {
    listed(result.owners.iter().map(String::as_str), 2)
}

fn actions(report: &Report, caps: &Caps, now: DateTime<Utc>) -> Section<ActionRow> {
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
pub(super) fn must_change(result: &ImageResult, most: usize) -> String {
    clip(&format!("what must change: {}", result.held_by.join("; ")), most)
}

fn of_image(image: &ImageReport) -> ActionRow {
    ActionRow {
        image: clip(&image.result.name, NAME),
        owners: owners(&image.result),
        ..ActionRow::default()
    }
}

fn upgrade_row(upgrade: &action::Upgrade<'_>, now: DateTime<Utc>) -> ActionRow {
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
fn rebuild(pipeline: &str, image: &str, dependants: bool) -> String {
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
fn changes(all: &[Change], most: usize, caps: &Caps) -> Section<ChangeRow> {
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

fn change_row(group: &[&Change], caps: &Caps) -> ChangeRow {
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

fn percent(probability: f64) -> String {
    format!("{:.0} %", (probability * 100.0).clamp(0.0, 100.0))
}

/// Suppressed findings by status and reason: `(status, reason, findings, images)`, most first.
fn justified(report: &Report) -> Vec<(&'static str, String, u64, u64)> {
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

fn texts<'a>(
    report: &'a Report,
    of: impl Fn(&'a ImageReport) -> &'a Vec<String>,
) -> Vec<(&'a str, &'a str)> {
    let each = |image: &'a ImageReport| {
        of(image).iter().map(move |text| (image.result.name.as_str(), text.as_str()))
    };
    report.images.iter().flat_map(each).collect()
}

/// What nobody could look at, folded by text: `(images, text)`; images without a score first.
fn unassessed(report: &Report) -> Vec<(String, String)> {
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

fn failure(result: &ImageResult, caps: &Caps) -> FailureRow {
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
pub(super) fn why(result: &ImageResult) -> String {
    match result.outcome {
        Outcome::Failed => result.error.clone().unwrap_or_else(|| "no error line".into()),
        Outcome::Blocked => {
            format!("by {}", result.blocked_by.as_deref().unwrap_or("an unknown parent"))
        }
        Outcome::Held => result.held_by.join("; "),
        Outcome::Released | Outcome::Reused | Outcome::Skipped => result.reason.clone(),
    }
}

fn worst_outcome_first(report: &Report) -> Vec<&ImageReport> {
    let mut order: Vec<&ImageReport> = report.images.iter().collect();
    order.sort_by_key(|image| match image.result.outcome {
        Outcome::Failed => 0,
        Outcome::Blocked => 1,
        Outcome::Held => 2,
        _ => 3,
    });
    order
}

fn images(report: &Report, caps: &Caps, details: &mut usize) -> Section<ImageRow> {
    Section::of(&worst_outcome_first(report), caps.rows, |image| image_row(image, caps, details))
}

fn image_row(image: &ImageReport, caps: &Caps, details: &mut usize) -> ImageRow {
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

fn finding_row(finding: &Finding, caps: &Caps) -> FindingRow {
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

/// Pixels of the tallest bar.
const TALL: u64 = 48;

fn trend(report: &Report) -> Section<TrendRow> {
    let skipped = report.trend.len().saturating_sub(14);
    let points = &report.trend[skipped..];
    let most = points.iter().map(|point| point.vulnerabilities).max().unwrap_or(0).max(1);
    Section::of(points, 14, |point| {
        let scaled = point.vulnerabilities as f64 / most as f64 * TALL as f64;
        let height = (scaled.round() as u64).clamp(1, TALL);
        let this = point.night == report.night.id;
        TrendRow {
            date: clip(&point.date, 10),
            day: clip(point.date.get(5..).unwrap_or(&point.date), 5),
            score: point.score.map_or_else(|| "–".into(), |score| format!("{score:.1}")),
            planned: point.planned,
            good: point.good,
            bad: point.bad,
            open: point.vulnerabilities,
            open_short: abbreviated(point.vulnerabilities),
            height,
            rest: TALL - height + 1,
            colour: if this { "#2f6f9f" } else { "#8aa9c2" },
            this_night: this,
            freshness: freshness(point.freshness),
        }
    })
}

/// `940`, `12k`, `3.4M`.
fn abbreviated(n: u64) -> String {
    match n {
        0..10_000 => grouped(n),
        10_000..1_000_000 => format!("{}k", n / 1000),
        _ => format!("{:.1}M", n as f64 / 1e6),
    }
}

fn whole(value: f64) -> String {
    grouped(value as u64)
}

/// Block characters from the lowest to the highest value; `·` where there is none.
fn spark(
    points: &[TrendPoint],
    of: impl Fn(&TrendPoint) -> Option<f64>,
    text: impl Fn(f64) -> String,
) -> Spark {
    const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let points = &points[points.len().saturating_sub(14)..];
    let values: Vec<Option<f64>> =
        points.iter().map(of).map(|v| v.filter(|v| v.is_finite())).collect();
    let known: Vec<f64> = values.iter().flatten().copied().collect();
    let (Some(first), Some(last)) = (known.first(), known.last()) else {
        return Spark::default();
    };
    let low = known.iter().copied().fold(f64::INFINITY, f64::min);
    let high = known.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let block = |value: f64| match high - low {
        range if range > f64::EPSILON => BLOCKS[((value - low) / range * 7.0).round() as usize % 8],
        _ => BLOCKS[3],
    };
    Spark {
        blocks: values.iter().map(|value| value.map_or('·', block)).collect(),
        first: text(*first),
        last: text(*last),
    }
}
