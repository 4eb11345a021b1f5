//! PEP 440 order, with setuptools' old order for versions that PEP 440 refuses.

use std::cmp::Ordering;
use std::str::FromStr;

use pep440_rs::Version;

/// `None` where one is empty. A version outside PEP 440 stands before all within it.
pub fn compare(a: &str, b: &str) -> Option<Ordering> {
    if a.is_empty() || b.is_empty() {
        return None;
    }
    Some(match (Version::from_str(a), Version::from_str(b)) {
        (Ok(a), Ok(b)) => a.cmp(&b),
        (Ok(_), Err(_)) => Ordering::Greater,
        (Err(_), Ok(_)) => Ordering::Less,
        (Err(_), Err(_)) => legacy(a).cmp(&legacy(b)),
    })
}

/// The sort key of setuptools before PEP 440: numbers padded, words marked so that pre-releases
/// stand before the end of the version and everything else after it.
fn legacy(text: &str) -> Vec<String> {
    let mut key: Vec<String> = Vec::new();
    for piece in pieces(&text.to_ascii_lowercase()) {
        let piece = match piece.as_str() {
            "pre" | "preview" | "rc" => "c",
            "-" => "final-",
            "dev" => "@",
            other => other,
        };
        if piece.starts_with(|c: char| c.is_ascii_digit()) {
            key.push(format!("{piece:0>8}"));
            continue;
        }
        let word = format!("*{piece}");
        if word.as_str() < "*final" {
            while key.last().is_some_and(|last| last == "*final-") {
                key.pop();
            }
        }
        while key.last().is_some_and(|last| last == "00000000") {
            key.pop();
        }
        key.push(word);
    }
    key.push("*final".to_owned());
    key
}

/// Runs of digits, runs of letters, dashes and other runs; dots only divide.
fn pieces(text: &str) -> Vec<String> {
    let class = |c: char| match c {
        '0'..='9' => 0,
        'a'..='z' => 1,
        '.' => 2,
        '-' => 3,
        _ => 4,
    };
    let mut pieces: Vec<String> = Vec::new();
    let mut last = 2;
    for c in text.chars() {
        let kind = class(c);
        match pieces.last_mut() {
            Some(piece) if kind == last && kind != 3 => piece.push(c),
            _ if kind != 2 => pieces.push(c.to_string()),
            _ => {}
        }
        last = kind;
    }
    pieces
}
