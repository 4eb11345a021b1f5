//! An archive of an image, both shapes of `docker save`, read once from front to back.
//!
//! Which blob is a layer, and where it belongs, is known only from documents that may come last.
//! So every blob is told by its first bytes, each layer is read into its compact form at once, and
//! the image is put together at the end.

use std::cell::Cell;
use std::collections::HashMap;
use std::io::{self, BufReader, Cursor, Read};
use std::rc::Rc;
use std::sync::Arc;

use super::collect::Source;
use super::gaps::Gaps;
use super::image::{self, Parts};
use super::known::Known;
use super::layer::{BUFFER, Budget, Layer, Reader, normalise};
use super::limits::Limits;
use super::tarball::{Kind, Tarball, is_tar};
use super::{Error, Inspect};

const MAX_LINKS: usize = 10_000;
/// How many documents of the largest size may be kept.
const MAX_DOCUMENTS: u64 = 8;
const PEEK: u64 = 512;

/// What a blob is, by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Blob {
    /// A JSON document.
    Json,
    /// An uncompressed layer.
    Tar,
    /// Something compressed with gzip: a layer.
    Gzip,
    /// Something compressed with zstd: a layer.
    Zstd,
    /// Nothing that is needed.
    Other,
}

impl Blob {
    /// Tells by the first 512 bytes.
    pub fn of(start: &[u8]) -> Self {
        let text = start.iter().find(|b| !b.is_ascii_whitespace());
        match start {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            _ if is_tar(start) => Self::Tar,
            _ if matches!(text, Some(b'{' | b'[')) => Self::Json,
            _ => Self::Other,
        }
    }
}

/// What was found in the archive so far.
struct Shelf<'a> {
    limits: &'a Limits,
    inspect: &'a Inspect<'a>,
    budget: Budget,
    documents: HashMap<String, Vec<u8>>,
    document_bytes: u64,
    places: HashMap<String, usize>,
    layers: Vec<Arc<Layer>>,
    known: Option<&'a Known>,
    links: HashMap<String, String>,
    gaps: Gaps,
}

/// Reads the whole archive; fails where its outer tar does or where it holds no image.
pub(super) fn read(
    what: &str,
    input: impl Read,
    limits: &Limits,
    inspect: &Inspect<'_>,
    known: Option<&Known>,
) -> Result<Source, Error> {
    let mut shelf = Shelf {
        limits,
        inspect,
        budget: Budget::new(limits),
        documents: HashMap::new(),
        document_bytes: limits.json_bytes.saturating_mul(MAX_DOCUMENTS),
        places: HashMap::new(),
        layers: Vec::new(),
        known,
        links: HashMap::new(),
        gaps: Gaps::default(),
    };
    let mut tarball = Tarball::new(BufReader::with_capacity(BUFFER, input));
    shelf.fill(&mut tarball).map_err(|source| Error::Io { what: what.to_owned(), source })?;
    // A pipe's writer must not be cut off behind the end mark.
    let _ = io::copy(&mut tarball.into_inner(), &mut io::sink());
    shelf.finish().map_err(|reason| Error::Format { what: what.to_owned(), reason })
}

