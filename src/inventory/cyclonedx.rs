//! The inventory as a software bill of materials in CycloneDX 1.6 (ECMA-424) JSON.

use std::collections::HashSet;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_cyclonedx::cyclonedx::v_1_6::{
    Component, ComponentBuilder, CycloneDxBuilder, License, LicenseChoiceUrl,
    LicenseChoiceUrlVariant0ItemUrl, LicenseChoiceUrlVariant1ItemLicense, Metadata, MetadataTools,
    MetadataToolsVariant0, Property,
};
use serde_json::Value;

use crate::model::inventory::{Inventory, Os, Package};

use super::{Error, purl};

const SCHEMA: &str = "http://cyclonedx.org/schema/bom-1.6.schema.json";

/// SPDX identifiers that packages use; the schema refuses an unknown one as an `id`.
const SPDX: [&str; 43] = [
    "0BSD",
    "AFL-2.1",
    "AGPL-3.0-only",
    "AGPL-3.0-or-later",
    "Apache-1.1",
    "Apache-2.0",
    "Artistic-1.0",
    "Artistic-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "BlueOak-1.0.0",
    "CC-BY-3.0",
    "CC-BY-4.0",
    "CC0-1.0",
    "CDDL-1.0",
    "EPL-1.0",
    "EPL-2.0",
    "GPL-2.0",
    "GPL-2.0-only",
    "GPL-2.0-or-later",
    "GPL-3.0",
    "GPL-3.0-only",
    "GPL-3.0-or-later",
    "HPND",
    "ISC",
    "LGPL-2.1",
    "LGPL-2.1-only",
    "LGPL-2.1-or-later",
    "LGPL-3.0",
    "LGPL-3.0-only",
    "LGPL-3.0-or-later",
    "MIT",
    "MIT-0",
    "MIT-CMU",
    "MPL-1.1",
    "MPL-2.0",
    "OFL-1.1",
    "PSF-2.0",
    "Python-2.0",
    "Unlicense",
    "WTFPL",
    "Zlib",
];

/// What a bill says of itself.
#[derive(Debug, Clone)]
pub struct SbomMeta {
    /// The image's name or its whole reference, `registry/path/name:tag`.
    pub name: String,
    /// Its tag or version; where empty, the name's tag.
    pub version: String,
    /// When the bill was written.
    pub timestamp: DateTime<Utc>,
    /// `urn:uuid:…`, new for each bill.
    pub serial: String,
    /// The version of midwatch.
    pub tool_version: String,
}

/// The bill of materials; components in the order of the inventory, what is not covered as
/// properties `midwatch:gap`. Fails only where the format refuses a component.
pub fn cyclonedx(inventory: &Inventory, meta: &SbomMeta) -> Result<Value, Error> {
    let mut components = Vec::new();
    components.extend(inventory.os.as_ref().map(system).transpose()?);
    let mut seen = HashSet::new();
    for package in &inventory.packages {
        components.push(library(package, &mut seen)?);
    }
    let bom = CycloneDxBuilder::default()
        .schema(SCHEMA)
        .bom_format("CycloneDX")
        .spec_version("1.6")
        .serial_number(meta.serial.as_str())
        .version(1)
        .metadata(metadata(inventory, meta)?)
        .components(components)
        .build()
        .map_err(|e| Error::Sbom(e.to_string()))?;
    serde_json::to_value(bom).map_err(|e| Error::Sbom(e.to_string()))
}

fn metadata(inventory: &Inventory, meta: &SbomMeta) -> Result<Metadata, Error> {
    let mut tool = start("application", "midwatch");
    tool.version(meta.tool_version.as_str());
    let gap = |gap: &crate::model::inventory::Gap| {
        property("gap", &format!("{}: {}: {}", gap.kind, gap.path, gap.reason))
    };
    Ok(Metadata {
        timestamp: Some(meta.timestamp.to_rfc3339_opts(SecondsFormat::Secs, true)),
        tools: Some(MetadataTools::Variant0(MetadataToolsVariant0 {
            components: Some(vec![build(&tool)?]),
            services: None,
        })),
        component: Some(container(inventory, meta)?),
        properties: some(inventory.gaps.iter().map(gap).collect()),
        ..Metadata::default()
    })
}

fn container(inventory: &Inventory, meta: &SbomMeta) -> Result<Component, Error> {
    let mut component = start("container", &meta.name);
    component.bom_ref("image");
    let (repository, tag) = split(&meta.name);
    let tag = if meta.version.is_empty() { tag } else { &meta.version };
    if !tag.is_empty() {
        component.version(tag);
    }
    if !inventory.digest.is_empty() {
        let name = repository.rsplit('/').next().unwrap_or(repository).to_lowercase();
        let place = if is_hosted(repository) { repository } else { "" };
        let qualifiers =
            [("arch", inventory.architecture.as_str()), ("repository_url", place), ("tag", tag)];
        component.purl(purl::of("oci", "", &name, &inventory.digest, &qualifiers));
    }
    let layers = inventory.layers.iter().filter(|layer| !layer.digest.is_empty());
    if let Some(layers) = some(layers.map(|layer| property("layer", &layer.digest)).collect()) {
        component.properties(layers);
    }
    build(&component)
}

/// A reference's repository and its tag, empty where there is none; a digest is left out.
fn split(reference: &str) -> (&str, &str) {
    let name = reference.split_once('@').map_or(reference, |(name, _)| name);
    match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, tag),
        _ => (name, ""),
    }
}

