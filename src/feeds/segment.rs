//! One source's part of the index: a file of sorted sections, searched in place.
//!
//! Layout, little endian: magic; the sections `heads` (u32 length + postcard [`Head`]), `blobs` (the
//! bodies of one key, zstd where that helps), `keys` (text), `key rows`, `ids` (text), `id rows`,
//! `ecosystems` (postcard); a footer with their places, the CRC-32 of everything before it, and
//! its own.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use flate2::Crc;
use memmap2::Mmap;
use sha2::{Digest, Sha256};

use crate::model::advisory::{Advisory, Enrichment};
use crate::model::finding::Severity;

use super::osv::{Body, Head};

const MAGIC: &[u8; 8] = b"mwfeed\x00\x01";
const SECTIONS: usize = 7;
const FOOTER: usize = SECTIONS * 16 + 4 + 4 + 8;
const KEY_ROW: usize = 28;
const ID_ROW: usize = 30;
/// Above this a blob is compressed.
const COMPRESS: usize = 512;
const SEVERITIES: [Severity; 6] = [
    Severity::Negligible,
    Severity::Low,
    Severity::Unknown,
    Severity::Medium,
    Severity::High,
    Severity::Critical,
];

/// Writes a segment, section by section, in their order.
#[derive(Debug)]
pub struct Writer {
    out: BufWriter<File>,
    at: u64,
    start: u64,
    crc: Crc,
    sha: Sha256,
    places: Vec<(u64, u64)>,
    keys: Vec<u8>,
    key_rows: Vec<u8>,
}

impl Writer {
    /// Begins the file with the section of heads.
    pub fn new(file: File) -> io::Result<Self> {
        let mut writer = Self {
            out: BufWriter::with_capacity(1 << 18, file),
            at: 0,
            start: 0,
            crc: Crc::new(),
            sha: Sha256::new(),
            places: Vec::new(),
            keys: Vec::new(),
            key_rows: Vec::new(),
        };
        writer.put(MAGIC)?;
        writer.start = writer.at;
        Ok(writer)
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.crc.update(bytes);
        self.sha.update(bytes);
        self.at += bytes.len() as u64;
        self.out.write_all(bytes)
    }

    /// Ends the current section.
    pub fn end_section(&mut self) {
        self.places.push((self.start, self.at - self.start));
        self.start = self.at;
    }

    /// Adds a head; its place is what the bodies refer to.
    pub fn head(&mut self, encoded: &[u8]) -> io::Result<u64> {
        let place = self.at - self.start;
        self.put(&(encoded.len() as u32).to_le_bytes())?;
        self.put(encoded)?;
        Ok(place)
    }

    /// Adds all bodies of a key, each with its head's place; keys come in ascending order.
    pub fn bodies(&mut self, key: &str, bodies: &[(u64, Vec<u8>)]) -> io::Result<()> {
        let mut blob = Vec::new();
        for (head, body) in bodies {
            blob.extend_from_slice(&head.to_le_bytes());
            blob.extend_from_slice(&(body.len() as u32).to_le_bytes());
            blob.extend_from_slice(body);
        }
        let too_big = || io::Error::other("more than 4 GiB of advisories for one package");
        let raw = u32::try_from(blob.len()).map_err(|_| too_big())?;
        let packed =
            if blob.len() > COMPRESS { Some(zstd::bulk::compress(&blob, 3)?) } else { None };
        let (stored, raw) = match &packed {
            Some(packed) => (packed, raw),
            None => (&blob, 0),
        };
        let place = self.at - self.start;
        self.key_rows.extend_from_slice(&(self.keys.len() as u64).to_le_bytes());
        self.key_rows.extend_from_slice(&(key.len() as u32).to_le_bytes());
        self.key_rows.extend_from_slice(&place.to_le_bytes());
        self.key_rows.extend_from_slice(&(stored.len() as u32).to_le_bytes());
        self.key_rows.extend_from_slice(&raw.to_le_bytes());
        self.keys.extend_from_slice(key.as_bytes());
        self.put(stored)
    }

