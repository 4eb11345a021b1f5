//! A night on the terminal: the table after `run`, and the whole report.

use comfy_table::{
    Attribute, Cell, CellAlignment, Color, ColumnConstraint, ContentArrangement, Table, presets,
};

use super::action::{self, Action};
use super::clean::{clip, wrap};
use super::template::grouped;
use super::verdict::{self, Verdict};
use super::{view, words};
use crate::model::advisory::Freshness;
use crate::model::finding::{Counts, Severity};
use crate::model::night::{ImageResult, Night, NightReport, Outcome};
use crate::model::report::{Change, Report};
use crate::model::statement::StatementCheck;

/// Most rows of the tables below the images.
const ROWS: usize = 15;

/// The table of a night's images and the completeness line, for after `run`.
pub fn night_table(report: &NightReport, width: usize, colour: bool) -> String {
    let images: Vec<&ImageResult> = report.images.iter().collect();
    let table = images_table(&images, width, colour);
    format!("{table}\n{}{}\n", reasons(&images, width), sums(&report.night))
}

/// Why an image is neither released nor reused, a paragraph each below the table.
fn reasons(images: &[&ImageResult], width: usize) -> String {
    let good = |image: &ImageResult| matches!(image.outcome, Outcome::Released | Outcome::Reused);
    let bad = images.iter().filter(|image| !good(image));
    let lines = bad.map(|image| {
        let outcome = image.outcome.as_str();
        wrap(&format!("{outcome:<8} {}: {}", clip(&image.name, 100), why(image)), width)
    });
    let text: String = lines.collect();
    if text.is_empty() { text } else { format!("{text}\n") }
}

/// The whole report for a terminal of `width` columns.
pub fn terminal(report: &Report, width: usize, colour: bool) -> String {
    let width = width.clamp(60, 200);
    let mut out = String::new();
    let mut say = |text: &str| out.push_str(&wrap(text, width));
    say(&headline(report));
    say(&sums(&report.night));
    say(&facts(report));
    for note in &report.notes {
        say(&format!("! {}", clip(note, 400)));
    }
    let images: Vec<&ImageResult> = report.images.iter().map(|image| &image.result).collect();
    out.push_str(&format!("\n{}\n", images_table(&images, width, colour)));
    out.push_str(&reasons(&images, width));
    section(&mut out, "Needs you", &action::actions(report), width, |action| sentence(action));
    if !report.baseline && !verdict::stopped(report) {
        section(&mut out, "New since the last night", &report.new, width, |c| {
            changed(c, "fixed in")
        });
        section(&mut out, "Fixed", &report.fixed, width, |c| changed(c, "was fixed in"));
    }
    section(&mut out, "Statements", &report.statements, width, statement);
    out
}

fn headline(report: &Report) -> String {
    let word = match verdict::verdict(report) {
        Verdict::Pass => "PASS",
        Verdict::Held => "HELD",
        Verdict::Fail => "FAIL",
        Verdict::Incomplete => "INCOMPLETE",
        Verdict::Error => "ERROR",
    };
    let night = &report.night;
    let mut line = format!("{word}  {} · night {}", clip(&night.pipeline, 60), clip(&night.id, 60));
    if let Some(score) = report.score {
        line.push_str(&format!(" · score {score:.1}"));
    }
    if let Some(delta) = report.score_delta {
        line.push_str(&format!(" ({})", words::signed(delta)));
    }
    if report.baseline && !verdict::stopped(report) {
        line.push_str(" · first night: baseline");
    }
    if let Some(error) = &night.error {
        let nothing = if verdict::stopped(report) { "; nothing was built or judged" } else { "" };
        line.push_str(&format!("\n{}{nothing}", clip(error, 1000)));
    }
    if report.policy.is_empty() {
        line.push_str("\nno policy rule is set");
    }
    line
}

