//! What people and machines read of a scan.

use super::*;
use crate::model::finding::{Kind, PackageRef, Severity, Status};

fn findings() -> Vec<Finding> {
    let package = PackageRef {
        name: "django".into(),
        version: "2.2".into(),
        ecosystem: "PyPI".into(),
        purl: "pkg:pypi/django@2.2".into(),
        source: None,
    };
    let low = Finding {
        id: "check.cis-4.6".into(),
        kind: Kind::Check,
        severity: Severity::Low,
        title: "has no health check (CIS 4.6)".into(),
        remedy: "add one".into(),
        ..Finding::default()
    };
    let critical = Finding {
        id: "PYSEC-2019-1".into(),
        aliases: vec!["CVE-2019-0001".into()],
        severity: Severity::Critical,
        cvss: Some(9.8),
        kev: true,
        package: Some(package.clone()),
        fixed: Some("2.2.8".into()),
        path: Some("app/lib/Django.egg-info/PKG-INFO".into()),
        layer: Some("sha256:0123456789abcdef".into()),
        title: "account takeover\u{1b}[31m".into(),
        ..Finding::default()
    };
    let suppressed = Finding {
        id: "PYSEC-2019-2".into(),
        aliases: vec!["CVE-2019-0002".into()],
        severity: Severity::High,
        package: Some(package),
        status: Status::NotAffected,
        statement: Some("vex/app.openvex.json#1".into()),
        note: Some("vulnerable_code_not_in_execute_path".into()),
        ..Finding::default()
    };
    vec![low, critical, suppressed]
}

fn with<T>(act: impl FnOnce(&Scan<'_>) -> T) -> T {
    let (feeds, findings, unassessed) =
        (FeedState::default(), findings(), vec!["npm: no feed".to_owned()]);
    act(&Scan {
        target: "registry/app:1",
        digest: "sha256:1",
        feeds: &feeds,
        findings: &findings,
        unassessed: &unassessed,
    })
}

#[test]
fn the_json_document_has_the_contracts_keys() {
    let document = with(json);
    let keys: Vec<&String> = document.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["target", "digest", "feeds", "findings", "unassessed"]);
    assert_eq!(document["findings"][1]["package"]["purl"], "pkg:pypi/django@2.2");
    assert_eq!(document["unassessed"][0], "npm: no feed");
}

#[test]
fn the_table_puts_the_worst_first_and_the_suppressed_below_with_their_reason() {
    let text = with(|scan| table(scan, 140, false));
    let at =
        |piece: &str| text.find(piece).unwrap_or_else(|| panic!("{piece} is missing:\n{text}"));
    assert!(at("CVE-2019-0001") < at("check.cis-4.6"));
    assert!(at("check.cis-4.6") < at("CVE-2019-0002"));
    at("vulnerable_code_not_in_execute_path");
    at("01234567");
    // Two tables with three rules each; rows are not ruled off from one another.
    assert_eq!(text.lines().filter(|line| line.starts_with(['─', '═'])).count(), 6, "{text}");
    let blank = |line: &str| line.chars().all(|c| " ─".contains(c)) && line.contains(' ');
    assert!(!text.lines().any(blank), "{text}");
    at("not assessed: npm: no feed");
    at(
        "vulnerabilities: 1 critical; 1 with a fix, 1 known exploited; 1 failed check; 1 suppressed",
    );
    assert!(!text.contains('\u{1b}'), "an image's text reached the terminal raw");
}

#[test]
fn the_table_repeats_nothing_and_leaves_nothing_empty() {
    let feeds = FeedState::default();
    let shown = |title: &str| {
        let mut finding = findings().remove(1);
        (finding.title, finding.remedy) = (title.into(), "upgrade django to 2.2.8".into());
        let mut check = findings().remove(0);
        check.title = "has no health check".into();
        let findings = [finding, check];
        let scan =
            Scan { target: "x", digest: "", feeds: &feeds, findings: &findings, unassessed: &[] };
        table(&scan, 160, false)
    };
    assert!(shown("django 2.2").contains("upgrade django to 2.2.8"));
    let summary = shown("django 2.2: account takeover");
    assert!(summary.contains("account takeover") && !summary.contains("django 2.2:"), "{summary}");
    let row = summary.lines().find(|line| line.contains("check.cis-4.6")).unwrap();
    assert_eq!(row.matches("check").count(), 2, "its id and its title: {row}");
}

#[test]
fn the_table_keeps_to_its_width_and_colours_only_when_asked() {
    let text = with(|scan| table(scan, 100, false));
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    assert!(with(|scan| table(scan, 100, true)).contains('\u{1b}'));
}

#[test]
fn an_empty_result_is_one_good_line() {
    let feeds = FeedState::default();
    let scan = Scan { target: "x", digest: "", feeds: &feeds, findings: &[], unassessed: &[] };
    assert_eq!(table(&scan, 80, false), "x\nno vulnerabilities\n");
    assert_eq!(sarif(&scan)["runs"][0]["results"], serde_json::json!([]));
}

#[test]
fn sarif_has_rules_levels_places_and_suppressions() {
    let log = with(sarif);
    let run = &log["runs"][0];
    assert_eq!(log["version"], "2.1.0");
    assert_eq!(run["tool"]["driver"]["rules"].as_array().unwrap().len(), 3);
    let results = run["results"].as_array().unwrap();
    for result in results {
        let rule = &run["tool"]["driver"]["rules"][result["ruleIndex"].as_u64().unwrap() as usize];
        assert_eq!(rule["id"], result["ruleId"]);
    }
    assert_eq!((&results[0]["level"], &results[1]["level"]), (&"note".into(), &"error".into()));
    let place = |n: usize| {
        results[n]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"].clone()
    };
    assert_eq!(place(0), "registry/app%3A1");
    assert_eq!(place(1), "app/lib/Django.egg-info/PKG-INFO");
    assert_eq!(results[2]["suppressions"][0]["kind"], "external");
    assert!(results[1].get("suppressions").is_none());
    assert_eq!(run["tool"]["driver"]["rules"][1]["properties"]["security-severity"], "9.8");
}
