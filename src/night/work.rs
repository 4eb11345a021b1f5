//! One image of a night, from its inputs to its row in the ledger.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, Semaphore, SemaphorePermit};

use super::prepare::{Prepared, referenced};
use super::{Context, Error, Event, lock, on_demand_lane};
use crate::build::{self, Daemon, FetchSettings, Fetched};
use crate::inventory::{self, Known, Limits as ReadLimits, SbomMeta};
use crate::judge::{self, JudgeInput};
use crate::model::build::{BuildEnd, BuildJob, Limits};
use crate::model::finding::Counts;
use crate::model::inventory::{FileSeen, Inventory};
use crate::model::manifest::{Resource, ResourceKind};
use crate::model::night::{ImageResult, Night, NightKind, Outcome};
use crate::model::pipeline::Cache;
use crate::model::plan::{BaseTarget, Planned};
use crate::model::source::{BrokenImage, ImageSource, Level};
use crate::model::text::plain;
use crate::model::verdict::Verdict;
use crate::plan;
use crate::scan::checks;
use crate::scan::matching::{self, Matches};
use crate::store::{BuiltMark, ImageEnd};

/// What no image could be matched against.
const NO_FEEDS: &str = "no advisory data: run `midwatch feeds import PATH…`";

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
            (Some(_), true) => self.reuse(planned).await?,
            (Some(image), false) => self.built(planned, image, &parents).await?,
        };
        drop(turn);
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

    /// The build that stands since an earlier night.
    async fn reuse(&self, planned: &Planned) -> Result<Step<BuiltMark>, Error> {
        let last = self.prepared.last.get(&planned.name);
        let id = last.map(|last| last.digest.clone()).unwrap_or_default();
        Ok(match self.prepared.daemon.inspect(&id).await {
            Ok(Some(facts)) => {
                Step::Went(BuiltMark { id, size: facts.size, log: None, took_ms: 0 })
            }
            Ok(None) => Step::Failed(Failure::new("reuse", "the image to reuse is gone")),
            Err(error) => Step::Failed(Failure::new("docker", &error.to_string())),
        })
    }

    /// A build of tonight: the one an interrupted process finished, or a new one.
    async fn built(
        &self,
        planned: &Planned,
        image: &ImageSource,
        parents: &BTreeMap<String, String>,
    ) -> Result<Step<BuiltMark>, Error> {
        if let Some(mark) = self.prepared.built.get(&planned.name)
            && matches!(self.prepared.daemon.inspect(&mark.id).await, Ok(Some(_)))
        {
            return Ok(Step::Went(mark.clone()));
        }
        if let Some(failure) = self.no_disk().await {
            return Ok(Step::Failed(failure));
        }
        self.step(planned, "inputs");
        let inputs = match self.inputs(&planned.inputs).await? {
            Step::Went(inputs) => inputs,
            Step::Failed(failure) => return Ok(Step::Failed(failure)),
        };
        let job = match self.job(planned, image, parents, inputs).await? {
            Step::Went(job) => job,
            Step::Failed(failure) => return Ok(Step::Failed(failure)),
        };
        let progress = |line: String| self.step(planned, line);
        let daemon = &self.prepared.daemon;
        let mut ended = daemon.build(&job, &progress, &self.ctx.cancel).await;
        if matches!(&ended, Err(error) if error.transient()) && self.daemon_is_back().await {
            ended = daemon.build(&job, &progress, &self.ctx.cancel).await;
        }
        match ended {
            Ok(BuildEnd::Built(built)) => {
                let log = self.ctx.blobs.put(built.log.as_bytes())?;
                let (id, size, took_ms) = (built.id, built.size, built.took_ms);
                let mark = BuiltMark { id, size, log: Some(log), took_ms };
                self.ctx.store.mark_built(&self.night.id, &planned.name, &mark).await?;
                Ok(Step::Went(mark))
            }
            Ok(BuildEnd::Failed { stage, error, log }) => {
                Ok(Step::Failed(Failure { stage, error, log: Some(log) }))
            }
            Ok(BuildEnd::Cancelled) => Err(self.interrupted()),
            Err(_) if self.ctx.cancel.is_cancelled() => Err(self.interrupted()),
            Err(error) => Ok(Step::Failed(Failure::new("docker", &error.to_string()))),
        }
    }

    /// Waits a while for a daemon that restarts.
    async fn daemon_is_back(&self) -> bool {
        for _ in 0..12 {
            if Daemon::connect(self.prepared.daemon.host()).await.is_ok() {
                return !self.ctx.cancel.is_cancelled();
            }
            tokio::select! {
                () = tokio::time::sleep(Duration::from_secs(5)) => {}
                () = self.ctx.cancel.cancelled() => return false,
            }
        }
        false
    }

    fn interrupted(&self) -> Error {
        Error::Interrupted { pipeline: self.night.pipeline.clone(), night: self.night.id.clone() }
    }

    /// Admission by free space, where the daemon keeps images and where midwatch writes.
    async fn no_disk(&self) -> Option<Failure> {
        let least = self.ctx.pipeline.build.min_free_disk.0;
        let short = || {
            let here = build::free_bytes(&self.ctx.data).ok();
            let free = [self.prepared.daemon.free_disk(), here].into_iter().flatten().min()?;
            (free < least).then_some(free)
        };
        short()?;
        self.collect().await;
        let free = short()?;
        Some(Failure::new(
            "disk",
            &format!(
                "{} MB are free, build.min-free-disk asks for {}: make room on the Docker host, \
                 or lower the limit",
                free / 1_000_000,
                self.ctx.pipeline.build.min_free_disk
            ),
        ))
    }

    async fn inputs(&self, resources: &[Resource]) -> Result<Step<Vec<Fetched>>, Error> {
        let build = &self.ctx.pipeline.build;
        let files = resources.iter().filter(|it| matches!(it.kind, ResourceKind::File(_)));
        let files: Vec<Resource> = files.cloned().collect();
        let settings = FetchSettings {
            store: self.ctx.data.join("inputs"),
            mirrors: build.mirrors.clone(),
            tries: build.fetch_tries,
            max_bytes: build.max_resource.0,
            credentials: self.ctx.input_credentials.clone(),
            timeout: build.fetch_timeout.0,
        };
        let fetched = match build::fetch(&files, &settings, &self.ctx.cancel).await {
            Ok(fetched) => fetched,
            Err(_) if self.ctx.cancel.is_cancelled() => return Err(self.interrupted()),
            Err(error) => return Ok(Step::Failed(Failure::new("inputs", &error.to_string()))),
        };
        for image in resources.iter().filter(|it| matches!(it.kind, ResourceKind::Image(_))) {
            let progress = |_: String| {};
            let (pull, cancel) = (build.pull, &self.ctx.cancel);
            let daemon = &self.prepared.daemon;
            match daemon.fetch_image(image, pull, &self.ctx.logins, &progress, cancel).await {
                Ok(_) => {}
                Err(_) if self.ctx.cancel.is_cancelled() => return Err(self.interrupted()),
                Err(error) => return Ok(Step::Failed(Failure::new("inputs", &error.to_string()))),
            }
        }
        Ok(Step::Went(fetched))
    }

    async fn job(
        &self,
        planned: &Planned,
        image: &ImageSource,
        parents: &BTreeMap<String, String>,
        inputs: Vec<Fetched>,
    ) -> Result<Step<BuildJob>, Error> {
        let mut aliases = BTreeMap::new();
        for base in &planned.bases {
            let id = match &base.target {
                BaseTarget::Image(name) => parents.get(name).cloned(),
                BaseTarget::Outside(reference) => self.prepared.pins.get(reference).cloned(),
                BaseTarget::Resource(tag) => Some(tag.clone()),
            };
            let Some(id) = id else {
                return Ok(Step::Failed(self.no_base(&base.target)));
            };
            let alias = match self.pin(&id).await {
                Ok(alias) => alias,
                Err(error) => {
                    return Ok(Step::Failed(Failure::new("base", &error.to_string())));
                }
            };
            aliases.insert(key_of(&base.target), alias);
        }
        let reference_of = |target: &BaseTarget| aliases.get(&key_of(target)).cloned();
        let spec = &self.ctx.pipeline.build;
        Ok(Step::Went(BuildJob {
            image: planned.name.clone(),
            dir: self.prepared.checkout.dir.join(&image.folder),
            context: image.context.clone(),
            dockerfile: plan::pin(&image.dockerfile, &planned.bases, &reference_of),
            inputs: inputs.into_iter().map(|input| (input.name, input.path)).collect(),
            args: planned.args.clone(),
            labels: self.labels(planned, image, parents),
            tags: vec![self.held_name(planned)],
            platform: planned.platform.clone(),
            network: spec.network.clone(),
            builder: spec.builder,
            cache: self.cache(planned),
            limits: Limits {
                time: spec.time_limit.0,
                memory: spec.memory.map(|size| size.0),
                milli_cpus: spec.cpus.map(|cpus| (cpus * 1000.0) as u64),
                log_bytes: spec.log_limit.0 as usize,
            },
        }))
    }

    /// The alias of a base: many images stand on one, and the daemon is asked once.
    async fn pin(&self, id: &str) -> Result<String, build::Error> {
        let mut pins = self.pins.lock().await;
        if let Some(alias) = pins.get(id) {
            return Ok(alias.clone());
        }
        let alias = self.prepared.daemon.pin(id, &self.ctx.pin_owner()).await?;
        pins.insert(id.to_owned(), alias.clone());
        Ok(alias)
    }

    fn no_base(&self, target: &BaseTarget) -> Failure {
        let text = match target {
            BaseTarget::Image(name) => format!("base {name} of this repository was never built"),
            BaseTarget::Resource(tag) => format!("resource image {tag} is not on the daemon"),
            BaseTarget::Outside(reference) => {
                let outside = self.prepared.plan.outside.iter();
                let error =
                    outside.filter(|it| it.reference == *reference).find_map(|it| it.error.clone());
                format!("base {reference}: {}", error.unwrap_or_else(|| "not available".into()))
            }
        };
        Failure::new("base", &text)
    }

    /// A new cache epoch each night; within a day, an on-demand rebuild may use what is there.
    fn cache(&self, planned: &Planned) -> bool {
        let today = self.night.started.format("%Y%m%d").to_string();
        let last = self.prepared.last.get(&planned.name);
        let on_demand = self.night.kind == NightKind::OnDemand;
        match self.ctx.pipeline.build.cache {
            Cache::Always => true,
            Cache::Never => false,
            Cache::Nightly => on_demand && last.is_some_and(|last| last.night.starts_with(&today)),
        }
    }

    fn labels(
        &self,
        planned: &Planned,
        image: &ImageSource,
        parents: &BTreeMap<String, String>,
    ) -> BTreeMap<String, String> {
        let mut labels = image.manifest.labels.clone();
        let mut set = |key: &str, value: String| drop(labels.insert(key.to_owned(), value));
        let created = self.night.started.format("%Y-%m-%dT%H:%M:%SZ").to_string();
        set("org.opencontainers.image.created", created);
        set("org.opencontainers.image.source", clean_url(&self.ctx.pipeline.source.url));
        set("org.opencontainers.image.revision", self.prepared.checkout.commit.clone());
        set("io.midwatch.pipeline", self.night.pipeline.clone());
        set("io.midwatch.night", self.night.id.clone());
        set("io.midwatch.key", planned.key.clone());
        let last = planned.bases.iter().rev().find(|base| base.last);
        let parent = last.map(|base| match &base.target {
            BaseTarget::Image(name) => {
                let tags = self.prepared.planned(name).map(|it| it.tags.as_slice()).unwrap_or(&[]);
                let tag = tags.first().cloned().unwrap_or_else(|| name.clone());
                parents.get(name).map_or(tag.clone(), |id| format!("{tag}@{id}"))
            }
            BaseTarget::Outside(name) => referenced(&self.prepared.plan.outside, name),
            BaseTarget::Resource(name) => name.clone(),
        });
        if let Some(parent) = parent {
            set("mil.dso.ironbank.image.parent", parent);
        }
        labels
    }

    /// The name under which an image waits for its verdict, and stays where it is held.
    fn held_name(&self, planned: &Planned) -> String {
        match planned.tags.first() {
            Some(tag) => format!("{tag}.held"),
            None => format!("{}/{}:held", self.ctx.pipeline.build.registry, planned.name),
        }
    }

    /// The published tags move to what is released, and only to that.
    async fn tag(&self, planned: &Planned, id: &str, released: bool) -> Result<(), build::Error> {
        let daemon = &self.prepared.daemon;
        let held = self.held_name(planned);
        if !released {
            daemon.tag(id, &held).await?;
            // A reused image may have been released under another policy.
            for tag in &planned.tags {
                if daemon.inspect(tag).await?.is_some_and(|facts| facts.id == id) {
                    daemon.remove(tag).await?;
                }
            }
            return Ok(());
        }
        for tag in &planned.tags {
            daemon.tag(id, tag).await?;
        }
        daemon.remove(&held).await?;
        Ok(())
    }

    /// Inventory, scan and verdict of an image that the daemon has.
    async fn judged(&self, planned: &Planned, id: &str) -> Result<Step<Judged>, Error> {
        self.step(planned, "inventory");
        let (secrets, feeds) = (self.ctx.secrets.clone(), self.ctx.feeds.clone());
        let known = self.known.clone();
        let digest = id.to_owned();
        let target = planned.tags.first().cloned().unwrap_or_else(|| planned.name.clone());
        let daemon = self.prepared.daemon.clone();
        let unpacked = daemon.unpacked(id).await;
        let runtime = tokio::runtime::Handle::current();
        let scanned = tokio::task::spawn_blocking(move || {
            let inspect = |file: &FileSeen<'_>| secrets.inspect(file);
            let limits = ReadLimits::default();
            let near = unpacked.map(|it| inventory::unpacked(&it, &limits, &inspect, &known));
            let mut inventory = match near {
                Some(Ok(inventory)) => inventory,
                _ => {
                    let reader = runtime.block_on(daemon.export_reader(&digest))?;
                    inventory::export(reader, &limits, &inspect, &known)?
                }
            };
            inventory.digest = digest;
            inventory.target = target;
            let mut findings = inventory.secrets.clone();
            findings.extend(secrets.environment(&inventory.config));
            findings.extend(checks::checks(&inventory));
            let matches = match feeds {
                Some(feeds) => matching::vulnerabilities(&inventory, feeds.as_ref()),
                None => Matches { unassessed: vec![NO_FEEDS.into()], ..Matches::default() },
            };
            findings.extend(matches.findings);
            Ok::<_, Error>((inventory, findings, matches.unassessed))
        })
        .await?;
        let (inventory, findings, mut unassessed) = match scanned {
            Ok(scanned) => scanned,
            Err(_) if self.ctx.cancel.is_cancelled() => return Err(self.interrupted()),
            Err(error) => {
                return Ok(Step::Failed(Failure::new("inventory", &error.to_string())));
            }
        };
        unassessed.extend(inventory.gaps.iter().map(|gap| match gap.path.as_str() {
            "" => format!("{}: {}", gap.kind, gap.reason),
            path => format!("{} {path}: {}", gap.kind, gap.reason),
        }));
        self.step(planned, "judge");
        let (pipeline, name) = (&self.night.pipeline, &planned.name);
        let first_seen = self.ctx.store.first_seen(pipeline, name).await?;
        let verdict = judge::judge(JudgeInput {
            image: name,
            folder: &planned.folder,
            tags: &planned.tags,
            digest: id,
            findings,
            inventory: &inventory,
            statements: &self.prepared.statements,
            policy: &self.ctx.pipeline.policy,
            freshness: self.prepared.feeds.freshness,
            first_seen: &|fingerprint| first_seen.get(fingerprint).copied(),
            bases: &self.prepared.bases(name),
            unassessed: &unassessed,
            now: self.night.started,
        });
        let sbom = self.ctx.blobs.put(self.sbom(planned, &inventory)?.as_bytes())?;
        Ok(Step::Went(Judged { inventory, verdict, unassessed, sbom }))
    }

    fn sbom(&self, planned: &Planned, inventory: &Inventory) -> Result<String, Error> {
        let version = planned.tags.first().and_then(|tag| tag.rsplit_once(':'));
        let meta = SbomMeta {
            name: planned.tags.first().unwrap_or(&planned.name).clone(),
            version: version.map(|(_, version)| version.to_owned()).unwrap_or_default(),
            timestamp: self.night.started,
            serial: serial(&self.night.id, &planned.name),
            tool_version: env!("CARGO_PKG_VERSION").into(),
        };
        Ok(inventory::cyclonedx(inventory, &meta)?.to_string())
    }

    async fn record(
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

    async fn failed(
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
            result.log = Some(self.ctx.blobs.put(log.as_bytes())?);
        }
        let image = self.prepared.images.get(&result.name);
        let warnings = image.map(|image| warnings(&image.violations)).unwrap_or_default();
        self.end(result.clone(), &warnings).await?;
        Ok(result)
    }

    /// Records an end without a verdict.
    async fn end(&self, result: ImageResult, warnings: &[String]) -> Result<(), Error> {
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

impl Failure {
    fn new(stage: &str, error: &str) -> Self {
        Self { stage: stage.into(), error: plain(error), log: None }
    }
}

/// Where the links of one image of a night lie; a name's slashes become `_`.
fn image_folder(ctx: &Context, night: &str, image: &str) -> PathBuf {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
    let name: String = image.chars().map(plain).collect();
    ctx.data.join("nights").join(night).join(name.trim_start_matches('.'))
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

fn warnings(violations: &[crate::model::source::Violation]) -> Vec<String> {
    violations
        .iter()
        .map(|it| format!("{}:{} {} {}", it.file, it.line, it.rule, it.message))
        .collect()
}

fn key_of(target: &BaseTarget) -> (u8, String) {
    match target {
        BaseTarget::Image(name) => (0, name.clone()),
        BaseTarget::Outside(name) => (1, name.clone()),
        BaseTarget::Resource(name) => (2, name.clone()),
    }
}

/// An address without credentials.
fn clean_url(text: &str) -> String {
    match url::Url::parse(text) {
        Ok(mut url) => {
            let _ = url.set_password(None);
            let _ = url.set_username("");
            url.to_string()
        }
        Err(_) => text.to_owned(),
    }
}

/// A UUID that depends on the night and the image alone, in the shape of RFC 9562, version 8.
fn serial(night: &str, image: &str) -> String {
    use sha2::{Digest, Sha256};
    let mut hash = Sha256::new();
    hash.update(night.as_bytes());
    hash.update([0]);
    hash.update(image.as_bytes());
    let mut bytes: [u8; 32] = hash.finalize().into();
    bytes[6] = (bytes[6] & 0x0f) | 0x80;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex = hex::encode(&bytes[..16]);
    let (a, b, c) = (&hex[..8], &hex[8..12], &hex[12..16]);
    format!("urn:uuid:{a}-{b}-{c}-{}-{}", &hex[16..20], &hex[20..])
}
