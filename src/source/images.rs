//! Finds the image folders of a work tree and reads each into a plan's input or a broken image.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use regex::{Regex, RegexBuilder};
use sha2::{Digest, Sha256};

use super::dockerfile::parse_dockerfile;
use super::findings::Findings;
use super::layout::{self, Folder};
use super::manifest::{self, Reading, Settings};
use super::walk::{self, Entry, Kind};
use super::{Contents, Error, context, files, rules, vex};
use crate::model::dockerfile::Dockerfile;
use crate::model::pipeline::SourceSpec;
use crate::model::source::{BrokenImage, ImageSource, Level, Violation};

/// Most bytes of a Dockerfile.
const MAX_DOCKERFILE: u64 = 1 << 20;

/// Most submodules that are looked at.
const MAX_SUBMODULES: usize = 1000;

/// One image as far as it could be read.
struct Image {
    source: ImageSource,
    name_line: usize,
}

/// Reads everything below `dir`; `hash` fills in the digests of the contexts.
pub(super) fn read(dir: &Path, spec: &SourceSpec, hash: bool) -> Result<Contents, Error> {
    let (top, prefix) = top(dir, spec)?;
    let allowed = allowed_labels(spec)?;
    let settings = Settings { schema: spec.schema, allowed_labels: allowed.as_ref() };
    let entries = walk::walk(&top)?;
    let submodules = submodules(dir, &prefix);
    let folders = folders(&entries);
    let mut images = Vec::new();
    for (path, has_manifest) in &folders {
        let nested = nested(path, *has_manifest, &folders);
        let folder = Folder {
            top: &top,
            prefix: &prefix,
            path,
            entries: walk::below(&entries, path),
            nested: &nested,
            submodules: &submodules,
        };
        images.push(image(&folder, *has_manifest, settings, hash));
    }
    duplicates(&mut images);
    let (vex, violations) = vex::read(dir, &top, &prefix, &entries, &folders);
    let mut contents = Contents { vex, violations, ..Contents::default() };
    for image in images {
        sort(image, &mut contents);
    }
    contents.images.sort_by(|a, b| a.name.cmp(&b.name));
    contents.broken.sort_by(|a, b| (&a.name, &a.folder).cmp(&(&b.name, &b.folder)));
    Ok(contents)
}

/// The folder to walk, and its path in the repository.
fn top(dir: &Path, spec: &SourceSpec) -> Result<(PathBuf, String), Error> {
    let mut top = dir.canonicalize().map_err(|source| Error::io(dir, source))?;
    let mut parts = Vec::new();
    for part in spec.folder.iter().flat_map(|folder| folder.split('/')) {
        let bad = |why: String| Error::Setting { key: "folder", why };
        match part {
            "" | "." => continue,
            ".." => return Err(bad("`..` is not allowed; name a folder of the repository".into())),
            part => {
                top.push(part);
                parts.push(part);
            }
        }
        let meta = std::fs::symlink_metadata(&top);
        if !meta.is_ok_and(|meta| meta.is_dir()) {
            return Err(bad(format!("`{}` is not a folder of the repository", parts.join("/"))));
        }
    }
    Ok((top, parts.join("/")))
}

fn allowed_labels(spec: &SourceSpec) -> Result<Option<Regex>, Error> {
    let Some(pattern) = &spec.allowed_labels else { return Ok(None) };
    // The whole key must match: a pattern for one prefix must not admit any key that holds it.
    RegexBuilder::new(&format!("^(?:{pattern})$"))
        .size_limit(1 << 20)
        .build()
        .map(Some)
        .map_err(|error| Error::Setting { key: "allowed-labels", why: error.to_string() })
}

/// Folders of submodules relative to the walk's top.
fn submodules(dir: &Path, prefix: &str) -> BTreeSet<String> {
    let text = files::bytes(&dir.join(".gitmodules"), 1 << 20).unwrap_or_default();
    String::from_utf8_lossy(&text)
        .lines()
        .filter_map(|line| line.trim().strip_prefix("path")?.trim_start().strip_prefix('='))
        .map(|path| path.trim().trim_matches(['"', '/']).to_owned())
        .filter_map(|path| match prefix.is_empty() {
            true => Some(path),
            false => path.strip_prefix(prefix)?.strip_prefix('/').map(str::to_owned),
        })
        .filter(|path| !path.is_empty())
        .take(MAX_SUBMODULES)
        .collect()
}

