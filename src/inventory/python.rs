//! Python distributions: `*.dist-info/METADATA` and `*.egg-info`.

use crate::model::inventory::Package;

use super::gaps::Gaps;
use super::purl;

const MAX_HEADERS: usize = 1 << 20;
const MAX_VALUE: usize = 256;

/// A distribution (core metadata specification: `Name`, `Version`, licence fields).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Record {
    /// PEP 503 name.
    pub name: String,
    /// PEP 440 version as written.
    pub version: String,
    /// Licences as written.
    pub licences: Vec<String>,
}

impl Record {
    /// Bytes it costs, roughly.
    pub fn cost(&self) -> usize {
        let licences: usize = self.licences.iter().map(|l| l.len() + 24).sum();
        96 + self.name.len() + self.version.len() + licences
    }

    /// The package it is.
    pub fn package(&self, path: &str, layer: &str) -> Package {
        Package {
            name: self.name.clone(),
            version: self.version.clone(),
            ecosystem: "PyPI".to_owned(),
            purl: purl::of("pypi", "", &self.name, &self.version, &[]),
            licences: self.licences.clone(),
            layer: layer.to_owned(),
            path: path.to_owned(),
            ..Package::default()
        }
    }
}

/// Whether this `METADATA` or `PKG-INFO` belongs to an installed distribution and not to a source tree.
pub(super) fn is_metadata(path: &str) -> bool {
    let Some((dir, name)) = path.rsplit_once('/') else { return false };
    match name {
        "METADATA" => dir.ends_with(".dist-info"),
        _ => dir.ends_with(".egg-info") || dir.ends_with(".egg/EGG-INFO"),
    }
}

/// Reads the header part of the metadata; a missing name or version comes from the folder's name.
pub(super) fn parse(path: &str, content: &[u8], gaps: &mut Gaps) -> Option<Record> {
    let headers = String::from_utf8_lossy(&content[..content.len().min(MAX_HEADERS)]);
    let (mut name, mut version) = (None, None);
    let (mut expression, mut free, mut classifiers) = (None, None, Vec::new());
    for line in headers.lines().take_while(|line| !line.trim().is_empty()) {
        let Some((key, value)) = line.split_once(':') else { continue };
        let value = value.trim();
        match key.to_ascii_lowercase().as_str() {
            "name" => name = good(value),
            "version" => version = good(value),
            "license-expression" => expression = good(value),
            "license" if value != "UNKNOWN" => free = good(value),
            "classifier" if classifiers.len() < 20 => classifiers.extend(classifier(value)),
            _ => {}
        }
    }
    let (folder_name, folder_version) = from_folder(path);
    let (name, version) = (name.or(folder_name), version.or(folder_version));
    let (Some(name), Some(version)) = (name, version) else {
        gaps.add("python package", path, "metadata without a readable name or version");
        return None;
    };
    let licences = match (expression, free) {
        (Some(expression), _) => vec![expression],
        (None, Some(free)) => vec![free],
        (None, None) => classifiers,
    };
    Some(Record { name: normal(&name), version, licences })
}

/// The PEP 503 normal form: runs of `-`, `_`, `.` become one `-`, all in lower case.
fn normal(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for c in name.chars() {
        let dash = matches!(c, '-' | '_' | '.');
        match dash {
            true if out.ends_with('-') => {}
            true => out.push('-'),
            false => out.extend(c.to_lowercase()),
        }
    }
    out
}

fn good(value: &str) -> Option<String> {
    let good = !value.is_empty() && value.len() <= MAX_VALUE && !value.contains(char::is_control);
    good.then(|| value.to_owned())
}

/// `License :: OSI Approved :: MIT License` names `MIT License`.
fn classifier(value: &str) -> Option<String> {
    let rest = value.strip_prefix("License ::")?;
    good(rest.rsplit("::").next()?.trim()).filter(|last| last != "OSI Approved")
}

/// `foo_bar-1.2.dist-info`, `foo-1.2-py3.11.egg-info`.
fn from_folder(path: &str) -> (Option<String>, Option<String>) {
    let folder = path.split('/').rfind(|part| {
        part.ends_with(".dist-info") || part.ends_with(".egg-info") || part.ends_with(".egg")
    });
    let stem = folder.and_then(|folder| folder.rsplit_once('.')).map_or("", |(stem, _)| stem);
    let mut parts = stem.split('-');
    (parts.next().and_then(good), parts.next().and_then(good))
}
