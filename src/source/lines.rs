//! Logical lines of a Dockerfile, with here-documents masked so that the syntax crate sees none.
//!
//! Rules after BuildKit's `frontend/dockerfile/parser`: a line goes on where it ends in exactly one escape
//! character; comment and empty lines inside are skipped; here-documents follow `RUN`, `COPY`, `ADD`.

use std::collections::BTreeSet;
use std::ops::Range;

use super::dockerfile::DockerfileError;

/// A scanned text; all offsets are bytes of the text that was scanned.
#[derive(Debug)]
pub(super) struct Scan {
    /// The text, as long as before, without here-documents.
    pub masked: String,
    /// `\` or `` ` ``.
    pub escape: u8,
    /// Where words stand that opened a here-document.
    pub heredocs: BTreeSet<usize>,
    /// Whole instructions: from the keyword to the last byte before the line's end.
    pub instructions: Vec<Range<usize>>,
}

/// Scans `text`, which has no byte order mark.
pub(super) fn scan(text: &str) -> Result<Scan, DockerfileError> {
    let escape = escape_of(text);
    let mut scan =
        Scan { masked: String::new(), escape, heredocs: BTreeSet::new(), instructions: Vec::new() };
    let mut bytes = text.as_bytes().to_vec();
    let lines = physical(text);
    let mut next = 0;
    while next < lines.len() {
        if is_blank(&text[lines[next].clone()]) {
            next += 1;
            continue;
        }
        let first = next;
        let parts = logical(text, &lines, &mut next, escape, &mut bytes);
        let start = lines[first].start + leading(&text[lines[first].clone()]);
        let end = parts.last().map_or(start, |part| part.end);
        scan.instructions.push(start..start + text[start..end.max(start)].trim_end().len());
        for (offset, heredoc) in heredocs(text, &parts, escape) {
            let at = offset + bytes[offset..].iter().position(|&b| b == b'<').unwrap_or(0);
            bytes[at..at + 2].copy_from_slice(b"::");
            scan.heredocs.insert(offset);
            skip_body(text, &lines, &mut next, &heredoc, &mut bytes)
                .ok_or_else(|| unterminated(&heredoc, first))?;
        }
    }
    // Only ASCII was written, and only over whole lines or ASCII.
    scan.masked = String::from_utf8(bytes).map_err(|_| DockerfileError {
        line: 0,
        message: "the text could not be scanned".into(),
    })?;
    Ok(scan)
}

/// Drops line continuations from `raw`; each byte that stays, with its offset in `raw`.
pub(super) fn joined(raw: &str, escape: u8) -> Vec<(u8, usize)> {
    let mut kept = Vec::with_capacity(raw.len());
    let mut fresh = true;
    let mut start = 0;
    for line in raw.split_inclusive('\n') {
        if fresh || !is_blank(line) {
            let body = line.trim_end_matches(['\n', '\r']);
            let cut = continuation(body, escape).unwrap_or(body.len());
            kept.extend(body.bytes().take(cut).enumerate().map(|(at, byte)| (byte, start + at)));
            fresh = false;
        }
        start += line.len();
    }
    kept
}

fn escape_of(text: &str) -> u8 {
    for line in text.lines() {
        let Some((name, value)) = line.strip_prefix('#').and_then(|rest| rest.split_once('='))
        else {
            break;
        };
        match name.trim().to_ascii_lowercase().as_str() {
            "escape" if value.trim() == "`" => return b'`',
            "escape" | "syntax" | "check" => {}
            _ => break,
        }
    }
    b'\\'
}

fn physical(text: &str) -> Vec<Range<usize>> {
    let mut start = 0;
    text.split_inclusive('\n')
        .map(|line| {
            let range = start..start + line.trim_end_matches(['\n', '\r']).len();
            start += line.len();
            range
        })
        .collect()
}