/// Folders with a manifest (true), and those with only a Dockerfile that lie in no other (false).
fn folders(entries: &[Entry]) -> BTreeMap<String, bool> {
    let mut folders = BTreeMap::new();
    let of = |names: &'static [&'static str]| {
        let kinds = |entry: &&Entry| entry.kind != Kind::Folder;
        let named = move |entry: &&Entry| names.contains(&walk::name_of(&entry.path));
        entries.iter().filter(kinds).filter(named).map(|entry| walk::folder_of(&entry.path))
    };
    for folder in of(&[manifest::FILE, "hardening_manifest.yml"]) {
        folders.insert(folder.to_owned(), true);
    }
    let mut orphans: Vec<&str> = of(&["Dockerfile"]).collect();
    orphans.sort_by_key(|folder| folder.len());
    for folder in orphans {
        if !ancestors(folder).any(|above| folders.contains_key(above)) {
            folders.insert(folder.to_owned(), false);
        }
    }
    folders
}

/// The folder itself and all above it, up to the top.
fn ancestors(folder: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(folder), |folder| {
        (!folder.is_empty()).then(|| walk::folder_of(folder))
    })
}

/// Image folders inside the one at `path`.
fn nested(path: &str, has_manifest: bool, folders: &BTreeMap<String, bool>) -> Vec<String> {
    if !has_manifest {
        return Vec::new();
    }
    let prefix = if path.is_empty() { String::new() } else { format!("{path}/") };
    let below = folders.range(prefix.clone()..).take_while(|(other, _)| other.starts_with(&prefix));
    below.map(|(other, _)| other).filter(|other| *other != path).cloned().collect()
}

fn image(folder: &Folder<'_>, has_manifest: bool, settings: Settings<'_>, hash: bool) -> Image {
    let mut violations = layout::check(folder);
    let (reading, sha256) = read_manifest(folder, has_manifest, settings, &mut violations);
    let mut files =
        context::list(folder.top, folder.path, folder.entries, &mut violations, folder.prefix);
    let dockerfile = read_dockerfile(folder, &mut violations);
    if let Some(dockerfile) = &dockerfile {
        let all =
            folder.entries.iter().map(|entry| walk::inside(&entry.path, folder.path)).collect();
        let around = rules::Around {
            manifest: &reading.manifest,
            readable: !reading.manifest.name.is_empty(),
            context: &files,
            all: &all,
        };
        let mut found = Findings::of(in_repository(folder, "Dockerfile"));
        rules::check(dockerfile, &around, &mut found);
        violations.append(&mut found.list);
    }
    shadows(folder, &reading, &mut violations);
    violations.extend(reading.violations);
    if hash
        && !is_broken(&violations)
        && let Err((path, why)) = context::hash(&folder.top.join(folder.path), &mut files)
    {
        let mut found = Findings::of(in_repository(folder, &path));
        found.hard(
            0,
            "layout.unreadable",
            why,
            "make it readable and leave it alone during a night",
        );
        violations.append(&mut found.list);
    }
    violations.sort_by(order);
    let source = ImageSource {
        name: reading.manifest.name.clone(),
        folder: walk::join(folder.prefix, folder.path),
        manifest: reading.manifest,
        manifest_sha256: sha256,
        dockerfile: dockerfile.unwrap_or_default(),
        context: files,
        violations,
    };
    Image { source, name_line: reading.name_line }
}

fn in_repository(folder: &Folder<'_>, path: &str) -> String {
    walk::join(folder.prefix, &walk::join(folder.path, path))
}

fn read_manifest(
    folder: &Folder<'_>,
    has_manifest: bool,
    settings: Settings<'_>,
    violations: &mut Vec<Violation>,
) -> (Reading, String) {
    let file = in_repository(folder, manifest::FILE);
    // Of one with the wrong name at least the owners are wanted.
    let present =
        [manifest::FILE, "hardening_manifest.yml"].iter().find_map(|name| folder.entry(name));
    let mut found = Findings::of(file.clone());
    let Some(entry) = present.filter(|_| has_manifest) else {
        found.hard(
            0,
            "manifest.missing",
            format!("`{}` is missing", manifest::FILE),
            "add it beside the Dockerfile",
        );
        violations.append(&mut found.list);
        return Default::default();
    };
    if entry.size > manifest::MAX_BYTES {
        let message = format!(
            "the manifest has {} bytes, at most {} are read",
            entry.size,
            manifest::MAX_BYTES
        );
        found.hard(0, "manifest.file.size", message, "keep it below 1 MiB");
    } else if entry.kind == Kind::File {
        match files::bytes(&folder.top.join(&entry.path), manifest::MAX_BYTES) {
            Ok(bytes) => {
                let reading =
                    manifest::read(&walk::join(folder.prefix, &entry.path), &bytes, settings);
                return (reading, hex::encode(Sha256::digest(&bytes)));
            }
            Err(why) => found.hard(0, "manifest.file.unreadable", why, "make it readable"),
        }
    } else {
        found.hard(
            0,
            "manifest.file.kind",
            "the manifest is not a regular file",
            "put the file itself here",
        );
    }
    violations.append(&mut found.list);
    Default::default()
}