/// Whether a repository names its registry; only then is it a place to fetch from.
fn is_hosted(repository: &str) -> bool {
    repository.split_once('/').is_some_and(|(host, _)| {
        host == "localhost"
            || (host.starts_with(|c: char| c.is_ascii_alphanumeric()) && host.contains(['.', ':']))
    })
}

fn system(os: &Os) -> Result<Component, Error> {
    let mut component = start("operating-system", &os.id);
    component.bom_ref(format!("os:{}-{}", os.id, os.version));
    if !os.version.is_empty() {
        component.version(os.version.as_str());
    }
    if !os.pretty.is_empty() {
        component.description(os.pretty.as_str());
    }
    build(&component)
}

fn library(package: &Package, seen: &mut HashSet<String>) -> Result<Component, Error> {
    let mut component = start("library", &package.name);
    component.version(package.version.as_str()).purl(package.purl.as_str());
    component.bom_ref(reference(package, seen));
    if let Some(licences) = licences(&package.licences) {
        component.licenses(licences);
    }
    let source = package.source.as_ref().map(|s| format!("{} {}", s.name, s.version));
    let properties = [
        ("ecosystem", Some(package.ecosystem.as_str())),
        ("layer", Some(package.layer.as_str())),
        ("path", Some(package.path.as_str())),
        ("source", source.as_deref()),
        ("owner", package.owner.as_deref()),
    ];
    let given = |(name, value): (&str, Option<&str>)| {
        value.filter(|value| !value.is_empty()).map(|value| property(name, value))
    };
    component.properties(properties.into_iter().filter_map(given).collect::<Vec<_>>());
    build(&component)
}

/// The purl, as long as it is the first of its kind; then with its path, then with a number.
fn reference(package: &Package, seen: &mut HashSet<String>) -> String {
    let mut reference = package.purl.clone();
    if seen.contains(&reference) {
        reference = format!("{}|{}", package.purl, package.path);
    }
    while !seen.insert(reference.clone()) {
        reference = format!("{}|{}|{}", package.purl, package.path, seen.len());
    }
    reference
}

/// SPDX ids as ids, one SPDX expression as such, anything else by name.
fn licences(licences: &[String]) -> Option<LicenseChoiceUrl> {
    if let [single] = licences
        && is_expression(single)
    {
        let expression = LicenseChoiceUrlVariant1ItemLicense {
            acknowledgement: None,
            bom_ref: None,
            expression: single.clone(),
        };
        return Some(LicenseChoiceUrl::Variant1(vec![expression]));
    }
    let item = |licence: &String| {
        let known = SPDX.contains(&licence.as_str());
        let (id, name) = (known.then(|| licence.clone()), (!known).then(|| licence.clone()));
        LicenseChoiceUrlVariant0ItemUrl { license: License { id, name, ..License::default() } }
    };
    some(licences.iter().map(item).collect()).map(LicenseChoiceUrl::Variant0)
}

/// Known ids, alternating with `AND` and `OR` (SPDX specification, annex D), without brackets.
fn is_expression(licence: &str) -> bool {
    let words: Vec<&str> = licence.split(' ').collect();
    let fits = |(i, word): (usize, &&str)| match i % 2 {
        0 => SPDX.contains(word),
        _ => matches!(*word, "AND" | "OR"),
    };
    words.len() >= 3 && words.len() % 2 == 1 && words.iter().enumerate().all(fits)
}

fn start(kind: &str, name: &str) -> ComponentBuilder {
    let mut component = ComponentBuilder::default();
    component.type_(kind).name(name);
    component
}

fn build(component: &ComponentBuilder) -> Result<Component, Error> {
    component.build().map_err(|e| Error::Sbom(e.to_string()))
}

fn property(name: &str, value: &str) -> Property {
    Property { name: format!("midwatch:{name}"), value: Some(value.to_owned()) }
}

fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_images_purl_splits_its_reference() {
        let mut inventory = Inventory { digest: "sha256:ab".into(), ..Inventory::default() };
        inventory.architecture = "amd64".into();
        for (name, version, expected) in [
            ("os/Curl", "8.1", "curl@sha256%3Aab?arch=amd64&tag=8.1"),
            ("debian:12", "", "debian@sha256%3Aab?arch=amd64&tag=12"),
            (
                "reg.example.org:5000/hard/curl:8.1",
                "",
                "curl@sha256%3Aab?arch=amd64&repository_url=reg.example.org%3A5000%2Fhard%2Fcurl&tag=8.1",
            ),
            (
                "localhost/curl@sha256:cd",
                "",
                "curl@sha256%3Aab?arch=amd64&repository_url=localhost%2Fcurl",
            ),
            ("localhost:5000/curl", "2", {
                "curl@sha256%3Aab?arch=amd64&repository_url=localhost%3A5000%2Fcurl&tag=2"
            }),
            ("./out/image.tar", "", "image.tar@sha256%3Aab?arch=amd64"),
        ] {
            let meta = SbomMeta {
                name: name.into(),
                version: version.into(),
                timestamp: DateTime::UNIX_EPOCH,
                serial: String::new(),
                tool_version: "0".into(),
            };
            let purl = container(&inventory, &meta).unwrap().purl.unwrap();
            assert_eq!(purl, format!("pkg:oci/{expected}"), "{name}");
        }
    }
}
