//! The end of one image in a night: result, verdict, intervals and last build in one transaction.

use sqlx::AnyConnection;

use super::column::{encode, int, key, maybe, text, time};
use super::{Error, ImageEnd, Result, Store, interval};
use crate::model::night::{ImageResult, Outcome};

/// No score, as it is bound: `NULLIF` makes it a null. A null bound as such would tell PostgreSQL
/// another type than a score does (sqlx 0.9 `Any` takes it for a `REAL`), and statements are cached.
const NO_SCORE: f64 = -1.0;

/// Which image of which pipeline, and how often it was judged.
pub(super) struct Head {
    /// The pipeline's name, as a key.
    pub(super) pipeline: String,
    /// The image's name, as a key.
    pub(super) image: String,
    /// The latest judgement, from 1; 0 for none.
    pub(super) seq: i64,
}

impl Store {
    /// Records the end of an image in one transaction. The first end stands: repeating it after a
    /// restart, or giving another one, changes nothing.
    ///
    /// With a verdict, the image's findings and packages become those of tonight; without one
    /// (failed, blocked, skipped) they stay as they were, open.
    ///
    /// # Errors
    /// [`Error::UnknownImage`] where the night did not plan it, [`Error::Ledger`].
    pub async fn finish_image(&self, night: &str, end: &ImageEnd<'_>) -> Result<()> {
        let night = key(night);
        let image = key(&end.result.name);
        let mut tx = self.begin().await?;
        let Some((pipeline, outcome)) = planned(tx.conn(), &night, &image).await? else {
            return Err(Error::UnknownImage { night, image });
        };
        if outcome.is_some() {
            return Ok(());
        }
        let verdict = verdict(tx.conn(), end).await?;
        let head = head(tx.conn(), pipeline, image, verdict.is_some()).await?;
        if !result(tx.conn(), &night, &head, end, verdict.as_deref()).await? {
            return Ok(());
        }
        if let (Some(body), Some(digest)) = (end.verdict, &verdict) {
            judgement(tx.conn(), &night, &head, end, digest).await?;
            interval::findings(tx.conn(), &head, &body.findings).await?;
            if let Some(inventory) = end.inventory {
                interval::components(tx.conn(), &head, &inventory.packages).await?;
            }
        }
        build(tx.conn(), &night, &head, end).await?;
        tx.commit().await
    }
}

async fn planned(
    conn: &mut AnyConnection,
    night: &str,
    image: &str,
) -> Result<Option<(String, Option<String>)>> {
    Ok(sqlx::query_as(
        "SELECT n.pipeline, i.outcome FROM night_images i JOIN nights n ON n.id = i.night \
         WHERE i.night = $1 AND i.image = $2",
    )
    .bind(night)
    .bind(image)
    .fetch_optional(conn)
    .await?)
}

/// Stores the verdict under the digest of its content, which it returns.
async fn verdict(conn: &mut AnyConnection, end: &ImageEnd<'_>) -> Result<Option<String>> {
    let Some(verdict) = end.verdict else { return Ok(None) };
    let body = encode("a verdict", verdict)?;
    let digest = super::column::mark([body.as_str()]);
    sqlx::query("INSERT INTO verdicts (digest, body) VALUES ($1, $2) ON CONFLICT DO NOTHING")
        .bind(&digest)
        .bind(body)
        .execute(conn)
        .await?;
    Ok(Some(digest))
}

/// Locks the image's head, and counts a judgement where there is one.
async fn head(
    conn: &mut AnyConnection,
    pipeline: String,
    image: String,
    judged: bool,
) -> Result<Head> {
    let seq = sqlx::query_scalar(
        "UPDATE images SET seq = seq + $1 WHERE pipeline = $2 AND image = $3 RETURNING seq",
    )
    .bind(i64::from(judged))
    .bind(&pipeline)
    .bind(&image)
    .fetch_one(conn)
    .await?;
    Ok(Head { pipeline, image, seq })
}

/// Writes the result; `false` where another one was faster.
async fn result(
    conn: &mut AnyConnection,
    night: &str,
    head: &Head,
    end: &ImageEnd<'_>,
    verdict: Option<&str>,
) -> Result<bool> {
    let result = &end.result;
    let done = sqlx::query(
        "UPDATE night_images SET ended = $1, outcome = $2, reason = $3, stage = $4, error = $5, \
         blocked_by = $6, held_by = $7, score = NULLIF($8, -1.0), grade = $9, digest = $10, \
         counts = $11, vulnerabilities = $12, took_ms = $13, build_key = $14, \
         result_owners = $15, sbom = $16, log = $17, verdict = $18, unassessed = $19, \
         warnings = $20, seq = $21 WHERE night = $22 AND image = $23 AND outcome IS NULL",
    )
    .bind(time(end.at))
    .bind(result.outcome.as_str())
    .bind(text(&result.reason))
    .bind(maybe(result.stage.as_deref()))
    .bind(maybe(result.error.as_deref()))
    .bind(maybe(result.blocked_by.as_deref()))
    .bind(encode("policy rules", &result.held_by)?)
    .bind(result.score.unwrap_or(NO_SCORE))
    .bind(maybe(result.grade.as_deref()))
    .bind(maybe(result.digest.as_deref()))
    .bind(encode("counts", &result.counts)?)
    .bind(int(result.counts.vulnerabilities()))
    .bind(int(result.took_ms))
    .bind(text(&result.key))
    .bind(encode("owners", &result.owners)?)
    .bind(maybe(result.sbom.as_deref()))
    .bind(maybe(result.log.as_deref()))
    .bind(verdict)
    .bind(encode("what was not assessed", &end.unassessed)?)
    .bind(encode("warnings", &end.warnings)?)
    .bind(head.seq)
    .bind(night)
    .bind(&head.image)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

async fn judgement(
    conn: &mut AnyConnection,
    night: &str,
    head: &Head,
    end: &ImageEnd<'_>,
    verdict: &str,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO judgements (pipeline, image, seq, night, at, digest, verdict) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(&head.pipeline)
    .bind(&head.image)
    .bind(head.seq)
    .bind(night)
    .bind(time(end.at))
    .bind(text(end.result.digest.as_deref().unwrap_or("")))
    .bind(verdict)
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes the build where one came out, else that the last attempt did not succeed.
async fn build(
    conn: &mut AnyConnection,
    night: &str,
    head: &Head,
    end: &ImageEnd<'_>,
) -> Result<()> {
    let ImageResult { outcome, key: build_key, digest, .. } = &end.result;
    let good = matches!(outcome, Outcome::Released | Outcome::Held | Outcome::Reused);
    if let (true, Some(parts), Some(digest)) = (good, &end.parts, digest) {
        sqlx::query(
            "UPDATE images SET build_night = $1, build_key = $2, build_parts = $3, \
             build_digest = $4 WHERE pipeline = $5 AND image = $6",
        )
        .bind(night)
        .bind(text(build_key))
        .bind(encode("what went into a build key", parts)?)
        .bind(text(digest))
        .bind(&head.pipeline)
        .bind(&head.image)
        .execute(&mut *conn)
        .await?;
    }
    if *outcome != Outcome::Skipped {
        sqlx::query("UPDATE images SET succeeded = $1 WHERE pipeline = $2 AND image = $3")
            .bind(i64::from(good))
            .bind(&head.pipeline)
            .bind(&head.image)
            .execute(conn)
            .await?;
    }
    Ok(())
}
