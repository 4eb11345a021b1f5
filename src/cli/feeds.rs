//! `midwatch feeds`: import advisory data, or tell its state.

use std::path::PathBuf;

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use serde_json::json;

use super::{Exit, print, print_json, setup};
use crate::config::Config;
use crate::feeds;
use crate::model::advisory::{FeedState, Freshness};

#[derive(Debug, clap::Subcommand)]
pub enum Args {
    /// Read OSV folders and zips, KEV and EPSS files into the index
    Import {
        /// Files and folders; what they contain is found out
        #[arg(required = true)]
        paths: Vec<PathBuf>,
    },
    /// Records, age and origin of each source
    Status {
        /// Days after which a source is called stale
        #[arg(long, default_value_t = 7)]
        max_age_days: u64,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
}

pub fn run(config: &Config, args: Args) -> anyhow::Result<Exit> {
    match args {
        Args::Import { paths } => import(config, &paths),
        Args::Status { max_age_days, json } => status(config, max_age_days, json),
    }
}

fn import(config: &Config, paths: &[PathBuf]) -> anyhow::Result<Exit> {
    let folder = config.data.join("feeds");
    let summary = feeds::import(paths, &folder, config.clock.now(), &|_| {})?;
    eprintln!(
        "{} records read, {} withdrawn, {} damaged; {} sources written, {} kept",
        summary.records,
        summary.withdrawn,
        summary.damaged,
        summary.replaced.len(),
        summary.kept.len()
    );
    for it in &summary.damaged_first {
        eprintln!("damaged: {}: {}", it.path, it.reason);
    }
    for it in summary.skipped.iter().take(20) {
        eprintln!("skipped: {}: {}", it.path, it.reason);
    }
    if summary.skipped.len() > 20 {
        eprintln!("skipped: {} more", summary.skipped.len() - 20);
    }
    for note in &summary.notes {
        eprintln!("note: {note}");
    }
    status(config, 7, false)
}

fn status(config: &Config, max_age_days: u64, json: bool) -> anyhow::Result<Exit> {
    let state = setup::feeds(config)?.map(|index| index.state()).unwrap_or_default();
    let now = config.clock.now();
    let (freshness, oldest_hours) = feeds::freshness(&state, max_age_days, now);
    if json {
        let freshness = json!({"freshness": freshness, "oldest_hours": oldest_hours});
        print_json(&json!({"age": freshness, "feeds": state}))?;
    } else if freshness == Freshness::Missing && state.sources.is_empty() {
        print("no advisory data: run `midwatch feeds import PATH…`\n")?;
    } else {
        print(&format!("{}\n{}\n", table(&state, now), word(freshness, max_age_days)))?;
    }
    Ok(if freshness == Freshness::Fresh { Exit::Good } else { Exit::Bad })
}

fn word(freshness: Freshness, days: u64) -> String {
    match freshness {
        Freshness::Fresh => format!("fresh: no source is older than {days} days"),
        Freshness::Stale => format!("STALE: a source is older than {days} days"),
        Freshness::Missing => "MISSING: no OSV source".into(),
    }
}

fn table(state: &FeedState, now: chrono::DateTime<chrono::Utc>) -> String {
    let mut table = comfy_table::Table::new();
    table.load_preset(UTF8_HORIZONTAL_ONLY).set_header([
        "source",
        "records",
        "newest record",
        "age",
        "origin",
    ]);
    for source in &state.sources {
        let as_of = source.as_of.map(|at| at.format("%Y-%m-%d").to_string());
        let age = source.as_of.map(|at| format!("{} days", (now - at).num_days()));
        table.add_row([
            source.name.clone(),
            source.records.to_string(),
            as_of.unwrap_or_else(|| "unknown".into()),
            age.unwrap_or_else(|| "unknown".into()),
            source.origin.clone(),
        ]);
    }
    table.to_string()
}
