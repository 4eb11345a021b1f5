//! What a reader can do about the night: failures with whose they are, and upgrades folded over images.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::model::finding::{Finding, Kind, Severity};
use crate::model::night::{ImageResult, Outcome};
use crate::model::report::{ImageReport, Report};

/// Whose a failure is.
pub(super) fn class(result: &ImageResult) -> &'static str {
    let error = result.error.as_deref().unwrap_or("").to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| error.contains(word));
    match result.outcome {
        Outcome::Blocked => "base",
        Outcome::Held if held_by_feeds(result) => "feed",
        Outcome::Held => "policy",
        _ => match result.stage.as_deref().unwrap_or("") {
            "inputs" | "input" | "fetch" | "resources" => "input",
            "feeds" | "feed" => "feed",
            "disk" | "daemon" | "host" | "interrupted" => "host",
            "base" | "pull" | "outside" => "base",
            _ if has(&["no space left on device", "cannot connect to the docker daemon"]) => "host",
            _ if has(&["pull access denied", "manifest unknown", "failed to resolve source"]) => {
                "base"
            }
            _ => "own",
        },
    }
}

fn held_by_feeds(result: &ImageResult) -> bool {
    !result.held_by.is_empty()
        && result.held_by.iter().all(|reason| {
            let reason = reason.to_lowercase();
            reason.contains("feed") || reason.contains("advisory data")
        })
}

/// One thing to do.
#[derive(Debug)]
pub(super) enum Action<'a> {
    /// A build to mend.
    Repair { image: &'a ImageReport, unblocks: u64 },
    /// An image that policy holds.
    Hold { image: &'a ImageReport },
    /// Credentials to remove and rotate.
    Secret { image: &'a ImageReport, secrets: Vec<&'a Finding> },
    /// A package to upgrade.
    Upgrade(Upgrade<'a>),
}

/// Findings that one upgrade closes, over all images.
#[derive(Debug)]
pub(super) struct Upgrade<'a> {
    /// The package; the source package where there is one.
    pub package: &'a str,
    /// Its ecosystem.
    pub ecosystem: &'a str,
    /// The versions in use.
    pub from: BTreeSet<&'a str>,
    /// The version that closes them all.
    pub to: &'a str,
    /// Findings closed.
    pub closes: u64,
    /// The images.
    pub images: BTreeSet<&'a str>,
    /// The owners of these.
    pub owners: BTreeSet<&'a str>,
    /// The worst of the findings.
    pub worst: &'a Finding,
    /// The earliest publication among them, RFC 3339.
    pub published: Option<&'a str>,
}

/// All actions: repairs, held images, secrets, then upgrades, the most urgent first.
pub(super) fn actions(report: &Report) -> Vec<Action<'_>> {
    let unblocks = unblocked(report);
    let with = |outcome| move |image: &&ImageReport| image.result.outcome == outcome;
    let mut actions: Vec<Action<'_>> = Vec::new();
    let mut repairs: Vec<(u64, &ImageReport)> = report
        .images
        .iter()
        .filter(with(Outcome::Failed))
        .map(|image| (unblocks.get(image.result.name.as_str()).copied().unwrap_or(0), image))
        .collect();
    repairs.sort_by_key(|(unblocks, _)| std::cmp::Reverse(*unblocks));
    actions.extend(repairs.into_iter().map(|(unblocks, image)| Action::Repair { image, unblocks }));
    // Of an image with open secrets, the secrets' own action says that it is held.
    let held = report.images.iter().filter(with(Outcome::Held));
    let held = held.filter(|image| secrets(image).is_none());
    actions.extend(held.map(|image| Action::Hold { image }));
    actions.extend(report.images.iter().filter_map(secrets));
    actions.extend(upgrades(report).into_iter().map(Action::Upgrade));
    actions
}

/// Blocked images of each failed one, through any number of generations.
fn unblocked(report: &Report) -> HashMap<&str, u64> {
    let parents: HashMap<&str, &str> = report
        .images
        .iter()
        .filter_map(|i| Some((i.result.name.as_str(), i.result.blocked_by.as_deref()?)))
        .collect();
    let mut sums = HashMap::new();
    for image in parents.keys() {
        let mut root = *image;
        for _ in 0..parents.len() {
            match parents.get(root) {
                Some(parent) => root = parent,
                None => break,
            }
        }
        *sums.entry(root).or_insert(0) += 1;
    }
    sums
}

fn secrets(image: &ImageReport) -> Option<Action<'_>> {
    let secrets: Vec<&Finding> =
        image.findings.iter().filter(|f| f.counts() && f.kind == Kind::Secret).collect();
    (!secrets.is_empty()).then_some(Action::Secret { image, secrets })
}