fn read_dockerfile(folder: &Folder<'_>, violations: &mut Vec<Violation>) -> Option<Dockerfile> {
    let entry = folder.entry("Dockerfile").filter(|entry| entry.kind == Kind::File)?;
    let mut found = Findings::of(in_repository(folder, "Dockerfile"));
    let parsed = match files::bytes(&folder.top.join(&entry.path), MAX_DOCKERFILE) {
        Err(why) => {
            found.hard(0, "dockerfile.unreadable", why, "make it a readable file below 1 MiB");
            None
        }
        Ok(bytes) => match String::from_utf8(bytes) {
            Err(_) => {
                found.hard(0, "dockerfile.encoding", "the file is not UTF-8", "save it as UTF-8");
                None
            }
            Ok(text) => parse_dockerfile(&text)
                .map_err(|error| {
                    let help = "mend the line; `docker build` would refuse it, too";
                    found.hard(error.line, "dockerfile.syntax-error", error.message, help);
                })
                .ok(),
        },
    };
    violations.append(&mut found.list);
    parsed
}

/// A resource that would be written over a file of the folder.
fn shadows(folder: &Folder<'_>, reading: &Reading, violations: &mut Vec<Violation>) {
    let mut found = Findings::of(in_repository(folder, manifest::FILE));
    for resource in &reading.manifest.resources {
        let is_file = matches!(resource.kind, crate::model::manifest::ResourceKind::File(_));
        if is_file && folder.entry(resource.name()).is_some() {
            let message = format!("`{}` is declared, but lies in the folder, too", resource.name());
            found.hard(resource.line, "manifest.resources.shadows", message, "remove one of them");
        }
    }
    violations.append(&mut found.list);
}

/// Two images of one name are both broken, each naming the other.
fn duplicates(images: &mut [Image]) {
    let mut by_name: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for image in images.iter().filter(|image| !image.source.name.is_empty()) {
        let folder = shown_folder(&image.source.folder);
        by_name.entry(image.source.name.clone()).or_default().push(folder);
    }
    for image in images {
        let own = shown_folder(&image.source.folder);
        let others = by_name.get(&image.source.name).map(Vec::as_slice).unwrap_or_default();
        let others: Vec<_> = others.iter().filter(|other| **other != own).cloned().collect();
        if others.is_empty() {
            continue;
        }
        let mut found = Findings::of(walk::join(&image.source.folder, manifest::FILE));
        let message = format!(
            "`{}` is also the name of the image in {}",
            image.source.name,
            others.join(", ")
        );
        found.hard(
            image.name_line,
            "manifest.name.unique",
            message,
            "give each image its own name",
        );
        image.source.violations.append(&mut found.list);
        image.source.violations.sort_by(order);
    }
}

fn shown_folder(folder: &str) -> String {
    if folder.is_empty() { ".".into() } else { folder.into() }
}

fn is_broken(violations: &[Violation]) -> bool {
    violations.iter().any(|violation| violation.severity == Level::Hard)
}

/// By file, line, rule.
pub(super) fn order(a: &Violation, b: &Violation) -> std::cmp::Ordering {
    (&a.file, a.line, &a.rule, &a.message).cmp(&(&b.file, b.line, &b.rule, &b.message))
}

fn sort(image: Image, contents: &mut Contents) {
    let source = image.source;
    if !is_broken(&source.violations) {
        contents.images.push(source);
        return;
    }
    let people = source.manifest.maintainers.iter().filter_map(|person| person.email.clone());
    let owners: BTreeSet<String> = people.collect();
    contents.broken.push(BrokenImage {
        name: if source.name.is_empty() { shown_folder(&source.folder) } else { source.name },
        folder: source.folder,
        owners: owners.into_iter().collect(),
        violations: source.violations,
    });
}
