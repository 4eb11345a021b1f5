//! OpenSSH's pattern lists: `*`, `?`, and `!` that takes back.

/// Whether one of `patterns` matches `name` and no `!` pattern does.
pub(super) fn list_matches<'a>(patterns: impl Iterator<Item = &'a str>, name: &str) -> bool {
    let mut found = false;
    for pattern in patterns {
        match pattern.strip_prefix('!') {
            Some(negated) if matches(negated, name) => return false,
            Some(_) => {}
            None => found = found || matches(pattern, name),
        }
    }
    found
}

/// Whether `pattern` matches the whole of `name`; time is the product of their lengths.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut p, mut n) = (0, 0);
    let mut star = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(byte) if *byte == b'?' || byte.eq_ignore_ascii_case(&name[n]) => {
                p += 1;
                n += 1;
            }
            _ => match &mut star {
                Some((at, from)) => {
                    *from += 1;
                    (p, n) = (*at + 1, *from);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards() {
        assert!(matches("*@example.org", "a@example.org"));
        assert!(matches("a?c*", "abc") && matches("*", "") && matches("*b*b", "abxb"));
        assert!(!matches("a?c", "ac") && !matches("a", "ab") && !matches("*c", "ab"));
        assert!(!list_matches(["*", "!git"].into_iter(), "git"));
    }
}
