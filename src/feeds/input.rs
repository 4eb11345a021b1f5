//! What lies in the given paths: zips, folders and files, recognised by their content.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread;

use flate2::read::MultiGzDecoder;
use zip::ZipArchive;

use super::builder::Encoded;
use super::kev::Catalogue;
use super::osv::{self, Document};
use super::{Error, epss, kev, read_error};

/// The largest OSV record.
const RECORD: usize = 8 << 20;
/// The largest file of any kind, unpacked.
const FILE: u64 = 64 << 20;
const DEPTH: usize = 64;
/// The most files in all paths, and records in one zip.
const FILES: usize = 4_000_000;
/// The largest zip, unpacked; all of OSV is a tenth of it.
const UNPACKED: u128 = 256 << 30;
/// Documents that a thread hands over at once.
const CHUNK: usize = 8;

/// A file or record that was not imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// The file, or `ZIP:ENTRY`.
    pub path: String,
    /// Why.
    pub reason: String,
}

impl Rejected {
    fn new(path: &Path, reason: &str) -> Self {
        Self { path: path.display().to_string(), reason: reason.to_owned() }
    }
}

/// What a document turned out to be.
#[derive(Debug)]
pub enum Content {
    /// An OSV record.
    Osv(Box<Encoded>),
    /// The KEV catalogue.
    Kev(Catalogue),
    /// EPSS scores.
    Epss(epss::Scores),
    /// Nothing that belongs here.
    Unknown(String),
    /// Advisory data that cannot be used.
    Damaged(String),
    /// An archive that cannot be unpacked: the import ends.
    Broken(String),
}

/// The files in `paths`, in a fixed order; zips apart.
#[derive(Debug, Default)]
pub struct Files {
    /// Zips.
    pub zips: Vec<PathBuf>,
    /// Other files.
    pub loose: Vec<PathBuf>,
    /// What is no file: links to folders, dangling links, pipes.
    pub others: Vec<Rejected>,
}

/// Lists the files of all paths. Links to folders inside them are not followed.
pub fn files(paths: &[PathBuf]) -> Result<Files, Error> {
    let mut files = Files::default();
    for path in paths {
        let kind = fs::metadata(path).map_err(read_error(path))?;
        if kind.is_dir() {
            walk(path, DEPTH, &mut files)?;
        } else if kind.is_file() {
            sort_in(path.clone(), &mut files)?;
        } else {
            files.others.push(Rejected::new(path, "neither a file nor a folder"));
        }
    }
    Ok(files)
}

fn walk(folder: &Path, depth: usize, files: &mut Files) -> Result<(), Error> {
    let mut entries: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(folder).map_err(read_error(folder))? {
        entries.push(entry.map_err(read_error(folder))?.path());
    }
    entries.sort();
    for path in entries {
        let kind = fs::symlink_metadata(&path).map_err(read_error(&path))?;
        if kind.is_dir() && depth > 0 {
            walk(&path, depth - 1, files)?;
        } else if kind.is_dir() {
            files.others.push(Rejected::new(&path, "folders nested too deeply"));
        } else if fs::metadata(&path).is_ok_and(|kind| kind.is_file()) {
            sort_in(path, files)?;
        } else {
            files.others.push(Rejected::new(&path, "neither a file nor a folder"));
        }
    }
    Ok(())
}

fn sort_in(path: PathBuf, files: &mut Files) -> Result<(), Error> {
    if files.zips.len() + files.loose.len() >= FILES {
        return Err(Error::Archive { path, reason: format!("more than {FILES} files") });
    }
    let mut magic = [0; 4];
    let file = File::open(&path).map_err(read_error(&path))?;
    let zip = file.read_exact_at(&mut magic, 0).is_ok()
        && [*b"PK\x03\x04", *b"PK\x05\x06"].contains(&magic);
    if zip {
        files.zips.push(path)
    } else {
        files.loose.push(path)
    }
    Ok(())
}

/// Reads every loose file on all cores and hands each to `sink` with its number.
pub fn read_files(
    paths: &[PathBuf],
    sink: impl FnMut(usize, Content) -> Result<(), Error>,
) -> Result<(), Error> {
    parallel(paths.len(), || (), |(), at| read_file(&paths[at]), sink)
}

fn read_file(path: &Path) -> Content {
    let read = || -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        File::open(path)?.take(FILE + 1).read_to_end(&mut content)?;
        Ok(content)
    };
    let json = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("json"));
    match read() {
        Ok(content) if content.starts_with(&[0x1f, 0x8b]) => unpack(&content),
        Ok(content) => recognise(&content, json),
        Err(error) => Content::Broken(format!("cannot be read ({error})")),
    }
}

fn unpack(packed: &[u8]) -> Content {
    let mut content = Vec::new();
    match MultiGzDecoder::new(packed).take(FILE + 1).read_to_end(&mut content) {
        Ok(_) => recognise(&content, false),
        Err(error) => Content::Broken(format!("damaged gzip ({error})")),
    }
}

