//! OSV records (schema 1.6) as they are kept: one head per record, one body per package.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::advisory::{Advisory, RangeEvent, VersionRange};
use crate::model::finding::Severity;

use super::{names, severity};

/// What a record says as a whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Head {
    pub id: String,
    /// `aliases` and `upstream`, CVE first.
    pub aliases: Vec<String>,
    pub summary: String,
    pub published: String,
}

/// What a record says of one package.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Body {
    /// As written.
    pub ecosystem: String,
    pub severity: Option<Severity>,
    pub cvss: Option<f64>,
    pub ranges: Vec<VersionRange>,
    pub versions: Vec<String>,
}

impl Body {
    /// The two together, as the matcher gets them.
    pub fn advisory(self, head: &Head) -> Advisory {
        Advisory {
            id: head.id.clone(),
            aliases: head.aliases.clone(),
            summary: head.summary.clone(),
            published: head.published.clone(),
            ecosystem: self.ecosystem,
            severity: self.severity,
            cvss: self.cvss,
            ranges: self.ranges,
            versions: self.versions,
        }
    }
}

/// A record, read.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    pub head: Head,
    pub modified: Option<DateTime<Utc>>,
    /// The newest of its dates; Go writes no `modified`, and of late only `withdrawn`.
    pub dated: Option<DateTime<Utc>>,
    pub withdrawn: bool,
    /// (look-up key, what is said of that package); one for each key.
    pub bodies: Vec<(String, Body)>,
    /// All ecosystems that the record speaks of, without their releases.
    pub bases: Vec<String>,
    /// What it lends to others with the same CVE: CVSS or a database's own word, not a distribution's.
    pub lends: Option<(Severity, Option<f64>)>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Document {
    id: String,
    modified: Option<String>,
    published: Option<String>,
    withdrawn: Option<String>,
    aliases: Option<Vec<String>>,
    upstream: Option<Vec<String>>,
    summary: Option<String>,
    details: Option<String>,
    severity: Option<Vec<RawSeverity>>,
    affected: Option<Vec<RawAffected>>,
    database_specific: Option<Value>,
    /// KEV's own keys, so that one pass over the text tells the two apart.
    #[serde(rename = "dateReleased")]
    pub released: Option<String>,
    pub vulnerabilities: Option<Vec<super::kev::Entry>>,
}

impl Document {
    /// Whether it is an OSV record: `id` and `modified` are the schema's two required keys.
    pub fn is_osv(&self) -> bool {
        !self.id.is_empty() && (self.modified.is_some() || self.affected.is_some())
    }
}

