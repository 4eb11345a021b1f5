//! One layer, read once: names and modes of its entries, and of the files that matter their content.

use std::io::{self, BufReader, Read};

use sha2::{Digest, Sha256};

use crate::model::finding::Finding;
use crate::model::inventory::FileSeen;

use super::gaps::Gaps;
use super::kept::{Interest, Kept, has_content};
use super::limits::Limits;
use super::tarball::{self, Kind, Tarball};
use super::{Inspect, golang};

pub(super) const BUFFER: usize = 256 << 10;
const NOTHING: u32 = u32::MAX;

/// What all layers of an image may cost together.
#[derive(Debug)]
pub(super) struct Budget {
    /// Bytes that may still be kept.
    pub bytes: u64,
    /// Secrets that may still be kept.
    pub secrets: usize,
}

impl Budget {
    /// The whole budget.
    pub fn new(limits: &Limits) -> Self {
        Self { bytes: limits.kept_bytes, secrets: limits.secrets }
    }

    fn take(&mut self, bytes: u64) -> bool {
        let enough = self.bytes >= bytes;
        self.bytes = self.bytes.saturating_sub(bytes);
        enough
    }
}

/// A layer's content, in the order of its tar.
#[derive(Debug, Default)]
pub(super) struct Layer {
    /// The diff id: `sha256:…` of the uncompressed tar; empty for a folder.
    pub digest: String,
    /// Uncompressed bytes.
    pub size: u64,
    /// Its entries.
    pub entries: Vec<Entry>,
    /// Paths that a whiteout removes from the layers below.
    pub removed: Vec<String>,
    /// Folders whose content in the layers below is hidden.
    pub opaque: Vec<String>,
    /// What the inspection found.
    pub secrets: Vec<Finding>,
    /// What could not be read.
    pub gaps: Gaps,
    names: String,
    kept: Vec<Kept>,
}

/// An entry; its strings lie in the layer's arena.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    at: u32,
    path: u16,
    link: u16,
    kept: u32,
    /// Permission bits, the lower twelve.
    pub mode: u16,
    /// What it is.
    pub kind: Kind,
    /// Whether it is a file without content.
    pub empty: bool,
}

/// What is known of an entry before its content.
#[derive(Debug, Clone, Copy)]
pub(super) struct Meta<'a> {
    /// Normalised path.
    pub path: &'a str,
    /// Link target as written.
    pub link: &'a str,
    /// Permission bits, the lower twelve.
    pub mode: u16,
    /// What it is.
    pub kind: Kind,
    /// Bytes of content.
    pub size: u64,
}

impl Layer {
    /// An entry's path, without a leading slash.
    pub fn path(&self, entry: &Entry) -> &str {
        let at = entry.at as usize;
        &self.names[at..at + usize::from(entry.path)]
    }

    /// A link's target: as written for a symbolic link, normalised for a hard link.
    pub fn link(&self, entry: &Entry) -> &str {
        let at = entry.at as usize + usize::from(entry.path);
        &self.names[at..at + usize::from(entry.link)]
    }

    /// What was kept of an entry's content.
    pub fn kept(&self, entry: &Entry) -> Option<&Kept> {
        self.kept.get(entry.kept as usize)
    }

    /// Bytes it costs to keep, roughly.
    pub fn cost(&self) -> u64 {
        let kept: u64 = self.kept.iter().map(Kept::cost).sum();
        let names = self.names.len() + self.entries.len() * size_of::<Entry>();
        kept + (names + self.secrets.len() * 1024) as u64
    }

    fn push(&mut self, meta: &Meta<'_>, kept: Option<Kept>) {
        let kept = kept.map_or(NOTHING, |kept| {
            self.kept.push(kept);
            (self.kept.len() - 1) as u32
        });
        let at = self.names.len() as u32;
        self.names.push_str(meta.path);
        self.names.push_str(meta.link);
        self.entries.push(Entry {
            at,
            path: meta.path.len() as u16,
            link: meta.link.len() as u16,
            kept,
            mode: meta.mode,
            kind: meta.kind,
            empty: meta.size == 0,
        });
    }
}

/// Fills a [`Layer`] from a tar stream or a folder.
pub(super) struct Reader<'a> {
    /// The bounds.
    pub limits: &'a Limits,
    /// What may still be kept.
    pub budget: &'a mut Budget,
    /// What looks at each regular file.
    pub inspect: &'a Inspect<'a>,
    /// The layer's place in the archive, for people.
    pub label: &'a str,
    /// The layer so far.
    pub layer: Layer,
    buffer: Vec<u8>,
}

