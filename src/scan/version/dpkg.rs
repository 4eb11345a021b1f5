//! dpkg's version order (Debian policy 5.6.12): epoch, upstream version, revision.

use std::cmp::Ordering;

use super::digits;

/// `None` where one is empty or its epoch is no number; other odd characters are ordered as dpkg
/// orders them, because they stand in real status files.
pub fn compare(a: &str, b: &str) -> Option<Ordering> {
    let (a, b) = (Parts::of(a)?, Parts::of(b)?);
    Some(
        digits(a.epoch, b.epoch)
            .then_with(|| part(a.upstream, b.upstream))
            .then_with(|| part(a.revision, b.revision)),
    )
}

struct Parts<'a> {
    epoch: &'a [u8],
    upstream: &'a [u8],
    revision: &'a [u8],
}

impl<'a> Parts<'a> {
    fn of(text: &'a str) -> Option<Self> {
        let (epoch, rest) = text.split_once(':').unwrap_or(("0", text));
        let number = !epoch.is_empty() && epoch.bytes().all(|byte| byte.is_ascii_digit());
        if !number || rest.is_empty() {
            return None;
        }
        let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
        let (upstream, revision) = (upstream.as_bytes(), revision.as_bytes());
        Some(Self { epoch: epoch.as_bytes(), upstream, revision })
    }
}

/// Alternates between runs of non-digits and runs of digits.
fn part(mut a: &[u8], mut b: &[u8]) -> Ordering {
    while !a.is_empty() || !b.is_empty() {
        let (text_a, rest_a) = split(a, |byte| !byte.is_ascii_digit());
        let (text_b, rest_b) = split(b, |byte| !byte.is_ascii_digit());
        let (number_a, rest_a) = split(rest_a, |byte| byte.is_ascii_digit());
        let (number_b, rest_b) = split(rest_b, |byte| byte.is_ascii_digit());
        let order = text(text_a, text_b).then_with(|| digits(number_a, number_b));
        if order.is_ne() {
            return order;
        }
        (a, b) = (rest_a, rest_b);
    }
    Ordering::Equal
}

fn split(text: &[u8], keep: impl Fn(u8) -> bool) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| !keep(*byte)).unwrap_or(text.len());
    text.split_at(end)
}

fn text(a: &[u8], b: &[u8]) -> Ordering {
    (0..a.len().max(b.len()))
        .map(|at| weight(a.get(at)).cmp(&weight(b.get(at))))
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}

/// `~` before the end of the text, the end before letters, letters before everything else.
fn weight(byte: Option<&u8>) -> i32 {
    match byte {
        None => 0,
        Some(b'~') => -1,
        Some(byte) if byte.is_ascii_alphabetic() => i32::from(*byte),
        Some(byte) => i32::from(*byte) + 256,
    }
}
