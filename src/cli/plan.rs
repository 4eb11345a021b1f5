//! `midwatch plan`: what would be built, in which order, and why.

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use serde_json::json;
use tokio::sync::mpsc::unbounded_channel;

use super::{Exit, print, print_json, setup};
use crate::config::Config;
use crate::model::plan::{Plan, short};
use crate::model::source::{BrokenImage, Level};
use crate::night;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name or file of the pipeline
    pipeline: String,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub async fn run(config: &Config, args: Args) -> anyhow::Result<Exit> {
    let pipeline = config.pipeline(&args.pipeline)?;
    let (events, _watcher) = unbounded_channel();
    let cancel = setup::stopped_by_signals()?;
    let ctx = setup::night(config, pipeline, events, cancel).await?;
    let (plan, broken) = night::preview(&ctx).await?;
    match args.json {
        true => print_json(&document(&plan, &broken))?,
        false => print(&table(&plan, &broken))?,
    }
    Ok(if broken.is_empty() { Exit::Good } else { Exit::Bad })
}

fn document(plan: &Plan, broken: &[BrokenImage]) -> serde_json::Value {
    let images = plan.images.iter().map(|image| {
        json!({
            "name": image.name,
            "key": image.key,
            "reason": image.reason.to_string(),
            "after": image.after,
            "reuse": image.reuse,
        })
    });
    json!({
        "commit": plan.commit,
        "images": images.collect::<Vec<_>>(),
        "outside": plan.outside,
        "broken": broken,
    })
}

fn table(plan: &Plan, broken: &[BrokenImage]) -> String {
    let mut table = comfy_table::Table::new();
    table.load_preset(UTF8_HORIZONTAL_ONLY).set_header(["#", "image", "key", "why", "after"]);
    for (number, image) in plan.images.iter().enumerate() {
        table.add_row([
            (number + 1).to_string(),
            image.name.clone(),
            short(&image.key).to_owned(),
            image.reason.to_string(),
            image.after.join(", "),
        ]);
    }
    let mut text = format!("commit {}\n{table}\n", plan.commit);
    for base in &plan.outside {
        let state = match (&base.digest, &base.error) {
            (Some(digest), _) => digest.clone(),
            (None, Some(error)) => error.clone(),
            (None, None) => "unknown".into(),
        };
        text += &format!("base {}  {state}\n", base.reference);
    }
    for image in broken {
        let hard = image.violations.iter().filter(|it| it.severity == Level::Hard);
        for violation in hard {
            text += &format!(
                "cannot be planned: {}  {}:{} {}\n",
                image.name, violation.file, violation.line, violation.message
            );
        }
    }
    text
}
