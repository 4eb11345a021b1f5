//! Statements, policies and verdicts at their edges, as a night asks for them.

use chrono::{DateTime, Duration, TimeZone, Utc};

use super::*;
use crate::model::finding::{Kind, PackageRef, Severity, Status};
use crate::model::inventory::{Package, SourcePackage};
use crate::model::pipeline::StaleFeeds;
use crate::model::source::VexDocument;
use crate::model::statement::{StatementCheck, StatementState};

const DIGEST: &str = "sha256:1111111111111111111111111111111111111111111111111111111111111111";
const CURL: &str = "pkg:deb/debian/libcurl4@7.88.1-10?arch=amd64";

fn now() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 11, 22, 0, 0, 0).unwrap()
}

fn curl() -> Finding {
    Finding {
        id: "DEBIAN-CVE-2026-1".into(),
        aliases: vec!["CVE-2026-1".into(), "GHSA-aaaa".into()],
        severity: Severity::High,
        package: Some(PackageRef {
            name: "libcurl4".into(),
            version: "7.88.1-10".into(),
            ecosystem: "Debian:12".into(),
            purl: CURL.into(),
            source: Some("curl 7.88.1-10".into()),
        }),
        ..Finding::default()
    }
}

fn django() -> Finding {
    Finding {
        id: "PYSEC-1".into(),
        aliases: vec!["CVE-2026-1".into()],
        severity: Severity::Critical,
        fixed: Some("4.2.9".into()),
        package: Some(PackageRef {
            name: "django".into(),
            version: "4.2".into(),
            ecosystem: "PyPI".into(),
            purl: "pkg:pypi/django@4.2".into(),
            source: None,
        }),
        ..Finding::default()
    }
}

fn inventory() -> Inventory {
    let package = |finding: Finding, source: Option<&str>| {
        let package = finding.package.unwrap();
        Package {
            name: package.name,
            version: package.version.clone(),
            ecosystem: package.ecosystem,
            purl: package.purl,
            source: source
                .map(|name| SourcePackage { name: name.into(), version: package.version }),
            ..Package::default()
        }
    };
    Inventory {
        packages: vec![package(curl(), Some("curl")), package(django(), None)],
        ..Inventory::default()
    }
}

/// Documents as (path, folder, statements in JSON).
fn parse(
    path: &str,
    folder: Option<&str>,
    statements: &str,
) -> (Vec<Statement>, Vec<StatementCheck>) {
    parse_vex(&VexDocument {
        path: path.into(),
        folder: folder.map(str::to_owned),
        text: format!(
            r#"{{"@context":"https://openvex.dev/ns/v0.2.0","@id":"https://example.org/v1",
            "author":"Security","timestamp":"2026-01-01T00:00:00Z","version":1,
            "statements":[{statements}]}}"#
        ),
    })
}

fn beside(statements: &str) -> Vec<Statement> {
    let (valid, invalid) = parse("os/curl/vex/a.openvex.json", Some("os/curl"), statements);
    assert!(invalid.is_empty(), "{invalid:?}");
    valid
}

fn top(statements: &str) -> Vec<Statement> {
    let (valid, invalid) = parse("vex/a.openvex.json", None, statements);
    assert!(invalid.is_empty(), "{invalid:?}");
    valid
}

struct Bench {
    findings: Vec<Finding>,
    statements: Vec<Statement>,
    policy: Policy,
    inventory: Inventory,
    freshness: Freshness,
    bases: Vec<String>,
    age_days: i64,
    now: DateTime<Utc>,
}

impl Bench {
    fn of(statements: Vec<Statement>) -> Self {
        Self {
            findings: vec![curl(), django()],
            statements,
            policy: Policy::default(),
            inventory: inventory(),
            freshness: Freshness::Fresh,
            bases: Vec::new(),
            age_days: 0,
            now: now(),
        }
    }

    fn verdict(self) -> Verdict {
        let seen = self.now - Duration::days(self.age_days);
        judge(JudgeInput {
            image: "os/curl",
            folder: "os/curl",
            tags: &["reg.example.org/hard/os/curl:8.1".to_owned()],
            digest: DIGEST,
            findings: self.findings,
            inventory: &self.inventory,
            statements: &self.statements,
            policy: &self.policy,
            freshness: self.freshness,
            first_seen: &|_| Some(seen),
            bases: &self.bases,
            unassessed: &[],
            now: self.now,
        })
    }
}

