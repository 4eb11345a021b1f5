//! The build key: one digest over everything that goes into a build.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};
use url::Url;

use crate::model::manifest::{Algorithm, Resource};
use crate::model::plan::KeyParts;

/// SHA-256, hexadecimal, over `midwatch-key/1` and the fields of [`KeyParts`] in their order: a text
/// as its length in bytes (64 bits, little endian) and its bytes, a map as the number of its entries
/// and then key and value of each in the order of the keys.
pub fn key(parts: &KeyParts) -> String {
    let mut hash = Sha256::new();
    for text in
        ["midwatch-key/1", &parts.context, &parts.dockerfile, &parts.manifest, &parts.platform]
    {
        add(&mut hash, text);
    }
    for map in [&parts.args, &parts.parents, &parts.outside, &parts.inputs] {
        add_map(&mut hash, map);
    }
    hex::encode(hash.finalize())
}

fn add(hash: &mut Sha256, text: &str) {
    hash.update((text.len() as u64).to_le_bytes());
    hash.update(text.as_bytes());
}

fn add_map(hash: &mut Sha256, map: &BTreeMap<String, String>) {
    hash.update((map.len() as u64).to_le_bytes());
    for (key, value) in map {
        add(hash, key);
        add(hash, value);
    }
}

/// Name → `sha256:…`, `sha512:…`, or `unpinned:ADDRESS` of a resource that may change unseen.
pub(super) fn inputs(resources: &[Resource]) -> BTreeMap<String, String> {
    resources.iter().map(|resource| (resource.name().to_owned(), input(resource))).collect()
}

fn input(resource: &Resource) -> String {
    if let Some(checksum) = &resource.checksum {
        let algorithm = match checksum.algorithm {
            Algorithm::Sha256 => "sha256",
            Algorithm::Sha512 => "sha512",
        };
        return format!("{algorithm}:{}", checksum.hex.to_ascii_lowercase());
    }
    let address = resource.urls.first().map_or("", String::as_str);
    let pinned = address.rsplit_once('@').map(|(_, digest)| digest);
    match pinned.filter(|digest| digest.starts_with("sha256:") && digest.len() == 71) {
        Some(digest) => digest.to_owned(),
        None => format!("unpinned:{}", without_credentials(address)),
    }
}

fn without_credentials(address: &str) -> String {
    match Url::parse(address) {
        Ok(mut url) if !url.username().is_empty() || url.password().is_some() => {
            let _ = url.set_username("");
            let _ = url.set_password(None);
            url.into()
        }
        _ => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::manifest::{Checksum, ResourceKind};

    fn parts() -> KeyParts {
        let map = |k: &str, v: &str| BTreeMap::from([(k.to_owned(), v.to_owned())]);
        KeyParts {
            context: "c".into(),
            dockerfile: "d".into(),
            manifest: "m".into(),
            args: map("A", "1"),
            platform: "linux/amd64".into(),
            parents: map("p", "k"),
            outside: map("o", "sha256:1"),
            inputs: map("i", "sha256:2"),
        }
    }

    #[test]
    fn every_part_moves_the_key() {
        let base = key(&parts());
        let changes: [fn(&mut KeyParts); 8] = [
            |p| p.context.push('x'),
            |p| p.dockerfile.push('x'),
            |p| p.manifest.push('x'),
            |p| drop(p.args.insert("A".into(), "2".into())),
            |p| p.platform.clear(),
            |p| drop(p.parents.insert("p".into(), "l".into())),
            |p| drop(p.outside.insert("o".into(), String::new())),
            |p| drop(p.inputs.insert("j".into(), String::new())),
        ];
        let mut keys: Vec<String> = changes
            .map(|change| {
                let mut moved = parts();
                change(&mut moved);
                key(&moved)
            })
            .into();
        keys.push(base.clone());
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), 9);
        assert_eq!(key(&parts()), base);
        assert_eq!(base.len(), 64);
    }

    #[test]
    fn text_cannot_move_from_one_part_to_the_next() {
        let mut left = parts();
        let mut right = parts();
        (left.context, left.dockerfile) = ("ab".into(), "c".into());
        (right.context, right.dockerfile) = ("a".into(), "bc".into());
        assert_ne!(key(&left), key(&right));
        let mut moved = parts();
        moved.outside = std::mem::take(&mut moved.parents);
        assert_ne!(key(&moved), key(&parts()));
    }

    #[test]
    fn a_resource_is_a_digest_or_its_address() {
        let resource = |url: &str, checksum| Resource {
            kind: ResourceKind::File("f".into()),
            urls: vec![url.into()],
            checksum,
            auth: None,
            line: 1,
        };
        let sum = Checksum { algorithm: Algorithm::Sha512, hex: "AB".into() };
        let digest = format!("sha256:{}", "0".repeat(64));
        assert_eq!(input(&resource("https://e.org/f", Some(sum))), "sha512:ab");
        assert_eq!(input(&resource(&format!("docker://e.org/i:1@{digest}"), None)), digest);
        assert_eq!(input(&resource("https://u:p@e.org/f", None)), "unpinned:https://e.org/f");
    }
}