#[derive(Debug, Default, Deserialize)]
struct RawSeverity {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    score: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawAffected {
    package: Option<RawPackage>,
    severity: Option<Vec<RawSeverity>>,
    ranges: Option<Vec<RawRange>>,
    versions: Option<Vec<String>>,
    ecosystem_specific: Option<Value>,
    database_specific: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawPackage {
    ecosystem: String,
    name: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawRange {
    #[serde(rename = "type")]
    kind: String,
    events: Vec<RawEvent>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawEvent {
    introduced: Option<String>,
    fixed: Option<String>,
    last_affected: Option<String>,
    limit: Option<String>,
}

const SUMMARY: usize = 300;

/// Reads a record; the reason where it is damaged.
pub(super) fn record(raw: Document) -> Result<Record, String> {
    if raw.id.is_empty() || raw.id.len() > 200 || raw.id.chars().any(char::is_control) {
        return Err("no usable id".to_owned());
    }
    let rating = whole(&raw);
    let mut record = Record {
        modified: date(raw.modified.as_deref()),
        dated: [&raw.modified, &raw.published, &raw.withdrawn]
            .into_iter()
            .filter_map(|text| date(text.as_deref()))
            .max(),
        withdrawn: raw.withdrawn.as_deref().is_some_and(|when| !when.is_empty()),
        lends: rating.lent(),
        bodies: Vec::new(),
        bases: Vec::new(),
        head: head(&raw),
    };
    for affected in raw.affected.unwrap_or_default() {
        add(&mut record, affected, &rating, raw.summary.as_deref().unwrap_or_default())?;
    }
    record.bases.sort_unstable();
    record.bases.dedup();
    Ok(record)
}

fn head(raw: &Document) -> Head {
    let mut aliases: Vec<String> = [&raw.aliases, &raw.upstream]
        .into_iter()
        .flatten()
        .flatten()
        .filter(|alias| **alias != raw.id && !alias.is_empty())
        .cloned()
        .collect();
    aliases.sort_by(|a, b| (!a.starts_with("CVE-"), a).cmp(&(!b.starts_with("CVE-"), b)));
    aliases.dedup();
    let text =
        [&raw.summary, &raw.details].into_iter().flatten().find(|text| !text.trim().is_empty());
    let published = date(raw.published.as_deref()).and(raw.published.clone()).unwrap_or_default();
    Head { id: raw.id.clone(), aliases, summary: line(text.map_or("", String::as_str)), published }
}

/// The first line, cut.
fn line(text: &str) -> String {
    let first = text.trim().lines().next().unwrap_or_default();
    first.chars().filter(|c| !c.is_control()).take(SUMMARY).collect()
}

/// An RFC 3339 date; Go writes year 1 for none.
pub(super) fn date(text: Option<&str>) -> Option<DateTime<Utc>> {
    let date = DateTime::parse_from_rfc3339(text?).ok()?.with_timezone(&Utc);
    (date.timestamp() > 0).then_some(date)
}

/// Adds what is said of one package; records without a package are for commits.
fn add(record: &mut Record, raw: RawAffected, whole: &Rating, summary: &str) -> Result<(), String> {
    let Some(package) =
        raw.package.as_ref().filter(|p| !p.ecosystem.is_empty() && !p.name.is_empty())
    else {
        return Ok(());
    };
    if package.ecosystem.contains('\0') || package.name.contains('\0') {
        return Err("a NUL in a package's name".to_owned());
    }
    let key = names::key(&package.ecosystem, &package.name);
    record.bases.push(names::base(&package.ecosystem).to_owned());
    let own = part(&raw);
    record.lends = worse(record.lends, own.lent());
    let mut stated = own.word.or(whole.word);
    if package.ecosystem.starts_with("AlmaLinux") {
        stated = stated.or(severity::prefix(summary));
    }
    let cvss = own.cvss.or(whole.cvss);
    let body = Body {
        ecosystem: package.ecosystem.clone(),
        severity: own.vendor.or(whole.vendor).or(stated).or(cvss.map(Severity::from_cvss)),
        cvss,
        ranges: raw.ranges.unwrap_or_default().into_iter().filter_map(range).collect(),
        versions: raw.versions.unwrap_or_default(),
    };
    match record.bodies.iter_mut().find(|(other, _)| *other == key) {
        Some((_, known)) => {
            known.ranges.extend(body.ranges);
            known.versions.extend(body.versions);
            known.severity = known.severity.max(body.severity);
        }
        None => record.bodies.push((key, body)),
    }
    Ok(())
}

fn range(raw: RawRange) -> Option<VersionRange> {
    let semver = match raw.kind.as_str() {
        "SEMVER" => true,
        "ECOSYSTEM" => false,
        _ => return None,
    };
    let mut events = Vec::with_capacity(raw.events.len());
    for event in raw.events {
        events.extend(event.introduced.map(RangeEvent::Introduced));
        events.extend(event.fixed.map(RangeEvent::Fixed));
        events.extend(event.last_affected.map(RangeEvent::LastAffected));
        events.extend(event.limit.map(RangeEvent::Limit));
    }
    Some(VersionRange { semver, events })
}

/// The ways in which one place of a record states a severity.
#[derive(Debug, Clone, Copy, Default)]
struct Rating {
    /// A distribution's own triage: Ubuntu's priority, Debian's urgency.
    vendor: Option<Severity>,
    /// The database's word.
    word: Option<Severity>,
    /// The newest CVSS version's base score.
    cvss: Option<f64>,
}

impl Rating {
    fn lent(&self) -> Option<(Severity, Option<f64>)> {
        let severity = self.cvss.map(Severity::from_cvss).or(self.word)?;
        Some((severity, self.cvss))
    }

    fn vectors(mut self, raw: Option<&Vec<RawSeverity>>) -> Self {
        let mut newest = "";
        for severity in raw.into_iter().flatten() {
            if severity.kind == "Ubuntu" {
                self.vendor = severity::word(&severity.score).or(self.vendor);
            } else if severity.kind.starts_with("CVSS_")
                && severity.kind.as_str() > newest
                && let Some(score) = severity::score(&severity.score)
            {
                (self.cvss, newest) = (Some(score), &severity.kind);
            }
        }
        self
    }
}

fn whole(raw: &Document) -> Rating {
    let word = text(raw.database_specific.as_ref(), "severity").and_then(severity::word);
    Rating { word, ..Rating::default() }.vectors(raw.severity.as_ref())
}

fn part(raw: &RawAffected) -> Rating {
    let specific = raw.ecosystem_specific.as_ref();
    let vendor =
        ["severity", "urgency"].iter().find_map(|key| severity::word(text(specific, key)?));
    let word = text(raw.database_specific.as_ref(), "severity").and_then(severity::word);
    Rating { vendor, word, cvss: None }.vectors(raw.severity.as_ref())
}

fn text<'a>(value: Option<&'a Value>, key: &str) -> Option<&'a str> {
    value?.get(key)?.as_str()
}

/// Of two ratings to lend, the worse.
pub(super) fn worse<T: PartialOrd>(
    a: Option<(Severity, Option<T>)>,
    b: Option<(Severity, Option<T>)>,
) -> Option<(Severity, Option<T>)> {
    match (a, b) {
        (Some(a), Some(b)) if (b.0, &b.1) > (a.0, &a.1) => Some(b),
        (a, b) => a.or(b),
    }
}
