//! SemVer 2.0 precedence (section 11), also npm's and crates.io's; lenient about `v`, `=` and missing parts.

use std::cmp::Ordering;

use super::digits;

/// `None` where one has no numeric release.
pub fn compare(a: &str, b: &str) -> Option<Ordering> {
    Some(Parts::of(a)?.cmp(&Parts::of(b)?))
}

struct Parts<'a> {
    release: Vec<&'a [u8]>,
    pre: Option<&'a str>,
}

impl<'a> Parts<'a> {
    fn of(text: &'a str) -> Option<Self> {
        let text = text.trim_start_matches(['=', ' ']);
        let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
        // Build metadata has no part in the order.
        let text = text.split('+').next().unwrap_or_default();
        let (release, pre) = match text.split_once('-') {
            Some((release, pre)) => (release, Some(pre)),
            None => (text, None),
        };
        let release: Vec<&[u8]> = release.split('.').map(str::as_bytes).collect();
        let number = |part: &&[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_digit);
        (release.iter().all(number) && pre != Some("")).then_some(Self { release, pre })
    }

    fn cmp(&self, other: &Self) -> Ordering {
        let part = |parts: &Self, at: usize| parts.release.get(at).copied().unwrap_or(b"0");
        let count = self.release.len().max(other.release.len());
        (0..count)
            .map(|at| digits(part(self, at), part(other, at)))
            .find(|order| order.is_ne())
            .unwrap_or_else(|| pre_release(self.pre, other.pre))
    }
}

/// A pre-release stands before its release.
fn pre_release(a: Option<&str>, b: Option<&str>) -> Ordering {
    let (a, b) = match (a, b) {
        (None, None) => return Ordering::Equal,
        (None, Some(_)) => return Ordering::Greater,
        (Some(_), None) => return Ordering::Less,
        (Some(a), Some(b)) => (a, b),
    };
    let (mut a, mut b) = (a.split('.'), b.split('.'));
    loop {
        let order = match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(a), Some(b)) => identifier(a, b),
        };
        if order.is_ne() {
            return order;
        }
    }
}

/// Numbers before words.
fn identifier(a: &str, b: &str) -> Ordering {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match (number(a), number(b)) {
        (true, true) => digits(a.as_bytes(), b.as_bytes()),
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) => a.cmp(b),
    }
}
