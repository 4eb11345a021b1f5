//! What midwatch leaves behind in the daemon, and its removal.

use super::{Daemon, Error};

/// What a collection removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Collected {
    /// Images.
    pub images: u64,
    /// Their bytes as the daemon counts them; shared layers count more than once.
    pub bytes: u64,
}

impl Daemon {
    /// Removes untagged images that `pipeline` built in nights other than `keep_nights`.
    /// Images that are tagged, in use, or not ours stay.
    pub async fn collect(
        &self,
        pipeline: &str,
        keep_nights: &[String],
    ) -> Result<Collected, Error> {
        let _ = (pipeline, keep_nights);
        todo!()
    }

    /// Removes all pins but those in `keep`; returns how many.
    pub async fn sweep_pins(&self, keep: &[String]) -> Result<u64, Error> {
        let _ = keep;
        todo!()
    }
}
