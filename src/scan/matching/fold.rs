//! Folds the records of several databases that speak of one vulnerability into one.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::advisory::Advisory;
use crate::model::finding::Severity;

use super::range::{self, Verdict};
use crate::scan::version::Scheme;

/// What all matching records say of one vulnerability in one package.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// The first record id in alphabetical order, so that it is the same on every night.
    pub id: String,
    /// All other ids, CVE first.
    pub aliases: Vec<String>,
    /// The first summary that is not empty.
    pub summary: String,
    /// The worst severity that a record states.
    pub severity: Option<Severity>,
    /// Its CVSS base score.
    pub cvss: Option<f64>,
    /// The fixed version that clears all records that have one.
    pub fixed: Option<String>,
    /// The earliest date, RFC 3339; empty where there is none.
    pub published: String,
}

/// Groups records whose ids meet.
///
/// A bulletin (a record with several CVEs: `DSA-…`, `USN-…`) would tie its CVEs into one, so it is
/// left out where records of their own stand for all of them, and stands alone otherwise.
pub fn groups(scheme: Scheme, mut hits: Vec<(&Advisory, Verdict)>) -> Vec<Group> {
    hits.sort_by(|(a, _), (b, _)| a.id.cmp(&b.id));
    let (bulletins, single): (Vec<_>, Vec<_>) =
        hits.into_iter().partition(|(advisory, _)| cves(advisory).count() > 1);
    let known: BTreeSet<&str> = single.iter().flat_map(|(advisory, _)| cves(advisory)).collect();
    let mut sets = meet(single);
    for hit in bulletins {
        if !cves(hit.0).all(|cve| known.contains(cve)) {
            sets.push(vec![hit]);
        }
    }
    let mut groups: Vec<Group> = sets.into_iter().map(|set| group(scheme, set)).collect();
    // Two bulletins may carry one id.
    groups.sort_by(|a, b| a.id.cmp(&b.id));
    groups.dedup_by(|a, b| a.id == b.id);
    groups
}

fn ids(advisory: &Advisory) -> impl Iterator<Item = &str> {
    std::iter::once(advisory.id.as_str()).chain(advisory.aliases.iter().map(String::as_str))
}

fn cves(advisory: &Advisory) -> impl Iterator<Item = &str> {
    ids(advisory).filter(|id| id.starts_with("CVE-"))
}

/// Sets of records that share an id, directly or through others.
fn meet(hits: Vec<(&Advisory, Verdict)>) -> Vec<Vec<(&Advisory, Verdict)>> {
    let mut sets: Vec<Vec<(&Advisory, Verdict)>> = Vec::new();
    let mut owner: BTreeMap<&str, usize> = BTreeMap::new();
    for hit in hits {
        let mut touched: Vec<usize> = ids(hit.0).filter_map(|id| owner.get(id).copied()).collect();
        touched.sort_unstable();
        touched.dedup();
        let home = touched.first().copied().unwrap_or(sets.len());
        if home == sets.len() {
            sets.push(Vec::new());
        }
        for other in touched.into_iter().skip(1) {
            let moved = std::mem::take(&mut sets[other]);
            owner.extend(moved.iter().flat_map(|(advisory, _)| ids(advisory)).map(|id| (id, home)));
            sets[home].extend(moved);
        }
        owner.extend(ids(hit.0).map(|id| (id, home)));
        sets[home].push(hit);
    }
    sets.retain(|set| !set.is_empty());
    sets
}

fn group(scheme: Scheme, mut set: Vec<(&Advisory, Verdict)>) -> Group {
    set.sort_by(|(a, _), (b, _)| a.id.cmp(&b.id));
    let id = set.first().map(|(advisory, _)| advisory.id.clone()).unwrap_or_default();
    let others: BTreeSet<(bool, &str)> = set
        .iter()
        .flat_map(|(advisory, _)| ids(advisory))
        .filter(|other| *other != id)
        .map(|other| (!other.starts_with("CVE-"), other))
        .collect();
    let worst = set.iter().filter_map(|(a, _)| Some((a.severity?, a.cvss))).max_by(|a, b| {
        a.0.cmp(&b.0).then_with(|| a.1.unwrap_or(0.0).total_cmp(&b.1.unwrap_or(0.0)))
    });
    let dates = set.iter().map(|(a, _)| a.published.as_str()).filter(|date| !date.is_empty());
    Group {
        aliases: others.into_iter().map(|(_, other)| other.to_owned()).collect(),
        summary: set
            .iter()
            .map(|(a, _)| &a.summary)
            .find(|s| !s.is_empty())
            .cloned()
            .unwrap_or_default(),
        severity: worst.map(|(severity, _)| severity),
        cvss: worst.and_then(|(_, cvss)| cvss),
        published: dates.min().unwrap_or_default().to_owned(),
        fixed: set.iter().fold(None, |best, (_, v)| range::largest(scheme, best, v.fixed.clone())),
        id,
    }
}
