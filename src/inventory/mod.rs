//! Inventory: layers in, packages and facts out; one pass over a stream, nothing written to disk.

use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;

use crate::model::finding::Finding;
use crate::model::inventory::{FileSeen, Inventory, Unpacked};

mod archive;
mod collect;
mod cyclonedx;
mod dpkg;
mod facts;
mod folder;
mod foreign;
mod gaps;
mod golang;
mod image;
mod kept;
mod known;
mod layer;
mod limits;
mod npm;
mod os;
mod overlay;
mod purl;
mod python;
mod tarball;
mod tree;

use archive::Blob;
use collect::Source;

pub use cyclonedx::{SbomMeta, cyclonedx};
pub use known::Known;
pub use limits::Limits;

/// What looks at each regular file as it passes by; its findings become the inventory's secrets.
pub type Inspect<'a> = dyn Fn(&FileSeen<'_>) -> Vec<Finding> + Sync + 'a;

/// Why there is no inventory.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The input could not be read.
    #[error("{what}: {source}")]
    Io {
        /// What was read.
        what: String,
        /// Why not.
        source: std::io::Error,
    },
    /// The input is not an image.
    #[error("{what}: {reason}")]
    Format {
        /// What was read.
        what: String,
        /// What is wrong with it, and what would be right.
        reason: String,
    },
    /// The inventory cannot be written in the wanted format.
    #[error("the inventory cannot be written: {0}")]
    Sbom(String),
}

/// Reads a `docker save` stream of either shape once, writing nothing to disk.
///
/// A broken layer is a gap of the inventory; a broken archive, or one without an image, an error.
pub fn archive(
    input: impl Read,
    limits: &Limits,
    inspect: &Inspect<'_>,
) -> Result<Inventory, Error> {
    archive::read("image archive", input, limits, inspect, None).map(Source::collect)
}

/// Reads what a daemon exports, as [`archive`], but passes over layers that are `known`.
pub fn export(
    input: impl Read,
    limits: &Limits,
    inspect: &Inspect<'_>,
    known: &Known,
) -> Result<Inventory, Error> {
    archive::read("image archive", input, limits, inspect, Some(known)).map(Source::collect)
}

/// Reads an image that lies unpacked in the daemon's own folders, but passes over layers that are
/// `known`; an error means that [`export`] must do.
pub fn unpacked(
    image: &Unpacked,
    limits: &Limits,
    inspect: &Inspect<'_>,
    known: &Known,
) -> Result<Inventory, Error> {
    overlay::read(image, limits, inspect, known).map(Source::collect)
}

/// Reads an archive file (also one compressed as a whole), an image layout folder or a root folder.
pub fn file(path: &Path, limits: &Limits, inspect: &Inspect<'_>) -> Result<Inventory, Error> {
    let what = path.display().to_string();
    let fail = |source| Error::Io { what: what.clone(), source };
    let metadata = path.metadata().map_err(fail)?;
    if metadata.is_dir() && folder::is_layout(path) {
        return folder::layout(path, limits, inspect).map(Source::collect);
    }
    if metadata.is_dir() {
        return folder(path, limits, inspect);
    }
    if !metadata.is_file() {
        let reason = "neither a file nor a folder".to_owned();
        return Err(Error::Format { what, reason });
    }
    let mut file = File::open(path).map_err(fail)?;
    let mut start = [0; 4];
    let n = file.read(&mut start).map_err(fail)?;
    file.rewind().map_err(fail)?;
    let blob = Blob::of(&start[..n]);
    let plain = archive::decode(blob, file, limits).map_err(fail)?;
    let source = archive::read(&what, plain, limits, inspect, None);
    let mut inventory = source?.collect();
    if inventory.target.is_empty() {
        inventory.target = what;
    }
    Ok(inventory)
}

/// Reads a root folder as one layer without a digest, never following a link out of it.
pub fn folder(path: &Path, limits: &Limits, inspect: &Inspect<'_>) -> Result<Inventory, Error> {
    folder::root(path, limits, inspect).map(Source::collect)
}

/// The inventory as one JSON document, in the shape of [`Inventory`].
pub fn json(inventory: &Inventory) -> Result<serde_json::Value, Error> {
    serde_json::to_value(inventory).map_err(|e| Error::Sbom(e.to_string()))
}

#[cfg(test)]
mod tests;
