//! Nights, images, findings and packages to write down.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use crate::model::advisory::{Feed, FeedState, Freshness};
use crate::model::finding::{Counts, Finding, Kind, PackageRef, Severity, Status};
use crate::model::inventory::{Inventory, Package, SourcePackage};
use crate::model::night::{ImageResult, NightFeeds, NightKind, Outcome};
use crate::model::plan::{KeyParts, Outside, Plan, Planned, Reason};
use crate::model::verdict::{Score, Verdict};
use crate::store::{ImageEnd, NewNight, Store};

/// `hours` after midnight of the first night.
pub fn at(hours: i64) -> DateTime<Utc> {
    let midnight: DateTime<Utc> = "2026-11-22T00:00:00Z".parse().unwrap();
    midnight + TimeDelta::hours(hours)
}

pub fn new_night(id: &str, hours: i64, kind: NightKind) -> NewNight {
    NewNight {
        id: id.into(),
        pipeline: "hardened".into(),
        kind,
        started: at(hours),
        epoch: format!("epoch-{id}"),
        requested: Vec::new(),
        with_dependants: false,
        requested_by: None,
    }
}

pub fn planned(name: &str) -> Planned {
    Planned {
        name: name.into(),
        folder: format!("images/{name}"),
        key: format!("key-{name}"),
        parts: parts("context"),
        reason: Reason::BaseMoved { base: "debian:12".into(), from: "a".into(), to: "b".into() },
        reuse: false,
        after: Vec::new(),
        bases: Vec::new(),
        args: BTreeMap::from([("BASE_TAG".to_owned(), "12".to_owned())]),
        platform: Some("linux/amd64".into()),
        tags: vec![format!("localhost/{name}:1")],
        inputs: Vec::new(),
    }
}

pub fn parts(context: &str) -> KeyParts {
    KeyParts { context: context.into(), ..KeyParts::default() }
}

pub fn plan(names: &[&str]) -> Plan {
    let outside = Outside { reference: "debian:12".into(), digest: None, error: Some("x".into()) };
    Plan {
        commit: "c0ffee".into(),
        images: names.iter().map(|name| planned(name)).collect(),
        outside: vec![outside],
    }
}

pub fn feeds() -> NightFeeds {
    NightFeeds {
        freshness: Freshness::Stale,
        oldest_hours: Some(200),
        state: FeedState {
            index: "sha256:1".into(),
            imported: Some(at(-200)),
            sources: vec![Feed { name: "OSV Debian".into(), records: 7, ..Feed::default() }],
        },
    }
}

/// Opens a full night and gives it a plan.
pub async fn begin(store: &Store, id: &str, hours: i64, names: &[&str]) {
    begin_as(store, new_night(id, hours, NightKind::Scheduled), names).await;
}

pub async fn begin_as(store: &Store, night: NewNight, names: &[&str]) {
    store.open_night(&night).await.unwrap();
    let none = BTreeMap::new();
    let broken = store
        .set_plan(&night.id, &plan(names), &[], &none, &BTreeMap::new(), &feeds())
        .await
        .unwrap();
    assert!(broken.is_empty());
}

pub fn finding(id: &str) -> Finding {
    Finding {
        id: id.into(),
        kind: Kind::Vulnerability,
        severity: Severity::High,
        cvss: Some(7.5),
        package: Some(PackageRef {
            name: "openssl".into(),
            version: "3.0.11".into(),
            ecosystem: "Debian:12".into(),
            purl: "pkg:deb/debian/openssl@3.0.11".into(),
            source: None,
        }),
        fixed: Some("3.0.12".into()),
        ..Finding::default()
    }
}

pub fn suppressed(id: &str) -> Finding {
    Finding { status: Status::NotAffected, statement: Some("vex#1".into()), ..finding(id) }
}

pub fn verdict(findings: Vec<Finding>) -> Verdict {
    Verdict {
        released: true,
        reasons: Vec::new(),
        score: Score {
            value: Some(91.4),
            grade: "A".into(),
            formula: "test-1".into(),
            unassessed: Vec::new(),
            points: Vec::new(),
        },
        counts: Counts::of(&findings),
        findings,
        statements: Vec::new(),
    }
}

pub fn package(name: &str, version: &str, source: &str) -> Package {
    Package {
        name: name.into(),
        version: version.into(),
        ecosystem: "Debian:12".into(),
        purl: format!("pkg:deb/debian/{name}@{version}?arch=amd64"),
        source: Some(SourcePackage { name: source.into(), version: version.into() }),
        ..Package::default()
    }
}

pub fn inventory(packages: &[Package]) -> Inventory {
    Inventory { packages: packages.to_vec(), ..Inventory::default() }
}

pub fn result(name: &str, outcome: Outcome) -> ImageResult {
    ImageResult {
        name: name.into(),
        outcome,
        reason: "forced by schedule".into(),
        stage: None,
        error: None,
        blocked_by: None,
        held_by: Vec::new(),
        score: None,
        grade: None,
        digest: None,
        counts: Counts::default(),
        took_ms: 1,
        key: format!("key-{name}"),
        owners: Vec::new(),
        sbom: None,
        log: None,
    }
}

/// An end without a verdict.
pub fn end(name: &str, outcome: Outcome, hours: i64) -> ImageEnd<'static> {
    ImageEnd {
        result: result(name, outcome),
        verdict: None,
        inventory: None,
        unassessed: Vec::new(),
        warnings: Vec::new(),
        parts: None,
        at: at(hours),
    }
}

/// A released image with its verdict and packages.
pub fn judged<'a>(
    name: &str,
    hours: i64,
    verdict: &'a Verdict,
    inventory: &'a Inventory,
) -> ImageEnd<'a> {
    let result = ImageResult {
        score: verdict.score.value,
        grade: Some(verdict.score.grade.clone()),
        digest: Some(format!("sha256:{name}-{hours}")),
        counts: verdict.counts,
        ..result(name, Outcome::Released)
    };
    ImageEnd {
        result,
        verdict: Some(verdict),
        inventory: Some(inventory),
        parts: Some(parts("context")),
        ..end(name, Outcome::Released, hours)
    }
}

/// A whole night in which each image has these findings.
pub async fn whole(store: &Store, id: &str, hours: i64, images: &[(&str, &[&str])]) {
    let names: Vec<&str> = images.iter().map(|(name, _)| *name).collect();
    begin(store, id, hours, &names).await;
    for (name, ids) in images {
        let verdict = verdict(ids.iter().map(|id| finding(id)).collect());
        let inventory = inventory(&[]);
        store.finish_image(id, &judged(name, hours, &verdict, &inventory)).await.unwrap();
    }
    store.close_night(id, at(hours + 1), &[]).await.unwrap();
}
