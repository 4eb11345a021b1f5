//! Figures, times and states as words.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use super::clean::clip;
use super::template::grouped;
use crate::model::advisory::Freshness;
use crate::model::finding::Severity;
use crate::model::night::{ImageResult, Outcome};
use crate::model::report::Report;
use crate::model::statement::StatementState;

pub(super) fn local_date(at: DateTime<Utc>, zone: Tz) -> String {
    at.with_timezone(&zone).format("%Y-%m-%d").to_string()
}

/// `00:00–00:41 Asia/Tokyo, 41 min`.
pub(super) fn times(report: &Report, zone: Tz) -> String {
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

pub(super) fn hours(hours: i64) -> String {
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

pub(super) fn severity_colour(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "#8c1d40",
        Severity::High => "#b03a10",
        Severity::Medium => "#8a5a00",
        Severity::Low => "#3a5f85",
        Severity::Unknown | Severity::Negligible => "#59636e",
    }
}

pub(super) fn outcome_colour(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Released | Outcome::Reused => "#1b7245",
        Outcome::Held => "#8a5a00",
        Outcome::Failed => "#a8261c",
        Outcome::Blocked => "#7a3b69",
        Outcome::Skipped => "#59636e",
    }
}

pub(super) fn state(state: StatementState) -> &'static str {
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

pub(super) fn state_colour(state: StatementState) -> &'static str {
    match state {
        StatementState::Invalid | StatementState::Expired | StatementState::Contradicted => {
            "#a8261c"
        }
        StatementState::Expiring | StatementState::Fixable => "#8a5a00",
        StatementState::Stale | StatementState::Unmatched | StatementState::Broad => "#59636e",
    }
}

/// `a`, `a and b`, `a, b and 7 more`.
pub(super) fn listed<'a>(names: impl IntoIterator<Item = &'a str>, most: usize) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    let shown: Vec<String> = names.iter().take(most).map(|name| clip(name, 70)).collect();
    match (shown.len(), names.len() - shown.len()) {
        (_, rest) if rest > 0 => format!("{} and {} more", shown.join(", "), grouped(rest as u64)),
        (2, _) => shown.join(" and "),
        _ => shown.join(", "),
    }
}

pub(super) fn owners(result: &ImageResult) -> String {
    listed(result.owners.iter().map(String::as_str), 2)
}

pub(super) fn percent(probability: f64) -> String {
    format!("{:.0} %", (probability * 100.0).clamp(0.0, 100.0))
}

/// `940`, `12k`, `3.4M`.
pub(super) fn abbreviated(n: u64) -> String {
    match n {
        0..10_000 => grouped(n),
        10_000..1_000_000 => format!("{}k", n / 1000),
        _ => format!("{:.1}M", n as f64 / 1e6),
    }
}

pub(super) fn whole(value: f64) -> String {
    grouped(value as u64)
}
