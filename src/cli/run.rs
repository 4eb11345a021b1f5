//! `midwatch run`: one night now.

use clap::ValueEnum;
use tokio::sync::mpsc::unbounded_channel;

use super::{Exit, print, print_json, progress, setup};
use crate::config::Config;
use crate::model::night::{NightReport, Outcome};
use crate::night::{self, Start, When};
use crate::report;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name or file of the pipeline
    pipeline: String,
    /// Open a fresh night even where an interrupted one could be finished
    #[arg(long)]
    new: bool,
    /// When the mails go out
    #[arg(long, value_enum, default_value_t = Mail::Now)]
    mail: Mail,
    /// Print the night as one JSON document
    #[arg(long)]
    json: bool,
}

/// `--mail`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Mail {
    Now,
    AtHour,
    None,
}

pub async fn run(config: &Config, args: Args) -> anyhow::Result<Exit> {
    let when = match args.mail {
        Mail::Now => When::Now,
        Mail::AtHour => When::AtHour,
        Mail::None => When::Never,
    };
    watched(config, &args.pipeline, Start::Manual { fresh: args.new }, when, args.json).await
}

/// A night with its progress on stderr and its table or JSON on stdout.
pub async fn watched(
    config: &Config,
    pipeline: &str,
    start: Start,
    when: When,
    json: bool,
) -> anyhow::Result<Exit> {
    let pipeline = config.pipeline(pipeline)?;
    let cancel = setup::stopped_by_signals()?;
    let (events, watcher) = unbounded_channel();
    let transport = setup::transport(config)?;
    let ctx = setup::night(config, pipeline, events, cancel).await?;
    let (store, blobs, mailing) = (ctx.store.clone(), ctx.blobs.clone(), ctx.mailing.clone());
    let view = tokio::spawn(progress::follow(watcher));
    let ended = night::run(&ctx, start, when).await;
    drop(ctx);
    view.await?;
    // A stopped night has mails too.
    if when != When::Never {
        let delivered = night::deliver(&store, &blobs, &transport, &mailing, config.clock).await?;
        if delivered.later + delivered.dead > 0 {
            eprintln!(
                "{} mails sent, {} to be tried again by `midwatch serve` or the next run, {} given up",
                delivered.sent, delivered.later, delivered.dead
            );
        }
    }
    let report = match ended {
        Ok(report) => report,
        Err(night::Error::Stopped { night, reason }) => {
            if json && let Some(night) = store.night(&night).await? {
                print_json(&NightReport { night, images: Vec::new() })?;
            }
            anyhow::bail!("night {night}: {reason}");
        }
        Err(error) => return Err(error.into()),
    };
    match json {
        true => print_json(&report)?,
        false => {
            print(&format!("{}\n", report::night_table(&report, width(), super::colour())))?;
        }
    }
    Ok(exit_of(&report))
}

/// Good where every image is released or reused.
pub fn exit_of(report: &NightReport) -> Exit {
    let bad =
        |outcome: Outcome| matches!(outcome, Outcome::Failed | Outcome::Blocked | Outcome::Held);
    match report.images.iter().any(|image| bad(image.outcome)) {
        true => Exit::Bad,
        false => Exit::Good,
    }
}

/// Columns of stdout, or 100 where it is no terminal.
pub fn width() -> usize {
    let (_, columns) = console::Term::stdout().size_checked().unwrap_or((24, 100));
    usize::from(columns).clamp(60, 200)
}
