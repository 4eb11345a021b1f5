//! Nights: opened, planned, interrupted, finished, closed.

use std::collections::BTreeMap;
use std::future::Future;
use std::task::{Context, Waker};
use std::time::Duration;

use super::Ledger;
use super::fixture::*;
use crate::model::night::{ImageResult, NightKind, Outcome};
use crate::model::source::BrokenImage;
use crate::store::{BuiltMark, Error, NewNight, Store};

pub async fn a_night_is_opened_planned_finished_and_closed(ledger: &Ledger) {
    let store = &ledger.store;
    store.open_night(&new_night("n1", 0, NightKind::Scheduled)).await.unwrap();
    assert!(store.open_night(&new_night("n1", 0, NightKind::Scheduled)).await.is_err());
    assert_eq!(store.plan_of("n1").await.unwrap(), None);
    store.set_source("n1", "c0ffee").await.unwrap();
    let plan = plan(&["base", "app"]);
    let none = BTreeMap::new();
    let pins = BTreeMap::from([("debian:12".to_owned(), "sha256:d".to_owned())]);
    store.set_plan("n1", &plan, &[], &none, &pins, &feeds()).await.unwrap();
    let again = store.set_plan("n1", &plan, &[], &none, &pins, &feeds()).await;
    assert!(matches!(again, Err(Error::Planned { .. })));
    assert_eq!(store.plan_of("n1").await.unwrap(), Some(plan));
    assert_eq!(store.feeds_of("n1").await.unwrap(), feeds());
    assert_eq!(store.latest_night("hardened").await.unwrap(), None);

    let (verdict, inventory) = (verdict(vec![finding("CVE-1")]), inventory(&[]));
    store.finish_image("n1", &end("app", Outcome::Blocked, 1)).await.unwrap();
    store.finish_image("n1", &judged("base", 2, &verdict, &inventory)).await.unwrap();
    let night = store.close_night("n1", at(3), &[]).await.unwrap();
    assert_eq!((night.planned, night.released, night.blocked), (2, 1, 1));
    assert!(night.complete());
    assert_eq!((night.started, night.ended), (at(0), Some(at(3))));
    assert_eq!(night.commit, "c0ffee");
    assert_eq!(store.night("n1").await.unwrap(), Some(night.clone()));
    assert_eq!(store.latest_night("hardened").await.unwrap(), Some(night.clone()));
    let names: Vec<_> = store.images("n1").await.unwrap().into_iter().map(|i| i.name).collect();
    assert_eq!(names, ["base", "app"]);

    whole(store, "n2", 24, &[("base", &["CVE-1", "CVE-2"]), ("app", &["CVE-3"])]).await;
    assert_eq!(store.night_before("n2").await.unwrap(), Some(night));
    assert_eq!(store.night_before("n1").await.unwrap(), None);
    let ids = |nights: Vec<_>| nights.into_iter().map(|n: crate::model::night::Night| n.id);
    let history = store.history("hardened", 10).await.unwrap();
    assert_eq!(ids(history).collect::<Vec<_>>(), ["n2", "n1"]);
    assert_eq!(store.history("hardened", 1).await.unwrap().len(), 1);
    assert!(store.history("other", 10).await.unwrap().is_empty());
    let trend = store.trend("hardened", 14).await.unwrap();
    assert_eq!(trend.iter().map(|t| t.vulnerabilities).collect::<Vec<_>>(), [1, 3]);
    assert_eq!(trend[0].score, Some(91.4));
    assert_eq!(trend[1].night.id, "n2");
    let unknown = store.set_source("n9", "").await;
    assert!(matches!(unknown, Err(Error::UnknownNight { .. })));
}