    /// Ends the blobs and writes the rest: ids in ascending order, and the ecosystems.
    /// Returns the file's length and the SHA-256 of its content.
    pub fn finish<'a>(
        mut self,
        ids: impl Iterator<Item = (&'a str, Enrichment)>,
        ecosystems: &[String],
    ) -> io::Result<(u64, String)> {
        self.end_section();
        for section in [std::mem::take(&mut self.keys), std::mem::take(&mut self.key_rows)] {
            self.put(&section)?;
            self.end_section();
        }
        let (mut text, mut rows) = (Vec::new(), Vec::new());
        for (id, enrichment) in ids {
            id_row(&mut rows, text.len(), id, &enrichment);
            text.extend_from_slice(id.as_bytes());
        }
        let ecosystems = postcard::to_allocvec(ecosystems).map_err(io::Error::other)?;
        for section in [text, rows, ecosystems] {
            self.put(&section)?;
            self.end_section();
        }
        self.footer()
    }

    fn footer(mut self) -> io::Result<(u64, String)> {
        let mut footer = Vec::with_capacity(FOOTER);
        for (start, length) in &self.places {
            footer.extend_from_slice(&start.to_le_bytes());
            footer.extend_from_slice(&length.to_le_bytes());
        }
        footer.extend_from_slice(&self.crc.sum().to_le_bytes());
        let mut own = Crc::new();
        own.update(&footer);
        footer.extend_from_slice(&own.sum().to_le_bytes());
        footer.extend_from_slice(MAGIC);
        self.out.write_all(&footer)?;
        self.out.flush()?;
        self.out.get_ref().sync_all()?;
        Ok((self.at + footer.len() as u64, hex::encode(self.sha.finalize())))
    }
}

fn id_row(rows: &mut Vec<u8>, place: usize, id: &str, enrichment: &Enrichment) {
    let severity =
        enrichment.severity.and_then(|s| SEVERITIES.iter().position(|other| *other == s));
    rows.extend_from_slice(&(place as u64).to_le_bytes());
    rows.extend_from_slice(&(id.len() as u32).to_le_bytes());
    rows.extend_from_slice(&enrichment.epss.unwrap_or(f64::NAN).to_le_bytes());
    rows.extend_from_slice(&enrichment.cvss.unwrap_or(f64::NAN).to_le_bytes());
    rows.push(severity.map_or(u8::MAX, |at| at as u8));
    rows.push(u8::from(enrichment.kev));
}

/// A segment, open.
#[derive(Debug)]
pub struct Segment {
    map: Mmap,
    places: [(usize, usize); SECTIONS],
    /// Looked-up spellings of the ecosystems in it.
    pub ecosystems: Vec<String>,
}

impl Segment {
    /// Opens a segment and checks it whole; the reason where it is damaged.
    pub fn open(path: &Path, length: u64) -> Result<Self, Failure> {
        let file = File::open(path).map_err(Failure::Open)?;
        let actual = file.metadata().map_err(Failure::Open)?.len();
        if actual != length {
            return Err(Failure::Damaged(format!("it has {actual} bytes instead of {length}")));
        }
        let map = map(&file).map_err(Failure::Open)?;
        let places = check(&map).ok_or(Failure::Damaged("its checksum is wrong".to_owned()))?;
        let mut segment = Self { map, places, ecosystems: Vec::new() };
        let ecosystems = postcard::from_bytes(segment.section(6));
        segment.ecosystems = ecosystems
            .map_err(|_| Failure::Damaged("its list of ecosystems is unreadable".to_owned()))?;
        Ok(segment)
    }

    fn section(&self, at: usize) -> &[u8] {
        let (start, length) = self.places[at];
        self.map.get(start..start.saturating_add(length)).unwrap_or_default()
    }

