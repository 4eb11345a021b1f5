//! Which configuration and which layers make up the image of an archive, by its JSON documents.
//!
//! `manifest.json` is what `docker save` and `docker load` agree on and is preferred; `index.json`
//! is the OCI image layout's (OCI image specification, image-layout.md, image-index.md, manifest.md).

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::model::inventory::ImageConfig;

use super::gaps::Gaps;

const MAX_NESTING: usize = 4;
const REFERENCE: &str = "vnd.docker.reference.type";

/// The names of an image's parts inside its archive.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Parts {
    /// A name to show.
    pub tag: String,
    /// The configuration's path.
    pub config: String,
    /// The layers' paths, lowest first.
    pub layers: Vec<String>,
}

/// Hands out the document at a path of the archive.
pub(super) type Documents<'a> = dyn FnMut(&str) -> Option<Vec<u8>> + 'a;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
struct Descriptor {
    digest: String,
    platform: Option<Platform>,
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Deserialize)]
struct Platform {
    os: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Manifest {
    manifests: Option<Vec<Descriptor>>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
}

impl Descriptor {
    /// Build provenance and SBOMs stand beside the images as manifests for no platform.
    fn is_attestation(&self) -> bool {
        let annotated = self.annotations.as_ref().is_some_and(|a| a.contains_key(REFERENCE));
        let os = self.platform.as_ref().and_then(|platform| platform.os.as_deref());
        annotated || os == Some("unknown")
    }

    fn path(&self) -> Result<String, String> {
        let parts = self.digest.split_once(':');
        let good = |(algorithm, hex): &(&str, &str)| {
            algorithm.chars().all(|c| c.is_ascii_alphanumeric())
                && !hex.is_empty()
                && hex.chars().all(|c| c.is_ascii_hexdigit())
        };
        match parts.filter(good) {
            Some((algorithm, hex)) => Ok(format!("blobs/{algorithm}/{hex}")),
            None => Err(format!("`{}` is not a digest", self.digest.escape_debug())),
        }
    }
}

/// Finds the image's parts; the error says what is missing or wrong.
pub(super) fn parts(documents: &mut Documents<'_>, gaps: &mut Gaps) -> Result<Parts, String> {
    if let Some(manifest) = documents("manifest.json") {
        return saved(&manifest, gaps);
    }
    let Some(index) = documents("index.json") else {
        return Err(
            "neither a manifest.json nor an index.json inside: not a `docker save` or OCI \
                    archive, or one that ends early"
                .to_owned(),
        );
    };
    indexed("index.json", &index, documents, gaps, 0)
}

fn saved(manifest: &[u8], gaps: &mut Gaps) -> Result<Parts, String> {
    let images: Vec<Saved> =
        serde_json::from_slice(manifest).map_err(|e| format!("manifest.json: {e}"))?;
    let count = images.len();
    let Some(first) = images.into_iter().next() else {
        return Err("manifest.json names no image".to_owned());
    };
    several(count, gaps);
    Ok(Parts {
        tag: first.repo_tags.unwrap_or_default().into_iter().next().unwrap_or_default(),
        config: first.config,
        layers: first.layers.unwrap_or_default(),
    })
}

fn indexed(
    name: &str,
    document: &[u8],
    documents: &mut Documents<'_>,
    gaps: &mut Gaps,
    depth: usize,
) -> Result<Parts, String> {
    let manifest: Manifest =
        serde_json::from_slice(document).map_err(|e| format!("{name}: {e}"))?;
    if let (Some(config), layers) = (&manifest.config, manifest.layers.unwrap_or_default()) {
        let layers = layers.iter().map(Descriptor::path).collect::<Result<_, _>>()?;
        return Ok(Parts { tag: String::new(), config: config.path()?, layers });
    }
    if depth >= MAX_NESTING {
        return Err(format!("{name}: indexes nested deeper than {MAX_NESTING}"));
    }
    let all = manifest.manifests.unwrap_or_default();
    let mut present = Vec::new();
    // Of an image for several platforms, only the ones that were pulled are in the archive.
    for descriptor in all.iter().filter(|d| !d.is_attestation()).take(64) {
        let path = descriptor.path()?;
        present.extend(documents(&path).map(|document| (path, document)));
    }
    several(present.len(), gaps);
    match present.into_iter().next() {
        Some((path, document)) => indexed(&path, &document, documents, gaps, depth + 1),
        None => Err(format!("{name}: none of the images it names is in the archive")),
    }
}

fn several(count: usize, gaps: &mut Gaps) {
    if count > 1 {
        gaps.add("archive", "", format!("holds {count} images; only the first one is read"));
    }
}

/// What is read of the configuration blob (OCI image specification, config.md).
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Config {
    /// `architecture`.
    pub architecture: String,
    /// `rootfs.diff_ids`.
    pub diff_ids: Vec<String>,
    /// `created_by` of the history's entries that made a layer.
    pub created_by: Vec<String>,
    /// The part that is judged.
    pub image: ImageConfig,
}

#[derive(Debug, Default, Deserialize)]
struct Blob {
    architecture: Option<String>,
    config: Option<RunConfig>,
    history: Option<Vec<History>>,
    rootfs: Option<RootFs>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RunConfig {
    user: Option<String>,
    env: Option<Vec<String>>,
    exposed_ports: Option<BTreeMap<String, IgnoredAny>>,
    volumes: Option<BTreeMap<String, IgnoredAny>>,
    healthcheck: Option<Healthcheck>,
    entrypoint: Option<Vec<String>>,
    cmd: Option<Vec<String>>,
    labels: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Healthcheck {
    test: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
struct History {
    created_by: Option<String>,
    empty_layer: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
struct RootFs {
    diff_ids: Option<Vec<String>>,
}

/// Reads the configuration blob.
pub(super) fn config(blob: &[u8]) -> Result<Config, serde_json::Error> {
    let blob: Blob = serde_json::from_slice(blob)?;
    let run = blob.config.unwrap_or_default();
    let history = blob.history.unwrap_or_default();
    let filled = history.iter().filter(|step| step.empty_layer != Some(true));
    let test = run.healthcheck.and_then(|check| check.test).unwrap_or_default();
    let mut command = run.entrypoint.unwrap_or_default();
    command.extend(run.cmd.unwrap_or_default());
    Ok(Config {
        architecture: blob.architecture.unwrap_or_default(),
        diff_ids: blob.rootfs.and_then(|rootfs| rootfs.diff_ids).unwrap_or_default(),
        created_by: filled.map(|step| step.created_by.clone().unwrap_or_default()).collect(),
        image: ImageConfig {
            user: run.user.unwrap_or_default(),
            env: run.env.unwrap_or_default(),
            ports: run.exposed_ports.unwrap_or_default().into_keys().collect(),
            volumes: run.volumes.unwrap_or_default().into_keys().collect(),
            healthcheck: test.first().is_some_and(|kind| kind != "NONE"),
            command,
            labels: run.labels.unwrap_or_default(),
            history: history.into_iter().map(|s| s.created_by.unwrap_or_default()).collect(),
        },
    })
}
