//! A report as the templates want it: every number summed, every text clipped, every table capped.

mod rows;
mod trend;

use serde::Serialize;

use super::RenderMeta;
use super::clean::clip;
use super::verdict::{Verdict, is_good, quiet, stopped, verdict};
use super::words::{freshness, hours, local_date, signed, state, state_colour, times, whole};
use crate::model::advisory::Freshness;
use crate::model::finding::Counts;
use crate::model::plan::short;
use crate::model::report::{Audience, ImageReport, Report};
use rows::{actions, changes, failure, images, justified, texts, unassessed, worst_outcome_first};
pub(super) use rows::{must_change, why};
use trend::{nights, spark};

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
            trend: nights(report),
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