/// Upgrades that close something known exploited or at least medium.
fn upgrades(report: &Report) -> Vec<Upgrade<'_>> {
    let mut folded: BTreeMap<(&str, &str), Upgrade<'_>> = BTreeMap::new();
    for image in &report.images {
        for finding in image.findings.iter().filter(|f| f.counts()) {
            let (Some(package), Some(fixed)) = (&finding.package, finding.fixed.as_deref()) else {
                continue;
            };
            let name = package.source.as_deref().and_then(|s| s.split_whitespace().next());
            let name = name.unwrap_or(&package.name);
            let upgrade = folded.entry((&package.ecosystem, name)).or_insert_with(|| Upgrade {
                package: name,
                ecosystem: &package.ecosystem,
                from: BTreeSet::new(),
                to: fixed,
                closes: 0,
                images: BTreeSet::new(),
                owners: BTreeSet::new(),
                worst: finding,
                published: None,
            });
            upgrade.add(image, finding, &package.version, fixed);
        }
    }
    let mut upgrades: Vec<Upgrade<'_>> = folded
        .into_values()
        .filter(|upgrade| upgrade.worst.kev || upgrade.worst.severity >= Severity::Medium)
        .collect();
    upgrades.sort_by(|a, b| {
        let rank = |u: &Upgrade<'_>| (u.worst.kev, u.worst.severity, u.closes);
        rank(b).cmp(&rank(a)).then_with(|| a.package.cmp(b.package))
    });
    upgrades
}

impl<'a> Upgrade<'a> {
    fn add(
        &mut self,
        image: &'a ImageReport,
        finding: &'a Finding,
        version: &'a str,
        fixed: &'a str,
    ) {
        self.closes += 1;
        self.from.insert(version);
        self.images.insert(&image.result.name);
        self.owners.extend(image.result.owners.iter().map(String::as_str));
        if newer(self.ecosystem, fixed, self.to) {
            self.to = fixed;
        }
        if (finding.kev, finding.severity) > (self.worst.kev, self.worst.severity) {
            self.worst = finding;
        }
        let published = finding.published.as_deref().filter(|text| !text.is_empty());
        if published.is_some_and(|date| self.published.is_none_or(|earliest| date < earliest)) {
            self.published = published;
        }
    }
}

/// Whether `a` is newer than `b` by the ecosystem's own order, by natural order where that has none.
fn newer(ecosystem: &str, a: &str, b: &str) -> bool {
    let family = ecosystem.split(':').next().unwrap_or("");
    let order = match family {
        "Debian" | "Ubuntu" => parsed::<debversion::Version>(a, b),
        "PyPI" => parsed::<pep440_rs::Version>(a, b),
        "npm" | "Go" | "crates.io" => {
            parsed::<semver::Version>(a.trim_start_matches('v'), b.trim_start_matches('v'))
        }
        _ => None,
    };
    order.unwrap_or_else(|| natural(a, b)) == Ordering::Greater
}

fn parsed<V: std::str::FromStr + Ord>(a: &str, b: &str) -> Option<Ordering> {
    Some(a.parse::<V>().ok()?.cmp(&b.parse::<V>().ok()?))
}

/// Digit runs compare as numbers, everything else as text.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    while !a.is_empty() && !b.is_empty() {
        let (x, rest_a) = run(a);
        let (y, rest_b) = run(b);
        let number = |s: &[u8]| s.first().is_some_and(u8::is_ascii_digit);
        let order = if number(x) && number(y) {
            let bare = |s: &[u8]| s.iter().position(|d| *d != b'0').unwrap_or(s.len());
            let (x, y) = (&x[bare(x)..], &y[bare(y)..]);
            x.len().cmp(&y.len()).then_with(|| x.cmp(y))
        } else {
            x.cmp(y)
        };
        if order != Ordering::Equal {
            return order;
        }
        (a, b) = (rest_a, rest_b);
    }
    a.len().cmp(&b.len())
}

fn run(text: &[u8]) -> (&[u8], &[u8]) {
    let digit = text[0].is_ascii_digit();
    text.split_at(text.iter().position(|c| c.is_ascii_digit() != digit).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_fix_is_found_by_each_ecosystems_order() {
        assert!(newer("PyPI", "3.10.0", "3.9.9"));
        assert!(!newer("PyPI", "3.10.0rc1", "3.10.0"));
        assert!(newer("Debian:12", "1:1.0-1", "2.0-1"));
        assert!(!newer("Debian:12", "3.0.15-1~deb12u1", "3.0.15-1"));
        assert!(newer("npm", "4.17.21", "4.17.9"));
        assert!(newer("Alpine:v3.20", "1.36.1-r30", "1.36.1-r4"));
    }
}
