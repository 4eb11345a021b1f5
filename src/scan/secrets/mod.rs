//! Finds credentials in files of a layer and in an image's configuration.
//!
//! One Aho-Corasick pass over all keywords tells which rules may apply and where; only their
//! patterns run, on a window around the keyword; then entropy, placeholders and the rule's own
//! check decide. A rule that hits several times in one file gives one finding that names the lines.

mod judge;
mod paths;
mod rules;

use std::collections::BTreeMap;
use std::ops::Range;

use aho_corasick::AhoCorasick;
use regex::bytes::{Regex, RegexBuilder};

use crate::model::finding::{Finding, Kind, Severity};
use crate::model::inventory::{FileSeen, ImageConfig};
use crate::model::text::is_hidden;
use rules::{Rule, Scope};

/// Most findings of one file.
const MOST: usize = 50;
/// Most matches of one rule that are looked at in one file, and how many of them may stand.
const MOST_TRIES: usize = 1000;
const MOST_HITS: usize = 50;

const REMEDY: &str = "revoke it, remove it from the layer that brought it, rebuild; a later layer does not remove it";

/// Why the rules could not be compiled.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A rule's pattern is wrong.
    #[error("secret rule {rule}: {source}")]
    Rule {
        /// The rule's id.
        rule: &'static str,
        /// What the regex engine says.
        source: regex::Error,
    },
    /// The keyword automaton could not be built.
    #[error("keywords of the secret rules: {0}")]
    Keywords(#[from] aho_corasick::BuildError),
}

/// All rules, compiled once; shared between threads.
#[derive(Debug)]
pub struct Secrets {
    rules: Vec<Compiled>,
    keywords: AhoCorasick,
    /// For each keyword the rules that wait for it.
    waiting: Vec<Vec<usize>>,
}

#[derive(Debug)]
struct Compiled {
    rule: &'static Rule,
    regex: Regex,
}

/// A match that stands.
#[derive(Debug)]
struct Hit {
    rule: &'static Rule,
    span: Range<usize>,
    severity: Severity,
    note: &'static str,
}

impl Secrets {
    /// Compiles the rules.
    ///
    /// # Errors
    /// Where a rule's pattern does not compile.
    pub fn new() -> Result<Self, Error> {
        let rules = rules::all().map(compile).collect::<Result<Vec<_>, _>>()?;
        let mut waiting: BTreeMap<&'static str, Vec<usize>> = BTreeMap::new();
        for (place, compiled) in rules.iter().enumerate() {
            for keyword in compiled.rule.keywords {
                waiting.entry(keyword).or_default().push(place);
            }
        }
        let keywords =
            AhoCorasick::builder().ascii_case_insensitive(true).build(waiting.keys().copied())?;
        Ok(Self { rules, keywords, waiting: waiting.into_values().collect() })
    }

    /// Secrets in one file of a layer, at most 50, the worst first.
    pub fn inspect(&self, file: &FileSeen<'_>) -> Vec<Finding> {
        let Some(mut weakest) = paths::weakest(file.path) else { return Vec::new() };
        if binary(file.content) {
            weakest = Scope::Token;
        }
        let hits = self.hits(file.content, weakest, Some(paths::base(file.path)));
        let place = |lines: &[String]| match lines {
            [line] => format!("{}:{line}", plain(file.path)),
            lines => format!("{}, lines {}", plain(file.path), several(lines)),
        };
        if hits.is_empty() {
            return Vec::new();
        }
        let ends = line_ends(file.content);
        let mut found = Vec::new();
        for group in grouped(hits) {
            let line = |hit: &Hit| 1 + ends.partition_point(|end| *end < hit.span.start);
            let lines = distinct(group.iter().map(line));
            let mut finding = finding(&group, file.content, &place(&lines));
            finding.path = Some(file.path.to_owned());
            finding.layer = Some(file.layer.to_owned());
            found.push(finding);
        }
        worst_first(found)
    }

    /// Secrets in environment, labels and history of an image, the worst first.
    pub fn environment(&self, config: &ImageConfig) -> Vec<Finding> {
        let labels = config.labels.iter().map(|(key, value)| format!("{key}={value}"));
        let named = |what: &str, entry: &str| {
            format!("{what} {}", plain(entry.split('=').next().unwrap_or_default()))
        };
        let texts = (config.env.iter().map(|e| (named("environment variable", e), e.clone())))
            .chain(labels.map(|label| (named("label", &label), label)))
            .chain(
                (config.history.iter().enumerate())
                    .map(|(n, step)| (format!("build history step {}", n + 1), step.clone())),
            );
        let mut groups: BTreeMap<&'static str, (Finding, Vec<String>)> = BTreeMap::new();
        for (place, text) in texts {
            for group in grouped(self.hits(text.as_bytes(), Scope::Config, None)) {
                let one = finding(&group, text.as_bytes(), &place);
                let entry = groups.entry(group[0].rule.id).or_insert_with(|| (one, Vec::new()));
                entry.1.push(place.clone());
            }
        }
        let found = groups.into_values().map(|(mut finding, places)| {
            if places.len() > 1 {
                finding.title.push_str(&format!(", also in {}", several(&places[1..])));
            }
            finding
        });
        worst_first(found.collect())
    }

