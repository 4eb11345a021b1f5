//! An image as overlay2 keeps it unpacked: each layer a folder, so that only new ones are read.
//!
//! A whiteout is a character device 0:0 there and an opaque folder carries an extended attribute
//! (Linux kernel, Documentation/filesystems/overlayfs.rst).

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;

use crate::model::inventory::Unpacked;

use super::collect::Source;
use super::folder::Walk;
use super::gaps::Gaps;
use super::image::Parts;
use super::known::Known;
use super::layer::{Budget, Layer, Reader};
use super::limits::Limits;
use super::{Error, Inspect};

const OPAQUE: &str = "trusted.overlay.opaque";

/// Reads the layers that are not known yet.
pub(super) fn read(
    image: &Unpacked,
    limits: &Limits,
    inspect: &Inspect<'_>,
    known: &Known,
) -> Result<Source, Error> {
    let what = image.config.display().to_string();
    let config =
        fs::read(&image.config).map_err(|source| Error::Io { what: what.clone(), source })?;
    let format = |reason| Error::Format { what: what.clone(), reason };
    let diff_ids = super::image::config(&config).map_err(|e| format(e.to_string()))?.diff_ids;
    if diff_ids.len() != image.layers.len() {
        let (stated, found) = (diff_ids.len(), image.layers.len());
        return Err(format(format!("it states {stated} layers, the daemon keeps {found}")));
    }
    let mut budget = Budget::new(limits);
    let mut layers = Vec::new();
    for (digest, path) in diff_ids.iter().zip(&image.layers) {
        let layer = match known.get(digest, 0) {
            Some(layer) => layer,
            None => {
                let reader = Reader::new(limits, &mut budget, inspect, digest);
                let io = |source| Error::Io { what: path.display().to_string(), source };
                let layer = Arc::new(walk(path, reader, digest).map_err(io)?);
                known.put(digest, 0, &layer);
                layer
            }
        };
        layers.push(layer);
    }
    let places = (0..layers.len()).map(Some).collect();
    let parts = Parts { layers: diff_ids, config: what.clone(), ..Parts::default() };
    Source::new(parts, &config, places, layers, Gaps::default()).map_err(format)
}

fn walk(path: &Path, reader: Reader<'_>, digest: &str) -> io::Result<Layer> {
    let device = fs::metadata(path)?.dev();
    let walk =
        Walk { root: path, device, reader, linked: HashMap::new(), entries: 0, overlay: true };
    let mut layer = walk.whole()?;
    layer.digest = digest.to_owned();
    Ok(layer)
}

/// Whether a file of a layer's folder hides the one of that name below.
pub(super) fn is_whiteout(metadata: &fs::Metadata) -> bool {
    metadata.file_type().is_char_device() && metadata.rdev() == 0
}

/// Whether a folder of a layer hides all that lies in it below.
pub(super) fn is_opaque(path: &Path) -> bool {
    let mut value = [0u8; 1];
    matches!(rustix::fs::lgetxattr(path, OPAQUE, &mut value[..]), Ok(1) if value == *b"y")
}