/// Status of curl's and of django's finding, and the states of the checks.
fn outcome(statements: Vec<Statement>) -> (Status, Status, Vec<StatementState>) {
    let verdict = Bench::of(statements).verdict();
    let status = |name: &str| {
        let of = |f: &&Finding| f.package.as_ref().is_some_and(|p| p.name == name);
        verdict.findings.iter().find(of).unwrap().status
    };
    let states = verdict.statements.iter().map(|check| check.state).collect();
    (status("libcurl4"), status("django"), states)
}

fn not_affected(more: &str) -> String {
    format!(
        r#"{{"vulnerability":{{"name":"CVE-2026-1"}},"status":"not_affected",
        "justification":"vulnerable_code_not_present"{more}}}"#
    )
}

fn product(id: &str, component: &str) -> String {
    not_affected(&format!(
        r#","products":[{{"@id":"{id}","subcomponents":[{{"@id":"{component}"}}]}}]"#
    ))
}

use Status::{Affected, Fixed, NotAffected, UnderInvestigation};

#[test]
fn product_and_component_must_both_fit() {
    let curl_id = "pkg:deb/debian/libcurl4@7.88.1-10";
    for (id, component, expected) in [
        ("os/curl", curl_id, NotAffected),
        ("pkg:oci/curl", curl_id, NotAffected),
        ("reg.example.org/hard/os/curl:8.1", curl_id, NotAffected),
        ("os/curl", "pkg:deb/debian/curl@7.88.1-10", NotAffected),
        ("os/wget", curl_id, Affected),
        ("reg.example.org/hard/os/curl:8.0", curl_id, Affected),
        ("os/curl", "pkg:deb/debian/libcurl4@7.88.1-9", Affected),
        ("os/curl", "pkg:deb/debian/libssl3", Affected),
        ("os/curl", "libcurl4", Affected),
    ] {
        let (curl, django, _) = outcome(top(&product(id, component)));
        assert_eq!((curl, django), (expected, Affected), "{id} {component}");
    }
}

#[test]
fn what_is_suppressed_stays_visible_with_its_reason() {
    let text = not_affected(
        r#","impact_statement":"built without it","products":["os/curl"],
        "subcomponents":["pkg:deb/debian/curl@7.88.1-10"]"#,
    );
    let verdict = Bench::of(top(&text)).verdict();
    assert_eq!(verdict.findings.len(), 2);
    assert_eq!(
        (verdict.counts.high, verdict.counts.critical, verdict.counts.suppressed),
        (0, 1, 1)
    );
    let curl = verdict.findings.iter().find(|f| !f.counts()).unwrap();
    assert_eq!(curl.statement.as_deref(), Some("vex/a.openvex.json#1"));
    assert_eq!(curl.note.as_deref(), Some("vulnerable_code_not_present: built without it"));
    assert_eq!(verdict.score.value, Some(90.0));
    assert!(verdict.released && verdict.statements.is_empty());
}

