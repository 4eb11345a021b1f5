//! Matching rules, one test for each trap that is known for these ecosystems.

use std::collections::BTreeMap;

use super::range::affected;
use super::{Matches, vulnerabilities};
use crate::model::advisory::{Advisories, Advisory, Enrichment, RangeEvent, VersionRange};
use crate::model::finding::{Finding, Kind, Severity};
use crate::model::inventory::{Inventory, Package, SourcePackage};
use crate::scan::version::Scheme;

use RangeEvent::{Fixed, Introduced, LastAffected, Limit};

#[derive(Default)]
struct Memory {
    advisories: Vec<(String, Advisory)>,
    enrichments: BTreeMap<String, Enrichment>,
}

impl Advisories for Memory {
    fn of(&self, ecosystem: &str, name: &str) -> Vec<Advisory> {
        let wanted = |(package, advisory): &&(String, Advisory)| {
            advisory.ecosystem == ecosystem && package == name
        };
        self.advisories.iter().filter(wanted).map(|(_, advisory)| advisory.clone()).collect()
    }

    fn covers(&self, ecosystem: &str) -> bool {
        self.advisories.iter().any(|(_, advisory)| advisory.ecosystem == ecosystem)
    }

    fn enrich(&self, id: &str) -> Enrichment {
        self.enrichments.get(id).copied().unwrap_or_default()
    }
}

fn event(text: &str) -> RangeEvent {
    let (kind, version) = text.split_once(' ').unwrap();
    match kind {
        "+" => Introduced(version.into()),
        "-" => Fixed(version.into()),
        "last" => LastAffected(version.into()),
        "limit" => Limit(version.into()),
        other => panic!("{other}"),
    }
}

fn range(events: &[&str]) -> VersionRange {
    VersionRange { semver: false, events: events.iter().map(|text| event(text)).collect() }
}

fn advisory(id: &str, aliases: &[&str], ecosystem: &str, events: &[&str]) -> Advisory {
    Advisory {
        id: id.into(),
        aliases: aliases.iter().map(|alias| (*alias).into()).collect(),
        ecosystem: ecosystem.into(),
        ranges: vec![range(events)],
        ..Advisory::default()
    }
}

fn feeds(advisories: &[(&str, Advisory)]) -> Memory {
    let advisories = advisories.iter().map(|(name, a)| ((*name).to_owned(), a.clone())).collect();
    Memory { advisories, ..Memory::default() }
}

fn package(ecosystem: &str, name: &str, version: &str) -> Package {
    Package {
        name: name.into(),
        version: version.into(),
        ecosystem: ecosystem.into(),
        path: format!("lib/{name}"),
        layer: "sha256:1".into(),
        ..Package::default()
    }
}

fn binary(name: &str, version: &str, source: (&str, &str)) -> Package {
    let source = SourcePackage { name: source.0.into(), version: source.1.into() };
    let path = "var/lib/dpkg/status".into();
    Package { source: Some(source), path, ..package("Debian:12", name, version) }
}

fn matched(packages: Vec<Package>, feeds: &Memory) -> Matches {
    vulnerabilities(&Inventory { packages, ..Inventory::default() }, feeds)
}

fn ids(matches: &Matches) -> Vec<&str> {
    matches.findings.iter().map(|finding| finding.id.as_str()).collect()
}

fn one(matches: Matches) -> Finding {
    assert_eq!(matches.findings.len(), 1, "{matches:?}");
    matches.findings.into_iter().next().unwrap()
}

#[test]
fn ranges_are_evaluated_as_the_schema_says() {
    // Events, version, the fix where it is affected.
    let fixed = |version: &'static str| Some(Some(version));
    let none = Some(None);
    #[allow(clippy::type_complexity)]
    let table: [(&[&str], &str, Option<Option<&str>>); 22] = [
        (&["+ 0"], "1.0", none),
        (&["+ 0", "- 1.0"], "0.9", fixed("1.0")),
        (&["+ 0", "- 1.0"], "1.0", None),
        (&["- 1.0", "+ 0"], "0.9", fixed("1.0")),
        (&["+ 1.0", "- 2.0"], "0.9", None),
        (&["+ 1.0", "- 2.0"], "1.0", fixed("2.0")),
        (&["+ 1.0", "last 2.0"], "2.0", none),
        (&["+ 1.0", "last 2.0"], "2.0.1", None),
        (&["+ 0", "- 1.5", "+ 2.0", "- 2.5"], "1.4", fixed("1.5")),
        (&["+ 0", "- 1.5", "+ 2.0", "- 2.5"], "1.7", None),
        (&["+ 0", "- 1.5", "+ 2.0", "- 2.5"], "2.1", fixed("2.5")),
        (&["+ 2.0", "- 2.5", "+ 0", "- 1.5"], "2.1", fixed("2.5")),
        (&["+ 2.0", "+ 0", "- 2.5", "- 1.5"], "1.7", None),
        (&["+ 0", "- 1.0", "+ 1.0", "- 2.0"], "1.0", fixed("2.0")),
        (&["+ 0", "limit 3.0"], "2.0", none),
        (&["+ 0", "limit 3.0"], "3.0", None),
        (&["+ 0", "limit *"], "99", none),
        (&["+ 0", "limit 1.0", "limit 3.0"], "2.0", none),
        // Fixed at 0: never affected.
        (&["+ 0", "- 0"], "0.0.1", None),
        (&["- 0", "+ 0"], "0.0.1", None),
        (&[], "1.0", None),
        (&["- 1.0"], "0.9", None),
    ];
    for (events, version, expected) in table {
        let advisory = advisory("X", &[], "PyPI", events);
        let verdict = affected(Scheme::Pypi, version, &advisory);
        let got = verdict.as_ref().map(|verdict| verdict.fixed.as_deref());
        assert_eq!(got, expected, "{version} in {events:?}");
    }
}

