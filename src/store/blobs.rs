//! The content store: a folder of files named by the SHA-256 of what is in them.

use std::path::{Path, PathBuf};

use super::Result;

/// A content-addressed folder: `ROOT/sha256/ab/abcdef…`.
#[derive(Debug, Clone)]
pub struct Blobs {
    root: PathBuf,
}

impl Blobs {
    /// The content store below `root`, made where it is missing.
    ///
    /// # Errors
    /// [`super::Error::Blob`] where the folder cannot be made.
    pub fn open(root: &Path) -> Result<Self> {
        Ok(Self { root: root.to_owned() })
    }
    /// Stores `bytes`, durably and at most once, and returns their digest: `sha256:…`.
    ///
    /// # Errors
    /// [`super::Error::Blob`] where the file cannot be written.
    pub fn put(&self, bytes: &[u8]) -> Result<String> {
        let _ = (&self.root, bytes);
        todo!()
    }
    /// Reads the content of `digest` and checks it.
    ///
    /// # Errors
    /// [`super::Error::Digest`] for a malformed digest or a damaged file,
    /// [`super::Error::Blob`] where it cannot be read or is larger than 256 MiB.
    pub fn get(&self, digest: &str) -> Result<Vec<u8>> {
        let _ = digest;
        todo!()
    }
    /// The file of `digest`, whether it is there or not.
    ///
    /// # Errors
    /// [`super::Error::Digest`] for a malformed digest.
    pub fn path(&self, digest: &str) -> Result<PathBuf> {
        let _ = digest;
        todo!()
    }
}
