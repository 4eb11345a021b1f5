//! `midwatch diff`: what changed between two nights.

use serde_json::json;

use super::{Exit, print, print_json, setup};
use crate::config::Config;
use crate::model::finding::Finding;
use crate::model::night::{Night, NightKind};
use crate::store::{Diff, Store};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name or file of the pipeline
    pipeline: String,
    /// The earlier night [default: the one before the later]
    #[arg(value_name = "NIGHT")]
    earlier: Option<String>,
    /// The later night [default: the latest]
    #[arg(value_name = "NIGHT")]
    later: Option<String>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub async fn run(config: &Config, args: Args) -> anyhow::Result<Exit> {
    let pipeline = config.pipeline(&args.pipeline)?;
    let (store, _) = setup::ledger(config).await?;
    let (earlier, later) = nights(&store, &pipeline.name, &args).await?;
    let diff = store.diff(&earlier.id, &later.id).await?;
    match args.json {
        true => print_json(&document(&earlier, &later, &diff))?,
        false => print(&listing(&earlier, &later, &diff))?,
    }
    Ok(Exit::Good)
}

async fn nights(store: &Store, pipeline: &str, args: &Args) -> anyhow::Result<(Night, Night)> {
    let nights = store.history(pipeline, 10_000).await?;
    let ended = |night: &&Night| {
        night.ended.is_some() && night.error.is_none() && night.kind != NightKind::OnDemand
    };
    let later = match &args.later {
        Some(id) => setup::night_of(store, pipeline, id).await?,
        None => nights
            .iter()
            .find(ended)
            .cloned()
            .ok_or_else(|| anyhow::anyhow!("{pipeline} has no finished night yet"))?,
    };
    let earlier = match &args.earlier {
        Some(id) => setup::night_of(store, pipeline, id).await?,
        None => nights
            .iter()
            .find(|night| ended(night) && night.id < later.id)
            .cloned()
            .ok_or_else(|| anyhow::anyhow!("{pipeline} has no night before {}", later.id))?,
    };
    Ok((earlier, later))
}

fn document(earlier: &Night, later: &Night, diff: &Diff) -> serde_json::Value {
    let listed = |list: &[(String, Finding)]| {
        list.iter()
            .map(|(image, finding)| json!({"image": image, "finding": finding}))
            .collect::<Vec<_>>()
    };
    let outcomes = diff
        .outcomes
        .iter()
        .map(|it| json!({"image": it.image, "before": it.before, "after": it.after}));
    let scores = diff
        .scores
        .iter()
        .map(|(image, before, after)| json!({"image": image, "before": before, "after": after}));
    let status = diff.status.iter().map(
        |(image, before, now)| json!({"image": image, "before": before.status, "finding": now}),
    );
    json!({
        "earlier": earlier.id,
        "later": later.id,
        "new": listed(&diff.new),
        "fixed": listed(&diff.fixed),
        "status": status.collect::<Vec<_>>(),
        "outcomes": outcomes.collect::<Vec<_>>(),
        "scores": scores.collect::<Vec<_>>(),
    })
}

fn listing(earlier: &Night, later: &Night, diff: &Diff) -> String {
    let mut text = format!("{} → {}\n", earlier.id, later.id);
    for it in &diff.outcomes {
        let word = |outcome: Option<crate::model::night::Outcome>| {
            outcome.map_or("not planned", |outcome| outcome.as_str())
        };
        text += &format!("outcome  {}: {} → {}\n", it.image, word(it.before), word(it.after));
    }
    for (image, before, after) in &diff.scores {
        let number = |score: &Option<f64>| score.map_or("N/A".into(), |it| format!("{it:.1}"));
        text += &format!("score    {image}: {} → {}\n", number(before), number(after));
    }
    for (sign, list) in [("new     ", &diff.new), ("fixed   ", &diff.fixed)] {
        for (line, images) in folded(list) {
            text += &format!("{sign} {line}\n         in {}\n", images.join(", "));
        }
    }
    for (image, before, now) in &diff.status {
        let (before, after) = (before.status.as_str(), now.status.as_str());
        text += &format!("status   {image}: {} {before} → {after}\n", now.id);
    }
    if text.lines().count() == 1 {
        text += "no difference\n";
    }
    text
}

/// One advisory a line with the images it concerns, worst first; what a statement suppresses is left
/// to the status lines.
fn folded(list: &[(String, Finding)]) -> Vec<(String, Vec<&str>)> {
    let mut order: Vec<&(String, Finding)> = list.iter().filter(|(_, it)| it.counts()).collect();
    order.sort_by(|(_, a), (_, b)| b.severity.cmp(&a.severity).then_with(|| a.id.cmp(&b.id)));
    let mut folded: Vec<(String, Vec<&str>)> = Vec::new();
    for (image, finding) in order {
        let line = line(finding);
        match folded.iter_mut().find(|(known, _)| *known == line) {
            Some((_, images)) => images.push(image),
            None => folded.push((line, vec![image])),
        }
    }
    folded
}

fn line(finding: &Finding) -> String {
    format!("{:<8} {}  {}", finding.severity.as_str(), finding.id, finding.title)
}
