//! The conductor: calls the stages for each image, in order, in lanes, and takes up what was
//! interrupted. The only module that knows all stages.

mod lock;
mod morning;
mod post;
mod prepare;
mod queue;
pub mod schedule;
mod work;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;

use crate::ambient::{self, Clock};
use crate::build::{self, Login};
use crate::feeds::{self, Index};
use crate::model::event::Event;
use crate::model::night::{ImageResult, Night, NightFeeds, NightKind, NightReport, Outcome};
use crate::model::pipeline::Pipeline;
use crate::model::plan::{BaseTarget, Planned};
use crate::scan::secrets::Secrets;
use crate::store::{self, Blobs, NewNight, Store, Unfinished};
use crate::{inventory, plan, report, source};

pub use lock::Error as LockError;
pub use morning::{Mailing, When, addressed, assemble, meta};
pub use post::{Delivered, deliver};
pub use prepare::preview;

use prepare::{Halt, Prepared};
use queue::{Next, Queue};
use work::Work;

/// Everything that the nights of one pipeline need.
#[derive(Debug, Clone)]
pub struct Context {
    /// What a night is.
    pub pipeline: Pipeline,
    /// The data folder.
    pub data: PathBuf,
    /// The ledger.
    pub store: Store,
    /// The content store beside it.
    pub blobs: Blobs,
    /// The Docker daemon's address.
    pub docker_host: String,
    /// Credentials of registries, by host.
    pub logins: BTreeMap<String, Login>,
    /// The advisory data; `None` where none was ever imported.
    pub feeds: Option<Arc<Index>>,
    /// The secret rules.
    pub secrets: Arc<Secrets>,
    /// The clock.
    pub clock: Clock,
    /// Who runs the program.
    pub user: String,
    /// `user:password` for an https source.
    pub source_credentials: Option<(String, String)>,
    /// `user:password` for declared resources, by auth id.
    pub input_credentials: BTreeMap<String, (String, String)>,
    /// How mails are made.
    pub mailing: Mailing,
    /// Who watches.
    pub events: UnboundedSender<Event>,
    /// Ends the night within seconds; it can be taken up again.
    pub cancel: CancellationToken,
}

impl Context {
    fn tell(&self, event: Event) {
        // Nobody watching is no reason to stop.
        let _ = self.events.send(event);
    }

    /// Whose pins these are: another installation on the same daemon must not remove them.
    fn pin_owner(&self) -> String {
        use sha2::{Digest, Sha256};
        let mut hash = Sha256::new();
        hash.update(self.data.as_os_str().as_encoded_bytes());
        hash.update([0]);
        hash.update(self.pipeline.name.as_bytes());
        hex::encode(&hash.finalize()[..8])
    }
}

/// What starts a night.
#[derive(Debug, Clone)]
pub enum Start {
    /// The schedule.
    Scheduled {
        /// What the report must say of it, such as missed nights.
        notes: Vec<String>,
    },
    /// By hand; `fresh` leaves an interrupted night where it is and opens a new one.
    Manual {
        /// Whether an interrupted night is given up.
        fresh: bool,
    },
    /// Single images at once.
    OnDemand {
        /// Their names.
        images: Vec<String>,
        /// Whether all that stands on them follows.
        with_dependants: bool,
    },
}

