//! An image as the tar of `docker save`, read while the daemon writes it.

use std::io::{self, Read};
use std::path::PathBuf;
use std::time::Duration;

use bytes::{Buf, Bytes};
use futures_util::{Stream, StreamExt};
use tokio::sync::mpsc;

use super::{Daemon, Error};
use crate::model::inventory::Unpacked;

/// Longest silence of the daemon in the middle of an export.
const SILENCE: Duration = Duration::from_secs(120);

/// Pieces between the daemon and the reader, at most this many at once.
const PIECES: usize = 16;

/// Blocking reader of an image's tar; read it where blocking is allowed (`spawn_blocking`).
/// Dropping it stops the export.
#[derive(Debug)]
pub struct ImageReader {
    pieces: mpsc::Receiver<io::Result<Bytes>>,
    piece: Bytes,
}

impl Daemon {
    /// Opens the `docker save` tar of an image; nothing is written to this side's disk and the
    /// daemon waits for the reader. Two minutes of silence end it with an error.
    ///
    /// # Errors
    /// Where the image is not there or the daemon does not answer; later trouble comes as an
    /// error of the reader.
    pub async fn export_reader(&self, id: &str) -> Result<ImageReader, Error> {
        super::images::check(id)?;
        let mut stream = Box::pin(self.docker.export_image(id));
        let what = || format!("exporting {id}");
        let first = match tokio::time::timeout(SILENCE, stream.next()).await {
            Ok(Some(Ok(first))) => first,
            Ok(Some(Err(error))) => return Err(Error::of(what(), error)),
            Ok(None) => Bytes::new(),
            Err(_) => return Err(Error::Connection { what: what(), message: silence() }),
        };
        let (sender, pieces) = mpsc::channel(PIECES);
        tokio::spawn(forward(stream, sender));
        Ok(ImageReader { pieces, piece: first })
    }
}

impl Daemon {
    /// The folders of an image's layers, where the daemon shares this machine's file system, keeps
    /// images with overlay2, and lets us read them; `None` means that the image must be exported.
    pub async fn unpacked(&self, id: &str) -> Option<Unpacked> {
        let about = self.about();
        if !self.local() || about.containerd_store {
            return None;
        }
        let driver = self.docker.inspect_image(id).await.ok()?.graph_driver?;
        let data = driver.data;
        let upper = data.get("UpperDir").filter(|_| driver.name == "overlay2")?;
        let lower = data.get("LowerDir").map_or("", String::as_str);
        let lower = lower.split(':').rev().filter(|path| !path.is_empty());
        let layers: Vec<PathBuf> = lower.chain([upper.as_str()]).map(PathBuf::from).collect();
        let hex = id.strip_prefix("sha256:")?;
        let config = about.root.join("image/overlay2/imagedb/content/sha256").join(hex);
        let inside = layers.iter().all(|layer| layer.starts_with(&about.root));
        let readable = config.is_file() && layers.iter().all(|layer| layer.read_dir().is_ok());
        // Without it, the marks of hidden folders cannot be read.
        let trusted = rustix::process::geteuid().is_root();
        (inside && readable && trusted).then_some(Unpacked { config, layers })
    }
}

async fn forward(
    mut stream: impl Stream<Item = Result<Bytes, bollard::errors::Error>> + Unpin,
    sender: mpsc::Sender<io::Result<Bytes>>,
) {
    loop {
        let piece = tokio::select! {
            () = sender.closed() => return,
            next = tokio::time::timeout(SILENCE, stream.next()) => match next {
                Ok(None) => return,
                Ok(Some(Ok(piece))) => Ok(piece),
                Ok(Some(Err(error))) => Err(io::Error::other(super::chain(&error))),
                Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, silence())),
            },
        };
        let last = piece.is_err();
        if sender.send(piece).await.is_err() || last {
            return;
        }
    }
}

fn silence() -> String {
    format!("the daemon was silent for {} s", SILENCE.as_secs())
}

impl Read for ImageReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.pieces.blocking_recv() {
                None => return Ok(0),
                Some(piece) => self.piece = piece?,
            }
        }
        let count = buffer.len().min(self.piece.len());
        self.piece.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}
