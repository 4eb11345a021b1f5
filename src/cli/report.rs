//! `midwatch report`: the morning report of any night, on the terminal, as a page, or mailed again.

use std::path::PathBuf;

use anyhow::Context as _;

use super::{Exit, print, print_json, run, setup};
use crate::config::Config;
use crate::model::night::NightReport;
use crate::model::report::Audience;
use crate::night;
use crate::report;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name or file of the pipeline
    pipeline: String,
    /// The night [default: the latest]
    #[arg(long, value_name = "ID")]
    night: Option<String>,
    /// Mail it to this address
    #[arg(long, value_name = "ADDRESS")]
    to: Option<String>,
    /// Write it as a page
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Print the night as one JSON document
    #[arg(long)]
    json: bool,
}

pub async fn run(config: &Config, args: Args) -> anyhow::Result<Exit> {
    let pipeline = config.pipeline(&args.pipeline)?;
    let (store, blobs) = setup::ledger(config).await?;
    let night = match &args.night {
        Some(id) => setup::night_of(&store, &pipeline.name, id).await?,
        None => store
            .latest_night(&pipeline.name)
            .await?
            .with_context(|| format!("{} has no finished night yet", pipeline.name))?,
    };
    let images = store.images(&night.id).await?;
    let exit = run::exit_of(&NightReport { night: night.clone(), images: images.clone() });
    let address = args.to.clone().unwrap_or_else(|| config.user.clone());
    let audience = Audience::Pipeline(address);
    let mailing = setup::mailing(config);
    let assembled = night::assemble(&store, &pipeline, &night, audience).await?;
    if args.json {
        print_json(&NightReport { night, images })?;
    } else if let Some(path) = &args.html {
        let page = report::page(&assembled, &night::meta(&pipeline, &mailing.domain))?;
        std::fs::write(path, page).with_context(|| format!("cannot write {}", path.display()))?;
        eprintln!("written to {}", path.display());
    } else if args.to.is_none() {
        print(&format!("{}\n", report::terminal(&assembled, run::width(), super::colour())))?;
    }
    if args.to.is_some() {
        let now = config.clock.now();
        // Asked for by hand, it is a new message, however often the night was mailed before.
        let revision = now.timestamp() as u32;
        let mail = night::addressed(&pipeline, &mailing, &blobs, &assembled, now, revision)?;
        store.enqueue(std::slice::from_ref(&mail)).await?;
        let transport = setup::transport(config)?;
        let sent = night::deliver(&store, &blobs, &transport, &mailing, config.clock).await?;
        eprintln!("{} mails sent, {} to be tried again", sent.sent, sent.later);
    }
    Ok(exit)
}
