//! Opening: again, by several at once, and what a newer midwatch wrote.

use sqlx::migrate::Migrator;

use super::Ledger;
use super::fixture::*;
use crate::store::{Error, Store};

pub async fn a_ledger_with_data_is_opened_again(ledger: &Ledger) {
    whole(&ledger.store, "n1", 0, &[("a", &["CVE-1"])]).await;
    let open = |url: String| tokio::spawn(async move { Store::open(&url).await });
    let opened: Vec<_> = (0..4).map(|_| open(ledger.url.clone())).collect();
    for store in opened {
        let store = store.await.unwrap().unwrap();
        assert_eq!(store.images("n1").await.unwrap().len(), 1);
        store.close().await;
    }
}

pub async fn a_newer_ledger_is_refused_and_its_data_kept(ledger: &Ledger) {
    whole(&ledger.store, "n1", 0, &[("a", &["CVE-1"])]).await;
    let newer = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations")).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), newer.path().join(file.file_name())).unwrap();
    }
    let sql = "ALTER TABLE nights ADD COLUMN weather TEXT; UPDATE nights SET weather = 'calm';";
    std::fs::write(newer.path().join("9999_weather.sql"), sql).unwrap();
    Migrator::new(newer.path()).await.unwrap().run(&ledger.store.pool).await.unwrap();

    let error = Store::open(&ledger.url).await.unwrap_err();
    assert!(matches!(error, Error::Newer { found: 9999, .. }), "{error}");
    assert!(error.to_string().contains("was written by a newer midwatch"), "{error}");
    assert_eq!(ledger.count("nights WHERE weather = 'calm' AND planned = 1").await, 1);
    assert_eq!(ledger.count("findings").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fresh_ledger_may_be_opened_by_several_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let url = Store::sqlite_url(&folder.path().join("100% new?.db"));
    let open = |url: String| tokio::spawn(async move { Store::open(&url).await });
    let opened: Vec<_> = (0..6).map(|_| open(url.clone())).collect();
    for store in opened {
        assert!(store.await.unwrap().unwrap().history("x", 1).await.unwrap().is_empty());
    }
    assert!(folder.path().join("100% new?.db").exists());
    if let Some(url) = super::cluster::database().await {
        let opened: Vec<_> = (0..6).map(|_| open(url.clone())).collect();
        for store in opened {
            store.await.unwrap().unwrap();
        }
    }
}

#[tokio::test]
async fn what_cannot_be_opened_says_so_without_passwords() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("notes.txt");
    std::fs::write(&file, "this is no database, but long enough to be looked at ".repeat(40))
        .unwrap();
    let urls = [
        Store::sqlite_url(&folder.path().join("no/such/folder/ledger.db")),
        Store::sqlite_url(&file),
        "postgres://ann:hunter2@127.0.0.1:1/ledger".to_owned(),
        "postgres://127.0.0.1:1/ledger?password=hunter2".to_owned(),
        "mysql://ann:hunter2@localhost/ledger".to_owned(),
        "hunter2".to_owned(),
    ];
    for url in urls {
        let error = Store::open(&url).await.unwrap_err();
        assert!(matches!(error, Error::Open { .. }), "{url}: {error:?}");
        assert!(error.to_string().starts_with("cannot open the ledger"), "{error}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
    assert!(std::fs::read_to_string(&file).unwrap().starts_with("this is no database"));
}
