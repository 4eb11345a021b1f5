//! `hardening_manifest.yaml`, apiVersion `v1`, after validation.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A valid manifest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Registry path without the domain; unique in a repository.
    pub name: String,
    /// 1 to 10 tags; the first one is the published version.
    pub tags: Vec<String>,
    /// Build arguments, `BASE_IMAGE` and `BASE_TAG` among them.
    pub args: BTreeMap<String, String>,
    /// `x86`, `arm64`; empty where not given.
    pub architecture: Vec<String>,
    /// Labels to set on the image.
    pub labels: BTreeMap<String, String>,
    /// Files and images the build needs from outside.
    pub resources: Vec<Resource>,
    /// At least one.
    pub maintainers: Vec<Person>,
    /// The vendor's contacts.
    pub partner_advocates: Vec<Person>,
}

impl Manifest {
    /// The base as written: `(BASE_IMAGE, BASE_TAG)`; `None` where both are empty.
    pub fn base(&self) -> Option<(&str, &str)> {
        let of = |key: &str| self.args.get(key).map_or("", String::as_str);
        let (image, tag) = (of("BASE_IMAGE"), of("BASE_TAG"));
        (!image.is_empty()).then_some((image, tag))
    }
}

/// A maintainer or partner advocate.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// The person's name; empty under the relaxed schema.
    pub name: String,
    /// The account's name; empty under the relaxed schema.
    pub username: String,
    /// Where the morning mail goes.
    pub email: Option<String>,
}

/// A declared resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    /// A file in the context or an image of the daemon.
    pub kind: ResourceKind,
    /// Where it may be had, tried in order.
    pub urls: Vec<String>,
    /// Its checksum; a resource without one is mutable.
    pub checksum: Option<Checksum>,
    /// Credentials by id.
    pub auth: Option<Auth>,
    /// The line of the manifest where it begins.
    pub line: usize,
}

/// What a resource becomes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ResourceKind {
    /// A file of this name at the root of the context.
    File(String),
    /// An image under this `name:tag`.
    Image(String),
}

impl Resource {
    /// The file name or the image's `name:tag`.
    pub fn name(&self) -> &str {
        match &self.kind {
            ResourceKind::File(name) | ResourceKind::Image(name) => name,
        }
    }
}

/// A checksum as written, lower-case hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checksum {
    /// The hash function.
    pub algorithm: Algorithm,
    /// 64 or 128 digits.
    pub hex: String,
}

/// Hash functions of `validation.type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
}

/// Credentials that a resource names; the values come from the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Auth {
    /// The credential's id.
    pub id: String,
    /// `basic`, `s3` or `aws`.
    pub kind: String,
    /// The region of an S3 bucket.
    pub region: Option<String>,
}