#[test]
fn listed_versions_count_and_several_ranges_are_any_of_them() {
    let mut listed = advisory("X", &[], "PyPI", &["+ 3.0", "- 3.1"]);
    listed.versions = vec!["1.0".into(), "2.0".into()];
    let fix = |version: &str| affected(Scheme::Pypi, version, &listed).map(|verdict| verdict.fixed);
    assert_eq!(fix("1.0.0"), Some(Some("3.1".into())), "equal in the ecosystem's order");
    assert_eq!(fix("1.1"), None);
    let mut two = advisory("X", &[], "PyPI", &["+ 1.0", "- 1.5"]);
    two.ranges.push(range(&["+ 2.0", "- 2.5"]));
    assert_eq!(affected(Scheme::Pypi, "2.1", &two).unwrap().fixed.as_deref(), Some("2.5"));
    assert_eq!(affected(Scheme::Pypi, "1.7", &two), None);
    two.ranges.push(range(&["+ 2.0", "- 2.4"]));
    let both = affected(Scheme::Pypi, "2.1", &two).unwrap();
    assert_eq!(both.fixed.as_deref(), Some("2.5"), "out of both ranges");
}

#[test]
fn debian_matches_by_the_sources_name_and_version() {
    // A binary version with an epoch of its own must not be asked for.
    let feeds = feeds(&[(
        "util-linux",
        advisory("DLA-3782-1", &["CVE-2024-28085"], "Debian:12", &["+ 0", "- 2.33.1-0.1+deb10u1"]),
    )]);
    let packages = vec![binary("bsdutils", "1:2.33.1-0.1", ("util-linux", "2.33.1-0.1"))];
    let finding = one(matched(packages, &feeds));
    assert_eq!((finding.id.as_str(), finding.kind), ("DLA-3782-1", Kind::Vulnerability));
    let package = finding.package.unwrap();
    assert_eq!((package.name.as_str(), package.version.as_str()), ("bsdutils", "1:2.33.1-0.1"));
    assert_eq!(package.source.as_deref(), Some("util-linux 2.33.1-0.1"));
    assert_eq!(finding.fixed.as_deref(), Some("2.33.1-0.1+deb10u1"));
    assert_eq!(finding.remedy, "upgrade util-linux to 2.33.1-0.1+deb10u1");
}

#[test]
fn a_source_gives_one_finding_under_its_own_name() {
    let feeds = feeds(&[("perl", advisory("DEBIAN-CVE-1", &["CVE-1"], "Debian:12", &["+ 0"]))]);
    let source = ("perl", "5.36.0-7");
    let packages =
        ["libperl5.36", "perl", "perl-base"].map(|name| binary(name, "5.36.0-7", source));
    let mut packages = packages.to_vec();
    // A package that names no source is its own.
    packages[1].source = None;
    let finding = one(matched(packages, &feeds));
    assert_eq!(finding.package.as_ref().unwrap().name, "perl");
    assert_eq!(finding.title, "perl 5.36.0-7 and 2 more packages of perl");
    assert_eq!((finding.fixed, finding.remedy.as_str()), (None, "no fix yet"));
    let packages = ["zlib1g-dev", "zlib1g"].map(|name| binary(name, "1", ("zlib", "1")));
    let feeds =
        self::feeds(&[("zlib", advisory("DEBIAN-CVE-1", &["CVE-1"], "Debian:12", &["+ 0"]))]);
    assert_eq!(one(matched(packages.to_vec(), &feeds)).package.unwrap().name, "zlib1g");
}

