//! Dockerfile text to [`model::dockerfile`](crate::model::dockerfile), spans exact to the byte.

use std::ops::Range;

use ::parse_dockerfile::{
    Flag, HealthcheckArguments, Instruction, Source, Stage as Parsed, UnescapedString,
};

use super::lines::{self, Scan};
use crate::model::dockerfile::{Arg, Dockerfile, Spanned, Stage};

/// A Dockerfile that cannot be parsed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct DockerfileError {
    /// Line, from 1; 0 where the file as a whole is meant.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

/// Parses a Dockerfile; every span of the result is a byte range of `text`.
///
/// # Errors
/// Where the builder would refuse the file, too; with the line.
pub fn parse_dockerfile(text: &str) -> Result<Dockerfile, DockerfileError> {
    let body = text.strip_prefix('\u{feff}').unwrap_or(text);
    let scan = lines::scan(body)?;
    let reader = Reader::new(text, text.len() - body.len(), &scan);
    let parsed = ::parse_dockerfile::parse(&scan.masked)
        .map_err(|error| DockerfileError { line: error.line(), message: format!("{error:#}") })?;
    let syntax = parsed.parser_directives.syntax.as_ref();
    let syntax = syntax.map(|found| reader.spanned(found.value.value, &found.value.span));
    let args = parsed.global_args().flat_map(|arg| reader.args(&arg.arguments)).collect();
    let stages = parsed.stages().map(|stage| reader.stage(&stage)).collect();
    Ok(Dockerfile { text: text.into(), syntax, args, stages })
}

/// The source of an `ADD` that is fetched over the network: `http(s)`, git.
pub(super) fn is_remote(source: &str) -> bool {
    let lower = source.to_ascii_lowercase();
    ["http://", "https://", "ftp://", "git://", "ssh://", "git@"]
        .iter()
        .any(|prefix| lower.starts_with(prefix))
}