    /// Every match that stands, none overlapping a more telling one, in order of place.
    fn hits(&self, content: &[u8], weakest: Scope, name: Option<&str>) -> Vec<Hit> {
        let mut hits = Vec::new();
        for (place, windows) in self.windows(content, weakest, name) {
            hits.extend(self.rules[place].search(content, windows));
        }
        hits.sort_by_key(|hit: &Hit| (hit.rule.scope == Scope::Config, hit.span.start));
        let mut kept: Vec<Hit> = Vec::new();
        for hit in hits {
            let free =
                |other: &Hit| hit.span.end <= other.span.start || other.span.end <= hit.span.start;
            if kept.iter().all(free) {
                kept.push(hit);
            }
        }
        kept.sort_by_key(|hit| hit.span.start);
        kept
    }

    /// For each rule that may apply, the parts of the content to try it on.
    fn windows(
        &self,
        content: &[u8],
        weakest: Scope,
        name: Option<&str>,
    ) -> BTreeMap<usize, Vec<Range<usize>>> {
        let mut windows: BTreeMap<usize, Vec<Range<usize>>> = BTreeMap::new();
        for found in self.keywords.find_overlapping_iter(content) {
            for &place in &self.waiting[found.pattern().as_usize()] {
                let rule = self.rules[place].rule;
                if !rule.applies(weakest, name) {
                    continue;
                }
                let start = found.start().saturating_sub(rule.window.0);
                let end = content.len().min(found.end() + rule.window.1);
                let list = windows.entry(place).or_default();
                match list.last_mut() {
                    Some(last) if start <= last.end => last.end = last.end.max(end),
                    _ => list.push(start..end),
                }
            }
        }
        for (place, compiled) in self.rules.iter().enumerate() {
            let bound = !compiled.rule.files.is_empty() && compiled.rule.keywords.is_empty();
            if bound && compiled.rule.applies(weakest, name) {
                windows.entry(place).or_default().push(0..content.len());
            }
        }
        windows
    }
}

impl Rule {
    fn applies(&self, weakest: Scope, name: Option<&str>) -> bool {
        self.scope >= weakest
            && (self.files.is_empty() || name.is_some_and(|name| self.files.contains(&name)))
    }
}

impl Compiled {
    /// Matches that stand, each window in turn.
    fn search(&self, content: &[u8], windows: Vec<Range<usize>>) -> Vec<Hit> {
        let (mut hits, mut tries) = (Vec::new(), 0);
        for window in windows {
            let text = &content[..window.end];
            let mut at = window.start;
            while at < window.end && tries < MOST_TRIES && hits.len() < MOST_HITS {
                let Some(found) = self.regex.captures_at(text, at) else { break };
                let Some(secret) = found.get(1).or_else(|| found.get(0)) else { break };
                at = secret.end().max(at + 1);
                tries += 1;
                if let Some((severity, note)) = judge::judge(self.rule, content, secret.range()) {
                    hits.push(Hit { rule: self.rule, span: secret.range(), severity, note });
                }
            }
        }
        hits
    }
}

fn compile(rule: &'static Rule) -> Result<Compiled, Error> {
    // Secrets are ASCII; without Unicode tables all rules compile in milliseconds.
    let regex = RegexBuilder::new(rule.pattern).unicode(false).build();
    let regex = regex.map_err(|source| Error::Rule { rule: rule.id, source })?;
    Ok(Compiled { rule, regex })
}

/// Hits of the same rule together, in order of their first place.
fn grouped(hits: Vec<Hit>) -> Vec<Vec<Hit>> {
    let mut groups: Vec<Vec<Hit>> = Vec::new();
    for hit in hits {
        match groups.iter_mut().find(|group| group[0].rule.id == hit.rule.id) {
            Some(group) => group.push(hit),
            None => groups.push(vec![hit]),
        }
    }
    groups
}

fn finding(group: &[Hit], content: &[u8], place: &str) -> Finding {
    let worst = group.iter().max_by_key(|hit| hit.severity).unwrap_or(&group[0]);
    let value = String::from_utf8_lossy(&content[worst.span.clone()]);
    let shown = match worst.rule.check {
        rules::Check::PrivateKey => String::new(),
        _ => format!(" ({})", judge::redact(&value)),
    };
    Finding {
        id: worst.rule.id.to_owned(),
        kind: Kind::Secret,
        severity: worst.severity,
        title: format!("{}{} in {place}{shown}", worst.rule.name, worst.note),
        remedy: REMEDY.to_owned(),
        ..Finding::default()
    }
}

fn worst_first(mut found: Vec<Finding>) -> Vec<Finding> {
    found.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    found.truncate(MOST);
    found
}

fn distinct(lines: impl Iterator<Item = usize>) -> Vec<String> {
    let mut lines: Vec<usize> = lines.collect();
    lines.dedup();
    lines.iter().map(usize::to_string).collect()
}

/// The first five, and how many more.
fn several(places: &[String]) -> String {
    let first = places[..places.len().min(5)].join(", ");
    match places.len().saturating_sub(5) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

fn line_ends(content: &[u8]) -> Vec<usize> {
    content.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at).collect()
}

fn binary(content: &[u8]) -> bool {
    content[..content.len().min(8192)].contains(&0)
}

/// A name from inside an image, fit for a terminal: no control characters, at most 200 characters.
fn plain(name: &str) -> String {
    name.chars().map(|c| if is_hidden(c) { '\u{fffd}' } else { c }).take(200).collect()
}

#[cfg(test)]
mod tests;