pub async fn results_come_back_as_they_were_given(ledger: &Ledger) {
    let store = &ledger.store;
    begin(store, "n1", 0, &["a", "b", "c", "d"]).await;
    let mut verdict = verdict(vec![finding("CVE-1"), suppressed("CVE-2")]);
    verdict.score.value = Some(0.1 + 0.2);
    let inventory = inventory(&[]);
    let mut held = judged("a", 1, &verdict, &inventory);
    held.result = ImageResult {
        outcome: Outcome::Held,
        held_by: vec!["2 critical findings, at most 0 allowed".into()],
        score: Some(90.0),
        owners: vec!["ann@example.org".into()],
        sbom: Some("sha256:5b".into()),
        log: Some("sha256:10".into()),
        took_ms: 61_000,
        ..held.result
    };
    held.unassessed = vec!["rpm database: damaged".into()];
    held.warnings = vec!["images/a/Dockerfile:3 lint.add use COPY".into()];
    let mut failed = end("b", Outcome::Failed, 2);
    failed.result.stage = Some("build".into());
    failed.result.error = Some("E: Unable to locate package".into());
    // Without a score between two with one: the same statement takes both.
    let mut unscored = judged("c", 3, &verdict, &inventory);
    (unscored.result.score, unscored.result.grade) = (None, Some("N/A".into()));
    let mut last = judged("d", 4, &verdict, &inventory);
    last.result.score = Some(0.0);
    for end in [&held, &failed, &unscored, &last] {
        store.finish_image("n1", end).await.unwrap();
    }
    let given = [held.result, failed.result, unscored.result, last.result];
    assert_eq!(store.images("n1").await.unwrap(), given);
    assert_eq!(store.verdict("n1", "a").await.unwrap(), Some(verdict.clone()));
    assert_eq!(store.image_findings("n1", "a").await.unwrap(), verdict.findings);
    assert_eq!(store.verdict("n1", "b").await.unwrap(), None);
    assert!(store.image_findings("n1", "b").await.unwrap().is_empty());
    assert_eq!(store.unassessed("n1", "a").await.unwrap(), ["rpm database: damaged"]);
    assert_eq!(store.warnings("n1", "a").await.unwrap().len(), 1);
    assert_eq!(store.details("n1").await.unwrap().len(), 4);
    assert!(matches!(store.verdict("n1", "z").await, Err(Error::UnknownImage { .. })));
    assert_eq!(ledger.count("verdicts").await, 1, "one verdict is kept once");
}

pub async fn a_night_is_not_closed_before_its_last_image(ledger: &Ledger) {
    let store = &ledger.store;
    begin(store, "n1", 0, &["a", "b"]).await;
    store.finish_image("n1", &end("a", Outcome::Failed, 1)).await.unwrap();
    let error = store.close_night("n1", at(2), &[]).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "night n1 cannot be closed: 1 images have no end yet, b among them"
    );
    assert!(store.interrupted("hardened").await.unwrap().is_some());
    let stranger = store.finish_image("n1", &end("z", Outcome::Failed, 1)).await;
    assert!(matches!(stranger, Err(Error::UnknownImage { .. })));
}

pub async fn an_interrupted_night_tells_what_is_done(ledger: &Ledger) {
    let store = &ledger.store;
    assert!(store.interrupted("hardened").await.unwrap().is_none());
    store.open_night(&new_night("n1", 0, NightKind::Manual)).await.unwrap();
    let early = store.interrupted("hardened").await.unwrap().unwrap();
    assert_eq!((early.night.id.as_str(), early.epoch.as_str()), ("n1", "epoch-n1"));
    assert_eq!(early.plan, None);

    let plan = plan(&["a", "b", "c"]);
    let owners = BTreeMap::from([("a".to_owned(), vec!["ann@example.org".to_owned()])]);
    let pins = BTreeMap::from([("debian:12".to_owned(), "sha256:d".to_owned())]);
    let broken = [broken("x", "images/x")];
    store.set_plan("n1", &plan, &broken, &owners, &pins, &feeds()).await.unwrap();
    let mark = BuiltMark { id: "sha256:b".into(), size: 5, log: None, took_ms: 9 };
    store.mark_built("n1", "a", &mark).await.unwrap();
    store.mark_built("n1", "b", &mark).await.unwrap();
    assert!(store.mark_built("n1", "z", &mark).await.is_err());
    store.finish_image("n1", &end("a", Outcome::Failed, 1)).await.unwrap();

    // As a new process sees it.
    let reopened = Store::open(&ledger.url).await.unwrap();
    let left = reopened.interrupted("hardened").await.unwrap().unwrap();
    assert_eq!(left.night.planned, 4);
    assert_eq!((left.plan, left.pins), (Some(plan), pins));
    assert_eq!(left.broken, broken);
    assert_eq!(left.owners["a"], ["ann@example.org"]);
    assert_eq!(left.owners["x"], ["x@example.org"]);
    assert_eq!(left.done.into_keys().collect::<Vec<_>>(), ["a"]);
    assert_eq!(left.built, BTreeMap::from([("b".to_owned(), mark)]));
    reopened.close().await;

    for (name, outcome) in [("b", Outcome::Failed), ("c", Outcome::Skipped), ("x", Outcome::Failed)]
    {
        store.finish_image("n1", &end(name, outcome, 2)).await.unwrap();
    }
    store.close_night("n1", at(3), &[]).await.unwrap();
    assert!(store.interrupted("hardened").await.unwrap().is_none());
}

fn broken(name: &str, folder: &str) -> BrokenImage {
    let owners = vec![format!("{name}@example.org")];
    BrokenImage { name: name.into(), folder: folder.into(), owners, violations: Vec::new() }
}

