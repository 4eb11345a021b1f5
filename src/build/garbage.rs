//! What midwatch leaves behind in the daemon, and its removal.

use std::collections::HashMap;
use std::time::Duration;

use bollard::models::ImageSummary;
use bollard::query_parameters::{ListImagesOptions, PruneBuildOptions, RemoveImageOptions};

use super::images::PINS;
use super::{Daemon, Error};

/// The label that names the pipeline of an image that midwatch built.
pub const PIPELINE_LABEL: &str = "io.midwatch.pipeline";

/// The label that names its night.
pub const NIGHT_LABEL: &str = "io.midwatch.night";

/// What a collection removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Collected {
    /// Images.
    pub images: u64,
    /// Their bytes as the daemon counts them; shared layers count more than once.
    pub bytes: u64,
}

impl Daemon {
    /// Removes untagged images that `pipeline` built in nights other than `keep_nights`.
    /// Images that are tagged, in use, or not ours stay.
    ///
    /// # Errors
    /// Where the daemon does not answer.
    pub async fn collect(
        &self,
        pipeline: &str,
        keep_nights: &[String],
    ) -> Result<Collected, Error> {
        let everything = self.list(true, Vec::new()).await?;
        let all: HashMap<&str, &ImageSummary> =
            everything.iter().map(|image| (image.id.as_str(), image)).collect();
        let ours = vec![
            ("label", format!("{PIPELINE_LABEL}={pipeline}")),
            ("dangling", "true".to_owned()),
        ];
        let mut collected = Collected::default();
        for image in self.list(false, ours).await? {
            if disposable(&image, pipeline, keep_nights) && self.drop_untagged(&image.id).await? {
                collected.images += 1;
                collected.bytes += u64::try_from(image.size).unwrap_or(0);
                self.drop_steps(&image.parent_id, &all).await?;
            }
        }
        Ok(collected)
    }

    /// Removes all pins of `owner`; returns how many.
    ///
    /// # Errors
    /// Where the daemon does not answer.
    pub async fn sweep_pins(&self, owner: &str) -> Result<u64, Error> {
        let (mut swept, owned) = (0, format!(":{owner}"));
        for image in self.list(false, vec![("reference", format!("{PINS}/*"))]).await? {
            for tag in &image.repo_tags {
                if tag.starts_with(PINS) && tag.ends_with(&owned) {
                    swept += u64::from(self.unpin(tag).await?);
                }
            }
        }
        Ok(swept)
    }

    /// Removes a pin and never the image: one without another name stays as an untagged image.
    /// `false` where the pin was not there, or had to stay.
    ///
    /// # Errors
    /// Where the daemon does not answer, or `alias` is no pin.
    pub async fn unpin(&self, alias: &str) -> Result<bool, Error> {
        if !alias.starts_with(PINS) {
            return Err(Error::Reference(alias.to_owned()));
        }
        let Some(facts) = self.inspect(alias).await? else {
            return Ok(false);
        };
        // Removing an image's last name removes the image; moving the name away first does not.
        if facts.repo_tags.iter().all(|tag| tag == alias) {
            let others = self.list(false, Vec::new()).await?;
            let named = |image: &&ImageSummary| {
                image.id != facts.id && image.repo_tags.iter().any(|tag| real(tag) && tag != alias)
            };
            let Some(other) = others.iter().find(named) else {
                return Ok(false);
            };
            self.tag(&other.id, alias).await?;
        }
        self.remove(alias).await
    }

    /// Frees BuildKit's cache that nobody used for `unused`; returns the bytes. The daemon does not
    /// say whose a cache entry is: this touches other builds of the same age too, and never images.
    ///
    /// # Errors
    /// Where the daemon does not answer.
    pub async fn prune_cache(&self, unused: Duration) -> Result<u64, Error> {
        let until = vec![format!("{}s", unused.as_secs())];
        let filters = Some(HashMap::from([("until".to_owned(), until)]));
        let options =
            PruneBuildOptions { all: Some(true), filters, ..PruneBuildOptions::default() };
        let pruned = self.docker.prune_build(Some(options)).await;
        let pruned = pruned.map_err(|error| Error::of("pruning the build cache", error))?;
        Ok(pruned.space_reclaimed.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0))
    }

    async fn list(
        &self,
        all: bool,
        filters: Vec<(&str, String)>,
    ) -> Result<Vec<ImageSummary>, Error> {
        let mut map: HashMap<String, Vec<String>> = HashMap::new();
        for (key, value) in filters {
            map.entry(key.to_owned()).or_default().push(value);
        }
        let filters = (!map.is_empty()).then_some(map);
        let options = ListImagesOptions { all, filters, ..ListImagesOptions::default() };
        let images = self.docker.list_images(Some(options)).await;
        images.map_err(|error| Error::of("listing images", error))
    }

    /// Removes one image and not its parents; `false` where it is in use.
    async fn drop_untagged(&self, id: &str) -> Result<bool, Error> {
        use bollard::errors::Error as Docker;
        super::images::check(id)?;
        let options = RemoveImageOptions { noprune: true, ..RemoveImageOptions::default() };
        match self.docker.remove_image(id, Some(options), None).await {
            Ok(_) => Ok(true),
            Err(Docker::DockerResponseServerError { status_code: 404 | 409, .. }) => Ok(false),
            Err(error) => Err(Error::of(format!("removing {id}"), error)),
        }
    }

    /// Removes the classic builder's unnamed steps below a removed image, and stops at what has
    /// a name or no parent: a base is somebody else's.
    async fn drop_steps(&self, id: &str, all: &HashMap<&str, &ImageSummary>) -> Result<(), Error> {
        let mut id = id;
        while let Some(step) = all.get(id)
            && !step.parent_id.is_empty()
            && !step.repo_tags.iter().any(|tag| real(tag))
            && !step.repo_digests.iter().any(|digest| real(digest))
            && !step.labels.contains_key(PIPELINE_LABEL)
            && self.drop_untagged(id).await?
        {
            id = &step.parent_id;
        }
        Ok(())
    }
}

/// Whether the daemon's list shows one of our images that no name, no kept night needs.
fn disposable(image: &ImageSummary, pipeline: &str, keep_nights: &[String]) -> bool {
    let label = |key: &str| image.labels.get(key).map_or("", String::as_str);
    let night = label(NIGHT_LABEL);
    label(PIPELINE_LABEL) == pipeline
        && !night.is_empty()
        && !keep_nights.iter().any(|keep| keep == night)
        && !image.repo_tags.iter().any(|tag| real(tag))
}

/// Older engines list an image without a name under `<none>:<none>`.
fn real(tag: &str) -> bool {
    !tag.contains("<none>")
}
