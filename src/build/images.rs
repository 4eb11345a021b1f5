//! Images of the daemon: facts, pulls, tags and the pins that a night's builds stand on.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use bollard::auth::DockerCredentials;
use bollard::errors::Error as Docker;
use bollard::models::ImageInspect;
use bollard::query_parameters::{CreateImageOptions, RemoveImageOptions, TagImageOptions};
use chrono::{DateTime, Utc};
use futures_util::StreamExt;
use tokio_util::sync::CancellationToken;

use super::{Daemon, Error};
use crate::model::manifest::{Resource, ResourceKind};
use crate::model::pipeline::Pull;

/// Repository of the pins: port 1 of this host answers at once that nobody is there, so that a
/// builder which asks the registry first falls back to the local image without waiting.
pub(super) const PINS: &str = "127.0.0.1:1/midwatch-pin";

/// Longest silence of a pull.
const SILENCE: Duration = Duration::from_secs(300);

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

/// The logins of a docker `config.json`: registry host → login. Credential helpers are not run,
/// and what cannot be read is left out.
pub fn logins(config_json: &str) -> BTreeMap<String, Login> {
    let config: serde_json::Value = serde_json::from_str(config_json).unwrap_or_default();
    let auths = config.get("auths").and_then(|auths| auths.as_object());
    let entries = auths.into_iter().flatten().filter_map(|(host, entry)| {
        let text = |key: &str| entry.get(key).and_then(|value| value.as_str()).map(str::to_owned);
        let decoded = text("auth").filter(|auth| !auth.is_empty()).and_then(|auth| {
            let bytes = base64::engine::general_purpose::STANDARD.decode(auth.trim()).ok()?;
            let pair = String::from_utf8(bytes).ok()?;
            pair.split_once(':').map(|(user, word)| (user.to_owned(), word.to_owned()))
        });
        let (user, password) = decoded.or_else(|| Some((text("username")?, text("password")?)))?;
        Some((host_of(host), Login { user, password }))
    });
    entries.collect()
}

/// `https://index.docker.io/v1/` and the like as the host that references carry.
fn host_of(key: &str) -> String {
    let rest = key.split_once("://").map_or(key, |(_, rest)| rest);
    let host = rest.split('/').next().unwrap_or(rest);
    if host == "index.docker.io" { "docker.io".into() } else { host.to_owned() }
}

/// The registry of a reference: its first part where that looks like a host, else Docker Hub.
fn registry_of(reference: &str) -> &str {
    match reference.split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => host,
        _ => "docker.io",
    }
}

/// Whether a registry's answer will not change by asking again.
pub(super) fn final_refusal(message: &str) -> bool {
    let lower = message.to_ascii_lowercase();
    let words = [
        "not found",
        "manifest unknown",
        "denied",
        "unauthorized",
        "no basic auth",
        "authorization failed",
        "does not exist",
        "no matching",
    ];
    words.iter().any(|word| lower.contains(word))
}

/// References go into the daemon's addresses as they stand, and they come from Dockerfiles.
pub(super) fn check(reference: &str) -> Result<(), Error> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-/:@".contains(c);
    let good = !reference.is_empty()
        && reference.len() <= 512
        && reference.chars().all(plain)
        && reference.starts_with(|c: char| c.is_ascii_alphanumeric())
        && reference.split('/').all(|part| !matches!(part, "" | "." | ".."));
    if good { Ok(()) } else { Err(Error::Reference(reference.to_owned())) }
}

/// Splits off the tag or digest: `(name, "latest")` where there is none.
fn split(reference: &str) -> (&str, &str) {
    if let Some((name, digest)) = reference.split_once('@') {
        return (name, digest);
    }
    match reference.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, tag),
        _ => (reference, "latest"),
    }
}

/// `name:tag@digest` as `name@digest`: engines do not agree on names that carry both.
fn exact(reference: &str) -> String {
    match reference.split_once('@') {
        Some((named, digest)) => format!("{}@{digest}", split(named).0),
        None => reference.to_owned(),
    }
}

impl Daemon {
    /// Facts of an image by id or reference; `None` where the daemon does not have it.
    ///
    /// # Errors
    /// Where the daemon does not answer, or the reference is none.
    pub async fn inspect(&self, reference: &str) -> Result<Option<ImageFacts>, Error> {
        check(reference)?;
        match self.docker.inspect_image(&exact(reference)).await {
            Ok(image) => Ok(Some(facts(image))),
            Err(Docker::DockerResponseServerError { status_code: 404, .. }) => Ok(None),
            Err(error) => Err(Error::of(format!("inspecting {reference}"), error)),
        }
    }

