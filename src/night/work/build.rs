//! The build of one image: disk, inputs, bases, the order to the daemon, and its names afterwards.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::Error;
use tokio::sync::SemaphorePermit;

use super::super::prepare::referenced;
use super::{Failure, Step, Work};
use crate::build::{self, Daemon, FetchSettings, Fetched};
use crate::model::build::{BuildEnd, BuildJob};
use crate::model::manifest::{Resource, ResourceKind};
use crate::model::night::NightKind;
use crate::model::pipeline::Cache;
use crate::model::plan::{BaseTarget, Planned};
use crate::model::source::ImageSource;
use crate::plan;
use crate::store::BuiltMark;

impl Work<'_> {
    /// The build that stands since an earlier night.
    pub(super) async fn reuse(&self, planned: &Planned) -> Result<Step<BuiltMark>, Error> {
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

    /// A build of tonight: the one an interrupted process finished, or a new one; `turn` is
    /// given back when the daemon is done.
    pub(super) async fn built(
        &self,
        planned: &Planned,
        image: &ImageSource,
        parents: &BTreeMap<String, String>,
        turn: SemaphorePermit<'_>,
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
        drop(turn);
        match ended {
            Ok(BuildEnd::Built(built)) => {
                let log = self.put(built.log.into_bytes()).await?;
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
            limits: spec.limits(),
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
    pub(super) async fn tag(
        &self,
        planned: &Planned,
        id: &str,
        released: bool,
    ) -> Result<(), build::Error> {
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
