//! The import: read everything, write new segments, swap the table last.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};

use crate::model::advisory::{Enrichment, Feed};

use super::builder::{Builder, Encoded};
use super::closed::Written;
use super::input::{self, Content, Rejected};
use super::pointer::{self, Entry, Pointer};
use super::segment::{Segment, Writer};
use super::{Error, write_error};

/// How many damaged records and skipped files are named.
const DAMAGED: usize = 20;
const SKIPPED: usize = 1000;

/// How far an import is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportProgress {
    /// OSV records read so far.
    pub records: u64,
    /// The zip or file at hand.
    pub input: String,
}

/// What an import did.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ImportSummary {
    /// The sources that were written, by name.
    pub replaced: Vec<Feed>,
    /// The sources that stay from earlier imports, by name.
    pub kept: Vec<Feed>,
    /// OSV records read, withdrawn ones included.
    pub records: u64,
    /// Of these, withdrawn.
    pub withdrawn: u64,
    /// Records that could not be used.
    pub damaged: u64,
    /// The first 20 of them.
    pub damaged_first: Vec<Rejected>,
    /// Files and entries that are no advisory data, at most 1000 named.
    pub skipped: Vec<Rejected>,
    /// What else the user should know.
    pub notes: Vec<String>,
}

/// Imports everything in `paths` into the feeds folder `into`.
///
/// Sources that `paths` contain replace those of earlier imports, others stay. Until the last step
/// the index in use is the old one; an error or a kill before leaves it as it was.
///
/// # Errors
/// Where nothing is recognised, an archive is damaged, a file cannot be read or written, or another
/// import is running.
pub fn import(
    paths: &[PathBuf],
    into: &Path,
    now: DateTime<Utc>,
    progress: &dyn Fn(ImportProgress),
) -> Result<ImportSummary, Error> {
    fs::create_dir_all(into).map_err(write_error(into))?;
    let _lock = lock(into)?;
    let mut gathered = Gathered::new(into, progress)?;
    let old = match Pointer::read(into) {
        Ok(old) => old,
        Err(Error::Damaged { reason, .. }) => {
            gathered
                .summary
                .notes
                .push(format!("the old index was damaged ({reason}) and is replaced"));
            None
        }
        Err(error) => return Err(error),
    };
    pointer::sweep(into, old.as_ref())?;
    gathered.read(paths)?;
    gathered.nothing(paths)?;
    let (written, mut summary) = gathered.write(into, now)?;
    summary.replaced = written.iter().map(|entry| entry.feed.clone()).collect();
    let kept = keep(into, old, &written, &mut summary);
    let pointer = Pointer::new(now, written.into_iter().chain(kept).collect());
    pointer.write(into)?;
    pointer::sweep(into, Some(&pointer))?;
    Ok(summary)
}

/// The import's lock; the operating system drops it with the process.
fn lock(folder: &Path) -> Result<File, Error> {
    let path = folder.join("lock");
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(write_error(&path))?;
    match fs4::FileExt::try_lock(&file) {
        Ok(()) => Ok(file),
        Err(fs4::TryLockError::WouldBlock) => Err(Error::Busy { path: folder.to_owned() }),
        Err(fs4::TryLockError::Error(source)) => Err(Error::Write { path, source }),
    }
}

/// The old segments that stay: those of sources that were not written again, as far as they are whole.
fn keep(
    folder: &Path,
    old: Option<Pointer>,
    written: &[Entry],
    summary: &mut ImportSummary,
) -> Vec<Entry> {
    let names: BTreeSet<&str> = written.iter().map(|entry| entry.feed.name.as_str()).collect();
    let mut kept = Vec::new();
    for entry in old.map(|old| old.segments).unwrap_or_default() {
        if names.contains(entry.feed.name.as_str()) {
            continue;
        }
        if Segment::open(&folder.join(&entry.file), entry.length).is_err() {
            let name = &entry.feed.name;
            summary
                .notes
                .push(format!("{name}: the old data was damaged and is gone; import it again"));
            continue;
        }
        summary.kept.push(entry.feed.clone());
        kept.push(entry);
    }
    kept
}

