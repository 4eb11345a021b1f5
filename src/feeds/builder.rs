//! Gathers records on disk, source by source, and writes the segments; memory holds only their places.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use chrono::{DateTime, Utc};

use crate::model::advisory::Enrichment;
use crate::model::finding::Severity;

use super::osv::{self, Record};
use super::segment::Writer;

/// More ecosystems than any database has are a mistake.
const MAX_SOURCES: usize = 512;

/// A record, ready to be written: what the readers' threads hand over.
#[derive(Debug)]
pub struct Encoded {
    id: String,
    modified: i64,
    dated: i64,
    withdrawn: bool,
    head: Vec<u8>,
    bodies: Vec<(String, Vec<u8>)>,
    bases: Vec<String>,
    ecosystems: BTreeSet<String>,
    /// CVE and GHSA ids it may lend its severity to.
    lends: Option<(Vec<String>, Severity, Option<f64>)>,
}

impl Encoded {
    /// Whether its database took it back.
    pub fn withdrawn(&self) -> bool {
        self.withdrawn
    }

    /// Encodes a record.
    pub fn new(record: &Record) -> Result<Self, String> {
        let encode = |error: postcard::Error| error.to_string();
        let mut bodies = Vec::with_capacity(record.bodies.len());
        for (key, body) in &record.bodies {
            bodies.push((key.clone(), postcard::to_allocvec(body).map_err(encode)?));
        }
        let ecosystem = |(key, _): &(String, Vec<u8>)| key.split('\0').next().map(str::to_owned);
        Ok(Self {
            id: record.head.id.clone(),
            modified: record.modified.map_or(0, |at| at.timestamp_millis()),
            dated: record.dated.map_or(0, |at| at.timestamp_millis()),
            withdrawn: record.withdrawn,
            head: postcard::to_allocvec(&record.head).map_err(encode)?,
            ecosystems: bodies.iter().filter_map(ecosystem).collect(),
            bodies,
            bases: record.bases.clone(),
            lends: lends(record),
        })
    }
}

/// A bulletin's severity is that of its worst CVE, so records with several lend none.
fn lends(record: &Record) -> Option<(Vec<String>, Severity, Option<f64>)> {
    let (severity, cvss) = record.lends?;
    let ids = std::iter::once(&record.head.id).chain(&record.head.aliases);
    let ids: Vec<String> =
        ids.filter(|id| id.starts_with("CVE-") || id.starts_with("GHSA-")).cloned().collect();
    (ids.iter().filter(|id| id.starts_with("CVE-")).count() <= 1).then_some((ids, severity, cvss))
}

/// Where a set of records came from: one zip, or one folder.
#[derive(Debug, Default)]
struct Unit {
    origin: String,
    /// Names that may tell which ecosystem it is: the folder's, the zip's.
    names: Vec<String>,
    records: u64,
    by_base: BTreeMap<String, u64>,
}

impl Unit {
    /// Whether its records of `base` are that ecosystem's data and not a chance part of it: a dump
    /// of PyPI also has the npm packages of its records, which must not pass for npm's data.
    fn holds(&self, base: &str) -> bool {
        let common: Vec<&str> = self
            .by_base
            .iter()
            .filter(|(_, n)| **n == self.records)
            .map(|(b, _)| b.as_str())
            .collect();
        let named = |base: &str| self.names.iter().any(|name| name.eq_ignore_ascii_case(base));
        match common.as_slice() {
            [] => true,
            [only] => *only == base,
            many => named(base) || !many.iter().any(|other| named(other)),
        }
    }
}

struct Row {
    key: u32,
    record: u32,
    place: u64,
    length: u32,
}

struct Kept {
    id: Box<str>,
    modified: i64,
    unit: u32,
    place: u64,
    length: u32,
}

#[derive(Default)]
struct Source {
    rows: Vec<Row>,
    ecosystems: BTreeSet<String>,
    lent: HashMap<String, (Severity, Option<f64>)>,
    newest: i64,
}

/// All OSV records of one import.
pub struct Builder {
    spill: BufWriter<File>,
    at: u64,
    keys: HashMap<Box<str>, u32>,
    records: Vec<Kept>,
    units: Vec<Unit>,
    sources: BTreeMap<String, Source>,
}

