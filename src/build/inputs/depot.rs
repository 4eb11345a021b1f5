//! The content store of declared files: `sha256/HEX` holds the content, `sha512/HEX` names the
//! SHA-256 of the same content, `partial/` what is still arriving.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use futures_util::StreamExt;
use sha2::{Digest, Sha256, Sha512};
use tempfile::NamedTempFile;

use super::addresses::Address;
use super::download::Pieces;
use super::{FetchError, Fetched, spelled};
use crate::model::manifest::{Algorithm, Checksum};

/// The folder of files that are still arriving.
const PARTIAL: &str = "partial";

/// The store at one folder.
#[derive(Debug)]
pub(super) struct Depot {
    root: PathBuf,
}

/// Removes what an interrupted fetch left in the store; files that a running process is still
/// writing stay. Returns how many were removed.
///
/// # Errors
/// Where the folder is there and cannot be read.
pub fn sweep(store: &Path) -> io::Result<u64> {
    let entries = match fs::read_dir(store.join(PARTIAL)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    let mut swept = 0;
    for entry in entries {
        let path = entry?.path();
        // Its writer holds a lock on it, which ends with the writer's process.
        let abandoned = File::open(&path).is_ok_and(|file| file.try_lock().is_ok());
        swept += u64::from(abandoned && fs::remove_file(&path).is_ok());
    }
    Ok(swept)
}

impl Depot {
    pub(super) fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// A file that is here already, by its declared checksum; its content is checked, and a
    /// damaged one is removed.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub(super) async fn find(
        &self,
        name: &str,
        checksum: Option<&Checksum>,
    ) -> Result<Option<Fetched>, FetchError> {
        let Some(sha256) = checksum.and_then(|declared| self.key(declared)) else {
            return Ok(None);
        };
        let path = self.root.join("sha256").join(&sha256);
        let (here, declared) = (path.clone(), checksum.cloned());
        let read = tokio::task::spawn_blocking(move || digests(&here, declared.as_ref())).await;
        let read = read.unwrap_or_else(|error| Err(io::Error::other(error.to_string())));
        let fault = |source| FetchError::Store { name: name.into(), path: path.clone(), source };
        let hashes = match read {
            Ok(hashes) => hashes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(fault(error)),
        };
        if hashes.sha256 != sha256 || checksum.is_some_and(|declared| !hashes.meet(declared)) {
            fs::remove_file(&path).map_err(fault)?;
            return Ok(None);
        }
        let from = "store".to_owned();
        Ok(Some(Fetched {
            name: name.into(),
            path,
            sha256,
            bytes: hashes.bytes,
            from,
            pinned: true,
        }))
    }

    /// Writes an arriving file, checks it and keeps it. What is not kept is removed, also where
    /// the caller stops waiting.
    ///
    /// # Errors
    /// Where it is too large, not as declared, or cannot be written.
    pub(super) async fn keep(
        &self,
        name: &str,
        at: &Address,
        checksum: Option<&Checksum>,
        most: u64,
        pieces: &mut Pieces,
    ) -> Result<Fetched, FetchError> {
        let folder = self.root.join(PARTIAL);
        let fault = |error: io::Error| self.fault(name, &folder, error);
        let mut file = begin(&folder).map_err(fault)?;
        let mut hashing = Hashing::of(checksum);
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|message| FetchError::Transfer {
                name: name.into(),
                address: at.shown.clone(),
                message,
                again: true,
            })?;
            hashing.take(&piece);
            if hashing.bytes > most {
                let address = at.shown.clone();
                return Err(FetchError::TooLarge { name: name.into(), address, limit: most });
            }
            file.write_all(&piece).map_err(fault)?;
        }
        let hashes = hashing.done();
        if let Some(declared) = checksum
            && !hashes.meet(declared)
        {
            return Err(mismatch(name, at, declared, &hashes));
        }
        let path = self.settle(file, &hashes).map_err(fault)?;
        Ok(Fetched {
            name: name.into(),
            path,
            sha256: hashes.sha256,
            bytes: hashes.bytes,
            from: at.shown.clone(),
            pinned: checksum.is_some(),
        })
    }

    /// Moves a whole file to its place; the index comes last, so that it never points at nothing.
    fn settle(&self, file: NamedTempFile, hashes: &Hashes) -> io::Result<PathBuf> {
        file.as_file().sync_all()?;
        let folder = self.root.join("sha256");
        fs::create_dir_all(&folder)?;
        let path = folder.join(&hashes.sha256);
        file.persist(&path)?;
        if let Some(sha512) = &hashes.sha512 {
            let index = self.root.join("sha512");
            fs::create_dir_all(&index)?;
            let mut link = NamedTempFile::new_in(self.root.join(PARTIAL))?;
            link.write_all(hashes.sha256.as_bytes())?;
            link.persist(index.join(sha512))?;
        }
        Ok(path)
    }

    /// The SHA-256 under which a declared file would lie.
    fn key(&self, declared: &Checksum) -> Option<String> {
        let hex = |text: &str, digits: usize| {
            text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit())
        };
        match declared.algorithm {
            Algorithm::Sha256 => hex(&declared.hex, 64).then(|| declared.hex.clone()),
            Algorithm::Sha512 if hex(&declared.hex, 128) => {
                let sha256 =
                    fs::read_to_string(self.root.join("sha512").join(&declared.hex)).ok()?;
                hex(&sha256, 64).then_some(sha256)
            }
            Algorithm::Sha512 => None,
        }
    }

    fn fault(&self, name: &str, path: &Path, source: io::Error) -> FetchError {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                FetchError::DiskFull { name: name.into(), path: self.root.clone() }
            }
            _ => FetchError::Store { name: name.into(), path: path.to_owned(), source },
        }
    }
}

