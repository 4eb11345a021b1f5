//! Declared files: fetched, checked and kept by their content.

mod addresses;
mod depot;
mod download;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use addresses::Address;
use depot::Depot;
pub use depot::sweep;
use download::Client;

use crate::model::manifest::{Algorithm, Resource, ResourceKind};

/// First pause before another try; it doubles each time.
const PAUSE: Duration = Duration::from_millis(500);

/// Longest pause.
const LONGEST: Duration = Duration::from_secs(30);

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
    /// The server said no.
    #[error("{name}: {address} answered {status}")]
    Status {
        /// The resource.
        name: String,
        /// Where it was asked for.
        address: String,
        /// The HTTP status.
        status: u16,
    },
    /// The connection or the mirror's file failed.
    #[error("{name}: {address}: {message}")]
    Transfer {
        /// The resource.
        name: String,
        /// Where it was asked for.
        address: String,
        /// What broke.
        message: String,
        /// Whether another try may help.
        again: bool,
    },
    /// Other content than declared.
    #[error(
        "{name}: {address} gave {bytes} bytes whose {algorithm} is {got}, the manifest says {expected}; \
         the file was not kept"
    )]
    Checksum {
        /// The resource.
        name: String,
        /// Where it came from.
        address: String,
        /// `sha256` or `sha512`.
        algorithm: &'static str,
        /// As declared.
        expected: String,
        /// As received.
        got: String,
        /// Bytes received.
        bytes: u64,
    },
    /// More than allowed.
    #[error("{name}: {address} is larger than {limit} bytes (build.max-resource)")]
    TooLarge {
        /// The resource.
        name: String,
        /// Where it came from.
        address: String,
        /// The limit.
        limit: u64,
    },
    /// An address of a kind that is not fetched.
    #[error("{name}: {address}: {problem}")]
    Address {
        /// The resource.
        name: String,
        /// The address.
        address: String,
        /// Why it cannot serve, and what to do.
        problem: String,
    },
    /// A credential that the configuration does not have.
    #[error("{name}: credential {id:?} is not configured; add it under build.credentials")]
    Credential {
        /// The resource.
        name: String,
        /// The credential's id.
        id: String,
    },
    /// The disk of the content store is full.
    #[error("{name}: no space left on the disk of {}", path.display())]
    DiskFull {
        /// The resource.
        name: String,
        /// The store.
        path: PathBuf,
    },
    /// The content store cannot be read or written.
    #[error("{name}: content store {}: {source}", path.display())]
    Store {
        /// The resource.
        name: String,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Several addresses, and none gave it.
    #[error("{}", each(failures))]
    Everywhere {
        /// One failure for each address, in order; at least two.
        failures: Vec<FetchError>,
    },
}

impl FetchError {
    /// Whether the same request may succeed a little later.
    pub fn transient(&self) -> bool {
        match self {
            Self::Status { status, .. } => matches!(status, 408 | 429 | 500..=599),
            Self::Transfer { again, .. } => *again,
            Self::DiskFull { .. } => true,
            Self::Everywhere { failures } => failures.iter().any(Self::transient),
            _ => false,
        }
    }
}

fn each(failures: &[FetchError]) -> String {
    failures.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Fetches the file resources among `resources`, in order; image resources are left to
/// [`super::Daemon::fetch_image`].
///
/// A file whose checksum is declared is taken from the store where it is there and whole; one
/// without is fetched anew each time. For each address the mirror that fits is asked in its
/// place; addresses are tried in order, each `tries` times where that may help.
///
/// # Errors
/// The first resource that no address gives as declared.
pub async fn fetch(
    resources: &[Resource],
    settings: &FetchSettings,
    cancel: &CancellationToken,
) -> Result<Vec<Fetched>, FetchError> {
    let depot = Depot::new(&settings.store);
    let mut client = Client::new(settings.timeout);
    let mut fetched = Vec::new();
    for resource in resources {
        let ResourceKind::File(name) = &resource.kind else {
            continue;
        };
        if let Some(here) = depot.find(name, resource.checksum.as_ref()).await? {
            fetched.push(here);
            continue;
        }
        fetched.push(from_addresses(name, resource, settings, &depot, &mut client, cancel).await?);
    }
    Ok(fetched)
}

async fn from_addresses(
    name: &str,
    resource: &Resource,
    settings: &FetchSettings,
    depot: &Depot,
    client: &mut Client,
    cancel: &CancellationToken,
) -> Result<Fetched, FetchError> {
    let mut failures = Vec::new();
    for url in &resource.urls {
        let result = match Address::of(name, url, settings, resource.auth.as_ref()) {
            Ok(at) => patiently(name, &at, resource, settings, depot, client, cancel).await,
            Err(error) => Err(error),
        };
        match result {
            Ok(fetched) => return Ok(fetched),
            Err(stop @ (FetchError::Cancelled(_) | FetchError::DiskFull { .. })) => {
                return Err(stop);
            }
            Err(error) => failures.push(error),
        }
    }
    match failures.pop() {
        Some(only) if failures.is_empty() => Err(only),
        Some(last) => {
            failures.push(last);
            Err(FetchError::Everywhere { failures })
        }
        None => Err(FetchError::Address {
            name: name.into(),
            address: "(none)".into(),
            problem: "the manifest gives no address".into(),
        }),
    }
}

/// Tries one address until it gives the file, says no for good, or the tries are used up.
async fn patiently(
    name: &str,
    at: &Address,
    resource: &Resource,
    settings: &FetchSettings,
    depot: &Depot,
    client: &mut Client,
    cancel: &CancellationToken,
) -> Result<Fetched, FetchError> {
    let mut pause = PAUSE;
    for _ in 1..settings.tries.max(1) {
        match once(name, at, resource, settings, depot, client, cancel).await {
            Err(error) if error.transient() && !matches!(error, FetchError::DiskFull { .. }) => {
                tracing::debug!(input = name, %error, "trying again");
            }
            end => return end,
        }
        tokio::select! {
            () = cancel.cancelled() => return Err(FetchError::Cancelled(name.into())),
            () = tokio::time::sleep(pause) => {}
        }
        pause = (pause * 2).min(LONGEST);
    }
    once(name, at, resource, settings, depot, client, cancel).await
}

async fn once(
    name: &str,
    at: &Address,
    resource: &Resource,
    settings: &FetchSettings,
    depot: &Depot,
    client: &mut Client,
    cancel: &CancellationToken,
) -> Result<Fetched, FetchError> {
    let transfer = async {
        let mut pieces = client.open(name, at, settings.max_bytes).await?;
        depot.keep(name, at, resource.checksum.as_ref(), settings.max_bytes, &mut pieces).await
    };
    tokio::select! {
        biased;
        () = cancel.cancelled() => Err(FetchError::Cancelled(name.into())),
        result = transfer => result,
    }
}

/// The manifest's spelling of a hash function.
fn spelled(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Sha256 => "sha256",
        Algorithm::Sha512 => "sha512",
    }
}
