//! How images stand: findings and packages over nights, builds, differences.

use super::Ledger;
use super::fixture::*;
use crate::model::finding::Status;
use crate::model::inventory::Package;
use crate::model::night::{NightKind, Outcome};
use crate::store::{Holder, OutcomeMove};

fn fingerprint(id: &str) -> String {
    finding(id).fingerprint()
}

pub async fn findings_are_intervals(ledger: &Ledger) {
    let store = &ledger.store;
    assert!(store.first_seen("hardened", "a").await.unwrap().is_empty());
    whole(store, "n1", 0, &[("a", &["CVE-1", "CVE-2"])]).await;
    whole(store, "n2", 24, &[("a", &["CVE-2", "CVE-3"])]).await;
    let seen = store.first_seen("hardened", "a").await.unwrap();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[&fingerprint("CVE-2")], at(0), "it stays, and so does its first day");
    assert_eq!(seen[&fingerprint("CVE-3")], at(24));

    whole(store, "n3", 48, &[("a", &["CVE-1", "CVE-3"])]).await;
    let seen = store.first_seen("hardened", "a").await.unwrap();
    assert_eq!(seen[&fingerprint("CVE-1")], at(48), "it came back: a new interval");
    assert_eq!(seen[&fingerprint("CVE-3")], at(24));
    assert_eq!(seen.len(), 2);
    assert_eq!(ledger.count("findings").await, 4);
    assert_eq!(ledger.count("findings WHERE until_seq IS NULL").await, 2);

    // What it says may move without a new interval; past nights keep what they said.
    begin(store, "n4", 72, &["a"]).await;
    let moved = verdict(vec![suppressed("CVE-1"), finding("CVE-3"), finding("CVE-3")]);
    store.finish_image("n4", &judged("a", 72, &moved, &inventory(&[]))).await.unwrap();
    assert_eq!(store.first_seen("hardened", "a").await.unwrap(), seen);
    assert_eq!(ledger.count("findings").await, 4);
    assert_eq!(ledger.count("findings WHERE data LIKE '%not_affected%'").await, 1);
    let status = |findings: Vec<crate::model::finding::Finding>| findings[0].status;
    assert_eq!(status(store.image_findings("n3", "a").await.unwrap()), Status::Affected);
    assert_eq!(status(store.image_findings("n4", "a").await.unwrap()), Status::NotAffected);
    assert_eq!(store.image_findings("n1", "a").await.unwrap().len(), 2);
}

pub async fn an_unjudged_image_keeps_its_findings(ledger: &Ledger) {
    let store = &ledger.store;
    let zlib = inventory(&[package("zlib", "1", "zlib")]);
    let one = verdict(vec![finding("CVE-1")]);
    begin(store, "n1", 0, &["a"]).await;
    store.finish_image("n1", &judged("a", 0, &one, &zlib)).await.unwrap();
    store.close_night("n1", at(1), &[]).await.unwrap();
    for (id, hours, outcome) in [("n2", 24, Outcome::Failed), ("n3", 48, Outcome::Blocked)] {
        begin(store, id, hours, &["a"]).await;
        store.finish_image(id, &end("a", outcome, hours)).await.unwrap();
        store.close_night(id, at(hours + 1), &[]).await.unwrap();
    }
    assert_eq!(store.first_seen("hardened", "a").await.unwrap()[&fingerprint("CVE-1")], at(0));
    assert!(store.diff("n1", "n3").await.unwrap().fixed.is_empty());
    assert!(store.image_findings("n3", "a").await.unwrap().is_empty());
    let held = store.who_has("zlib", None, Some("n3")).await.unwrap();
    assert_eq!(held, store.who_has("zlib", None, None).await.unwrap());
    assert_eq!(
        (held.len(), held[0].night.as_str(), held[0].digest.as_str()),
        (1, "n1", "sha256:a-0")
    );
    whole(store, "n4", 72, &[("a", &["CVE-1"])]).await;
    assert_eq!(store.first_seen("hardened", "a").await.unwrap()[&fingerprint("CVE-1")], at(0));
}