/// `planned 12 = 7 released + 1 held + 2 failed + 1 blocked + 1 reused + 0 skipped`.
fn sums(night: &Night) -> String {
    let sign = if night.complete() { "=" } else { "≠" };
    let tail = if night.complete() { "" } else { " (not complete)" };
    format!(
        "planned {} {sign} {} released + {} held + {} failed + {} blocked + {} reused + {} skipped{tail}",
        grouped(night.planned),
        grouped(night.released),
        grouped(night.held),
        grouped(night.failed),
        grouped(night.blocked),
        grouped(night.reused),
        grouped(night.skipped),
    )
}

fn facts(report: &Report) -> String {
    let feeds = &report.night.feeds;
    let age = match (feeds.freshness, feeds.oldest_hours) {
        (Freshness::Missing, _) => "advisory data MISSING: nothing was matched".to_owned(),
        (state, Some(hours)) => {
            format!("advisory data {}, oldest source {hours} h", words::freshness(state))
        }
        (state, None) => format!("advisory data {}", words::freshness(state)),
    };
    let took = report.night.ended.map_or_else(String::new, |ended| {
        let ms = (ended - report.night.started).num_milliseconds().max(0) as u64;
        format!(" · took {}", words::took(ms))
    });
    format!("{age}{took}")
}