/// Everything that was read.
struct Gathered<'a> {
    builder: Builder,
    kev: Option<(Vec<String>, Feed)>,
    epss: Option<(Vec<(String, f64)>, Feed)>,
    summary: ImportSummary,
    progress: &'a dyn Fn(ImportProgress),
}

impl<'a> Gathered<'a> {
    fn new(folder: &Path, progress: &'a dyn Fn(ImportProgress)) -> Result<Self, Error> {
        let builder = Builder::new(folder).map_err(write_error(folder))?;
        Ok(Self { builder, kev: None, epss: None, summary: ImportSummary::default(), progress })
    }

    fn read(&mut self, paths: &[PathBuf]) -> Result<(), Error> {
        let files = input::files(paths)?;
        self.summary.skipped.extend(files.others.into_iter().take(SKIPPED));
        for zip in &files.zips {
            let shown = zip.display().to_string();
            let unit = self.builder.unit(shown.clone(), names(zip));
            input::read_zip(zip, |entry, content| {
                self.take(unit, &shown, &format!("{shown}:{entry}"), content)
            })?;
        }
        let mut units: HashMap<PathBuf, u32> = HashMap::new();
        input::read_files(&files.loose, |at, content| {
            let path = &files.loose[at];
            if let Content::Broken(reason) = content {
                return Err(Error::Archive { path: path.clone(), reason });
            }
            let folder = path.parent().unwrap_or(path);
            let unit = match units.get(folder) {
                Some(unit) => *unit,
                None => {
                    let unit = self.builder.unit(folder.display().to_string(), names(path));
                    units.insert(folder.to_owned(), unit);
                    unit
                }
            };
            let shown = path.display().to_string();
            self.take(unit, &shown, &shown, content)
        })
    }

    /// Files one document away. `origin` is its zip or file, `place` says where it stands in that.
    fn take(
        &mut self,
        unit: u32,
        origin: &str,
        place: &str,
        content: Content,
    ) -> Result<(), Error> {
        let rejected = |reason| Rejected { path: place.to_owned(), reason };
        match content {
            Content::Osv(record) => self.record(unit, origin, *record)?,
            Content::Kev(catalogue) => {
                let feed = feed("KEV", catalogue.released, origin);
                self.kev = newer(self.kev.take(), (catalogue.cves, feed));
            }
            Content::Epss(scores) => {
                let feed = feed("EPSS", scores.day, origin);
                if scores.damaged > 0 {
                    self.summary
                        .notes
                        .push(format!("{place}: {} rows without a usable score", scores.damaged));
                }
                self.epss = newer(self.epss.take(), (scores.rows, feed));
            }
            Content::Unknown(reason) if self.summary.skipped.len() < SKIPPED => {
                self.summary.skipped.push(rejected(reason));
            }
            Content::Damaged(reason) => {
                self.summary.damaged += 1;
                self.summary.damaged_first.push(rejected(reason));
                if self.summary.damaged_first.len() > 2 * DAMAGED {
                    first(&mut self.summary.damaged_first);
                }
            }
            Content::Unknown(_) | Content::Broken(_) => {}
        }
        Ok(())
    }

    fn record(&mut self, unit: u32, origin: &str, record: Encoded) -> Result<(), Error> {
        self.summary.records += 1;
        self.summary.withdrawn += u64::from(record.withdrawn());
        if self.summary.records.is_multiple_of(1000) {
            (self.progress)(ImportProgress {
                records: self.summary.records,
                input: origin.to_owned(),
            });
        }
        let full =
            |source| Error::Write { path: PathBuf::from("the import's temporary file"), source };
        self.builder.add(unit, record).map_err(full)
    }

    /// An error where nothing was recognised.
    fn nothing(&self, paths: &[PathBuf]) -> Result<(), Error> {
        if self.summary.records > 0 || self.kev.is_some() || self.epss.is_some() {
            return Ok(());
        }
        let shown: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
        let first = self.summary.damaged_first.first().or(self.summary.skipped.first());
        let first = first.map(|r| format!(" ({}: {})", r.path, r.reason)).unwrap_or_default();
        Err(Error::Nothing { paths: shown.join(", "), first })
    }

