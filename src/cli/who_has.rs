//! `midwatch who-has`: which images hold a package.

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;

use super::{Exit, print, print_json, setup};
use crate::config::Config;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// `NAME`, `NAME@VERSION` or a package URL
    package: String,
    /// As of that night [default: what every image has now]
    #[arg(long, value_name = "ID")]
    night: Option<String>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub async fn run(config: &Config, args: Args) -> anyhow::Result<Exit> {
    let (store, _) = setup::ledger(config).await?;
    let (name, version) = split(&args.package);
    let holders = store.who_has(name, version, args.night.as_deref()).await?;
    if args.json {
        print_json(&holders)?;
        return Ok(Exit::Good);
    }
    let mut table = comfy_table::Table::new();
    table
        .load_preset(UTF8_HORIZONTAL_ONLY)
        .set_header(["image", "package", "version", "night", "digest"]);
    for it in &holders {
        let digest = crate::model::plan::short(&it.digest).to_owned();
        table.add_row([
            it.image.clone(),
            it.package.clone(),
            it.version.clone(),
            it.night.clone(),
            digest,
        ]);
    }
    match holders.is_empty() {
        true => print(&format!("nobody has {}\n", args.package))?,
        false => print(&format!("{table}\n"))?,
    }
    Ok(Exit::Good)
}

/// Name and version; the `@` of a scope (`@types/node`) is part of the name, a package URL is whole.
fn split(package: &str) -> (&str, Option<&str>) {
    if package.starts_with("pkg:") {
        return (package, None);
    }
    match package.rsplit_once('@') {
        Some((name, version)) if !name.is_empty() => (name, Some(version)),
        _ => (package, None),
    }
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn a_scope_is_no_version() {
        assert_eq!(split("openssl"), ("openssl", None));
        assert_eq!(split("openssl@3.0.17-1"), ("openssl", Some("3.0.17-1")));
        assert_eq!(split("@types/node"), ("@types/node", None));
        assert_eq!(split("@types/node@20.1.0"), ("@types/node", Some("20.1.0")));
    }
}
