//! The rules of `hardening_manifest.yaml`, apiVersion `v1`, strict and relaxed schema.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;

use super::findings::{Findings, entry, shown};
use super::yaml::{self, Key, Node, Value};
use super::{people, resource};
use crate::model::manifest::Manifest;
use crate::model::pipeline::Schema;
use crate::model::source::{Level, Violation};

/// The name that the file must have.
pub(super) const FILE: &str = "hardening_manifest.yaml";
/// Most bytes that are read.
pub(super) const MAX_BYTES: u64 = 1 << 20;

const TOP: [&str; 9] = [
    "apiVersion",
    "name",
    "tags",
    "args",
    "architecture",
    "labels",
    "resources",
    "maintainers",
    "partner_advocates",
];
const REQUIRED: [&str; 6] = ["apiVersion", "name", "tags", "args", "labels", "maintainers"];
const OCI: &str = "org.opencontainers.image.";
const REQUIRED_LABELS: [&str; 5] = ["title", "description", "licenses", "vendor", "version"];
const KEYWORDS: &str = "mil.dso.ironbank.image.keywords";
const TYPE: &str = "mil.dso.ironbank.image.type";
const PRODUCT: &str = "mil.dso.ironbank.product.name";

/// Path components of an image name (distribution's reference grammar, without a domain).
static NAME: LazyLock<Regex> = LazyLock::new(|| {
    regex(r"^[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*$")
});
static TAG: LazyLock<Regex> = LazyLock::new(|| regex(r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$"));
static ARG: LazyLock<Regex> = LazyLock::new(|| regex(r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"));

/// A constant pattern; the tests compile each.
#[allow(clippy::unwrap_used)]
pub(super) fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).unwrap()
}

/// What the settings of a pipeline say about manifests.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settings<'a> {
    pub schema: Schema,
    pub allowed_labels: Option<&'a Regex>,
}

impl Settings<'_> {
    /// The level of what only the strict schema asks for; `None` where it does not matter.
    pub fn strict_only(&self) -> Option<Level> {
        match self.schema {
            Schema::Strict => Some(Level::Hard),
            Schema::Auto => Some(Level::Soft),
            Schema::Relaxed => None,
        }
    }
}

/// What could be read of a manifest.
#[derive(Debug, Default)]
pub(super) struct Reading {
    /// As far as it is well-formed; valid where no violation is hard.
    pub manifest: Manifest,
    /// The line of `name`, 0 where there is none.
    pub name_line: usize,
    /// All broken rules.
    pub violations: Vec<Violation>,
}

/// Reads the manifest `bytes` of `file`.
pub(super) fn read(file: &str, bytes: &[u8], settings: Settings<'_>) -> Reading {
    let mut found = Findings::of(file);
    let mut reading = Reading::default();
    if let Some(root) = root(bytes, &mut found)
        && let Some(entries) = found.map("manifest", &root)
    {
        check(entries, settings, &mut reading, &mut found);
    }
    reading.violations = found.list;
    reading
}

fn root(bytes: &[u8], found: &mut Findings) -> Option<Node> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let line =
                bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
            found.hard(line, "manifest.encoding", "the file is not UTF-8", "save it as UTF-8");
            return None;
        }
    };
    match yaml::parse(text) {
        Ok(node) => Some(node),
        Err(failure) if failure.budget => {
            let message = format!("the file unfolds beyond all bounds: {}", failure.message);
            found.hard(
                failure.line,
                "manifest.yaml.bomb",
                message,
                "write the values out, without nested anchors",
            );
            None
        }
        Err(failure) => {
            let help = "mend the YAML; the indentation or a missing quote is the usual cause";
            found.hard(failure.line, "manifest.yaml.syntax", failure.message, help);
            None
        }
    }
}

fn check(
    entries: &[(Key, Node)],
    settings: Settings<'_>,
    reading: &mut Reading,
    found: &mut Findings,
) {
    found.unknown("manifest", entries, &TOP);
    for key in REQUIRED {
        if entry(entries, key).is_none() {
            found.hard(
                1,
                "manifest.required",
                format!("`{key}` is missing"),
                format!("add `{key}:`"),
            );
        }
    }
    let manifest = &mut reading.manifest;
    for (key, node) in entries {
        match key.name.as_str() {
            "apiVersion" => api_version(node, found),
            "name" => {
                reading.name_line = node.line;
                manifest.name = name(node, found).unwrap_or_default();
            }
            "tags" => manifest.tags = tags(node, found),
            "args" => args(key, node, manifest, found),
            "architecture" => manifest.architecture = architecture(node, found),
            "labels" => labels(key, node, settings, manifest, found),
            "resources" => manifest.resources = resource::read(node, found),
            "maintainers" => manifest.maintainers = people::maintainers(node, settings, found),
            "partner_advocates" => manifest.partner_advocates = people::advocates(node, found),
            _ => {}
        }
    }
}

