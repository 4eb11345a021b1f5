//! `midwatch serve`: scheduler, mail delivery, `/healthz` and `/metrics`.

use std::sync::Arc;

use anyhow::Context as _;
use tokio::sync::mpsc::unbounded_channel;
use tokio::task::JoinSet;
use tokio_cron_scheduler::{Job, JobScheduler};
use tokio_util::sync::CancellationToken;

use super::{Exit, setup};
use crate::config::Config;
use crate::model::event::Event;
use crate::night::{self, Start, When, schedule};
use crate::report::transport::Transport;
use crate::store::{Blobs, Schedule, Store};
use crate::web::{self, Metrics, Site};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Address of /healthz and /metrics [default: serve.listen of the configuration]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
}

/// The clock is looked at this often; a UTC tick knows no clock changes.
const TICK: &str = "*/5 * * * * *";

pub async fn run(config: &Config, args: Args) -> anyhow::Result<Exit> {
    let cancel = setup::stopped_by_signals()?;
    let (store, blobs) = setup::ledger(config).await?;
    let transport = setup::transport(config)?;
    let listen = args.listen.as_deref().unwrap_or(&config.file.serve.listen);
    let listener = tokio::net::TcpListener::bind(listen)
        .await
        .with_context(|| format!("cannot listen on {listen}"))?;
    tracing::info!(address = %listener.local_addr()?, "serving");
    let site = Site { store: store.clone(), metrics: Metrics::default(), trouble: Arc::default() };
    let web = tokio::spawn(web::serve(listener, site.clone(), cancel.clone().cancelled_owned()));
    let mut ticks = ticker().await?;
    let mut watch =
        Watch { config, store, blobs, transport, site, cancel, running: JoinSet::new() };
    watch.resume().await?;
    loop {
        tokio::select! {
            _ = ticks.next.recv() => watch.tick().await,
            Some(ended) = watch.running.join_next() => watch.note_end(ended),
            () = watch.cancel.cancelled() => break,
        }
    }
    ticks.scheduler.shutdown().await?;
    while let Some(ended) = watch.running.join_next().await {
        watch.note_end(ended);
    }
    web.await??;
    Ok(Exit::Good)
}

struct Ticker {
    scheduler: JobScheduler,
    next: tokio::sync::mpsc::UnboundedReceiver<()>,
}

async fn ticker() -> anyhow::Result<Ticker> {
    let mut scheduler = JobScheduler::new().await?;
    let (tick, next) = unbounded_channel();
    let job = Job::new(TICK, move |_, _| {
        let _ = tick.send(());
    })?;
    scheduler.add(job).await?;
    scheduler.start().await?;
    let _ = &mut scheduler;
    Ok(Ticker { scheduler, next })
}

struct Watch<'a> {
    config: &'a Config,
    store: Store,
    blobs: Blobs,
    transport: Transport,
    site: Site,
    cancel: CancellationToken,
    running: JoinSet<(String, Result<crate::model::night::Night, night::Error>)>,
}

