//! Writes what the builder gathered, one segment for each ecosystem.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use chrono::{DateTime, Utc};

use crate::model::advisory::Enrichment;

use super::builder::{Kept, Row, Source, Unit};
use super::segment::Writer;

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

/// Gathered records, ready to be written.
pub struct Closed {
    pub spill: File,
    pub keys: Vec<Box<str>>,
    pub records: Vec<Kept>,
    pub units: Vec<Unit>,
    pub sources: BTreeMap<String, Source>,
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
