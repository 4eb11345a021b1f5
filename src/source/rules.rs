//! The rules of a Dockerfile.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use ::regex::Regex;

use super::dockerfile::is_remote;
use super::findings::{Findings, shown};
use super::manifest::regex;
use crate::model::dockerfile::{Dockerfile, Spanned, Stage};
use crate::model::manifest::{Manifest, ResourceKind};
use crate::model::source::ContextFile;

const BASE: [&str; 3] = ["BASE_REGISTRY", "BASE_IMAGE", "BASE_TAG"];
const FROM: &str = "${BASE_REGISTRY}/${BASE_IMAGE}:${BASE_TAG}";

static FINAL_FROM: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"^(?:\$BASE_REGISTRY|\$\{BASE_REGISTRY\})/(?:\$BASE_IMAGE|\$\{BASE_IMAGE\}):(?:\$BASE_TAG|\$\{BASE_TAG\})$",
    )
});

/// What the rules look at beside the Dockerfile.
#[derive(Debug)]
pub(super) struct Around<'a> {
    pub manifest: &'a Manifest,
    /// Whether the manifest could be read; else nothing is compared with it.
    pub readable: bool,
    pub context: &'a [ContextFile],
    /// Paths of the folder, those that `.dockerignore` leaves out, too.
    pub all: &'a BTreeSet<&'a str>,
}

/// Notes all broken rules of `dockerfile`.
pub(super) fn check(dockerfile: &Dockerfile, around: &Around<'_>, found: &mut Findings) {
    if let Some(syntax) = &dockerfile.syntax {
        let message =
            format!("`# syntax={}` asks for a frontend from outside", shown(&syntax.value));
        let help = "remove it: builds have no network, the daemon's own frontend is used";
        found.soft(syntax.line, "dockerfile.syntax", message, help);
    }
    for stage in &dockerfile.stages {
        for line in &stage.labels {
            let help = "write the labels into the manifest";
            found.hard(*line, "dockerfile.label", "a LABEL instruction", help);
        }
        sources(stage, around, found);
    }
    if let Some(last) = dockerfile.stages.last() {
        from(dockerfile, last, around, found);
        user(last, found);
        if !last.healthcheck {
            let help = "add a HEALTHCHECK that shows whether the service works";
            found.soft(last.from.line, "dockerfile.healthcheck", "no HEALTHCHECK", help);
        }
    }
}

fn from(dockerfile: &Dockerfile, last: &Stage, around: &Around<'_>, found: &mut Findings) {
    let (line, value) = (last.from.line, last.from.value.as_str());
    let based = around.manifest.base().is_some();
    if value.eq_ignore_ascii_case("scratch") {
        if based && around.readable {
            let help =
                format!("write `FROM {FROM}`, or empty BASE_IMAGE and BASE_TAG in the manifest");
            found.soft(
                line,
                "dockerfile.from",
                "FROM scratch, but the manifest names a base",
                help,
            );
        }
        return;
    }
    if !FINAL_FROM.is_match(value) {
        let message = format!("the last FROM reads `{}`", shown(value));
        found.soft(line, "dockerfile.from", message, format!("write `FROM {FROM}`"));
    } else if !based && around.readable {
        let help = "write `FROM scratch`, or name the base in the manifest";
        found.soft(line, "dockerfile.from", "the manifest names no base", help);
    }
    for name in BASE.iter().filter(|name| mentions(value, name)) {
        let declared = dockerfile.args.iter().rev().find(|arg| arg.name == **name);
        match declared {
            None => {
                let message = format!("`ARG {name}` is not declared before the first FROM");
                found.soft(
                    line,
                    "dockerfile.arg",
                    message,
                    format!("add `ARG {name}=…` at the top"),
                );
            }
            Some(arg) if arg.default.as_ref().is_none_or(String::is_empty) => {
                let help = format!("write `ARG {name}=…` so that the file builds by itself");
                found.soft(
                    arg.line,
                    "dockerfile.arg-default",
                    format!("`ARG {name}` has no default"),
                    help,
                );
            }
            Some(_) => {}
        }
    }
}

/// Whether the variable `name` stands in `text`.
fn mentions(text: &str, name: &str) -> bool {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.match_indices(name).any(|(at, _)| {
        let before = &text[..at];
        (before.ends_with('$') || before.ends_with("${"))
            && !text[at + name.len()..].starts_with(is_name)
    })
}

fn user(last: &Stage, found: &mut Findings) {
    let help = "end with `USER` and a user other than root";
    match &last.user {
        None => found.soft(
            last.from.line,
            "dockerfile.user",
            "no USER: the base's holds, often root",
            help,
        ),
        Some(user) => {
            let name = user.value.split(':').next().unwrap_or_default();
            if name == "root" || (!name.is_empty() && name.bytes().all(|byte| byte == b'0')) {
                let message = format!("the image runs as `{}`", shown(&user.value));
                found.soft(user.line, "dockerfile.user", message, help);
            }
        }
    }
}

fn sources(stage: &Stage, around: &Around<'_>, found: &mut Findings) {
    for source in &stage.copies {
        if is_remote(&source.value) {
            let message = format!("ADD of `{}`: builds have no network", shown(&source.value));
            let help = "declare it under `resources` of the manifest and COPY its filename";
            found.hard(source.line, "dockerfile.add-url", message, help);
        } else if around.readable {
            local(source, around, found);
        }
    }
}

fn local(source: &Spanned, around: &Around<'_>, found: &mut Findings) {
    let Some(path) = plain(&source.value) else { return };
    let declared = around
        .manifest
        .resources
        .iter()
        .any(|resource| matches!(&resource.kind, ResourceKind::File(name) if *name == path));
    let listed = around.context.binary_search_by(|file| file.path.as_str().cmp(&path));
    if declared || listed.is_ok() {
        return;
    }
    let (message, help) = match around.all.contains(path.as_str()) {
        true => ("is left out by .dockerignore", "mend .dockerignore"),
        false => (
            "is neither in the folder nor a declared resource",
            "add the file, or declare it under `resources` with this `filename`",
        ),
    };
    found.soft(source.line, "dockerfile.copy", format!("`{}` {message}", shown(&path)), help);
}

/// A source without variables and wildcards, cleaned; `None` where it cannot be judged.
fn plain(source: &str) -> Option<String> {
    if source.contains(['$', '*', '?', '[', '\\']) {
        return None;
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in source.split('/') {
        match part {
            "" | "." => {}
            // The builder stops at the context's top.
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    (!parts.is_empty()).then(|| parts.join("/"))
}
