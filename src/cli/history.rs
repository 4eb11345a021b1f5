//! `midwatch history`: the nights of a pipeline, the latest first.

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{ColumnConstraint, ContentArrangement};

use super::progress::plain;
use super::{Exit, print, print_json, run, setup};
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
        false => print(&format!("{}\n", table(&nights, run::width())))?,
    }
    Ok(Exit::Good)
}

/// Whole ids and numbers in `width` columns; why a night could not be done stands below.
fn table(nights: &[Night], width: usize) -> String {
    let mut table = comfy_table::Table::new();
    let with_commit = width >= 108;
    let mut header = vec!["night", "kind", "commit", "took", "planned", "released", "held"];
    header.extend(["failed", "blocked", "reused", "state"]);
    if !with_commit {
        header.remove(2);
    }
    let cap = u16::try_from(width).unwrap_or(u16::MAX);
    table.set_content_arrangement(ContentArrangement::Dynamic).set_width(cap);
    table.load_preset(UTF8_HORIZONTAL_ONLY).set_header(header);
    for night in nights {
        let mut row = row(night);
        if !with_commit {
            row.remove(2);
        }
        table.add_row(row);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 1));
    }
    if let Some(id) = table.column_mut(0) {
        id.set_constraint(ColumnConstraint::ContentWidth);
    }
    let mut text = table.to_string();
    for night in nights {
        if let Some(error) = &night.error {
            text += &format!("\n{}: {}", night.id, plain(error));
        }
    }
    text
}

fn row(night: &Night) -> Vec<String> {
    let took = night.ended.map(|ended| format!("{} s", (ended - night.started).num_seconds()));
    let state = match (&night.error, night.ended) {
        (Some(_), _) => "FAILED",
        (None, None) => "not ended",
        (None, Some(_)) if night.complete() => "complete",
        (None, Some(_)) => "INCOMPLETE",
    };
    let mut row = vec![night.id.clone(), night.kind.as_str().into()];
    row.push(crate::model::plan::short(&night.commit).into());
    row.push(took.unwrap_or_default());
    let Night { planned, released, held, failed, blocked, reused, .. } = night;
    row.extend([planned, released, held, failed, blocked, reused].map(u64::to_string));
    row.push(state.into());
    row
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::night::NightKind;

    #[test]
    fn a_long_reason_does_not_widen_the_table() {
        let night = Night {
            id: "20261122T000000Z-1a2b3c".into(),
            pipeline: "p".into(),
            kind: NightKind::OnDemand,
            commit: "0123456789abcdef".into(),
            started: chrono::DateTime::UNIX_EPOCH,
            ended: None,
            planned: 120,
            released: 118,
            held: 0,
            failed: 1,
            blocked: 1,
            reused: 0,
            skipped: 0,
            feeds: Default::default(),
            error: Some("the source\ncannot be had ".repeat(20)),
        };
        for width in [100, 140] {
            let text = table(std::slice::from_ref(&night), width);
            let (rows, reason) = text.rsplit_once('\n').unwrap();
            assert!(rows.lines().all(|line| line.chars().count() <= width), "{text}");
            assert!(rows.contains("20261122T000000Z-1a2b3c") && rows.contains("released"));
            assert_eq!(rows.contains("0123456789ab"), width == 140);
            assert!(reason.starts_with("20261122T000000Z-1a2b3c: the source"), "{text}");
        }
    }
}
