//! Checks of an image's configuration, history and files.

use crate::model::finding::Finding;
use crate::model::inventory::Inventory;

/// Every image check on one inventory; findings of kind `check`, worst first.
pub fn checks(_inventory: &Inventory) -> Vec<Finding> {
    Vec::new()
}
