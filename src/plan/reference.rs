//! Image references (grammar of the distribution project's `reference` package), read in linear time.

/// `[domain/]path[:tag][@digest]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reference<'a> {
    pub(super) domain: Option<&'a str>,
    pub(super) path: &'a str,
    pub(super) tag: Option<&'a str>,
    pub(super) digest: Option<&'a str>,
}

impl<'a> Reference<'a> {
    /// Reads a reference; `None` where it is not one.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (text, None),
        };
        let (name, tag) = match rest.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (rest, None),
        };
        let (domain, path) = split_domain(name);
        let valid = path.split('/').all(is_component)
            && tag.is_none_or(is_tag)
            && digest.is_none_or(is_digest)
            && domain.is_none_or(is_domain);
        (valid && text.len() <= 4096).then_some(Self { domain, path, tag, digest })
    }

    /// The tag that Docker takes: `latest` where none is written.
    pub(super) fn tag_or_latest(&self) -> &'a str {
        self.tag.unwrap_or("latest")
    }
}

/// The first component apart where it looks like a host, as Docker decides it.
pub(super) fn split_domain(name: &str) -> (Option<&str>, &str) {
    match name.split_once('/') {
        Some((first, rest)) if first == "localhost" || first.contains(['.', ':']) => {
            (Some(first), rest)
        }
        _ => (None, name),
    }
}

fn is_component(text: &str) -> bool {
    let alphanumeric = |c: &u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    let bytes = text.as_bytes();
    bytes.first().is_some_and(alphanumeric)
        && bytes.last().is_some_and(alphanumeric)
        && bytes.iter().all(|c| alphanumeric(c) || matches!(c, b'.' | b'_' | b'-'))
        && !["..", "._", "_.", "___", ".-", "-.", "_-", "-_"].iter().any(|pair| text.contains(pair))
}

fn is_tag(text: &str) -> bool {
    let word = |c: u8| c.is_ascii_alphanumeric() || c == b'_';
    text.len() <= 128
        && text.bytes().next().is_some_and(word)
        && text.bytes().all(|c| word(c) || c == b'.' || c == b'-')
}

fn is_digest(text: &str) -> bool {
    text.split_once(':').is_some_and(|(algorithm, hex)| {
        !algorithm.is_empty()
            && algorithm.bytes().all(|c| c.is_ascii_alphanumeric() || b"+._-".contains(&c))
            && hex.len() >= 32
            && hex.bytes().all(|c| c.is_ascii_hexdigit())
    })
}

fn is_domain(text: &str) -> bool {
    let (host, port) = text.split_once(':').unwrap_or((text, "0"));
    !host.is_empty()
        && host.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'.' || c == b'-')
        && !port.is_empty()
        && port.bytes().all(|c| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::Reference;

    #[test]
    fn splits_references() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let full = format!("registry.example.org:5000/a/b:1.0@{digest}");
        for (text, domain, path, tag) in [
            ("debian", None, "debian", None),
            ("debian:12", None, "debian", Some("12")),
            ("library/debian:12", None, "library/debian", Some("12")),
            ("docker.io/library/debian", Some("docker.io"), "library/debian", None),
            ("localhost/a:1", Some("localhost"), "a", Some("1")),
            ("localhost:5000/a", Some("localhost:5000"), "a", None),
            ("a/b__c/d--e:x_1.2-3", None, "a/b__c/d--e", Some("x_1.2-3")),
            (full.as_str(), Some("registry.example.org:5000"), "a/b", Some("1.0")),
        ] {
            let reference = Reference::parse(text).unwrap();
            assert_eq!((reference.domain, reference.path, reference.tag), (domain, path, tag));
        }
        assert_eq!(Reference::parse(&full).unwrap().digest, Some(digest.as_str()));
    }

    #[test]
    fn refuses_what_docker_refuses() {
        for text in [
            "",
            ":",
            "/a:1",
            "a:",
            "a/:1",
            "//:",
            "A:1",
            "a b",
            "a..b",
            "-a",
            "a-",
            "a@sha256:1",
            "a:.1",
            "r.example.org/",
            "a/../b",
            "é",
            "a:1:2",
            "a___b",
        ] {
            assert_eq!(Reference::parse(text), None, "{text}");
        }
    }
}