fn images_table(images: &[&ImageResult], width: usize, colour: bool) -> Table {
    let mut table = Table::new();
    table
        .load_preset(presets::UTF8_BORDERS_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(u16::try_from(width).unwrap_or(u16::MAX))
        .force_no_tty();
    if colour {
        table.enforce_styling();
    }
    let heads = ["Image", "Outcome", "Score", "C", "H", "M", "L", "Other", "Took"];
    table.set_header(heads.map(|head| Cell::new(head).add_attribute(Attribute::Bold)));
    for image in images {
        table.add_row(image_row(image));
    }
    // Names, outcomes, scores and times stay whole; the other counts are what wraps.
    let longest = images.iter().map(|image| clip(&image.name, 100).chars().count()).max();
    let whole: &[usize] =
        if longest.unwrap_or(0) * 5 <= width * 2 { &[0, 1, 2, 8] } else { &[1, 2, 8] };
    for at in whole {
        if let Some(column) = table.column_mut(*at) {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    for at in [2, 3, 4, 5, 6, 8] {
        if let Some(column) = table.column_mut(at) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

fn image_row(image: &ImageResult) -> Vec<Cell> {
    let judged = image.grade.is_some();
    let number = |n: u64, severity: Severity| {
        let text = if judged { grouped(n) } else { String::new() };
        let cell = Cell::new(text);
        match severity {
            Severity::Critical if n > 0 => cell.fg(Color::Red).add_attribute(Attribute::Bold),
            Severity::High if n > 0 => cell.fg(Color::Red),
            _ => cell,
        }
    };
    let counts = &image.counts;
    let score = match (image.score, image.grade.as_deref()) {
        (Some(score), grade) => format!("{score:.1} {}", clip(grade.unwrap_or(""), 3)),
        (None, Some(grade)) => clip(grade, 5),
        (None, None) => String::new(),
    };
    let outcome = Cell::new(image.outcome.as_str()).fg(colour_of(image.outcome));
    vec![
        Cell::new(clip(&image.name, 100)),
        outcome,
        Cell::new(score),
        number(counts.critical, Severity::Critical),
        number(counts.high, Severity::High),
        number(counts.medium, Severity::Medium),
        number(counts.low, Severity::Low),
        Cell::new(if judged { others(counts) } else { String::new() }),
        Cell::new(words::took(image.took_ms)),
    ]
}

fn others(counts: &Counts) -> String {
    let parts = [
        (counts.kev, "KEV"),
        (counts.secrets, if counts.secrets == 1 { "secret" } else { "secrets" }),
        (counts.checks, if counts.checks == 1 { "check" } else { "checks" }),
        (counts.unknown + counts.negligible, "unrated"),
        (counts.suppressed, "justified"),
    ];
    let shown: Vec<String> = parts
        .iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, word)| format!("{} {word}", grouped(*n)))
        .collect();
    shown.join(", ")
}

fn why(image: &ImageResult) -> String {
    let text = view::why(image);
    match image.stage.as_deref().filter(|_| image.outcome == Outcome::Failed) {
        Some(stage) => clip(&format!("{stage}: {text}"), 400),
        None => clip(&text, 400),
    }
}

fn colour_of(outcome: Outcome) -> Color {
    match outcome {
        Outcome::Released | Outcome::Reused => Color::Green,
        Outcome::Held => Color::Yellow,
        Outcome::Failed => Color::Red,
        Outcome::Blocked => Color::Magenta,
        Outcome::Skipped => Color::DarkGrey,
    }
}

fn section<T>(
    out: &mut String,
    title: &str,
    rows: &[T],
    width: usize,
    line: impl Fn(&T) -> String,
) {
    if rows.is_empty() {
        return;
    }
    out.push_str(&format!("\n{title} ({})\n", grouped(rows.len() as u64)));
    for row in rows.iter().take(ROWS) {
        out.push_str(&wrap(&format!("  - {}", line(row)), width));
    }
    if rows.len() > ROWS {
        out.push_str(&format!("    and {} more\n", grouped((rows.len() - ROWS) as u64)));
    }
}

fn sentence(action: &Action<'_>) -> String {
    match action {
        Action::Repair { image, unblocks } => {
            let name = clip(&image.result.name, 100);
            let more = match unblocks {
                0 => String::new(),
                1 => ", which unblocks 1 image".into(),
                n => format!(", which unblocks {} images", grouped(*n)),
            };
            let class = action::class(&image.result);
            format!("mend {name}{more} [{class}] {}", clip(&view::why(&image.result), 200))
        }
        Action::Hold { image } => {
            let class = action::class(&image.result);
            let name = clip(&image.result.name, 100);
            format!("held: {name} [{class}] {}", view::must_change(&image.result, 200))
        }
        Action::Secret { image, secrets } => {
            let paths: Vec<String> = secrets
                .iter()
                .take(3)
                .map(|finding| clip(finding.path.as_deref().unwrap_or(&finding.id), 80))
                .collect();
            format!("remove and rotate in {}: {}", clip(&image.result.name, 100), paths.join(", "))
        }
        Action::Upgrade(upgrade) => format!(
            "upgrade {} to {}: closes {} in {}, worst {}{}",
            clip(upgrade.package, 80),
            clip(upgrade.to, 60),
            plural(upgrade.closes, "finding"),
            plural(upgrade.images.len() as u64, "image"),
            upgrade.worst.severity,
            if upgrade.worst.kev { ", known exploited" } else { "" },
        ),
    }
}

fn plural(n: u64, noun: &str) -> String {
    format!("{} {noun}{}", grouped(n), if n == 1 { "" } else { "s" })
}

fn changed(change: &Change, fixed_in: &str) -> String {
    let finding = &change.finding;
    let package = finding.package.as_ref().map_or_else(String::new, |package| {
        format!(" {} {}", clip(&package.name, 80), clip(&package.version, 60))
    });
    let fixed = match (&change.now, &finding.fixed) {
        (Some(now), _) => format!(" → {}", clip(now, 60)),
        (None, Some(fixed)) => format!(", {fixed_in} {}", clip(fixed, 60)),
        (None, None) => String::new(),
    };
    let note = finding.note.as_deref().map_or_else(String::new, |n| format!("; {}", clip(n, 160)));
    let kev = if finding.kev { " KEV" } else { "" };
    format!(
        "{}{kev} {}{package}{fixed} in {}{note}",
        finding.severity,
        clip(finding.cve(), 60),
        plural(change.images.len() as u64, "image"),
    )
}

fn statement(check: &StatementCheck) -> String {
    let image =
        if check.image.is_empty() { "no image".to_owned() } else { clip(&check.image, 100) };
    format!(
        "{} for {image}: {} ({})",
        clip(&check.id, 60),
        clip(&check.message, 300),
        clip(&check.origin, 120)
    )
}
