//! `.dockerignore`: moby/patternmatcher's rules, where the last pattern that matches wins.

use regex::Regex;

/// Most patterns of one file.
const MAX_PATTERNS: usize = 1000;
/// Most bytes of one pattern.
const MAX_LENGTH: usize = 1024;

/// One line.
#[derive(Debug)]
struct Pattern {
    regex: Regex,
    negated: bool,
}

/// A parsed file.
#[derive(Debug, Default)]
pub(super) struct Ignore {
    patterns: Vec<Pattern>,
}

/// Which patterns matched a folder or one of its parents.
#[derive(Debug, Clone, Default)]
pub(super) struct Matched(Vec<bool>);

/// A line that is no pattern.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Bad {
    pub line: usize,
    pub message: String,
}

impl Ignore {
    /// Parses the text of a `.dockerignore`.
    pub fn parse(text: &str) -> Result<Self, Bad> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut patterns = Vec::new();
        for (at, line) in text.lines().enumerate() {
            let bad = |message: &str| Bad { line: at + 1, message: message.into() };
            if line.starts_with('#') {
                continue;
            }
            let line = line.trim();
            let (negated, line) = match line.strip_prefix('!') {
                Some(rest) => (true, rest.trim()),
                None => (false, line),
            };
            if line.is_empty() && !negated {
                continue;
            }
            if line.is_empty() {
                return Err(bad("`!` stands alone"));
            }
            if line.len() > MAX_LENGTH || patterns.len() >= MAX_PATTERNS {
                return Err(bad(
                    "the file has more than 1000 patterns or one longer than 1024 bytes",
                ));
            }
            let cleaned = clean(line);
            let translated = translate(&cleaned).ok_or_else(|| bad("the pattern is malformed"))?;
            let regex = Regex::new(&translated).map_err(|_| bad("the pattern is malformed"))?;
            patterns.push(Pattern { regex, negated });
        }
        Ok(Self { patterns })
    }

    /// What of the patterns matches `path` or, by `parent`, a folder above it.
    pub fn matched(&self, parent: &Matched, path: &str) -> Matched {
        let above = |at: usize| parent.0.get(at).copied().unwrap_or(false);
        let each = self.patterns.iter().enumerate();
        Matched(each.map(|(at, pattern)| above(at) || pattern.regex.is_match(path)).collect())
    }

    /// Whether a path with these matches is left out.
    pub fn excludes(&self, matched: &Matched) -> bool {
        let mut hits = self.patterns.iter().zip(&matched.0).filter(|(_, hit)| **hit);
        hits.next_back().is_some_and(|(pattern, _)| !pattern.negated)
    }
}

/// Go's `filepath.Clean`, and no slash in front.
fn clean(pattern: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in pattern.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if pattern.starts_with('/') => {}
            part => parts.push(part),
        }
    }
    if parts.is_empty() { ".".into() } else { parts.join("/") }
}

/// A pattern as a regular expression; `None` where it is malformed.
fn translate(pattern: &str) -> Option<String> {
    let mut regex = String::from("^(?s:");
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '*' if chars.peek() == Some(&'*') => {
                chars.next();
                if chars.peek() == Some(&'/') {
                    chars.next();
                }
                regex.push_str(if chars.peek().is_none() { ".*" } else { "(?:.*/)?" });
            }
            '*' => regex.push_str("[^/]*"),
            '?' => regex.push_str("[^/]"),
            '[' => class(&mut chars, &mut regex)?,
            '\\' => regex.push_str(&regex::escape(&chars.next()?.to_string())),
            c => regex.push_str(&regex::escape(&c.to_string())),
        }
    }
    regex.push_str(")$");
    Some(regex)
}

fn class(chars: &mut std::iter::Peekable<std::str::Chars<'_>>, regex: &mut String) -> Option<()> {
    regex.push('[');
    if chars.peek() == Some(&'^') {
        chars.next();
        regex.push_str("^/");
    }
    let mut empty = true;
    loop {
        let low = match chars.next()? {
            ']' if !empty => break,
            ']' | '-' => return None,
            '\\' => chars.next()?,
            c => c,
        };
        empty = false;
        let mut high = low;
        if chars.peek() == Some(&'-') {
            chars.next();
            high = match chars.next()? {
                ']' => return None,
                '\\' => chars.next()?,
                c => c,
            };
        }
        if high < low {
            return None;
        }
        regex.push_str(&format!("\\x{{{:x}}}-\\x{{{:x}}}", u32::from(low), u32::from(high)));
    }
    regex.push(']');
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether `path` is left out, asked from the top as a walk does.
    fn out(text: &str, path: &str) -> bool {
        let ignore = Ignore::parse(text).unwrap();
        let mut matched = Matched::default();
        let mut so_far = String::new();
        for part in path.split('/') {
            if !so_far.is_empty() {
                so_far.push('/');
            }
            so_far.push_str(part);
            matched = ignore.matched(&matched, &so_far);
        }
        ignore.excludes(&matched)
    }

    #[test]
    fn patterns_of_the_reference() {
        for (text, path, expected) in [
            ("*/temp*", "somedir/temporary.txt", true),
            ("*/temp*", "temporary.txt", false),
            ("*/*/temp*", "a/b/temp", true),
            ("temp?", "tempa", true),
            ("temp?", "temp", false),
            ("**/*.go", "a.go", true),
            ("**/*.go", "x/y/a.go", true),
            ("*.md\n!README.md", "README.md", false),
            ("*.md\n!README*.md\nREADME-secret.md", "README-secret.md", true),
            ("*.md\nREADME-secret.md\n!README*.md", "README-secret.md", false),
            ("docs", "docs/a/b.txt", true),
            ("/docs/", "docs/a", true),
            ("./docs/../x", "x", true),
            ("docs\n!docs/keep", "docs/keep/a", false),
            ("docs\n!docs/keep", "docs/other", true),
            ("**", "a/b", true),
            ("a/**", "a/b/c", true),
            ("a/**/c", "a/c", true),
            ("a/**/c", "a/x/y/c", true),
            ("[a-c]x", "bx", true),
            ("[^a-c]x", "bx", false),
            ("a[*]b", "a*b", true),
            ("a\\*b", "axb", false),
            ("# docs", "# docs", false),
            ("a.b", "axb", false),
            ("*", "dir/file", true),
            ("*\n!src/**", "src/a/b", false),
            ("dir/*.txt", "dir/sub/a.txt", false),
            ("\u{feff}x\r\ny\r\n", "y", true),
        ] {
            assert_eq!(out(text, path), expected, "{text:?} {path}");
        }
    }

    #[test]
    fn malformed_lines_are_named() {
        assert_eq!(Ignore::parse("a\n[x\n").unwrap_err().line, 2);
        assert_eq!(Ignore::parse("!\n").unwrap_err().line, 1);
        assert!(Ignore::parse("a\\").is_err());
        assert!(Ignore::parse(&"x\n".repeat(2000)).is_err());
    }
}
