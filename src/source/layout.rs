//! The rules of an image folder's layout.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::findings::{Findings, shown};
use super::manifest;
use super::tree::MAX_PATH;
use super::walk::{self, Entry, Kind};
use crate::model::source::Violation;

/// How a Git LFS pointer begins (git-lfs specification).
const LFS: &[u8] = b"version https://git-lfs";
/// Most violations of the layout that are kept for one image.
const MAX: usize = 500;

/// An image's folder.
#[derive(Debug, Clone, Copy)]
pub(super) struct Folder<'a> {
    /// The walk's top.
    pub top: &'a Path,
    /// What stands before paths of the walk in the repository.
    pub prefix: &'a str,
    /// Relative to the walk's top.
    pub path: &'a str,
    /// Everything below it.
    pub entries: &'a [Entry],
    /// Folders of images inside it.
    pub nested: &'a [String],
    /// Folders of submodules, relative to the walk's top.
    pub submodules: &'a BTreeSet<String>,
}

impl Folder<'_> {
    fn add(&self, list: &mut Vec<Violation>, path: &str, add: impl FnOnce(&mut Findings)) {
        let mut findings = Findings::of(walk::join(self.prefix, path));
        add(&mut findings);
        if list.len() < MAX {
            list.append(&mut findings.list);
        }
    }

    /// The entry `name` directly in the folder.
    pub fn entry(&self, name: &str) -> Option<&Entry> {
        let path = walk::join(self.path, name);
        let at = self.entries.binary_search_by(|entry| entry.path.as_bytes().cmp(path.as_bytes()));
        at.ok().map(|at| &self.entries[at])
    }
}

/// All broken rules of the layout.
pub(super) fn check(folder: &Folder<'_>) -> Vec<Violation> {
    let mut list = Vec::new();
    required(folder, &mut list);
    dockerfiles(folder, &mut list);
    for inner in folder.nested {
        folder.add(&mut list, inner, |found| {
            let help = "move it beside the outer image";
            found.soft(0, "layout.nested", "an image's folder lies inside another image's", help);
        });
    }
    for path in folder.submodules {
        let within = *path == folder.path
            || path.starts_with(&format!("{}/", folder.path))
            || folder.path.is_empty()
            || folder.path.starts_with(&format!("{path}/"));
        let at =
            folder.entries.binary_search_by(|entry| entry.path.as_bytes().cmp(path.as_bytes()));
        let refused = at.is_ok_and(|at| matches!(folder.entries[at].kind, Kind::Refused(..)));
        if within && !refused {
            folder.add(&mut list, path, |found| submodule(found, "listed in .gitmodules"));
        }
    }
    for entry in folder.entries {
        folder.add(&mut list, &entry.path, |found| each(folder, entry, found));
    }
    list
}

fn required(folder: &Folder<'_>, list: &mut Vec<Violation>) {
    for (name, rule) in [("LICENSE", "layout.license"), ("README.md", "layout.readme")] {
        if folder.entry(name).is_some_and(|entry| entry.kind == Kind::File) {
            continue;
        }
        let stem = name.split('.').next().unwrap_or(name);
        let near = folder
            .entries
            .iter()
            .map(|entry| walk::inside(&entry.path, folder.path))
            .find(|path| !path.contains('/') && path.to_ascii_uppercase().starts_with(stem));
        let help = match near {
            Some(near) => format!("rename `{}` to `{name}`", shown(near)),
            None => format!("add a file `{name}`"),
        };
        folder.add(list, folder.path, |found| {
            found.hard(0, rule, format!("`{name}` is missing"), help);
        });
    }
}

