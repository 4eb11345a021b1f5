//! What a build says while it runs: steps, their last lines, and the line that tells why it failed.

use std::collections::{HashMap, VecDeque};

use super::log::{Lines, Log, brief};

/// Last lines remembered of each running step.
const TAIL: usize = 200;

/// Most steps followed; a Dockerfile with more is logged without step heads.
const STEPS: usize = 10_000;

/// Longest error line, in characters.
const ERROR: usize = 400;

/// A build's steps and its log.
#[derive(Debug)]
pub(super) struct Transcript {
    log: Log,
    steps: HashMap<String, Step>,
    failed: Option<String>,
}

/// One step as far as it is known.
#[derive(Debug, Default)]
struct Step {
    number: usize,
    name: String,
    started: bool,
    ended: bool,
    error: String,
    streams: [Lines; 2],
    tail: VecDeque<(Stream, String)>,
}

/// Where a line of output was written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    /// Standard output, or both where the daemon mixes them.
    Out,
    /// Standard error.
    Err,
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End<'a> {
    /// It ran.
    Done,
    /// The cache had it.
    Cached,
    /// It failed with these words.
    Failed(&'a str),
}

impl Transcript {
    /// An empty one whose log takes about `cap` bytes.
    pub(super) fn new(cap: usize) -> Self {
        Self { log: Log::new(cap), steps: HashMap::new(), failed: None }
    }

    /// A step began; returns its progress line the first time, where people care about it.
    pub(super) fn begin(&mut self, id: &str, name: &str) -> Option<String> {
        let name = name.split_whitespace().collect::<Vec<_>>().join(" ");
        let step = self.step(id)?;
        if step.started {
            return None;
        }
        step.started = true;
        step.name = super::log::clean(name.as_bytes());
        let (number, name) = (step.number, step.name.clone());
        self.log.push(&format!("#{number} {name}"));
        let own = name.starts_with("[internal]") || name == "copy /context /";
        (!own).then(|| brief(&bare(&name), 160))
    }

    /// Output of a step.
    pub(super) fn output(&mut self, id: &str, stream: Stream, bytes: &[u8]) {
        let Some(step) = self.step(id) else {
            return;
        };
        let lines = step.streams[stream as usize].push(bytes);
        self.lines(id, stream, lines);
    }

    /// A line of the build that belongs to no step.
    pub(super) fn note(&mut self, line: &str) {
        self.log.push(line);
    }

    /// A step ended.
    pub(super) fn end(&mut self, id: &str, end: End<'_>) {
        self.flush(id);
        let Some(step) = self.step(id) else {
            return;
        };
        if std::mem::replace(&mut step.ended, true) {
            return;
        }
        let number = step.number;
        match end {
            End::Done => step.tail = VecDeque::new(),
            End::Cached => self.log.push(&format!("#{number} cached")),
            End::Failed(error) => {
                step.error = super::log::clean(error.as_bytes());
                let line = format!("#{number} error: {}", step.error);
                self.log.push(&line);
                if self.failed.is_none() && !error.contains("context canceled") {
                    self.failed = Some(id.to_owned());
                }
            }
        }
    }

    /// The step that began last and has not ended.
    pub(super) fn running(&self) -> Option<String> {
        let open = self.steps.values().filter(|step| step.started && !step.ended);
        open.max_by_key(|step| step.number).map(|step| brief(&bare(&step.name), 120))
    }

    /// The log so far.
    pub(super) fn text(&mut self) -> String {
        let ids: Vec<String> = self.steps.keys().cloned().collect();
        for id in ids {
            self.flush(&id);
        }
        self.log.text()
    }

