//! OpenVEX files of a work tree, unparsed.

use std::collections::BTreeMap;
use std::path::Path;

use super::files;
use super::findings::Findings;
use super::walk::{self, Entry, Kind};
use crate::model::source::{VexDocument, Violation};

/// Most bytes of one document.
const MAX_BYTES: u64 = 4 << 20;
/// Most bytes of all documents.
const MAX_TOTAL: u64 = 256 << 20;

/// The documents, and what is wrong with those that could not be read.
pub(super) fn read(
    dir: &Path,
    top: &Path,
    prefix: &str,
    entries: &[Entry],
    folders: &BTreeMap<String, bool>,
) -> (Vec<VexDocument>, Vec<Violation>) {
    let mut found = Vec::new();
    for entry in entries.iter().filter(|entry| is_document(&entry.path)) {
        if let Some(folder) = speaks_for(&entry.path, folders) {
            let folder = folder.map(|folder| walk::join(prefix, folder));
            found.push((
                top.join(&entry.path),
                walk::join(prefix, &entry.path),
                folder,
                entry.clone(),
            ));
        }
    }
    // Below a folder of the repository, its own top speaks for every image all the same.
    if !prefix.is_empty() && dir.join("vex").symlink_metadata().is_ok_and(|meta| meta.is_dir()) {
        for entry in walk::walk(&dir.join("vex")).unwrap_or_default() {
            if is_document(&entry.path) && !entry.path.contains('/') {
                let path = walk::join("vex", &entry.path);
                found.push((dir.join(&path), path, None, entry));
            }
        }
    }
    let (mut documents, mut violations, mut total) = (Vec::new(), Vec::new(), 0);
    for (full, path, folder, entry) in found {
        total += entry.size;
        match text(&full, &entry, total) {
            Ok(text) => documents.push(VexDocument { path, folder, text }),
            Err(why) => {
                let mut findings = Findings::of(path);
                let help =
                    "keep it a UTF-8 file below 4 MiB; until then its statements do not count";
                findings.soft(0, "vex.unreadable", why, help);
                violations.append(&mut findings.list);
            }
        }
    }
    documents.sort_by(|a, b| a.path.cmp(&b.path));
    (documents, violations)
}

fn is_document(path: &str) -> bool {
    let name = walk::name_of(path);
    name.ends_with(".openvex.json") || name == "vex.json"
}

/// The image folder that a document speaks for; `Some(None)`: all; `None`: it lies nowhere in particular.
fn speaks_for<'a>(path: &'a str, folders: &BTreeMap<String, bool>) -> Option<Option<&'a str>> {
    let folder = walk::folder_of(path);
    let beside = match walk::name_of(folder) == "vex" {
        true => walk::folder_of(folder),
        false => folder,
    };
    if folder == "vex" {
        return Some(None);
    }
    folders.contains_key(beside).then_some(Some(beside))
}

fn text(full: &Path, entry: &Entry, total: u64) -> Result<String, String> {
    if entry.kind != Kind::File {
        return Err("it is not a regular file".into());
    }
    if entry.size > MAX_BYTES {
        return Err(format!("it has {} bytes, at most {MAX_BYTES} are read", entry.size));
    }
    if total > MAX_TOTAL {
        return Err("all documents together are larger than 256 MiB".into());
    }
    let bytes = files::bytes(full, MAX_BYTES)?;
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8".into())
}
