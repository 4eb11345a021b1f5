//! npm packages: every `package.json` below a `node_modules` that has a name and a version.

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::model::inventory::Package;

use super::gaps::Gaps;
use super::purl;

const MAX_NAME: usize = 214;
const MAX_VALUE: usize = 256;

/// A package.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Record {
    /// The name, scope included.
    pub name: String,
    /// The version.
    pub version: String,
    /// Licences as written.
    pub licences: Vec<String>,
}

/// The fields of `package.json` that matter, whatever their types are.
#[derive(Debug, Default, Deserialize)]
struct Document {
    #[serde(default)]
    name: Field,
    #[serde(default)]
    version: Field,
    #[serde(default)]
    license: Field,
    #[serde(default)]
    licenses: Field,
}

/// A text, an object with a `type` (the old licence form), a list of either, or rubbish.
#[derive(Debug, Default, Deserialize)]
#[serde(untagged)]
enum Field {
    Text(String),
    Typed {
        r#type: String,
    },
    List(Vec<Item>),
    #[default]
    Missing,
    Other(IgnoredAny),
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Item {
    Text(String),
    Typed { r#type: String },
    Other(IgnoredAny),
}

impl Record {
    /// Bytes it costs, roughly.
    pub fn cost(&self) -> usize {
        let licences: usize = self.licences.iter().map(|l| l.len() + 24).sum();
        96 + self.name.len() + self.version.len() + licences
    }

    /// The package it is.
    pub fn package(&self, path: &str, layer: &str) -> Package {
        let (scope, name) = match self.name.split_once('/') {
            Some((scope, name)) => (scope, name),
            None => ("", self.name.as_str()),
        };
        Package {
            name: self.name.clone(),
            version: self.version.clone(),
            ecosystem: "npm".to_owned(),
            purl: purl::of("npm", scope, name, &self.version, &[]),
            licences: self.licences.clone(),
            layer: layer.to_owned(),
            path: path.to_owned(),
            ..Package::default()
        }
    }
}

/// Whether this `package.json` stands below a `node_modules`.
pub(super) fn is_package(path: &str) -> bool {
    path.starts_with("node_modules/") || path.contains("/node_modules/")
}

/// Reads a `package.json`; one without a name or version is a fixture or a marker, not a package.
pub(super) fn parse(path: &str, content: &[u8], gaps: &mut Gaps) -> Option<Record> {
    let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
    let document: Document = match serde_json::from_slice(content) {
        Ok(document) => document,
        Err(_) => {
            // Test fixtures break JSON on purpose; only a package's own file is a gap.
            if is_root(path) {
                gaps.add("npm package", path, "package.json is not valid JSON");
            }
            return None;
        }
    };
    let name = text(document.name).filter(|name| is_name(name))?;
    let version = text(document.version).filter(|version| is_value(version))?;
    let mut licences = list(document.license);
    licences.extend(list(document.licenses));
    licences.retain(|licence| is_value(licence));
    licences.truncate(20);
    Some(Record { name, version, licences })
}

/// `…/node_modules/NAME/package.json` or `…/node_modules/@SCOPE/NAME/package.json`.
fn is_root(path: &str) -> bool {
    let inner = path.rsplit_once("node_modules/").map_or("", |(_, inner)| inner);
    inner.split('/').count() == if inner.starts_with('@') { 3 } else { 2 }
}

fn text(field: Field) -> Option<String> {
    match field {
        Field::Text(text) => Some(text),
        _ => None,
    }
}

fn list(field: Field) -> Vec<String> {
    let item = |item| match item {
        Item::Text(text) | Item::Typed { r#type: text } => Some(text),
        Item::Other(_) => None,
    };
    match field {
        Field::Text(text) | Field::Typed { r#type: text } => vec![text],
        Field::List(items) => items.into_iter().filter_map(item).collect(),
        Field::Missing | Field::Other(_) => Vec::new(),
    }
}

fn is_name(name: &str) -> bool {
    let plain = |part: &str| {
        !part.is_empty() && part.chars().all(|c| c.is_ascii_graphic() && !"/@\\%".contains(c))
    };
    let fits = name.len() <= MAX_NAME;
    fits && match name.strip_prefix('@').map(|rest| rest.split_once('/')) {
        Some(Some((scope, name))) => plain(scope) && plain(name),
        Some(None) => false,
        None => plain(name),
    }
}

fn is_value(value: &str) -> bool {
    !value.is_empty() && value.len() <= MAX_VALUE && !value.contains(char::is_control)
}
