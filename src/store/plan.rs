//! The plan of a night: one row for each image before the first build begins.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::{AnyConnection, AssertSqlSafe};

use super::column::{decode, encode, key, pieces, placeholders, text};
use super::{Error, Result, Store, night};
use crate::model::night::{Night, NightFeeds, NightKind};
use crate::model::plan::{Plan, Planned};
use crate::model::source::BrokenImage;

/// A row of `night_images` before its end.
struct PlannedRow {
    image: String,
    plan: Option<String>,
    broken: Option<String>,
    owners: String,
}

impl Store {
    /// Records the plan in one transaction: a row for each planned image, then one for each broken
    /// folder. `owners` are mail addresses by image, `pins` image ids by reference.
    ///
    /// Returns `broken` under names that are unique in the night (`name (folder)` where the name is
    /// taken): the names that [`Store::finish_image`] expects.
    ///
    /// # Errors
    /// [`Error::UnknownNight`], [`Error::Planned`] where the night has a plan, [`Error::Ledger`].
    pub async fn set_plan(
        &self,
        night: &str,
        plan: &Plan,
        broken: &[BrokenImage],
        owners: &BTreeMap<String, Vec<String>>,
        pins: &BTreeMap<String, String>,
        feeds: &NightFeeds,
    ) -> Result<Vec<BrokenImage>> {
        let broken = renamed(plan, broken);
        let rows = rows(plan, &broken, owners)?;
        let mut tx = self.begin().await?;
        let opened = night::load(tx.conn(), night).await?;
        save(tx.conn(), &opened.id, plan, pins, feeds, rows.len()).await?;
        insert(tx.conn(), &opened.id, &rows).await?;
        heads(tx.conn(), &opened, &rows).await?;
        tx.commit().await?;
        Ok(broken)
    }

    /// The plan of a night; `None` before it has one.
    ///
    /// # Errors
    /// [`Error::UnknownNight`], [`Error::Ledger`], [`Error::Inconsistent`].
    pub async fn plan_of(&self, night: &str) -> Result<Option<Plan>> {
        let row: Option<(Option<String>, Option<String>)> =
            sqlx::query_as("SELECT plan_commit, outside FROM nights WHERE id = $1")
                .bind(key(night))
                .fetch_optional(&self.pool)
                .await?;
        let (commit, outside) = match row {
            None => return Err(Error::UnknownNight { night: night.to_owned() }),
            Some((Some(commit), Some(outside))) => (commit, outside),
            Some(_) => return Ok(None),
        };
        let plans: Vec<(String, String)> = sqlx::query_as(
            "SELECT image, plan FROM night_images WHERE night = $1 AND plan IS NOT NULL \
             ORDER BY position",
        )
        .bind(key(night))
        .fetch_all(&self.pool)
        .await?;
        let planned = |(image, plan): (String, String)| {
            decode::<Planned>(&plan, || format!("night_images.plan of {night}, {image}"))
        };
        Ok(Some(Plan {
            commit,
            images: plans.into_iter().map(planned).collect::<Result<_>>()?,
            outside: decode(&outside, || format!("nights.outside of {night}"))?,
        }))
    }
}

/// Broken images under names that neither the plan nor another one of them has.
fn renamed(plan: &Plan, broken: &[BrokenImage]) -> Vec<BrokenImage> {
    let mut taken: BTreeSet<String> = plan.images.iter().map(|image| key(&image.name)).collect();
    let mut named = Vec::with_capacity(broken.len());
    for image in broken {
        let mut image = image.clone();
        let wanted = format!("{} ({})", image.name, image.folder);
        let numbered = (2..).map(|n| format!("{wanted} {n}"));
        let names = [key(&image.name), key(&wanted)].into_iter().chain(numbered.map(|n| key(&n)));
        image.name = names.into_iter().find(|name| !taken.contains(name)).unwrap_or(wanted);
        taken.insert(image.name.clone());
        named.push(image);
    }
    named
}

fn rows(
    plan: &Plan,
    broken: &[BrokenImage],
    owners: &BTreeMap<String, Vec<String>>,
) -> Result<Vec<PlannedRow>> {
    let none = Vec::new();
    let planned = plan.images.iter().map(|image| {
        Ok(PlannedRow {
            image: key(&image.name),
            plan: Some(encode("a planned image", image)?),
            broken: None,
            owners: encode("owners", owners.get(&image.name).unwrap_or(&none))?,
        })
    });
    let broken = broken.iter().map(|image| {
        Ok(PlannedRow {
            image: key(&image.name),
            plan: None,
            broken: Some(encode("a broken image", image)?),
            owners: encode("owners", &image.owners)?,
        })
    });
    planned.chain(broken).collect()
}

async fn save(
    conn: &mut AnyConnection,
    night: &str,
    plan: &Plan,
    pins: &BTreeMap<String, String>,
    feeds: &NightFeeds,
    planned: usize,
) -> Result<()> {
    let done = sqlx::query(
        "UPDATE nights SET plan_commit = $1, outside = $2, pins = $3, feeds = $4, planned = $5 \
         WHERE id = $6 AND plan_commit IS NULL",
    )
    .bind(text(&plan.commit))
    .bind(encode("outside bases", &plan.outside)?)
    .bind(encode("pins", pins)?)
    .bind(encode("the feeds", feeds)?)
    .bind(planned as i64)
    .bind(night)
    .execute(conn)
    .await?;
    match done.rows_affected() {
        0 => Err(Error::Planned { night: night.to_owned() }),
        _ => Ok(()),
    }
}

async fn insert(conn: &mut AnyConnection, night: &str, rows: &[PlannedRow]) -> Result<()> {
    let mut position = 0i64;
    for piece in pieces(rows) {
        let sql = format!(
            "INSERT INTO night_images (night, image, position, plan, broken, owners, seq) VALUES {}",
            placeholders(piece.len(), 7)
        );
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for row in piece {
            query = query
                .bind(night)
                .bind(&row.image)
                .bind(position)
                .bind(row.plan.as_deref())
                .bind(row.broken.as_deref())
                .bind(&row.owners)
                .bind(0i64);
            position += 1;
        }
        query.execute(&mut *conn).await?;
    }
    Ok(())
}

/// Notes which images the pipeline has. An on-demand night knows only some of them.
async fn heads(conn: &mut AnyConnection, night: &Night, rows: &[PlannedRow]) -> Result<()> {
    let mut present: BTreeMap<String, bool> = BTreeMap::new();
    if night.kind != NightKind::OnDemand {
        let before: Vec<String> =
            sqlx::query_scalar("SELECT image FROM images WHERE pipeline = $1 AND present = 1")
                .bind(&night.pipeline)
                .fetch_all(&mut *conn)
                .await?;
        present.extend(before.into_iter().map(|image| (image, false)));
    }
    present.extend(rows.iter().map(|row| (row.image.clone(), true)));
    // Sorted, so that two nights lock the rows in the same order.
    let heads: Vec<(String, bool)> = present.into_iter().collect();
    for piece in pieces(&heads) {
        let sql = format!(
            "INSERT INTO images (pipeline, image, present, seq, build_night, build_key, \
             build_parts, build_digest) VALUES {} \
             ON CONFLICT (pipeline, image) DO UPDATE SET present = excluded.present",
            placeholders(piece.len(), 8)
        );
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for (image, present) in piece {
            query = query.bind(&night.pipeline).bind(image).bind(i64::from(*present)).bind(0i64);
            query = query.bind("").bind("").bind("").bind("");
        }
        query.execute(&mut *conn).await?;
    }
    Ok(())
}
