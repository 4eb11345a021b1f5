//! The score, formula `midwatch/1`: it starts at 100 and every point taken is traced to a finding.
//!
//! 10 for a critical and 4 for a high vulnerability, 0.5 for a medium one and for one of unknown
//! severity (30 at most together), 0.25 for a low one (10 at most together), nothing for a negligible
//! one: after the penalties that third parties restate for Iron Bank's overall risk assessment; the
//! rest is our own. 10 more for one that is known to be exploited. 10 for a secret and for malware.
//! Image checks and licences take 2, 1 or 0.25 by severity, 10 at most together. What is under
//! investigation counts half, before the limits; what a statement suppresses, nothing. The value is
//! held between 0 and 100 and rounded to one decimal. Grades: A from 90, B from 80, C from 70, D from
//! 60, E from 40, else F; N/A where nothing could be assessed.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::advisory::Freshness;
use crate::model::finding::{Finding, Kind, Severity, Status};
use crate::model::inventory::Inventory;
use crate::model::verdict::{Deduction, Score};

/// Name and version of the formula.
pub const FORMULA: &str = "midwatch/1";

const MAX_NOTES: usize = 100;

/// Groups of findings with a limit in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Group {
    Free,
    Medium,
    Low,
    Checks,
}

impl Group {
    fn limit(self) -> f64 {
        match self {
            Self::Free => f64::INFINITY,
            Self::Medium => 30.0,
            Self::Low | Self::Checks => 10.0,
        }
    }
}

/// Scores findings whose status is decided.
pub(super) fn score(
    findings: &[Finding],
    inventory: &Inventory,
    freshness: Freshness,
    unassessed: &[String],
) -> Score {
    let points = deductions(findings);
    let mut notes: Vec<String> = unassessed.to_vec();
    let fatal = blind_spots(inventory, freshness, unassessed);
    let value = fatal.is_empty().then(|| value(&points));
    notes.splice(0..0, fatal);
    notes.extend(
        inventory.gaps.iter().map(|gap| format!("{} {}: {}", gap.kind, gap.path, gap.reason)),
    );
    if freshness == Freshness::Stale {
        notes.push("advisory data is older than allowed".to_owned());
    }
    let empty = inventory.packages.is_empty() && inventory.files.executables == 0;
    if empty && inventory.gaps.is_empty() {
        notes.push("no packages found: what the image holds was not looked up".to_owned());
    }
    let mut seen = BTreeSet::new();
    notes.retain(|note| seen.insert(note.clone()));
    let more = notes.len().saturating_sub(MAX_NOTES);
    notes.truncate(MAX_NOTES);
    if more > 0 {
        notes.push(format!("and {more} more"));
    }
    let grade = value.map_or("N/A", grade).to_owned();
    Score { value, grade, formula: FORMULA.to_owned(), unassessed: notes, points }
}

fn value(points: &[Deduction]) -> f64 {
    let taken: f64 = points.iter().map(|deduction| deduction.points).sum();
    ((100.0 - taken).clamp(0.0, 100.0) * 10.0).round() / 10.0
}

/// The grade of a value.
fn grade(value: f64) -> &'static str {
    match value {
        v if v >= 90.0 => "A",
        v if v >= 80.0 => "B",
        v if v >= 70.0 => "C",
        v if v >= 60.0 => "D",
        v if v >= 40.0 => "E",
        _ => "F",
    }
}

/// Points after limits; a group over its limit is scaled down as a whole.
fn deductions(findings: &[Finding]) -> Vec<Deduction> {
    let raw: Vec<(&Finding, Group, f64, f64)> = findings
        .iter()
        .filter(|finding| finding.counts())
        .map(|finding| {
            let half = if finding.status == Status::UnderInvestigation { 0.5 } else { 1.0 };
            let (group, points) = weight(finding);
            let exploited = finding.kev && finding.kind == Kind::Vulnerability;
            (finding, group, points * half, if exploited { 10.0 * half } else { 0.0 })
        })
        .collect();
    let scale = |group: Group| {
        let total: f64 = raw.iter().filter(|(_, g, ..)| *g == group).map(|(_, _, p, _)| p).sum();
        if total > group.limit() { group.limit() / total } else { 1.0 }
    };
    let (medium, low, checks) = (scale(Group::Medium), scale(Group::Low), scale(Group::Checks));
    raw.iter()
        .map(|(finding, group, points, exploited)| {
            let scale = match group {
                Group::Free => 1.0,
                Group::Medium => medium,
                Group::Low => low,
                Group::Checks => checks,
            };
            Deduction {
                finding: finding.fingerprint(),
                label: label(finding),
                points: points * scale + exploited,
            }
        })
        .filter(|deduction| deduction.points > 0.0)
        .collect()
}

