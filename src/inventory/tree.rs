//! The merged file system: layers in order, whiteouts applied, links resolved inside it.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::kept::Kept;
use super::layer::{Entry, Layer};
use super::tarball::Kind;

const MAX_HOPS: usize = 40;

/// Where an entry of the tree stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    layer: u32,
    entry: u32,
}

/// The final file system.
#[derive(Debug)]
pub(super) struct Tree<'a> {
    layers: Vec<&'a Layer>,
    nodes: BTreeMap<&'a str, Found>,
}

impl<'a> Tree<'a> {
    /// Merges the layers, lowest first (OCI image specification, layer.md, "Applying changesets").
    pub fn new(layers: Vec<&'a Layer>) -> Self {
        let mut tree = Self { nodes: BTreeMap::new(), layers };
        for index in 0..tree.layers.len() {
            let layer = tree.layers[index];
            for path in &layer.removed {
                tree.nodes.remove(path.as_str());
                tree.remove_below(path);
            }
            for path in &layer.opaque {
                tree.remove_below(path);
            }
            for (number, entry) in layer.entries.iter().enumerate() {
                tree.insert(Found { layer: index as u32, entry: number as u32 }, entry, layer);
            }
        }
        tree
    }

    fn insert(&mut self, found: Found, entry: &Entry, layer: &'a Layer) {
        let path = layer.path(entry);
        let old = self.nodes.insert(path, found);
        // A folder may stand in a lower layer by its content alone, without an entry.
        let was_dir = old.map_or(found.layer > 0, |old| self.entry(old).kind == Kind::Dir);
        if was_dir && entry.kind != Kind::Dir {
            self.remove_below(path);
        }
    }

    fn remove_below(&mut self, path: &str) {
        if path.is_empty() {
            self.nodes.clear();
            return;
        }
        let gone: Vec<&str> = self.range(&format!("{path}/")).map(|(path, _)| path).collect();
        for path in gone {
            self.nodes.remove(path);
        }
    }

    fn range(&self, prefix: &str) -> impl Iterator<Item = (&'a str, Found)> {
        let start = (Bound::Included(prefix), Bound::Unbounded);
        self.nodes
            .range::<str, _>(start)
            .take_while(move |(path, _)| path.starts_with(prefix))
            .map(|(path, found)| (*path, *found))
            .collect::<Vec<_>>()
            .into_iter()
    }

    /// The layers, lowest first.
    pub fn layers(&self) -> &[&'a Layer] {
        &self.layers
    }

    /// All entries, sorted by path.
    pub fn all(&self) -> impl Iterator<Item = (&'a str, Found)> + '_ {
        self.nodes.iter().map(|(path, found)| (*path, *found))
    }

    /// All entries whose path starts with `prefix` (which ends in a slash), sorted by path.
    pub fn below(&self, prefix: &str) -> impl Iterator<Item = (&'a str, Found)> + use<'a> {
        self.range(prefix).collect::<Vec<_>>().into_iter()
    }

    /// The entry itself.
    pub fn entry(&self, found: Found) -> &'a Entry {
        &self.layer(found).entries[found.entry as usize]
    }

    /// Diff id of the layer that brought it.
    pub fn digest(&self, found: Found) -> &'a str {
        &self.layer(found).digest
    }

    fn layer(&self, found: Found) -> &'a Layer {
        self.layers[found.layer as usize]
    }

    /// What was kept of its content, through hard links.
    pub fn kept(&self, found: Found) -> Option<&'a Kept> {
        let layer = self.layer(found);
        let entry = self.entry(found);
        if entry.kind != Kind::Hardlink {
            return layer.kept(entry);
        }
        let target = self.linked(found)?;
        self.layer(target).kept(self.entry(target))
    }

    /// The file behind a hard link: one of the same layer's files by preference of the final tree.
    fn linked(&self, found: Found) -> Option<Found> {
        let mut now = found;
        for _ in 0..MAX_HOPS {
            let entry = self.entry(now);
            if entry.kind != Kind::Hardlink {
                return Some(now);
            }
            now = *self.nodes.get(self.layer(now).link(entry))?;
        }
        None
    }

    /// The entry behind a path, symbolic links followed inside the tree; `None` after 40 links.
    pub fn resolve(&self, path: &str) -> Option<(String, Found)> {
        let mut todo: Vec<String> = path.rsplit('/').map(str::to_owned).collect();
        let mut done = String::new();
        let mut hops = 0;
        let mut last = None;
        while let Some(part) = todo.pop() {
            match part.as_str() {
                "" | "." => continue,
                ".." => {
                    done.truncate(done.rfind('/').unwrap_or(0));
                    last = self.nodes.get(done.as_str()).copied();
                    continue;
                }
                _ => {}
            }
            let parent = done.len();
            if parent > 0 {
                done.push('/');
            }
            done.push_str(&part);
            last = self.nodes.get(done.as_str()).copied();
            let Some(found) = last.filter(|f| self.entry(*f).kind == Kind::Symlink) else {
                continue;
            };
            hops += 1;
            let target = self.layer(found).link(self.entry(found));
            // Every hop may add as many components as a link is long; the hops bound the sum.
            if hops > MAX_HOPS {
                return None;
            }
            done.truncate(if target.starts_with('/') { 0 } else { parent });
            todo.extend(target.rsplit('/').map(str::to_owned));
            last = None;
        }
        last.map(|found| (done, found))
    }

    /// The kept content behind a path, symbolic links followed, and where it really stands.
    pub fn content(&self, path: &str) -> Option<(String, &'a Kept)> {
        let (path, found) = self.resolve(path)?;
        Some((path, self.kept(found)?))
    }
}