    /// Writes a segment for each source.
    fn write(self, into: &Path, now: DateTime<Utc>) -> Result<(Vec<Entry>, ImportSummary), Error> {
        let mut summary = self.summary;
        first(&mut summary.damaged_first);
        summary.skipped.sort_by(|a, b| a.path.cmp(&b.path));
        let (mut closed, left_out) = self.builder.close().map_err(write_error(into))?;
        for base in left_out {
            summary
                .notes
                .push(format!("{base}: only a part that other ecosystems' records name, left out"));
        }
        let mut entries = Vec::new();
        for base in closed.bases() {
            let name = format!("OSV {base}");
            entries.push(segment(into, &name, now, |file| closed.write(&base, file))?);
        }
        if let Some((cves, feed)) = self.kev {
            let rows =
                cves.into_iter().map(|id| (id, Enrichment { kev: true, ..Enrichment::default() }));
            entries.push(scores(into, feed, now, rows.collect())?);
        }
        if let Some((rows, feed)) = self.epss {
            let row = |(id, epss)| (id, Enrichment { epss: Some(epss), ..Enrichment::default() });
            entries.push(scores(into, feed, now, rows.into_iter().map(row).collect())?);
        }
        Ok((entries, summary))
    }
}

/// The first by path, because the threads hand them over in any order.
fn first(rejected: &mut Vec<Rejected>) {
    rejected.sort_by(|a, b| a.path.cmp(&b.path));
    rejected.truncate(DAMAGED);
}

/// What may name a file's ecosystem: its stem, its folder, the folder above.
fn names(path: &Path) -> Vec<String> {
    let folders = path.ancestors().skip(1).take(2).filter_map(Path::file_name);
    path.file_stem()
        .into_iter()
        .chain(folders)
        .map(|name| name.to_string_lossy().into_owned())
        .collect()
}

fn feed(name: &str, as_of: Option<DateTime<Utc>>, origin: &str) -> Feed {
    Feed { name: name.to_owned(), as_of, origin: origin.to_owned(), ..Feed::default() }
}

/// Of two files of one kind, the newer; of two as old, the one whose path comes last.
fn newer<T>(old: Option<(T, Feed)>, new: (T, Feed)) -> Option<(T, Feed)> {
    let age = |feed: &Feed| (feed.as_of, feed.origin.clone());
    match old {
        Some(old) if age(&old.1) > age(&new.1) => Some(old),
        _ => Some(new),
    }
}

/// A segment of enrichments only.
fn scores(
    into: &Path,
    feed: Feed,
    now: DateTime<Utc>,
    rows: BTreeMap<String, Enrichment>,
) -> Result<Entry, Error> {
    let records = rows.len() as u64;
    segment(into, &feed.name, now, |file| {
        let mut writer = Writer::new(file)?;
        writer.end_section();
        let ids = rows.iter().map(|(id, row)| (id.as_str(), *row));
        let (length, sha256) = writer.finish(ids, &[])?;
        let (newest, origin) = (feed.as_of, feed.origin.clone());
        Ok(Written { records, newest, origin, length, sha256 })
    })
}

/// Writes a segment under a temporary name and gives it its own.
fn segment(
    into: &Path,
    name: &str,
    now: DateTime<Utc>,
    write: impl FnOnce(File) -> std::io::Result<Written>,
) -> Result<Entry, Error> {
    let temporary = into.join("segment.tmp");
    let file = File::create(&temporary).map_err(write_error(&temporary))?;
    let written = write(file).map_err(write_error(&temporary))?;
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let stem: String = name.chars().map(plain).take(60).collect();
    let file = format!("{stem}-{}.seg", &written.sha256[..16]);
    fs::rename(&temporary, into.join(&file)).map_err(write_error(&temporary))?;
    let feed = Feed {
        name: name.to_owned(),
        records: written.records,
        // A date in the future would hide the data's age.
        as_of: written.newest.map(|newest| newest.min(now)),
        imported: Some(now),
        origin: written.origin,
    };
    Ok(Entry { feed, file, length: written.length, sha256: written.sha256 })
}
