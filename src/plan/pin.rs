//! The Dockerfile as the daemon gets it: bases pinned, no frontend of its own choosing.

use crate::model::dockerfile::Dockerfile;
use crate::model::plan::{BaseTarget, BaseUse};

/// The Dockerfile with every base replaced by the reference that `reference_of` gives for it (one
/// without an answer stays as it is). A `# syntax=` directive, which would have the daemon fetch and
/// run another frontend, becomes an ordinary comment; the number of lines and all other text stay.
pub fn pin(
    dockerfile: &Dockerfile,
    bases: &[BaseUse],
    reference_of: &dyn Fn(&BaseTarget) -> Option<String>,
) -> String {
    let mut text = dockerfile.text.clone();
    let mut uses: Vec<&BaseUse> = bases.iter().collect();
    uses.sort_by_key(|base| std::cmp::Reverse(base.span.start));
    let mut free = text.len();
    for base in uses {
        if base.span.end > free || text.get(base.span.clone()).is_none() {
            continue;
        }
        if let Some(reference) = reference_of(&base.target) {
            text.replace_range(base.span.clone(), &reference);
            free = base.span.start;
        }
    }
    without_syntax(&text)
}

/// Directives end at the first ordinary comment, so a defused line goes below the others.
fn without_syntax(text: &str) -> String {
    let (head, body) = text.split_at(head_length(text));
    let lines: Vec<&str> = head.split_inclusive('\n').collect();
    let last = lines.iter().rposition(|line| directive(line).is_some_and(|key| key != "syntax"));
    let (mut out, mut held) = (String::with_capacity(text.len()), String::new());
    for (place, line) in lines.iter().enumerate() {
        if directive(line).as_deref() == Some("syntax") {
            let defused = line.replacen('=', ":", 1);
            if last > Some(place) { held.push_str(&defused) } else { out.push_str(&defused) }
        } else {
            out.push_str(line);
        }
        if last == Some(place) {
            out.push_str(&held);
        }
    }
    out + body
}

/// Bytes of the leading lines that are empty or comments.
fn head_length(text: &str) -> usize {
    text.split_inclusive('\n')
        .take_while(|line| {
            let line = line.trim_start_matches('\u{feff}').trim();
            line.is_empty() || line.starts_with('#') || line.starts_with("//")
        })
        .map(str::len)
        .sum()
}

/// The key of a line that reads like a parser directive, lower case.
fn directive(line: &str) -> Option<String> {
    let line = line.trim_start_matches('\u{feff}').trim();
    let (key, value) = line.strip_prefix('#').or(line.strip_prefix("//"))?.split_once('=')?;
    let key = key.trim();
    let word = key.starts_with(|c: char| c.is_ascii_alphabetic())
        && key.bytes().all(|c| c.is_ascii_alphanumeric());
    (word && !value.trim().is_empty()).then(|| key.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(text: &str, token: &str, target: BaseTarget) -> BaseUse {
        let start = text.find(token).unwrap();
        BaseUse { span: start..start + token.len(), target, last: false }
    }

    fn pinned(text: &str, bases: &[BaseUse]) -> String {
        let dockerfile = Dockerfile { text: text.into(), ..Dockerfile::default() };
        pin(&dockerfile, bases, &|target| match target {
            BaseTarget::Image(name) => Some(format!("registry/{name}@pinned")),
            BaseTarget::Outside(reference) if reference == "unknown" => None,
            BaseTarget::Outside(_) => Some("sha256:0".into()),
            BaseTarget::Resource(tag) => Some(tag.clone()),
        })
    }

    #[test]
    fn replaces_only_the_references() {
        let text = "ARG T=1\nFROM --platform=$P base:${T} AS b\nFROM debian:12\n\
                    COPY --from=tool:1 /a /b\nCOPY --from=b /c /d\n";
        let bases = [
            base(text, "base:${T}", BaseTarget::Image("base".into())),
            base(text, "debian:12", BaseTarget::Outside("debian:12".into())),
            base(text, "tool:1", BaseTarget::Outside("unknown".into())),
        ];
        assert_eq!(
            pinned(text, &bases),
            "ARG T=1\nFROM --platform=$P registry/base@pinned AS b\nFROM sha256:0\n\
             COPY --from=tool:1 /a /b\nCOPY --from=b /c /d\n"
        );
    }

    #[test]
    fn a_span_that_does_not_fit_changes_nothing() {
        let target = BaseTarget::Image("a".into());
        for span in [5..900, 6..7, 0..4] {
            let bases = [
                BaseUse { span, target: target.clone(), last: true },
                BaseUse { span: 0..usize::MAX, target: target.clone(), last: true },
            ];
            let text = pinned("FROM é\n", &bases);
            assert!(text.ends_with('\n'));
        }
    }

    #[test]
    fn no_frontend_of_its_own() {
        for (before, after) in [
            ("# syntax=evil/f:1\nFROM a\n", "# syntax:evil/f:1\nFROM a\n"),
            ("#SYNTAX = evil\r\nFROM a\r\n", "#SYNTAX : evil\r\nFROM a\r\n"),
            ("# syntax=e\n# escape=`\nFROM a\n", "# escape=`\n# syntax:e\nFROM a\n"),
            ("# escape=`\n# syntax=e\nFROM a\n", "# escape=`\n# syntax:e\nFROM a\n"),
            ("#!/bin/x\n# syntax=e\nFROM a\n", "#!/bin/x\n# syntax:e\nFROM a\n"),
            ("\n# hello\n# syntax=e\nFROM a\n", "\n# hello\n# syntax:e\nFROM a\n"),
            ("// syntax=e\nFROM a\n", "// syntax:e\nFROM a\n"),
            ("FROM a\n# syntax=e\n", "FROM a\n# syntax=e\n"),
            ("# a = b\nFROM a", "# a = b\nFROM a"),
            ("\u{feff}# syntax=e\nFROM a", "\u{feff}# syntax:e\nFROM a"),
        ] {
            assert_eq!(pinned(before, &[]), after, "{before:?}");
            assert_eq!(before.lines().count(), after.lines().count());
        }
    }
}
