//! Parents before children, and the circle where there is no such order.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::Error;

/// Image → the images of the repository that it needs.
pub(super) type Parents<'a> = BTreeMap<&'a str, BTreeSet<&'a str>>;

/// Where counting dependants stops; beyond it the order is by name.
const COUNTED: usize = 4096;

/// Image → the images that need it.
pub(super) fn children<'a>(parents: &Parents<'a>) -> Parents<'a> {
    let mut children: Parents<'a> = parents.keys().map(|name| (*name, BTreeSet::new())).collect();
    for (name, needed) in parents {
        for parent in needed {
            children.entry(parent).or_default().insert(name);
        }
    }
    children
}

/// Everything reachable from `start` along `edges`, without it unless it lies on a circle.
pub(super) fn reachable<'a>(edges: &Parents<'a>, start: &'a str, most: usize) -> BTreeSet<&'a str> {
    let (mut seen, mut waiting) = (BTreeSet::new(), VecDeque::from([start]));
    while let Some(name) = waiting.pop_front() {
        for next in edges.get(name).into_iter().flatten() {
            if seen.len() < most && seen.insert(*next) {
                waiting.push_back(next);
            }
        }
    }
    seen
}

/// Names with no image before one that it needs; of those that are ready the one with the most
/// dependants first, then by name.
///
/// # Errors
/// [`Error::Cycle`].
pub(super) fn order<'a>(parents: &Parents<'a>) -> Result<Vec<&'a str>, Error> {
    let children = children(parents);
    let rank = |name: &'a str| (Reverse(reachable(&children, name, COUNTED).len()), name);
    let mut open: BTreeMap<&str, usize> =
        parents.iter().map(|(name, needed)| (*name, needed.len())).collect();
    let mut ready: BTreeSet<_> =
        open.iter().filter(|(_, needed)| **needed == 0).map(|(name, _)| rank(name)).collect();
    let mut order = Vec::with_capacity(parents.len());
    while let Some((_, name)) = ready.pop_first() {
        open.remove(name);
        order.push(name);
        for child in &children[name] {
            if let Some(needed) = open.get_mut(child) {
                *needed -= 1;
                if *needed == 0 {
                    ready.insert(rank(child));
                }
            }
        }
    }
    match open.keys().next() {
        None => Ok(order),
        Some(first) => Err(Error::Cycle { members: circle(parents, &open, first) }),
    }
}

/// Walks up from an image that never became ready: every such image has a parent of the same kind.
fn circle(parents: &Parents<'_>, open: &BTreeMap<&str, usize>, start: &str) -> Vec<String> {
    let mut path: Vec<&str> = Vec::new();
    let mut at = start;
    let begin = loop {
        if let Some(begin) = path.iter().position(|name| *name == at) {
            break begin;
        }
        path.push(at);
        match parents.get(at).into_iter().flatten().find(|name| open.contains_key(*name)) {
            Some(parent) => at = parent,
            None => break 0,
        }
    };
    let mut members: Vec<String> = path[begin..].iter().map(|name| (*name).to_owned()).collect();
    let first = members.iter().enumerate().min_by_key(|(_, name)| *name).map_or(0, |(at, _)| at);
    members.rotate_left(first);
    members
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph<'a>(edges: &[(&'a str, &[&'a str])]) -> Parents<'a> {
        edges.iter().map(|(name, needed)| (*name, needed.iter().copied().collect())).collect()
    }

    #[test]
    fn parents_come_first_then_the_most_needed_then_names() {
        let parents = graph(&[
            ("a-leaf", &[]),
            ("small-base", &[]),
            ("z-base", &[]),
            ("app", &["z-base", "mid"]),
            ("mid", &["z-base"]),
            ("other", &["small-base"]),
        ]);
        assert_eq!(
            order(&parents).unwrap(),
            ["z-base", "mid", "small-base", "a-leaf", "app", "other"]
        );
    }

    #[test]
    fn a_circle_names_its_members_and_nobody_else() {
        let parents = graph(&[
            ("above", &["c"]),
            ("b", &["a"]),
            ("a", &["c", "free"]),
            ("c", &["b"]),
            ("free", &[]),
        ]);
        let error = order(&parents).unwrap_err();
        assert_eq!(error, Error::Cycle { members: vec!["a".into(), "c".into(), "b".into()] });
        assert!(error.to_string().contains("a → c → b → a"), "{error}");
        let alone = order(&graph(&[("a", &["a"])])).unwrap_err();
        assert!(alone.to_string().contains("a → a"), "{alone}");
    }

    #[test]
    fn a_long_chain_and_a_wide_fan_are_no_trouble() {
        let names: Vec<String> = (0..1200).map(|n| format!("i{n:05}")).collect();
        let chain: Parents<'_> = (0..names.len())
            .map(|n| {
                let needed = if n < 600 { n.checked_sub(1) } else { Some(0) };
                (names[n].as_str(), needed.map(|n| names[n].as_str()).into_iter().collect())
            })
            .collect();
        assert_eq!(order(&chain).unwrap().len(), 1200);
    }

    proptest::proptest! {
        #[test]
        fn an_order_or_a_real_circle(edges in proptest::collection::vec((0usize..8, 0usize..8), 0..20)) {
            let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
            let mut parents = graph(&names.map(|name| (name, &[] as &[&str])));
            for (child, parent) in edges {
                parents.get_mut(names[child]).unwrap().insert(names[parent]);
            }
            match order(&parents) {
                Ok(order) => for (place, name) in order.iter().enumerate() {
                    for parent in &parents[name] {
                        assert!(order[..place].contains(parent));
                    }
                },
                Err(Error::Cycle { members }) => for (at, name) in members.iter().enumerate() {
                    let next = &members[(at + 1) % members.len()];
                    assert!(parents[name.as_str()].contains(next.as_str()));
                },
                Err(error) => panic!("{error}"),
            }
        }
    }
}
