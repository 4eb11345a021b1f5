//! No two nights of a pipeline at once: a lock that dies with its process.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

/// A held lock; dropping it, or the end of the process, releases it.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Why a lock was not had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Somebody else holds it.
    #[error("{path} is locked: {holder}")]
    Held {
        /// The lock's file.
        path: PathBuf,
        /// What the holder wrote into it.
        holder: String,
    },
    /// The file system does not let us.
    #[error("cannot lock {path}: {source}")]
    Io {
        /// The lock's file.
        path: PathBuf,
        /// What it said.
        source: std::io::Error,
    },
}

impl Lock {
    /// Takes the lock `name` below the data folder, or says who holds it.
    ///
    /// # Errors
    /// Held by another process, or no access.
    pub fn take(data: &Path, name: &str) -> Result<Self, Error> {
        let (mut file, path) = open(data, name)?;
        let io = |source| Error::Io { path: path.clone(), source };
        match file.try_lock() {
            Ok(()) => sign(&mut file).map_err(io)?,
            Err(fs::TryLockError::WouldBlock) => {
                let mut holder = String::new();
                file.read_to_string(&mut holder).map_err(io)?;
                return Err(Error::Held { path, holder: holder.trim().to_owned() });
            }
            Err(fs::TryLockError::Error(source)) => return Err(io(source)),
        }
        Ok(Self { _file: file })
    }

    /// Waits for the lock; blocks its thread.
    ///
    /// # Errors
    /// No access.
    pub fn wait(data: &Path, name: &str) -> Result<Self, Error> {
        let (mut file, path) = open(data, name)?;
        let io = |source| Error::Io { path: path.clone(), source };
        file.lock().map_err(io)?;
        sign(&mut file).map_err(io)?;
        Ok(Self { _file: file })
    }
}

/// Whether nobody holds the lock `name`.
pub fn idle(data: &Path, name: &str) -> bool {
    match File::open(data.join("locks").join(format!("{name}.lock"))) {
        Ok(file) => file.try_lock_shared().is_ok(),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}

fn open(data: &Path, name: &str) -> Result<(File, PathBuf), Error> {
    let folder = data.join("locks");
    let path = folder.join(format!("{name}.lock"));
    let io = |source| Error::Io { path: path.clone(), source };
    fs::create_dir_all(&folder).map_err(io)?;
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(io)?;
    Ok((file, path))
}

fn sign(file: &mut File) -> std::io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "process {}", std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_taker_is_told_who_holds_it() {
        let data = tempfile::tempdir().unwrap();
        let held = Lock::take(data.path(), "nightly").unwrap();
        let error = Lock::take(data.path(), "nightly").unwrap_err().to_string();
        assert!(error.contains(&format!("process {}", std::process::id())), "{error}");
        Lock::take(data.path(), "other").unwrap();
        assert!(!idle(data.path(), "nightly") && idle(data.path(), "unheard-of"));
        drop(held);
        Lock::take(data.path(), "nightly").unwrap();
    }
}
