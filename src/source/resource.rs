//! Declared resources of a manifest: five shapes, each a file or an image.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use ::regex::Regex;

use super::findings::{Findings, entry, shown};
use super::manifest::regex;
use super::yaml::{Key, Node};
use crate::model::manifest::{Algorithm, Auth, Checksum, Resource, ResourceKind};

const KEYS: [&str; 6] = ["url", "urls", "filename", "tag", "validation", "auth"];
/// Most resources of one manifest.
const MAX: usize = 1000;
/// The factory's own registry: an image from there is a base, not a resource.
const OWN_REGISTRY: &str = "registry1.dso.mil";

/// `name[:tag][@digest]` as the daemon takes it.
static REFERENCE: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"^[A-Za-z0-9](?:(?:[A-Za-z0-9._/-]|:[0-9]+/)*[A-Za-z0-9])?(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@sha(?:256|512):[0-9a-f]{64,128})?$",
    )
});

/// Where a resource comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Http,
    S3,
    Image,
}

/// Reads `resources`.
pub(super) fn read(node: &Node, found: &mut Findings) -> Vec<Resource> {
    let items = found.list("resources", node);
    if items.len() > MAX {
        let message = format!("{} resources, at most {MAX} are read", items.len());
        found.hard(node.line, "manifest.resources.count", message, "pack small files together");
    }
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut resources = Vec::new();
    for (at, item) in items.iter().take(MAX).enumerate() {
        let Some(entries) = found.map(&format!("resources[{at}]"), item) else { continue };
        let Some(resource) = one(item.line, entries, found) else { continue };
        if let Some(first) = seen.insert(resource.name().to_owned(), item.line) {
            let name = shown(resource.name());
            let message = format!("`{name}` is declared already on line {first}");
            found.hard(item.line, "manifest.resources.unique", message, "rename or remove one");
        }
        resources.push(resource);
    }
    resources
}

fn one(line: usize, entries: &[(Key, Node)], found: &mut Findings) -> Option<Resource> {
    found.unknown("resources", entries, &KEYS);
    let urls = addresses(line, entries, found);
    let shape = shape(urls.first()?);
    if urls.iter().any(|(_, url)| host(url).eq_ignore_ascii_case(OWN_REGISTRY)) {
        let help = "use it as BASE_IMAGE, or as a stage `FROM ${BASE_REGISTRY}/…`";
        let message = format!("the resource points back at {OWN_REGISTRY}");
        found.hard(line, "manifest.resources.own-registry", message, help);
    }
    let kind = match shape {
        Shape::Image => ResourceKind::Image(tag(line, entries, found)?),
        _ => ResourceKind::File(filename(line, entries, found)?),
    };
    let checksum = match (shape, entry(entries, "validation")) {
        (Shape::Image, None) => {
            pinned(line, &urls, found);
            None
        }
        (_, None) => {
            let message = format!(
                "`{}` has no checksum: its content may change unseen",
                shown(kind_name(&kind))
            );
            let help = "add `validation` with `type: sha256` and its `value`";
            found.soft(line, "manifest.resources.validation", message, help);
            None
        }
        (_, Some((_, node))) => validation(node, found),
    };
    let auth = entry(entries, "auth").and_then(|(_, node)| auth(shape, node, found));
    let urls = urls.into_iter().map(|(_, url)| url).collect();
    Some(Resource { kind, urls, checksum, auth, line })
}

fn kind_name(kind: &ResourceKind) -> &str {
    match kind {
        ResourceKind::File(name) | ResourceKind::Image(name) => name,
    }
}

/// The addresses of `url` or `urls`, the unusable ones reported and left out.
fn addresses(line: usize, entries: &[(Key, Node)], found: &mut Findings) -> Vec<(usize, String)> {
    let (one, many) = (entry(entries, "url"), entry(entries, "urls"));
    let mut nodes: Vec<&Node> = Vec::new();
    match (one, many) {
        (Some(_), Some((key, _))) => {
            let help = "keep `urls` alone; they are tried in order";
            found.hard(
                key.line,
                "manifest.resources.shape",
                "a resource has both `url` and `urls`",
                help,
            );
        }
        (None, None) => {
            let help = "say where the resource comes from";
            found.hard(
                line,
                "manifest.resources.shape",
                "a resource has neither `url` nor `urls`",
                help,
            );
        }
        (Some((_, node)), None) => nodes.push(node),
        (None, Some((key, node))) => {
            nodes.extend(found.list("resources.urls", node));
            if nodes.is_empty() {
                found.hard(
                    key.line,
                    "manifest.resources.shape",
                    "`urls` names no address",
                    "name at least one",
                );
            }
        }
    }
    let mirrors = many.is_some();
    nodes.truncate(20);
    let mut kept = Vec::new();
    for node in nodes {
        if let Some(text) = found.text("resources.url", node)
            && address(node.line, text, mirrors, found)
        {
            kept.push((node.line, text.to_owned()));
        }
    }
    kept
}

fn shape(first: &(usize, String)) -> Shape {
    let url = &first.1;
    if url.starts_with("http://") || url.starts_with("https://") {
        Shape::Http
    } else if url.starts_with("s3://") {
        Shape::S3
    } else {
        Shape::Image
    }
}

/// The host of an address, without port.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    host.split(':').next().unwrap_or_default()
}

