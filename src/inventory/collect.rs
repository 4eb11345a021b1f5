//! The image put together: layers in order, packages and facts taken from the merged tree.

use std::collections::BTreeSet;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::model::finding::Finding;
use crate::model::inventory as model;
use crate::model::inventory::{Inventory, Os, Package};

use super::gaps::Gaps;
use super::image::{self, Config, Parts};
use super::kept::Kept;
use super::layer::Layer;
use super::tree::Tree;
use super::{dpkg, facts, foreign, os};

/// A place in the image's list of layers.
#[derive(Debug)]
pub(super) struct Part {
    /// The layer that was read for it.
    pub layer: Option<usize>,
    /// Its name in the archive.
    pub name: String,
}

/// Everything read of an image before it is put together.
#[derive(Debug, Default)]
pub(super) struct Source {
    /// The image's id.
    pub digest: String,
    /// What it was read from.
    pub target: String,
    /// The configuration.
    pub config: Config,
    /// The list of layers, lowest first; the same layer may stand in it twice.
    pub parts: Vec<Part>,
    /// The layers read, in any order.
    pub layers: Vec<Arc<Layer>>,
    /// What could not be read beside the layers' own gaps.
    pub gaps: Gaps,
}

impl Source {
    /// An image by its documents; `places` says for each layer of `parts` which one was read for it.
    pub fn new(
        parts: Parts,
        config: &[u8],
        places: Vec<Option<usize>>,
        layers: Vec<Arc<Layer>>,
        gaps: Gaps,
    ) -> Result<Self, String> {
        let digest = format!("sha256:{}", hex::encode(Sha256::digest(config)));
        let config = image::config(config)
            .map_err(|e| format!("the image's configuration `{}`: {e}", parts.config))?;
        let part = |(name, layer)| Part { layer, name };
        let parts_read = parts.layers.into_iter().zip(places).map(part).collect();
        Ok(Self { digest, target: parts.tag, config, parts: parts_read, layers, gaps })
    }

    /// The inventory.
    pub fn collect(mut self) -> Inventory {
        let mut gaps = std::mem::take(&mut self.gaps);
        let mut inventory = Inventory {
            digest: std::mem::take(&mut self.digest),
            target: std::mem::take(&mut self.target),
            architecture: self.config.architecture.clone(),
            config: std::mem::take(&mut self.config.image),
            ..Inventory::default()
        };
        self.list_layers(&mut inventory, &mut gaps);
        self.secrets(&mut inventory);
        let read = self.parts.iter().filter_map(|part| self.layers.get(part.layer?));
        let read = read.map(Arc::as_ref);
        let tree = Tree::new(read.collect());
        inventory.os = os::read(&tree);
        inventory.packages = packages(&tree, inventory.os.as_ref(), &mut gaps);
        inventory.files = facts::gather(&tree, &mut gaps);
        foreign::note(&tree, &mut gaps);
        inventory.gaps = gaps.into_list();
        inventory
    }

    fn list_layers(&self, inventory: &mut Inventory, gaps: &mut Gaps) {
        let mut seen = vec![false; self.layers.len()];
        for (index, part) in self.parts.iter().enumerate() {
            let stated = self.config.diff_ids.get(index).cloned().unwrap_or_default();
            let created_by = self.config.created_by.get(index).cloned().unwrap_or_default();
            let mut listed = model::Layer { digest: stated, size: 0, created_by };
            match part.layer.and_then(|place| Some((place, self.layers.get(place)?))) {
                Some((place, layer)) => {
                    if !listed.digest.is_empty() && listed.digest != layer.digest {
                        let reason = format!("its content is not the image's {}", listed.digest);
                        gaps.add("layer", &part.name, reason);
                    }
                    if !std::mem::replace(&mut seen[place], true) {
                        gaps.append(&layer.gaps);
                    }
                    listed.digest = layer.digest.clone();
                    listed.size = layer.size;
                }
                None => gaps.add("layer", &part.name, "it is not in the archive, or no layer"),
            }
            inventory.size += listed.size;
            inventory.layers.push(listed);
        }
    }

    /// Takes the secrets of every layer that the image uses, deleted files' included.
    fn secrets(&self, inventory: &mut Inventory) {
        let mut seen = BTreeSet::new();
        let places = self.parts.iter().filter_map(|part| part.layer);
        let places = places.filter(|place| seen.insert(*place));
        for layer in places.filter_map(|place| self.layers.get(place)) {
            let found = layer.secrets.iter().cloned();
            inventory.secrets.extend(
                found.map(|finding| Finding { layer: Some(layer.digest.clone()), ..finding }),
            );
        }
    }
}

fn packages(tree: &Tree<'_>, os: Option<&Os>, gaps: &mut Gaps) -> Vec<Package> {
    let mut packages = Vec::new();
    for (path, found) in tree.all() {
        let layer = tree.digest(found);
        match tree.kept(found) {
            Some(Kept::Python(record)) => packages.push(record.package(path, layer)),
            Some(Kept::Npm(record)) => packages.push(record.package(path, layer)),
            Some(Kept::Go(info)) => packages.extend(info.packages(path, layer)),
            _ => {}
        }
    }
    dpkg::own(&mut packages, tree);
    packages.extend(dpkg::packages(tree, os.unwrap_or(&Os::default()), gaps));
    fn key(p: &Package) -> (&str, &str, &str, &str, &str) {
        (&p.ecosystem, &p.name, &p.version, &p.path, &p.architecture)
    }
    packages.sort_by(|a, b| key(a).cmp(&key(b)));
    packages.dedup_by(|a, b| key(a) == key(b));
    packages
}
