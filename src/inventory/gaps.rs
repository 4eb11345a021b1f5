//! Gaps of the same kind folded into one line each, so that a hostile image cannot flood the report.

use std::collections::BTreeMap;

use crate::model::inventory::Gap;

const MAX_KINDS: usize = 1000;

/// What could not be read, by kind and reason: the first place, and how many there are.
#[derive(Debug, Default)]
pub(super) struct Gaps(BTreeMap<(&'static str, String), (String, u64)>);

impl Gaps {
    /// Notes one more; beyond 1,000 different ones only repetitions are counted.
    pub fn add(&mut self, kind: &'static str, path: &str, reason: impl Into<String>) {
        let key = (kind, reason.into());
        if let Some((_, count)) = self.0.get_mut(&key) {
            *count += 1;
        } else if self.0.len() < MAX_KINDS {
            self.0.insert(key, (path.chars().take(512).collect(), 1));
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes over all of another's.
    pub fn append(&mut self, other: &Self) {
        for ((kind, reason), (path, count)) in &other.0 {
            self.add(kind, path, reason.clone());
            if let Some((_, total)) = self.0.get_mut(&(*kind, reason.clone())) {
                *total += count - 1;
            }
        }
    }

    /// The gaps, sorted by kind and reason.
    pub fn into_list(self) -> Vec<Gap> {
        let gap = |((kind, reason), (path, count)): ((&str, String), (String, u64))| {
            let reason = match count {
                1 => reason,
                n => format!("{reason} ({n} in all, the first one named)"),
            };
            Gap { kind: kind.to_owned(), path, reason }
        };
        self.0.into_iter().map(gap).collect()
    }
}
