//! `midwatch inventory`: the SBOM of one image.

use clap::ValueEnum;

use super::{Exit, print_json};
use crate::ambient;
use crate::build::Daemon;
use crate::config::Config;
use crate::inventory::{self, Inspect, Limits, SbomMeta};
use crate::model::inventory::Inventory;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// An image of the daemon, a `docker save` or OCI archive, or a root folder
    target: String,
    /// What to print
    #[arg(long, value_enum, default_value_t = Format::Cyclonedx)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Cyclonedx,
    Json,
}

pub async fn run(config: &Config, args: Args) -> anyhow::Result<Exit> {
    let mut inventory = read(config, &args.target, |_| Vec::new()).await?;
    inventory.target = args.target.clone();
    match args.format {
        Format::Json => print_json(&inventory)?,
        Format::Cyclonedx => {
            let meta = SbomMeta {
                name: args.target.clone(),
                version: String::new(),
                timestamp: config.clock.now(),
                serial: format!("urn:uuid:{}", uuid()?),
                tool_version: env!("CARGO_PKG_VERSION").into(),
            };
            print_json(&inventory::cyclonedx(&inventory, &meta)?)?;
        }
    }
    for gap in &inventory.gaps {
        eprintln!("not assessed: {} {}: {}", gap.kind, gap.path, gap.reason);
    }
    Ok(Exit::Good)
}

/// The inventory of whatever `target` names: a path where one exists, else an image of the daemon.
/// Its own target is the name that an archive gives the image, else the one given.
pub async fn read(
    config: &Config,
    target: &str,
    inspect: impl Fn(&crate::model::inventory::FileSeen<'_>) -> Vec<crate::model::finding::Finding>
    + Send
    + Sync
    + 'static,
) -> anyhow::Result<Inventory> {
    let path = std::path::PathBuf::from(target);
    let name = target.to_owned();
    if path.exists() {
        let read = move || inventory::file(&path, &Limits::default(), &inspect as &Inspect<'_>);
        return Ok(tokio::task::spawn_blocking(read).await??);
    }
    let daemon = Daemon::connect(&config.docker_host()).await?;
    let facts = daemon.inspect(target).await?.ok_or_else(|| {
        anyhow::anyhow!("{target} is neither a file or folder here nor an image of the daemon")
    })?;
    let reader = daemon.export_reader(&facts.id).await?;
    let read = move || inventory::archive(reader, &Limits::default(), &inspect as &Inspect<'_>);
    let mut inventory = tokio::task::spawn_blocking(read).await??;
    inventory.digest = facts.id;
    inventory.target = name;
    Ok(inventory)
}

fn uuid() -> anyhow::Result<String> {
    let hex = ambient::random_hex(30)?;
    let (a, b, c, d) = (&hex[..8], &hex[8..12], &hex[12..15], &hex[15..18]);
    Ok(format!("{a}-{b}-4{c}-8{d}-{}", &hex[18..]))
}
