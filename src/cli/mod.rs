//! The command line: one file per command; turns the configuration into stages.

mod diff;
mod feeds;
mod history;
mod inventory;
mod lint;
mod plan;
mod progress;
mod rebuild;
mod report;
mod run;
mod scan;
mod serve;
mod setup;
mod vercmp;
mod who_has;

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand, ValueEnum};
use tracing_subscriber::EnvFilter;

use crate::config::{self, Config};
use crate::{night, plan as plan_stage, report as report_stage, store};

/// The arguments every command shares.
#[derive(Debug, Parser)]
#[command(name = "midwatch", version, about, max_term_width = 100)]
pub struct Cli {
    /// Configuration file [default: midwatch.toml here, else /etc/midwatch/midwatch.toml]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Folder for everything that midwatch writes [env: MIDWATCH_DATA]
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Form of the log lines on stderr
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    log: LogFormat,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// One night now: clone, plan, build, scan, judge, record, mail
    Run(run::Args),
    /// Rebuild single images at once, ahead of a running night
    Rebuild(rebuild::Args),
    /// What would be built, in which order, and why; builds nothing
    Plan(plan::Args),
    /// Scheduler, mail delivery, /healthz and /metrics
    Serve(serve::Args),
    /// Manifest, layout and Dockerfile rules of a repository or one image's folder
    Lint(lint::Args),
    /// SBOM of an image, an archive or a root folder
    Inventory(inventory::Args),
    /// Findings of an image, an archive or a root folder
    Scan(scan::Args),
    /// Advisory data: import it, or tell its state
    #[command(subcommand)]
    Feeds(feeds::Args),
    /// The morning report of a night: on the terminal, as a page, as JSON, or mailed again
    Report(report::Args),
    /// The nights of a pipeline, the latest first
    History(history::Args),
    /// What changed between two nights
    Diff(diff::Args),
    /// Which images hold a package
    WhoHas(who_has::Args),
    /// Compare versions: `A B` a line on stdin, `<`, `=` or `>` a line on stdout
    Vercmp(vercmp::Args),
}

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All is well.
    Good,
    /// midwatch itself failed.
    Failed,
    /// The work is done, but what it looked at is not good.
    Bad,
    /// The arguments make no sense.
    Usage,
    /// Soft lint findings only.
    Soft,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Good => 0,
            Exit::Failed => 1,
            Exit::Bad => 2,
            Exit::Usage => 64,
            Exit::Soft => 100,
        })
    }
}

/// Reads the arguments; prints help or what is wrong with them.
///
/// # Errors
/// The exit that follows.
pub fn parse() -> Result<Cli, Exit> {
    Cli::try_parse().map_err(|error| {
        let _ = error.print();
        if error.use_stderr() { Exit::Usage } else { Exit::Good }
    })
}

/// Starts the log on stderr.
pub fn logging(cli: &Cli) {
    let filter = EnvFilter::try_new(config::log_filter())
        .unwrap_or_else(|_| EnvFilter::new("warn,midwatch=info"));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(progress::Stderr::default)
        .with_ansi(std::io::stderr().is_terminal() && !config::no_color());
    match cli.log {
        LogFormat::Text => lines.with_target(false).init(),
        LogFormat::Json => lines.json().flatten_event(true).init(),
    }
}

/// Runs the command; prints why it failed.
pub fn execute(cli: Cli) -> Exit {
    // The only provider compiled in; a second installation cannot happen.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| {
            let outcome = runtime.block_on(dispatch(cli));
            // A blocking read of a stream that never ends must not keep the program.
            runtime.shutdown_timeout(std::time::Duration::from_secs(2));
            outcome
        });
    outcome.unwrap_or_else(|error| failed(&error))
}

/// Says what happened, unless it is only that nobody reads on.
fn failed(error: &anyhow::Error) -> Exit {
    if error.is::<Unread>() {
        return Exit::Good;
    }
    eprintln!("midwatch: {}", told(error));
    if is_usage(error) { Exit::Usage } else { Exit::Failed }
}

/// The error and its causes; a cause that the words before it hold already is not repeated.
fn told(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text += &format!(": {cause}");
        }
    }
    text
}

/// A mistake of the user's, in the arguments or in a file.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Usage(String);

/// The reader of stdout went away, as `head` does.
#[derive(Debug, thiserror::Error)]
#[error("nobody reads the output")]
struct Unread;

fn is_usage(error: &anyhow::Error) -> bool {
    let of_config = |error: &config::Error| {
        use config::Error::{NoPipeline, Parse, Value};
        matches!(error, NoPipeline { .. } | Parse { .. } | Value { .. })
    };
    let of_ledger = |error: &store::Error| matches!(error, store::Error::UnknownNight { .. });
    let of_plan = |error: &plan_stage::Error| matches!(error, plan_stage::Error::Unknown { .. });
    let of_report =
        |error: &report_stage::Error| matches!(error, report_stage::Error::Address { .. });
    let of_night = |error: &night::Error| match error {
        night::Error::Plan(error) => of_plan(error),
        night::Error::Report(error) => of_report(error),
        night::Error::Store(error) => of_ledger(error),
        _ => false,
    };
    error.is::<Usage>()
        || error.downcast_ref().is_some_and(of_config)
        || error.downcast_ref().is_some_and(of_ledger)
        || error.downcast_ref().is_some_and(of_report)
        || error.downcast_ref().is_some_and(of_night)
}

async fn dispatch(cli: Cli) -> anyhow::Result<Exit> {
    let config = Config::load(cli.config.as_deref(), cli.data.as_deref())?;
    match cli.command {
        Command::Run(args) => run::run(&config, args).await,
        Command::Rebuild(args) => rebuild::run(&config, args).await,
        Command::Plan(args) => plan::run(&config, args).await,
        Command::Serve(args) => serve::run(&config, args).await,
        Command::Lint(args) => lint::run(args),
        Command::Inventory(args) => inventory::run(&config, args).await,
        Command::Scan(args) => scan::run(&config, args).await,
        Command::Feeds(args) => feeds::run(&config, args),
        Command::Report(args) => report::run(&config, args).await,
        Command::History(args) => history::run(&config, args).await,
        Command::Diff(args) => diff::run(&config, args).await,
        Command::WhoHas(args) => who_has::run(&config, args).await,
        Command::Vercmp(args) => vercmp::run(args),
    }
}

/// Whether stdout is a terminal that may be coloured.
fn colour() -> bool {
    std::io::stdout().is_terminal() && !config::no_color()
}

/// Prints text on stdout, as it is. A reader that went away is no error, and the exit code tells
/// what it would have told.
fn print(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    unless_unread(written(out.write_all(text.as_bytes()).and_then(|()| out.flush())))
}

/// Prints one JSON document on stdout, as [`print`].
fn print_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let document = serde_json::to_writer_pretty(&mut out, value).map_err(io::Error::from);
    unless_unread(written(document.and_then(|()| writeln!(out)).and_then(|()| out.flush())))
}

fn unless_unread(outcome: anyhow::Result<()>) -> anyhow::Result<()> {
    outcome.or_else(|error| if error.is::<Unread>() { Ok(()) } else { Err(error) })
}

/// A broken pipe as [`Unread`], which ends the program quietly.
fn written(outcome: io::Result<()>) -> anyhow::Result<()> {
    match outcome {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Unread.into()),
        outcome => Ok(outcome.context("cannot write the output")?),
    }
}

#[cfg(test)]
mod tests;