impl<'a> Reader<'a> {
    /// Starts an empty layer.
    pub fn new(
        limits: &'a Limits,
        budget: &'a mut Budget,
        inspect: &'a Inspect<'a>,
        label: &'a str,
    ) -> Self {
        Self { limits, budget, inspect, label, layer: Layer::default(), buffer: Vec::new() }
    }

    /// Reads an uncompressed tar to its end; what breaks on the way becomes a gap.
    pub fn tar(mut self, input: impl Read) -> Layer {
        let mut tarball = Tarball::new(BufReader::with_capacity(BUFFER, Hashing::new(input)));
        if let Err(e) = self.entries(&mut tarball) {
            self.gap("layer", self.label, e.to_string());
        }
        let mut rest = tarball.into_inner();
        // The digest covers what stands behind the archive's end, too.
        if let Err(e) = io::copy(&mut rest, &mut io::sink()) {
            self.gap("layer", self.label, e.to_string());
        }
        let hashing = rest.into_inner();
        self.layer.size = hashing.size;
        self.layer.digest = format!("sha256:{}", hex::encode(hashing.hash.finalize()));
        self.layer
    }

    fn entries(&mut self, tarball: &mut Tarball<impl Read>) -> io::Result<()> {
        let mut path = String::new();
        let mut link = String::new();
        let mut seen = 0;
        while let Some(entry) = tarball.next()? {
            seen += 1;
            if seen > self.limits.entries {
                return Err(io::Error::other("more entries than the limit; the rest is not read"));
            }
            if let Err(reason) = self.names(tarball, &entry, &mut path, &mut link) {
                self.gap("layer", &String::from_utf8_lossy(&tarball.name).into_owned(), reason);
            } else if !path.is_empty() && !self.whiteout(&path) {
                let meta = Meta {
                    path: &path,
                    link: &link,
                    mode: entry.mode,
                    kind: entry.kind,
                    size: entry.size,
                };
                self.add(&meta, tarball)?;
            }
        }
        Ok(())
    }

