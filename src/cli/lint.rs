//! `midwatch lint`: manifest, layout and Dockerfile rules alone.

use std::path::PathBuf;

use super::{Exit, print, print_json};
use crate::model::pipeline::{Schema, SourceSpec};
use crate::model::source::{Level, Violation};
use crate::model::text::plain;
use crate::source;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A repository, or the folder of one image
    dir: PathBuf,
    /// Which manifest schema holds
    #[arg(long, value_enum, default_value_t = SchemaName::Auto)]
    schema: SchemaName,
    /// Regular expression of label keys to allow beside the closed list
    #[arg(long, value_name = "REGEX")]
    allowed_labels: Option<String>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum SchemaName {
    Auto,
    Strict,
    Relaxed,
}

pub fn run(args: Args) -> anyhow::Result<Exit> {
    let spec = SourceSpec {
        url: args.dir.display().to_string(),
        branch: None,
        folder: None,
        allowed_signers: None,
        ssh_key: None,
        known_hosts: None,
        credentials: None,
        schema: match args.schema {
            SchemaName::Auto => Schema::Auto,
            SchemaName::Strict => Schema::Strict,
            SchemaName::Relaxed => Schema::Relaxed,
        },
        allowed_labels: args.allowed_labels,
    };
    let violations = source::lint(&args.dir, &spec)?;
    match args.json {
        true => print_json(&violations)?,
        false => print(&listing(&violations))?,
    }
    let hard = violations.iter().any(|it| it.severity == Level::Hard);
    Ok(match (hard, violations.is_empty()) {
        (true, _) => Exit::Bad,
        (false, false) => Exit::Soft,
        (false, true) => Exit::Good,
    })
}

fn listing(violations: &[Violation]) -> String {
    let mut text = String::new();
    for it in violations {
        let level = if it.severity == Level::Hard { "error" } else { "warning" };
        let place = match it.line {
            0 => plain(&it.file),
            line => format!("{}:{line}", plain(&it.file)),
        };
        text += &format!("{place}: {level}: {} [{}]\n    {}\n", it.message, it.rule, it.help);
    }
    let hard = violations.iter().filter(|it| it.severity == Level::Hard).count();
    text + &format!("{hard} hard, {} soft violations\n", violations.len() - hard)
}