fn leading(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

fn is_blank(line: &str) -> bool {
    let line = line.trim();
    line.is_empty() || line.starts_with('#')
}

/// Where the escape character of a line that goes on stands.
fn continuation(line: &str, escape: u8) -> Option<usize> {
    let body = line.trim_end_matches([' ', '\t']).as_bytes();
    match body {
        [.., before, last] if *last == escape && *before != escape => Some(body.len() - 1),
        [only] if *only == escape => Some(0),
        _ => None,
    }
}

/// The pieces of one logical line; moves `next` behind it.
fn logical(
    text: &str,
    lines: &[Range<usize>],
    next: &mut usize,
    escape: u8,
    bytes: &mut [u8],
) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    while let Some(range) = lines.get(*next) {
        *next += 1;
        let line = &text[range.clone()];
        if !parts.is_empty() && is_blank(line) {
            continue;
        }
        let Some(cut) = continuation(line, escape) else {
            parts.push(range.clone());
            // The syntax crate would take the last of several escapes for a continuation.
            let end = range.start + line.trim_end_matches([' ', '\t']).len();
            if end > range.start && bytes[end - 1] == escape {
                bytes[end - 1] = b'_';
            }
            break;
        };
        parts.push(range.start..range.start + cut);
    }
    parts
}

struct Heredoc {
    terminator: String,
    strip_tabs: bool,
}

/// Here-documents that a logical line opens, with the offsets of the words that open them.
fn heredocs(text: &str, parts: &[Range<usize>], escape: u8) -> Vec<(usize, Heredoc)> {
    let bytes: Vec<(u8, usize)> =
        parts.iter().flat_map(|part| text[part.clone()].bytes().zip(part.clone())).collect();
    let words = words(&bytes, escape);
    let keyword = |at: usize| words.get(at).map(|(_, word)| word.to_ascii_uppercase());
    let of = if keyword(0).as_deref() == Some("ONBUILD") { 1 } else { 0 };
    if !matches!(keyword(of).as_deref(), Some("RUN" | "COPY" | "ADD")) {
        return Vec::new();
    }
    words[of + 1..]
        .iter()
        .filter_map(|(offset, word)| heredoc(word).map(|heredoc| (*offset, heredoc)))
        .collect()
}

/// Splits at white space outside quotes; quotes and escapes stay.
fn words(bytes: &[(u8, usize)], escape: u8) -> Vec<(usize, String)> {
    let mut words: Vec<(usize, Vec<u8>)> = Vec::new();
    let (mut quote, mut inside, mut at) = (None, false, 0);
    while let Some(&(byte, offset)) = bytes.get(at) {
        at += 1;
        if quote.is_none() && byte.is_ascii_whitespace() {
            inside = false;
            continue;
        }
        if !inside {
            words.push((offset, Vec::new()));
            inside = true;
        }
        let Some((_, word)) = words.last_mut() else { break };
        word.push(byte);
        match quote {
            None if byte == b'"' || byte == b'\'' => quote = Some(byte),
            Some(open) if open == byte => quote = None,
            _ if byte == escape && quote != Some(b'\'') => {
                word.extend(bytes.get(at).map(|&(byte, _)| byte));
                at += 1;
            }
            _ => {}
        }
    }
    words.into_iter().map(|(at, word)| (at, String::from_utf8_lossy(&word).into_owned())).collect()
}

fn heredoc(word: &str) -> Option<Heredoc> {
    let rest = word.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix("<<")?;
    let (strip_tabs, rest) = match rest.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    let terminator: String = rest.chars().filter(|c| !matches!(c, '"' | '\'')).collect();
    let plain = !terminator.is_empty() && !rest.contains(['<', ' ', '\t']);
    plain.then_some(Heredoc { terminator, strip_tabs })
}

/// Masks the lines of a here-document as comments; `None` where it does not end.
fn skip_body(
    text: &str,
    lines: &[Range<usize>],
    next: &mut usize,
    heredoc: &Heredoc,
    bytes: &mut [u8],
) -> Option<()> {
    loop {
        let range = lines.get(*next)?.clone();
        *next += 1;
        let line = &text[range.clone()];
        bytes[range].fill(b'#');
        let line = if heredoc.strip_tabs { line.trim_start_matches('\t') } else { line };
        if line == heredoc.terminator {
            return Some(());
        }
    }
}

fn unterminated(heredoc: &Heredoc, first: usize) -> DockerfileError {
    let shown: String = heredoc.terminator.chars().take(64).collect();
    DockerfileError {
        line: first + 1,
        message: format!("the here-document does not end: no line reads {shown}"),
    }
}