    /// The line that says what went wrong; `message` is what the daemon said last.
    pub(super) fn error(&self, message: &str) -> String {
        let step = self.failed.as_ref().and_then(|id| self.steps.get(id));
        let said = step.map_or(message, |step| step.error.as_str());
        let told = step.and_then(|step| telling(&step.tail));
        let place = step.map(|step| brief(&bare(&step.name), 120)).unwrap_or_default();
        let line = match (told, exit_code(said), place.is_empty()) {
            (Some(told), Some(code), false) => {
                format!("{} ({place}: exit code {code})", brief(told, ERROR))
            }
            (Some(told), _, false) => format!("{} ({place}: {})", brief(told, ERROR), core(said)),
            (None, Some(code), false) => format!("{place}: exit code {code}"),
            (_, _, false) => format!("{} ({place})", core(said)),
            (_, _, true) => core(said),
        };
        brief(&line, 2 * ERROR)
    }

    fn step(&mut self, id: &str) -> Option<&mut Step> {
        if !self.steps.contains_key(id) {
            if self.steps.len() >= STEPS {
                return None;
            }
            let number = self.steps.len() + 1;
            self.steps.insert(id.to_owned(), Step { number, ..Step::default() });
        }
        self.steps.get_mut(id)
    }

    fn flush(&mut self, id: &str) {
        for stream in [Stream::Out, Stream::Err] {
            let rest = self.steps.get_mut(id).and_then(|s| s.streams[stream as usize].rest());
            self.lines(id, stream, rest.into_iter().collect());
        }
    }

    fn lines(&mut self, id: &str, stream: Stream, lines: Vec<String>) {
        let Some(step) = self.steps.get_mut(id) else {
            return;
        };
        for line in lines {
            self.log.push(&format!("#{} {line}", step.number));
            if step.tail.len() == TAIL {
                step.tail.pop_front();
            }
            step.tail.push_back((stream, line));
        }
    }
}

/// `[build 3/7] RUN x` as `build 3/7 RUN x`.
fn bare(name: &str) -> String {
    match name.strip_prefix('[').and_then(|rest| rest.split_once("] ")) {
        Some((place, rest)) => format!("{place} {rest}"),
        None => name.to_owned(),
    }
}

/// The most telling of a failed step's last lines: the first that is marked as an error, else the
/// first that reads like one, else the last one written to standard error, else the last one.
fn telling(tail: &VecDeque<(Stream, String)>) -> Option<&str> {
    let lines = || tail.iter().map(|(_, line)| line.trim()).filter(|line| !line.is_empty());
    lines().find(|line| marked(line)).or_else(|| lines().find(|line| plaintive(line))).or_else(
        || {
            let errors = tail.iter().rev().filter(|(stream, _)| *stream == Stream::Err);
            errors
                .map(|(_, line)| line.trim())
                .find(|line| !line.is_empty())
                .or(lines().next_back())
        },
    )
}

/// Lines that a program marks as an error: `E: …` (apt), `error: …`, `file.c:1:2: error: …`,
/// `ERROR: …` (pip), `npm error …`, `ValueError: …` (Python), `fatal: …` (git).
fn marked(line: &str) -> bool {
    let lower = line.to_ascii_lowercase();
    let starts =
        ["e: ", "error:", "error ", "fatal:", "fatal error:", "npm err! ", "npm error ", "error["];
    if starts.iter().any(|start| lower.starts_with(start)) || lower.contains(": error:") {
        return !lower.starts_with("npm err! code") && !lower.starts_with("npm error code");
    }
    lower.contains(": fatal error:")
        || line.split_once(": ").is_some_and(|(kind, _)| {
            (kind.ends_with("Error") || kind.ends_with("Exception")) && !kind.contains(' ')
        })
}

/// Lines that read like a failure.
fn plaintive(line: &str) -> bool {
    let lower = line.to_ascii_lowercase();
    [
        "not found",
        "no such file",
        "permission denied",
        "cannot ",
        "can't ",
        "could not ",
        "unable to ",
        "failed",
        "no space left",
        "undefined reference",
        "segmentation fault",
        "killed",
        "out of memory",
        "does not exist",
        "error",
    ]
    .iter()
    .any(|word| lower.contains(word))
}

