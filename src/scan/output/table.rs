//! Findings as a table for people: worst first, suppressed ones below, one line that sums up.

use std::cmp::Reverse;

use comfy_table::{Attribute, Cell, Color, ContentArrangement, Table, TableComponent, presets};

use super::{Scan, plain};
use crate::model::finding::{Counts, Finding, Severity};

/// A table at most `width` columns wide; `colour` allows ANSI colours.
pub fn table(scan: &Scan<'_>, width: u16, colour: bool) -> String {
    let (mut open, suppressed): (Vec<&Finding>, Vec<&Finding>) =
        scan.findings.iter().partition(|finding| finding.counts());
    open.sort_by_key(|finding| {
        (Reverse(finding.severity), Reverse(finding.kev), finding.id.clone())
    });
    let mut text = format!("{}\n", plain(scan.target));
    if !open.is_empty() {
        text.push_str(&findings(&open, width, colour));
        text.push('\n');
    }
    if !suppressed.is_empty() {
        text.push_str("\nDo not count, by statement:\n");
        text.push_str(&statements(&suppressed, width, colour));
        text.push('\n');
    }
    for gap in scan.unassessed {
        text.push_str(&format!("not assessed: {}\n", plain(gap)));
    }
    text.push_str(&summary(&Counts::of(scan.findings)));
    text.push('\n');
    text
}

fn frame(width: u16, colour: bool, header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_HORIZONTAL_ONLY).remove_style(TableComponent::HorizontalLines);
    table.remove_style(TableComponent::MiddleIntersections);
    table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width.max(60));
    match colour {
        true => table.enforce_styling(),
        false => table.force_no_tty(),
    };
    table.set_header(header.iter().copied());
    table
}

fn findings(open: &[&Finding], width: u16, colour: bool) -> String {
    let header = ["Severity", "ID", "Package", "Installed", "Fixed in", "Layer", "What"];
    let mut table = frame(width, colour, &header);
    for finding in open {
        let package = finding.package.as_ref();
        table.add_row(vec![
            severity(finding, colour),
            Cell::new(plain(finding.cve())),
            Cell::new(package.map_or(String::new(), |p| plain(&p.name))),
            Cell::new(package.map_or(String::new(), |p| plain(&p.version))),
            Cell::new(finding.fixed.as_deref().map_or(String::new(), plain)),
            Cell::new(short(finding.layer.as_deref().unwrap_or_default())),
            Cell::new(cut(&plain(what(finding)))),
        ]);
    }
    table.to_string()
}

fn statements(suppressed: &[&Finding], width: u16, colour: bool) -> String {
    let mut table = frame(width, colour, &["ID", "Package", "Status", "Why", "Statement"]);
    for finding in suppressed {
        let package = finding.package.as_ref();
        table.add_row(vec![
            plain(finding.cve()),
            package.map_or(String::new(), |p| plain(&format!("{} {}", p.name, p.version))),
            finding.status.as_str().to_owned(),
            plain(finding.note.as_deref().unwrap_or_default()),
            plain(finding.statement.as_deref().unwrap_or_default()),
        ]);
    }
    table.to_string()
}

fn severity(finding: &Finding, colour: bool) -> Cell {
    let text = format!("{}{}", finding.severity, if finding.kev { " KEV" } else { "" });
    let cell = Cell::new(text);
    match (colour, finding.severity) {
        (false, _) => cell,
        (_, Severity::Critical) => cell.fg(Color::Red).add_attribute(Attribute::Bold),
        (_, Severity::High) => cell.fg(Color::Red),
        (_, Severity::Medium) => cell.fg(Color::Yellow),
        (_, Severity::Unknown) => cell.fg(Color::Magenta),
        (_, Severity::Low | Severity::Negligible) => cell.fg(Color::DarkGrey),
    }
}

/// `3 critical, 1 high; 2 with a fix, 1 known exploited; 1 secret; 4 failed checks; 2 suppressed`.
fn summary(counts: &Counts) -> String {
    let severities = [
        (counts.critical, "critical"),
        (counts.high, "high"),
        (counts.medium, "medium"),
        (counts.low, "low"),
        (counts.unknown, "unknown"),
        (counts.negligible, "negligible"),
    ];
    let named = |list: &[(u64, &str)]| {
        let there = list.iter().filter(|(count, _)| *count > 0);
        there.map(|(count, name)| format!("{count} {name}")).collect::<Vec<_>>().join(", ")
    };
    let plural =
        |count, one: &'static str, many: &'static str| (count, if count == 1 { one } else { many });
    let vulnerabilities = match named(&severities) {
        none if none.is_empty() => "no vulnerabilities".to_owned(),
        some => format!("vulnerabilities: {some}"),
    };
    let parts = [
        vulnerabilities,
        named(&[(counts.fixable, "with a fix"), (counts.kev, "known exploited")]),
        named(&[plural(counts.secrets, "secret", "secrets")]),
        named(&[plural(counts.checks, "failed check", "failed checks")]),
        named(&[(counts.suppressed, "suppressed")]),
    ];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ")
}

fn short(digest: &str) -> String {
    plain(digest.rsplit(':').next().unwrap_or_default()).chars().take(8).collect()
}

/// The title without the package and version that stand in columns of their own; what to do where
/// the advisory says no more than these.
fn what(finding: &Finding) -> &str {
    let Some(package) = &finding.package else { return &finding.title };
    let named = format!("{} {}", package.name, package.version);
    let rest = finding.title.strip_prefix(&named).unwrap_or(&finding.title);
    match rest.trim_start_matches([':', ' ']) {
        "" => &finding.remedy,
        rest => rest,
    }
}

fn cut(title: &str) -> String {
    match title.chars().count() {
        n if n <= 120 => title.to_owned(),
        _ => title.chars().take(119).chain(std::iter::once('…')).collect(),
    }
}
