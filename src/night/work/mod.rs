//! One image of a night, from its inputs to its row in the ledger.

mod build;
mod judge;
mod record;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{Mutex, Semaphore, SemaphorePermit};

use super::prepare::Prepared;
use super::{Context, Error, Event, lock, on_demand_lane};
use crate::inventory::Known;
use crate::model::finding::Counts;
use crate::model::inventory::Inventory;
use crate::model::night::{ImageResult, Night, NightKind, Outcome};
use crate::model::plan::Planned;
use crate::model::source::{BrokenImage, Level, Violation};
use crate::model::text::plain;
use crate::model::verdict::Verdict;

/// The work of one night.
#[derive(Debug)]
pub(super) struct Work<'a> {
    ctx: &'a Context,
    night: &'a Night,
    prepared: &'a Prepared,
    /// As many builds at once as the pipeline allows.
    builds: Semaphore,
    /// While an image is read and judged, the next one may build.
    scans: Semaphore,
    /// Layers that an image of this night was read from before.
    known: Arc<Known>,
    /// Aliases of what this night's builds stand on, by image id.
    pins: Mutex<BTreeMap<String, String>>,
}

/// Why an image has no verdict: data, not an error of midwatch.
struct Failure {
    stage: String,
    error: String,
    log: Option<String>,
}

/// How far an image came.
enum Step<T> {
    Went(T),
    Failed(Failure),
}

/// Everything that judging an image gives.
struct Judged {
    inventory: Inventory,
    verdict: Verdict,
    unassessed: Vec<String>,
    sbom: String,
}

impl<'a> Work<'a> {
    pub fn new(ctx: &'a Context, night: &'a Night, prepared: &'a Prepared, jobs: usize) -> Self {
        let (builds, scans) = (Semaphore::new(jobs), Semaphore::new(jobs));
        Self { ctx, night, prepared, builds, scans, known: Arc::default(), pins: Mutex::default() }
    }

    /// Builds, scans, judges and records one image; `parents` are the ids it stands on.
    pub async fn image(
        &self,
        planned: &Planned,
        parents: BTreeMap<String, String>,
    ) -> Result<(ImageResult, Option<String>), Error> {
        let turn = self.turn(&self.builds).await?;
        let began = Instant::now();
        let reason = planned.reason.to_string();
        self.ctx.tell(Event::Started { image: planned.name.clone(), reason });
        let mut result = self.blank(planned);
        let image = self.prepared.images.get(&planned.name);
        let built = match (image, planned.reuse) {
            (None, _) => Step::Failed(Failure::new("source", "its folder is gone from the commit")),
            (Some(_), true) => {
                drop(turn);
                self.reuse(planned).await?
            }
            (Some(image), false) => self.built(planned, image, &parents, turn).await?,
        };
        let built = match built {
            Step::Went(built) => built,
            Step::Failed(failure) => {
                return Ok((self.failed(result, failure, began).await?, None));
            }
        };
        result.digest = Some(built.id.clone());
        result.log = built.log.clone();
        let turn = self.turn(&self.scans).await?;
        let judged = match self.judged(planned, &built.id).await? {
            Step::Went(judged) => judged,
            Step::Failed(failure) => {
                return Ok((self.failed(result, failure, began).await?, None));
            }
        };
        drop(turn);
        if let Err(error) = self.tag(planned, &built.id, judged.verdict.released).await {
            let failure = Failure::new("docker", &error.to_string());
            return Ok((self.failed(result, failure, began).await?, None));
        }
        result.took_ms = began.elapsed().as_millis() as u64;
        let result = self.record(planned, result, judged).await?;
        Ok((result, Some(built.id)))
    }

    /// Stores content, which waits for the disk, without holding up the other images.
    async fn put(&self, content: Vec<u8>) -> Result<String, Error> {
        let blobs = self.ctx.blobs.clone();
        Ok(tokio::task::spawn_blocking(move || blobs.put(&content)).await??)
    }

