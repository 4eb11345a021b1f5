//! Build logs: cleaned of what a terminal would obey, and capped in the middle.

use std::collections::VecDeque;

/// Longest line kept in one piece, in bytes.
const LINE: usize = 4096;

/// A log that keeps its beginning and its end.
#[derive(Debug)]
pub(super) struct Log {
    head: String,
    head_cap: usize,
    tail: VecDeque<String>,
    tail_bytes: usize,
    tail_cap: usize,
    cut: u64,
}

impl Log {
    /// A log of at most about `cap` bytes: a quarter for the beginning, the rest for the end.
    pub(super) fn new(cap: usize) -> Self {
        let head_cap = cap / 4;
        Self {
            head: String::new(),
            head_cap,
            tail: VecDeque::new(),
            tail_bytes: 0,
            tail_cap: cap - head_cap,
            cut: 0,
        }
    }

    /// Adds a line, without its line break.
    pub(super) fn push(&mut self, line: &str) {
        let bytes = line.len() + 1;
        if self.tail.is_empty() && self.cut == 0 && self.head.len() + bytes <= self.head_cap {
            self.head.push_str(line);
            self.head.push('\n');
            return;
        }
        self.tail.push_back(line.to_owned());
        self.tail_bytes += bytes;
        while self.tail_bytes > self.tail_cap
            && let Some(first) = self.tail.pop_front()
        {
            self.tail_bytes -= first.len() + 1;
            self.cut += first.len() as u64 + 1;
        }
    }

    /// The text, with a line in the middle that says how much is missing.
    pub(super) fn text(&self) -> String {
        let mut text = self.head.clone();
        if self.cut > 0 {
            text.push_str(&format!("[… {} bytes cut here …]\n", self.cut));
        }
        for line in &self.tail {
            text.push_str(line);
            text.push('\n');
        }
        text
    }
}

/// Puts lines together from pieces that may break anywhere, even inside a character.
#[derive(Debug, Default)]
pub(super) struct Lines {
    pending: Vec<u8>,
}

impl Lines {
    /// Takes bytes and gives every line that they complete, cleaned.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            for chunk in piece.chunks(LINE) {
                self.pending.extend_from_slice(chunk);
                if self.pending.ends_with(b"\n") || self.pending.len() >= LINE {
                    lines.push(clean(&std::mem::take(&mut self.pending)));
                }
            }
        }
        lines
    }

    /// What is left without a line break.
    pub(super) fn rest(&mut self) -> Option<String> {
        let rest = std::mem::take(&mut self.pending);
        (!rest.is_empty()).then(|| clean(&rest))
    }
}

/// One line as text: no escapes, no control or direction characters, and of a line that was
/// overwritten with carriage returns the last state.
pub(super) fn clean(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let line = text.trim_end_matches(['\n', '\r']);
    let line = line.rsplit('\r').find(|part| !part.is_empty()).unwrap_or("");
    let mut out = String::with_capacity(line.len());
    let mut chars = line.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '\u{1b}' => skip_escape(&mut chars),
            '\u{9b}' => skip_csi(&mut chars),
            '\t' => out.push('\t'),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {}
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

/// ECMA-48: after ESC comes `[` (parameters up to a final byte), a string closed by BEL or ESC `\`,
/// or one more character.
fn skip_escape(chars: &mut Chars<'_>) {
    match chars.next() {
        Some('[') => skip_csi(chars),
        Some(']' | 'P' | 'X' | '^' | '_') => {
            while let Some(char) = chars.next() {
                if char == '\u{7}' || (char == '\u{1b}' && chars.next_if_eq(&'\\').is_some()) {
                    break;
                }
            }
        }
        Some('(' | ')' | '#' | '%') => {
            chars.next();
        }
        _ => {}
    }
}

fn skip_csi(chars: &mut Chars<'_>) {
    for char in chars.by_ref() {
        if ('\u{40}'..='\u{7e}').contains(&char) {
            break;
        }
    }
}

/// The first `most` characters, with an ellipsis where something was cut.
pub(super) fn brief(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_and_controls_do_not_reach_the_reader() {
        assert_eq!(clean(b"\x1b[91merr\x1b[0m \x1b]0;title\x07ok\x08\n"), "err ok");
        assert_eq!(clean(b"10%\r50%\r100% done\r\n"), "100% done");
        assert_eq!(clean("a\u{202e}b\u{9b}31mc\tz".as_bytes()), "abc\tz");
        assert_eq!(clean(b"caf\xff"), "caf\u{fffd}");
    }

    #[test]
    fn characters_broken_between_pieces_stay_whole() {
        let mut lines = Lines::default();
        let text = "naïve\nrest".as_bytes();
        let mut got = lines.push(&text[..3]);
        got.extend(lines.push(&text[3..]));
        got.extend(lines.rest());
        assert_eq!(got, ["naïve", "rest"]);
    }

    #[test]
    fn an_endless_line_is_cut_into_pieces() {
        let mut lines = Lines::default();
        let got = lines.push(&vec![b'x'; 3 * LINE + 5]);
        assert_eq!(got.len(), 3);
        assert_eq!(lines.rest().map(|rest| rest.len()), Some(5));
    }

    #[test]
    fn a_long_log_keeps_both_ends_and_says_what_is_missing() {
        let mut log = Log::new(1000);
        for number in 0..10_000 {
            log.push(&format!("line {number}"));
        }
        let text = log.text();
        assert!(text.len() < 1100, "{}", text.len());
        assert!(text.starts_with("line 0\nline 1\n"));
        assert!(text.ends_with("line 9999\n"));
        let whole: u64 = (0..10_000).map(|n| format!("line {n}\n").len() as u64).sum();
        let kept: u64 =
            text.lines().filter(|l| l.starts_with("line")).map(|l| l.len() as u64 + 1).sum();
        assert!(text.contains(&format!("[… {} bytes cut here …]", whole - kept)), "{text}");
    }

    #[test]
    fn a_short_log_is_whole() {
        let mut log = Log::new(100);
        log.push("a");
        log.push("b");
        assert_eq!(log.text(), "a\nb\n");
    }
}
