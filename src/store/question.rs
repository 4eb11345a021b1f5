//! Questions about the images of a night and of a pipeline.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::FromRow;

use super::column::{count, decode, instant, key, spelled};
use super::{Error, ImageDetail, LastBuild, Result, Store};
use crate::model::finding::Finding;
use crate::model::night::ImageResult;
use crate::model::verdict::Verdict;

/// A row of `night_images` that has its end.
#[derive(FromRow)]
struct ResultRow {
    image: String,
    outcome: String,
    reason: String,
    stage: Option<String>,
    error: Option<String>,
    blocked_by: Option<String>,
    held_by: String,
    score: Option<f64>,
    grade: Option<String>,
    digest: Option<String>,
    counts: String,
    took_ms: i64,
    build_key: String,
    result_owners: String,
    sbom: Option<String>,
    log: Option<String>,
}

impl ResultRow {
    fn result(self) -> Result<ImageResult> {
        let place = |column: &str| format!("night_images.{column} of {}", self.image);
        Ok(ImageResult {
            outcome: spelled(&self.outcome, || place("outcome"))?,
            held_by: decode(&self.held_by, || place("held_by"))?,
            counts: decode(&self.counts, || place("counts"))?,
            owners: decode(&self.result_owners, || place("result_owners"))?,
            name: self.image,
            reason: self.reason,
            stage: self.stage,
            error: self.error,
            blocked_by: self.blocked_by,
            score: self.score,
            grade: self.grade,
            digest: self.digest,
            took_ms: count(self.took_ms),
            key: self.build_key,
            sbom: self.sbom,
            log: self.log,
        })
    }
}

/// What lies behind the result.
#[derive(FromRow)]
struct DetailRow {
    image: String,
    body: Option<String>,
    unassessed: Option<String>,
    warnings: Option<String>,
}

impl DetailRow {
    fn detail(self) -> Result<ImageDetail> {
        let place = |column: &str| format!("night_images.{column} of {}", self.image);
        let list = |text: Option<&str>, column: &str| match text {
            Some(text) => decode(text, || place(column)),
            None => Ok(Vec::new()),
        };
        let verdict = self.body.as_deref().map(|body| decode(body, || place("verdict")));
        Ok(ImageDetail {
            verdict: verdict.transpose()?,
            unassessed: list(self.unassessed.as_deref(), "unassessed")?,
            warnings: list(self.warnings.as_deref(), "warnings")?,
            image: self.image,
        })
    }
}

/// The last build of an image.
#[derive(FromRow)]
struct BuildRow {
    image: String,
    build_night: String,
    build_key: String,
    build_parts: String,
    build_digest: String,
    succeeded: i64,
}

impl Store {
    /// The results of the night's images that have their end, in plan order.
    ///
    /// # Errors
    /// [`Error::Ledger`], [`Error::Inconsistent`].
    pub async fn images(&self, night: &str) -> Result<Vec<ImageResult>> {
        let rows: Vec<ResultRow> = sqlx::query_as(
            "SELECT image, outcome, reason, stage, error, blocked_by, held_by, score, grade, \
             digest, counts, took_ms, build_key, result_owners, sbom, log FROM night_images \
             WHERE night = $1 AND outcome IS NOT NULL ORDER BY position",
        )
        .bind(key(night))
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter().map(ResultRow::result).collect()
    }

    /// Verdicts and remarks of all images of the night, in plan order.
    ///
    /// # Errors
    /// [`Error::Ledger`], [`Error::Inconsistent`].
    pub async fn details(&self, night: &str) -> Result<Vec<ImageDetail>> {
        let rows: Vec<DetailRow> = sqlx::query_as(
            "SELECT i.image, v.body, i.unassessed, i.warnings FROM night_images i \
             LEFT JOIN verdicts v ON v.digest = i.verdict WHERE i.night = $1 ORDER BY i.position",
        )
        .bind(key(night))
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter().map(DetailRow::detail).collect()
    }

    /// Verdicts of earlier nights that stood for images which this night could not judge, by image.
    ///
    /// # Errors
    /// [`Error::Ledger`], [`Error::Inconsistent`].
    pub async fn earlier_verdicts(&self, night: &str) -> Result<BTreeMap<String, Verdict>> {
        let rows: Vec<(String, String)> = sqlx::query_as(
            "SELECT i.image, v.body FROM night_images i JOIN nights n ON n.id = i.night \
             JOIN judgements j ON j.pipeline = n.pipeline AND j.image = i.image AND j.seq = i.seq \
             JOIN verdicts v ON v.digest = j.verdict WHERE i.night = $1 AND i.verdict IS NULL",
        )
        .bind(key(night))
        .fetch_all(&self.pool)
        .await?;
        let verdict = |(image, body): (String, String)| {
            let place = || format!("verdict that stands for {image} in {night}");
            let verdict = decode(&body, place)?;
            Ok((image, verdict))
        };
        rows.into_iter().map(verdict).collect()
    }