/// Why there is no finished night.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process runs a night of this pipeline.
    #[error(
        "a night of {pipeline} is running already ({source}); wait for it, or stop that process"
    )]
    Running {
        /// The pipeline.
        pipeline: String,
        /// Who holds the lock.
        source: lock::Error,
    },
    /// Stopped from outside; the ledger knows what is done.
    #[error("interrupted; `midwatch run {pipeline}` goes on with night {night}")]
    Interrupted {
        /// The pipeline.
        pipeline: String,
        /// The night.
        night: String,
    },
    /// The night as a whole cannot be done; recorded and mailed.
    #[error("night {night}: {reason}")]
    Stopped {
        /// The night.
        night: String,
        /// Why.
        reason: String,
    },
    /// The ledger.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The daemon.
    #[error(transparent)]
    Build(#[from] build::Error),
    /// The source.
    #[error(transparent)]
    Source(#[from] source::Error),
    /// The plan.
    #[error(transparent)]
    Plan(#[from] plan::Error),
    /// The advisory data.
    #[error(transparent)]
    Feeds(#[from] feeds::Error),
    /// What is inside an image.
    #[error(transparent)]
    Inventory(#[from] inventory::Error),
    /// The report.
    #[error(transparent)]
    Report(#[from] report::Error),
    /// The file system.
    #[error("{what}: {source}")]
    Io {
        /// What was tried, with the path.
        what: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A task of this program broke down.
    #[error("a task broke down: {0}")]
    Task(#[from] tokio::task::JoinError),
}

impl Error {
    fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}

/// One night from opening to its mails in the outbox; takes up an interrupted one first.
///
/// # Errors
/// See [`Error`]; a failed image is none.
pub async fn run(ctx: &Context, start: Start, mail: When) -> Result<NightReport, Error> {
    let _lock = take_lock(ctx, &start).await?;
    let opened = open(ctx, &start).await?;
    let (id, kind) = (opened.night.id.clone(), opened.night.kind);
    let resumed = opened.unfinished.is_some();
    ctx.tell(Event::Opened { night: id.clone(), kind, resumed });
    tracing::info!(
        night = id,
        pipeline = ctx.pipeline.name,
        kind = kind.as_str(),
        resumed,
        "night opened"
    );
    let work_dir = ctx.data.join("work").join(&id);
    let ended = match prepare::prepare(ctx, &opened, &start, &work_dir).await {
        Ok(prepared) => conduct(ctx, &opened, &start, prepared, mail).await,
        Err(Halt::Stop(reason)) => stop(ctx, &opened.night, reason, mail).await,
        Err(Halt::Failed(error)) => Err(error),
    };
    // What lies there can be checked out again.
    let _ = std::fs::remove_dir_all(&work_dir);
    if ctx.cancel.is_cancelled() && !matches!(ended, Ok(_) | Err(Error::Stopped { .. })) {
        return Err(Error::Interrupted { pipeline: ctx.pipeline.name.clone(), night: id });
    }
    let night = ended?;
    let images = ctx.store.images(&night.id).await?;
    tracing::info!(night = id, planned = night.planned, failed = night.failed, "night ended");
    Ok(NightReport { night, images })
}

/// A night that is open in the ledger.
#[derive(Debug)]
struct Opened {
    night: Night,
    /// What an earlier process did of it.
    unfinished: Option<Unfinished>,
}

/// Nights of a pipeline exclude one another; on-demand rebuilds have a lane of their own.
async fn take_lock(ctx: &Context, start: &Start) -> Result<lock::Lock, Error> {
    let (data, pipeline) = (ctx.data.clone(), ctx.pipeline.name.clone());
    let running = |source| Error::Running { pipeline: pipeline.clone(), source };
    if !matches!(start, Start::OnDemand { .. }) {
        return lock::Lock::take(&data, &pipeline).map_err(running);
    }
    let name = on_demand_lane(&pipeline);
    tokio::task::spawn_blocking(move || lock::Lock::wait(&data, &name)).await?.map_err(running)
}

/// The lock of a pipeline's on-demand rebuilds.
fn on_demand_lane(pipeline: &str) -> String {
    format!("{pipeline}.on-demand")
}

async fn open(ctx: &Context, start: &Start) -> Result<Opened, Error> {
    let (store, pipeline) = (&ctx.store, ctx.pipeline.name.as_str());
    let now = ctx.clock.now();
    let kind = match start {
        Start::Scheduled { .. } => NightKind::Scheduled,
        Start::Manual { .. } => NightKind::Manual,
        Start::OnDemand { .. } => NightKind::OnDemand,
    };
    if kind == NightKind::OnDemand {
        for unfinished in store.unfinished_on_demand(pipeline).await? {
            store.fail_night(&unfinished.night.id, now, "interrupted; ask again", &[]).await?;
        }
    } else if let Some(unfinished) = store.interrupted(pipeline).await? {
        if !matches!(start, Start::Manual { fresh: true }) {
            return Ok(Opened { night: unfinished.night.clone(), unfinished: Some(unfinished) });
        }
        store
            .fail_night(&unfinished.night.id, now, "given up for a new night (--new)", &[])
            .await?;
    }
    let night = new_night(ctx, start, kind, now)?;
    store.open_night(&night).await?;
    let night = store.night(&night.id).await?.ok_or_else(|| Error::Stopped {
        night: night.id.clone(),
        reason: "the ledger does not know the night it just opened".into(),
    })?;
    Ok(Opened { night, unfinished: None })
}

fn new_night(
    ctx: &Context,
    start: &Start,
    kind: NightKind,
    now: DateTime<Utc>,
) -> Result<NewNight, Error> {
    let suffix = ambient::random_hex(6).map_err(Error::io("no randomness for the night's id"))?;
    let (requested, with_dependants, requested_by) = match start {
        Start::OnDemand { images, with_dependants } => {
            (images.clone(), *with_dependants, Some(ctx.user.clone()))
        }
        _ => (Vec::new(), false, None),
    };
    Ok(NewNight {
        id: format!("{}-{suffix}", now.format("%Y%m%dT%H%M%SZ")),
        pipeline: ctx.pipeline.name.clone(),
        kind,
        started: now,
        epoch: now.format("%Y%m%d").to_string(),
        requested,
        with_dependants,
        requested_by,
    })
}

/// Records a night that cannot be done, and mails why.
async fn stop(ctx: &Context, night: &Night, reason: String, mail: When) -> Result<Night, Error> {
    tracing::error!(night = night.id, reason, "night stopped");
    let now = ctx.clock.now();
    // Recorded first: what the mail shows is read back from the ledger.
    ctx.store.fail_night(&night.id, now, &reason, &[]).await?;
    let outbox = morning::mails(ctx, &night.id, mail).await?;
    ctx.store.enqueue(&outbox).await?;
    Err(Error::Stopped { night: night.id.clone(), reason })
}

/// Works through the plan; up to `jobs` images at once.
async fn conduct(
    ctx: &Context,
    opened: &Opened,
    start: &Start,
    prepared: Prepared,
    mail: When,
) -> Result<Night, Error> {
    let night = &opened.night;
    let jobs = if matches!(start, Start::OnDemand { .. }) { 1 } else { ctx.pipeline.build.jobs };
    let work = Work::new(ctx, night, &prepared, jobs);
    for broken in &prepared.broken {
        if !prepared.done.contains_key(&broken.name) {
            work.refuse(broken).await?;
        }
    }
    let mut queue = queue_of(&prepared);
    let mut built = prepared.ids.clone();
    let mut running = FuturesUnordered::new();
    loop {
        // As many build as may, and as many again are being read and judged.
        while running.len() < 2 * jobs && !ctx.cancel.is_cancelled() {
            match queue.next() {
                Some(Next::Start(name)) => {
                    let planned = prepared.planned(&name)?;
                    running.push(work.image(planned, parents(planned, &built)));
                }
                Some(Next::Block { image, by }) => {
                    work.block(prepared.planned(&image)?, &by).await?;
                }
                None => break,
            }
        }
        let Some(ended) = running.next().await else { break };
        let (result, id): (ImageResult, Option<String>) = ended?;
        let good = !matches!(result.outcome, Outcome::Failed | Outcome::Blocked);
        queue.end(&result.name, good);
        built.extend(id.map(|id| (result.name.clone(), id)));
        if running.is_empty() && !queue.is_done() {
            work.collect().await;
        }
    }
    if ctx.cancel.is_cancelled() && !queue.is_done() {
        return Err(Error::Interrupted {
            pipeline: ctx.pipeline.name.clone(),
            night: night.id.clone(),
        });
    }
    let notes = prepared.notes(ctx, &built);
    ctx.store.set_notes(&night.id, &notes).await?;
    let closed = morning::close(ctx, night, mail).await?;
    work.clean_up().await;
    Ok(closed)
}

fn queue_of(prepared: &Prepared) -> Queue {
    let mut ended: BTreeMap<String, bool> =
        prepared.broken.iter().map(|broken| (broken.name.clone(), false)).collect();
    ended.extend(prepared.done.iter().map(|(name, result)| {
        (name.clone(), !matches!(result.outcome, Outcome::Failed | Outcome::Blocked))
    }));
    let images = prepared.plan.images.iter();
    Queue::new(images.map(|planned| (planned.name.clone(), planned.after.clone())), ended)
}

/// Image ids of what an image stands on: tonight's where there are any, else the last good ones.
fn parents(planned: &Planned, built: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let parents = planned.bases.iter().filter_map(|base| match &base.target {
        BaseTarget::Image(name) => Some((name.clone(), built.get(name)?.clone())),
        _ => None,
    });
    parents.collect()
}

/// The feeds as a night sees them.
fn night_feeds(ctx: &Context, now: DateTime<Utc>) -> NightFeeds {
    let state = ctx.feeds.as_ref().map(|index| index.state()).unwrap_or_default();
    let (freshness, oldest_hours) =
        feeds::freshness(&state, ctx.pipeline.policy.feed_age_days(), now);
    NightFeeds { freshness, oldest_hours, state }
}