/// A new file for what arrives, locked as long as it is written.
fn begin(folder: &Path) -> io::Result<NamedTempFile> {
    fs::create_dir_all(folder)?;
    let file = NamedTempFile::new_in(folder)?;
    file.as_file().lock()?;
    Ok(file)
}

fn mismatch(name: &str, at: &Address, declared: &Checksum, hashes: &Hashes) -> FetchError {
    FetchError::Checksum {
        name: name.into(),
        address: at.shown.clone(),
        algorithm: spelled(declared.algorithm),
        expected: declared.hex.clone(),
        got: hashes.by(declared.algorithm).to_owned(),
        bytes: hashes.bytes,
    }
}

/// What a file's content hashes to; SHA-512 only where it is asked for.
#[derive(Debug)]
struct Hashes {
    sha256: String,
    sha512: Option<String>,
    bytes: u64,
}

impl Hashes {
    fn by(&self, algorithm: Algorithm) -> &str {
        match algorithm {
            Algorithm::Sha256 => &self.sha256,
            Algorithm::Sha512 => self.sha512.as_deref().unwrap_or_default(),
        }
    }

    fn meet(&self, declared: &Checksum) -> bool {
        self.by(declared.algorithm).eq_ignore_ascii_case(&declared.hex)
    }
}

struct Hashing {
    sha256: Sha256,
    sha512: Option<Sha512>,
    bytes: u64,
}

impl Hashing {
    fn of(checksum: Option<&Checksum>) -> Self {
        let wide = checksum.is_some_and(|declared| declared.algorithm == Algorithm::Sha512);
        Self { sha256: Sha256::new(), sha512: wide.then(Sha512::new), bytes: 0 }
    }

    fn take(&mut self, piece: &[u8]) {
        self.sha256.update(piece);
        if let Some(sha512) = &mut self.sha512 {
            sha512.update(piece);
        }
        self.bytes += piece.len() as u64;
    }

    fn done(self) -> Hashes {
        Hashes {
            sha256: hex::encode(self.sha256.finalize()),
            sha512: self.sha512.map(|sha512| hex::encode(sha512.finalize())),
            bytes: self.bytes,
        }
    }
}

fn digests(path: &Path, checksum: Option<&Checksum>) -> io::Result<Hashes> {
    let mut file = File::open(path)?;
    let mut hashing = Hashing::of(checksum);
    let mut piece = vec![0; 128 * 1024];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(hashing.done()),
            count => hashing.take(&piece[..count]),
        }
    }
}