/// Exactly one Dockerfile, of that very name; folders of nested images have their own.
fn dockerfiles(folder: &Folder<'_>, list: &mut Vec<Violation>) {
    if !folder.entry("Dockerfile").is_some_and(|entry| entry.kind == Kind::File) {
        folder.add(list, folder.path, |found| {
            found.hard(
                0,
                "layout.dockerfile",
                "`Dockerfile` is missing",
                "add it, with this exact name",
            );
        });
    }
    for entry in folder.entries.iter().filter(|entry| entry.kind != Kind::Folder) {
        let path = walk::inside(&entry.path, folder.path);
        let name = walk::name_of(path).to_ascii_lowercase();
        let own = path == "Dockerfile" || name.ends_with(".dockerignore");
        let another = name == "dockerfile" || name.starts_with("dockerfile.");
        let nested = folder.nested.iter().any(|inner| entry.path.starts_with(&format!("{inner}/")));
        if own || !another || nested {
            continue;
        }
        folder.add(list, &entry.path, |found| {
            let help = "keep one `Dockerfile`; use build stages or another image's folder for more";
            if path == "Dockerfile.arm64" {
                found.soft(0, "layout.dockerfile.other", "this Dockerfile is not built", help);
            } else {
                found.hard(
                    0,
                    "layout.dockerfile.one",
                    "another Dockerfile in the image's folder",
                    help,
                );
            }
        });
    }
}

fn each(folder: &Folder<'_>, entry: &Entry, found: &mut Findings) {
    let path = walk::inside(&entry.path, folder.path);
    match &entry.kind {
        Kind::Link(target) => {
            let message = format!("a symlink to `{}`", shown(target));
            found.hard(0, "layout.symlink", message, "put the file itself here");
        }
        Kind::Refused(rule, why) if rule == "submodule" => submodule(found, why),
        Kind::Refused(rule, why) => {
            let message = format!("it could not be checked out: {}", shown(why));
            found.hard(0, &format!("layout.{}", known(rule)), message, "rename, move or remove it");
        }
        Kind::Special(what) => {
            found.hard(0, "layout.special", format!("it is {what}"), "remove it");
        }
        Kind::Repository => submodule(found, "a repository of its own lies here"),
        Kind::Name => {
            found.hard(0, "layout.name", "the name is not UTF-8", "rename it");
        }
        Kind::Deep => {
            found.hard(
                0,
                "layout.depth",
                "it lies too deep",
                "at most 64 folders inside one another",
            );
        }
        Kind::Unreadable(why) => {
            found.hard(0, "layout.unreadable", why.clone(), "make it readable");
        }
        Kind::Folder => {
            if walk::name_of(path) == "ci-artifacts" {
                let help = "remove it: the name belongs to the pipeline";
                found.hard(0, "layout.ci-artifacts", "a folder named ci-artifacts", help);
            }
        }
        Kind::File => file(folder, path, entry, found),
    }
}

fn file(folder: &Folder<'_>, path: &str, entry: &Entry, found: &mut Findings) {
    match path {
        "Jenkinsfile" => {
            let help = "remove it: the pipeline is not part of an image's folder";
            found.hard(0, "layout.jenkinsfile", "a Jenkinsfile", help);
        }
        "download.yaml" | "download.json" => {
            let help = format!("declare the files under `resources` of {}", manifest::FILE);
            found.hard(0, "layout.download", "an old list of downloads", help);
        }
        "hardening_manifest.yml" => {
            let help = format!("rename it to {}", manifest::FILE);
            found.hard(0, "manifest.file.name", "the manifest has the wrong name", help);
        }
        _ => {}
    }
    if path.len() > MAX_PATH {
        found.hard(0, "layout.path", "the path is too long", "at most 1024 bytes");
    }
    if (LFS.len() as u64..=1024).contains(&entry.size) && is_lfs(&folder.top.join(&entry.path)) {
        let help = "commit the file itself, or declare it as a resource with its checksum";
        found.hard(0, "layout.lfs", "a Git LFS pointer instead of the file", help);
    }
}

fn is_lfs(path: &Path) -> bool {
    let mut head = [0; LFS.len()];
    File::open(path).and_then(|mut file| file.read_exact(&mut head)).is_ok() && head == LFS
}

fn submodule(found: &mut Findings, why: &str) {
    let help = "copy the files in, or declare them as a resource: submodules are not fetched";
    found.hard(0, "layout.submodule", format!("a submodule: {}", shown(why)), help);
}

/// Rules that a checkout may name; a link of the repository itself can say anything.
fn known(rule: &str) -> &str {
    match rule {
        "name" | "path" | "depth" | "size" | "link" | "kind" => rule,
        _ => "symlink",
    }
}
