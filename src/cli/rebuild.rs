//! `midwatch rebuild`: single images at once, ahead of a running night.

use super::{Exit, Usage, run};
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
    let images = args.images.clone();
    let start = Start::OnDemand { images, with_dependants: args.with_dependants };
    let ended = run::watched(config, &args.pipeline, start, When::Never, args.json).await;
    // The night that could not be planned is recorded; what it says names the image.
    ended.map_err(|error| match unknown(&error.to_string(), &args.images) {
        true => Usage(error.to_string()).into(),
        false => error,
    })
}

fn unknown(said: &str, images: &[String]) -> bool {
    images.iter().any(|name| said.contains(&format!("no image {name} in the repository")))
}
