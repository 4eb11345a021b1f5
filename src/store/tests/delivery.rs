//! Mails and schedules.

use std::collections::BTreeSet;

use super::Ledger;
use super::fixture::*;
use crate::store::{Error, MailState, OutboxMail, Schedule};

fn mail(n: usize, night: &str) -> OutboxMail {
    OutboxMail {
        message_id: format!("<{n}@midwatch>"),
        night: night.into(),
        recipient: format!("owner{n}@example.org"),
        subject: format!("[hardened] night {n}"),
        blob: "sha256:00".into(),
        not_before: at(7),
        deadline: at(31),
    }
}

async fn with_mails(ledger: &Ledger, mails: usize) {
    begin(&ledger.store, "n1", 0, &[]).await;
    let mails: Vec<OutboxMail> = (0..mails).map(|n| mail(n, "n1")).collect();
    ledger.store.close_night("n1", at(1), &mails).await.unwrap();
}

pub async fn each_mail_is_claimed_once(ledger: &Ledger) {
    with_mails(ledger, 40).await;
    assert!(ledger.store.claim_due(at(6), at(8), 50).await.unwrap().is_empty());
    let sender = |url: String| async move {
        let store = crate::store::Store::open(&url).await.unwrap();
        let mut got = Vec::new();
        for _ in 0..30 {
            got.extend(store.claim_due(at(7), at(8), 3).await.unwrap());
        }
        store.close().await;
        got
    };
    let senders: Vec<_> = (0..4).map(|_| tokio::spawn(sender(ledger.url.clone()))).collect();
    let mut ids = Vec::new();
    for sender in senders {
        ids.extend(sender.await.unwrap().into_iter().map(|claimed| claimed.mail.message_id));
    }
    assert_eq!(ids.len(), 40);
    assert_eq!(ids.into_iter().collect::<BTreeSet<_>>().len(), 40);
}

pub async fn a_lease_that_ran_out_is_claimed_again(ledger: &Ledger) {
    with_mails(ledger, 3).await;
    let store = &ledger.store;
    let first = store.claim_due(at(7), at(8), 10).await.unwrap();
    assert_eq!(
        first.iter().map(|c| c.mail.message_id.as_str()).collect::<Vec<_>>(),
        ["<0@midwatch>", "<1@midwatch>", "<2@midwatch>"]
    );
    assert_eq!(first[0].mail, mail(0, "n1"));
    assert_eq!((first[0].tries, first[0].lease), (0, at(8)));
    store.mark_sent("<0@midwatch>", at(7)).await.unwrap();
    store.mark_retry("<1@midwatch>", at(9), "451 try later").await.unwrap();
    assert_eq!(store.pending_count().await.unwrap(), 2);

    // The sender of the third was killed: it comes back when its lease ends, and only it.
    let again = store.claim_due(at(8), at(10), 10).await.unwrap();
    assert_eq!(again.len(), 1);
    assert_eq!((again[0].mail.message_id.as_str(), again[0].tries), ("<2@midwatch>", 1));
    store.mark_dead("<2@midwatch>", "550 no such user").await.unwrap();
    let retried = store.claim_due(at(9), at(11), 10).await.unwrap();
    assert_eq!((retried.len(), retried[0].tries), (1, 1));
    store.mark_sent("<1@midwatch>", at(9)).await.unwrap();

    // What is sent stays sent, whoever comes late.
    store.mark_retry("<1@midwatch>", at(9), "late").await.unwrap();
    store.mark_dead("<1@midwatch>", "late").await.unwrap();
    assert!(store.claim_due(at(900), at(901), 10).await.unwrap().is_empty());
    assert_eq!(store.next_due().await.unwrap(), None);
    let states: Vec<_> =
        store.deliveries("n1").await.unwrap().into_iter().map(|d| (d.state, d.error)).collect();
    assert_eq!(
        states,
        [
            (MailState::Sent, None),
            (MailState::Sent, None),
            (MailState::Dead, Some("550 no such user".to_owned()))
        ]
    );
}

pub async fn mails_come_with_the_nights_end_or_not_at_all(ledger: &Ledger) {
    let store = &ledger.store;
    begin(store, "n1", 0, &[]).await;
    let stray = [mail(1, "n1"), mail(2, "no such night")];
    let error = store.close_night("n1", at(1), &stray).await.unwrap_err();
    assert!(matches!(error, Error::Ledger(_)), "{error}");
    assert_eq!(store.night("n1").await.unwrap().unwrap().ended, None);
    assert_eq!(store.pending_count().await.unwrap(), 0);

    store.close_night("n1", at(1), &[mail(1, "n1")]).await.unwrap();
    let claimed = store.claim_due(at(7), at(8), 10).await.unwrap();
    store.mark_sent(&claimed[0].mail.message_id, at(7)).await.unwrap();
    // The night is closed once more after a crash: the same mail is not sent again.
    let again = OutboxMail { not_before: at(9), ..mail(1, "n1") };
    let night = store.close_night("n1", at(2), &[again.clone(), mail(3, "n1")]).await.unwrap();
    assert_eq!(night.ended, Some(at(1)));
    store.enqueue(&[again]).await.unwrap();
    let due = store.claim_due(at(20), at(21), 10).await.unwrap();
    assert_eq!(
        due.iter().map(|c| c.mail.message_id.as_str()).collect::<Vec<_>>(),
        ["<3@midwatch>"]
    );
}

pub async fn suppressed_addresses_are_known_in_any_case(ledger: &Ledger) {
    let store = &ledger.store;
    store.suppress("Ann@Example.org", "550", at(0)).await.unwrap();
    store.suppress("ann@example.org", "again", at(1)).await.unwrap();
    assert!(store.is_suppressed(" ann@EXAMPLE.org").await.unwrap());
    assert!(!store.is_suppressed("bob@example.org").await.unwrap());
    assert_eq!(ledger.count("suppressed WHERE reason = '550'").await, 1);
}

pub async fn schedules_are_kept(ledger: &Ledger) {
    let store = &ledger.store;
    assert_eq!(store.schedule("hardened").await.unwrap(), None);
    let first = Schedule { next_run_at: Some(at(24)), last_started: None };
    store.set_schedule("hardened", &first).await.unwrap();
    assert_eq!(store.schedule("hardened").await.unwrap(), Some(first));
    let second = Schedule { next_run_at: None, last_started: Some(at(24)) };
    store.set_schedule("hardened", &second).await.unwrap();
    assert_eq!(store.schedule("hardened").await.unwrap(), Some(second));
    assert_eq!(store.schedule("other").await.unwrap(), None);
}
