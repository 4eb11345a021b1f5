//! Which image may start next: parents first, a failed parent blocks its children.

use std::collections::{BTreeMap, BTreeSet};

/// The order of one night's images.
#[derive(Debug, Clone)]
pub struct Queue {
    waiting: Vec<Item>,
    running: BTreeSet<String>,
    ended: BTreeMap<String, bool>,
}

#[derive(Debug, Clone)]
struct Item {
    name: String,
    after: Vec<String>,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Start this image.
    Start(String),
    /// This image cannot be built because of that one.
    Block {
        /// The image.
        image: String,
        /// Its parent.
        by: String,
    },
}

impl Queue {
    /// Images in plan order with what each needs; `ended` says of those that already have their end
    /// whether it was good.
    pub fn new(
        images: impl IntoIterator<Item = (String, Vec<String>)>,
        ended: BTreeMap<String, bool>,
    ) -> Self {
        let waiting = images
            .into_iter()
            .filter(|(name, _)| !ended.contains_key(name))
            .map(|(name, after)| Item { name, after })
            .collect();
        Self { waiting, running: BTreeSet::new(), ended }
    }

    /// Takes the next image that can start or must be blocked; `None` where all that is left waits for
    /// running ones. An image whose parent is not of this night may start.
    pub fn next(&mut self) -> Option<Next> {
        let known: BTreeSet<&str> = self.waiting.iter().map(|item| item.name.as_str()).collect();
        let open = |name: &String| known.contains(name.as_str()) || self.running.contains(name);
        let place = self.waiting.iter().position(|item| {
            item.after.iter().any(|name| self.ended.get(name) == Some(&false))
                || !item.after.iter().any(open)
        })?;
        let Item { name, after } = self.waiting.remove(place);
        let by = after.into_iter().find(|name| self.ended.get(name) == Some(&false));
        Some(match by {
            Some(by) => {
                self.ended.insert(name.clone(), false);
                Next::Block { image: name, by }
            }
            None => {
                self.running.insert(name.clone());
                Next::Start(name)
            }
        })
    }

    /// Records the end of a running image; `good` is whether children may stand on it.
    pub fn end(&mut self, name: &str, good: bool) {
        self.running.remove(name);
        self.ended.insert(name.to_owned(), good);
    }

    /// Whether every image has its end.
    pub fn is_done(&self) -> bool {
        self.waiting.is_empty() && self.running.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(images: &[(&str, &[&str])]) -> Queue {
        let images = images.iter().map(|(name, after)| {
            (name.to_string(), after.iter().map(|parent| parent.to_string()).collect())
        });
        Queue::new(images, BTreeMap::new())
    }

    fn start(name: &str) -> Option<Next> {
        Some(Next::Start(name.into()))
    }

    #[test]
    fn no_child_starts_before_its_parent_ended() {
        let mut queue = queue(&[("base", &[]), ("app", &["base"]), ("tool", &[])]);
        assert_eq!(queue.next(), start("base"));
        assert_eq!(queue.next(), start("tool"));
        assert_eq!(queue.next(), None);
        queue.end("base", true);
        assert_eq!(queue.next(), start("app"));
        queue.end("app", true);
        queue.end("tool", false);
        assert!(queue.is_done());
    }

    #[test]
    fn a_failed_parent_blocks_the_whole_line_below_it() {
        let mut queue = queue(&[("base", &[]), ("app", &["base"]), ("plugin", &["app"])]);
        assert_eq!(queue.next(), start("base"));
        queue.end("base", false);
        let block =
            |image: &str, by: &str| Some(Next::Block { image: image.into(), by: by.into() });
        assert_eq!(queue.next(), block("app", "base"));
        assert_eq!(queue.next(), block("plugin", "app"));
        assert_eq!(queue.next(), None);
        assert!(queue.is_done());
    }

    #[test]
    fn a_resumed_night_goes_on_behind_what_is_done() {
        let images = [("base".to_string(), vec![]), ("app".to_string(), vec!["base".to_string()])];
        let mut queue = Queue::new(images, BTreeMap::from([("base".into(), true)]));
        assert_eq!(queue.next(), start("app"));
    }
}
