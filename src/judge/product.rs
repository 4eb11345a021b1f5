//! Whether a product id of a statement names an image.

use super::Subject;
use super::purl::Purl;

/// What a product id names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Product {
    /// An image.
    Image(ImageId),
    /// A package, wherever it is installed.
    Package(Purl),
}

/// An image as an id names it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ImageId {
    /// The repository, with or without its host; empty where only a digest is given.
    name: String,
    /// Whether the last component of a repository is enough (`pkg:oci`).
    last_only: bool,
    repository_url: Option<String>,
    tag: Option<String>,
    digest: Option<String>,
}

impl Product {
    /// Reads `pkg:oci/…`, `pkg:docker/…`, package purls, image references, names and digests.
    pub(super) fn parse(text: &str) -> Self {
        match Purl::parse(text) {
            Some(purl) if purl.is_image() => Self::Image(ImageId::of_purl(purl)),
            Some(purl) => Self::Package(purl),
            None => Self::Image(ImageId::of_reference(text)),
        }
    }
}

impl ImageId {
    fn of_purl(purl: Purl) -> Self {
        let last_only = purl.kind == "oci" && purl.namespace.is_none();
        let name = match &purl.namespace {
            Some(namespace) => format!("{namespace}/{}", purl.name),
            None => purl.name,
        };
        let is_digest = purl.version.as_ref().is_some_and(|version| version.contains(':'));
        let (digest, version) = if is_digest { (purl.version, None) } else { (None, purl.version) };
        let url = purl.qualifiers.get("repository_url").map(|url| without_scheme(url).to_owned());
        let tag = purl.qualifiers.get("tag").cloned().or(version);
        Self { name, last_only, repository_url: url, tag, digest }
    }

    fn of_reference(text: &str) -> Self {
        let text = without_scheme(text);
        if text.starts_with("sha256:") {
            return Self { digest: Some(text.to_owned()), ..Self::default() };
        }
        let (rest, digest) = text.split_once('@').map_or((text, None), |(a, b)| (a, Some(b)));
        let (name, tag) = split_tag(rest);
        Self {
            name: name.to_owned(),
            tag: tag.map(str::to_owned),
            digest: digest.map(str::to_owned),
            ..Self::default()
        }
    }

    /// Whether it names one build or version, and not every one there will ever be.
    pub(super) fn is_pinned(&self) -> bool {
        self.tag.is_some() || self.digest.is_some()
    }

    /// Whether it names the image.
    pub(super) fn names(&self, subject: &Subject<'_>) -> bool {
        let repositories = || subject.tags.iter().map(|tag| split_tag(tag).0);
        let tag = self.tag.as_ref().is_none_or(|tag| {
            subject.tags.iter().any(|known| split_tag(known).1 == Some(tag.as_str()))
        });
        let digest = self.digest.as_ref().is_none_or(|digest| digest == subject.digest);
        let url = self.repository_url.as_deref().is_none_or(|url| {
            repositories().any(|known| known == url || self.joined(url) == known)
        });
        tag && digest && url && self.name_fits(subject.name, repositories())
    }

    fn joined(&self, url: &str) -> String {
        format!("{url}/{}", self.name)
    }

    fn name_fits<'t>(&self, name: &str, mut repositories: impl Iterator<Item = &'t str>) -> bool {
        if self.name.is_empty() {
            return self.digest.is_some();
        }
        let last = || name.rsplit('/').next() == Some(self.name.as_str());
        self.name == name
            || (self.last_only && last())
            || repositories.any(|known| {
                known == self.name
                    || known.split_once('/').is_some_and(|(_, path)| path == self.name)
            })
    }
}

fn without_scheme(text: &str) -> &str {
    let text = text.split_once("://").map_or(text, |(_, rest)| rest);
    text.trim_end_matches('/')
}

fn split_tag(reference: &str) -> (&str, Option<&str>) {
    match reference.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (reference, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_common_spelling_of_an_image() {
        let tags = [
            "reg.example.org:5000/hard/os/curl:8.1".to_owned(),
            "reg.example.org:5000/hard/os/curl:latest".to_owned(),
        ];
        let digest = format!("sha256:{}", "a".repeat(64));
        let encoded = digest.replace(':', "%3A");
        let other = format!("sha256:{}", "b".repeat(64));
        let subject = Subject { name: "os/curl", folder: "curl", tags: &tags, digest: &digest };
        for (product, expected) in [
            ("os/curl", true),
            ("os/curl:8.1", true),
            ("os/curl:8.0", false),
            ("curl", false),
            ("other/curl", false),
            ("hard/os/curl", true),
            ("reg.example.org:5000/hard/os/curl", true),
            ("reg.example.org:5000/hard/os/curl:8.1", true),
            ("docker://reg.example.org:5000/hard/os/curl:8.1", true),
            ("reg.example.org:5000/hard/os/curl:7", false),
            ("elsewhere.org/hard/os/curl:8.1", false),
            (&format!("os/curl@{digest}"), true),
            (&format!("os/curl@{other}"), false),
            (&digest, true),
            (&other, false),
            ("pkg:oci/curl", true),
            ("pkg:oci/wget", false),
            (&format!("pkg:oci/curl@{encoded}"), true),
            (&format!("pkg:oci/curl@{digest}"), true),
            (&format!("pkg:oci/curl@{other}"), false),
            ("pkg:oci/curl?repository_url=reg.example.org:5000/hard/os/curl", true),
            ("pkg:oci/curl?repository_url=reg.example.org:5000/hard/os&tag=8.1", true),
            ("pkg:oci/curl?repository_url=reg.example.org%3A5000%2Fhard%2Fos&tag=8.1", true),
            ("pkg:oci/curl?repository_url=elsewhere.org/hard/os/curl", false),
            ("pkg:oci/curl?tag=8.0", false),
            ("pkg:docker/os/curl@8.1", true),
            ("pkg:docker/os/curl@8.0", false),
            ("pkg:docker/curl@8.1", false),
            ("pkg:docker/os/curl@8.1?repository_url=reg.example.org:5000/hard", true),
            ("pkg:docker/os/curl@8.1?repository_url=elsewhere.org", false),
            ("", false),
        ] {
            let Product::Image(id) = Product::parse(product) else { panic!("{product}") };
            assert_eq!(id.names(&subject), expected, "{product}");
        }
        assert!(matches!(Product::parse("pkg:deb/debian/curl"), Product::Package(_)));
    }
}