#[test]
fn back_ported_fixes_count_and_other_releases_do_not() {
    let feeds = feeds(&[
        (
            "curl",
            advisory("DEBIAN-CVE-1", &["CVE-1"], "Debian:12", &["+ 0", "- 7.88.1-10+deb12u5"]),
        ),
        ("curl", advisory("DEBIAN-CVE-1", &["CVE-1"], "Debian:11", &["+ 0", "- 9.0-1"])),
    ]);
    let at = |version: &str| matched(vec![binary("curl", version, ("curl", version))], &feeds);
    assert_eq!(ids(&at("7.88.1-10+deb12u4")), ["DEBIAN-CVE-1"]);
    assert!(ids(&at("7.88.1-10+deb12u5")).is_empty());
    assert!(ids(&at("7.88.1-10+deb12u12")).is_empty());
}

#[test]
fn a_package_of_the_distribution_is_left_to_its_advisories() {
    let feeds = feeds(&[("jinja2", advisory("PYSEC-1", &["CVE-1"], "PyPI", &["+ 0", "- 3"]))]);
    let free = package("PyPI", "jinja2", "2.10");
    let owned = Package { owner: Some("python3-jinja2".into()), ..free.clone() };
    assert!(matched(vec![owned.clone()], &feeds).findings.is_empty());
    assert_eq!(matched(vec![owned, free], &feeds).findings.len(), 1);
}

#[test]
fn go_knows_devel_incompatible_pseudo_versions_and_the_standard_library() {
    let feeds = feeds(&[
        ("example.org/app", advisory("GO-1", &[], "Go", &["+ 0"])),
        (
            "github.com/docker/docker",
            advisory("GO-2", &[], "Go", &["+ 0", "- 20.10.24+incompatible"]),
        ),
        (
            "github.com/miekg/dns",
            advisory("GO-3", &[], "Go", &["+ 0", "- 1.0.4-0.20180125103619-43913f2f4fbd"]),
        ),
        ("stdlib", advisory("GO-4", &[], "Go", &["+ 0", "- 1.19.9", "+ 1.22.0-0", "- 1.22.1"])),
    ]);
    let at = |name: &str, version: &str| {
        let matches = matched(vec![package("Go", name, version)], &feeds);
        assert!(matches.unassessed.is_empty(), "{matches:?}");
        !matches.findings.is_empty()
    };
    assert!(!at("example.org/app", "(devel)"));
    assert!(at("github.com/docker/docker", "v20.10.23+incompatible"));
    assert!(!at("github.com/docker/docker", "v20.10.24+incompatible"));
    assert!(at("github.com/miekg/dns", "v1.0.4-0.20180101000000-000000000000"));
    assert!(!at("github.com/miekg/dns", "v1.0.4-0.20180125103619-43913f2f4fbd"));
    assert!(at("stdlib", "1.19.8") && at("stdlib", "go1.22rc1") && at("stdlib", "v1.22"));
    assert!(!at("stdlib", "1.19.9") && !at("stdlib", "1.21.5") && !at("stdlib", "go1.22.1"));
}

#[test]
fn rusts_zero_pre_release_is_before_everything() {
    let feeds = feeds(&[("x", advisory("RUSTSEC-1", &[], "crates.io", &["+ 0.0.0-0", "- 0.3.5"]))]);
    assert_eq!(
        ids(&matched(vec![package("crates.io", "x", "0.0.1-alpha")], &feeds)),
        ["RUSTSEC-1"]
    );
    assert!(ids(&matched(vec![package("crates.io", "x", "0.3.5")], &feeds)).is_empty());
}

#[test]
fn records_of_several_databases_fold_into_one_finding() {
    let mut github = advisory("GHSA-1", &["CVE-1"], "PyPI", &["+ 0"]);
    github.severity = Some(Severity::High);
    github.cvss = Some(7.5);
    github.summary = "Sandbox escape".into();
    let python = advisory("PYSEC-1", &["CVE-1", "GHSA-1"], "PyPI", &["+ 0", "- 2.10.1"]);
    let other = advisory("PYSEC-2", &["CVE-2"], "PyPI", &["+ 0", "- 2.11"]);
    let feeds = feeds(&[("jinja2", python), ("jinja2", other), ("jinja2", github)]);
    let matches = matched(vec![package("PyPI", "jinja2", "2.10")], &feeds);
    assert_eq!(ids(&matches), ["GHSA-1", "PYSEC-2"]);
    let first = &matches.findings[0];
    assert_eq!(first.aliases, ["CVE-1", "PYSEC-1"]);
    assert_eq!(first.fixed.as_deref(), Some("2.10.1"));
    assert_eq!((first.severity, first.cvss), (Severity::High, Some(7.5)));
    assert_eq!(first.title, "jinja2 2.10: Sandbox escape");
}

