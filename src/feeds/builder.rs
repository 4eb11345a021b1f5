//! Gathers records on disk, source by source; memory holds only their places.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use crate::model::finding::Severity;

use super::closed::Closed;
use super::osv::{self, Record};

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
pub(super) struct Unit {
    pub origin: String,
    /// Names that may tell which ecosystem it is: the folder's, the zip's.
    pub names: Vec<String>,
    pub records: u64,
    pub by_base: BTreeMap<String, u64>,
}

impl Unit {
    /// Whether its records of `base` are that ecosystem's data and not a chance part of it: a dump
    /// of PyPI also has the npm packages of its records, which must not pass for npm's data.
    pub fn holds(&self, base: &str) -> bool {
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

pub(super) struct Row {
    pub key: u32,
    pub record: u32,
    pub place: u64,
    pub length: u32,
}

pub(super) struct Kept {
    pub id: Box<str>,
    pub modified: i64,
    pub unit: u32,
    pub place: u64,
    pub length: u32,
}

#[derive(Default)]
pub(super) struct Source {
    pub rows: Vec<Row>,
    pub ecosystems: BTreeSet<String>,
    pub lent: HashMap<String, (Severity, Option<f64>)>,
    pub newest: i64,
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
