//! Nights: opened first, closed last, and the questions about them as a whole.

use chrono::{DateTime, Utc};
use sqlx::{AnyConnection, FromRow};

use super::column::{count, encode, instant, int, key, maybe, spelled, text, time};
use super::{Error, NewNight, OutboxMail, Result, Store, TrendRow, column, outbox};
use crate::model::night::{Night, NightFeeds, Outcome};

/// A row of `nights` as far as [`Night`] needs it.
#[derive(FromRow)]
pub(super) struct NightRow {
    id: String,
    pipeline: String,
    kind: String,
    commit_id: String,
    started: String,
    ended: Option<String>,
    error: Option<String>,
    feeds: String,
    planned: i64,
    released: i64,
    held: i64,
    failed: i64,
    blocked: i64,
    reused: i64,
    skipped: i64,
}

/// The columns of [`NightRow`].
macro_rules! night_columns {
    () => {
        "id, pipeline, kind, commit_id, started, ended, error, feeds, \
         planned, released, held, failed, blocked, reused, skipped"
    };
}

impl NightRow {
    /// The night.
    pub(super) fn night(self) -> Result<Night> {
        let place = |column: &str| format!("nights.{column} of {}", self.id);
        let ended = self.ended.as_deref().map(|text| instant(text, || place("ended")));
        Ok(Night {
            kind: spelled(&self.kind, || place("kind"))?,
            started: instant(&self.started, || place("started"))?,
            ended: ended.transpose()?,
            feeds: column::decode(&self.feeds, || place("feeds"))?,
            id: self.id,
            pipeline: self.pipeline,
            commit: self.commit_id,
            error: self.error,
            planned: count(self.planned),
            released: count(self.released),
            held: count(self.held),
            failed: count(self.failed),
            blocked: count(self.blocked),
            reused: count(self.reused),
            skipped: count(self.skipped),
        })
    }
}

impl Store {
    /// Opens a night: its row is there before anything else happens.
    ///
    /// # Errors
    /// [`Error::Ledger`], also where the id is taken.
    pub async fn open_night(&self, night: &NewNight) -> Result<()> {
        let mut tx = self.begin().await?;
        sqlx::query(
            "INSERT INTO nights (id, pipeline, kind, commit_id, started, epoch, requested, \
             with_dependants, requested_by, feeds, \
             planned, released, held, failed, blocked, reused, skipped) \
             VALUES ($1, $2, $3, '', $4, $5, $6, $7, $8, $9, 0, 0, 0, 0, 0, 0, 0)",
        )
        .bind(key(&night.id))
        .bind(key(&night.pipeline))
        .bind(night.kind.as_str())
        .bind(time(night.started))
        .bind(text(&night.epoch))
        .bind(encode("the requested images", &night.requested)?)
        .bind(i64::from(night.with_dependants))
        .bind(maybe(night.requested_by.as_deref()))
        .bind(encode("the feeds", &NightFeeds::default())?)
        .execute(tx.conn())
        .await?;
        tx.commit().await
    }

    /// Notes the commit of the night's source.
    ///
    /// # Errors
    /// [`Error::UnknownNight`], [`Error::Ledger`].
    pub async fn set_source(&self, night: &str, commit: &str) -> Result<()> {
        let mut tx = self.begin().await?;
        let done = sqlx::query("UPDATE nights SET commit_id = $1 WHERE id = $2")
            .bind(text(commit))
            .bind(key(night))
            .execute(tx.conn())
            .await?;
        if done.rows_affected() == 0 {
            return Err(Error::UnknownNight { night: night.to_owned() });
        }
        tx.commit().await
    }

    /// Ends a night whose images all have their end, together with its mails, and tallies it.
    /// Closing it again keeps its end and adds only mails that are not there yet.
    ///
    /// # Errors
    /// [`Error::UnknownNight`], [`Error::Incomplete`], [`Error::Ledger`].
    pub async fn close_night(
        &self,
        night: &str,
        ended: DateTime<Utc>,
        mails: &[OutboxMail],
    ) -> Result<Night> {
        let mut tx = self.begin().await?;
        let mut closed = load(tx.conn(), night).await?;
        let outcomes = outcomes(tx.conn(), night).await?;
        closed.planned = outcomes.len() as u64;
        closed.tally(&outcomes);
        closed.ended.get_or_insert(ended);
        save(tx.conn(), &closed).await?;
        outbox::insert(tx.conn(), mails).await?;
        tx.commit().await?;
        Ok(closed)
    }

    /// Gives a night up with the reason, together with its mails; images without an end stay so.
    /// A night that has ended is left as it is.
    ///
    /// # Errors
    /// [`Error::UnknownNight`], [`Error::Ledger`].
    pub async fn fail_night(
        &self,
        night: &str,
        ended: DateTime<Utc>,
        error: &str,
        mails: &[OutboxMail],
    ) -> Result<Night> {
        let mut tx = self.begin().await?;
        let mut failed = load(tx.conn(), night).await?;
        if failed.ended.is_none() {
            failed.ended = Some(ended);
            failed.error = Some(text(error));
            save(tx.conn(), &failed).await?;
        }
        outbox::insert(tx.conn(), mails).await?;
        tx.commit().await?;
        Ok(failed)
    }

    /// The latest nights of a pipeline, latest first, of every kind, running and failed ones too.
    ///
    /// # Errors
    /// [`Error::Ledger`], [`Error::Inconsistent`].
    pub async fn history(&self, pipeline: &str, limit: u32) -> Result<Vec<Night>> {
        let rows: Vec<NightRow> = sqlx::query_as(concat!(
            "SELECT ",
            night_columns!(),
            " FROM nights WHERE pipeline = $1 ORDER BY started DESC, id DESC LIMIT $2"
        ))
        .bind(key(pipeline))
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter().map(NightRow::night).collect()
    }

