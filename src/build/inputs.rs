//! Declared files: fetched, checked and kept by their content.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::model::manifest::Resource;

/// How declared files are fetched.
#[derive(Clone)]
pub struct FetchSettings {
    /// The content store's folder.
    pub store: PathBuf,
    /// Address prefix → other prefix; the longest that matches wins.
    pub mirrors: BTreeMap<String, String>,
    /// Tries for each address, at least one.
    pub tries: u32,
    /// Most bytes of one file.
    pub max_bytes: u64,
    /// Credential id → user and password.
    pub credentials: BTreeMap<String, (String, String)>,
    /// Longest time without a byte, and longest time to connect.
    pub timeout: Duration,
}

impl std::fmt::Debug for FetchSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FetchSettings").field("store", &self.store).finish_non_exhaustive()
    }
}

/// A declared file on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// Its name in the context.
    pub name: String,
    /// Where it lies in the store.
    pub path: PathBuf,
    /// SHA-256, hexadecimal.
    pub sha256: String,
    /// Bytes.
    pub bytes: u64,
    /// The address it came from; `store` where it was there already.
    pub from: String,
    /// Whether the manifest carries a checksum.
    pub pinned: bool,
}

/// Why a declared file is not there.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Stopped from outside.
    #[error("fetching {0}: cancelled")]
    Cancelled(String),
}

impl FetchError {
    /// Whether the same request may succeed a little later.
    pub fn transient(&self) -> bool {
        match self {
            Self::Cancelled(_) => false,
        }
    }
}

/// Fetches the file resources among `resources`, in order; image resources are left to
/// [`super::Daemon::fetch_image`].
///
/// # Errors
/// The first resource that no address gives as declared.
pub async fn fetch(
    resources: &[Resource],
    settings: &FetchSettings,
    cancel: &CancellationToken,
) -> Result<Vec<Fetched>, FetchError> {
    let _ = (resources, settings, cancel);
    todo!()
}

/// Removes what an interrupted fetch left in the store; call it when no fetch runs.
pub fn sweep(store: &Path) -> std::io::Result<u64> {
    let _ = store;
    todo!()
}
