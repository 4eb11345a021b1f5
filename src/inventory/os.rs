//! The operating system: `os-release(5)`, else `debian_version`.

use crate::model::inventory::Os;

use super::kept::Kept;
use super::tree::Tree;

const MAX_VALUE: usize = 256;

/// The system, if the tree says which it is.
pub(super) fn read(tree: &Tree<'_>) -> Option<Os> {
    let release = ["etc/os-release", "usr/lib/os-release"].iter().find_map(|path| text(tree, path));
    let debian = text(tree, "etc/debian_version");
    let mut os = match (release, debian) {
        (Some(release), _) => parse(release),
        (None, Some(_)) => Os { id: "debian".to_owned(), ..Os::default() },
        (None, None) => return None,
    };
    // `12.5`, but `trixie/sid` on the testing release.
    let version = debian.unwrap_or_default().trim();
    if os.id == "debian"
        && os.version.is_empty()
        && version.starts_with(|c: char| c.is_ascii_digit())
    {
        os.version = version.split('.').next().unwrap_or_default().to_owned();
    }
    Some(os)
}

fn text<'a>(tree: &Tree<'a>, path: &str) -> Option<&'a str> {
    match tree.content(path) {
        Some((_, Kept::Text(text))) => Some(text),
        _ => None,
    }
}

fn parse(release: &str) -> Os {
    let mut os = Os::default();
    for line in release.lines().take(1000) {
        let Some((key, value)) = line.trim().split_once('=') else { continue };
        let slot = match key {
            "ID" => &mut os.id,
            "VERSION_ID" => &mut os.version,
            "PRETTY_NAME" => &mut os.pretty,
            _ => continue,
        };
        *slot = unquoted(value);
    }
    os.id = os.id.to_lowercase();
    os
}

/// A shell-like assignment's value: quotes around it and backslashes inside removed.
fn unquoted(value: &str) -> String {
    let value = value.trim();
    let inner =
        ['"', '\''].iter().find_map(|q| value.strip_prefix(*q)?.strip_suffix(*q)).unwrap_or(value);
    inner.chars().filter(|c| *c != '\\' && !c.is_control()).take(MAX_VALUE).collect()
}