    /// Verdict and remarks of one image.
    ///
    /// # Errors
    /// [`Error::UnknownImage`], [`Error::Ledger`], [`Error::Inconsistent`].
    pub async fn detail(&self, night: &str, image: &str) -> Result<ImageDetail> {
        let row: Option<DetailRow> = sqlx::query_as(
            "SELECT i.image, v.body, i.unassessed, i.warnings FROM night_images i \
             LEFT JOIN verdicts v ON v.digest = i.verdict WHERE i.night = $1 AND i.image = $2",
        )
        .bind(key(night))
        .bind(key(image))
        .fetch_optional(&self.pool)
        .await?;
        let unknown = || Error::UnknownImage { night: night.into(), image: image.into() };
        row.ok_or_else(unknown)?.detail()
    }

    /// The night's own verdict on an image, exactly as it was given; `None` where it was not judged.
    ///
    /// # Errors
    /// As [`Store::detail`].
    pub async fn verdict(&self, night: &str, image: &str) -> Result<Option<Verdict>> {
        Ok(self.detail(night, image).await?.verdict)
    }

    /// The findings of an image as the night judged them; none where it was not judged.
    ///
    /// # Errors
    /// As [`Store::detail`].
    pub async fn image_findings(&self, night: &str, image: &str) -> Result<Vec<Finding>> {
        Ok(self.verdict(night, image).await?.map(|verdict| verdict.findings).unwrap_or_default())
    }

    /// What could not be assessed of an image.
    ///
    /// # Errors
    /// As [`Store::detail`].
    pub async fn unassessed(&self, night: &str, image: &str) -> Result<Vec<String>> {
        Ok(self.detail(night, image).await?.unassessed)
    }

    /// Soft lint violations of an image.
    ///
    /// # Errors
    /// As [`Store::detail`].
    pub async fn warnings(&self, night: &str, image: &str) -> Result<Vec<String>> {
        Ok(self.detail(night, image).await?.warnings)
    }

    /// The findings that stand on an image: fingerprint → when it was first seen. One that was
    /// gone in between counts from its return.
    ///
    /// # Errors
    /// [`Error::Ledger`], [`Error::Inconsistent`].
    pub async fn first_seen(
        &self,
        pipeline: &str,
        image: &str,
    ) -> Result<BTreeMap<String, DateTime<Utc>>> {
        let rows: Vec<(String, String)> = sqlx::query_as(
            "SELECT f.fingerprint, j.at FROM findings f \
             JOIN judgements j ON j.pipeline = f.pipeline AND j.image = f.image \
             AND j.seq = f.from_seq \
             WHERE f.pipeline = $1 AND f.image = $2 AND f.until_seq IS NULL",
        )
        .bind(key(pipeline))
        .bind(key(image))
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter()
            .map(|(fingerprint, at)| {
                let at = instant(&at, || format!("judgements.at of {pipeline}, {image}"))?;
                Ok((fingerprint, at))
            })
            .collect()
    }

    /// The last builds of the pipeline's images; images that were never tried stay out.
    ///
    /// # Errors
    /// [`Error::Ledger`], [`Error::Inconsistent`].
    pub async fn last_builds(&self, pipeline: &str) -> Result<BTreeMap<String, LastBuild>> {
        let rows: Vec<BuildRow> = sqlx::query_as(
            "SELECT image, build_night, build_key, build_parts, build_digest, succeeded \
             FROM images WHERE pipeline = $1 AND succeeded IS NOT NULL",
        )
        .bind(key(pipeline))
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter().map(BuildRow::build).collect()
    }
}

impl BuildRow {
    fn build(self) -> Result<(String, LastBuild)> {
        let parts = match self.build_parts.as_str() {
            "" => Default::default(),
            parts => decode(parts, || format!("images.build_parts of {}", self.image))?,
        };
        let build = LastBuild {
            night: self.build_night,
            key: self.build_key,
            parts,
            digest: self.build_digest,
            succeeded: self.succeeded != 0,
        };
        Ok((self.image, build))
    }
}
