//! The conductor: calls the stages for each image, in order, in lanes, and takes up what was
//! interrupted. The only module that knows all stages.

mod lock;
mod morning;
mod post;
mod prepare;
mod queue;
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
use crate::build::{self, Daemon};
use crate::feeds::{self, Index};
use crate::model::event::Event;
use crate::model::night::{ImageResult, Night, NightKind, NightReport, Outcome};
use crate::model::pipeline::Pipeline;
use crate::scan::secrets::Secrets;
use crate::store::{self, Blobs, Store};
use crate::{judge, plan, report, source};

pub use morning::{Mailing, compose, mails_of};
pub use post::deliver;
pub use prepare::preview;

use prepare::Prepared;
use queue::{Next, Queue};

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
    /// The Docker daemon.
    pub daemon: Daemon,
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

    fn note(&self, text: impl Into<String>) {
        self.tell(Event::Note(text.into()));
    }
}

/// What starts a night.
#[derive(Debug, Clone)]
pub enum Start {
    /// The schedule.
    Scheduled,
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
    #[error("a night of {pipeline} is running already ({source}); wait for it, or stop that process")]
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

/// One night from opening to its mails in the outbox; takes up an interrupted one first.
///
/// # Errors
/// See [`Error`]; a failed image is none.
pub async fn run(ctx: &Context, start: Start) -> Result<NightReport, Error> {
    let _lock = take_lock(ctx, &start).await?;
    let opened = open(ctx, &start).await?;
    let night = opened.night.id.clone();
    ctx.tell(Event::Opened {
        night: night.clone(),
        kind: opened.night.kind,
        resumed: opened.resumed(),
    });
    tracing::info!(night, pipeline = ctx.pipeline.name, kind = opened.night.kind.as_str(), "night opened");
    match conduct(ctx, opened, &start).await {
        Err(Error::Interrupted { .. }) if ctx.cancel.is_cancelled() => {
            Err(Error::Interrupted { pipeline: ctx.pipeline.name.clone(), night })
        }
        Err(error) => Err(error),
        Ok(report) => Ok(report),
    }
}
