//! `midwatch rebuild`: single images at once, ahead of a running night.

use super::{Exit, run};
use crate::config::Config;
use crate::night::{Start, When};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name or file of the pipeline
    pipeline: String,
    /// Names of the images
    #[arg(required = true)]
    images: Vec<String>,
    /// And everything that stands on them
    #[arg(long)]
    with_dependants: bool,
    /// Print the result as one JSON document
    #[arg(long)]
    json: bool,
}

pub async fn run(config: &Config, args: Args) -> anyhow::Result<Exit> {
    let start = Start::OnDemand { images: args.images, with_dependants: args.with_dependants };
    run::watched(config, &args.pipeline, start, When::Never, args.json).await
}