/// A segment as it was written.
#[derive(Debug)]
pub struct Written {
    /// Distinct record ids in it.
    pub records: u64,
    /// The newest date of a record.
    pub newest: Option<DateTime<Utc>>,
    /// The zip or folder it came from; of several the first and their number.
    pub origin: String,
    /// Bytes of the file.
    pub length: u64,
    /// SHA-256 of its content.
    pub sha256: String,
}

impl Builder {
    /// Spills to an unnamed file in `folder`.
    pub fn new(folder: &Path) -> io::Result<Self> {
        Ok(Self {
            spill: BufWriter::with_capacity(1 << 18, tempfile::tempfile_in(folder)?),
            at: 0,
            keys: HashMap::new(),
            records: Vec::new(),
            units: Vec::new(),
            sources: BTreeMap::new(),
        })
    }

    /// A new zip or folder.
    pub fn unit(&mut self, origin: String, names: Vec<String>) -> u32 {
        self.units.push(Unit { origin, names, ..Unit::default() });
        (self.units.len() - 1) as u32
    }

    /// Adds a record. Withdrawn ones only count for their source's age.
    pub fn add(&mut self, unit: u32, record: Encoded) -> io::Result<()> {
        self.count(unit, &record)?;
        if record.withdrawn {
            return Ok(());
        }
        let place = self.put(&record.head)?;
        let number = self.records.len() as u32;
        self.records.push(Kept {
            id: record.id.into(),
            modified: record.modified,
            unit,
            place,
            length: record.head.len() as u32,
        });
        for (key, body) in record.bodies {
            let place = self.put(&body)?;
            let next = self.keys.len() as u32;
            let base = super::names::base(&key[..key.find('\0').unwrap_or(0)]).to_owned();
            let row = Row {
                key: *self.keys.entry(key.into()).or_insert(next),
                record: number,
                place,
                length: body.len() as u32,
            };
            self.sources.entry(base).or_default().rows.push(row);
        }
        Ok(())
    }

    fn count(&mut self, unit: u32, record: &Encoded) -> io::Result<()> {
        let unit = &mut self.units[unit as usize];
        unit.records += 1;
        for base in &record.bases {
            *unit.by_base.entry(base.clone()).or_default() += 1;
            if self.sources.len() >= MAX_SOURCES && !self.sources.contains_key(base) {
                return Err(io::Error::other(format!(
                    "more than {MAX_SOURCES} ecosystems in one import"
                )));
            }
            let source = self.sources.entry(base.clone()).or_default();
            source.newest = source.newest.max(record.dated);
            if record.withdrawn {
                continue;
            }
            let own = |ecosystem: &&String| super::names::base(ecosystem) == base;
            source.ecosystems.extend(record.ecosystems.iter().filter(own).cloned());
            if let Some((ids, severity, cvss)) = &record.lends {
                for id in ids {
                    let known = source.lent.get(id).copied();
                    let offer = osv::worse(known, Some((*severity, *cvss)));
                    source.lent.extend(offer.map(|offer| (id.clone(), offer)));
                }
            }
        }
        Ok(())
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<u64> {
        let place = self.at;
        self.spill.write_all(bytes)?;
        self.at += bytes.len() as u64;
        Ok(place)
    }

    /// Ends gathering: what is to be written, and which ecosystems were left out because only a
    /// chance part of them was there.
    pub fn close(mut self) -> io::Result<(Closed, Vec<String>)> {
        self.spill.flush()?;
        let bases: Vec<String> = self.sources.keys().cloned().collect();
        let mut left_out = Vec::new();
        for base in bases {
            let with = |unit: &&Unit| unit.by_base.contains_key(&base);
            if !self.units.iter().filter(with).any(|unit| unit.holds(&base)) {
                self.sources.remove(&base);
                left_out.push(base);
            }
        }
        let mut keys = vec![Box::from(""); self.keys.len()];
        for (key, number) in self.keys {
            keys[number as usize] = key;
        }
        let spill = self.spill.into_inner().map_err(io::IntoInnerError::into_error)?;
        let closed =
            Closed { spill, keys, records: self.records, units: self.units, sources: self.sources };
        Ok((closed, left_out))
    }
}

/// Gathered records, ready to be written.
pub struct Closed {
    spill: File,
    keys: Vec<Box<str>>,
    records: Vec<Kept>,
    units: Vec<Unit>,
    sources: BTreeMap<String, Source>,
}

impl Closed {
    /// The ecosystems to write.
    pub fn bases(&self) -> Vec<String> {
        self.sources.keys().cloned().collect()
    }

