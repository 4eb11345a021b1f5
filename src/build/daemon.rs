//! The connection to one Docker Engine and what it says of itself.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bollard::{API_DEFAULT_VERSION, ClientVersion, Docker};

use super::Error;

/// Bound of the first contact.
const CONNECT: Duration = Duration::from_secs(10);

/// Bound of ordinary requests, uploads excepted.
const REQUEST: u64 = 300;

/// Where a system's containerd keeps its content.
const CONTAINERD: &str = "/var/lib/containerd";

/// One Docker Engine; clones share it.
#[derive(Debug, Clone)]
pub struct Daemon {
    pub(super) docker: Docker,
    host: Arc<str>,
    about: Arc<About>,
}

/// What an engine says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// The engine's version.
    pub engine: String,
    /// The newest API it speaks.
    pub api: (usize, usize),
    /// Its own platform: `linux/amd64`.
    pub platform: String,
    /// Its data folder, on its own host.
    pub root: PathBuf,
    /// Whether images lie in containerd's store: ids are manifest digests there.
    pub containerd_store: bool,
    /// Whether its host has version 1 control groups, driven as folders.
    pub cgroup_v1: bool,
}

impl Daemon {
    /// Connects to `unix://PATH`, `tcp://HOST:PORT` or `http://HOST:PORT` and agrees on a version.
    ///
    /// # Errors
    /// [`Error::Unreachable`] where nothing answers within ten seconds.
    pub async fn connect(host: &str) -> Result<Self, Error> {
        let docker = client(host, API_DEFAULT_VERSION)?.with_request_modifier(registry_auth);
        let unreachable = |detail: String| Error::Unreachable { host: host.into(), detail };
        let contact = async {
            let docker = docker.negotiate_version().await?;
            let version = docker.version().await?;
            let info = docker.info().await?;
            Ok::<_, bollard::errors::Error>((docker, version, info))
        };
        let (docker, version, info) = tokio::time::timeout(CONNECT, contact)
            .await
            .map_err(|_| unreachable(format!("no answer in {} s", CONNECT.as_secs())))?
            .map_err(|error| unreachable(super::chain(&error)))?;
        let about = Arc::new(about(version, info));
        Ok(Self { docker, host: host.into(), about })
    }

    /// What the engine said of itself when it was connected.
    pub fn about(&self) -> &About {
        &self.about
    }

    /// The address it was connected at.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// A second client that shares no connection with this one.
    pub(super) fn another(&self) -> Result<Docker, Error> {
        client(&self.host, &self.docker.client_version())
    }

    /// Whether the daemon shares this machine's file system, as far as the address tells.
    pub fn local(&self) -> bool {
        self.host.starts_with("unix://")
    }

    /// Free bytes where the daemon keeps images; `None` where its folder cannot be seen from here.
    pub fn free_disk(&self) -> Option<u64> {
        if !self.local() {
            return None;
        }
        let root = free_bytes(&self.about.root).ok()?;
        // Where containerd keeps the images, its own folder may lie on another disk.
        let store = self.about.containerd_store.then(|| free_bytes(Path::new(CONTAINERD)));
        Some(store.and_then(Result::ok).map_or(root, |free| free.min(root)))
    }
}

/// Bytes that an unprivileged writer may still write below `path`.
///
/// # Errors
/// Where the folder is absent or cannot be asked.
pub fn free_bytes(path: &Path) -> io::Result<u64> {
    let facts = rustix::fs::statvfs(path)?;
    Ok(facts.f_bavail.saturating_mul(facts.f_frsize))
}

fn client(host: &str, version: &ClientVersion) -> Result<Docker, Error> {
    let unreachable = |error: bollard::errors::Error| Error::Unreachable {
        host: host.into(),
        detail: super::chain(&error),
    };
    if host.starts_with("unix://") {
        Docker::connect_with_unix(host, REQUEST, version).map_err(unreachable)
    } else if host.starts_with("tcp://") || host.starts_with("http://") {
        Docker::connect_with_http(host, REQUEST, version).map_err(unreachable)
    } else {
        Err(Error::Host(host.into()))
    }
}

/// Puts registry credentials into the alphabet that every engine reads (base64url): older ones
/// drop the others without a word.
pub(super) fn registry_auth(mut request: bollard::BollardRequest) -> bollard::BollardRequest {
    for name in ["x-registry-auth", "x-registry-config"] {
        if let Some(value) = request.headers_mut().get_mut(name)
            && let Ok(text) = value.to_str()
            && let Ok(fixed) = text.replace('+', "-").replace('/', "_").parse()
        {
            *value = fixed;
        }
    }
    request
}

fn about(version: bollard::models::SystemVersion, info: bollard::models::SystemInfo) -> About {
    let text = |value: Option<String>| value.unwrap_or_default();
    let api = text(version.api_version);
    let mut numbers = api.split('.').map(|part| part.parse().unwrap_or(0));
    let status = info.driver_status.unwrap_or_default();
    About {
        engine: text(version.version),
        api: (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)),
        platform: format!("{}/{}", text(version.os), text(version.arch)),
        root: text(info.docker_root_dir).into(),
        containerd_store: status
            .iter()
            .flatten()
            .any(|word| word == "io.containerd.snapshotter.v1"),
        cgroup_v1: info.cgroup_version.is_some_and(|v| v.to_string() == "1")
            && info.cgroup_driver.is_some_and(|d| d.to_string() == "cgroupfs"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_reach_old_engines_in_the_alphabet_they_read() {
        let request = axum::http::Request::builder().header("X-Registry-Auth", "ab+/cd==");
        let request = request.body(bollard::body_full(bytes::Bytes::new())).unwrap();
        let sent = registry_auth(request);
        assert_eq!(sent.headers()["x-registry-auth"], "ab-_cd==");
    }
}