impl Watch<'_> {
    /// Takes up the nights that a killed process left open.
    async fn resume(&mut self) -> anyhow::Result<()> {
        for name in self.config.pipeline_names() {
            let pipeline = self.config.pipeline(&name)?;
            if let Some(night) = self.store.latest_night(&pipeline.name).await? {
                self.site.metrics.last(&night);
            }
            if self.store.interrupted(&pipeline.name).await?.is_some() {
                tracing::info!(pipeline = name, "an interrupted night is taken up");
                self.start(&name, Vec::new(), false).await;
            }
        }
        Ok(())
    }

    async fn tick(&mut self) {
        let mut trouble = Vec::new();
        for name in self.config.pipeline_names() {
            if let Err(error) = self.look(&name).await {
                tracing::error!(pipeline = name, error = format!("{error:#}"), "schedule");
                trouble.push(format!("{name}: {error:#}"));
            }
        }
        let mailing = setup::mailing(self.config);
        let clock = self.config.clock;
        let sent = night::deliver(&self.store, &self.blobs, &self.transport, &mailing, clock).await;
        match sent {
            Ok(sent) if sent.sent + sent.dead > 0 => {
                tracing::info!(sent = sent.sent, later = sent.later, dead = sent.dead, "mail");
            }
            Ok(_) => {}
            Err(error) => trouble.push(format!("mail: {error}")),
        }
        if let Ok(mut shown) = self.site.trouble.lock() {
            *shown = trouble;
        }
    }

    /// Starts the pipeline's night where its hour has come.
    async fn look(&mut self, name: &str) -> anyhow::Result<()> {
        let pipeline = self.config.pipeline(name)?;
        let now = self.config.clock.now();
        let row = self.store.schedule(&pipeline.name).await?;
        let noted = row.as_ref().and_then(|row| row.next_run_at);
        let Some(due) = schedule::due(&pipeline, noted, now) else { return Ok(()) };
        if noted == Some(due.next) {
            return Ok(());
        }
        let last_started = match due.start {
            true => Some(now),
            false => row.and_then(|row| row.last_started),
        };
        let schedule = Schedule { next_run_at: Some(due.next), last_started };
        self.store.set_schedule(&pipeline.name, &schedule).await?;
        tracing::info!(pipeline = name, next = %due.next, missed = due.missed, "scheduled");
        if due.start {
            self.start(name, schedule::remark(&due, noted).into_iter().collect(), true).await;
        }
        Ok(())
    }

    /// Starts a night; `fresh` asks for one of tonight even where an interrupted one is finished first.
    async fn start(&mut self, name: &str, notes: Vec<String>, fresh: bool) {
        let ready = async {
            let pipeline = self.config.pipeline(name)?;
            let (events, mut watcher) = unbounded_channel();
            tokio::spawn(async move {
                while let Some(event) = watcher.recv().await {
                    log(event);
                }
            });
            setup::night(self.config, pipeline, events, self.cancel.clone()).await
        };
        let ctx = match ready.await {
            Ok(ctx) => ctx,
            Err(error) => {
                self.site.metrics.stopped(name);
                return tracing::error!(pipeline = name, error = format!("{error:#}"), "no night");
            }
        };
        self.site.metrics.running(&ctx.pipeline.name, true);
        let name = ctx.pipeline.name.clone();
        let began = self.config.clock.now();
        self.running.spawn(async move {
            let start = Start::Scheduled { notes };
            let mut ended = night::run(&ctx, start.clone(), When::AtHour).await;
            // An interrupted night that was finished now does not stand in for tonight's.
            if fresh && matches!(&ended, Ok(report) if report.night.started < began) {
                ended = night::run(&ctx, start, When::AtHour).await;
            }
            (name, ended.map(|report| report.night))
        });
    }

    fn note_end(
        &self,
        ended: Result<
            (String, Result<crate::model::night::Night, night::Error>),
            tokio::task::JoinError,
        >,
    ) {
        match ended {
            Ok((name, ended)) => {
                self.site.metrics.running(&name, false);
                match ended {
                    Ok(night) => self.site.metrics.ended(&night),
                    Err(error) => {
                        self.site.metrics.stopped(&name);
                        tracing::error!(pipeline = name, %error, "night not done");
                    }
                }
            }
            Err(error) => tracing::error!(%error, "a night broke down"),
        }
    }
}

/// A night's events as structured log lines.
fn log(event: Event) {
    match event {
        Event::Started { image, reason } => tracing::info!(image, reason, "start"),
        Event::Finished(result) => tracing::info!(
            image = result.name,
            outcome = result.outcome.as_str(),
            stage = result.stage,
            error = result.error,
            score = result.score,
            took_ms = result.took_ms,
            "done"
        ),
        Event::Note(note) => tracing::info!("{note}"),
        Event::Planned { images, done } => {
            tracing::info!(planned = images.len(), done, "planned");
        }
        _ => {}
    }
}
