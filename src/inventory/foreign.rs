//! Kinds of package that are not read yet: present, counted, and named as gaps.

use std::collections::BTreeMap;

use super::gaps::Gaps;
use super::tarball::Kind;
use super::tree::Tree;

/// Notes one gap for each kind that the tree holds, with the first path and how many there are.
pub(super) fn note(tree: &Tree<'_>, gaps: &mut Gaps) {
    let mut seen: BTreeMap<&'static str, (&str, u64)> = BTreeMap::new();
    for (path, found) in tree.all() {
        let file = matches!(tree.entry(found).kind, Kind::File | Kind::Hardlink);
        if let Some(kind) = kind(path).filter(|_| file) {
            seen.entry(kind).or_insert((path, 0)).1 += 1;
        }
    }
    for (kind, (path, count)) in seen {
        let files = if count == 1 { "file" } else { "files" };
        gaps.add(kind, path, format!("{count} {files}; this kind of package is not assessed"));
    }
}

fn kind(path: &str) -> Option<&'static str> {
    let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    match (name, extension) {
        ("installed", _) if matches!(dir, "lib/apk/db" | "usr/lib/apk/db") => Some("apk database"),
        ("Packages" | "Packages.db" | "rpmdb.sqlite", _)
            if matches!(dir, "var/lib/rpm" | "usr/lib/sysimage/rpm" | "usr/share/rpm") =>
        {
            Some("rpm database")
        }
        ("installed.json", _) if dir.ends_with("vendor/composer") => Some("composer packages"),
        (_, "jar" | "war" | "ear") => Some("java archive"),
        (_, "gemspec") if in_specifications(dir) => Some("ruby gem"),
        (_, "json") if name.ends_with(".deps.json") => Some("dotnet dependencies"),
        _ => None,
    }
}

fn in_specifications(dir: &str) -> bool {
    dir.split('/').any(|part| part == "specifications")
}
