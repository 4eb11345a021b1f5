//! dpkg: the status file, distroless `status.d`, and which package owns a file.

use std::collections::{HashMap, HashSet};

use crate::model::inventory::{Os, Package, SourcePackage};

use super::gaps::Gaps;
use super::kept::{INFO, Kept, STATUS, STATUS_D};
use super::layer::Layer;
use super::purl;
use super::tree::Tree;

const MAX_VALUE: usize = 1024;
const KIND: &str = "dpkg status";

/// An installed package (deb-control(5), fields `Package`, `Version`, `Architecture`, `Source`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Record {
    /// The binary package.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its architecture.
    pub architecture: String,
    /// The source package's name.
    pub source: String,
    /// The source package's version.
    pub source_version: String,
}

impl Record {
    /// Bytes it costs, roughly.
    pub fn cost(&self) -> usize {
        120 + self.name.len() + self.version.len() + self.source.len() + self.source_version.len()
    }
}

/// The fields of one paragraph that matter.
#[derive(Debug, Default)]
struct Paragraph<'a> {
    any: bool,
    package: Option<&'a [u8]>,
    version: Option<&'a [u8]>,
    architecture: Option<&'a [u8]>,
    source: Option<&'a [u8]>,
    status: Option<&'a [u8]>,
}

/// The installed packages of a status file; broken paragraphs become gaps.
pub(super) fn parse(path: &str, content: &[u8], gaps: &mut Gaps) -> Vec<Record> {
    let mut records = Vec::new();
    let mut paragraph = Paragraph::default();
    for line in content.split(|&b| b == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.iter().all(u8::is_ascii_whitespace) {
            records.extend(finish(&paragraph, path, gaps));
            paragraph = Paragraph::default();
        } else if !line.starts_with(b" ") && !line.starts_with(b"\t") {
            field(line, &mut paragraph, path, gaps);
        }
    }
    records.extend(finish(&paragraph, path, gaps));
    records
}

fn field<'a>(line: &'a [u8], paragraph: &mut Paragraph<'a>, path: &str, gaps: &mut Gaps) {
    paragraph.any = true;
    let Some(colon) = line.iter().position(|&b| b == b':') else {
        gaps.add(KIND, path, "a line that is neither a field nor its continuation; it is skipped");
        return;
    };
    let value = line[colon + 1..].trim_ascii();
    let slot = match &line[..colon] {
        b"Package" => &mut paragraph.package,
        b"Version" => &mut paragraph.version,
        b"Architecture" => &mut paragraph.architecture,
        b"Source" => &mut paragraph.source,
        b"Status" => &mut paragraph.status,
        _ => return,
    };
    *slot = Some(value);
}

fn finish(paragraph: &Paragraph<'_>, path: &str, gaps: &mut Gaps) -> Option<Record> {
    if !paragraph.any || !installed(paragraph.status) {
        return None;
    }
    let (Some(name), Some(version)) = (text(paragraph.package), text(paragraph.version)) else {
        gaps.add(KIND, path, "an installed package without a readable name or version");
        return None;
    };
    let source = text(paragraph.source).unwrap_or_default();
    let (source, source_version) = match source.split_once(' ') {
        Some((source, version)) => (source, version.trim().trim_matches(['(', ')'])),
        None => (source.as_str(), ""),
    };
    let or = |value: &str, default: &str| if value.is_empty() { default } else { value }.to_owned();
    Some(Record {
        source: or(source, &name),
        source_version: or(source_version, &version),
        architecture: text(paragraph.architecture).unwrap_or_default(),
        name,
        version,
    })
}

/// Whether the third word of `Status` (dpkg(1), package states) says that the files are there and
/// configured; `status.d` has no such field.
fn installed(status: Option<&[u8]>) -> bool {
    let Some(status) = status else { return true };
    let state = status.split(|b| b.is_ascii_whitespace()).rfind(|word| !word.is_empty());
    matches!(state, Some(b"installed" | b"triggers-awaited" | b"triggers-pending"))
}

/// A value as text, if it can be a name or version at all.
fn text(value: Option<&[u8]>) -> Option<String> {
    let value = std::str::from_utf8(value?).ok()?;
    let good = !value.is_empty() && value.len() <= MAX_VALUE && !value.contains(char::is_control);
    good.then(|| value.to_owned())
}

