//! EPSS scores (csv of `cve,epss,percentile`, after a comment with the day they are for).

use chrono::{DateTime, NaiveDate, Utc};

/// A day's scores.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scores {
    /// (CVE, probability 0.0 to 1.0).
    pub rows: Vec<(String, f64)>,
    /// `score_date`.
    pub day: Option<DateTime<Utc>>,
    /// Rows without a usable score.
    pub damaged: u64,
}

/// Whether a file begins as EPSS files do.
pub(super) fn is_epss(content: &[u8]) -> bool {
    content.starts_with(b"#model_version") || content.starts_with(b"cve,epss")
}

/// Reads the scores.
pub(super) fn scores(content: &[u8]) -> Scores {
    let end = content.iter().position(|byte| *byte == b'\n').unwrap_or(content.len());
    let comment = String::from_utf8_lossy(&content[..end]);
    let mut scores = Scores { day: day(&comment), ..Scores::default() };
    let mut reader =
        csv::ReaderBuilder::new().comment(Some(b'#')).flexible(true).from_reader(content);
    for row in reader.records() {
        match row.ok().as_ref().and_then(score) {
            Some(row) => scores.rows.push(row),
            None => scores.damaged += 1,
        }
    }
    scores
}

fn score(row: &csv::StringRecord) -> Option<(String, f64)> {
    let cve = row.get(0)?.trim();
    let score: f64 = row.get(1)?.trim().parse().ok()?;
    (cve.starts_with("CVE-") && (0.0..=1.0).contains(&score)).then(|| (cve.to_owned(), score))
}

/// `score_date:2025-03-14T00:00:00+0000`, with and without a zone or a time.
fn day(comment: &str) -> Option<DateTime<Utc>> {
    let text = comment.split("score_date:").nth(1)?.split(',').next()?.trim();
    let day = NaiveDate::parse_from_str(text.get(..10)?, "%Y-%m-%d").ok()?;
    Some(day.and_hms_opt(0, 0, 0)?.and_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_scores_and_their_day_and_counts_what_is_none() {
        let text = "#model_version:v2025.03.14,score_date:2026-11-21T00:00:00+0000\n\
            cve,epss,percentile\nCVE-2024-1,0.94432,0.999\nCVE-2024-2,1.5,0.1\nnonsense\nCVE-2024-3,0.00042,0.05\n";
        assert!(is_epss(text.as_bytes()));
        let scores = scores(text.as_bytes());
        let expected = [("CVE-2024-1".to_owned(), 0.94432), ("CVE-2024-3".to_owned(), 0.00042)];
        assert_eq!(scores.rows, expected);
        assert_eq!(scores.damaged, 2);
        assert_eq!(scores.day.unwrap().to_rfc3339(), "2026-11-21T00:00:00+00:00");
    }
}
