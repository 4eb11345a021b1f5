//! One build from the context to the image.

use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufWriter, Write};
use std::pin::pin;
use std::time::Duration;

use bollard::Docker;
use bollard::models::BuildInfo;
use bollard::query_parameters::{BuildImageOptions, BuilderVersion};
use bytes::Bytes;
use futures_util::StreamExt;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::context::{ContextError, context_tar};
use super::trace::Trace;
use super::{Daemon, Error};
use crate::model::build::{BuildEnd, BuildJob, Builder, Built};

/// Pieces of the context on their way to the daemon, at most this many at once.
const PIECES: usize = 8;

/// Bytes of one piece.
const PIECE: usize = 64 * 1024;

/// A time limit that is none.
const FOREVER: Duration = Duration::from_secs(365 * 86_400);

/// Most bytes of labels and build arguments in a request's address; the HTTP client takes 65,534
/// for the whole of it.
const ADDRESS: usize = 60_000;

/// How the daemon's answer ended.
enum Answer {
    Complete,
    Refused(String),
    Broken(Error),
    TimeLimit,
    Cancelled,
}

impl Daemon {
    /// Builds `job`; `progress` gets one line per step. Cancelling stops the daemon's work too.
    ///
    /// # Errors
    /// Where the daemon could not do its part; a build that fails is [`BuildEnd::Failed`].
    pub async fn build(
        &self,
        job: &BuildJob,
        progress: &(dyn Fn(String) + Send + Sync),
        cancel: &CancellationToken,
    ) -> Result<BuildEnd, Error> {
        let began = Instant::now();
        let mut trace = Trace::new(job.limits.log_bytes);
        if let Some(error) = too_wordy(job) {
            return Ok(failed("build", error, trace));
        }
        let (body, context) = stream_context(job);
        let messages = send(self.for_build(job)?, options(job), body);
        let answer = follow(messages, job, &mut trace, progress, cancel).await;
        let context = context.await;
        if let Ok(Err(error)) = context
            && !matches!(error, ContextError::Write(_))
        {
            return Ok(failed("context", error.to_string(), trace));
        }
        match answer {
            Answer::Complete => self.built(job, trace, began).await,
            Answer::Refused(message) => {
                let error = trace.error(&message);
                Ok(failed("build", explain(error, job), trace))
            }
            Answer::Broken(error) => Err(error),
            Answer::TimeLimit => {
                let limit = job.limits.time.as_secs();
                let step = trace.transcript.running().map(|at| format!(" at {at}"));
                let error = format!("not done after {limit} s{}", step.unwrap_or_default());
                trace.transcript.note(&error);
                Ok(failed("time-limit", error, trace))
            }
            Answer::Cancelled => Ok(BuildEnd::Cancelled),
        }
    }

    /// A client for one build: its own, patient, and with what the library's query lacks.
    fn for_build(&self, job: &BuildJob) -> Result<Docker, Error> {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        let extra = query.extend_pairs(super::limits::query(job)).finish();
        let patience = job.limits.time.saturating_add(Duration::from_secs(60));
        let docker = self.another()?.with_timeout(patience).with_request_modifier(move |request| {
            let mut request = super::daemon::registry_auth(request);
            if !extra.is_empty()
                && request.uri().path().ends_with("/build")
                && let Ok(uri) = format!("{}&{extra}", request.uri()).parse()
            {
                *request.uri_mut() = uri;
            }
            request
        });
        Ok(docker)
    }

    /// The facts of what came out, under its names. They are given afterwards: a build that takes
    /// a name itself makes the current engine delete the image that had it.
    async fn built(
        &self,
        job: &BuildJob,
        mut trace: Trace,
        began: Instant,
    ) -> Result<BuildEnd, Error> {
        let what = || format!("building {}", job.image);
        let name = trace.id.take().ok_or_else(|| Error::Connection {
            what: what(),
            message: "the answer ended without an image".into(),
        })?;
        let facts = self.inspect(&name).await?.ok_or_else(|| Error::Connection {
            what: what(),
            message: format!("the daemon does not know {name}, which it has just built"),
        })?;
        for tag in &job.tags {
            self.tag(&facts.id, tag).await?;
        }
        Ok(BuildEnd::Built(Built {
            id: facts.id,
            size: facts.size,
            log: trace.transcript.text(),
            took_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        }))
    }
}

type Messages = mpsc::Receiver<Result<BuildInfo, bollard::errors::Error>>;

/// Sends the build from a thread with its own executor and hands its messages over. The client
/// library leaves a BuildKit session open for as long as its executor lives: one connection for
/// each build until the program ends, were it the program's. Dropping the receiver ends it all.
fn send(docker: Docker, options: BuildImageOptions, body: Body) -> Messages {
    let (sender, messages) = mpsc::channel(64);
    tokio::task::spawn_blocking(move || {
        let executor = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(executor) => executor,
            Err(error) => {
                let _ = sender.blocking_send(Err(error.into()));
                return;
            }
        };
        executor.block_on(async {
            let body = bollard::body_try_stream(body);
            let mut stream = pin!(docker.build_image(options, None, Some(body)));
            loop {
                let next = tokio::select! {
                    () = sender.closed() => return,
                    next = stream.next() => next,
                };
                let Some(message) = next else { return };
                if sender.send(message).await.is_err() {
                    return;
                }
            }
        });
        executor.shutdown_background();
    });
    messages
}

