//! Walks a work tree: no link followed, depth and number bounded.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;

use super::Error;
use super::tree::{MAX_DEPTH, MAX_PATH, MAX_TOTAL, REFUSED};

/// Most entries of one tree.
const MAX_ENTRIES: usize = 1_000_000;

/// Something in the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// `/`-separated, relative to the walk's top; lossy where `kind` is [`Kind::Name`].
    pub path: String,
    pub kind: Kind,
    pub size: u64,
    pub executable: bool,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Folder,
    /// With its target.
    Link(String),
    /// Left out by the checkout: the rule and why.
    Refused(String, String),
    /// Socket, pipe or device.
    Special(&'static str),
    /// A `.git` below the top.
    Repository,
    /// A name that is not UTF-8.
    Name,
    /// Not looked into.
    Deep,
    /// With the operating system's reason.
    Unreadable(String),
}

/// All entries below `top`, sorted by the bytes of their paths; `.git` at the top is left out.
pub(super) fn walk(top: &Path) -> Result<Vec<Entry>, Error> {
    let mut entries = Vec::new();
    let mut pending = vec![String::new()];
    while let Some(folder) = pending.pop() {
        let full = top.join(&folder);
        let listing = match fs::read_dir(&full) {
            Ok(listing) => listing,
            Err(source) if folder.is_empty() => return Err(Error::io(&full, source)),
            Err(error) => {
                let kind = Kind::Unreadable(error.to_string());
                entries.push(Entry { path: folder, kind, size: 0, executable: false });
                continue;
            }
        };
        for item in listing {
            let item = item.map_err(|source| Error::io(&full, source))?;
            let Some(entry) = entry(&folder, &item) else { continue };
            if entry.kind == Kind::Folder {
                pending.push(entry.path.clone());
            }
            entries.push(entry);
            if entries.len() > MAX_ENTRIES {
                return Err(Error::TooLarge { entries: MAX_ENTRIES, bytes: MAX_TOTAL });
            }
        }
    }
    entries.sort_by(|a, b| a.path.as_bytes().cmp(b.path.as_bytes()));
    Ok(entries)
}

fn entry(folder: &str, item: &fs::DirEntry) -> Option<Entry> {
    let name = item.file_name();
    if folder.is_empty() && name == ".git" {
        return None;
    }
    let shown = name.to_string_lossy();
    let path = if folder.is_empty() { shown.to_string() } else { format!("{folder}/{shown}") };
    let with = |kind| Entry { path: path.clone(), kind, size: 0, executable: false };
    if name == ".git" {
        return Some(with(Kind::Repository));
    }
    if std::str::from_utf8(name.as_bytes()).is_err() {
        return Some(with(Kind::Name));
    }
    let meta = match item.metadata() {
        Ok(meta) => meta,
        Err(error) => return Some(with(Kind::Unreadable(error.to_string()))),
    };
    let kind = kind(item, meta.file_type());
    if kind == Kind::Folder && (path.matches('/').count() >= MAX_DEPTH || path.len() > MAX_PATH) {
        return Some(with(Kind::Deep));
    }
    if kind != Kind::File {
        return Some(with(kind));
    }
    let executable = meta.permissions().mode() & 0o100 != 0;
    Some(Entry { path, kind, size: meta.len(), executable })
}

fn kind(item: &fs::DirEntry, kind: fs::FileType) -> Kind {
    if kind.is_file() {
        Kind::File
    } else if kind.is_dir() {
        Kind::Folder
    } else if kind.is_symlink() {
        link(&item.path())
    } else if kind.is_fifo() {
        Kind::Special("a named pipe")
    } else if kind.is_socket() {
        Kind::Special("a socket")
    } else {
        Kind::Special("a device")
    }
}

fn link(path: &Path) -> Kind {
    let target = match fs::read_link(path) {
        Ok(target) => target.to_string_lossy().into_owned(),
        Err(error) => return Kind::Unreadable(error.to_string()),
    };
    match target.strip_prefix(REFUSED).and_then(|rest| rest.split_once(':')) {
        Some((rule, why)) => Kind::Refused(rule.into(), why.into()),
        None => Kind::Link(target),
    }
}

/// The part of a sorted list that lies below `folder`; all of it for the empty one.
pub(super) fn below<'a>(entries: &'a [Entry], folder: &str) -> &'a [Entry] {
    if folder.is_empty() {
        return entries;
    }
    let prefix = format!("{folder}/");
    let start = entries.partition_point(|entry| entry.path.as_str() < prefix.as_str());
    let length = entries[start..].partition_point(|entry| entry.path.starts_with(&prefix));
    &entries[start..start + length]
}

/// The path inside `folder`.
pub(super) fn inside<'a>(path: &'a str, folder: &str) -> &'a str {
    match folder.is_empty() {
        true => path,
        false => path.get(folder.len() + 1..).unwrap_or_default(),
    }
}

/// The folder that holds `path`; empty at the top.
pub(super) fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// The last component of `path`.
pub(super) fn name_of(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// `path` below `folder`, which may be empty.
pub(super) fn join(folder: &str, path: &str) -> String {
    match (folder.is_empty(), path.is_empty()) {
        (true, _) => path.into(),
        (_, true) => folder.into(),
        _ => format!("{folder}/{path}"),
    }
}