/// Turns spans of the masked body into spans and lines of the whole text.
struct Reader<'a> {
    text: &'a str,
    offset: usize,
    scan: &'a Scan,
    starts: Vec<usize>,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str, offset: usize, scan: &'a Scan) -> Self {
        let newlines = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let starts = std::iter::once(0).chain(newlines.map(|(at, _)| at + 1)).collect();
        Self { text, offset, scan, starts }
    }

    fn spanned(&self, value: &str, span: &Range<usize>) -> Spanned {
        let span = span.start + self.offset..span.end + self.offset;
        let line = self.starts.partition_point(|start| *start <= span.start);
        Spanned { value: value.to_owned(), span, line }
    }

    fn line(&self, at: usize) -> usize {
        self.starts.partition_point(|start| *start <= at + self.offset)
    }

    fn word(&self, word: &UnescapedString<'_>) -> Spanned {
        self.spanned(&unquoted(&word.value, self.scan.escape), &word.span)
    }

    fn args(&self, arguments: &UnescapedString<'_>) -> Vec<Arg> {
        let line = self.line(arguments.span.start);
        quoted_words(&arguments.value, self.scan.escape)
            .into_iter()
            .map(|word| match word.split_once('=') {
                Some((name, value)) => Arg {
                    name: name.to_owned(),
                    default: Some(unquoted(value, self.scan.escape)),
                    line,
                },
                None => Arg { name: word, default: None, line },
            })
            .collect()
    }

    fn stage(&self, parsed: &Parsed<'_, '_>) -> Stage {
        let name = parsed.from.as_.as_ref().map(|(_, name)| name.value.to_ascii_lowercase());
        let platform = flag(&parsed.from.options, "platform");
        let mut stage = Stage {
            name,
            platform: platform.map(|value| unquoted(&value.value, self.scan.escape)),
            from: self.word(&parsed.from.image),
            args: Vec::new(),
            uses: Vec::new(),
            copies: Vec::new(),
            onbuild: Vec::new(),
            user: None,
            healthcheck: false,
            labels: Vec::new(),
            adds: Vec::new(),
        };
        for instruction in parsed.instructions {
            self.instruction(instruction, &mut stage);
        }
        stage
    }

    fn instruction(&self, instruction: &Instruction<'_>, stage: &mut Stage) {
        match instruction {
            Instruction::Arg(arg) => stage.args.extend(self.args(&arg.arguments)),
            Instruction::Copy(copy) => self.copy(&copy.options, &copy.src, stage),
            Instruction::Add(add) => {
                stage.adds.push(self.line(add.add.span.start));
                self.copy(&add.options, &add.src, stage);
            }
            Instruction::Run(run) => {
                let mounts = run.options.iter().filter(|option| option.name.value == "mount");
                let values = mounts.filter_map(|option| option.value.as_ref());
                stage.uses.extend(values.filter_map(|value| self.mount_source(value)));
            }
            Instruction::Onbuild(onbuild) => {
                stage.onbuild.push(self.whole(onbuild.onbuild.span.start));
            }
            Instruction::User(user) => stage.user = Some(self.word(&user.arguments)),
            Instruction::Healthcheck(check) => {
                stage.healthcheck = matches!(check.arguments, HealthcheckArguments::Cmd { .. });
            }
            Instruction::Label(label) => stage.labels.push(self.line(label.label.span.start)),
            _ => {}
        }
    }

    fn copy(&self, options: &[Flag<'_>], sources: &[Source<'_>], stage: &mut Stage) {
        if let Some(from) = flag(options, "from") {
            stage.uses.push(self.word(from));
            return;
        }
        for source in sources {
            if let Source::Path(path) = source
                && !self.scan.heredocs.contains(&path.span.start)
            {
                stage.copies.push(self.word(path));
            }
        }
    }

    /// The `from=` of a `RUN --mount`, BuildKit's comma-separated fields.
    fn mount_source(&self, value: &UnescapedString<'_>) -> Option<Spanned> {
        let raw = &self.text[value.span.start + self.offset..value.span.end + self.offset];
        let bytes = lines::joined(raw, self.scan.escape);
        for field in bytes.split(|(byte, _)| *byte == b',') {
            let text: Vec<u8> = field.iter().map(|(byte, _)| *byte).collect();
            let text = String::from_utf8_lossy(&text).into_owned();
            let skip = text.len() - text.trim_start_matches('"').len();
            let text = text[skip..].trim_end_matches('"');
            let Some((key, found)) = text.split_once('=') else { continue };
            if !key.eq_ignore_ascii_case("from") || found.is_empty() {
                continue;
            }
            let from = skip + key.len() + 1;
            let (first, last) = (field.get(from)?.1, field.get(from + found.len() - 1)?.1);
            let start = value.span.start;
            return Some(self.spanned(found, &(start + first..start + last + 1)));
        }
        None
    }

    /// The trigger of the `ONBUILD` at `at`: everything behind the keyword.
    fn whole(&self, at: usize) -> Spanned {
        let body = &self.text[self.offset..];
        let found = self.scan.instructions.iter().find(|range| range.start == at);
        let range = found.cloned().unwrap_or(at..at);
        let raw = &body[range.clone()];
        let kept = lines::joined(raw, self.scan.escape);
        let blank = |byte: &u8| byte.is_ascii_whitespace();
        let skip = kept.iter().position(|(byte, _)| blank(byte)).unwrap_or(kept.len());
        let skip = skip + kept[skip..].iter().take_while(|(byte, _)| blank(byte)).count();
        let start = kept.get(skip).map_or(raw.len(), |(_, at)| *at);
        let value: Vec<u8> = kept[skip..].iter().map(|(byte, _)| *byte).collect();
        let value = String::from_utf8_lossy(&value).into_owned();
        self.spanned(&value, &(range.start + start..range.end))
    }
}

fn flag<'a, 'b>(options: &'b [Flag<'a>], name: &str) -> Option<&'b UnescapedString<'a>> {
    options.iter().rev().find(|option| option.name.value == name)?.value.as_ref()
}