/// The packages of the merged tree; each with the first layer in which it stands as it is.
pub(super) fn packages(tree: &Tree<'_>, os: &Os, gaps: &mut Gaps) -> Vec<Package> {
    let mut packages = Vec::new();
    let mut ecosystem = None;
    let mut add = |record: &Record, path: &str, layer: &str, gaps: &mut Gaps| {
        let ecosystem = ecosystem.get_or_insert_with(|| ecosystem_of(os, path, gaps));
        packages.push(package(record, os, ecosystem, path, layer));
    };
    if let Some((_, Kept::Dpkg(records))) = tree.content(STATUS) {
        let first = first_layers(tree.layers());
        for record in records {
            add(record, STATUS, first.get(record).copied().unwrap_or_default(), gaps);
        }
    } else if tree.layers().iter().any(|layer| !status_of(layer).is_empty()) {
        let reason = "a later layer removes it; what it listed cannot be assessed";
        gaps.add(KIND, STATUS, reason);
    }
    for (path, found) in tree.below(STATUS_D) {
        if let Some(Kept::Dpkg(records)) = tree.kept(found) {
            for record in records {
                add(record, path, tree.digest(found), gaps);
            }
        }
    }
    packages
}

fn status_of(layer: &Layer) -> &[Record] {
    let entry = layer.entries.iter().rfind(|entry| layer.path(entry) == STATUS);
    match entry.and_then(|entry| layer.kept(entry)) {
        Some(Kept::Dpkg(records)) => records,
        _ => &[],
    }
}

fn first_layers<'a>(layers: &[&'a Layer]) -> HashMap<&'a Record, &'a str> {
    let mut first = HashMap::new();
    for layer in layers {
        for record in status_of(layer) {
            first.entry(record).or_insert(layer.digest.as_str());
        }
    }
    first
}

fn package(record: &Record, os: &Os, ecosystem: &str, path: &str, layer: &str) -> Package {
    let vendor = if os.id.is_empty() { "debian" } else { &os.id };
    let distro =
        if os.version.is_empty() { String::new() } else { format!("{vendor}-{}", os.version) };
    let qualifiers = [("arch", record.architecture.as_str()), ("distro", &distro)];
    Package {
        purl: purl::of("deb", vendor, &record.name, &record.version, &qualifiers),
        name: record.name.clone(),
        version: record.version.clone(),
        ecosystem: ecosystem.to_owned(),
        source: Some(SourcePackage {
            name: record.source.clone(),
            version: record.source_version.clone(),
        }),
        architecture: record.architecture.clone(),
        licences: Vec::new(),
        layer: layer.to_owned(),
        path: path.to_owned(),
        owner: None,
    }
}

/// The OSV ecosystem of the system's dpkg packages: `Debian:12`, `Ubuntu:22.04`.
fn ecosystem_of(os: &Os, path: &str, gaps: &mut Gaps) -> String {
    let name = match os.id.as_str() {
        "" | "debian" => "Debian".to_owned(),
        "ubuntu" => "Ubuntu".to_owned(),
        other => {
            let reason = format!("dpkg packages of `{other}`, which has no advisories of its own");
            gaps.add("operating system", path, reason);
            other.to_owned()
        }
    };
    // Debian's advisories are by major version, Ubuntu's by year and month.
    let version = match name.as_str() {
        "Debian" => os.version.split('.').next().unwrap_or_default(),
        _ => &os.version,
    };
    if version.is_empty() {
        let reason = "the release is not known (no VERSION_ID in os-release, no debian_version)";
        gaps.add("operating system", path, reason);
        return name;
    }
    format!("{name}:{version}")
}

/// Names the owner of each package whose file stands in a dpkg file list.
pub(super) fn own(packages: &mut [Package], tree: &Tree<'_>) {
    let wanted: HashSet<String> = packages.iter().map(|p| merged(&p.path).to_owned()).collect();
    if wanted.is_empty() {
        return;
    }
    let mut owners: HashMap<String, String> = HashMap::new();
    for (path, found) in tree.below(INFO) {
        let (Some(Kept::Text(list)), Some(name)) = (tree.kept(found), list_name(path)) else {
            continue;
        };
        for line in list.lines() {
            let file = merged(line.trim_start_matches('/'));
            if wanted.contains(file) {
                owners.insert(file.to_owned(), name.to_owned());
            }
        }
    }
    for package in packages {
        package.owner = owners.get(merged(&package.path)).cloned();
    }
}

/// `var/lib/dpkg/info/zlib1g:amd64.list` is the list of `zlib1g`.
fn list_name(path: &str) -> Option<&str> {
    let name = path.strip_prefix(INFO)?.strip_suffix(".list")?;
    Some(name.split(':').next().unwrap_or(name))
}

/// The path without `usr/` where the merged `/usr` makes both the same file.
fn merged(path: &str) -> &str {
    match path.strip_prefix("usr/") {
        Some(rest) if ["bin/", "sbin/", "lib"].iter().any(|dir| rest.starts_with(dir)) => rest,
        _ => path,
    }
}
