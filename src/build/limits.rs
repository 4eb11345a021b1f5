//! Memory and processor limits of a build's containers.

use super::Daemon;
use crate::model::build::Builder;

impl Daemon {
    /// Why memory and processor limits cannot be applied with this builder; `None` where they are.
    pub fn limits_gap(&self, builder: Builder) -> Option<String> {
        let _ = builder;
        todo!()
    }
}
