//! Variables in a word of a Dockerfile, expanded as Docker's own shell lexer does.

use std::iter::Peekable;
use std::str::Chars;

/// Longer than any image reference may be.
const MAX_LENGTH: usize = 4096;
const MAX_DEPTH: usize = 16;

/// Where values come from; `None` is an unset variable.
pub(super) type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The word with quotes removed and `$NAME`, `${NAME}`, `${NAME:-word}`, `${NAME:+word}`,
/// `${NAME:?word}` (and the forms without a colon) replaced; at most 4 KiB.
///
/// # Errors
/// A message where a brace is open, a modifier is not known or a required variable is missing.
pub(super) fn expand(word: &str, value_of: Lookup<'_>) -> Result<String, String> {
    expand_at(word, value_of, 0)
}

fn expand_at(word: &str, value_of: Lookup<'_>, depth: usize) -> Result<String, String> {
    if depth > MAX_DEPTH {
        return Err("variables are nested too deeply".into());
    }
    let mut out = String::new();
    let mut chars = word.chars().peekable();
    let mut double = false;
    while let Some(c) = chars.next() {
        match c {
            '\'' if !double => out.extend(chars.by_ref().take_while(|c| *c != '\'')),
            '"' => double = !double,
            '\\' => out.extend(escaped(&mut chars, double)),
            '$' => out.push_str(&variable(&mut chars, value_of, depth)?),
            c => out.push(c),
        }
        if out.len() > MAX_LENGTH {
            return Err(format!("the value grows beyond {MAX_LENGTH} bytes"));
        }
    }
    Ok(out)
}

fn escaped(chars: &mut Peekable<Chars<'_>>, double: bool) -> Vec<char> {
    match chars.next() {
        Some(c) if double && !matches!(c, '"' | '$' | '\\') => vec!['\\', c],
        Some(c) => vec![c],
        None => vec!['\\'],
    }
}

fn variable(
    chars: &mut Peekable<Chars<'_>>,
    value_of: Lookup<'_>,
    depth: usize,
) -> Result<String, String> {
    if chars.next_if_eq(&'{').is_some() {
        return braced(&inside(chars)?, value_of, depth);
    }
    let mut name = String::new();
    while let Some(c) = chars.next_if(|c| c.is_ascii_alphanumeric() || *c == '_') {
        name.push(c);
    }
    if name.is_empty() { Ok("$".into()) } else { Ok(value_of(&name).unwrap_or_default()) }
}

/// Everything up to the brace that closes the one just opened.
fn inside(chars: &mut Peekable<Chars<'_>>) -> Result<String, String> {
    let (mut text, mut open) = (String::new(), 1);
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                text.push(c);
                text.extend(chars.next());
                continue;
            }
            '$' if chars.peek() == Some(&'{') => open += 1,
            '}' => open -= 1,
            _ => {}
        }
        if open == 0 {
            return Ok(text);
        }
        text.push(c);
    }
    Err(format!("`${{{text}` has no closing brace"))
}

fn braced(text: &str, value_of: Lookup<'_>, depth: usize) -> Result<String, String> {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    let (name, modifier) = text.split_at(end);
    if name.is_empty() {
        return Err(format!("`${{{text}}}` names no variable"));
    }
    let colon = modifier.starts_with(':');
    let value = value_of(name);
    let given = value.as_ref().is_some_and(|value| !colon || !value.is_empty());
    let mut rest = modifier.strip_prefix(':').unwrap_or(modifier).chars();
    match rest.next() {
        None if !colon => Ok(value.unwrap_or_default()),
        Some('-') if given => Ok(value.unwrap_or_default()),
        Some('-') => expand_at(rest.as_str(), value_of, depth + 1),
        Some('+') if given => expand_at(rest.as_str(), value_of, depth + 1),
        Some('+') => Ok(String::new()),
        Some('?') if given => Ok(value.unwrap_or_default()),
        Some('?') => Err(format!("variable {name} is required: {}", rest.as_str())),
        _ => Err(format!("`${{{text}}}` has a modifier that is not known here")),
    }
}

#[cfg(test)]
mod tests {
    use super::expand;

    fn with_values(word: &str) -> Result<String, String> {
        expand(word, &|name| match name {
            "A" => Some("a".into()),
            "TAG_1" => Some("1.2".into()),
            "EMPTY" => Some(String::new()),
            _ => None,
        })
    }

    #[test]
    fn follows_dockers_table() {
        for (word, expected) in [
            ("debian:12", "debian:12"),
            ("$A", "a"),
            ("${A}", "a"),
            ("$A:$TAG_1", "a:1.2"),
            ("x${A}y", "xay"),
            ("$A-b", "a-b"),
            ("$NONE", ""),
            ("${NONE}", ""),
            ("${NONE:-d}", "d"),
            ("${NONE-d}", "d"),
            ("${EMPTY:-d}", "d"),
            ("${EMPTY-d}", ""),
            ("${A:-d}", "a"),
            ("${A:+d}", "d"),
            ("${EMPTY:+d}", ""),
            ("${EMPTY+d}", "d"),
            ("${NONE:+d}", ""),
            ("${NONE:-${A}}", "a"),
            ("${NONE:-${OTHER:-${A}}x}", "ax"),
            ("${NONE:-$A/b}", "a/b"),
            ("${A:?needed}", "a"),
            ("\"$A\"", "a"),
            ("'$A'", "$A"),
            ("\"it's $A\"", "it's a"),
            ("\\$A", "$A"),
            ("\"\\$A\"", "$A"),
            ("\"\\n\"", "\\n"),
            ("a\\", "a\\"),
            ("$", "$"),
            ("$$A", "$a"),
            ("registry:5000/${A}", "registry:5000/a"),
            ("", ""),
        ] {
            assert_eq!(with_values(word), Ok(expected.into()), "{word}");
        }
    }

    #[test]
    fn refuses_what_it_cannot_mean() {
        for word in ["${A", "${", "${}", "${A:}", "${A:=x}", "${A%x}", "${NONE:?say it}"] {
            assert!(with_values(word).is_err(), "{word}");
        }
        assert!(with_values("${NONE:?say it}").unwrap_err().contains("say it"));
    }

    #[test]
    fn stays_small_on_hostile_words() {
        let long = "x".repeat(3_000);
        let grown = expand("$A$A", &|_| Some(long.clone()));
        assert!(grown.unwrap_err().contains("grows"));
        let deep = "${N:-".repeat(200) + &"}".repeat(200);
        assert!(with_values(&deep).unwrap_err().contains("deeply"));
    }

    proptest::proptest! {
        #[test]
        fn never_panics(word in "[$a{}:+?'\"\\\\-]{0,40}") {
            let _ = with_values(&word);
        }
    }
}
