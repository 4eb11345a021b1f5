//! From an open night to what must be done: source, bases, plan, feeds; written to the ledger at once.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Context, Error, Event, Opened, Start, night_feeds};
use crate::build::{self, Daemon, ImageFacts};
use crate::model::advisory::Freshness;
use crate::model::night::{ImageResult, NightFeeds};
use crate::model::pipeline::{Pull, StaleFeeds};
use crate::model::plan::{BaseTarget, Outside, Plan, Planned};
use crate::model::source::{BrokenImage, ImageSource};
use crate::model::statement::{Statement, StatementCheck};
use crate::plan::{LastBuild, PlanInput, ResolvedBase};
use crate::source::{Checkout, Contents};
use crate::store::{self, BuiltMark, NightNotes};
use crate::{judge, plan, source};

/// Why a night does not get to its images.
pub(super) enum Halt {
    /// The night cannot be done as a whole; recorded and mailed.
    Stop(String),
    /// midwatch failed or was interrupted; the night stays open.
    Failed(Error),
}

impl<E: Into<Error>> From<E> for Halt {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// A night that is ready for its images.
#[derive(Debug)]
pub(super) struct Prepared {
    pub daemon: Daemon,
    pub checkout: Checkout,
    pub images: BTreeMap<String, ImageSource>,
    pub broken: Vec<BrokenImage>,
    pub statements: Vec<Statement>,
    /// Statements that break the format's rules.
    pub invalid: Vec<StatementCheck>,
    pub plan: Plan,
    /// Outside reference → image id.
    pub pins: BTreeMap<String, String>,
    pub feeds: NightFeeds,
    pub done: BTreeMap<String, ImageResult>,
    pub built: BTreeMap<String, BuiltMark>,
    /// Image ids of earlier builds and of what is done tonight.
    pub ids: BTreeMap<String, String>,
    pub last: BTreeMap<String, store::LastBuild>,
    /// What the report must say.
    pub remarks: Vec<String>,
}

impl Prepared {
    /// The plan's entry of an image.
    pub fn planned(&self, name: &str) -> Result<&Planned, Error> {
        self.plan.images.iter().find(|planned| planned.name == name).ok_or_else(|| Error::Stopped {
            night: String::new(),
            reason: format!("{name} is not in the plan"),
        })
    }

    /// Outside references that an image stands on, through its parents too.
    pub fn bases(&self, name: &str) -> Vec<String> {
        let mut bases = std::collections::BTreeSet::new();
        let mut open = vec![name.to_owned()];
        let mut seen = std::collections::BTreeSet::new();
        while let Some(name) = open.pop() {
            let Ok(planned) = self.planned(&name) else { continue };
            for base in &planned.bases {
                match &base.target {
                    BaseTarget::Outside(reference) => drop(bases.insert(reference.clone())),
                    BaseTarget::Image(parent) if seen.insert(parent.clone()) => {
                        open.push(parent.clone());
                    }
                    _ => {}
                }
            }
        }
        bases.into_iter().collect()
    }