/// `exit code: N` (BuildKit) or `returned a non-zero code: N` (classic).
fn exit_code(message: &str) -> Option<u32> {
    let (_, rest) = message
        .rsplit_once("exit code: ")
        .or_else(|| message.rsplit_once("returned a non-zero code: "))?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// A daemon's message without the layers it was handed through.
fn core(message: &str) -> String {
    const LAYERS: [&str; 8] = [
        "failed to solve: ",
        "failed to solve with frontend dockerfile.v0: ",
        "rpc error: code = Unknown desc = ",
        "failed to create LLB definition: ",
        "failed to build LLB: ",
        "failed to compute cache key: ",
        "failed to read dockerfile: ",
        "failed to prepare: ",
    ];
    let mut rest = message.trim();
    loop {
        let before = rest;
        for layer in LAYERS {
            rest = rest.strip_prefix(layer).unwrap_or(rest);
        }
        if rest.starts_with("failed to calculate checksum of ref ")
            && let Some((_, end)) = rest.split_once(": ")
        {
            rest = end;
        }
        if rest == before {
            return brief(&super::log::clean(rest.replace('\n', " ").as_bytes()), ERROR);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failing(output: &[(Stream, &str)], error: &str) -> String {
        let mut transcript = Transcript::new(10_000);
        transcript.begin("a", "[2/3] RUN apt-get install -y nope");
        for (stream, text) in output {
            transcript.output("a", *stream, text.as_bytes());
        }
        transcript.end("a", End::Failed(error));
        transcript.error("failed to solve: whatever")
    }

    #[test]
    fn the_programs_own_error_comes_first() {
        let error = failing(
            &[
                (Stream::Out, "Reading package lists...\n"),
                (Stream::Err, "E: Unable to locate package nope\nE: second\n"),
            ],
            "process \"/bin/sh -c apt-get install -y nope\" did not complete successfully: exit code: 100",
        );
        assert_eq!(
            error,
            "E: Unable to locate package nope (2/3 RUN apt-get install -y nope: exit code 100)"
        );
    }

    #[test]
    fn a_shells_complaint_and_a_traceback_are_found() {
        let error = failing(
            &[(Stream::Out, "ok\n"), (Stream::Err, "/bin/sh: 1: foo: not found\nbye\n")],
            "exit code: 127",
        );
        assert!(error.starts_with("/bin/sh: 1: foo: not found ("), "{error}");
        let trace = "Traceback (most recent call last):\n  File \"x\", line 1\nModuleNotFoundError: No module named 'x'\n";
        let error = failing(&[(Stream::Err, trace)], "exit code: 1");
        assert!(error.starts_with("ModuleNotFoundError: No module named 'x' ("), "{error}");
    }

    #[test]
    fn silence_leaves_the_step_and_its_code() {
        assert_eq!(failing(&[], "exit code: 7"), "2/3 RUN apt-get install -y nope: exit code 7");
    }

    #[test]
    fn a_missing_file_is_named_without_the_daemons_layers() {
        let mut transcript = Transcript::new(1000);
        transcript.begin("a", "[2/2] COPY nope /nope");
        transcript.end(
            "a",
            End::Failed("failed to compute cache key: failed to calculate checksum of ref x::y: \"/nope\": not found"),
        );
        assert_eq!(transcript.error(""), "\"/nope\": not found (2/2 COPY nope /nope)");
    }

    #[test]
    fn steps_cancelled_by_another_ones_failure_are_not_blamed() {
        let mut transcript = Transcript::new(1000);
        transcript.begin("a", "[a 1/2] RUN sleep 9");
        transcript.begin("b", "[b 1/2] RUN false");
        transcript.end("a", End::Failed("context canceled"));
        transcript.end("b", End::Failed("exit code: 1"));
        assert_eq!(transcript.error(""), "b 1/2 RUN false: exit code 1");
    }

    #[test]
    fn progress_comes_once_per_step_and_not_for_internals() {
        let mut transcript = Transcript::new(1000);
        assert_eq!(transcript.begin("x", "[internal] load build definition"), None);
        assert_eq!(
            transcript.begin("a", "[3/7] RUN  apt-get\n update").as_deref(),
            Some("3/7 RUN apt-get update")
        );
        assert_eq!(transcript.begin("a", "[3/7] RUN apt-get update"), None);
    }
}
