//! Why an image is built, or why its last build may stand.

use std::collections::BTreeMap;

use crate::model::pipeline::Rebuild;
use crate::model::plan::{KeyParts, Reason};

use super::LastBuild;

/// What decides over one image.
#[derive(Debug, Clone, Copy)]
pub(super) struct Case<'a> {
    pub(super) key: &'a str,
    pub(super) parts: &'a KeyParts,
    pub(super) last: Option<&'a LastBuild>,
    pub(super) rebuild: Rebuild,
    pub(super) requested_by: Option<&'a str>,
    /// A parent that this plan builds anew.
    pub(super) rebuilt_parent: Option<&'a str>,
}

/// The reason, and whether the last build is reused.
pub(super) fn reason(case: Case<'_>) -> (Reason, bool) {
    if let Some(by) = case.requested_by {
        return (Reason::Requested { by: by.to_owned() }, false);
    }
    let Some(last) = case.last else {
        return (Reason::FirstBuild, false);
    };
    // Tried before, but nothing ever came out: there is nothing to compare with.
    if !last.succeeded && last.key.is_empty() {
        return (Reason::FirstBuild, false);
    }
    if let Some(reason) = moved(&last.parts, case.parts) {
        return (reason, false);
    }
    if !last.succeeded {
        return (Reason::Retry, false);
    }
    if case.rebuild == Rebuild::Always {
        return (Reason::Scheduled, false);
    }
    match doubt(&case, last) {
        Some(what) => (Reason::Unprovable { what }, false),
        None => (Reason::Unchanged { night: last.night.clone() }, true),
    }
}

fn moved(old: &KeyParts, new: &KeyParts) -> Option<Reason> {
    let what = source_changes(old, new);
    if !what.is_empty() {
        return Some(Reason::SourceChanged { what });
    }
    let base = difference(&old.outside, &new.outside).or(difference(&old.parents, &new.parents));
    if let Some((base, from, to)) = base {
        return Some(Reason::BaseMoved { base, from, to });
    }
    if let Some((input, ..)) = difference(&old.inputs, &new.inputs) {
        return Some(Reason::InputChanged { input });
    }
    (old.args != new.args).then(|| Reason::SourceChanged { what: vec!["arguments".into()] })
}

/// `BASE_REGISTRY` is left out: it follows from where the base was found.
fn source_changes(old: &KeyParts, new: &KeyParts) -> Vec<String> {
    let args = |parts: &KeyParts| {
        let mut args = parts.args.clone();
        args.remove("BASE_REGISTRY");
        args
    };
    [
        ("context", old.context != new.context),
        ("Dockerfile", old.dockerfile != new.dockerfile),
        ("manifest", old.manifest != new.manifest),
        ("arguments", args(old) != args(new)),
        ("platform", old.platform != new.platform),
    ]
    .into_iter()
    .filter(|(_, changed)| *changed)
    .map(|(what, _)| what.to_owned())
    .collect()
}

/// The first entry that came, went or moved: name, old value, new value.
fn difference(
    old: &BTreeMap<String, String>,
    new: &BTreeMap<String, String>,
) -> Option<(String, String, String)> {
    let shown = |value: Option<&String>| match value {
        Some(value) if !value.is_empty() => value.clone(),
        _ => "unknown".to_owned(),
    };
    new.keys()
        .chain(old.keys())
        .find(|name| old.get(*name) != new.get(*name))
        .map(|name| (name.clone(), shown(old.get(name)), shown(new.get(name))))
}

/// Why the last build may not stand although nothing is known to have moved.
fn doubt(case: &Case<'_>, last: &LastBuild) -> Option<String> {
    if last.key != case.key {
        return Some("its build key was made in another way".into());
    }
    if !last.exists {
        return Some(format!("the image of night {} is gone", last.night));
    }
    if let Some((input, _)) =
        case.parts.inputs.iter().find(|(_, value)| value.starts_with("unpinned:"))
    {
        return Some(format!("input {input} has no checksum"));
    }
    if let Some((base, _)) = case.parts.outside.iter().find(|(_, digest)| digest.is_empty()) {
        return Some(format!("the digest of base {base} is not known"));
    }
    case.rebuilt_parent.map(|parent| format!("its parent {parent} is built anew"))
}