    /// What the ledger keeps of the night as a whole.
    pub fn notes(&self, ctx: &Context, ids: &BTreeMap<String, String>) -> NightNotes {
        let subjects: Vec<judge::Subject<'_>> = self
            .plan
            .images
            .iter()
            .map(|planned| judge::Subject {
                name: &planned.name,
                folder: &planned.folder,
                tags: &planned.tags,
                digest: ids.get(&planned.name).map_or("", String::as_str),
            })
            .collect();
        let mut statements = self.invalid.clone();
        statements.extend(judge::unmatched(&self.statements, &subjects));
        NightNotes {
            statements,
            outside: self.plan.outside.clone(),
            policy: judge::describe_policy(&ctx.pipeline.policy),
            remarks: self.remarks.clone(),
        }
    }
}

pub(super) async fn prepare(
    ctx: &Context,
    opened: &Opened,
    start: &Start,
    work_dir: &Path,
) -> Result<Prepared, Halt> {
    let night = &opened.night;
    let unfinished = opened.unfinished.as_ref();
    // What a killed process was still fetching.
    if let Err(error) = build::sweep(&ctx.data.join("inputs")) {
        tracing::warn!(%error, "unfinished inputs not removed");
    }
    let daemon = connect(ctx).await?;
    let feeds = night_feeds(ctx, night.started);
    if ctx.pipeline.policy.stale_feeds == StaleFeeds::Refuse && feeds.freshness != Freshness::Fresh
    {
        return Err(Halt::Stop(refusal(ctx, &feeds)));
    }
    let at = unfinished.map(|_| night.commit.clone()).filter(|commit| !commit.is_empty());
    let (checkout, contents) = fetch_source(ctx, at, work_dir).await?;
    ctx.tell(Event::Source { commit: checkout.commit.clone() });
    ctx.store.set_source(&night.id, &checkout.commit).await?;
    if contents.images.is_empty() && contents.broken.is_empty() {
        return Err(Halt::Stop(format!(
            "no image in {} at commit {}: no folder holds a hardening_manifest.yaml",
            ctx.pipeline.source.url, checkout.commit
        )));
    }
    let last = ctx.store.last_builds(&ctx.pipeline.name).await?;
    let mut remarks = match start {
        Start::Scheduled { notes } => notes.clone(),
        _ => Vec::new(),
    };
    let build = &ctx.pipeline.build;
    remarks.extend(daemon.limits_gap(build.builder, &build.limits()));
    let (plan, pins, broken) = match unfinished.and_then(|unfinished| unfinished.plan.clone()) {
        Some(plan) => {
            let unfinished = unfinished.map(|it| (it.pins.clone(), it.broken.clone()));
            let (pins, broken) = unfinished.unwrap_or_default();
            (plan, pins, broken)
        }
        None => {
            let bases = Bases::resolve(ctx, &daemon, &contents).await?;
            remarks.extend(bases.remarks.clone());
            let plan = draw(ctx, &daemon, &checkout, &contents, &bases, &last, start).await?;
            let broken = concerned(contents.broken.clone(), start);
            let owners = owners(&contents.images);
            let pins = bases.pins();
            let broken =
                ctx.store.set_plan(&night.id, &plan, &broken, &owners, &pins, &feeds).await?;
            (plan, pins, broken)
        }
    };
    let owner = ctx.pin_owner();
    for (reference, id) in &pins {
        // A base that went away since costs the images on it, each with its own words.
        if let Err(error) = daemon.pin(id, &owner).await {
            tracing::warn!(reference, %error, "base not pinned");
        }
    }
    let names = plan.images.iter().map(|planned| planned.name.clone());
    let names: Vec<String> = names.chain(broken.iter().map(|broken| broken.name.clone())).collect();
    let done = unfinished.map(|unfinished| unfinished.done.clone()).unwrap_or_default();
    ctx.tell(Event::Planned { images: names, done: done.len() });
    let (statements, invalid) = statements(&contents);
    let unread = contents.violations.iter();
    remarks.extend(unread.map(|it| format!("{}: {}; {}", it.file, it.message, it.help)));
    Ok(Prepared {
        ids: known_ids(&last, &done),
        images: contents.images.into_iter().map(|image| (image.name.clone(), image)).collect(),
        built: unfinished.map(|unfinished| unfinished.built.clone()).unwrap_or_default(),
        daemon,
        checkout,
        broken,
        statements,
        invalid,
        plan,
        pins,
        feeds,
        done,
        last,
        remarks,
    })
}

/// The plan of the branch as it stands, for `midwatch plan`; nothing is recorded or built.
///
/// # Errors
/// Where the source cannot be had or makes no plan.
pub async fn preview(ctx: &Context) -> Result<(Plan, Vec<BrokenImage>), Error> {
    let folder = tempfile::tempdir().map_err(Error::io("no folder for the checkout"))?;
    let daemon = match Daemon::connect(&ctx.docker_host).await {
        Ok(daemon) => Some(daemon),
        Err(error) => {
            tracing::warn!(%error, "bases and reasons are planned without the daemon's word");
            None
        }
    };
    let halted = |halt| match halt {
        Halt::Stop(reason) => Error::Unplannable { reason },
        Halt::Failed(error) => error,
    };
    let (checkout, contents) =
        fetch_source(ctx, None, &folder.path().join("source")).await.map_err(halted)?;
    let last = ctx.store.last_builds(&ctx.pipeline.name).await?;
    let start = Start::Manual { fresh: true };
    let (bases, platform_of) = match &daemon {
        Some(daemon) => {
            (Bases::resolve(ctx, daemon, &contents).await.map_err(halted)?, Some(daemon))
        }
        None => (Bases::unknown(ctx, &contents)?, None),
    };
    let plan = plan_of(ctx, platform_of, &checkout, &contents, &bases, &last, &start).await?;
    Ok((plan, contents.broken))
}

async fn connect(ctx: &Context) -> Result<Daemon, Halt> {
    let pause = std::time::Duration::from_secs(2);
    for _ in 0..2 {
        match Daemon::connect(&ctx.docker_host).await {
            Ok(daemon) => return Ok(daemon),
            Err(error) if !error.transient() => return Err(Halt::Stop(error.to_string())),
            // A daemon that restarts at midnight is no reason to lose the night.
            Err(_) => tokio::time::sleep(pause).await,
        }
    }
    Daemon::connect(&ctx.docker_host).await.map_err(|error| Halt::Stop(error.to_string()))
}

fn refusal(ctx: &Context, feeds: &NightFeeds) -> String {
    match (feeds.freshness, feeds.oldest_hours) {
        (Freshness::Stale, Some(hours)) => format!(
            "the advisory data is {} days old, policy.max-feed-age-days is {}, and \
             policy.stale-feeds is \"refuse\": run `midwatch feeds import`",
            hours / 24,
            ctx.pipeline.policy.feed_age_days()
        ),
        _ => "there is no advisory data, and policy.stale-feeds is \"refuse\": run \
              `midwatch feeds import`"
            .into(),
    }
}

async fn fetch_source(
    ctx: &Context,
    at: Option<String>,
    work_dir: &Path,
) -> Result<(Checkout, Contents), Halt> {
    let spec = ctx.pipeline.source.clone();
    let credentials = ctx.source_credentials.clone();
    let (cache, work) = (ctx.data.join("cache/git"), work_dir.to_owned());
    let stopped = Arc::new(AtomicBool::new(false));
    let task = {
        let stopped = stopped.clone();
        tokio::task::spawn_blocking(move || {
            let checkout =
                source::checkout(&spec, credentials, &cache, &work, at.as_deref(), &stopped)?;
            let contents = source::read(&checkout.dir, &spec)?;
            Ok::<_, source::Error>((checkout, contents))
        })
    };
    let watch = async {
        ctx.cancel.cancelled().await;
        stopped.store(true, Ordering::Relaxed);
        std::future::pending::<()>().await
    };
    let ended = tokio::select! {
        ended = task => ended?,
        () = watch => unreachable!("the watch never ends"),
    };
    match ended {
        Err(error) if ctx.cancel.is_cancelled() => Err(Halt::Failed(error.into())),
        Err(error) => Err(Halt::Stop(format!("source: {error}"))),
        Ok(found) => Ok(found),
    }
}

/// Outside bases as the daemon has them tonight.
#[derive(Debug, Default)]
struct Bases {
    resolved: BTreeMap<String, ResolvedBase>,
    on_build: BTreeMap<String, Vec<String>>,
    remarks: Vec<String>,
    /// What registries said of the base at hand.
    refusals: Vec<String>,
}

impl Bases {
    async fn resolve(ctx: &Context, daemon: &Daemon, contents: &Contents) -> Result<Self, Halt> {
        let platform = daemon.about().platform.clone();
        let registry = &ctx.pipeline.build.registry;
        let wishes = plan::outside(&contents.images, registry, Some(&platform))
            .map_err(|error| Halt::Stop(error.to_string()))?;
        let mut bases = Self::default();
        for wish in wishes {
            bases.refusals.clear();
            let resolved = match bases.first_of(ctx, daemon, &wish.candidates).await? {
                Some((reference, facts)) => {
                    bases.on_build.insert(reference.clone(), facts.on_build);
                    ResolvedBase { reference, digest: Some(facts.id), error: None }
                }
                None => ResolvedBase {
                    reference: wish.candidates.first().cloned().unwrap_or(wish.key.clone()),
                    digest: None,
                    error: Some(format!(
                        "not on the daemon{}; tried {}",
                        bases.refusals.pop().map(|it| format!(", {it}")).unwrap_or_default(),
                        wish.candidates.join(", ")
                    )),
                },
            };
            bases.resolved.insert(wish.key, resolved);
        }
        Ok(bases)
    }

