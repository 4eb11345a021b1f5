//! OSV's rule for whether a version is affected (schema 1.6, "Evaluation").

use std::cmp::Ordering;

use crate::model::advisory::{Advisory, RangeEvent, VersionRange};

use crate::scan::version::Scheme;

/// An affected version's way out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// The smallest fixed version above it in the range that holds it; where several hold it, the
    /// one that gets out of all that have one.
    pub fixed: Option<String>,
}

/// `None` where `version` is not affected: in no range and not listed.
///
/// All ranges are read in the ecosystem's own order; for those that write `SEMVER` ranges that is
/// SemVer. An event whose version is none in that order is passed over.
pub fn affected(scheme: Scheme, version: &str, advisory: &Advisory) -> Option<Verdict> {
    let mut verdict: Option<Verdict> = None;
    for range in advisory.ranges.iter().filter(|range| inside(scheme, version, range)) {
        let known = verdict.take().and_then(|verdict| verdict.fixed);
        let fixed = largest(scheme, known, next_fix(scheme, version, range));
        verdict = Some(Verdict { fixed });
    }
    let listed = |listed: &String| scheme.compare(version, listed) == Some(Ordering::Equal);
    if verdict.is_none() && advisory.versions.iter().any(listed) {
        // A fix on another branch may still be the way out.
        let fixes = advisory.ranges.iter().filter_map(|range| next_fix(scheme, version, range));
        let fixed = fixes.fold(None, |best, fix| smallest(scheme, best, Some(fix)));
        return Some(Verdict { fixed });
    }
    verdict
}

/// The smaller of two versions, where there are two.
fn smallest(scheme: Scheme, a: Option<String>, b: Option<String>) -> Option<String> {
    match (a, b) {
        (Some(a), Some(b)) if scheme.compare(&b, &a) == Some(Ordering::Less) => Some(b),
        (a, b) => a.or(b),
    }
}

/// The larger of two versions, where there are two.
pub fn largest(scheme: Scheme, a: Option<String>, b: Option<String>) -> Option<String> {
    match (a, b) {
        (Some(a), Some(b)) if scheme.compare(&b, &a) == Some(Ordering::Greater) => Some(b),
        (a, b) => a.or(b),
    }
}

fn inside(scheme: Scheme, version: &str, range: &VersionRange) -> bool {
    let mut affected = false;
    for event in sorted(scheme, range) {
        let reached = order(scheme, version, event);
        match event {
            RangeEvent::Introduced(_) if reached.is_ge() => affected = true,
            RangeEvent::Fixed(_) if reached.is_ge() => affected = false,
            RangeEvent::LastAffected(_) if reached.is_gt() => affected = false,
            _ => {}
        }
    }
    affected && before_limits(scheme, version, range)
}

/// The events that can be ordered, in order; those at one version stay as they stand.
fn sorted(scheme: Scheme, range: &VersionRange) -> Vec<&RangeEvent> {
    let known = |event: &&RangeEvent| {
        let at = text(event);
        at == "0" || scheme.compare(at, at).is_some()
    };
    let mut events: Vec<&RangeEvent> = range.events.iter().filter(known).collect();
    events.sort_by(|a, b| match (text(a), text(b)) {
        // `fixed` at `0`: never affected, wherever the event stands.
        ("0", "0") => matches!(a, RangeEvent::Fixed(_)).cmp(&matches!(b, RangeEvent::Fixed(_))),
        ("0", _) => Ordering::Less,
        (_, "0") => Ordering::Greater,
        (a, b) => scheme.compare(a, b).unwrap_or(Ordering::Equal),
    });
    events
}

/// Where `version` stands to an event; `0` is before everything.
fn order(scheme: Scheme, version: &str, event: &RangeEvent) -> Ordering {
    match text(event) {
        "0" => Ordering::Greater,
        at => scheme.compare(version, at).unwrap_or(Ordering::Less),
    }
}

fn before_limits(scheme: Scheme, version: &str, range: &VersionRange) -> bool {
    let mut limits = range.events.iter().filter_map(|event| match event {
        RangeEvent::Limit(limit) => Some(limit.as_str()),
        _ => None,
    });
    let below =
        |limit: &str| limit == "*" || scheme.compare(version, limit) == Some(Ordering::Less);
    match limits.next() {
        None => true,
        Some(first) => below(first) || limits.any(below),
    }
}

fn next_fix(scheme: Scheme, version: &str, range: &VersionRange) -> Option<String> {
    let fixes = range.events.iter().filter_map(|event| match event {
        RangeEvent::Fixed(fixed) if order(scheme, version, event).is_lt() => Some(fixed.clone()),
        _ => None,
    });
    fixes.fold(None, |best, fix| smallest(scheme, best, Some(fix)))
}

fn text(event: &RangeEvent) -> &str {
    match event {
        RangeEvent::Introduced(at)
        | RangeEvent::Fixed(at)
        | RangeEvent::LastAffected(at)
        | RangeEvent::Limit(at) => at,
    }
}