#[test]
fn ids_match_by_any_alias() {
    for (name, expected) in [
        (r#""CVE-2026-1""#, NotAffected),
        (r#""ghsa-AAAA""#, NotAffected),
        (r#"{"name":"CVE-0","aliases":["DEBIAN-CVE-2026-1"]}"#, NotAffected),
        (r#"{"@id":"https://nvd.nist.gov/vuln/detail/CVE-2026-1"}"#, NotAffected),
        (r#""CVE-2026-11""#, Affected),
    ] {
        let text = product("os/curl", "pkg:deb/debian/curl@7.88.1-10")
            .replace(r#"{"name":"CVE-2026-1"}"#, name);
        assert_eq!(outcome(top(&text)).0, expected, "{name}");
    }
}

#[test]
fn without_components_no_package_is_excused_and_that_is_said() {
    for product in ["os/curl", "os/curl:8.1"] {
        let whole = not_affected(&format!(r#","products":["{product}"]"#));
        for text in [whole.clone(), whole.replace(r#""not_affected""#, r#""fixed""#)] {
            let verdict = Bench::of(top(&text)).verdict();
            assert_eq!((verdict.counts.suppressed, verdict.score.value), (0, Some(86.0)), "{text}");
            let broad =
                verdict.statements.iter().find(|check| check.state == StatementState::Broad);
            assert_eq!(broad.unwrap().message, "names no component; it suppresses nothing");
        }
    }
    // It does not stand in the way of an earlier one that names the component.
    let exact = product("os/curl", "pkg:deb/debian/curl@7.88.1-10");
    let later = not_affected(r#","products":["os/curl"],"timestamp":"2026-03-01T00:00:00Z""#);
    let (curl, django, _) = outcome(top(&format!("{exact},{later}")));
    assert_eq!((curl, django), (NotAffected, Affected));
}

#[test]
fn a_fix_is_no_news_where_the_flaw_cannot_be_reached() {
    let text = product("os/curl", "pkg:pypi/django@4.2");
    for (justification, states) in [
        ("vulnerable_code_not_in_execute_path", vec![]),
        ("vulnerable_code_cannot_be_controlled_by_adversary", vec![]),
        ("inline_mitigations_already_exist", vec![]),
        ("vulnerable_code_not_present", vec![StatementState::Fixable]),
    ] {
        let text = text.replace("vulnerable_code_not_present", justification);
        assert_eq!(outcome(top(&text)).2, states, "{justification}");
    }
}

#[test]
fn a_component_without_a_version_is_broad_unless_one_stands_beside_it() {
    let (curl, _, states) = outcome(top(&product("os/curl", "pkg:deb/debian/curl")));
    assert_eq!((curl, states.as_slice()), (NotAffected, [StatementState::Broad].as_slice()));
    let both = not_affected(
        r#","products":[{"@id":"os/curl","subcomponents":[
        {"@id":"pkg:deb/debian/curl@7.0"},{"@id":"pkg:deb/debian/curl"}]}]"#,
    );
    let (curl, _, states) = outcome(top(&both));
    assert_eq!((curl, states.as_slice()), (Affected, [StatementState::Stale].as_slice()));
    let identifiers = not_affected(
        r#","products":[{"@id":"os/curl","subcomponents":[{"@id":"pkg:deb/debian/curl",
        "identifiers":{"purl":"pkg:deb/debian/curl@7.0","cpe23":"cpe:2.3:a:curl:curl:*"}}]}]"#,
    );
    assert_eq!(outcome(top(&identifiers)).0, Affected);
}

#[test]
fn components_belong_to_their_own_product() {
    let crossed = not_affected(
        r#","products":[
        {"@id":"os/curl","subcomponents":["pkg:pypi/django@4.2"]},
        {"@id":"os/other","subcomponents":["pkg:deb/debian/curl@7.88.1-10"]}]"#,
    );
    let (curl, django, _) = outcome(top(&crossed));
    assert_eq!((curl, django), (Affected, NotAffected));
}

#[test]
fn an_unreadable_component_is_not_the_whole_product() {
    let cpe = not_affected(
        r#","products":[{"@id":"os/curl","subcomponents":[
        {"identifiers":{"cpe23":"cpe:2.3:a:haxx:curl:7.88:*:*:*:*:*:*:*"}}]}]"#,
    );
    assert_eq!(outcome(top(&cpe)).0, Affected);
    let empty = not_affected(r#","products":[{"@id":"os/curl","subcomponents":[{}]}]"#);
    let (valid, invalid) = parse("a", None, &empty);
    assert!(valid.is_empty() && invalid.len() == 1);
}