    async fn turn<'s>(&self, of: &'s Semaphore) -> Result<SemaphorePermit<'s>, Error> {
        tokio::select! {
            permit = of.acquire() => permit.map_err(|_| self.interrupted()),
            () = self.ctx.cancel.cancelled() => Err(self.interrupted()),
        }
    }

    /// Records an image whose parent has no image to stand on.
    pub async fn block(&self, planned: &Planned, by: &str) -> Result<(), Error> {
        let mut result = self.blank(planned);
        result.outcome = Outcome::Blocked;
        result.blocked_by = Some(by.to_owned());
        self.end(result, &[]).await
    }

    /// Records a folder that cannot become an image.
    pub async fn refuse(&self, broken: &BrokenImage) -> Result<(), Error> {
        let hard = broken.violations.iter().find(|it| it.severity == Level::Hard);
        let error = hard.or(broken.violations.first()).map_or_else(String::new, |violation| {
            let place = match violation.line {
                0 => violation.file.clone(),
                line => format!("{}:{line}", violation.file),
            };
            format!("{place}: {} ({}); {}", violation.message, violation.rule, violation.help)
        });
        let result = ImageResult {
            stage: Some("lint".into()),
            error: Some(plain(&error)),
            owners: broken.owners.clone(),
            ..empty(&broken.name, "cannot be planned")
        };
        self.end(result, &warnings(&broken.violations)).await
    }

    /// Removes what this program left on the daemon and nobody needs any more.
    pub async fn collect(&self) {
        let keep = match self.ctx.store.history(&self.night.pipeline, 1000).await {
            Ok(nights) => {
                let ids = nights.into_iter().map(|night| night.id);
                ids.take(self.ctx.pipeline.build.keep_nights as usize + 1).collect::<Vec<_>>()
            }
            Err(error) => return tracing::warn!(%error, "no garbage collected"),
        };
        match self.prepared.daemon.collect(&self.night.pipeline, &keep).await {
            Ok(gone) if gone.images > 0 => {
                tracing::info!(images = gone.images, bytes = gone.bytes, "old images removed");
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "no garbage collected"),
        }
    }

    /// After the night: pins, unless the other lane still builds on them, and garbage.
    pub async fn clean_up(&self) {
        let on_demand = self.night.kind == NightKind::OnDemand;
        if on_demand || !lock::idle(&self.ctx.data, &on_demand_lane(&self.night.pipeline)) {
            return;
        }
        if let Err(error) = self.prepared.daemon.sweep_pins(&self.ctx.pin_owner()).await {
            tracing::warn!(%error, "pins not removed");
        }
        self.collect().await;
    }

    fn blank(&self, planned: &Planned) -> ImageResult {
        let image = self.prepared.images.get(&planned.name);
        let maintainers = image.map(|image| image.manifest.maintainers.as_slice()).unwrap_or(&[]);
        ImageResult {
            key: planned.key.clone(),
            owners: maintainers.iter().filter_map(|person| person.email.clone()).collect(),
            ..empty(&planned.name, &planned.reason.to_string())
        }
    }

    fn step(&self, planned: &Planned, step: impl Into<String>) {
        self.ctx.tell(Event::Step { image: planned.name.clone(), step: step.into() });
    }

    fn interrupted(&self) -> Error {
        Error::Interrupted { pipeline: self.night.pipeline.clone(), night: self.night.id.clone() }
    }
}

impl Failure {
    fn new(stage: &str, error: &str) -> Self {
        Self { stage: stage.into(), error: plain(error), log: None }
    }
}

fn empty(name: &str, reason: &str) -> ImageResult {
    ImageResult {
        name: name.into(),
        outcome: Outcome::Failed,
        reason: reason.into(),
        stage: None,
        error: None,
        blocked_by: None,
        held_by: Vec::new(),
        score: None,
        grade: None,
        digest: None,
        counts: Counts::default(),
        took_ms: 0,
        key: String::new(),
        owners: Vec::new(),
        sbom: None,
        log: None,
    }
}

fn warnings(violations: &[Violation]) -> Vec<String> {
    violations
        .iter()
        .map(|it| format!("{}:{} {} {}", it.file, it.line, it.rule, it.message))
        .collect()
}