    /// All advisories of a key.
    pub fn of(&self, key: &str, into: &mut Vec<Advisory>) {
        let Some(row) = find(self.section(3), KEY_ROW, self.section(2), key.as_bytes()) else {
            return;
        };
        let (place, length, raw) = (u64_at(row, 12) as usize, u32_at(row, 20), u32_at(row, 24));
        let Some(stored) = self.section(1).get(place..place.saturating_add(length)) else { return };
        if raw == 0 {
            self.decode(stored, into);
        } else if let Ok(blob) = zstd::bulk::decompress(stored, raw) {
            self.decode(&blob, into);
        }
    }

    fn decode(&self, mut blob: &[u8], into: &mut Vec<Advisory>) {
        while blob.len() >= 12 {
            let (head, length) = (u64_at(blob, 0) as usize, u32_at(blob, 8));
            let Some(body) = blob.get(12..12usize.saturating_add(length)) else { return };
            let decoded = postcard::from_bytes::<Body>(body).ok();
            into.extend(decoded.zip(self.head(head)).map(|(body, head)| body.advisory(&head)));
            blob = &blob[12 + length..];
        }
    }

    fn head(&self, place: usize) -> Option<Head> {
        let heads = self.section(0).get(place..)?;
        let length = u32_at(heads.get(..4)?, 0);
        postcard::from_bytes(heads.get(4..4usize.saturating_add(length))?).ok()
    }

    /// What it says of an id.
    pub fn enrich(&self, id: &str) -> Option<Enrichment> {
        let row = find(self.section(5), ID_ROW, self.section(4), id.as_bytes())?;
        let number = |at: usize| Some(f64::from_bits(u64_at(row, at))).filter(|n| !n.is_nan());
        Some(Enrichment {
            epss: number(12),
            cvss: number(20),
            severity: SEVERITIES.get(usize::from(row[28])).copied(),
            kev: row[29] == 1,
        })
    }
}

/// Why a segment did not open.
#[derive(Debug)]
pub enum Failure {
    /// The file system said no.
    Open(io::Error),
    /// It is not what was written.
    Damaged(String),
}

/// The sections' places, where both checksums hold.
fn check(map: &[u8]) -> Option<[(usize, usize); SECTIONS]> {
    let content = map.len().checked_sub(FOOTER)?;
    let (content, footer) = map.split_at(content);
    let sums = SECTIONS * 16;
    let mut own = Crc::new();
    own.update(&footer[..sums + 4]);
    if !content.starts_with(MAGIC)
        || !footer.ends_with(MAGIC)
        || u32_at(footer, sums + 4) != own.sum() as usize
    {
        return None;
    }
    let mut crc = Crc::new();
    for chunk in content.chunks(1 << 20) {
        crc.update(chunk);
    }
    let place =
        |at: usize| (u64_at(footer, at * 16) as usize, u64_at(footer, at * 16 + 8) as usize);
    (u32_at(footer, sums) == crc.sum() as usize).then(|| std::array::from_fn(place))
}

/// Binary search among rows that begin with (place u64, length u32) of their text.
fn find<'a>(rows: &'a [u8], width: usize, text: &[u8], wanted: &[u8]) -> Option<&'a [u8]> {
    let row = |at: usize| &rows[at * width..(at + 1) * width];
    let (mut low, mut high) = (0, rows.len() / width);
    while low < high {
        let middle = low + (high - low) / 2;
        let place = u64_at(row(middle), 0) as usize;
        let found = text.get(place..place.saturating_add(u32_at(row(middle), 8)))?;
        match found.cmp(wanted) {
            std::cmp::Ordering::Less => low = middle + 1,
            std::cmp::Ordering::Greater => high = middle,
            std::cmp::Ordering::Equal => return Some(row(middle)),
        }
    }
    None
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|b| b.try_into().ok()).map_or(0, u64::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> usize {
    bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes) as usize
}

#[allow(unsafe_code)]
fn map(file: &File) -> io::Result<Mmap> {
    // SAFETY: a segment is never changed once it has its name: imports write new files and unlink
    // old ones, which leaves existing maps whole.
    unsafe { Mmap::map(file) }
}