/// Splits at white space outside quotes; quotes and escapes stay.
fn quoted_words(text: &str, escape: u8) -> Vec<String> {
    let mut words = Vec::new();
    let (mut word, mut quote) = (String::new(), None);
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match quote {
            None if c.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                continue;
            }
            None if c == '"' || c == '\'' => quote = Some(c),
            Some(open) if open == c => quote = None,
            _ => {}
        }
        word.push(c);
        if c == char::from(escape) && quote != Some('\'') {
            word.extend(chars.next());
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// Removes quotes and resolves escapes as the builder's word lexer does; an escaped `$` stays escaped.
fn unquoted(text: &str, escape: u8) -> String {
    let escape = char::from(escape);
    let mut plain = String::with_capacity(text.len());
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match quote {
            None if c == '"' || c == '\'' => quote = Some(c),
            Some(open) if open == c => quote = None,
            _ if c == escape && quote != Some('\'') => match chars.next() {
                Some('$') => plain.extend([escape, '$']),
                Some(next) if quote.is_none() || next == '"' || next == escape => plain.push(next),
                Some(next) => plain.extend([escape, next]),
                None => plain.push(escape),
            },
            _ => plain.push(c),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Dockerfile {
        let parsed = parse_dockerfile(text).expect(text);
        assert_eq!(parsed.text, text);
        parsed
    }

    /// What stands at the span, which a build would replace.
    fn at<'a>(parsed: &'a Dockerfile, spanned: &Spanned) -> &'a str {
        &parsed.text[spanned.span.clone()]
    }

    #[test]
    fn stages_arguments_and_references() {
        let text = "# syntax=docker/dockerfile:1\nARG BASE_REGISTRY=r BASE_IMAGE=\"a b\"\nARG BASE_TAG\n\
                    FROM --platform=$BUILDPLATFORM golang:1.22 AS Build\nARG x='1'\nCOPY go.mod go.sum ./\n\
                    RUN --mount=type=bind,from=tools:1,target=/t --mount=type=cache,target=/c go build\n\
                    FROM ${BASE_REGISTRY}/${BASE_IMAGE}:${BASE_TAG}\nCOPY --from=build /x /x\nADD a.tar /\n\
                    USER 1001:0\nHEALTHCHECK CMD true\nLABEL a=b\n";
        let parsed = parse(text);
        assert_eq!(parsed.syntax.as_ref().map(|s| at(&parsed, s)), Some("docker/dockerfile:1"));
        let args: Vec<_> =
            parsed.args.iter().map(|a| (a.name.as_str(), a.default.as_deref())).collect();
        assert_eq!(
            args,
            [("BASE_REGISTRY", Some("r")), ("BASE_IMAGE", Some("a b")), ("BASE_TAG", None)]
        );
        let [build, last] = parsed.stages.as_slice() else { panic!("two stages") };
        assert_eq!(build.name.as_deref(), Some("build"));
        assert_eq!(build.platform.as_deref(), Some("$BUILDPLATFORM"));
        assert_eq!((at(&parsed, &build.from), build.from.line), ("golang:1.22", 4));
        assert_eq!(build.args[0].default.as_deref(), Some("1"));
        assert_eq!(at(&parsed, &build.uses[0]), "tools:1");
        assert_eq!(build.uses.len(), 1);
        let copies: Vec<_> = build.copies.iter().map(|c| at(&parsed, c)).collect();
        assert_eq!(copies, ["go.mod", "go.sum"]);
        assert_eq!(at(&parsed, &last.from), "${BASE_REGISTRY}/${BASE_IMAGE}:${BASE_TAG}");
        assert_eq!(at(&parsed, &last.uses[0]), "build");
        assert_eq!(last.user.as_ref().map(|u| u.value.as_str()), Some("1001:0"));
        assert!(last.healthcheck && !build.healthcheck);
        assert_eq!(
            (last.labels.as_slice(), last.adds.as_slice()),
            ([13].as_slice(), [10].as_slice())
        );
    }

    #[test]
    fn spans_survive_bom_crlf_and_the_escape_directive() {
        let text = "\u{feff}# escape=`\r\nFROM deb`\r\n# between\r\nian:12 AS a\r\n\
                    RUN --mount=type=bind,fr`\r\nom=oth`\r\ner:1 x `\r\n  y\r\nCOPY --from=third c:\\x d\r\nUSER u\r\n";
        let parsed = parse(text);
        let stage = &parsed.stages[0];
        assert_eq!(stage.from.value, "debian:12");
        assert_eq!(at(&parsed, &stage.from), "deb`\r\n# between\r\nian:12");
        assert_eq!((stage.from.line, stage.name.as_deref()), (2, Some("a")));
        assert_eq!((stage.uses[0].value.as_str(), stage.uses[0].line), ("other:1", 6));
        assert_eq!(at(&parsed, &stage.uses[0]), "oth`\r\ner:1");
        assert_eq!((at(&parsed, &stage.uses[1]), stage.uses[1].line), ("third", 9));
        assert_eq!(stage.user.as_ref().map(|u| u.value.as_str()), Some("u"));
    }

    #[test]
    fn heredocs_are_not_instructions() {
        let text = "FROM a\nRUN cat <<EOF > /x && cat <<-'B' >/y\nFROM evil\nEOF\n\tLABEL x\n\tB\n\
                    COPY <<one <<\"two\" real /d/\nUSER no\none\nCOPY no no\ntwo\nRUN <<E\nHEALTHCHECK CMD x\nE\n\
                    RUN a <<< \"s\"\nUSER yes\nFROM b\n";
        let parsed = parse(text);
        assert_eq!(parsed.stages.len(), 2);
        let stage = &parsed.stages[0];
        assert_eq!(stage.user.as_ref().map(|u| u.value.as_str()), Some("yes"));
        let copies: Vec<_> = stage.copies.iter().map(|c| at(&parsed, c)).collect();
        assert_eq!(copies, ["real"]);
        assert!(stage.labels.is_empty() && !stage.healthcheck);
        assert_eq!((at(&parsed, &parsed.stages[1].from), parsed.stages[1].from.line), ("b", 17));
        let error = parse_dockerfile("FROM a\nRUN <<EOF\nx\n").unwrap_err();
        assert_eq!(error.line, 2);
        assert!(error.message.contains("EOF"), "{error}");
    }

    #[test]
    fn several_escapes_do_not_continue_a_line() {
        let parsed = parse("FROM a\nRUN echo \\\\\nUSER b\n");
        assert_eq!(parsed.stages[0].user.as_ref().map(|u| u.value.as_str()), Some("b"));
    }

    #[test]
    fn triggers_are_kept_whole() {
        let text = "FROM a\nONBUILD COPY --from=x \\\n  a \\\n  b\nONBUILD RUN x\n";
        let parsed = parse(text);
        let stage = &parsed.stages[0];
        assert_eq!(stage.onbuild[0].value, "COPY --from=x   a   b");
        assert_eq!(at(&parsed, &stage.onbuild[0]), "COPY --from=x \\\n  a \\\n  b");
        assert_eq!(stage.onbuild[1].value, "RUN x");
        assert!(stage.uses.is_empty() && stage.copies.is_empty());
    }

    #[test]
    fn quotes_and_json() {
        let parsed = parse(
            "ARG A=\"x \\\"y\\\"\" B='$z' C=\\$d\nFROM \"a:1\"\nCOPY [\"my file\", \"/d\"]\n",
        );
        let defaults: Vec<_> = parsed.args.iter().filter_map(|a| a.default.as_deref()).collect();
        assert_eq!(defaults, ["x \"y\"", "$z", "\\$d"]);
        assert_eq!(parsed.stages[0].from.value, "a:1");
        assert_eq!(at(&parsed, &parsed.stages[0].from), "\"a:1\"");
        assert_eq!(parsed.stages[0].copies[0].value, "my file");
    }

    #[test]
    fn errors_name_the_line() {
        let line = |text: &str| parse_dockerfile(text).unwrap_err().line;
        assert_eq!(line("FROM a\n\nNONSENSE x\n"), 3);
        assert_eq!(line("\u{feff}RUN x\n"), 1);
        assert_eq!(line(""), 0);
        assert_eq!(line("FROM a AS x\nFROM b AS x\n"), 2);
    }

    proptest::proptest! {
        #[test]
        fn nothing_panics_and_spans_lie_inside(
            words in proptest::collection::vec(
                proptest::sample::select(vec![
                    "FROM ", "RUN ", "COPY ", "ADD ", "ONBUILD ", "ARG ", "HEALTHCHECK ", "USER ", "\n",
                    "\r\n", "\\\n", "\\", "`", "# escape=`\n", "#", "<<EOF", "EOF", "--from=", "--mount=",
                    "from=a", ",", "\"", "'", "[", "]", "é", " ", "\t", "=", "a", "CMD ", "NONE", "\r", "VOLUME ",
                    "EXPOSE ", "SHELL ", "LABEL ", "ENV ", "AS ", "\u{feff}", "\0", "<<-'x'", "\\\r\n",
                ]),
                0..40,
            ),
        ) {
            let text = words.concat();
            if let Ok(parsed) = parse_dockerfile(&text) {
                for stage in &parsed.stages {
                    let spans = [&stage.from].into_iter().chain(&stage.uses).chain(&stage.copies);
                    for spanned in spans.chain(&stage.onbuild).chain(&stage.user) {
                        assert!(parsed.text.get(spanned.span.clone()).is_some(), "{spanned:?}");
                    }
                }
            }
        }
    }
}