/// Whether the address may be used.
fn address(line: usize, text: &str, mirrors: bool, found: &mut Findings) -> bool {
    let bad = |found: &mut Findings, message: String| {
        let help = "use https://, s3://, docker://, ghcr.io/… or docker.pkg.github.com/…";
        found.hard(line, "manifest.resources.url", message, help);
        false
    };
    if text.len() > 4096 || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return bad(found, format!("`{}` is not an address", shown(text)));
    }
    if let Some(reference) = image(text) {
        if mirrors || !REFERENCE.is_match(reference) {
            return bad(
                found,
                format!(
                    "`{}` is not the address of a {}",
                    shown(text),
                    if mirrors { "file" } else { "image" }
                ),
            );
        }
        return true;
    }
    match url::Url::parse(text) {
        Ok(url)
            if matches!(url.scheme(), "http" | "https") || (url.scheme() == "s3" && !mirrors) =>
        {
            if url.password().is_some() || !url.username().is_empty() {
                let help = "remove it, and name credentials by `auth`";
                found.hard(
                    line,
                    "manifest.resources.secret",
                    "an address holds a user or password",
                    help,
                );
            }
            url.host_str().is_some_and(|host| !host.is_empty())
                || bad(found, format!("`{}` names no host", shown(text)))
        }
        _ => bad(found, format!("`{}` is not an address that can be fetched", shown(text))),
    }
}

/// The reference of an image's address.
fn image(text: &str) -> Option<&str> {
    let hosted = text.starts_with("ghcr.io/") || text.starts_with("docker.pkg.github.com/");
    text.strip_prefix("docker://").or_else(|| hosted.then_some(text))
}

fn pinned(line: usize, urls: &[(usize, String)], found: &mut Findings) {
    if urls.iter().any(|(_, url)| !url.contains("@sha")) {
        let help = "append `@sha256:…` to the address";
        let message = "an image without digest: its content may change unseen";
        found.soft(line, "manifest.resources.validation", message, help);
    }
}

fn tag(line: usize, entries: &[(Key, Node)], found: &mut Findings) -> Option<String> {
    let Some((_, node)) = entry(entries, "tag") else {
        let help = "add `tag: name:tag` as the Dockerfile names the image";
        found.hard(line, "manifest.resources.tag", "an image resource has no `tag`", help);
        return None;
    };
    let text = found.text("resources.tag", node)?;
    if text.contains('@') || !REFERENCE.is_match(text) {
        let message = format!("`{}` is not a name:tag", shown(text));
        found.hard(node.line, "manifest.resources.tag", message, "write it as `name:tag`");
    }
    Some(text.to_owned())
}

fn filename(line: usize, entries: &[(Key, Node)], found: &mut Findings) -> Option<String> {
    let Some((_, node)) = entry(entries, "filename") else {
        let help = "add `filename:` as the Dockerfile's COPY names it";
        found.hard(line, "manifest.resources.filename", "a file resource has no `filename`", help);
        return None;
    };
    let text = found.text("resources.filename", node)?;
    let special = matches!(
        text,
        "" | "." | ".." | "Dockerfile" | ".dockerignore" | "Dockerfile.dockerignore"
    );
    if special
        || text.len() > 255
        || text.contains(['/', '\\'])
        || text.chars().any(char::is_control)
    {
        let message = format!("`{}` cannot be the name of a resource", shown(text));
        found.hard(
            node.line,
            "manifest.resources.filename",
            message,
            "write a plain file name without `/`",
        );
        return None;
    }
    Some(text.to_owned())
}

fn validation(node: &Node, found: &mut Findings) -> Option<Checksum> {
    let entries = found.map("validation", node)?;
    found.unknown("validation", entries, &["type", "value"]);
    let mut text = |name: &str| match entry(entries, name) {
        Some((_, value)) => found.text(&format!("validation.{name}"), value),
        None => {
            let message = format!("`validation.{name}` is missing");
            found.hard(
                node.line,
                "manifest.resources.checksum",
                message,
                "give `type` and `value`",
            );
            None
        }
    };
    let (kind, value) = (text("type"), text("value"));
    let algorithm = match kind? {
        "sha256" => Algorithm::Sha256,
        "sha512" => Algorithm::Sha512,
        other => {
            let message = format!("checksums of type `{}` are not taken", shown(other));
            found.hard(node.line, "manifest.resources.checksum", message, "use sha256 or sha512");
            return None;
        }
    };
    let (hex, digits) =
        (value?.to_ascii_lowercase(), if algorithm == Algorithm::Sha256 { 64 } else { 128 });
    if hex.len() != digits || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        let message = format!("`{}` is not {digits} hexadecimal digits", shown(&hex));
        let help = "copy the output of sha256sum or sha512sum";
        found.hard(node.line, "manifest.resources.checksum", message, help);
        return None;
    }
    Some(Checksum { algorithm, hex })
}

fn auth(shape: Shape, node: &Node, found: &mut Findings) -> Option<Auth> {
    let entries = found.map("auth", node)?;
    found.unknown("auth", entries, &["id", "region", "type"]);
    let mut text = |name: &str| {
        let (_, value) = entry(entries, name)?;
        found.text(&format!("auth.{name}"), value).map(str::to_owned)
    };
    let (id, region, kind) = (text("id"), text("region"), text("type"));
    let mut bad = |message: String, help: &str| {
        found.hard(node.line, "manifest.resources.auth", message, help)
    };
    if id.as_ref().is_none_or(|id| id.trim().is_empty()) {
        bad(
            "`auth.id` is missing".into(),
            "name the credential of the pipeline's build.credentials",
        );
    }
    let (kinds, default): (&[&str], _) = match shape {
        Shape::S3 => (&["s3", "aws"], "s3"),
        _ => (&["basic"], "basic"),
    };
    let kind = kind.unwrap_or_else(|| default.into());
    if !kinds.contains(&kind.as_str()) {
        bad(format!("`auth.type` is `{}`", shown(&kind)), &format!("write {}", kinds.join(" or ")));
    }
    if shape == Shape::S3 && region.is_none() {
        bad("`auth.region` is missing".into(), "name the bucket's region");
    }
    Some(Auth { id: id?, kind, region })
}