    /// Pulls `reference`, with the login of its registry where `logins` has one.
    ///
    /// # Errors
    /// [`Error::Pull`] with the registry's words; [`Error::Cancelled`].
    pub async fn pull(
        &self,
        reference: &str,
        logins: &BTreeMap<String, Login>,
        progress: &(dyn Fn(String) + Send + Sync),
        cancel: &CancellationToken,
    ) -> Result<ImageFacts, Error> {
        check(reference)?;
        let pull = |message: String| Error::Pull { reference: reference.into(), message };
        let whole = exact(reference);
        let (name, tag) = split(&whole);
        let options = CreateImageOptions {
            from_image: Some(name.into()),
            tag: Some(tag.into()),
            ..CreateImageOptions::default()
        };
        progress(format!("pulling {reference}"));
        let login = credentials(reference, logins);
        let mut messages = std::pin::pin!(self.docker.create_image(Some(options), None, login));
        loop {
            let next = tokio::select! {
                biased;
                () = cancel.cancelled() => {
                    return Err(Error::Cancelled(format!("pulling {reference}")));
                }
                next = tokio::time::timeout(SILENCE, messages.next()) => next,
            };
            match next {
                Err(_) => return Err(pull(format!("no news for {} s", SILENCE.as_secs()))),
                Ok(Some(Ok(_))) => {}
                Ok(Some(Err(error))) => return Err(pull_error(reference, error)),
                Ok(None) => break,
            }
        }
        let facts = self.inspect(reference).await?;
        facts.ok_or_else(|| pull("the daemon does not have it after pulling it".into()))
    }

    /// Tags an image with another reference.
    ///
    /// # Errors
    /// Where the image is not there or the reference is none.
    pub async fn tag(&self, image: &str, reference: &str) -> Result<(), Error> {
        check(image)?;
        check(reference)?;
        let (repo, tag) = split(reference);
        let options = TagImageOptions { repo: Some(repo.into()), tag: Some(tag.into()) };
        let done = self.docker.tag_image(image, Some(options)).await;
        done.map_err(|error| Error::of(format!("tagging {image} as {reference}"), error))
    }

    /// Removes a tag or, by id, an untagged image; `false` where it was not there or is in use.
    ///
    /// # Errors
    /// Where the daemon does not answer, or the reference is none.
    pub async fn remove(&self, reference: &str) -> Result<bool, Error> {
        check(reference)?;
        match self.docker.remove_image(reference, None::<RemoveImageOptions>, None).await {
            Ok(_) => Ok(true),
            Err(Docker::DockerResponseServerError { status_code: 404 | 409, .. }) => Ok(false),
            Err(error) => Err(Error::of(format!("removing {reference}"), error)),
        }
    }

    /// Tags an image of the daemon with an alias that no registry can answer for, so that a build
    /// on it asks nobody, and returns the alias: the same for the same image and owner. `owner`, a
    /// plain word, keeps apart what others on this daemon pin.
    ///
    /// # Errors
    /// [`Error::Absent`] where the daemon does not have the image.
    pub async fn pin(&self, id_or_ref: &str, owner: &str) -> Result<String, Error> {
        let facts = self.inspect(id_or_ref).await?;
        let id = facts.ok_or_else(|| Error::Absent(id_or_ref.to_owned()))?.id;
        let hex = id.rsplit(':').next().unwrap_or(&id);
        let alias = format!("{PINS}/{}:{owner}", hex.get(..32).unwrap_or(hex));
        self.tag(&id, &alias).await?;
        Ok(alias)
    }

    /// Brings a resource image to the daemon and tags it with the name its Dockerfile uses.
    ///
    /// # Errors
    /// Where no address gives it and the daemon does not have it.
    pub async fn fetch_image(
        &self,
        resource: &Resource,
        pull: Pull,
        logins: &BTreeMap<String, Login>,
        progress: &(dyn Fn(String) + Send + Sync),
        cancel: &CancellationToken,
    ) -> Result<FetchedImage, Error> {
        let ResourceKind::Image(name) = &resource.kind else {
            return Err(Error::Reference(resource.name().to_owned()));
        };
        let mut last = None;
        for url in &resource.urls {
            let reference = url.strip_prefix("docker://").unwrap_or(url);
            match self.provide(reference, name, pull, logins, progress, cancel).await {
                Ok((facts, from, stale)) => {
                    self.tag(&facts.id, name).await?;
                    let pinned = reference.contains('@');
                    return Ok(FetchedImage {
                        name: name.clone(),
                        id: facts.id,
                        from,
                        pinned,
                        stale,
                    });
                }
                Err(cancelled @ Error::Cancelled(_)) => return Err(cancelled),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| Error::Absent(name.clone())))
    }

