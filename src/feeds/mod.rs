//! Advisory data (OSV, KEV, EPSS) in one compact on-disk index, and how old it is.
//!
//! [`import`] reads the databases' own files once and writes one *segment* per source (`OSV PyPI`,
//! `KEV`, …); `current.json` names the segments in use and is swapped last. [`Index`] maps them and
//! answers look-ups without parsing any JSON.

use std::io;
use std::path::{Path, PathBuf};

mod builder;
mod closed;
mod epss;
mod freshness;
mod import;
mod index;
mod input;
mod kev;
mod names;
mod osv;
mod pointer;
mod segment;
mod severity;

#[cfg(test)]
mod tests;

pub use freshness::freshness;
pub use import::{ImportProgress, ImportSummary, import};
pub use index::Index;
pub use input::Rejected;

/// Why feeds could not be imported or opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file or folder cannot be written.
    #[error("cannot write {path}: {source}; the feeds are as they were before")]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// An archive is damaged or refused.
    #[error("{path}: {reason}; nothing was imported, fetch it again")]
    Archive {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Nothing in the given paths is advisory data.
    #[error("nothing to import in {paths}: no OSV record, KEV catalogue or EPSS scores{first}")]
    Nothing {
        /// The paths.
        paths: String,
        /// ` (PATH: REASON)`, the first that was refused.
        first: String,
    },
    /// Another import is at work.
    #[error("another import into {path} is running; wait until it is done")]
    Busy {
        /// The feeds folder.
        path: PathBuf,
    },
    /// The index is not what was written.
    #[error("the feeds' index is damaged ({path}: {reason}); import the feeds again")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

fn read_error(path: &Path) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::Read { path: path.to_owned(), source }
}

fn write_error(path: &Path) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::Write { path: path.to_owned(), source }
}
