//! Layers already read: images of one night share most of theirs, and each is read once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use super::layer::Layer;

/// Bytes that all remembered layers may cost; beyond, everything is forgotten.
const MOST: u64 = 256 << 20;

/// Remembers layers of one daemon by their name in its archives, which the daemon derives from their
/// content. Not for archives of unknown origin.
#[derive(Debug, Default)]
pub struct Known(Mutex<Shelf>);

#[derive(Debug, Default)]
struct Shelf {
    layers: HashMap<(String, u64), Arc<Layer>>,
    cost: u64,
}

impl Known {
    pub(super) fn get(&self, name: &str, size: u64) -> Option<Arc<Layer>> {
        let shelf = self.0.lock().ok()?;
        shelf.layers.get(&(name.to_owned(), size)).cloned()
    }

    /// Remembers a layer that was read without a gap.
    pub(super) fn put(&self, name: &str, size: u64, layer: &Arc<Layer>) {
        let Ok(mut shelf) = self.0.lock() else { return };
        if !layer.gaps.is_empty() {
            return;
        }
        let cost = layer.cost();
        if shelf.cost + cost > MOST {
            *shelf = Shelf::default();
        }
        shelf.cost += cost;
        shelf.layers.insert((name.to_owned(), size), layer.clone());
    }
}