fn api_version(node: &Node, found: &mut Findings) {
    if let Some(text) = found.text("apiVersion", node)
        && text != "v1"
    {
        let message = format!("apiVersion `{}` is not known", shown(text));
        found.hard(node.line, "manifest.api-version", message, "write `apiVersion: v1`");
    }
}

fn name(node: &Node, found: &mut Findings) -> Option<String> {
    let text = found.text("name", node)?;
    let domain = text.split_once('/').map(|(first, _)| first);
    if domain.is_some_and(|first| first.contains(['.', ':']) || first == "localhost") {
        let message = format!("`{}` begins with a registry's domain", shown(text));
        found.hard(
            node.line,
            "manifest.name.domain",
            message,
            "write only the path, such as `opensource/nginx`",
        );
    } else if text.len() > 200 || !NAME.is_match(text) {
        let message = format!("`{}` is not an image name", shown(text));
        let help =
            "lower-case letters and digits, parts divided by `/`, single `.`, `_`, `-` inside";
        found.hard(node.line, "manifest.name.grammar", message, help);
    }
    Some(text.to_owned())
}

fn tags(node: &Node, found: &mut Findings) -> Vec<String> {
    let items = found.list("tags", node);
    if matches!(node.value, Value::List(_)) && !(1..=10).contains(&items.len()) {
        let message = format!("{} tags, 1 to 10 are allowed", items.len());
        found.hard(
            node.line,
            "manifest.tags.count",
            message,
            "keep the version first and at most nine more",
        );
    }
    let mut tags: Vec<String> = Vec::new();
    for (at, item) in items.iter().enumerate() {
        let Some(text) = found.text(&format!("tags[{at}]"), item) else { continue };
        if at == 0 && text == "latest" {
            let help = "put the version first: it is the published one";
            found.hard(item.line, "manifest.tags.latest-first", "the first tag is `latest`", help);
        }
        if !TAG.is_match(text) {
            let message = format!("`{}` is not a tag", shown(text));
            let help = "letters, digits, `_`, `.`, `-`; not beginning with `.` or `-`; at most 128";
            found.hard(item.line, "manifest.tags.grammar", message, help);
        }
        if tags.iter().any(|tag| tag == text) {
            let message = format!("tag `{}` stands twice", shown(text));
            found.hard(item.line, "manifest.tags.unique", message, "remove one of them");
        }
        tags.push(text.to_owned());
    }
    tags
}

fn args(key: &Key, node: &Node, manifest: &mut Manifest, found: &mut Findings) {
    let Some(entries) = found.map("args", node) else { return };
    for (rule, name) in [("base-image", "BASE_IMAGE"), ("base-tag", "BASE_TAG")] {
        if entry(entries, name).is_none() {
            let help = format!("add `{name}: \"\"` for `FROM scratch`, else the base's");
            found.hard(
                key.line,
                &format!("manifest.args.{rule}"),
                format!("`args.{name}` is missing"),
                help,
            );
        }
    }
    for (key, node) in entries {
        arg(key, node, manifest, found);
    }
    let empty = |name: &str| manifest.args.get(name).is_none_or(String::is_empty);
    if empty("BASE_IMAGE") != empty("BASE_TAG") && manifest.args.contains_key("BASE_TAG") {
        let help = "give both, or leave both empty for `FROM scratch`";
        let message = "only one of BASE_IMAGE and BASE_TAG has a value";
        found.soft(key.line, "manifest.args.half-base", message, help);
    }
}

fn arg(key: &Key, node: &Node, manifest: &mut Manifest, found: &mut Findings) {
    if key.name.eq_ignore_ascii_case("BASE_REGISTRY") {
        let help = "remove it: the pipeline sets the registry";
        let message = format!("`args.{}` is not allowed", key.name);
        found.hard(key.line, "manifest.args.base-registry", message, help);
        return;
    }
    if !ARG.is_match(&key.name) {
        let message = format!("`{}` is not a name of an argument", shown(&key.name));
        let help = "letters, digits, `_`, `.`, `-`, beginning with a letter or digit";
        found.hard(key.line, "manifest.args.name", message, help);
    }
    let Some(text) = found.text(&format!("args.{}", shown(&key.name)), node) else { return };
    if text.chars().any(char::is_control) {
        let message = format!("the value of `args.{}` is not one printable line", shown(&key.name));
        found.hard(
            node.line,
            "manifest.args.value",
            message,
            "write it without line breaks and control characters",
        );
    }
    manifest.args.insert(key.name.clone(), text.to_owned());
}

