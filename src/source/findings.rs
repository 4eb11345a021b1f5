//! Collects violations of one file, and reads YAML nodes with one violation for each wrong type.

use super::yaml::{Key, Node, Value};
use crate::model::source::{Level, Violation};
use crate::model::text::plain;

/// Most violations of one file that are kept.
const MAX: usize = 500;

/// Violations of one file.
#[derive(Debug)]
pub(super) struct Findings {
    file: String,
    pub list: Vec<Violation>,
}

impl Findings {
    /// None yet, of `file`, a path in the repository.
    pub fn of(file: impl Into<String>) -> Self {
        Self { file: file.into(), list: Vec::new() }
    }

    /// Notes one that stops the image.
    pub fn hard(
        &mut self,
        line: usize,
        rule: &str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.add(Level::Hard, line, rule, message.into(), help.into());
    }

    /// Notes one that is only shown.
    pub fn soft(
        &mut self,
        line: usize,
        rule: &str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.add(Level::Soft, line, rule, message.into(), help.into());
    }

    /// Notes one.
    pub fn add(&mut self, severity: Level, line: usize, rule: &str, message: String, help: String) {
        if self.list.len() < MAX {
            let (file, rule) = (self.file.clone(), rule.to_owned());
            self.list.push(Violation { file, line, rule, severity, message, help });
        }
    }

    /// The text of `node`, or a violation.
    pub fn text<'a>(&mut self, what: &str, node: &'a Node) -> Option<&'a str> {
        match &node.value {
            Value::Text(text) => Some(text),
            Value::Number(_) | Value::Bool(_) => {
                let kind = node.value.kind();
                self.wrong(
                    node.line,
                    format!("`{what}` must be text, it is {kind}"),
                    "put it in quotes",
                );
                None
            }
            other => {
                let kind = other.kind();
                self.wrong(
                    node.line,
                    format!("`{what}` must be text, it is {kind}"),
                    "write one line of text",
                );
                None
            }
        }
    }

    /// The items of `node`, or a violation.
    pub fn list<'a>(&mut self, what: &str, node: &'a Node) -> &'a [Node] {
        if let Value::List(items) = &node.value {
            return items;
        }
        let kind = node.value.kind();
        self.wrong(
            node.line,
            format!("`{what}` must be a list, it is {kind}"),
            "write each item on its own line after `- `",
        );
        &[]
    }

    /// The entries of `node`, or a violation.
    pub fn map<'a>(&mut self, what: &str, node: &'a Node) -> Option<&'a [(Key, Node)]> {
        if let Value::Map(entries) = &node.value {
            return Some(entries);
        }
        let kind = node.value.kind();
        self.wrong(
            node.line,
            format!("`{what}` must be a mapping, it is {kind}"),
            "write `key: value` lines below it",
        );
        None
    }

    fn wrong(&mut self, line: usize, message: String, help: &str) {
        self.hard(line, "manifest.type", message, help);
    }

    /// A violation for each key of `entries` that is not in `known`.
    pub fn unknown(&mut self, what: &str, entries: &[(Key, Node)], known: &[&str]) {
        for (key, _) in entries {
            if !known.contains(&key.name.as_str()) {
                let shown = shown(&key.name);
                let help = nearest(&key.name, known);
                self.hard(
                    key.line,
                    "manifest.unknown-key",
                    format!("`{what}` has no key `{shown}`"),
                    help,
                );
            }
        }
    }
}

/// The value under `name`.
pub(super) fn entry<'a>(entries: &'a [(Key, Node)], name: &str) -> Option<(&'a Key, &'a Node)> {
    entries.iter().find(|(key, _)| key.name == name).map(|(key, node)| (key, node))
}

/// `text` cut and escaped for a message.
pub(super) fn shown(text: &str) -> String {
    let cut: String = text.chars().take(100).collect();
    let dots = if cut.len() < text.len() { "…" } else { "" };
    format!("{}{dots}", plain(&cut))
}

fn nearest(name: &str, known: &[&str]) -> String {
    let cut: String = name.chars().take(60).collect();
    let score = |candidate: &&&str| (strsim::jaro_winkler(&cut, candidate) * 1000.0) as u32;
    match known.iter().max_by_key(score) {
        Some(best) if score(&best) > 850 => format!("did you mean `{best}`? else remove it"),
        _ => format!("remove it; known are {}", known.join(", ")),
    }
}