    fn names(
        &self,
        tarball: &Tarball<impl Read>,
        entry: &tarball::Entry,
        path: &mut String,
        link: &mut String,
    ) -> Result<(), &'static str> {
        if entry.nameless {
            return Err("a name beyond the limit; the entry is not read");
        }
        normalise(&tarball.name, self.limits, path)?;
        link.clear();
        match entry.kind {
            Kind::Hardlink => normalise(&tarball.link, self.limits, link)?,
            Kind::Symlink if tarball.link.len() > self.limits.path_bytes => {
                return Err("a link target beyond the limit; the entry is not read");
            }
            Kind::Symlink => link.push_str(&String::from_utf8_lossy(&tarball.link)),
            _ => {}
        }
        // The arena stores lengths in 16 bits; lossy text may be longer than its bytes.
        if path.len() > usize::from(u16::MAX) || link.len() > usize::from(u16::MAX) {
            return Err("a name beyond the limit; the entry is not read");
        }
        Ok(())
    }

    /// Notes a whiteout (OCI image specification, layer.md); `false` where the path is none.
    fn whiteout(&mut self, path: &str) -> bool {
        let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
        let Some(hidden) = name.strip_prefix(".wh.") else { return false };
        if !self.budget.take(path.len() as u64 + 24) {
            self.gap("layer", path, "more than may be kept; the whiteout is not applied");
        } else if hidden == ".wh..opq" {
            self.layer.opaque.push(dir.to_owned());
        } else if !hidden.starts_with(".wh.") && !matches!(hidden, "" | "." | "..") {
            let slash = if dir.is_empty() { "" } else { "/" };
            self.layer.removed.push(format!("{dir}{slash}{hidden}"));
        }
        true
    }

    /// Adds one entry, reading as much of its content as is needed.
    pub fn add(&mut self, meta: &Meta<'_>, content: &mut impl Read) -> io::Result<()> {
        if !self.budget.take((meta.path.len() + meta.link.len()) as u64 + 24) {
            self.gap("layer", meta.path, "more names than may be kept; the entry is not listed");
            return Ok(());
        }
        let kept = match meta.kind {
            Kind::File => self.content(meta, content)?,
            _ => None,
        };
        let kept = kept.filter(|kept| {
            let enough = self.budget.take(kept.cost());
            if !enough {
                self.layer.gaps.add("layer", meta.path, "more content than may be kept");
            }
            enough
        });
        self.layer.push(meta, kept);
        Ok(())
    }

    fn content(&mut self, meta: &Meta<'_>, content: &mut impl Read) -> io::Result<Option<Kept>> {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        let result = self.content_in(meta, content, &mut buffer);
        // One large file must not cost its memory for the rest of the layer.
        buffer.clear();
        buffer.shrink_to(4 << 20);
        self.buffer = buffer;
        result
    }

    fn content_in(
        &mut self,
        meta: &Meta<'_>,
        content: &mut impl Read,
        buffer: &mut Vec<u8>,
    ) -> io::Result<Option<Kept>> {
        let prefix = self.limits.inspect_bytes as u64;
        read_until(content, buffer, prefix)?;
        let end = buffer.len().min(self.limits.inspect_bytes);
        self.look(meta.path, &buffer[..end]);
        if let Some(interest) = Interest::of(meta.path).filter(|_| has_content(meta.kind)) {
            let limit = interest.limit(self.limits);
            if meta.size > limit && !interest.may_be_cut() {
                let reason = format!("larger than {limit} bytes; not read");
                self.gap(interest.gap(), meta.path, reason);
                return Ok(None);
            }
            read_until(content, buffer, limit)?;
            let end = buffer.len().min(limit as usize);
            return Ok(interest.keep(meta.path, &buffer[..end], &mut self.layer.gaps));
        }
        if !golang::is_executable(buffer) {
            return Ok(None);
        }
        if meta.size > self.limits.executable_bytes {
            let limit = self.limits.executable_bytes;
            let reason = format!("larger than {limit} bytes; not read for Go build information");
            self.gap("go binary", meta.path, reason);
            return Ok(None);
        }
        read_until(content, buffer, self.limits.executable_bytes)?;
        Ok(golang::parse(meta.path, buffer, &mut self.layer.gaps).map(Kept::Go))
    }

    fn look(&mut self, path: &str, content: &[u8]) {
        let mut found = (self.inspect)(&FileSeen { layer: self.label, path, content });
        if found.len() > self.budget.secrets {
            found.truncate(self.budget.secrets);
            self.gap("secrets", path, "more secrets than the limit; the rest is not listed");
        }
        self.budget.secrets -= found.len();
        self.layer.secrets.append(&mut found);
    }

    /// Notes a gap of this layer.
    pub fn gap(&mut self, kind: &'static str, path: &str, reason: impl Into<String>) {
        self.layer.gaps.add(kind, path, reason);
    }
}

/// Reads on until the buffer holds `limit` bytes or the input ends.
fn read_until(input: &mut impl Read, buffer: &mut Vec<u8>, limit: u64) -> io::Result<()> {
    let more = limit.saturating_sub(buffer.len() as u64);
    input.take(more).read_to_end(buffer).map(|_| ())
}

/// Writes `name` into `path` without leading slash, empty or `.` components; a `..` is refused.
pub(super) fn normalise(
    name: &[u8],
    limits: &Limits,
    path: &mut String,
) -> Result<(), &'static str> {
    path.clear();
    if name.len() > limits.path_bytes {
        return Err("a name beyond the limit; the entry is not read");
    }
    if name.contains(&0) {
        return Err("a name with a NUL; the entry is not read");
    }
    let mut depth = 0;
    for part in String::from_utf8_lossy(name).split('/') {
        match part {
            "" | "." => continue,
            ".." => return Err("a name that climbs out of the image; the entry is not read"),
            _ => {}
        }
        depth += 1;
        if depth > limits.path_depth {
            return Err("a path deeper than the limit; the entry is not read");
        }
        if !path.is_empty() {
            path.push('/');
        }
        path.push_str(part);
    }
    Ok(())
}

/// Passes bytes on while hashing and counting them.
struct Hashing<R> {
    input: R,
    hash: Sha256,
    size: u64,
}

impl<R> Hashing<R> {
    fn new(input: R) -> Self {
        Self { input, hash: Sha256::new(), size: 0 }
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let n = self.input.read(into)?;
        self.hash.update(&into[..n]);
        self.size += n as u64;
        Ok(n)
    }
}
