//! Text from outside made safe to show: control and format characters visible, length bounded, lines wrapped.

use crate::model::text::is_hidden;

/// `text` on one line with every control and invisible format character written as `\u{…}`;
/// white space runs become one blank.
pub fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.trim().chars() {
        match c {
            ' ' | '\n' | '\r' | '\t' => {
                if !out.ends_with(' ') {
                    out.push(' ');
                }
            }
            c if is_hidden(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out
}

/// [`visible`], at most `most` characters, the last one `…` where something was cut.
pub fn clip(text: &str, most: usize) -> String {
    // Reading a few more characters than are kept bounds the work on a hostile megabyte.
    let head: String = text.trim_start().chars().take(most.saturating_mul(2) + 16).collect();
    let shown = visible(&head);
    if shown.chars().count() <= most && head.len() >= text.trim().len() {
        return shown;
    }
    let mut cut: String = shown.chars().take(most.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

/// A header's value: one line, no controls, at most `most` characters.
pub fn header(text: &str, most: usize) -> String {
    clip(text, most)
}

/// A spreadsheet cell: a leading `'` where a program would read a formula.
pub fn cell(text: &str) -> String {
    let risky = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let shown = visible(text);
    if risky || shown.starts_with(['=', '+', '-', '@']) { format!("'{shown}") } else { shown }
}

/// Columns of a terminal or a mail reader that `text` takes; East Asian wide characters take two.
pub fn width(text: &str) -> usize {
    text.chars().map(|c| if is_wide(c) { 2 } else { 1 }).sum()
}

/// Breaks every line of `text` at `columns`, continuation lines hanging under the first one's text;
/// a word that is too long is cut.
pub fn wrap(text: &str, columns: usize) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 16);
    for line in text.lines() {
        wrap_line(line.trim_end(), columns, &mut out);
    }
    out
}

fn wrap_line(line: &str, columns: usize, out: &mut String) {
    if width(line) <= columns {
        out.push_str(line);
        out.push('\n');
        return;
    }
    let lead = line.chars().take_while(|c| *c == ' ').count();
    let bullet =
        if line[lead..].starts_with("- ") || line[lead..].starts_with("! ") { 2 } else { 0 };
    let hang = " ".repeat((lead + bullet).min(columns / 2));
    let mut current = " ".repeat(lead.min(columns / 2));
    let mut empty = true;
    for word in line[lead..].split(' ').filter(|word| !word.is_empty()) {
        if !empty && width(&current) + 1 + width(word) > columns {
            out.push_str(&current);
            out.push('\n');
            current.clone_from(&hang);
            empty = true;
        }
        if !empty {
            current.push(' ');
        }
        for c in word.chars() {
            if width(&current) + if is_wide(c) { 2 } else { 1 } > columns {
                out.push_str(&current);
                out.push('\n');
                current.clone_from(&hang);
            }
            current.push(c);
        }
        empty = false;
    }
    out.push_str(&current);
    out.push('\n');
}

fn is_wide(c: char) -> bool {
    matches!(c,
        '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}' | '\u{fe30}'..='\u{fe6f}' | '\u{ff00}'..='\u{ff60}'
        | '\u{ffe0}'..='\u{ffe6}' | '\u{1f300}'..='\u{1faff}' | '\u{20000}'..='\u{3fffd}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_and_bidi_are_shown_not_obeyed() {
        assert_eq!(visible("a\u{202e}gnp.exe"), "a\\u{202e}gnp.exe");
        assert_eq!(visible("x\u{1b}[31mred\u{7}"), "x\\u{1b}[31mred\\u{7}");
        assert_eq!(visible("one\r\nBcc: two"), "one Bcc: two");
        assert_eq!(visible("zero\u{200b}width\u{e0041}"), "zero\\u{200b}width\\u{e0041}");
        assert_eq!(visible("日本語 ñ – fine"), "日本語 ñ – fine");
    }

    #[test]
    fn clipping_is_marked_and_bounded() {
        assert_eq!(clip("abcdef", 6), "abcdef");
        assert_eq!(clip("abcdefg", 6), "abcde…");
        assert_eq!(clip(&"x".repeat(1 << 20), 10).chars().count(), 10);
    }

    #[test]
    fn formulas_in_cells_are_neutralised() {
        for bad in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "  =1"] {
            assert!(cell(bad).starts_with('\''), "{bad:?} → {:?}", cell(bad));
        }
        assert_eq!(cell("CVE-2024-1"), "CVE-2024-1");
    }

    #[test]
    fn long_lines_hang_and_long_words_are_cut() {
        assert_eq!(wrap("  - aaa bbb ccc ddd", 12), "  - aaa bbb\n    ccc ddd\n");
        assert_eq!(wrap("abcdefghij", 4), "abcd\nefgh\nij\n");
        assert!(wrap(&format!("- {}", "日".repeat(100)), 20).lines().all(|l| width(l) <= 20));
    }
}