fn architecture(node: &Node, found: &mut Findings) -> Vec<String> {
    let items = found.list("architecture", node);
    if matches!(node.value, Value::List(_)) && items.is_empty() {
        let help = "name `x86` or `arm64`, or remove the key";
        found.hard(node.line, "manifest.architecture.count", "`architecture` is empty", help);
    }
    let mut seen = Vec::new();
    for item in items {
        let Some(text) = found.text("architecture", item) else { continue };
        if !["x86", "arm64"].contains(&text) {
            let message = format!("architecture `{}` is not known", shown(text));
            found.hard(item.line, "manifest.architecture.value", message, "write `x86` or `arm64`");
        }
        if seen.iter().any(|known| known == text) {
            let message = format!("architecture `{}` stands twice", shown(text));
            found.hard(item.line, "manifest.architecture.unique", message, "remove one of them");
        }
        seen.push(text.to_owned());
    }
    seen
}

fn labels(
    key: &Key,
    node: &Node,
    settings: Settings<'_>,
    manifest: &mut Manifest,
    found: &mut Findings,
) {
    let Some(entries) = found.map("labels", node) else { return };
    for name in REQUIRED_LABELS {
        if entry(entries, &format!("{OCI}{name}")).is_none() {
            let message = format!("label `{OCI}{name}` is missing");
            found.hard(
                key.line,
                "manifest.labels.required",
                message,
                format!("add `{OCI}{name}:`"),
            );
        }
    }
    for name in [KEYWORDS, TYPE, PRODUCT] {
        if settings.schema == Schema::Strict && entry(entries, name).is_none() {
            let message = format!("label `{name}` is missing");
            found.soft(key.line, "manifest.labels.recommended", message, format!("add `{name}:`"));
        }
    }
    let known: BTreeSet<String> = REQUIRED_LABELS
        .iter()
        .chain(&["url"])
        .map(|name| format!("{OCI}{name}"))
        .chain([KEYWORDS, TYPE, PRODUCT].map(str::to_owned))
        .collect();
    for (key, node) in entries {
        let allowed = settings.allowed_labels.is_some_and(|allowed| allowed.is_match(&key.name));
        if !known.contains(&key.name) && !allowed {
            let message = format!("label `{}` is not allowed", shown(&key.name));
            let help = "remove it, or admit it by source.allowed-labels of the pipeline";
            found.hard(key.line, "manifest.labels.unknown", message, help);
        }
        if let Some(text) = found.text(&format!("labels.{}", shown(&key.name)), node) {
            label(&key.name, text, node.line, found);
            manifest.labels.insert(key.name.clone(), text.to_owned());
        }
    }
}

fn label(name: &str, text: &str, line: usize, found: &mut Findings) {
    fixme(&format!("labels.{}", shown(name)), text, line, found);
    if name == TYPE && !["opensource", "commercial"].contains(&text) {
        let message = format!("`{TYPE}` is `{}`", shown(text));
        found.hard(line, "manifest.labels.type", message, "write `opensource` or `commercial`");
    }
    if name == format!("{OCI}licenses") && text.chars().count() > 255 {
        let help = "name the licences by their SPDX identifiers";
        found.hard(
            line,
            "manifest.labels.licenses-length",
            "the licences are longer than 255 characters",
            help,
        );
    }
    if text.contains('\0') {
        let message = format!("label `{}` holds a NUL character", shown(name));
        found.hard(line, "manifest.labels.value", message, "remove it");
    }
    if text.trim().is_empty() {
        let message = format!("label `{}` has no value", shown(name));
        found.soft(line, "manifest.labels.empty", message, "give it a value");
    }
}

/// A place-holder that nobody filled in.
pub(super) fn fixme(what: &str, text: &str, line: usize, found: &mut Findings) {
    if text.to_lowercase().contains("fixme") {
        found.hard(
            line,
            "manifest.fixme",
            format!("`{what}` still reads FIXME"),
            "put in the real value",
        );
    }
}