fn weight(finding: &Finding) -> (Group, f64) {
    match (finding.kind, finding.severity) {
        (Kind::Secret | Kind::Malware, _) => (Group::Free, 10.0),
        (Kind::Vulnerability, Severity::Critical) => (Group::Free, 10.0),
        (Kind::Vulnerability, Severity::High) => (Group::Free, 4.0),
        (Kind::Vulnerability, Severity::Medium | Severity::Unknown) => (Group::Medium, 0.5),
        (Kind::Vulnerability, Severity::Low) => (Group::Low, 0.25),
        (Kind::Check | Kind::Licence, Severity::Critical | Severity::High) => (Group::Checks, 2.0),
        (Kind::Check | Kind::Licence, Severity::Medium | Severity::Unknown) => (Group::Checks, 1.0),
        (Kind::Check | Kind::Licence, Severity::Low) => (Group::Checks, 0.25),
        (_, Severity::Negligible) => (Group::Free, 0.0),
    }
}

fn label(finding: &Finding) -> String {
    let place = match (&finding.package, &finding.path) {
        (Some(package), _) => format!(" in {} {}", package.name, package.version),
        (None, Some(path)) => format!(" in {path}"),
        (None, None) => String::new(),
    };
    let extra = if finding.kev { ", known exploited" } else { "" };
    let half = match finding.status {
        Status::UnderInvestigation => ", under investigation: half",
        _ => "",
    };
    let kind = match finding.kind {
        Kind::Vulnerability => "",
        other => other.as_str(),
    };
    let what = [finding.severity.as_str(), kind, finding.cve()];
    let what: Vec<&str> = what.into_iter().filter(|word| !word.is_empty()).collect();
    format!("{}{place}{extra}{half}", what.join(" "))
}

/// Why there can be no value at all; unknown is never good.
fn blind_spots(inventory: &Inventory, freshness: Freshness, unassessed: &[String]) -> Vec<String> {
    let mut spots = Vec::new();
    if freshness == Freshness::Missing {
        spots.push("no advisory data was there to look anything up".to_owned());
    }
    let mut packages: BTreeMap<&str, u64> = BTreeMap::new();
    for package in &inventory.packages {
        *packages.entry(&package.ecosystem).or_default() += 1;
    }
    let unknown = |(ecosystem, there): (&&str, &u64)| not_assessed(ecosystem, unassessed) >= *there;
    if !packages.is_empty() && packages.iter().all(unknown) {
        spots.push("no advisory data covers any of its packages".to_owned());
    }
    let programs = inventory.files.executables;
    if packages.is_empty() && programs > 0 {
        let s = if programs == 1 { "" } else { "s" };
        spots.push(format!("no package was identified in {programs} executable{s}"));
    }
    if let Some(gap) = inventory.gaps.iter().find(|gap| is_system_database(&gap.kind)) {
        spots.push(format!("the operating system's packages are not known: {}", gap.path));
    }
    spots
}

/// How many packages of an ecosystem the notes leave out: `3 packages of npm: …` is three of them, a
/// note without a number all.
fn not_assessed(ecosystem: &str, unassessed: &[String]) -> u64 {
    if ecosystem.is_empty() {
        return u64::MAX;
    }
    let count = |note: &String| {
        note.split_once(' ').and_then(|(number, _)| number.parse().ok()).unwrap_or(u64::MAX)
    };
    let notes = unassessed.iter().filter(|note| names(note, ecosystem));
    notes.map(count).fold(0, u64::saturating_add)
}

fn is_system_database(kind: &str) -> bool {
    let kind = kind.to_lowercase();
    if kind.ends_with("list") {
        return false;
    }
    let mut words = kind.split(|c: char| !c.is_ascii_alphanumeric());
    words.any(|word| matches!(word, "dpkg" | "rpm" | "apk" | "pacman" | "portage"))
}

