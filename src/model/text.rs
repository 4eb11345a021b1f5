//! Text from outside: which of its characters deceive a reader, and text without them.

/// Whether a character is a control character, or invisible and changes how its neighbours look
/// (Unicode general category Cf and kin, such as the overrides of writing direction).
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// `text` on one line, fit for a terminal: U+FFFD stands for each hidden character.
pub fn plain(text: &str) -> String {
    text.replace(is_hidden, "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_deceives_is_marked_and_the_rest_stays() {
        assert_eq!(plain("a\u{1b}[31m\r\nb\u{202e}c"), "a\u{fffd}[31m\u{fffd}\u{fffd}b\u{fffd}c");
        assert_eq!(plain("naïve 夜 \u{1f319}"), "naïve 夜 \u{1f319}");
    }
}