    /// One night.
    ///
    /// # Errors
    /// [`Error::Ledger`], [`Error::Inconsistent`].
    pub async fn night(&self, id: &str) -> Result<Option<Night>> {
        let mut conn = self.pool.acquire().await?;
        find(&mut conn, id).await
    }

    /// The pipeline's latest night that ended by itself: neither on demand, nor given up.
    ///
    /// # Errors
    /// [`Error::Ledger`], [`Error::Inconsistent`].
    pub async fn latest_night(&self, pipeline: &str) -> Result<Option<Night>> {
        Ok(self.full_nights(pipeline, 1).await?.pop())
    }

    /// The night to compare with: the latest one of the same pipeline that began before `night`
    /// and ended by itself, not on demand.
    ///
    /// # Errors
    /// [`Error::UnknownNight`], [`Error::Ledger`], [`Error::Inconsistent`].
    pub async fn night_before(&self, night: &str) -> Result<Option<Night>> {
        let this = self.known_night(night).await?;
        let row: Option<NightRow> = sqlx::query_as(concat!(
            "SELECT ",
            night_columns!(),
            " FROM nights WHERE pipeline = $1 AND kind <> 'on-demand' AND ended IS NOT NULL \
             AND error IS NULL AND (started < $2 OR (started = $2 AND id < $3)) \
             ORDER BY started DESC, id DESC LIMIT 1"
        ))
        .bind(this.pipeline)
        .bind(time(this.started))
        .bind(this.id)
        .fetch_optional(&self.pool)
        .await?;
        row.map(NightRow::night).transpose()
    }

    /// The feeds as the night saw them.
    ///
    /// # Errors
    /// [`Error::UnknownNight`], [`Error::Ledger`], [`Error::Inconsistent`].
    pub async fn feeds_of(&self, night: &str) -> Result<NightFeeds> {
        Ok(self.known_night(night).await?.feeds)
    }

    /// The last `nights` nights that ended by themselves, not on demand, oldest first.
    ///
    /// # Errors
    /// [`Error::Ledger`], [`Error::Inconsistent`].
    pub async fn trend(&self, pipeline: &str, nights: u32) -> Result<Vec<TrendRow>> {
        let mut rows = Vec::new();
        for night in self.full_nights(pipeline, nights).await?.into_iter().rev() {
            let (score, vulnerabilities): (Option<f64>, Option<i64>) = sqlx::query_as(
                "SELECT AVG(score), CAST(SUM(vulnerabilities) AS BIGINT) \
                 FROM night_images WHERE night = $1",
            )
            .bind(&night.id)
            .fetch_one(&self.pool)
            .await?;
            rows.push(TrendRow {
                night,
                score,
                vulnerabilities: count(vulnerabilities.unwrap_or(0)),
            });
        }
        Ok(rows)
    }

    /// The night, which must be there.
    pub(super) async fn known_night(&self, night: &str) -> Result<Night> {
        let found = self.night(night).await?;
        found.ok_or_else(|| Error::UnknownNight { night: night.to_owned() })
    }

    async fn full_nights(&self, pipeline: &str, limit: u32) -> Result<Vec<Night>> {
        let rows: Vec<NightRow> = sqlx::query_as(concat!(
            "SELECT ",
            night_columns!(),
            " FROM nights WHERE pipeline = $1 AND kind <> 'on-demand' AND ended IS NOT NULL \
             AND error IS NULL ORDER BY started DESC, id DESC LIMIT $2"
        ))
        .bind(key(pipeline))
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter().map(NightRow::night).collect()
    }
}

async fn find(conn: &mut AnyConnection, id: &str) -> Result<Option<Night>> {
    let sql = concat!("SELECT ", night_columns!(), " FROM nights WHERE id = $1");
    let row: Option<NightRow> = sqlx::query_as(sql).bind(key(id)).fetch_optional(conn).await?;
    row.map(NightRow::night).transpose()
}

/// The night, which must be there.
pub(super) async fn load(conn: &mut AnyConnection, id: &str) -> Result<Night> {
    find(conn, id).await?.ok_or_else(|| Error::UnknownNight { night: id.to_owned() })
}

async fn outcomes(conn: &mut AnyConnection, night: &str) -> Result<Vec<Outcome>> {
    let rows: Vec<(String, Option<String>)> = sqlx::query_as(
        "SELECT image, outcome FROM night_images WHERE night = $1 ORDER BY position",
    )
    .bind(key(night))
    .fetch_all(conn)
    .await?;
    let missing = rows.iter().filter(|(_, outcome)| outcome.is_none()).count();
    rows.into_iter()
        .map(|(image, outcome)| match outcome {
            Some(outcome) => spelled(&outcome, || format!("night_images of {night}, {image}")),
            None => Err(Error::Incomplete { night: night.to_owned(), missing, image }),
        })
        .collect()
}

async fn save(conn: &mut AnyConnection, night: &Night) -> Result<()> {
    sqlx::query(
        "UPDATE nights SET ended = $1, error = $2, planned = $3, released = $4, held = $5, \
         failed = $6, blocked = $7, reused = $8, skipped = $9 WHERE id = $10",
    )
    .bind(night.ended.map(time))
    .bind(night.error.as_deref())
    .bind(int(night.planned))
    .bind(int(night.released))
    .bind(int(night.held))
    .bind(int(night.failed))
    .bind(int(night.blocked))
    .bind(int(night.reused))
    .bind(int(night.skipped))
    .bind(&night.id)
    .execute(conn)
    .await?;
    Ok(())
}