    /// Without a daemon: every reference is known, no digest is.
    fn unknown(ctx: &Context, contents: &Contents) -> Result<Self, Error> {
        let wishes = plan::outside(&contents.images, &ctx.pipeline.build.registry, None)?;
        let resolved = wishes.into_iter().map(|wish| {
            let reference = wish.candidates.first().cloned().unwrap_or(wish.key.clone());
            let error = Some("no Docker daemon was asked".to_owned());
            (wish.key, ResolvedBase { reference, digest: None, error })
        });
        Ok(Self { resolved: resolved.collect(), ..Self::default() })
    }

    /// The first candidate that the daemon has, or that it can pull.
    async fn first_of(
        &mut self,
        ctx: &Context,
        daemon: &Daemon,
        candidates: &[String],
    ) -> Result<Option<(String, ImageFacts)>, build::Error> {
        let mut here = None;
        for reference in candidates {
            if let Some(facts) = daemon.inspect(reference).await? {
                here = Some((reference.clone(), facts));
                break;
            }
        }
        let pull = ctx.pipeline.build.pull;
        if pull == Pull::Never || (pull == Pull::Missing && here.is_some()) {
            return Ok(here);
        }
        let wanted: Vec<&String> = match &here {
            Some((reference, _)) => vec![reference],
            None => candidates.iter().collect(),
        };
        for reference in wanted {
            let progress = |_: String| {};
            match daemon.pull(reference, &ctx.logins, &progress, &ctx.cancel).await {
                Ok(facts) => return Ok(Some((reference.clone(), facts))),
                Err(build::Error::Cancelled(what)) => return Err(build::Error::Cancelled(what)),
                Err(error) if here.is_some() => self.remarks.push(format!(
                    "base {reference} could not be pulled, the one already here was used: {error}"
                )),
                Err(error) => self.refusals.push(error.to_string()),
            }
        }
        Ok(here)
    }

