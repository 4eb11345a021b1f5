//! How values become columns that both databases keep alike, and come back.

use std::fmt::Write as _;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

use super::{Error, Result};

/// Most bytes of a text that stands in an index; PostgreSQL refuses index rows over about 2,700.
const KEY_BYTES: usize = 512;

/// Fixed-width RFC 3339 in UTC, cut to microseconds, so that it sorts as text.
pub fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// The instant that [`time`] wrote.
///
/// # Errors
/// [`Error::Inconsistent`] naming `place`.
pub fn instant(text: &str, place: impl FnOnce() -> String) -> Result<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text)
        .map(|at| at.with_timezone(&Utc))
        .map_err(|error| inconsistent(place(), format!("{text:?} is no time: {error}")))
}

/// Text without NUL characters, which PostgreSQL refuses.
pub fn text(value: &str) -> String {
    value.replace('\0', "\u{fffd}")
}

/// [`text`] of what may be missing.
pub fn maybe(value: Option<&str>) -> Option<String> {
    value.map(text)
}

/// [`text`] short enough for an index: a longer one ends in its hash.
pub fn key(value: &str) -> String {
    let mut value = text(value);
    if value.len() > KEY_BYTES {
        let hash = mark([value.as_str()]);
        let cut = (0..=KEY_BYTES - 40).rev().find(|at| value.is_char_boundary(*at)).unwrap_or(0);
        value.truncate(cut);
        value.push('~');
        value.push_str(&hash);
    }
    value
}

/// 32 hexadecimal digits that stand for a list of texts.
pub fn mark<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    let mut mark = hex::encode(hash.finalize());
    mark.truncate(32);
    mark
}

/// A count as the column keeps it.
pub fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A count as the column kept it.
pub fn count(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// `value` as JSON text.
///
/// # Errors
/// [`Error::Encode`].
pub fn encode<T: Serialize + ?Sized>(what: &'static str, value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|source| Error::Encode { what, source })
}

/// The value of JSON text.
///
/// # Errors
/// [`Error::Inconsistent`] naming `place`.
pub fn decode<T: DeserializeOwned>(text: &str, place: impl FnOnce() -> String) -> Result<T> {
    serde_json::from_str(text).map_err(|error| inconsistent(place(), error.to_string()))
}

/// The value of an enum from its JSON spelling.
///
/// # Errors
/// [`Error::Inconsistent`] naming `place`.
pub fn spelled<T: DeserializeOwned>(text: &str, place: impl FnOnce() -> String) -> Result<T> {
    serde_json::from_value(serde_json::Value::String(text.to_owned()))
        .map_err(|error| inconsistent(place(), error.to_string()))
}

/// The error of a row that midwatch never wrote.
pub fn inconsistent(place: String, problem: impl Into<String>) -> Error {
    Error::Inconsistent { place, problem: problem.into() }
}

/// Cuts rows into pieces of few different lengths, so that few different statements are prepared.
pub fn pieces<T>(mut rows: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let take = [64, 8, 1].into_iter().find(|size| *size <= rows.len())?;
        let (piece, rest) = rows.split_at(take);
        rows = rest;
        Some(piece)
    })
}

/// `($1, $2), ($3, $4)`: placeholders of `rows` rows of `width` columns.
pub fn placeholders(rows: usize, width: usize) -> String {
    let mut sql = String::new();
    for row in 0..rows {
        sql.push_str(if row == 0 { "(" } else { ", (" });
        for column in 1..=width {
            let comma = if column == 1 { "" } else { ", " };
            let _ = write!(sql, "{comma}${}", row * width + column);
        }
        sql.push(')');
    }
    sql
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_one_width_and_sort_as_text() {
        let at = |s: &str| s.parse::<DateTime<Utc>>().unwrap();
        assert_eq!(time(at("2026-11-22T00:00:00Z")), "2026-11-22T00:00:00.000000Z");
        assert_eq!(time(at("2026-11-22T09:00:00.123456789+09:00")), "2026-11-22T00:00:00.123456Z");
        let back = instant("2026-11-22T00:00:00.123456Z", String::new).unwrap();
        assert_eq!(time(back), "2026-11-22T00:00:00.123456Z");
        assert!(instant("yesterday", || "nights x".into()).is_err());
    }

    #[test]
    fn keys_are_bounded_and_stay_different() {
        assert_eq!(key("openssl"), "openssl");
        let (a, b) = ("é".repeat(400) + "a", "é".repeat(400) + "b");
        assert!(key(&a).len() <= KEY_BYTES);
        assert_ne!(key(&a), key(&b));
        assert_eq!(key("a\0b"), "a\u{fffd}b");
    }

    #[test]
    fn pieces_cover_all_rows_once() {
        let rows: Vec<u32> = (0..150).collect();
        let sizes: Vec<usize> = pieces(&rows).map(<[u32]>::len).collect();
        assert_eq!(sizes, [64, 64, 8, 8, 1, 1, 1, 1, 1, 1]);
        assert_eq!(pieces(&rows).flatten().copied().collect::<Vec<_>>(), rows);
        assert_eq!(placeholders(2, 2), "($1, $2), ($3, $4)");
    }

    #[test]
    fn marks_tell_lists_apart() {
        assert_ne!(mark(["ab", "c"]), mark(["a", "bc"]));
        assert_eq!(mark(["a"]).len(), 32);
    }
}
