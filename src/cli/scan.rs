//! `midwatch scan`: the findings of one image.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use clap::ValueEnum;

use super::{Exit, inventory, print, print_json, run, setup};
use crate::config::Config;
use crate::feeds;
use crate::judge::{self, JudgeInput};
use crate::model::finding::{Finding, Severity};
use crate::model::inventory::Inventory;
use crate::model::pipeline::Policy;
use crate::model::source::VexDocument;
use crate::model::statement::Statement;
use crate::scan::output::{self, Scan};
use crate::scan::secrets::Secrets;
use crate::scan::{checks, matching};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// An image of the daemon, a `docker save` or OCI archive, or a root folder
    target: String,
    /// What to print
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// OpenVEX documents whose statements count
    #[arg(long, value_name = "FILE")]
    vex: Vec<PathBuf>,
    /// Exit with 2 where a finding that counts is at least this severe
    #[arg(long, value_enum, value_name = "SEVERITY")]
    fail_on: Option<Bar>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Table,
    Json,
    Sarif,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Bar {
    Negligible,
    Low,
    Unknown,
    Medium,
    High,
    Critical,
}

impl From<Bar> for Severity {
    fn from(bar: Bar) -> Self {
        match bar {
            Bar::Negligible => Self::Negligible,
            Bar::Low => Self::Low,
            Bar::Unknown => Self::Unknown,
            Bar::Medium => Self::Medium,
            Bar::High => Self::High,
            Bar::Critical => Self::Critical,
        }
    }
}

pub async fn run(config: &Config, args: Args) -> anyhow::Result<Exit> {
    let secrets = Arc::new(Secrets::new()?);
    let seen = secrets.clone();
    let inventory = inventory::read(config, &args.target, move |file| seen.inspect(file)).await?;
    let index = setup::feeds(config)?;
    let state = index.as_ref().map(|index| index.state()).unwrap_or_default();
    let mut found = inventory.secrets.clone();
    found.extend(secrets.environment(&inventory.config));
    found.extend(checks::checks(&inventory));
    let mut unassessed: Vec<String> = inventory
        .gaps
        .iter()
        .map(|gap| format!("{} {}: {}", gap.kind, gap.path, gap.reason))
        .collect();
    let mut unjudged = Vec::new();
    match &index {
        Some(index) => {
            let matches = matching::vulnerabilities(&inventory, index.as_ref());
            found.extend(matches.findings);
            unjudged.extend(matches.unassessed.iter().filter(|it| is_whole(it)).cloned());
            unassessed.extend(matches.unassessed);
        }
        None => unassessed.push(NO_DATA.into()),
    }
    if state.sources.is_empty() {
        unjudged.insert(0, NO_DATA.into());
    }
    let findings = decided(config, &args, &inventory, found, &unassessed, &state)?;
    let scan = Scan {
        target: &args.target,
        digest: &inventory.digest,
        feeds: &state,
        findings: &findings,
        unassessed: &unassessed,
    };
    match args.format {
        Format::Json => print_json(&output::json(&scan))?,
        Format::Sarif => print_json(&output::sarif(&scan))?,
        Format::Table => {
            let colour = super::colour();
            print(&format!("{}\n", output::table(&scan, run::width() as u16, colour)))?;
        }
    }
    Ok(args.fail_on.map_or(Exit::Good, |bar| judged(&findings, bar.into(), &unjudged)))
}

const NO_DATA: &str = "no advisory data: run `midwatch feeds import PATH…`";

/// Whether a line tells of a whole ecosystem, and not of single packages with odd versions.
fn is_whole(unassessed: &str) -> bool {
    !unassessed.contains(": version not understood (")
}

/// Bad where a finding reaches the bar, or where nobody can tell whether one does.
fn judged(findings: &[Finding], bar: Severity, unjudged: &[String]) -> Exit {
    if findings.iter().any(|it| it.counts() && it.severity >= bar) {
        return Exit::Bad;
    }
    if unjudged.is_empty() {
        return Exit::Good;
    }
    eprintln!("the bar cannot be judged: {}", unjudged.join("; "));
    Exit::Bad
}

/// A reference without tag and digest; a registry's port is no tag.
fn repository(reference: &str) -> &str {
    let name = reference.split('@').next().unwrap_or(reference);
    let last = name.rfind('/').map_or(0, |at| at + 1);
    name[last..].find(':').map_or(name, |at| &name[..last + at])
}

/// Statuses decided by the given VEX documents, worst first.
fn decided(
    config: &Config,
    args: &Args,
    inventory: &Inventory,
    findings: Vec<Finding>,
    unassessed: &[String],
    state: &crate::model::advisory::FeedState,
) -> anyhow::Result<Vec<Finding>> {
    let statements = statements(&args.vex)?;
    let policy = Policy::default();
    let now = config.clock.now();
    let (freshness, _) = feeds::freshness(state, policy.feed_age_days(), now);
    // An archive has the name it was saved under, and the one that the user gives it.
    let mut names = vec![inventory.target.clone(), args.target.clone()];
    names.dedup();
    let verdict = judge::judge(JudgeInput {
        image: repository(&names[0]),
        folder: "",
        tags: &names,
        digest: &inventory.digest,
        findings,
        inventory,
        statements: &statements,
        policy: &policy,
        freshness,
        first_seen: &|_| None,
        bases: &[],
        unassessed,
        now,
    });
    for check in &verdict.statements {
        tracing::warn!(statement = check.origin, id = check.id, "{}", check.message);
    }
    Ok(verdict.findings)
}

fn statements(files: &[PathBuf]) -> anyhow::Result<Vec<Statement>> {
    let mut statements = Vec::new();
    for path in files {
        let text = fs::read_to_string(path)
            .with_context(|| format!("cannot read the VEX document {}", path.display()))?;
        let document = VexDocument { path: path.display().to_string(), folder: None, text };
        let (good, bad) = judge::parse_vex(&document);
        if let Some(bad) = bad.first() {
            anyhow::bail!("{}: {}", bad.origin, bad.message);
        }
        statements.extend(good);
    }
    Ok(statements)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_no_tag() {
        for (reference, name) in [
            ("localhost:5000/x:1", "localhost:5000/x"),
            ("localhost:5000/x", "localhost:5000/x"),
            ("a/b:1.0@sha256:00", "a/b"),
            ("x:1", "x"),
            ("./image.tar", "./image.tar"),
        ] {
            assert_eq!(repository(reference), name);
        }
    }

    #[test]
    fn a_scan_without_advisories_passes_no_bar() {
        let low = Finding { severity: Severity::Low, ..Finding::default() };
        let gap = ["2 packages of Alpine:v3.19: no feed covers it".to_owned()];
        let high = Severity::High;
        assert_eq!(judged(std::slice::from_ref(&low), high, &[]), Exit::Good);
        assert_eq!(judged(std::slice::from_ref(&low), high, &gap), Exit::Bad);
        assert_eq!(judged(&[low], Severity::Low, &[]), Exit::Bad);
        assert!(is_whole(&gap[0]));
        assert!(!is_whole("1 package of PyPI: version not understood (a \"\")"));
    }
}