#[test]
fn a_file_beside_an_image_speaks_of_that_one_only() {
    let own = not_affected(r#","subcomponents":["pkg:deb/debian/curl@7.88.1-10"]"#);
    let (curl, ..) = outcome(beside(&own));
    assert_eq!(curl, NotAffected);
    let (statements, _) =
        parse("os/wget/vex/a.json", Some("os/wget"), &not_affected(r#","products":["os/curl"]"#));
    let (curl, _, states) = outcome(statements.clone());
    assert_eq!((curl, states.len()), (Affected, 0));
    let subjects = [Subject { name: "os/wget", folder: "os/wget", tags: &[], digest: "" }];
    assert_eq!(unmatched(&statements, &subjects)[0].state, StatementState::Unmatched);
    let (curl, _, states) = outcome(top(&not_affected("")));
    assert_eq!((curl, states.len()), (Affected, 0));
    let checks = unmatched(&top(&not_affected("")), &subjects);
    assert!(checks[0].message.contains("beside no image"));
    let alone = [Subject { name: "alone", folder: "", tags: &[], digest: "" }];
    assert!(unmatched(&top(&not_affected("")), &alone).is_empty());
}

#[test]
fn a_package_as_the_product_is_a_component() {
    let text = not_affected(r#","products":[{"@id":"pkg:pypi/Django@4.2"}]"#);
    for statements in [beside(&text), top(&text)] {
        let (curl, django, _) = outcome(statements);
        assert_eq!((curl, django), (Affected, NotAffected));
    }
    let absent = not_affected(r#","products":[{"@id":"pkg:pypi/flask@1"}]"#);
    assert_eq!(outcome(top(&absent)), (Affected, Affected, vec![]));
    assert_eq!(outcome(beside(&absent)).2, [StatementState::Stale]);
}

#[test]
fn the_later_statement_counts() {
    let at = |day: u32, status: &str| {
        format!(
            r#"{{"vulnerability":"CVE-2026-1","products":["os/curl:8.1"],"status":"{status}",
            "subcomponents":["pkg:deb/debian/curl@7.88.1-10"],
            "impact_statement":"i","action_statement":"a","timestamp":"2026-02-{day:02}T00:00:00Z"}}"#
        )
    };
    for (first, second, expected) in [
        (at(1, "not_affected"), at(2, "affected"), Affected),
        (at(2, "affected"), at(1, "not_affected"), Affected),
        (at(1, "affected"), at(2, "not_affected"), NotAffected),
        (at(2, "fixed"), at(1, "affected"), Fixed),
        (at(1, "affected"), at(1, "not_affected"), Affected),
        (at(1, "not_affected"), at(1, "affected"), Affected),
        (at(1, "fixed"), at(2, "under_investigation"), UnderInvestigation),
    ] {
        assert_eq!(outcome(top(&format!("{first},{second}"))).0, expected, "{first} {second}");
    }
}

#[test]
fn only_two_statuses_suppress() {
    for (status, counts, score) in [
        ("not_affected", false, 90.0),
        ("fixed", false, 90.0),
        ("affected", true, 86.0),
        ("under_investigation", true, 88.0),
    ] {
        let text = product("os/curl", "pkg:deb/debian/curl@7.88.1-10")
            .replace(r#""not_affected""#, &format!(r#""{status}","action_statement":"wait""#));
        let verdict = Bench::of(top(&text)).verdict();
        assert_eq!(verdict.counts.suppressed == 0, counts, "{status}");
        assert_eq!(verdict.score.value, Some(score), "{status}");
    }
}

#[test]
fn an_expired_statement_suppresses_nothing_from_its_moment_on() {
    let text = product("os/curl", "pkg:deb/debian/curl@7.88.1-10");
    let ends = |end: &str| text.replacen('{', &format!(r#"{{"expires":"{end}","#), 1);
    for (end, expected, state) in [
        ("2026-11-21", Affected, Some(StatementState::Expired)),
        ("2026-11-22", Affected, Some(StatementState::Expired)),
        ("2026-11-22T00:00:01Z", NotAffected, Some(StatementState::Expiring)),
        ("2026-11-22T02:00:00+09:00", Affected, Some(StatementState::Expired)),
        ("2026-12-06", NotAffected, Some(StatementState::Expiring)),
        ("2026-12-07", NotAffected, None),
    ] {
        let (curl, _, states) = outcome(top(&ends(end)));
        assert_eq!((curl, states.first().copied()), (expected, state), "{end}");
    }
    let verdict = Bench::of(top(&ends("2026-11-21"))).verdict();
    let curl = verdict.findings.iter().find(|f| f.statement.is_some()).unwrap();
    let note = curl.note.as_deref().unwrap();
    assert_eq!(note, "expired on 2026-11-21: vulnerable_code_not_present");
    assert_eq!(verdict.statements[0].expires.unwrap().to_rfc3339(), "2026-11-21T00:00:00+00:00");
}

#[test]
fn an_expiry_of_the_document_holds_for_its_statements() {
    let document = VexDocument {
        path: "v".into(),
        folder: Some("os/curl".into()),
        text: format!(
            r#"{{"x-expires":"2026-11-01","timestamp":"2026-01-01T00:00:00Z","statements":[{}]}}"#,
            not_affected("")
        ),
    };
    assert_eq!(outcome(parse_vex(&document).0).0, Affected);
}

#[test]
fn an_expired_later_statement_does_not_bring_back_an_earlier_one() {
    let earlier = product("os/curl", "pkg:deb/debian/curl@7.88.1-10");
    let later =
        earlier.replacen('{', r#"{"timestamp":"2026-03-01T00:00:00Z","expires":"2026-04-01","#, 1);
    assert_eq!(outcome(top(&format!("{earlier},{later}"))).0, Affected);
}

#[test]
fn absent_by_the_statement_but_present_in_the_inventory() {
    for component in ["pkg:deb/debian/libcurl4@7.88.1-10", "pkg:deb/debian/curl@7.88.1-10"] {
        let text = product("os/curl", component)
            .replace("vulnerable_code_not_present", "component_not_present");
        let (curl, _, states) = outcome(top(&text));
        assert_eq!(
            (curl, states.as_slice()),
            (Affected, [StatementState::Contradicted].as_slice())
        );
    }
    let whole = not_affected(r#","products":["os/curl:8.1"]"#)
        .replace("vulnerable_code_not_present", "component_not_present");
    assert_eq!(outcome(top(&whole)).0, Affected);
    let other = product("os/curl", "pkg:deb/debian/curl@6.0")
        .replace("vulnerable_code_not_present", "component_not_present");
    assert_eq!(outcome(top(&other)).2, [StatementState::Stale]);
}

#[test]
fn rotten_statements_are_named() {
    let gone = product("os/curl", "pkg:deb/debian/curl@7.88.1-10").replace("CVE-2026-1", "CVE-9");
    let verdict = Bench::of(top(&gone)).verdict();
    assert_eq!(verdict.statements[0].state, StatementState::Stale);
    assert_eq!(verdict.statements[0].id, "CVE-9");
    assert_eq!(verdict.statements[0].image, "os/curl");
    let wont_fix = product("os/curl", "pkg:pypi/django@4.2")
        .replace(r#""not_affected""#, r#""affected","action_statement":"no fix yet""#);
    let verdict = Bench::of(top(&wont_fix)).verdict();
    assert_eq!(verdict.statements[0].state, StatementState::Fixable);
    assert!(verdict.statements[0].message.contains("4.2.9"));
}

#[test]
fn statements_may_accept_a_secret_or_a_check() {
    let secret = |path: &str| Finding {
        id: "aws-access-key".into(),
        kind: Kind::Secret,
        path: Some(path.into()),
        ..Finding::default()
    };
    let judged = |more: &str| {
        let text = not_affected(more).replace("CVE-2026-1", "aws-access-key");
        let mut bench = Bench::of(top(&text));
        bench.findings = vec![secret("etc/test.key"), secret("root/.aws/credentials")];
        bench.policy.max_secrets = Some(0);
        let verdict = bench.verdict();
        (verdict.counts.secrets, verdict.released, verdict.statements.len())
    };
    assert_eq!(judged(r#","products":["os/curl"]"#), (0, true, 0));
    let one = r#","products":["os/curl"],"subcomponents":["/etc/test.key"]"#;
    assert_eq!(judged(one), (1, false, 0));
    assert_eq!(judged(r#","products":["os/wget"]"#), (2, false, 0));
}

#[test]
fn bad_statements_are_reported_and_the_others_kept() {
    let good = not_affected(r#","products":["os/curl"]"#);
    for (bad, says) in [
        (r#"{"vulnerability":"CVE-1","products":["a"],"status":"not_affected"}"#, "justification"),
        (r#"{"vulnerability":"CVE-1","products":["a"],"status":"affected"}"#, "action_statement"),
        (r#"{"vulnerability":"CVE-1","products":["a"],"status":"wontfix"}"#, "wontfix"),
        (r#"{"vulnerability":"CVE-1","products":["a"]}"#, "status"),
        (r#"{"products":["a"],"status":"fixed"}"#, "vulnerability"),
        (r#"{"vulnerability":"CVE-1","products":[{}],"status":"fixed"}"#, "@id"),
        (
            r#"{"vulnerability":"CVE-1","products":["a"],"status":"fixed","timestamp":"soon"}"#,
            "soon",
        ),
        (r#"{"vulnerability":"CVE-1","products":["a"],"status":"fixed","expires":7}"#, "expires"),
        (
            r#"{"vulnerability":"CVE-1","products":["a"],"status":"not_affected","justification":"because"}"#,
            "because",
        ),
        ("7", "object"),
        ("null", "object"),
    ] {
        let (valid, invalid) = parse("v.json", None, &format!("{good},{bad},{good}"));
        assert_eq!((valid.len(), invalid.len()), (2, 1), "{bad}");
        assert_eq!(invalid[0].origin, "v.json#2");
        assert_eq!(invalid[0].state, StatementState::Invalid);
        assert!(invalid[0].message.contains(says), "{}", invalid[0].message);
        assert_eq!(valid[1].origin, "v.json#3");
    }
}

#[test]
fn rubbish_documents_are_one_honest_check() {
    let deep = "[".repeat(100_000);
    let huge = " ".repeat(5 * 1024 * 1024);
    for text in [
        "",
        "no",
        "[]",
        "7",
        "{}",
        r#"{"statements":7}"#,
        "\u{0}",
        deep.as_str(),
        huge.as_str(),
        r#"{"@context":"https://cyclonedx.org","statements":[]}"#,
    ] {
        let document = VexDocument { path: "v".into(), folder: None, text: text.into() };
        let (valid, invalid) = parse_vex(&document);
        assert_eq!((valid.len(), invalid.len()), (0, 1));
        assert_eq!(invalid[0].state, StatementState::Invalid);
    }
    let many = vec![not_affected(r#","products":["a"]"#); 10_050].join(",");
    let (valid, invalid) = parse("v", None, &many);
    assert_eq!((valid.len(), invalid.len()), (10_000, 1));
    let no_time = VexDocument {
        path: "v".into(),
        folder: Some("f".into()),
        text: format!(r#"{{"statements":[{}]}}"#, not_affected("")),
    };
    assert!(parse_vex(&no_time).1[0].message.contains("timestamp"));
}

#[test]
fn unmatched_products_and_packages() {
    let statements = top(&[
        not_affected(r#","products":["os/gone"]"#),
        not_affected(r#","products":["os/gone","os/curl"]"#),
        not_affected(r#","products":["pkg:pypi/django@4.2"]"#),
        not_affected(
            r#","products":["os/gone",{"@id":"os/curl","subcomponents":["pkg:npm/a@1"]}]"#,
        ),
    ]
    .join(","));
    let subjects = [Subject { name: "os/curl", folder: "os/curl", tags: &[], digest: "" }];
    let checks = unmatched(&statements, &subjects);
    assert_eq!(checks.len(), 1);
    assert_eq!(checks[0].origin, "vex/a.openvex.json#1");
    assert!(checks[0].message.contains("os/gone"));
}

/// The rules that hold the image.
fn held(change: impl Fn(&mut Bench)) -> Vec<String> {
    let mut bench = Bench::of(Vec::new());
    change(&mut bench);
    let verdict = bench.verdict();
    assert_eq!(verdict.released, verdict.reasons.is_empty());
    verdict.reasons.into_iter().map(|reason| reason.rule).collect()
}

#[test]
fn each_rule_of_the_policy_at_its_edge() {
    assert!(held(|_| {}).is_empty());
    assert!(held(|b| b.policy.max_critical = Some(1)).is_empty());
    assert_eq!(held(|b| b.policy.max_critical = Some(0)), ["max-critical"]);
    assert!(held(|b| b.policy.max_high = Some(1)).is_empty());
    assert_eq!(held(|b| b.policy.max_high = Some(0)), ["max-high"]);
    assert!(held(|b| b.policy.max_medium = Some(0)).is_empty());
    let kev = |b: &mut Bench| {
        b.findings[0].kev = true;
        b.policy.max_kev = Some(0);
    };
    assert_eq!(held(kev), ["max-kev"]);
    assert!(held(|b| b.policy.min_score = Some(86.0)).is_empty());
    assert_eq!(held(|b| b.policy.min_score = Some(86.1)), ["min-score"]);
    for (user, root) in [
        ("", true),
        ("root", true),
        ("0", true),
        ("0:0", true),
        ("root:app", true),
        ("00", true),
        ("1000", false),
        ("app:0", false),
    ] {
        let rules = held(|b| {
            b.policy.non_root = true;
            b.inventory.config.user = user.into();
        });
        assert_eq!(!rules.is_empty(), root, "{user}");
    }
}

#[test]
fn age_feeds_and_bases_hold_too() {
    let aged = |days: i64, most: u64| {
        held(|b| {
            b.age_days = days;
            b.policy.max_fixable_days = Some(most);
        })
    };
    assert!(aged(7, 7).is_empty());
    assert_eq!(aged(8, 7), ["max-fixable-days"]);
    let fed = |freshness, stale_feeds| {
        held(|b| {
            b.freshness = freshness;
            b.policy.stale_feeds = stale_feeds;
        })
    };
    assert!(fed(Freshness::Stale, StaleFeeds::Mark).is_empty());
    assert!(fed(Freshness::Fresh, StaleFeeds::Hold).is_empty());
    assert_eq!(fed(Freshness::Stale, StaleFeeds::Hold), ["stale-feeds"]);
    assert_eq!(fed(Freshness::Missing, StaleFeeds::Hold), ["stale-feeds"]);
    let unknown = held(|b| {
        b.freshness = Freshness::Missing;
        b.policy.min_score = Some(1.0);
    });
    assert_eq!(unknown, ["min-score"]);
    let based = |base: &str| {
        held(|b| {
            b.bases = vec!["debian:12".into(), base.into()];
            b.policy.approved_bases = vec!["debian:*".into(), "reg.example.org/**".into()];
        })
    };
    assert!(based("reg.example.org/a/b:1").is_empty());
    assert_eq!(based("evil.example.org/a:1"), ["approved-bases"]);
}

#[test]
fn a_reason_has_numbers_and_its_findings() {
    let mut bench = Bench::of(Vec::new());
    bench.findings = (0..60).map(|n| Finding { id: format!("CVE-{n}"), ..django() }).collect();
    bench.policy.max_critical = Some(2);
    let verdict = bench.verdict();
    assert_eq!(verdict.reasons[0].message, "60 critical vulnerabilities, at most 2 allowed");
    assert_eq!(verdict.reasons[0].findings.len(), 50);
    assert_eq!(verdict.score.grade, "F");
}

#[test]
fn findings_stand_worst_first() {
    let finding = |id: &str, severity, cvss, epss, kev| Finding {
        id: id.into(),
        severity,
        cvss,
        epss,
        kev,
        ..Finding::default()
    };
    let mut bench = Bench::of(Vec::new());
    bench.findings = vec![
        finding("f", Severity::Low, None, None, false),
        finding("e", Severity::High, None, Some(0.1), false),
        finding("d", Severity::High, Some(7.0), None, false),
        finding("c", Severity::High, Some(7.0), Some(0.2), false),
        finding("b", Severity::Critical, None, None, false),
        finding("a", Severity::Low, None, None, true),
    ];
    let verdict = bench.verdict();
    let ids: String = verdict.findings.iter().map(|f| f.id.as_str()).collect();
    assert_eq!(ids, "abcdef");
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

    #[test]
    fn rubbish_never_panics(text in r#"[\[\]{}":,a-z0-9@#/. ]{0,200}"#) {
        let (valid, checks) = parse("v", Some("os/curl"), &text);
        let _ = Bench::of(valid).verdict();
        proptest::prop_assert!(checks.iter().all(|check| check.state == StatementState::Invalid));
    }
}
