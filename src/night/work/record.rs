//! One image's end: its row in the ledger, and links to what it left.

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use super::super::{Context, Error, Event};
use super::{Failure, Judged, Work, warnings};
use crate::model::night::{ImageResult, Outcome};
use crate::model::plan::Planned;
use crate::store::ImageEnd;

impl Work<'_> {
    pub(super) async fn record(
        &self,
        planned: &Planned,
        mut result: ImageResult,
        judged: Judged,
    ) -> Result<ImageResult, Error> {
        let Judged { inventory, verdict, unassessed, sbom } = judged;
        result.outcome = match (verdict.released, planned.reuse) {
            (false, _) => Outcome::Held,
            (true, true) => Outcome::Reused,
            (true, false) => Outcome::Released,
        };
        result.held_by = match verdict.released {
            true => Vec::new(),
            false => {
                verdict.reasons.iter().map(|it| format!("{}: {}", it.rule, it.message)).collect()
            }
        };
        result.score = verdict.score.value;
        result.grade = Some(verdict.score.grade.clone());
        result.counts = verdict.counts;
        result.sbom = Some(sbom);
        self.keep(&result);
        let image = self.prepared.images.get(&planned.name);
        let end = ImageEnd {
            result: result.clone(),
            verdict: Some(&verdict),
            inventory: Some(&inventory),
            unassessed,
            warnings: image.map(|image| warnings(&image.violations)).unwrap_or_default(),
            parts: (!planned.reuse).then(|| planned.parts.clone()),
            at: self.ctx.clock.now(),
        };
        self.ctx.store.finish_image(&self.night.id, &end).await?;
        self.ctx.tell(Event::Finished(Box::new(result.clone())));
        Ok(result)
    }

    pub(super) async fn failed(
        &self,
        mut result: ImageResult,
        failure: Failure,
        began: Instant,
    ) -> Result<ImageResult, Error> {
        if self.ctx.cancel.is_cancelled() {
            return Err(self.interrupted());
        }
        result.stage = Some(failure.stage);
        result.error = Some(failure.error);
        result.took_ms = began.elapsed().as_millis() as u64;
        if let Some(log) = failure.log {
            result.log = Some(self.put(log.into_bytes()).await?);
        }
        let image = self.prepared.images.get(&result.name);
        let warnings = image.map(|image| warnings(&image.violations)).unwrap_or_default();
        self.end(result.clone(), &warnings).await?;
        Ok(result)
    }

    /// Records an end without a verdict.
    pub(super) async fn end(&self, result: ImageResult, warnings: &[String]) -> Result<(), Error> {
        self.keep(&result);
        let end = ImageEnd {
            result: result.clone(),
            verdict: None,
            inventory: None,
            unassessed: Vec::new(),
            warnings: warnings.to_vec(),
            parts: None,
            at: self.ctx.clock.now(),
        };
        self.ctx.store.finish_image(&self.night.id, &end).await?;
        self.ctx.tell(Event::Finished(Box::new(result)));
        Ok(())
    }

    /// Puts links to an image's SBOM and log where people look for them: `nights/ID/IMAGE/`.
    fn keep(&self, result: &ImageResult) {
        let folder = image_folder(self.ctx, &self.night.id, &result.name);
        let named = [(&result.sbom, "sbom.cdx.json"), (&result.log, "build.log")];
        for (digest, name) in named.into_iter().filter_map(|(it, name)| Some((it.as_ref()?, name)))
        {
            let linked =
                self.ctx.blobs.path(digest).map_err(std::io::Error::other).and_then(|blob| {
                    fs::create_dir_all(&folder)?;
                    let _ = fs::remove_file(folder.join(name));
                    fs::hard_link(blob, folder.join(name))
                });
            if let Err(error) = linked {
                tracing::warn!(%error, image = result.name, "no link to {name}");
            }
        }
    }
}

/// Where the links of one image of a night lie; a name's slashes become `_`.
fn image_folder(ctx: &Context, night: &str, image: &str) -> PathBuf {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
    let name: String = image.chars().map(plain).collect();
    ctx.data.join("nights").join(night).join(name.trim_start_matches('.'))
}