pub async fn last_builds_remember_the_last_success(ledger: &Ledger) {
    let store = &ledger.store;
    let (clean, inventory) = (verdict(Vec::new()), inventory(&[]));
    begin(store, "n1", 0, &["a", "b", "c"]).await;
    assert!(store.last_builds("hardened").await.unwrap().is_empty());
    store.finish_image("n1", &judged("a", 0, &clean, &inventory)).await.unwrap();
    store.finish_image("n1", &end("b", Outcome::Failed, 0)).await.unwrap();
    store.finish_image("n1", &end("c", Outcome::Skipped, 0)).await.unwrap();
    let builds = store.last_builds("hardened").await.unwrap();
    assert_eq!(builds.keys().collect::<Vec<_>>(), ["a", "b"]);
    let a = &builds["a"];
    assert_eq!(
        (a.night.as_str(), a.key.as_str(), a.digest.as_str()),
        ("n1", "key-a", "sha256:a-0")
    );
    assert_eq!((a.succeeded, &a.parts), (true, &parts("context")));
    assert_eq!((builds["b"].succeeded, builds["b"].night.as_str()), (false, ""));

    begin(store, "n2", 24, &["a", "b"]).await;
    store.finish_image("n2", &end("a", Outcome::Failed, 24)).await.unwrap();
    let a = &store.last_builds("hardened").await.unwrap()["a"];
    assert_eq!((a.succeeded, a.night.as_str(), a.key.as_str()), (false, "n1", "key-a"));

    begin(store, "n3", 48, &["a"]).await;
    let mut reused = judged("a", 48, &clean, &inventory);
    (reused.result.outcome, reused.parts) = (Outcome::Reused, None);
    store.finish_image("n3", &reused).await.unwrap();
    let a = &store.last_builds("hardened").await.unwrap()["a"];
    assert_eq!((a.succeeded, a.night.as_str()), (true, "n1"), "reused: the build is still n1's");
    assert!(store.last_builds("other").await.unwrap().is_empty());
}

fn holder(image: &str, hours: i64, package: &str, version: &str, night: &str) -> Holder {
    Holder {
        image: image.into(),
        digest: format!("sha256:{image}-{hours}"),
        package: package.into(),
        version: version.into(),
        night: night.into(),
    }
}

pub async fn who_has_answers_for_now_and_for_then(ledger: &Ledger) {
    let store = &ledger.store;
    let clean = verdict(Vec::new());
    let nights = [("n1", 0, "3.0.11-1"), ("n2", 24, "3.0.12+b1")];
    for (id, hours, version) in nights {
        let images: &[&str] = if id == "n1" { &["a", "gone"] } else { &["a"] };
        begin(store, id, hours, images).await;
        let packages =
            inventory(&[package("libssl3", version, "openssl"), package("zlib", "1", "zlib")]);
        for image in images {
            store.finish_image(id, &judged(image, hours, &clean, &packages)).await.unwrap();
        }
        store.close_night(id, at(hours + 1), &[]).await.unwrap();
    }
    let now = vec![holder("a", 24, "libssl3", "3.0.12+b1", "n2")];
    let then = vec![
        holder("a", 0, "libssl3", "3.0.11-1", "n1"),
        holder("gone", 0, "libssl3", "3.0.11-1", "n1"),
    ];
    for asked in ["libssl3", "openssl", "pkg:deb/debian/libssl3"] {
        assert_eq!(store.who_has(asked, None, None).await.unwrap(), now, "{asked}");
        assert_eq!(store.who_has(asked, None, Some("n1")).await.unwrap(), then, "{asked}");
    }
    for (asked, version) in [
        ("libssl3", Some("3.0.12+b1")),
        ("openssl", Some("3.0.12+b1")),
        ("pkg:deb/debian/libssl3@3.0.12%2Bb1", None),
        ("pkg:deb/debian/libssl3@3.0.12+b1?arch=amd64", None),
    ] {
        assert_eq!(store.who_has(asked, version, None).await.unwrap(), now, "{asked}");
        assert!(store.who_has(asked, version, Some("n1")).await.unwrap().is_empty(), "{asked}");
    }
    assert!(store.who_has("libssl", None, None).await.unwrap().is_empty());
    assert!(store.who_has("", None, None).await.unwrap().is_empty());
    assert!(store.who_has("libssl3", Some("3.0.11-1"), None).await.unwrap().is_empty());
    assert!(
        store
            .who_has("pkg:deb/debian/libssl3@3.0.12+b1?arch=arm64", None, None)
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        store.who_has("zlib", None, None).await.unwrap(),
        [holder("a", 24, "zlib", "1", "n2")]
    );
    assert_eq!(
        ledger.count("components WHERE name = 'zlib'").await,
        2,
        "unchanged: one interval each"
    );
    assert!(store.who_has("zlib", None, Some("n9")).await.is_err());
}