/// Whether a note speaks of this ecosystem, `Debian` not being `Debian:12`.
fn names(note: &str, ecosystem: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric();
    !ecosystem.is_empty()
        && note.match_indices(ecosystem).any(|(at, found)| {
            let mut after = note[at + found.len()..].chars();
            let joined = match after.next() {
                Some(c) if word(c) => true,
                Some(':' | '.' | '-' | '/') => after.next().is_some_and(word),
                _ => false,
            };
            !joined && !note[..at].ends_with(word)
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::inventory::{Gap, Package};
    use proptest::prelude::*;

    fn finding(kind: Kind, severity: Severity) -> Finding {
        Finding { id: format!("{kind:?}-{severity:?}"), kind, severity, ..Finding::default() }
    }

    fn many(count: usize, severity: Severity) -> Vec<Finding> {
        vec![finding(Kind::Vulnerability, severity); count]
    }

    fn scored(findings: &[Finding]) -> (f64, f64) {
        let score = score(findings, &Inventory::default(), Freshness::Fresh, &[]);
        (score.value.unwrap(), score.points.iter().map(|d| d.points).sum())
    }

    #[test]
    fn the_formula_by_its_numbers() {
        let kev = |severity| Finding { kev: true, ..finding(Kind::Vulnerability, severity) };
        let half = |severity| Finding {
            status: Status::UnderInvestigation,
            ..finding(Kind::Vulnerability, severity)
        };
        for (findings, expected) in [
            (vec![], 100.0),
            (many(1, Severity::Critical), 90.0),
            (many(2, Severity::High), 92.0),
            (many(3, Severity::Medium), 98.5),
            (many(3, Severity::Unknown), 98.5),
            (many(200, Severity::Medium), 70.0),
            ([many(50, Severity::Medium), many(50, Severity::Unknown)].concat(), 70.0),
            (many(4, Severity::Low), 99.0),
            (many(1000, Severity::Low), 90.0),
            (many(1000, Severity::Negligible), 100.0),
            (many(11, Severity::Critical), 0.0),
            (vec![kev(Severity::Critical)], 80.0),
            (vec![kev(Severity::Medium)], 89.5),
            (vec![half(Severity::Critical)], 95.0),
            (vec![half(Severity::High), half(Severity::High)], 96.0),
            (vec![half(Severity::Medium); 61], 84.8),
            (vec![finding(Kind::Secret, Severity::Low)], 90.0),
            (vec![finding(Kind::Malware, Severity::Unknown)], 90.0),
            (vec![finding(Kind::Check, Severity::High)], 98.0),
            (vec![finding(Kind::Check, Severity::Medium)], 99.0),
            (vec![finding(Kind::Check, Severity::High); 20], 90.0),
        ] {
            assert_eq!(scored(&findings).0, expected, "{} findings", findings.len());
        }
        let suppressed = |status| Finding { status, ..kev(Severity::Critical) };
        assert_eq!(scored(&[suppressed(Status::NotAffected), suppressed(Status::Fixed)]).0, 100.0);
    }

    #[test]
    fn grades_at_their_edges() {
        for (value, expected) in [
            (100.0, "A"),
            (90.0, "A"),
            (89.9, "B"),
            (80.0, "B"),
            (70.0, "C"),
            (60.0, "D"),
            (59.9, "E"),
            (40.0, "E"),
            (39.9, "F"),
            (0.0, "F"),
        ] {
            assert_eq!(grade(value), expected, "{value}");
        }
    }

    #[test]
    fn unknown_is_never_an_a() {
        let of = |ecosystems: &[&str], gaps: &[&str]| Inventory {
            packages: ecosystems
                .iter()
                .map(|e| Package { ecosystem: (*e).into(), ..Package::default() })
                .collect(),
            gaps: gaps.iter().map(|k| Gap { kind: (*k).into(), ..Gap::default() }).collect(),
            ..Inventory::default()
        };
        let grade = |inventory: &Inventory, freshness, notes: &[&str]| {
            let notes: Vec<String> = notes.iter().map(|n| (*n).to_owned()).collect();
            let score = score(&[], inventory, freshness, &notes);
            assert_eq!(score.value.is_none(), score.grade == "N/A");
            (score.grade, score.unassessed.len())
        };
        let na = |count| ("N/A".to_owned(), count);
        let a = |count| ("A".to_owned(), count);
        let debian = of(&["Debian:12"], &[]);
        assert_eq!(grade(&debian, Freshness::Fresh, &[]), a(0));
        assert_eq!(grade(&debian, Freshness::Stale, &[]), a(1));
        assert_eq!(grade(&debian, Freshness::Missing, &[]), na(1));
        assert_eq!(grade(&debian, Freshness::Fresh, &["Debian:12: no advisories"]), na(2));
        assert_eq!(grade(&debian, Freshness::Fresh, &["no data for Debian:11 (3)"]), a(1));
        assert_eq!(grade(&of(&["Debian"], &[]), Freshness::Fresh, &["Debian:12: none"]), a(1));
        let mixed = of(&["Debian:12", "npm"], &[]);
        assert_eq!(grade(&mixed, Freshness::Fresh, &["npm: no feed covers it"]), a(1));
        assert_eq!(grade(&of(&["npm"], &[]), Freshness::Fresh, &["1 package of npm: none"]), na(2));
        let two = of(&["npm", "npm"], &[]);
        assert_eq!(grade(&two, Freshness::Fresh, &["1 package of npm: no version"]), a(1));
        assert_eq!(grade(&of(&[""], &[]), Freshness::Fresh, &[]), na(1));
        assert_eq!(grade(&of(&["PyPI"], &["dpkg file list"]), Freshness::Fresh, &[]), a(1));
        assert_eq!(grade(&of(&["PyPI"], &["dpkg status"]), Freshness::Fresh, &[]), na(2));
        assert_eq!(grade(&of(&["PyPI"], &["rpm database"]), Freshness::Fresh, &[]), na(2));
        assert_eq!(grade(&of(&["PyPI"], &["layer"]), Freshness::Fresh, &[]), a(1));
        assert_eq!(grade(&of(&[], &[]), Freshness::Fresh, &[]), a(1));
    }

    #[test]
    fn executables_of_no_package_are_no_clean_image() {
        let mut inventory = Inventory::default();
        for (executables, note) in [
            (1, "no package was identified in 1 executable"),
            (3, "no package was identified in 3 executables"),
        ] {
            inventory.files.executables = executables;
            let score = score(&[], &inventory, Freshness::Fresh, &[]);
            assert_eq!((score.value, score.grade.as_str()), (None, "N/A"));
            assert_eq!(score.unassessed, [note]);
        }
        inventory.packages.push(Package { ecosystem: "npm".into(), ..Package::default() });
        assert_eq!(score(&[], &inventory, Freshness::Fresh, &[]).value, Some(100.0));
    }

    fn any_finding() -> impl Strategy<Value = Finding> {
        let kind = prop_oneof![
            4 => Just(Kind::Vulnerability),
            1 => Just(Kind::Secret),
            1 => Just(Kind::Check),
            1 => Just(Kind::Licence),
        ];
        let severity = prop_oneof![
            Just(Severity::Negligible),
            Just(Severity::Low),
            Just(Severity::Unknown),
            Just(Severity::Medium),
            Just(Severity::High),
            Just(Severity::Critical),
        ];
        let status = prop_oneof![
            Just(Status::Affected),
            Just(Status::NotAffected),
            Just(Status::Fixed),
            Just(Status::UnderInvestigation),
        ];
        (kind, severity, status, any::<bool>()).prop_map(|(kind, severity, status, kev)| Finding {
            kev,
            status,
            ..finding(kind, severity)
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn every_point_is_traced(findings in proptest::collection::vec(any_finding(), 0..150)) {
            let (value, taken) = scored(&findings);
            prop_assert!((0.0..=100.0).contains(&value));
            let expected = (100.0 - taken).clamp(0.0, 100.0);
            prop_assert!((value - expected).abs() <= 0.05 + 1e-9, "{value} {expected}");
        }

        #[test]
        fn another_finding_never_helps(
            findings in proptest::collection::vec(any_finding(), 0..50),
            more in any_finding(),
        ) {
            let before = scored(&findings).0;
            let after = scored(&[findings, vec![more]].concat()).0;
            prop_assert!(after <= before);
        }
    }
}
