//! What happens during a night, as it happens, for whoever watches.

use super::night::{ImageResult, NightKind};

/// One event of a night.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The night is open.
    Opened {
        /// The night's id.
        night: String,
        /// What started it.
        kind: NightKind,
        /// Whether it goes on where it was interrupted.
        resumed: bool,
    },
    /// The source is checked out.
    Source {
        /// Full commit id.
        commit: String,
    },
    /// The plan stands.
    Planned {
        /// Names in order.
        images: Vec<String>,
        /// How many of them already have an end.
        done: usize,
    },
    /// Work on an image began.
    Started {
        /// The image.
        image: String,
        /// Why.
        reason: String,
    },
    /// An image moved on: a build step or another stage.
    Step {
        /// The image.
        image: String,
        /// `build 3/7 RUN …`, `scan`, …
        step: String,
    },
    /// An image has its end.
    Finished(Box<ImageResult>),
    /// Something that people should see.
    Note(String),
}
