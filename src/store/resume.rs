//! What a restarted midwatch needs to finish a night without doing anything twice.

use std::collections::BTreeMap;

use sqlx::FromRow;

use super::column::{count, decode, int, key, maybe, text};
use super::{BuiltMark, Error, Result, Store, Unfinished};

/// The part of a `nights` row that only resuming needs.
#[derive(FromRow)]
struct OrderRow {
    id: String,
    epoch: String,
    requested: String,
    with_dependants: i64,
    requested_by: Option<String>,
    pins: Option<String>,
}

/// A `night_images` row that has no end yet.
#[derive(FromRow)]
struct OpenRow {
    image: String,
    owners: String,
    broken: Option<String>,
    outcome: Option<String>,
    built_id: Option<String>,
    built_size: Option<i64>,
    built_log: Option<String>,
    built_ms: Option<i64>,
}

impl Store {
    /// Notes that an image was built, so that a restart goes on with its scan.
    ///
    /// # Errors
    /// [`Error::UnknownImage`], [`Error::Ledger`].
    pub async fn mark_built(&self, night: &str, image: &str, built: &BuiltMark) -> Result<()> {
        let mut tx = self.begin().await?;
        let done = sqlx::query(
            "UPDATE night_images SET built_id = $1, built_size = $2, built_log = $3, \
             built_ms = $4 WHERE night = $5 AND image = $6",
        )
        .bind(text(&built.id))
        .bind(int(built.size))
        .bind(maybe(built.log.as_deref()))
        .bind(int(built.took_ms))
        .bind(key(night))
        .bind(key(image))
        .execute(tx.conn())
        .await?;
        if done.rows_affected() == 0 {
            return Err(Error::UnknownImage { night: night.into(), image: image.into() });
        }
        tx.commit().await
    }

    /// The pipeline's latest night where it was interrupted: not on demand, neither ended nor
    /// given up. An older one that was never finished is not looked at.
    ///
    /// # Errors
    /// [`Error::Ledger`], [`Error::Inconsistent`].
    pub async fn interrupted(&self, pipeline: &str) -> Result<Option<Unfinished>> {
        let latest: Option<(String, Option<String>)> = sqlx::query_as(
            "SELECT id, ended FROM nights WHERE pipeline = $1 AND kind <> 'on-demand' \
             ORDER BY started DESC, id DESC LIMIT 1",
        )
        .bind(key(pipeline))
        .fetch_optional(&self.pool)
        .await?;
        match latest {
            Some((id, None)) => Ok(Some(self.unfinished(&id).await?)),
            _ => Ok(None),
        }
    }

    /// All on-demand nights of the pipeline that were interrupted, oldest first.
    ///
    /// # Errors
    /// [`Error::Ledger`], [`Error::Inconsistent`].
    pub async fn unfinished_on_demand(&self, pipeline: &str) -> Result<Vec<Unfinished>> {
        let ids: Vec<String> = sqlx::query_scalar(
            "SELECT id FROM nights WHERE pipeline = $1 AND kind = 'on-demand' \
             AND ended IS NULL ORDER BY started, id",
        )
        .bind(key(pipeline))
        .fetch_all(&self.pool)
        .await?;
        let mut nights = Vec::with_capacity(ids.len());
        for id in ids {
            nights.push(self.unfinished(&id).await?);
        }
        Ok(nights)
    }

    async fn unfinished(&self, id: &str) -> Result<Unfinished> {
        let order: OrderRow = sqlx::query_as(
            "SELECT id, epoch, requested, with_dependants, requested_by, pins \
             FROM nights WHERE id = $1",
        )
        .bind(id)
        .fetch_one(&self.pool)
        .await?;
        let pins =
            order.pins.as_deref().map(|pins| decode(pins, || format!("nights.pins of {id}")));
        let images = self.images(id).await?;
        let mut unfinished = Unfinished {
            night: self.known_night(id).await?,
            plan: self.plan_of(id).await?,
            requested: decode(&order.requested, || format!("nights.requested of {id}"))?,
            epoch: order.epoch,
            with_dependants: order.with_dependants != 0,
            requested_by: order.requested_by,
            pins: pins.transpose()?.unwrap_or_default(),
            broken: Vec::new(),
            owners: BTreeMap::new(),
            done: images.into_iter().map(|result| (result.name.clone(), result)).collect(),
            built: BTreeMap::new(),
        };
        for row in self.open_rows(&order.id).await? {
            row.add_to(&mut unfinished)?;
        }
        Ok(unfinished)
    }

    async fn open_rows(&self, night: &str) -> Result<Vec<OpenRow>> {
        Ok(sqlx::query_as(
            "SELECT image, owners, broken, outcome, built_id, built_size, built_log, built_ms \
             FROM night_images WHERE night = $1 ORDER BY position",
        )
        .bind(night)
        .fetch_all(&self.pool)
        .await?)
    }
}

impl OpenRow {
    fn add_to(self, unfinished: &mut Unfinished) -> Result<()> {
        let place = |column| format!("night_images.{column} of {}", self.image);
        let owners = decode(&self.owners, || place("owners"))?;
        unfinished.owners.insert(self.image.clone(), owners);
        if let Some(broken) = &self.broken {
            unfinished.broken.push(decode(broken, || place("broken"))?);
        }
        if let (None, Some(id)) = (self.outcome, self.built_id) {
            let mark = BuiltMark {
                id,
                size: count(self.built_size.unwrap_or(0)),
                log: self.built_log,
                took_ms: count(self.built_ms.unwrap_or(0)),
            };
            unfinished.built.insert(self.image, mark);
        }
        Ok(())
    }
}
