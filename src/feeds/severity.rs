//! Severities as the databases write them: words, priorities, urgencies, CVSS vectors.

use std::str::FromStr;

use crate::model::finding::Severity;

/// GitHub's, Ubuntu's, Bitnami's and Debian's words; `None` for `untriaged`, `not yet assigned` and
/// everything else that says nothing.
pub fn word(text: &str) -> Option<Severity> {
    match text.trim().trim_end_matches('*').to_ascii_lowercase().as_str() {
        "critical" => Some(Severity::Critical),
        "high" | "important" => Some(Severity::High),
        "medium" | "moderate" => Some(Severity::Medium),
        "low" => Some(Severity::Low),
        "negligible" | "unimportant" | "none" => Some(Severity::Negligible),
        _ => None,
    }
}

/// AlmaLinux writes the severity only in front of the summary: `Important: kernel update`.
pub fn prefix(summary: &str) -> Option<Severity> {
    word(summary.split_once(':')?.0)
}

/// The base score of a CVSS vector (v2 to v4), 0.0 to 10.0.
pub fn score(vector: &str) -> Option<f64> {
    // The parser wants a prefix; v2 vectors have none and may stand in brackets.
    let vector = vector.trim().trim_start_matches('(').trim_end_matches(')');
    let score = cvss::Cvss::from_str(vector).ok()?.score();
    (0.0..=10.0).contains(&score).then_some(score)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_all_databases() {
        for (text, severity) in [
            ("MODERATE", Some(Severity::Medium)),
            ("Important", Some(Severity::High)),
            ("unimportant", Some(Severity::Negligible)),
            ("low**", Some(Severity::Low)),
            ("not yet assigned", None),
            ("untriaged", None),
        ] {
            assert_eq!(word(text), severity, "{text}");
        }
        assert_eq!(prefix("Important: kernel security update"), Some(Severity::High));
        assert_eq!(prefix("kernel: fix for x"), None);
    }

    #[test]
    fn vectors_of_all_versions() {
        assert_eq!(score("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"), Some(9.8));
        assert_eq!(score("CVSS:3.0/AV:L/AC:L/PR:L/UI:N/S:U/C:N/I:N/A:H"), Some(5.5));
        assert_eq!(score("AV:N/AC:L/Au:N/C:P/I:P/A:P"), Some(7.5));
        let four = "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N";
        assert_eq!(score(four), Some(9.3));
        assert_eq!(score("CVSS:3.1/AV:X"), None);
        assert_eq!(score("7.5"), None);
    }
}
