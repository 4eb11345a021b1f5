//! `midwatch vercmp`: version order on a line protocol.

use std::cmp::Ordering;
use std::io::{BufRead, Write};

use super::{Exit, Usage, written};
use crate::scan::version::Scheme;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// `dpkg`, `PyPI`, `npm`, `Go`, `crates.io`, `semver`
    ecosystem: String,
}

pub fn run(args: Args) -> anyhow::Result<Exit> {
    let scheme = Scheme::of(&args.ecosystem).map_err(|error| Usage(error.to_string()))?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut exit = Exit::Good;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let mut words = line.split_whitespace();
        let sign = match (words.next(), words.next(), words.next()) {
            (Some(a), Some(b), None) => match scheme.compare(a, b) {
                Some(Ordering::Less) => "<",
                Some(Ordering::Equal) => "=",
                Some(Ordering::Greater) => ">",
                None => "?",
            },
            _ => "?",
        };
        if sign == "?" {
            exit = Exit::Bad;
        }
        written(writeln!(out, "{sign}"))?;
    }
    written(out.flush())?;
    Ok(exit)
}