    fn pins(&self) -> BTreeMap<String, String> {
        let known = self.resolved.values();
        known.filter_map(|base| Some((base.reference.clone(), base.digest.clone()?))).collect()
    }
}

async fn draw(
    ctx: &Context,
    daemon: &Daemon,
    checkout: &Checkout,
    contents: &Contents,
    bases: &Bases,
    last: &BTreeMap<String, store::LastBuild>,
    start: &Start,
) -> Result<Plan, Halt> {
    match plan_of(ctx, Some(daemon), checkout, contents, bases, last, start).await {
        Err(Error::Plan(error)) => Err(Halt::Stop(format!("plan: {error}"))),
        Err(error) => Err(Halt::Failed(error)),
        Ok(plan) => Ok(plan),
    }
}

async fn plan_of(
    ctx: &Context,
    daemon: Option<&Daemon>,
    checkout: &Checkout,
    contents: &Contents,
    bases: &Bases,
    last: &BTreeMap<String, store::LastBuild>,
    start: &Start,
) -> Result<Plan, Error> {
    let digests: BTreeMap<String, String> = contents
        .images
        .iter()
        .map(|image| (image.name.clone(), source::context_digest(&image.context)))
        .collect();
    let mut known = BTreeMap::new();
    for (name, build) in last {
        let exists = match daemon {
            Some(daemon) if !build.digest.is_empty() => {
                daemon.inspect(&build.digest).await?.is_some()
            }
            _ => false,
        };
        known.insert(name.clone(), last_build(build, exists));
    }
    let (only, with_dependants, requested_by) = match start {
        Start::OnDemand { images, with_dependants } => {
            (Some(images.as_slice()), *with_dependants, Some(ctx.user.as_str()))
        }
        _ => (None, false, None),
    };
    Ok(plan::plan(PlanInput {
        commit: &checkout.commit,
        images: &contents.images,
        broken: &contents.broken,
        context_digests: &digests,
        build: &ctx.pipeline.build,
        outside: &bases.resolved,
        onbuild: &bases.on_build,
        last: &known,
        only,
        with_dependants,
        requested_by,
        platform: daemon.map(|daemon| daemon.about().platform.as_str()),
    })?)
}

fn last_build(build: &store::LastBuild, exists: bool) -> LastBuild {
    LastBuild {
        night: build.night.clone(),
        key: build.key.clone(),
        parts: build.parts.clone(),
        succeeded: build.succeeded,
        exists,
    }
}

/// On demand, broken folders that nobody asked for are nobody's business.
fn concerned(broken: Vec<BrokenImage>, start: &Start) -> Vec<BrokenImage> {
    match start {
        Start::OnDemand { images, .. } => {
            broken.into_iter().filter(|broken| images.contains(&broken.name)).collect()
        }
        _ => broken,
    }
}

fn owners(images: &[ImageSource]) -> BTreeMap<String, Vec<String>> {
    let of = |image: &ImageSource| {
        image.manifest.maintainers.iter().filter_map(|person| person.email.clone()).collect()
    };
    images.iter().map(|image| (image.name.clone(), of(image))).collect()
}

fn statements(contents: &Contents) -> (Vec<Statement>, Vec<StatementCheck>) {
    let (mut statements, mut invalid) = (Vec::new(), Vec::new());
    for document in &contents.vex {
        let (good, bad) = judge::parse_vex(document);
        statements.extend(good);
        invalid.extend(bad);
    }
    (statements, invalid)
}

fn known_ids(
    last: &BTreeMap<String, store::LastBuild>,
    done: &BTreeMap<String, ImageResult>,
) -> BTreeMap<String, String> {
    let before = last.iter().map(|(name, build)| (name.clone(), build.digest.clone()));
    let mut ids: BTreeMap<String, String> = before.filter(|(_, id)| !id.is_empty()).collect();
    ids.extend(done.iter().filter_map(|(name, it)| Some((name.clone(), it.digest.clone()?))));
    ids
}

/// The digest of an outside base for a label, `reference@digest`.
pub(super) fn referenced(outside: &[Outside], reference: &str) -> String {
    let digest =
        outside.iter().find(|it| it.reference == reference).and_then(|it| it.digest.clone());
    match digest {
        Some(digest) => format!("{reference}@{digest}"),
        None => reference.to_owned(),
    }
}
