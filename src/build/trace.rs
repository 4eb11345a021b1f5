//! The daemon's messages, BuildKit's trace and the classic builder's lines, told to a transcript.

use bollard::moby::buildkit::v1::{StatusResponse, Vertex};
use bollard::models::{BuildInfo, BuildInfoAux};

use super::transcript::{End, Stream, Transcript};

/// Follows one build's messages.
#[derive(Debug)]
pub(super) struct Trace {
    pub(super) transcript: Transcript,
    /// The image id, once the daemon has named one.
    pub(super) id: Option<String>,
    step: String,
}

impl Trace {
    /// With a log of about `cap` bytes.
    pub(super) fn new(cap: usize) -> Self {
        Self { transcript: Transcript::new(cap), id: None, step: String::new() }
    }

    /// Takes one message; `progress` gets a line for each step that begins.
    pub(super) fn take(&mut self, info: BuildInfo, progress: &(dyn Fn(String) + Send + Sync)) {
        match info.aux {
            Some(BuildInfoAux::BuildKit(status)) => self.status(status, progress),
            Some(BuildInfoAux::Default(image)) => self.id = image.id.or(self.id.take()),
            None => {}
        }
        if let Some(text) = info.stream {
            self.classic(&text, progress);
        }
    }

    /// The error of a build that ended with the daemon's `message`.
    pub(super) fn error(&mut self, message: &str) -> String {
        if !self.step.is_empty() {
            let step = self.step.clone();
            self.transcript.end(&step, End::Failed(message));
        }
        self.transcript.note(&super::log::clean(message.replace('\n', " ").as_bytes()));
        self.transcript.error(message)
    }

    fn status(&mut self, status: StatusResponse, progress: &(dyn Fn(String) + Send + Sync)) {
        for vertex in &status.vertexes {
            if vertex.started.is_some()
                && let Some(line) = self.transcript.begin(&vertex.digest, &vertex.name)
            {
                progress(line);
            }
        }
        for log in &status.logs {
            let stream = if log.stream == 2 { Stream::Err } else { Stream::Out };
            self.transcript.output(&log.vertex, stream, &log.msg);
        }
        for warning in &status.warnings {
            let line = super::log::clean(&warning.short);
            self.transcript.note(&format!("warning: {line}"));
        }
        for vertex in &status.vertexes {
            if let Some(end) = ended(vertex) {
                self.transcript.end(&vertex.digest, end);
            }
        }
    }

    /// `Step 2/4 : RUN x` begins a step, `---> …` is the daemon's own, the rest is output.
    fn classic(&mut self, text: &str, progress: &(dyn Fn(String) + Send + Sync)) {
        if let Some((place, name)) = text.strip_prefix("Step ").and_then(|s| s.split_once(" : ")) {
            let last = std::mem::replace(&mut self.step, place.to_owned());
            if !last.is_empty() {
                self.transcript.end(&last, End::Done);
            }
            if let Some(line) = self.transcript.begin(place, &format!("[{place}] {name}")) {
                progress(line);
            }
        } else if text.starts_with(" ---> Using cache") {
            let step = self.step.clone();
            self.transcript.end(&step, End::Cached);
        } else if !(text.trim().is_empty()
            || text.starts_with(" ---> ")
            || text.starts_with("Removing intermediate container ")
            || self.step.is_empty())
        {
            let step = self.step.clone();
            // The classic builder paints standard error red and keeps the streams in order.
            let stream = if text.starts_with("\u{1b}[91m") { Stream::Err } else { Stream::Out };
            self.transcript.output(&step, stream, text.as_bytes());
        }
    }
}

fn ended(vertex: &Vertex) -> Option<End<'_>> {
    if !vertex.error.is_empty() {
        Some(End::Failed(&vertex.error))
    } else if vertex.cached {
        Some(End::Cached)
    } else {
        vertex.completed.is_some().then_some(End::Done)
    }
}