#[test]
fn a_bulletin_does_not_tie_its_cves_together() {
    let bulletin = advisory("DSA-1", &["CVE-1", "CVE-2"], "Debian:12", &["+ 0", "- 2"]);
    let first = advisory("DEBIAN-CVE-1", &["CVE-1"], "Debian:12", &["+ 0", "- 2"]);
    let second = advisory("DEBIAN-CVE-2", &["CVE-2"], "Debian:12", &["+ 0", "- 2"]);
    let packages = vec![binary("vim", "1", ("vim", "1"))];
    let all = feeds(&[("vim", bulletin.clone()), ("vim", first.clone()), ("vim", second)]);
    assert_eq!(ids(&matched(packages.clone(), &all)), ["DEBIAN-CVE-1", "DEBIAN-CVE-2"]);
    let part = feeds(&[("vim", bulletin), ("vim", first)]);
    assert_eq!(ids(&matched(packages, &part)), ["DEBIAN-CVE-1", "DSA-1"]);
}

#[test]
fn severity_is_borrowed_by_cve_and_else_unknown() {
    let mut feeds = feeds(&[
        ("a", advisory("DEBIAN-CVE-1", &["CVE-1"], "Debian:12", &["+ 0"])),
        ("a", advisory("DEBIAN-CVE-2", &["CVE-2"], "Debian:12", &["+ 0"])),
    ]);
    let rich = Enrichment {
        epss: Some(0.4),
        kev: true,
        severity: Some(Severity::Critical),
        cvss: Some(9.8),
    };
    feeds.enrichments.insert("CVE-1".into(), rich);
    let matches = matched(vec![binary("a", "1", ("a", "1"))], &feeds);
    let facts = |finding: &Finding| (finding.severity, finding.cvss, finding.epss, finding.kev);
    assert_eq!(facts(&matches.findings[0]), (Severity::Critical, Some(9.8), Some(0.4), true));
    assert_eq!(facts(&matches.findings[1]), (Severity::Unknown, None, None, false));
}

#[test]
fn a_records_own_severity_stands_before_a_borrowed_one() {
    let mut own = advisory("DEBIAN-CVE-1", &["CVE-1"], "Debian:12", &["+ 0"]);
    own.severity = Some(Severity::Negligible);
    let mut feeds = feeds(&[("a", own)]);
    let lent =
        Enrichment { severity: Some(Severity::High), cvss: Some(7.0), ..Enrichment::default() };
    feeds.enrichments.insert("CVE-1".into(), lent);
    let finding = one(matched(vec![binary("a", "1", ("a", "1"))], &feeds));
    assert_eq!(finding.severity, Severity::Negligible);
}

#[test]
fn what_cannot_be_assessed_is_counted_and_said() {
    let feeds = feeds(&[
        ("a", advisory("PYSEC-1", &[], "PyPI", &["+ 0"])),
        ("vim", advisory("ALSA-1", &[], "AlmaLinux:9", &["+ 0"])),
        ("x", advisory("GO-1", &[], "Go", &["+ 0"])),
    ]);
    let mut packages = vec![
        package("Alpine:v3.19", "musl", "1"),
        package("Alpine:v3.19", "zlib", "1"),
        package("AlmaLinux:9", "vim", "1"),
        package("PyPI", "a", ""),
        package("Go", "x", "unknown"),
        package("", "y", "1"),
    ];
    packages.push(binary("bash", "1", ("bash", "1")));
    let matches = matched(packages, &feeds);
    assert!(matches.findings.is_empty());
    let expected = [
        "1 package of AlmaLinux:9: its version order is not supported yet",
        "2 packages of Alpine:v3.19: no feed covers it",
        "1 package of Debian:12: no feed covers it",
        "1 package of Go: version not understood (x \"unknown\")",
        "1 package of PyPI: version not understood (a \"\")",
        "1 package of an unknown ecosystem: no feed covers it",
    ];
    assert_eq!(matches.unassessed, expected);
}

#[test]
fn the_same_package_twice_is_two_findings_by_path_and_their_order_is_fixed() {
    let feeds = feeds(&[("left", advisory("GHSA-1", &[], "npm", &["+ 0", "- 2.0.0"]))]);
    let at = |path: &str| Package { path: path.into(), ..package("npm", "left", "1.0.0") };
    let matches = matched(vec![at("b/left"), at("a/left"), at("a/left")], &feeds);
    let paths: Vec<_> = matches.findings.iter().map(|f| f.path.as_deref().unwrap()).collect();
    assert_eq!(paths, ["a/left", "b/left"]);
}