/// Listens until the build ends in one way or another.
async fn follow(
    mut messages: Messages,
    job: &BuildJob,
    trace: &mut Trace,
    progress: &(dyn Fn(String) + Send + Sync),
    cancel: &CancellationToken,
) -> Answer {
    let now = Instant::now();
    let deadline = now.checked_add(job.limits.time).unwrap_or(now + FOREVER);
    loop {
        let next = tokio::select! {
            biased;
            () = cancel.cancelled() => return Answer::Cancelled,
            () = tokio::time::sleep_until(deadline) => return Answer::TimeLimit,
            next = messages.recv() => next,
        };
        match next {
            None => return Answer::Complete,
            Some(Ok(info)) => trace.take(info, progress),
            Some(Err(error)) => return judge(job, error),
        }
    }
}

/// A build that failed, or a daemon that did.
fn judge(job: &BuildJob, error: bollard::errors::Error) -> Answer {
    match Error::of(format!("building {}", job.image), error) {
        // Nobody here cancelled: the daemon is going down.
        Error::Refused { what, message, .. } if message.ends_with("context canceled") => {
            Answer::Broken(Error::Connection { what, message })
        }
        Error::Refused { status, message, .. } if status <= 500 => Answer::Refused(message),
        other => Answer::Broken(other),
    }
}

fn options(job: &BuildJob) -> BuildImageOptions {
    let buildkit = job.builder == Builder::Buildkit;
    BuildImageOptions {
        nocache: !job.cache,
        rm: true,
        forcerm: true,
        buildargs: Some(job.args.clone().into_iter().collect()),
        labels: Some(job.labels.clone().into_iter().collect()),
        networkmode: Some(job.network.clone()),
        platform: job.platform.clone().unwrap_or_default(),
        version: if buildkit { BuilderVersion::BuilderBuildKit } else { BuilderVersion::BuilderV1 },
        session: buildkit.then(session),
        ..BuildImageOptions::default()
    }
}

/// Labels and arguments travel in the request's address, which is bounded.
fn too_wordy(job: &BuildJob) -> Option<String> {
    let words = job.labels.iter().chain(&job.args).flat_map(|(key, value)| [key, value]);
    let encoded = |word: &String| -> usize {
        url::form_urlencoded::byte_serialize(word.as_bytes()).map(str::len).sum()
    };
    // Quotes, colons and commas between them take up to nine bytes a word once encoded.
    let bytes: usize = words.map(|word| 9 + encoded(word)).sum();
    (bytes > ADDRESS).then(|| {
        format!(
            "labels and build arguments take {bytes} bytes in the daemon's address, \
             at most {ADDRESS} fit: shorten them"
        )
    })
}

/// A name that no other build has: the standard library's random hash keys, twice.
fn session() -> String {
    let word = || RandomState::new().hash_one("session");
    format!("{:016x}{:016x}", word(), word())
}

fn failed(stage: &str, error: String, mut trace: Trace) -> BuildEnd {
    BuildEnd::Failed { stage: stage.into(), error, log: trace.transcript.text() }
}

/// Names the limit where the kernel's killer was probably at work.
fn explain(error: String, job: &BuildJob) -> String {
    match job.limits.memory {
        Some(bytes) if error.contains("exit code 137") => {
            format!("{error}; killed, perhaps for its memory limit of {bytes} bytes")
        }
        _ => error,
    }
}

type Body = futures_util::stream::BoxStream<'static, io::Result<Bytes>>;

/// The context as a stream with back-pressure, and the task that writes it.
fn stream_context(job: &BuildJob) -> (Body, JoinHandle<Result<(), ContextError>>) {
    let (sender, receiver) = mpsc::channel(PIECES);
    let job = job.clone();
    let task = tokio::task::spawn_blocking(move || {
        let pieces = Pieces { sender };
        let result = context_tar(&job, BufWriter::with_capacity(PIECE, &pieces));
        if let Err(error) = &result {
            // An upload that merely ended would look complete to the daemon.
            let _ = pieces.sender.blocking_send(Err(io::Error::other(error.to_string())));
        }
        result
    });
    let body = futures_util::stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|piece| (piece, receiver))
    });
    (body.boxed(), task)
}

/// Writes into the channel; an error where nobody listens any more.
struct Pieces {
    sender: mpsc::Sender<io::Result<Bytes>>,
}

impl Write for &Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let piece = Bytes::copy_from_slice(bytes);
        let sent = self.sender.blocking_send(Ok(piece));
        sent.map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
