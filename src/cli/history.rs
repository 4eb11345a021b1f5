//! `midwatch history`: the nights of a pipeline, the latest first.

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;

use super::{Exit, print_json, setup};
use crate::config::Config;
use crate::model::night::Night;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name or file of the pipeline
    pipeline: String,
    /// Most nights to show
    #[arg(long, default_value_t = 30)]
    limit: u32,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub async fn run(config: &Config, args: Args) -> anyhow::Result<Exit> {
    let pipeline = config.pipeline(&args.pipeline)?;
    let (store, _) = setup::ledger(config).await?;
    let nights = store.history(&pipeline.name, args.limit).await?;
    match args.json {
        true => print_json(&nights)?,
        false => println!("{}", table(&nights)),
    }
    Ok(Exit::Good)
}

fn table(nights: &[Night]) -> String {
    let mut table = comfy_table::Table::new();
    table.load_preset(UTF8_HORIZONTAL_ONLY).set_header([
        "night", "kind", "commit", "took", "planned", "released", "held", "failed", "blocked",
        "reused", "state",
    ]);
    for night in nights {
        let took = night.ended.map(|ended| format!("{} s", (ended - night.started).num_seconds()));
        let state = match (&night.error, night.ended) {
            (Some(error), _) => error.clone(),
            (None, None) => "not ended".into(),
            (None, Some(_)) if night.complete() => "complete".into(),
            (None, Some(_)) => "INCOMPLETE".into(),
        };
        table.add_row([
            night.id.clone(),
            night.kind.as_str().into(),
            crate::model::plan::short(&night.commit).into(),
            took.unwrap_or_default(),
            night.planned.to_string(),
            night.released.to_string(),
            night.held.to_string(),
            night.failed.to_string(),
            night.blocked.to_string(),
            night.reused.to_string(),
            state,
        ]);
    }
    table.to_string()
}