pub async fn python_names_count_in_any_spelling(ledger: &Ledger) {
    let store = &ledger.store;
    begin(store, "n1", 0, &["a"]).await;
    let python = |name: &str, purl: &str| Package {
        ecosystem: "PyPI".into(),
        purl: purl.into(),
        source: None,
        ..package(name, "4.2", "")
    };
    let packages = [
        python("django", "pkg:pypi/django@4.2"),
        python("zope-interface", "pkg:pypi/zope-interface@4.2"),
        package("zope-interface", "1", "zope"),
    ];
    let clean = verdict(Vec::new());
    store.finish_image("n1", &judged("a", 0, &clean, &inventory(&packages))).await.unwrap();
    store.close_night("n1", at(1), &[]).await.unwrap();
    for asked in ["Django", "django", "pkg:pypi/Django", "pkg:PyPI/DJANGO@4.2"] {
        for night in [None, Some("n1")] {
            let held = store.who_has(asked, None, night).await.unwrap();
            assert_eq!(held, [holder("a", 0, "django", "4.2", "n1")], "{asked}");
        }
    }
    let only = store.who_has("Zope_.Interface", Some("4.2"), None).await.unwrap();
    assert_eq!(only, [holder("a", 0, "zope-interface", "4.2", "n1")]);
    assert_eq!(store.who_has("zope-interface", None, None).await.unwrap().len(), 2);
    assert!(store.who_has("Zope", None, None).await.unwrap().is_empty());
}

pub async fn overlapping_nights_each_keep_their_own_truth(ledger: &Ledger) {
    let store = &ledger.store;
    let clean = verdict(Vec::new());
    let with = |version| inventory(&[package("zlib", version, "zlib")]);
    begin(store, "n1", 10, &["a"]).await;
    begin_as(store, new_night("n2", 11, NightKind::OnDemand), &["a"]).await;
    // The on-demand night, opened later, is first; and the clock was set back between them.
    store.finish_image("n2", &judged("a", 12, &clean, &with("2"))).await.unwrap();
    store.finish_image("n1", &judged("a", 9, &clean, &with("3"))).await.unwrap();
    let versions =
        |holders: Vec<Holder>| holders.into_iter().map(|h| h.version).collect::<Vec<_>>();
    assert_eq!(versions(store.who_has("zlib", None, Some("n2")).await.unwrap()), ["2"]);
    assert_eq!(versions(store.who_has("zlib", None, Some("n1")).await.unwrap()), ["3"]);
    assert_eq!(versions(store.who_has("zlib", None, None).await.unwrap()), ["3"]);
}

