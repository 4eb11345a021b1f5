//! What differs between two nights.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::FromRow;

use super::column::{decode, key, spelled};
use super::{Diff, OutcomeMove, Result, Store};
use crate::model::finding::Finding;
use crate::model::night::Outcome;
use crate::model::verdict::Verdict;

/// An image of one of the nights, with the verdict that stands after that night.
#[derive(FromRow)]
struct StandingRow {
    image: String,
    outcome: Option<String>,
    score: Option<f64>,
    verdict: Option<String>,
}

impl Store {
    /// What differs between two nights. An image that a night could not judge counts with the
    /// verdict that stood; one that a night did not plan has no findings to compare, so its
    /// leaving the repository fixes nothing, while all findings of a new one are new.
    ///
    /// # Errors
    /// [`super::Error::UnknownNight`], [`super::Error::Ledger`], [`super::Error::Inconsistent`].
    pub async fn diff(&self, earlier: &str, later: &str) -> Result<Diff> {
        let mut before = self.standing(earlier).await?;
        let mut diff = Diff::default();
        for (image, after) in self.standing(later).await? {
            let old = before.remove(&image);
            self.compare(old, after, &mut diff).await?;
        }
        for (image, old) in before {
            let before = outcome(old.outcome.as_deref(), earlier)?;
            diff.outcomes.push(OutcomeMove { image, before, after: None });
        }
        Ok(diff)
    }

    async fn standing(&self, night: &str) -> Result<BTreeMap<String, StandingRow>> {
        self.known_night(night).await?;
        let rows: Vec<StandingRow> = sqlx::query_as(
            "SELECT i.image, i.outcome, i.score, j.verdict FROM night_images i \
             JOIN nights n ON n.id = i.night LEFT JOIN judgements j \
             ON j.pipeline = n.pipeline AND j.image = i.image AND j.seq = i.seq \
             WHERE i.night = $1",
        )
        .bind(key(night))
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().map(|row| (row.image.clone(), row)).collect())
    }

    async fn compare(
        &self,
        before: Option<StandingRow>,
        after: StandingRow,
        diff: &mut Diff,
    ) -> Result<()> {
        let image = &after.image;
        let old = match &before {
            Some(row) => outcome(row.outcome.as_deref(), image)?,
            None => None,
        };
        let new = outcome(after.outcome.as_deref(), image)?;
        if old != new {
            diff.outcomes.push(OutcomeMove { image: image.clone(), before: old, after: new });
        }
        if let Some(row) = before.as_ref().filter(|row| row.score != after.score) {
            diff.scores.push((image.clone(), row.score, after.score));
        }
        let old = before.and_then(|row| row.verdict);
        if let Some(digest) = after.verdict.filter(|digest| old.as_ref() != Some(digest)) {
            let old = match old {
                Some(digest) => self.findings(&digest).await?,
                None => Vec::new(),
            };
            findings(image, &old, &self.findings(&digest).await?, diff);
        }
        Ok(())
    }

    async fn findings(&self, digest: &str) -> Result<Vec<Finding>> {
        let body: String = sqlx::query_scalar("SELECT body FROM verdicts WHERE digest = $1")
            .bind(digest)
            .fetch_one(&self.pool)
            .await?;
        Ok(decode::<Verdict>(&body, || format!("verdicts.body of {digest}"))?.findings)
    }
}

fn outcome(text: Option<&str>, place: &str) -> Result<Option<Outcome>> {
    text.map(|text| spelled(text, || format!("night_images.outcome of {place}"))).transpose()
}

/// Compares by fingerprint; of several findings with one fingerprint the first stands for all.
fn findings(image: &str, before: &[Finding], after: &[Finding], diff: &mut Diff) {
    let mut old: BTreeMap<String, &Finding> = BTreeMap::new();
    for finding in before {
        old.entry(finding.fingerprint()).or_insert(finding);
    }
    let mut seen = BTreeSet::new();
    for finding in after {
        let fingerprint = finding.fingerprint();
        match old.get(&fingerprint) {
            _ if seen.contains(&fingerprint) => {}
            None => diff.new.push((image.to_owned(), finding.clone())),
            Some(was) if was.status != finding.status => {
                diff.status.push((image.to_owned(), (*was).clone(), finding.clone()));
            }
            Some(_) => {}
        }
        seen.insert(fingerprint);
    }
    for finding in before {
        let fingerprint = finding.fingerprint();
        if old.remove(&fingerprint).is_some() && !seen.contains(&fingerprint) {
            diff.fixed.push((image.to_owned(), finding.clone()));
        }
    }
}