    /// Writes one ecosystem's segment; the same records give the same bytes in whatever order they
    /// were read.
    pub fn write(&mut self, base: &str, file: File) -> io::Result<Written> {
        let mut source = self.sources.remove(base).unwrap_or_default();
        let rows = self.sorted(base, std::mem::take(&mut source.rows));
        let mut writer = Writer::new(file)?;
        let heads = self.heads(&mut writer, &rows)?;
        writer.end_section();
        self.bodies(&mut writer, &rows, &heads)?;
        let mut lent: Vec<_> = source.lent.into_iter().collect();
        lent.sort_by(|(a, _), (b, _)| a.cmp(b));
        let ids = lent.iter().map(|(id, (severity, cvss))| {
            let severity = Some(*severity);
            (id.as_str(), Enrichment { severity, cvss: *cvss, ..Enrichment::default() })
        });
        let ecosystems: Vec<String> = source.ecosystems.into_iter().collect();
        let (length, sha256) = writer.finish(ids, &ecosystems)?;
        let ids: HashSet<&str> = rows.iter().map(|row| &*self.record(row).id).collect();
        let newest = (source.newest > 0).then(|| DateTime::from_timestamp_millis(source.newest));
        let (records, newest, origin) = (ids.len() as u64, newest.flatten(), self.origin(base));
        Ok(Written { records, newest, origin, length, sha256 })
    }

    fn origin(&self, base: &str) -> String {
        let part = |unit: &&Unit| unit.by_base.contains_key(base) && unit.holds(base);
        let mut units = self.units.iter().filter(part);
        let first = units.next().map(|unit| unit.origin.clone()).unwrap_or_default();
        match units.count() {
            0 => first,
            more => format!("{first} and {more} more"),
        }
    }

    fn record(&self, row: &Row) -> &Kept {
        &self.records[row.record as usize]
    }

    /// The rows by key and record id; of one record read twice for one package only the newest.
    fn sorted(&self, base: &str, mut rows: Vec<Row>) -> Vec<Row> {
        let holds: Vec<bool> = self.units.iter().map(|unit| unit.holds(base)).collect();
        rows.retain(|row| holds[self.record(row).unit as usize]);
        rows.sort_by(|a, b| {
            let (first, second) = (self.record(a), self.record(b));
            self.keys[a.key as usize]
                .cmp(&self.keys[b.key as usize])
                .then_with(|| first.id.cmp(&second.id))
                .then_with(|| second.modified.cmp(&first.modified))
                .then_with(|| b.length.cmp(&a.length))
                .then_with(|| second.length.cmp(&first.length))
        });
        rows.dedup_by(|b, a| a.key == b.key && self.record(a).id == self.record(b).id);
        rows
    }

    /// Writes the heads by id; their places by record.
    fn heads(&self, writer: &mut Writer, rows: &[Row]) -> io::Result<HashMap<u32, u64>> {
        let mut numbers: Vec<u32> = rows.iter().map(|row| row.record).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers.sort_by(|a, b| {
            let (a, b) = (&self.records[*a as usize], &self.records[*b as usize]);
            (&a.id, a.modified, a.length).cmp(&(&b.id, b.modified, b.length))
        });
        let mut places = HashMap::with_capacity(numbers.len());
        for number in numbers {
            let kept = &self.records[number as usize];
            places.insert(number, writer.head(&self.read(kept.place, kept.length)?)?);
        }
        Ok(places)
    }

    fn bodies(
        &self,
        writer: &mut Writer,
        rows: &[Row],
        heads: &HashMap<u32, u64>,
    ) -> io::Result<()> {
        for group in rows.chunk_by(|a, b| a.key == b.key) {
            let mut bodies = Vec::with_capacity(group.len());
            for row in group {
                let head = heads.get(&row.record).copied().unwrap_or_default();
                bodies.push((head, self.read(row.place, row.length)?));
            }
            writer.bodies(&self.keys[group[0].key as usize], &bodies)?;
        }
        Ok(())
    }

    fn read(&self, place: u64, length: u32) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length as usize];
        self.spill.read_exact_at(&mut bytes, place)?;
        Ok(bytes)
    }
}
