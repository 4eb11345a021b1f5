//! The Docker daemon: builds with their contexts, declared inputs, images and their disk.
//!
//! [`Daemon`] speaks to one Docker Engine (API 1.41 to the current one, both image stores),
//! [`fetch`] brings declared resources into a content store before any build starts, and
//! [`context_tar`] writes the reproducible context that a build streams to the daemon.
//! A build that fails is data ([`crate::model::build::BuildEnd::Failed`]); an [`Error`] means
//! that the daemon could not do its part.

mod context;
mod daemon;
mod export;
mod garbage;
mod images;
mod inputs;
mod limits;
mod log;
mod run;
#[cfg(test)]
mod tests;
mod trace;
mod transcript;

pub use context::{ContextError, context_tar};
pub use daemon::{About, Daemon, free_bytes};
pub use export::ImageReader;
pub use garbage::{Collected, NIGHT_LABEL, PIPELINE_LABEL};
pub use images::{FetchedImage, ImageFacts, Login, logins};
pub use inputs::{FetchError, FetchSettings, Fetched, fetch, sweep};

/// Why the daemon could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing answers at the address.
    #[error("cannot reach the Docker daemon at {host}: start it or set docker.host ({detail})")]
    Unreachable {
        /// The address as configured.
        host: String,
        /// What the connection said.
        detail: String,
    },
    /// The address is of no known kind.
    #[error("docker.host {0:?} is not unix://PATH, tcp://HOST:PORT or http://HOST:PORT")]
    Host(String),
    /// A reference that no registry or daemon would take.
    #[error("{0:?} is not an image reference")]
    Reference(String),
    /// The daemon refused a request.
    #[error("docker daemon, {what}: {message}")]
    Refused {
        /// What was asked of it.
        what: String,
        /// The status it answered with.
        status: u16,
        /// Its words.
        message: String,
    },
    /// The connection broke or gave something unreadable.
    #[error("connection to the docker daemon, {what}: {message}")]
    Connection {
        /// What was being done.
        what: String,
        /// What broke.
        message: String,
    },
    /// An image could not be had from its registry.
    #[error("cannot pull {reference}: {message}")]
    Pull {
        /// The image.
        reference: String,
        /// The daemon's words.
        message: String,
    },
    /// An image is not there and must not be pulled.
    #[error("image {0} is not on this daemon and pulling is off (build.pull)")]
    Absent(String),
    /// The work was stopped from outside.
    #[error("{0}: cancelled")]
    Cancelled(String),
}

impl Error {
    /// Whether the same request may succeed a little later.
    pub fn transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Connection { .. } => true,
            Self::Refused { status, .. } => matches!(status, 429 | 500 | 502 | 503 | 504),
            Self::Pull { message, .. } => !images::final_refusal(message),
            Self::Host(_) | Self::Reference(_) | Self::Absent(_) | Self::Cancelled(_) => false,
        }
    }

    /// From the client's error, with what was being done.
    fn of(what: impl Into<String>, error: bollard::errors::Error) -> Self {
        use bollard::errors::Error as Docker;
        let what = what.into();
        match error {
            Docker::DockerResponseServerError { status_code, message } => {
                Self::Refused { what, status: status_code, message }
            }
            Docker::DockerStreamError { error } => {
                Self::Refused { what, status: 200, message: error }
            }
            Docker::RequestTimeoutError => {
                Self::Connection { what, message: "no answer in time".into() }
            }
            other => Self::Connection { what, message: chain(&other) },
        }
    }
}

/// An error with its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        cause = inner.source();
    }
    text
}
