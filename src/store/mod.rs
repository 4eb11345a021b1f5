//! The ledger: the only SQL, for SQLite and PostgreSQL alike, and the content store beside it.
//!
//! A night is a row opened first; every image's end is one transaction; the night's end and its
//! mails are one transaction. Findings and packages are kept as intervals over an image's
//! judgements, so a quiet night costs one row for each image however much it has inside.

mod blobs;
mod column;
mod diff;
mod error;
mod finish;
mod holder;
mod interval;
mod night;
mod notes;
mod outbox;
mod plan;
mod question;
mod record;
mod resume;
mod schedule;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{AnyConnection, AnyPool, Connection, Executor};
use tokio::sync::{Mutex, OwnedMutexGuard};

pub use blobs::Blobs;
pub use error::{Error, Result};
pub use notes::NightNotes;
pub use record::{
    BuiltMark, Claimed, Delivery, Diff, Holder, ImageDetail, ImageEnd, LastBuild, MailState,
    NewNight, OutboxMail, OutcomeMove, Schedule, TrendRow, Unfinished,
};

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("./migrations");

/// How long a statement waits for another process that writes.
const BUSY: Duration = Duration::from_secs(30);

/// The ledger; clones share one pool of connections.
#[derive(Debug, Clone)]
pub struct Store {
    pool: AnyPool,
    /// On SQLite: whose turn it is to write, so that writers of one process queue up fairly and
    /// only those of other processes are waited for by polling.
    turn: Option<Arc<Mutex<()>>>,
}

impl Store {
    /// Opens the ledger at `sqlite:///path/ledger.db` (made where it is missing) or
    /// `postgres://…`, and brings its schema up to date.
    ///
    /// # Errors
    /// [`Error::Open`], [`Error::Newer`] where a newer midwatch wrote it, [`Error::Migrate`].
    pub async fn open(url: &str) -> Result<Self> {
        sqlx::any::install_default_drivers();
        let shown = redacted(url);
        let sqlite = url.starts_with("sqlite:");
        let failed = |source| Error::Open { url: shown.clone(), source: Box::new(source) };
        let pool = connect(url, sqlite).await.map_err(failed)?;
        let store = Self { pool, turn: sqlite.then(Arc::default) };
        store.migrate(&shown).await?;
        Ok(store)
    }

    /// The address of an SQLite ledger in `file`.
    pub fn sqlite_url(file: &Path) -> String {
        let mut address = String::from("sqlite://");
        for c in file.to_string_lossy().chars() {
            match c {
                '%' | '?' | '#' | ' ' => address.push_str(&format!("%{:02X}", u32::from(c))),
                c => address.push(c),
            }
        }
        address
    }

    /// Waits for running statements and closes all connections.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    async fn migrate(&self, shown: &str) -> Result<()> {
        let known = MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0);
        // Fails where the table is missing, which means a fresh ledger.
        let found: Option<i64> = sqlx::query_scalar("SELECT MAX(version) FROM _sqlx_migrations")
            .fetch_one(&self.pool)
            .await
            .unwrap_or(None);
        match found {
            Some(found) if found > known => {
                return Err(Error::Newer { url: shown.to_owned(), found, known });
            }
            Some(found) if found == known => return Ok(()),
            _ => {}
        }
        let failed = |source| Error::Migrate { url: shown.to_owned(), source: Box::new(source) };
        if self.turn.is_none() {
            return MIGRATIONS.run(&self.pool).await.map_err(failed);
        }
        // The migrator's own lock does nothing on SQLite: two processes would both create tables.
        let mut tx = self.begin().await?;
        MIGRATIONS.run_direct(None, tx.conn(), false).await.map_err(failed)?;
        tx.commit().await
    }

    /// Begins a transaction that will write.
    async fn begin(&self) -> Result<Tx> {
        let turn = match &self.turn {
            Some(turn) => Some(Arc::clone(turn).lock_owned().await),
            None => None,
        };
        // On SQLite a plain BEGIN that reads before it writes fails under concurrent writers.
        let statement = if turn.is_some() { "BEGIN IMMEDIATE" } else { "BEGIN" };
        let inner = self.pool.begin_with(statement).await?;
        Ok(Tx { inner, _turn: turn })
    }
}

/// A transaction that writes; dropped, it leaves nothing behind.
struct Tx {
    inner: sqlx::Transaction<'static, sqlx::Any>,
    _turn: Option<OwnedMutexGuard<()>>,
}

impl Tx {
    fn conn(&mut self) -> &mut AnyConnection {
        &mut self.inner
    }

    async fn commit(self) -> Result<()> {
        Ok(self.inner.commit().await?)
    }
}

async fn connect(url: &str, sqlite: bool) -> Result<AnyPool, sqlx::Error> {
    let mut url = url.to_owned();
    if sqlite && !url.contains('?') {
        url.push_str("?mode=rwc");
    }
    let options = AnyConnectOptions::from_str(&url)?;
    probe(&options, sqlite).await?;
    let pool = AnyPoolOptions::new().acquire_timeout(BUSY * 2);
    if !sqlite {
        return pool.max_connections(10).connect_with(options).await;
    }
    let pool = pool.max_connections(5).test_before_acquire(false);
    pool.after_connect(|conn, _| Box::pin(prepare(conn))).connect_with(options).await
}

/// Connects once: the pool would try again for a minute before it says what is wrong.
async fn probe(options: &AnyConnectOptions, sqlite: bool) -> Result<(), sqlx::Error> {
    let mut conn = AnyConnection::connect_with(options).await?;
    let mut tries = 100;
    while sqlite && let Err(error) = prepare(&mut conn).await {
        // Turning WAL on does not wait for others that do the same at this moment.
        if !locked(&error) || tries == 0 {
            return Err(error);
        }
        tries -= 1;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    conn.close().await
}

/// Sets an SQLite connection up.
async fn prepare(conn: &mut AnyConnection) -> Result<(), sqlx::Error> {
    // FULL, not NORMAL: a power cut must not undo `sent` and cause a second mail.
    let pragmas = format!(
        "PRAGMA busy_timeout = {}; PRAGMA journal_mode = WAL; \
         PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON",
        BUSY.as_millis()
    );
    conn.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(pragmas))).await.map(drop)
}

fn locked(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| error.message().contains("locked"))
}

/// The address without its password.
fn redacted(url: &str) -> String {
    match url::Url::parse(url) {
        Ok(mut parsed) if parsed.password().is_some() => match parsed.set_password(None) {
            Ok(()) => parsed.to_string(),
            Err(()) => String::from("(address withheld)"),
        },
        Ok(parsed) if parsed.query().is_some_and(|q| q.contains("password")) => {
            String::from("(address withheld)")
        }
        Ok(_) => url.to_owned(),
        Err(_) => String::from("(not an address)"),
    }
}
