//! Facts about single files of the final file system, for the image checks.

use crate::model::inventory::{FileFacts, FileRef};

use super::gaps::Gaps;
use super::kept::Kept;
use super::tarball::Kind;
use super::tree::{Found, Tree};

const MAX_LIST: usize = 10_000;
const BIN_DIRS: [&str; 6] =
    ["bin", "sbin", "usr/bin", "usr/sbin", "usr/local/bin", "usr/local/sbin"];
const TOOLS: [&str; 31] = [
    "apk", "apt", "apt-get", "ash", "bash", "busybox", "curl", "dash", "dnf", "doas", "dpkg",
    "gcc", "ksh", "make", "microdnf", "nc", "ncat", "npm", "pip", "pip3", "rpm", "sh", "ssh", "su",
    "sudo", "tcsh", "telnet", "wget", "yum", "zsh", "zypper",
];
const CACHE_DIRS: [&str; 5] =
    ["root/.cache/pip/", "root/.npm/", "var/cache/apk/", "var/cache/dnf/", "var/cache/yum/"];

/// Gathers the facts in one walk.
pub(super) fn gather(tree: &Tree<'_>, gaps: &mut Gaps) -> FileFacts {
    let mut facts = FileFacts {
        passwd: account(tree, "etc/passwd"),
        shadow: account(tree, "etc/shadow"),
        group: account(tree, "etc/group"),
        ..FileFacts::default()
    };
    for (path, found) in tree.all() {
        let (entry, mode) = (tree.entry(found), tree.entry(found).mode);
        let file = matches!(entry.kind, Kind::File | Kind::Hardlink);
        let open = mode & 0o002 != 0;
        if file {
            facts.count += 1;
            facts.executables += u64::from(mode & 0o111 != 0);
        }
        if file && mode & 0o6000 != 0 {
            push(&mut facts.setuid, tree, path, found, gaps);
        }
        if open && (file || entry.kind == Kind::Dir && mode & 0o1000 == 0) {
            push(&mut facts.world_writable, tree, path, found, gaps);
        }
        if file
            && let Some(cache) = cache(path, entry.empty)
            && facts.caches.last().is_none_or(|last| last.path != cache)
        {
            push(&mut facts.caches, tree, cache, found, gaps);
        }
        if is_tool(path)
            && let Some((_, target)) = tree.resolve(path)
        {
            let at_last = tree.entry(target);
            if matches!(at_last.kind, Kind::File | Kind::Hardlink) {
                let mode = u32::from(at_last.mode);
                facts.tools.push(FileRef { mode, ..file_ref(tree, path, found) });
            }
        }
    }
    facts
}

fn push(list: &mut Vec<FileRef>, tree: &Tree<'_>, path: &str, found: Found, gaps: &mut Gaps) {
    if list.len() < MAX_LIST {
        list.push(file_ref(tree, path, found));
    } else {
        gaps.add("files", path, "more files of one kind than are listed (10000)");
    }
}

fn file_ref(tree: &Tree<'_>, path: &str, found: Found) -> FileRef {
    FileRef {
        path: path.to_owned(),
        mode: tree.entry(found).mode.into(),
        layer: tree.digest(found).to_owned(),
    }
}

fn is_tool(path: &str) -> bool {
    let Some((dir, name)) = path.rsplit_once('/') else { return false };
    BIN_DIRS.contains(&dir) && TOOLS.binary_search(&name).is_ok()
}

/// The cache a file belongs to: itself for a package archive, else the cache's folder.
fn cache(path: &str, empty: bool) -> Option<&str> {
    if path.starts_with("var/cache/apt/archives/") && path.ends_with(".deb") {
        return Some(path);
    }
    if path.starts_with("var/lib/apt/lists/") && !empty {
        return Some("var/lib/apt/lists");
    }
    let dir = CACHE_DIRS.iter().find(|dir| path.starts_with(**dir))?;
    Some(dir.trim_end_matches('/'))
}

fn account(tree: &Tree<'_>, path: &str) -> Option<String> {
    match tree.content(path) {
        Some((_, Kept::Text(text))) => Some(text.clone()),
        _ => None,
    }
}

/// Replaces the second field of each line by `x`, unless it is empty or only locks (`*`, `!`).
pub(super) fn without_hashes(accounts: &str) -> String {
    let line = |line: &str| {
        let mut fields: Vec<&str> = line.split(':').collect();
        if let Some(hash) = fields.get_mut(1)
            && hash.contains(|c| !matches!(c, '*' | '!'))
        {
            *hash = "x";
        }
        fields.join(":") + "\n"
    };
    accounts.lines().map(line).collect()
}
