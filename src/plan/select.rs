//! The part of the graph that an on-demand night builds.

use std::collections::BTreeSet;

use super::base::Repository;
use super::graph::{Parents, children, reachable};
use super::{Error, PlanInput};
use crate::model::source::Level;

/// What is built on demand.
#[derive(Debug)]
pub(super) struct Selection<'a> {
    /// The images asked for, with their dependants where those were asked for too.
    pub(super) asked: BTreeSet<&'a str>,
    /// These, and the parents without a build to stand on.
    pub(super) all: BTreeSet<&'a str>,
}

/// All images where nobody asked for some.
///
/// # Errors
/// [`Error::Unknown`] and [`Error::Broken`].
pub(super) fn select<'a>(
    input: &PlanInput<'a>,
    repository: &Repository<'a>,
    parents: &Parents<'a>,
) -> Result<Selection<'a>, Error> {
    let Some(only) = input.only else {
        let all: BTreeSet<&str> = parents.keys().copied().collect();
        return Ok(Selection { asked: all.clone(), all });
    };
    let mut asked = BTreeSet::new();
    for name in only {
        asked.insert(known(repository, name)?);
    }
    if input.with_dependants {
        let children = children(parents);
        let dependants: Vec<_> =
            asked.iter().flat_map(|name| reachable(&children, name, usize::MAX)).collect();
        asked.extend(dependants);
    }
    let mut all = asked.clone();
    let mut waiting: Vec<&str> = asked.iter().copied().collect();
    while let Some(name) = waiting.pop() {
        for parent in &parents[name] {
            let stands = input.last.get(*parent).is_some_and(|last| last.succeeded && last.exists);
            if !stands && all.insert(parent) {
                waiting.push(parent);
            }
        }
    }
    Ok(Selection { asked, all })
}

fn known<'a>(repository: &Repository<'a>, name: &str) -> Result<&'a str, Error> {
    if let Some((known, _)) = repository.images.get_key_value(name) {
        return Ok(known);
    }
    if let Some(broken) = repository.broken.get(name) {
        let hard = broken.violations.iter().find(|violation| violation.severity == Level::Hard);
        let message = hard.or(broken.violations.first()).map_or_else(
            || "it has hard violations".to_owned(),
            |hard| format!("{}:{} {}", hard.file, hard.line, hard.message),
        );
        let folder = broken.folder.clone();
        return Err(Error::Broken { name: name.to_owned(), folder, message });
    }
    Err(Error::Unknown { name: name.to_owned(), near: near(repository, name) })
}

/// At most three names that are much like `name` as a whole or in their last component.
fn near(repository: &Repository<'_>, name: &str) -> Vec<String> {
    let last = |name: &'_ str| name.rsplit('/').next().unwrap_or_default().to_owned();
    let likeness = |other: &str| {
        strsim::jaro_winkler(name, other).max(strsim::jaro_winkler(&last(name), &last(other)))
    };
    let mut likely: Vec<(f64, &str)> = repository
        .images
        .keys()
        .map(|other| (likeness(other), *other))
        .filter(|(likeness, _)| *likeness > 0.75)
        .collect();
    likely.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    likely.into_iter().take(3).map(|(_, name)| name.to_owned()).collect()
}