/// Tells what a document is; `json` says that its name promises JSON.
fn recognise(content: &[u8], json: bool) -> Content {
    if content.len() as u64 > FILE {
        return Content::Unknown(format!("larger than {} MiB", FILE >> 20));
    }
    if epss::is_epss(content) {
        let scores = epss::scores(content);
        let empty = scores.rows.is_empty();
        return if empty {
            Content::Damaged("no EPSS scores".to_owned())
        } else {
            Content::Epss(scores)
        };
    }
    let object = content.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
    if !object && !json {
        return Content::Unknown("neither OSV, KEV nor EPSS".to_owned());
    }
    match serde_json::from_slice::<Document>(content) {
        Ok(document) => sort_document(document, content.len()),
        Err(error) => Content::Damaged(error.to_string()),
    }
}

fn sort_document(mut document: Document, length: usize) -> Content {
    if let Some(catalogue) = kev::catalogue(&mut document) {
        return Content::Kev(catalogue);
    }
    if !document.is_osv() {
        return Content::Unknown("JSON, but neither an OSV record nor KEV".to_owned());
    }
    if length > RECORD {
        return Content::Damaged(format!("larger than {} MiB", RECORD >> 20));
    }
    let record = osv::record(document).and_then(|record| Encoded::new(&record));
    record.map_or_else(Content::Damaged, |record| Content::Osv(Box::new(record)))
}

/// Reads every entry of a zip on all cores and hands each to `sink` with its name.
pub fn read_zip(
    path: &Path,
    mut sink: impl FnMut(&str, Content) -> Result<(), Error>,
) -> Result<(), Error> {
    let broken = |reason: String| Error::Archive { path: path.to_owned(), reason };
    let file = File::open(path).map_err(read_error(path))?;
    let length = file.metadata().map_err(read_error(path))?.len();
    let reader = At { file: Arc::new(file), length, at: 0 };
    let archive =
        ZipArchive::new(reader).map_err(|error| broken(format!("damaged zip ({error})")))?;
    if archive.len() > FILES {
        return Err(broken(format!("more than {FILES} entries")));
    }
    if archive.decompressed_size().is_some_and(|size| size > UNPACKED) {
        return Err(broken(format!("more than {} GiB unpacked", UNPACKED >> 30)));
    }
    let work = |archive: &mut ZipArchive<At>, at: usize| entry(archive, at);
    parallel(
        archive.len(),
        || archive.clone(),
        work,
        |_, (name, content)| match content {
            None => Ok(()),
            Some(Content::Broken(reason)) => {
                Err(broken(format!("damaged zip (entry {name}: {reason})")))
            }
            Some(content) => sink(&name, content),
        },
    )
}

/// An entry's name and content; `None` for folders.
fn entry(archive: &mut ZipArchive<At>, at: usize) -> (String, Option<Content>) {
    let mut entry = match archive.by_index(at) {
        Ok(entry) => entry,
        Err(error) => return (format!("{at}"), Some(Content::Broken(error.to_string()))),
    };
    let name = String::from_utf8_lossy(entry.name_raw()).into_owned();
    if entry.is_dir() {
        return (name, None);
    }
    let mut content = Vec::new();
    let read = (&mut entry).take(FILE + 1).read_to_end(&mut content);
    let content = match read {
        Ok(_) => recognise(&content, name.ends_with(".json")),
        Err(error) => Content::Broken(error.to_string()),
    };
    (name, Some(content))
}

/// Works on `0..count` with all cores and hands the results to `sink` on this thread, in no
/// particular order; an error of `sink` ends it.
fn parallel<S, R: Send>(
    count: usize,
    state: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, usize) -> R + Sync,
    mut sink: impl FnMut(usize, R) -> Result<(), Error>,
) -> Result<(), Error> {
    let cores = thread::available_parallelism().map_or(1, usize::from).min(32);
    let threads = cores.min(count.div_ceil(CHUNK));
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        let (sender, results) = sync_channel::<Vec<(usize, R)>>(threads * 2);
        for _ in 0..threads {
            let (sender, state, work, next) = (sender.clone(), &state, &work, &next);
            scope.spawn(move || {
                let mut state = state();
                loop {
                    let start = next.fetch_add(CHUNK, Ordering::Relaxed);
                    let end = count.min(start + CHUNK);
                    let chunk: Vec<_> = (start..end).map(|at| (at, work(&mut state, at))).collect();
                    if chunk.is_empty() || sender.send(chunk).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        for (at, result) in results.into_iter().flatten() {
            sink(at, result)?;
        }
        Ok(())
    })
}

/// A reader of a shared file with a place of its own, one for each thread.
#[derive(Debug, Clone)]
struct At {
    file: Arc<File>,
    length: u64,
    at: u64,
}

impl Read for At {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for At {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let (base, offset) = match to {
            SeekFrom::Start(at) => (at, 0),
            SeekFrom::Current(offset) => (self.at, offset),
            SeekFrom::End(offset) => (self.length, offset),
        };
        let outside = || io::Error::new(io::ErrorKind::InvalidInput, "seek before the beginning");
        self.at = base.checked_add_signed(offset).ok_or_else(outside)?;
        Ok(self.at)
    }
}
