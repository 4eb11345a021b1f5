//! The ledger: the only SQL, for SQLite and PostgreSQL alike, and the content store beside it.

mod blobs;
mod record;
mod stub;

pub use blobs::Blobs;
pub use record::*;

/// What can go wrong with the ledger and the content store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// (stub)
    #[error("stub")]
    Stub,
}

/// Results of this module.
pub type Result<T> = std::result::Result<T, Error>;

/// The ledger; clones share one pool of connections.
#[derive(Debug, Clone)]
pub struct Store {
    pool: sqlx::AnyPool,
    sqlite: bool,
}