    /// An image by the pull policy: its facts, where it came from, and a pull that failed.
    async fn provide(
        &self,
        reference: &str,
        name: &str,
        pull: Pull,
        logins: &BTreeMap<String, Login>,
        progress: &(dyn Fn(String) + Send + Sync),
        cancel: &CancellationToken,
    ) -> Result<(ImageFacts, String, Option<String>), Error> {
        let mut local = self.inspect(reference).await?;
        // The bare name may stand in only where the address leaves open which content is meant.
        if local.is_none() && !reference.contains('@') {
            local = self.inspect(name).await?;
        }
        let here = "this daemon".to_owned();
        match (local, pull) {
            (Some(facts), Pull::Missing | Pull::Never) => Ok((facts, here, None)),
            (None, Pull::Never) => Err(Error::Absent(reference.to_owned())),
            (local, _) => match self.pull(reference, logins, progress, cancel).await {
                Ok(facts) => Ok((facts, reference.to_owned(), None)),
                Err(cancelled @ Error::Cancelled(_)) => Err(cancelled),
                Err(error) => match local {
                    Some(facts) => Ok((facts, here, Some(error.to_string()))),
                    None => Err(error),
                },
            },
        }
    }
}

fn credentials(reference: &str, logins: &BTreeMap<String, Login>) -> Option<DockerCredentials> {
    let host = registry_of(reference);
    logins.get(host).map(|login| DockerCredentials {
        username: Some(login.user.clone()),
        password: Some(login.password.clone()),
        serveraddress: Some(host.to_owned()),
        ..DockerCredentials::default()
    })
}

fn pull_error(reference: &str, error: Docker) -> Error {
    match Error::of(format!("pulling {reference}"), error) {
        Error::Refused { message, .. } => Error::Pull { reference: reference.into(), message },
        other => other,
    }
}

fn facts(image: ImageInspect) -> ImageFacts {
    let config = image.config.unwrap_or_default();
    ImageFacts {
        id: image.id.unwrap_or_default(),
        repo_digests: image.repo_digests.unwrap_or_default(),
        repo_tags: image.repo_tags.unwrap_or_default(),
        size: image.size.and_then(|size| u64::try_from(size).ok()).unwrap_or(0),
        on_build: config.on_build.unwrap_or_default(),
        created: image.created,
        architecture: image.architecture.unwrap_or_default(),
        labels: config.labels.unwrap_or_default().into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_that_could_reach_other_requests_are_refused() {
        for good in ["debian:12", "127.0.0.1:1/a/b:pin", "a@sha256:0011", "sha256:0011", "A.b/c"] {
            assert!(check(good).is_ok(), "{good}");
        }
        for bad in
            ["", "a?force=1", "a/../containers", "a b", "/a", "a//b", "a#b", "a%2f", "-a", "é"]
        {
            assert!(check(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn tags_and_digests_are_split_from_names_with_ports() {
        assert_eq!(split("host:5000/a/b"), ("host:5000/a/b", "latest"));
        assert_eq!(split("host:5000/a/b:1.2"), ("host:5000/a/b", "1.2"));
        assert_eq!(split("a@sha256:ff"), ("a", "sha256:ff"));
        assert_eq!(exact("host:5000/a:1@sha256:ff"), "host:5000/a@sha256:ff");
        assert_eq!(exact("host:5000/a@sha256:ff"), "host:5000/a@sha256:ff");
        assert_eq!(registry_of("library/debian"), "docker.io");
        assert_eq!(registry_of("ghcr.io/a/b"), "ghcr.io");
    }

    #[test]
    fn a_refusal_is_told_from_a_bad_line() {
        assert!(final_refusal("Head \"http://r/v2/a/manifests/1\": no basic auth credentials"));
        assert!(final_refusal("manifest for a:1 not found: manifest unknown"));
        assert!(!final_refusal("dial tcp 127.0.0.1:1: connect: connection refused"));
        assert!(!final_refusal("toomanyrequests: slow down"));
    }

    #[test]
    fn logins_come_from_both_spellings_and_never_show_their_password() {
        let config = r#"{"auths":{"https://index.docker.io/v1/":{"auth":"dXNlcjpwYTpzcw=="},
            "r.example:5000":{"username":"u","password":"p"},"empty":{}, "bad":{"auth":"%%"}}}"#;
        let logins = logins(config);
        assert_eq!(logins.keys().collect::<Vec<_>>(), ["docker.io", "r.example:5000"]);
        assert_eq!(logins["docker.io"].password, "pa:ss");
        assert!(!format!("{logins:?}").contains("pa:ss"));
        assert!(super::logins("rubbish").is_empty());
    }
}
