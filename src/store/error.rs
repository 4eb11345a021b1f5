//! What can go wrong with the ledger and the content store.

use std::path::PathBuf;

/// Results of this module.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of the ledger or the content store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The database cannot be reached or made.
    #[error(
        "cannot open the ledger {url}: {source}; check the address, that its folder exists and may be written, or that the server runs"
    )]
    Open {
        /// Its address, without a password.
        url: String,
        /// Why.
        source: Box<sqlx::Error>,
    },
    /// The schema is ahead of this program.
    #[error(
        "the ledger {url} was written by a newer midwatch (schema {found}, this one knows {known}); upgrade midwatch"
    )]
    Newer {
        /// Its address, without a password.
        url: String,
        /// Its schema.
        found: i64,
        /// The newest one this program knows.
        known: i64,
    },
    /// The schema cannot be brought up to date.
    #[error("cannot bring the ledger {url} up to date: {source}")]
    Migrate {
        /// Its address, without a password.
        url: String,
        /// Why.
        source: Box<sqlx::migrate::MigrateError>,
    },
    /// A statement failed.
    #[error("the ledger failed: {0}")]
    Ledger(#[source] Box<sqlx::Error>),
    /// No such night.
    #[error("no night {night} in the ledger")]
    UnknownNight {
        /// The id asked for.
        night: String,
    },
    /// No such image in that night.
    #[error("night {night} did not plan an image {image}")]
    UnknownImage {
        /// The night.
        night: String,
        /// The image asked for.
        image: String,
    },
    /// A night gets one plan only.
    #[error("night {night} already has a plan")]
    Planned {
        /// The night.
        night: String,
    },
    /// A night cannot be closed before every image has its end.
    #[error("night {night} cannot be closed: {missing} images have no end yet, {image} among them")]
    Incomplete {
        /// The night.
        night: String,
        /// How many.
        missing: usize,
        /// The first of them.
        image: String,
    },
    /// The ledger holds what midwatch never writes.
    #[error("the ledger is inconsistent at {place}: {problem}")]
    Inconsistent {
        /// Table and key.
        place: String,
        /// What is wrong there.
        problem: String,
    },
    /// Something cannot be written as JSON.
    #[error("cannot write {what} as JSON: {source}")]
    Encode {
        /// What.
        what: &'static str,
        /// Why.
        source: serde_json::Error,
    },
    /// A file of the content store cannot be read or written.
    #[error("content store: {path}: {source}")]
    Blob {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A digest is malformed, or its file is damaged or too large.
    #[error("content store: {digest}: {problem}")]
    Digest {
        /// The digest, at most 100 characters of it.
        digest: String,
        /// What is wrong.
        problem: String,
    },
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Ledger(Box::new(error))
    }
}