pub async fn on_demand_nights_stand_apart(ledger: &Ledger) {
    let store = &ledger.store;
    whole(store, "n1", 0, &[("a", &[]), ("b", &[])]).await;
    let asked = NewNight {
        requested: vec!["a".into()],
        with_dependants: true,
        requested_by: Some("ann".into()),
        ..new_night("n2", 5, NightKind::OnDemand)
    };
    begin_as(store, asked, &["a"]).await;
    assert!(store.interrupted("hardened").await.unwrap().is_none());
    let left = store.unfinished_on_demand("hardened").await.unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].requested, ["a"]);
    assert!(left[0].with_dependants);
    assert_eq!(left[0].requested_by.as_deref(), Some("ann"));
    store.finish_image("n2", &end("a", Outcome::Failed, 6)).await.unwrap();
    store.close_night("n2", at(6), &[]).await.unwrap();
    assert!(store.unfinished_on_demand("hardened").await.unwrap().is_empty());
    assert_eq!(store.latest_night("hardened").await.unwrap().unwrap().id, "n1");
    assert_eq!(store.night_before("n2").await.unwrap().unwrap().id, "n1");
    assert_eq!(store.history("hardened", 9).await.unwrap()[0].kind, NightKind::OnDemand);
    assert_eq!(store.trend("hardened", 9).await.unwrap().len(), 1);
}

pub async fn a_failed_night_is_no_night_to_compare_with(ledger: &Ledger) {
    let store = &ledger.store;
    whole(store, "n1", 0, &[("a", &[])]).await;
    store.open_night(&new_night("n2", 24, NightKind::Scheduled)).await.unwrap();
    let failed = store.fail_night("n2", at(25), "cannot clone", &[]).await.unwrap();
    assert_eq!(failed.error.as_deref(), Some("cannot clone"));
    assert!(store.interrupted("hardened").await.unwrap().is_none());
    whole(store, "n3", 48, &[("a", &[])]).await;
    assert_eq!(store.night_before("n3").await.unwrap().unwrap().id, "n1");
    assert_eq!(store.history("hardened", 9).await.unwrap()[1], failed);
    let kept = store.fail_night("n3", at(50), "too late", &[]).await.unwrap();
    assert_eq!(kept.error, None, "a night that ended stays as it is");
}

pub async fn folders_with_one_name_stay_apart(ledger: &Ledger) {
    let store = &ledger.store;
    store.open_night(&new_night("n1", 0, NightKind::Scheduled)).await.unwrap();
    let none = BTreeMap::new();
    let broken = [broken("a", "x/a"), broken("a", "y/a"), broken("z", "z"), broken("z", "z2")];
    let named = store
        .set_plan("n1", &plan(&["a"]), &broken, &none, &BTreeMap::new(), &feeds())
        .await
        .unwrap();
    let names: Vec<&str> = named.iter().map(|image| image.name.as_str()).collect();
    assert_eq!(names, ["a (x/a)", "a (y/a)", "z", "z (z2)"]);
    for name in names.into_iter().chain(["a"]) {
        store.finish_image("n1", &end(name, Outcome::Failed, 1)).await.unwrap();
    }
    assert_eq!(store.close_night("n1", at(2), &[]).await.unwrap().failed, 5);
    // The next night finds the same names again.
    begin(store, "n2", 24, &["a"]).await;
    assert_eq!(ledger.count("images WHERE present = 1").await, 1);
}

pub async fn the_first_end_of_an_image_stands(ledger: &Ledger) {
    let store = &ledger.store;
    begin(store, "n1", 0, &["a"]).await;
    let (one, none) = (verdict(vec![finding("CVE-1")]), verdict(Vec::new()));
    let inventory = inventory(&[package("openssl", "1", "openssl")]);
    store.finish_image("n1", &judged("a", 1, &one, &inventory)).await.unwrap();
    store.finish_image("n1", &judged("a", 1, &one, &inventory)).await.unwrap();
    store.finish_image("n1", &judged("a", 2, &none, &inventory)).await.unwrap();
    assert_eq!(store.image_findings("n1", "a").await.unwrap(), one.findings);
    for (rows, expected) in [("findings", 1), ("judgements", 1), ("components", 1), ("verdicts", 1)]
    {
        assert_eq!(ledger.count(rows).await, expected, "{rows}");
    }
    assert_eq!(ledger.count("findings WHERE until_seq IS NULL").await, 1);
}

