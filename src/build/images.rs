//! Images of the daemon: facts, pulls, tags and the pins that a night's builds stand on.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use tokio_util::sync::CancellationToken;

use super::{Daemon, Error};
use crate::model::manifest::Resource;
use crate::model::pipeline::Pull;

/// What the daemon knows of an image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageFacts {
    /// `sha256:…`: the configuration's digest, or the manifest's in containerd's store.
    pub id: String,
    /// `name@sha256:…` as known from registries.
    pub repo_digests: Vec<String>,
    /// `name:tag` references.
    pub repo_tags: Vec<String>,
    /// Bytes, as the daemon counts them.
    pub size: u64,
    /// `ONBUILD` triggers.
    pub on_build: Vec<String>,
    /// When it was made, where that was written down.
    pub created: Option<DateTime<Utc>>,
    /// `amd64`, `arm64`, …
    pub architecture: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
}

/// A registry's user and password.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The user.
    pub user: String,
    /// The password or token.
    pub password: String,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login").field("user", &self.user).finish_non_exhaustive()
    }
}

/// A resource image that stands ready under its tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchedImage {
    /// The `name:tag` that the Dockerfile uses.
    pub name: String,
    /// Its id.
    pub id: String,
    /// Where it came from; the daemon's own where nothing was pulled.
    pub from: String,
    /// Whether the address carried a digest.
    pub pinned: bool,
    /// A pull that failed although it was asked for; the local image stands in.
    pub stale: Option<String>,
}

/// The logins of a docker `config.json`: registry host → login. Credential helpers are not run.
pub fn logins(config_json: &str) -> BTreeMap<String, Login> {
    let _ = config_json;
    todo!()
}

/// Whether a registry's answer will not change by asking again.
pub(super) fn final_refusal(message: &str) -> bool {
    let _ = message;
    todo!()
}

impl Daemon {
    /// Facts of an image by id or reference; `None` where the daemon does not have it.
    pub async fn inspect(&self, reference: &str) -> Result<Option<ImageFacts>, Error> {
        let _ = reference;
        todo!()
    }

    /// Pulls `reference`, with the login of its registry where `logins` has one.
    pub async fn pull(
        &self,
        reference: &str,
        logins: &BTreeMap<String, Login>,
        progress: &(dyn Fn(String) + Send + Sync),
        cancel: &CancellationToken,
    ) -> Result<ImageFacts, Error> {
        let _ = (reference, logins, progress, cancel);
        todo!()
    }

    /// Tags an image with another reference.
    pub async fn tag(&self, image: &str, reference: &str) -> Result<(), Error> {
        let _ = (image, reference);
        todo!()
    }

    /// Removes a tag or, by id, an untagged image; `false` where it was not there or is in use.
    pub async fn remove(&self, reference: &str) -> Result<bool, Error> {
        let _ = reference;
        todo!()
    }

    /// Tags an image of the daemon with an alias that no registry can answer for, so that a build
    /// on it asks nobody; returns the alias.
    pub async fn pin(&self, id_or_ref: &str) -> Result<String, Error> {
        let _ = id_or_ref;
        todo!()
    }

    /// Removes a pin; the image stays where it has another name.
    pub async fn unpin(&self, alias: &str) -> Result<(), Error> {
        let _ = alias;
        todo!()
    }

    /// Brings a resource image to the daemon and tags it with the name its Dockerfile uses.
    pub async fn fetch_image(
        &self,
        resource: &Resource,
        pull: Pull,
        logins: &BTreeMap<String, Login>,
        progress: &(dyn Fn(String) + Send + Sync),
        cancel: &CancellationToken,
    ) -> Result<FetchedImage, Error> {
        let _ = (resource, pull, logins, progress, cancel);
        todo!()
    }
}