impl Shelf<'_> {
    fn fill(&mut self, tarball: &mut Tarball<impl Read>) -> io::Result<()> {
        let mut name = String::new();
        let mut entries = 0;
        while let Some(entry) = tarball.next()? {
            entries += 1;
            if entries > self.limits.entries {
                return Err(io::Error::other("more entries than the limit"));
            }
            if let Err(reason) = normalise(&tarball.name, self.limits, &mut name) {
                self.gaps.add("archive", &String::from_utf8_lossy(&tarball.name), reason);
                continue;
            }
            match entry.kind {
                Kind::File => self.blob(&name, entry.size, tarball)?,
                Kind::Symlink | Kind::Hardlink if self.links.len() < MAX_LINKS => {
                    let target = String::from_utf8_lossy(&tarball.link);
                    let base = if entry.kind == Kind::Symlink { &name } else { "" };
                    self.links.insert(name.clone(), join(base, &target));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn blob(&mut self, name: &str, size: u64, input: &mut impl Read) -> io::Result<()> {
        let mut start = Vec::with_capacity(PEEK as usize);
        input.take(PEEK).read_to_end(&mut start)?;
        let blob = Blob::of(&start);
        let mut whole = Cursor::new(&start).chain(input);
        match blob {
            Blob::Other => {}
            Blob::Json if size > self.limits.json_bytes.min(self.document_bytes) => {
                self.gaps.add("archive", name, "a document beyond the limit; it is not read");
            }
            Blob::Json => {
                let mut document = Vec::new();
                whole.read_to_end(&mut document)?;
                self.documents.insert(name.to_owned(), document);
                self.document_bytes -= size;
            }
            Blob::Tar | Blob::Gzip | Blob::Zstd if self.layers.len() >= self.limits.layers => {
                self.gaps.add("archive", name, "more layers than the limit; it is not read");
            }
            Blob::Tar | Blob::Gzip | Blob::Zstd => {
                let layer = match self.known.and_then(|known| known.get(name, size)) {
                    Some(layer) => layer,
                    None => self.layer(name, size, blob, whole),
                };
                self.places.insert(name.to_owned(), self.layers.len());
                self.layers.push(layer);
            }
        }
        Ok(())
    }

    fn layer(&mut self, name: &str, size: u64, blob: Blob, content: impl Read) -> Arc<Layer> {
        let reader = Reader::new(self.limits, &mut self.budget, self.inspect, name);
        let layer = Arc::new(unpack(reader, blob, content));
        if let Some(known) = self.known {
            known.put(name, size, &layer);
        }
        layer
    }

    fn finish(mut self) -> Result<Source, String> {
        let (documents, links) = (&self.documents, &self.links);
        let document = |name: &str| documents.get(follow(links, name)).cloned();
        let parts = image::parts(&mut |name| document(name), &mut self.gaps)?;
        let config = document(&canonical(&parts.config)).ok_or_else(|| missing_config(&parts))?;
        let place = |name: &String| {
            let name = canonical(name);
            self.places.get(follow(links, &name)).copied()
        };
        let places: Vec<Option<usize>> = parts.layers.iter().map(place).collect();
        Source::new(parts, &config, places, self.layers, self.gaps)
    }
}

/// The sentence for an archive without its configuration.
pub(super) fn missing_config(parts: &Parts) -> String {
    format!("the image's configuration `{}` is not in the archive", parts.config.escape_debug())
}

/// Reads one layer, decompressing it on the way.
pub(super) fn unpack(reader: Reader<'_>, blob: Blob, input: impl Read) -> Layer {
    match decode(blob, input, reader.limits) {
        Ok(plain) => reader.tar(plain),
        Err(e) => reader.tar(Failing(Some(e))),
    }
}

/// The uncompressed bytes of a blob, up to the limits of a layer.
pub(super) fn decode<R: Read>(
    blob: Blob,
    input: R,
    limits: &Limits,
) -> io::Result<impl Read + use<'_, R>> {
    let taken = Rc::new(Cell::new(0));
    let counted = Counted { input, taken: Rc::clone(&taken) };
    let buffered = BufReader::with_capacity(BUFFER, counted);
    let input = match blob {
        Blob::Gzip => Decoder::Gzip(flate2::bufread::MultiGzDecoder::new(buffered)),
        Blob::Zstd => Decoder::Zstd(zstd::stream::read::Decoder::with_buffer(buffered)?),
        _ => Decoder::Plain(buffered),
    };
    Ok(Bounded { input, taken, given: 0, limits })
}

/// The three forms of a layer.
enum Decoder<'a, R: Read> {
    Plain(BufReader<R>),
    Gzip(flate2::bufread::MultiGzDecoder<BufReader<R>>),
    Zstd(zstd::stream::read::Decoder<'a, BufReader<R>>),
}

impl<R: Read> Read for Decoder<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(input) => input.read(into),
            Self::Gzip(input) => input.read(into),
            Self::Zstd(input) => input.read(into),
        }
    }
}

/// Counts what is taken from the archive.
struct Counted<R> {
    input: R,
    taken: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let n = self.input.read(into)?;
        self.taken.set(self.taken.get() + n as u64);
        Ok(n)
    }
}

/// Ends a layer that grows beyond its bounds.
struct Bounded<'a, R> {
    input: R,
    taken: Rc<Cell<u64>>,
    given: u64,
    limits: &'a Limits,
}

impl<R: Read> Read for Bounded<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let n = self.input.read(into)?;
        self.given += n as u64;
        let swollen = self.given > self.limits.ratio_from
            && self.given / self.limits.ratio.max(1) > self.taken.get();
        if self.given > self.limits.layer_bytes || swollen {
            return Err(io::Error::other(
                "larger uncompressed than the limit; the rest is not read",
            ));
        }
        Ok(n)
    }
}

/// A reader that only fails.
struct Failing(Option<io::Error>);

impl Read for Failing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(self.0.take().unwrap_or_else(|| io::ErrorKind::InvalidData.into()))
    }
}

/// Where a link inside the archive points, as a path inside it.
pub(super) fn join(base: &str, target: &str) -> String {
    let dir = base.rsplit_once('/').map_or("", |(dir, _)| dir);
    let dir = if target.starts_with('/') { "" } else { dir };
    let mut parts: Vec<&str> = Vec::new();
    for part in dir.split('/').chain(target.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

/// A name as the archive's manifest writes it, as a path inside the archive.
pub(super) fn canonical(name: &str) -> String {
    join("", name)
}

/// The name behind links, as far as 40 of them lead.
fn follow<'a>(links: &'a HashMap<String, String>, name: &'a str) -> &'a str {
    let mut name = name;
    for _ in 0..40 {
        match links.get(name) {
            Some(target) => name = target,
            None => break,
        }
    }
    name
}