pub async fn eight_writers_lose_nothing(ledger: &Ledger) {
    let names: Vec<String> = (0..64).map(|n| format!("image-{n:02}")).collect();
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    begin(&ledger.store, "n1", 0, &all).await;
    // Half of the writers are another process as far as the database can tell.
    let other = Store::open(&ledger.url).await.unwrap();
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let store = if writer % 2 == 0 { ledger.store.clone() } else { other.clone() };
            let mine: Vec<String> = names.iter().skip(writer).step_by(8).cloned().collect();
            tokio::spawn(async move {
                for name in mine {
                    let verdict = verdict(vec![finding(&format!("CVE-{name}")), finding("CVE-0")]);
                    let inventory = inventory(&[package("zlib", "1", "zlib")]);
                    store
                        .finish_image("n1", &judged(&name, 1, &verdict, &inventory))
                        .await
                        .unwrap();
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    other.close().await;
    assert_eq!(ledger.store.close_night("n1", at(2), &[]).await.unwrap().released, 64);
    assert_eq!(ledger.count("findings").await, 128);
    assert_eq!(ledger.count("components").await, 64);
    assert_eq!(ledger.store.who_has("zlib", None, None).await.unwrap().len(), 64);
}

/// Polls a future at most `polls` times, then drops it where it stands; whether it came to its end.
async fn cut_off<F: Future>(future: F, polls: usize) -> bool {
    let mut future = Box::pin(future);
    for _ in 0..polls {
        let mut context = Context::from_waker(Waker::noop());
        if future.as_mut().poll(&mut context).is_ready() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    false
}

/// The rows of an image once a statement that was cut off has come to rest: its end, and its
/// findings, components and judgements.
async fn settled(ledger: &Ledger, image: &str) -> (i64, (i64, i64, i64)) {
    let count = async || {
        let ended = format!("night_images WHERE image = '{image}' AND outcome IS NOT NULL");
        let of = |table: &str| format!("{table} WHERE image = '{image}'");
        let rest = (
            ledger.count(&of("findings")).await,
            ledger.count(&of("components")).await,
            ledger.count(&of("judgements")).await,
        );
        (ledger.count(&ended).await, rest)
    };
    let mut last = count().await;
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(5)).await;
        let now = count().await;
        if now == last {
            break;
        }
        last = now;
    }
    last
}

pub async fn a_transaction_cut_off_anywhere_leaves_nothing_half(ledger: &Ledger) {
    let names: Vec<String> = (0..60).map(|n| format!("image-{n:02}")).collect();
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    begin(&ledger.store, "n1", 0, &all).await;
    let verdict = verdict(vec![finding("CVE-1"), finding("CVE-2")]);
    let inventory = inventory(&[package("zlib", "1", "zlib")]);
    let mut cut = 0;
    for (polls, name) in names.iter().enumerate() {
        let end = judged(name, 1, &verdict, &inventory);
        let finished = cut_off(ledger.store.finish_image("n1", &end), polls).await;
        let (ended, rest) = settled(ledger, name).await;
        assert_eq!(rest, (2 * ended, ended, ended), "{polls} polls");
        assert!(!finished || ended == 1, "{polls} polls: told to be done, but is not");
        cut += i64::from(ended == 0);
        // The ledger goes on as if nothing had happened.
        ledger.store.finish_image("n1", &end).await.unwrap();
    }
    assert!(cut > 0, "no transaction was ever cut off");
    assert_eq!(ledger.store.close_night("n1", at(2), &[]).await.unwrap().released, 60);
    assert_eq!(ledger.count("findings").await, 120);
}

pub async fn a_quiet_night_adds_no_findings(ledger: &Ledger) {
    many(ledger, 30).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes in a debug build"]
async fn two_thousand_images_with_three_hundred_findings() {
    many(&Ledger::sqlite().await.unwrap(), 2000).await;
    if let Some(ledger) = Ledger::postgres().await {
        many(&ledger, 2000).await;
    }
}

async fn many(ledger: &Ledger, images: u32) {
    let store = &ledger.store;
    let names: Vec<String> = (0..images).map(|n| format!("image-{n:04}")).collect();
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    let findings = (0..300).map(|n| finding(&format!("CVE-2026-{n:05}"))).collect();
    let (full, inventory) = (verdict(findings), inventory(&[package("zlib", "1", "zlib")]));
    let less = verdict(full.findings[1..].to_vec());
    for (id, hours, verdict) in [("n1", 0, &full), ("n2", 24, &full), ("n3", 48, &less)] {
        begin(store, id, hours, &all).await;
        for name in &all {
            store.finish_image(id, &judged(name, hours, verdict, &inventory)).await.unwrap();
        }
        store.close_night(id, at(hours + 1), &[]).await.unwrap();
    }
    assert_eq!(
        ledger.count("findings").await,
        i64::from(images) * 300,
        "unchanged nights add no findings"
    );
    assert_eq!(ledger.count("verdicts").await, 2);
    let diff = store.diff("n1", "n3").await.unwrap();
    assert_eq!((diff.new.len(), diff.fixed.len()), (0, names.len()));
    assert_eq!(store.images("n3").await.unwrap().len(), names.len());
    assert_eq!(
        store.trend("hardened", 14).await.unwrap()[2].vulnerabilities,
        u64::from(images) * 299
    );
}
