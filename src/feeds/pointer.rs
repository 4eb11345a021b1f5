//! `current.json`: which segments are in use. It is swapped last, so a killed import changes nothing.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::model::advisory::{Feed, FeedState};

use super::{Error, read_error, write_error};

const NAME: &str = "current.json";
const FORMAT: u32 = 1;

/// The index's table of contents.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Pointer {
    format: u32,
    /// When the last import ended.
    pub imported: DateTime<Utc>,
    /// The segments, by their sources' names.
    pub segments: Vec<Entry>,
}

/// A segment in use.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Entry {
    /// Its source.
    pub feed: Feed,
    /// Its file's name.
    pub file: String,
    /// Its file's length.
    pub length: u64,
    /// SHA-256 of its content.
    pub sha256: String,
}

impl Pointer {
    /// A table of `segments`.
    pub fn new(imported: DateTime<Utc>, mut segments: Vec<Entry>) -> Self {
        segments.sort_by(|a, b| a.feed.name.cmp(&b.feed.name));
        Self { format: FORMAT, imported, segments }
    }

    /// Reads the table; `None` where there is none.
    pub fn read(folder: &Path) -> Result<Option<Self>, Error> {
        let path = folder.join(NAME);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(read_error(&path)(error)),
        };
        let damaged = |reason: String| Error::Damaged { path: path.clone(), reason };
        let pointer: Self =
            serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
        let plain =
            |entry: &Entry| !entry.file.contains(['/', '\\']) && entry.file.ends_with(".seg");
        if pointer.format != FORMAT {
            return Err(damaged(format!("its format is {} and not {FORMAT}", pointer.format)));
        }
        if !pointer.segments.iter().all(plain) {
            return Err(damaged("it names files outside its folder".to_owned()));
        }
        Ok(Some(pointer))
    }

    /// Swaps the table in.
    pub fn write(&self, folder: &Path) -> Result<(), Error> {
        let temporary = folder.join("current.json.tmp");
        let save = || -> io::Result<()> {
            let mut file = File::create(&temporary)?;
            file.write_all(&serde_json::to_vec_pretty(self)?)?;
            file.sync_all()?;
            fs::rename(&temporary, folder.join(NAME))?;
            File::open(folder)?.sync_all()
        };
        save().map_err(write_error(&temporary))
    }

    /// The state of all feeds; the index's digest covers the segments' content and nothing else, so
    /// the same data imported again has the same digest.
    pub fn state(&self) -> FeedState {
        let mut sha = Sha256::new();
        for entry in &self.segments {
            sha.update(format!("{} {}\n", entry.feed.name, entry.sha256));
        }
        FeedState {
            index: format!("sha256:{}", hex::encode(sha.finalize())),
            imported: Some(self.imported),
            sources: self.segments.iter().map(|entry| entry.feed.clone()).collect(),
        }
    }
}

/// Removes segments and temporary files that no table names: leftovers of killed imports.
pub fn sweep(folder: &Path, pointer: Option<&Pointer>) -> Result<(), Error> {
    let segments = pointer.map(|pointer| pointer.segments.as_slice()).unwrap_or_default();
    let used: BTreeSet<&str> = segments.iter().map(|entry| entry.file.as_str()).collect();
    for entry in fs::read_dir(folder).map_err(read_error(folder))? {
        let entry = entry.map_err(read_error(folder))?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.ends_with(".tmp") || (name.ends_with(".seg") && !used.contains(&*name)) {
            fs::remove_file(entry.path()).map_err(write_error(&entry.path()))?;
        }
    }
    Ok(())
}