pub async fn a_diff_tells_new_fixed_and_moved(ledger: &Ledger) {
    let store = &ledger.store;
    whole(store, "n1", 0, &[("a", &["CVE-1", "CVE-2"]), ("b", &["CVE-1"]), ("old", &["CVE-1"])])
        .await;
    begin(store, "n2", 24, &["a", "b", "new"]).await;
    let mut moved = verdict(vec![suppressed("CVE-2"), finding("CVE-3")]);
    moved.score.value = Some(95.0);
    let (fresh, inventory) = (verdict(vec![finding("CVE-9")]), inventory(&[]));
    store.finish_image("n2", &judged("a", 24, &moved, &inventory)).await.unwrap();
    store.finish_image("n2", &end("b", Outcome::Failed, 24)).await.unwrap();
    store.finish_image("n2", &judged("new", 24, &fresh, &inventory)).await.unwrap();
    store.close_night("n2", at(25), &[]).await.unwrap();

    let diff = store.diff("n1", "n2").await.unwrap();
    let ids = |list: &[(String, crate::model::finding::Finding)]| {
        list.iter().map(|(image, finding)| format!("{image} {}", finding.id)).collect::<Vec<_>>()
    };
    assert_eq!(ids(&diff.new), ["a CVE-3", "new CVE-9"]);
    assert_eq!(ids(&diff.fixed), ["a CVE-1"]);
    let [(image, before, after)] = diff.status.as_slice() else { panic!("{:?}", diff.status) };
    assert_eq!(
        (image.as_str(), before.status, after.status),
        ("a", Status::Affected, Status::NotAffected)
    );
    let released = Some(Outcome::Released);
    let moves =
        [("b", released, Some(Outcome::Failed)), ("new", None, released), ("old", released, None)];
    let moves =
        moves.map(|(image, before, after)| OutcomeMove { image: image.into(), before, after });
    assert_eq!(diff.outcomes, moves);
    assert_eq!(
        diff.scores,
        [("a".to_owned(), Some(91.4), Some(95.0)), ("b".to_owned(), Some(91.4), None)]
    );
    let back = store.diff("n2", "n1").await.unwrap();
    assert_eq!(ids(&back.new), ["a CVE-1", "old CVE-1"]);
    assert_eq!(ids(&back.fixed), ["a CVE-3"]);
    assert_eq!(store.diff("n1", "n1").await.unwrap(), Default::default());
    assert!(store.diff("n1", "n9").await.is_err());
}

pub async fn hostile_texts_are_kept_as_far_as_they_can_be(ledger: &Ledger) {
    let store = &ledger.store;
    let noise: String =
        (0..3000u32).map(|n| format!("{:08x}", n.wrapping_mul(2_654_435_761))).collect();
    let image = "naïve/日本語 \u{202e}'; DROP TABLE nights; --";
    begin(store, "n1", 0, &[image, &noise]).await;
    let mut bad = finding("CVE-\0-1");
    bad.path = Some(noise.clone());
    bad.title = "nul \0, bell \u{7}, 🦀".into();
    let verdict = verdict(vec![bad.clone(), finding("CVE-2")]);
    let inventory = inventory(&[package(&noise, &noise, &noise), package("a\0b", "1", "\0")]);
    let mut end = judged(image, 1, &verdict, &inventory);
    end.result.error = Some("a\0b 日本語".into());
    end.unassessed = vec!["\0".into()];
    store.finish_image("n1", &end).await.unwrap();
    store.finish_image("n1", &judged(&noise, 1, &verdict, &inventory)).await.unwrap();
    store.close_night("n1", at(2), &[]).await.unwrap();

    let results = store.images("n1").await.unwrap();
    assert_eq!(results[0].name, image);
    assert_eq!(results[0].error.as_deref(), Some("a\u{fffd}b 日本語"));
    assert!(results[1].name.len() <= 512 && noise.starts_with(&results[1].name[..400]));
    assert_eq!(store.verdict("n1", image).await.unwrap(), Some(verdict));
    assert_eq!(store.image_findings("n1", &noise).await.unwrap()[0], bad);
    assert_eq!(store.unassessed("n1", image).await.unwrap(), ["\0"]);
    assert_eq!(store.first_seen("hardened", image).await.unwrap().len(), 2);
    assert_eq!(store.who_has(&noise, Some(&noise), None).await.unwrap().len(), 2);
    assert_eq!(store.who_has("a\0b", None, None).await.unwrap().len(), 2);
    assert!(store.history("x' OR '1'='1", 9).await.unwrap().is_empty());
}
