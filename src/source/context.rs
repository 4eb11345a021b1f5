//! The build context of an image: what `.dockerignore` leaves, hashed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::findings::Findings;
use super::ignore::{Ignore, Matched};
use super::walk::{self, Entry, Kind};
use crate::model::source::{ContextFile, ContextKind, Violation};

/// Most entries of a context.
const MAX_ENTRIES: usize = 200_000;
/// Most bytes of a context.
const MAX_BYTES: u64 = 8 << 30;
/// Most bytes of a `.dockerignore`.
const MAX_IGNORE: u64 = 1 << 20;
/// Always there for the builder, whatever the patterns say.
const ALWAYS: [&str; 3] = ["Dockerfile", ".dockerignore", "Dockerfile.dockerignore"];

/// SHA-256, hexadecimal, over the paths, kinds, executable bits and contents of a context.
pub fn context_digest(files: &[ContextFile]) -> String {
    let mut sorted: Vec<&ContextFile> = files.iter().collect();
    sorted.sort_by(|a, b| a.path.as_bytes().cmp(b.path.as_bytes()));
    let mut hash = Sha256::new();
    for file in sorted {
        let kind = match (file.kind, file.executable) {
            (ContextKind::Folder, _) => b'd',
            (ContextKind::File, true) => b'x',
            (ContextKind::File, false) => b'f',
        };
        // Lengths and the fixed digest keep two listings from reading the same.
        hash.update((file.path.len() as u64).to_le_bytes());
        hash.update(file.path.as_bytes());
        hash.update([kind]);
        hash.update((file.sha256.len() as u64).to_le_bytes());
        hash.update(file.sha256.as_bytes());
    }
    hex::encode(hash.finalize())
}

/// Lists the context of the image in `folder`; digests stay empty until [`hash`].
pub(super) fn list(
    top: &Path,
    folder: &str,
    entries: &[Entry],
    found: &mut Vec<Violation>,
    prefix: &str,
) -> Vec<ContextFile> {
    let ignore = ignore(top, folder, entries, found, prefix);
    let files = kept(&ignore, folder, entries);
    let bytes: u64 = files.iter().map(|file| file.size).sum();
    if files.len() > MAX_ENTRIES || bytes > MAX_BYTES {
        let mut findings = Findings::of(walk::join(prefix, folder));
        let message = format!("the build context holds {} entries and {bytes} bytes", files.len());
        let help = "at most 200000 entries and 8 GiB: leave out the rest by .dockerignore";
        findings.hard(0, "context.size", message, help);
        found.append(&mut findings.list);
    }
    files
}

fn ignore(
    top: &Path,
    folder: &str,
    entries: &[Entry],
    found: &mut Vec<Violation>,
    prefix: &str,
) -> Ignore {
    for name in ["Dockerfile.dockerignore", ".dockerignore"] {
        let path = walk::join(folder, name);
        if !entries.iter().any(|entry| entry.path == path && entry.kind == Kind::File) {
            continue;
        }
        let mut findings = Findings::of(walk::join(prefix, &path));
        let text = super::files::bytes(&top.join(&path), MAX_IGNORE)
            .and_then(|bytes| String::from_utf8(bytes).map_err(|_| "not UTF-8".into()));
        let ignore = match text.map(|text| Ignore::parse(&text)) {
            Ok(Ok(ignore)) => ignore,
            Ok(Err(bad)) => {
                let help = "mend or remove the line";
                findings.hard(bad.line, "dockerignore.pattern", bad.message, help);
                Ignore::default()
            }
            Err(why) => {
                findings.hard(
                    0,
                    "dockerignore.unreadable",
                    why,
                    "make it a plain UTF-8 file below 1 MiB",
                );
                Ignore::default()
            }
        };
        found.append(&mut findings.list);
        return ignore;
    }
    Ignore::default()
}

fn kept(ignore: &Ignore, folder: &str, entries: &[Entry]) -> Vec<ContextFile> {
    let mut matches: BTreeMap<String, Matched> = BTreeMap::new();
    let mut files: BTreeMap<&str, ContextFile> = BTreeMap::new();
    for (path, entry) in inside(folder, entries) {
        let parent = matches.get(walk::folder_of(path)).cloned().unwrap_or_default();
        let matched = ignore.matched(&parent, path);
        let out = ignore.excludes(&matched);
        if entry.kind == Kind::Folder {
            matches.insert(path.to_owned(), matched);
        }
        if out && !ALWAYS.contains(&path) {
            continue;
        }
        files.insert(path, listed(path, entry));
        // A folder stays where something in it does.
        let mut parent = walk::folder_of(path);
        while !parent.is_empty() && !files.contains_key(parent) {
            files.insert(parent, bare(parent));
            parent = walk::folder_of(parent);
        }
    }
    files.into_values().collect()
}

/// Files and folders with their paths inside the context, a folder before what lies in it.
fn inside<'a>(folder: &'a str, entries: &'a [Entry]) -> impl Iterator<Item = (&'a str, &'a Entry)> {
    entries
        .iter()
        .filter(|entry| matches!(entry.kind, Kind::File | Kind::Folder))
        .map(move |entry| (walk::inside(&entry.path, folder), entry))
}

fn listed(path: &str, entry: &Entry) -> ContextFile {
    match entry.kind {
        Kind::Folder => bare(path),
        _ => ContextFile {
            path: path.into(),
            kind: ContextKind::File,
            executable: entry.executable,
            size: entry.size,
            sha256: String::new(),
        },
    }
}

fn bare(path: &str) -> ContextFile {
    let (path, sha256) = (path.to_owned(), String::new());
    ContextFile { path, kind: ContextKind::Folder, executable: false, size: 0, sha256 }
}

/// Fills in the digests; a file that cannot be read or changes meanwhile is an error with its path.
pub(super) fn hash(folder: &Path, files: &mut [ContextFile]) -> Result<(), (String, String)> {
    let mut buffer = vec![0; 64 << 10];
    for file in files.iter_mut().filter(|file| file.kind == ContextKind::File) {
        let digest = digest(&folder.join(&file.path), file.size, &mut buffer);
        file.sha256 = digest.map_err(|error| (file.path.clone(), error.to_string()))?;
    }
    Ok(())
}

fn digest(path: &Path, size: u64, buffer: &mut [u8]) -> std::io::Result<String> {
    let mut file = File::open(path)?.take(size + 1);
    let (mut hash, mut read) = (Sha256::new(), 0);
    loop {
        let count = file.read(buffer)?;
        if count == 0 {
            break;
        }
        read += count as u64;
        hash.update(&buffer[..count]);
    }
    match read == size {
        true => Ok(hex::encode(hash.finalize())),
        false => Err(std::io::Error::other("it changed while it was read")),
    }
}
