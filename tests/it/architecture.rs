//! Imports point one way: `cli → config → night, web → the stages, store, report → model`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Rooms by floor, the ground floor last; a room may import from floors below its own only.
const FLOORS: &[&[&str]] = &[
    &["main"],
    &["cli"],
    &["config"],
    &["night", "web"],
    &["source", "plan", "build", "inventory", "feeds", "scan", "judge", "store", "report"],
    &["ambient"],
    &["model"],
];

/// The night needs sizes of the pipeline file read; the configuration alone knows how.
const ALLOWED: &[(&str, &str)] = &[];

#[test]
fn imports_point_down() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let floor: BTreeMap<&str, usize> = FLOORS
        .iter()
        .enumerate()
        .flat_map(|(floor, rooms)| rooms.iter().map(move |room| (*room, floor)))
        .collect();
    let mut wrong = Vec::new();
    for path in rust_files(&src) {
        let inside = path.strip_prefix(&src).unwrap();
        let room = inside.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs");
        if room == "lib" {
            continue;
        }
        let own = *floor.get(room).unwrap_or_else(|| panic!("{room} has no floor"));
        for target in imports(&fs::read_to_string(&path).unwrap()) {
            let Some(&other) = floor.get(target.as_str()) else { continue };
            let allowed = ALLOWED.contains(&(room, target.as_str()));
            if target != room && other <= own && !allowed {
                wrong.push(format!("{}: crate::{target}", inside.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "imports that point up or sideways:\n{}", wrong.join("\n"));
}

#[test]
fn sql_stands_in_the_store_alone() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let outside = rust_files(&src).into_iter().filter(|path| !path.starts_with(src.join("store")));
    let guilty: Vec<PathBuf> =
        outside.filter(|path| fs::read_to_string(path).unwrap().contains("sqlx::")).collect();
    assert!(guilty.is_empty(), "{guilty:?}");
}

#[test]
fn every_file_opens_with_a_sentence() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mute: Vec<PathBuf> = rust_files(&src)
        .into_iter()
        .filter(|path| !fs::read_to_string(path).unwrap().starts_with("//! "))
        .collect();
    assert!(mute.is_empty(), "{mute:?}");
}

/// First path components after `crate::`, in `use` groups too; test modules at a file's end are left out.
fn imports(text: &str) -> Vec<String> {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or(text);
    let pattern = regex::Regex::new(r"crate::(\{[^}]*|[a-z_]+)").unwrap();
    let mut found = Vec::new();
    for hit in pattern.captures_iter(text) {
        let names = hit[1].trim_start_matches('{');
        for name in names.split(',') {
            let name = name.trim().split("::").next().unwrap_or("").split(' ').next().unwrap_or("");
            found.push(name.to_owned());
        }
    }
    found
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|it| it == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}
