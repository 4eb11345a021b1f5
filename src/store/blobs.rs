//! The content store: a folder of files named by the SHA-256 of what is in them.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::{Error, Result};

/// Most bytes of one file that is read back.
const MAX_BYTES: u64 = 256 * 1024 * 1024;

/// A content-addressed folder: `ROOT/sha256/ab/abcdef…`. Its calls block on the disk.
#[derive(Debug, Clone)]
pub struct Blobs {
    root: PathBuf,
}

impl Blobs {
    /// The content store below `root`, made where it is missing.
    ///
    /// # Errors
    /// [`Error::Blob`] where the folder cannot be made.
    pub fn open(root: &Path) -> Result<Self> {
        let folder = root.join("sha256");
        std::fs::create_dir_all(&folder).map_err(|source| failed(&folder, source))?;
        Ok(Self { root: root.to_owned() })
    }

    /// Stores `bytes`, durably and at most once, and returns their digest: `sha256:…`.
    ///
    /// # Errors
    /// [`Error::Blob`] where the file cannot be written.
    pub fn put(&self, bytes: &[u8]) -> Result<String> {
        let hex = hex::encode(Sha256::digest(bytes));
        let path = self.place(&hex);
        // A file of another length was cut short by something else than midwatch: write it anew.
        let there = std::fs::metadata(&path).is_ok_and(|meta| meta.len() == bytes.len() as u64);
        if !there {
            write(&path, bytes).map_err(|source| failed(&path, source))?;
        }
        Ok(format!("sha256:{hex}"))
    }

    /// Reads the content of `digest` and checks it.
    ///
    /// # Errors
    /// [`Error::Digest`] for a malformed digest, a damaged file or one over 256 MiB,
    /// [`Error::Blob`] where it cannot be read.
    pub fn get(&self, digest: &str) -> Result<Vec<u8>> {
        let path = self.path(digest)?;
        let mut bytes = Vec::new();
        File::open(&path)
            .and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes))
            .map_err(|source| failed(&path, source))?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(wrong(digest, "the file is larger than 256 MiB"));
        }
        if path != self.place(&hex::encode(Sha256::digest(&bytes))) {
            return Err(wrong(digest, "the file is damaged: its content has another digest"));
        }
        Ok(bytes)
    }

    /// The file of `digest`, whether it is there or not.
    ///
    /// # Errors
    /// [`Error::Digest`] for a malformed digest.
    pub fn path(&self, digest: &str) -> Result<PathBuf> {
        let digits = |hex: &&str| {
            hex.len() == 64 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        };
        match digest.strip_prefix("sha256:").filter(digits) {
            Some(hex) => Ok(self.place(hex)),
            None => Err(wrong(digest, "not a digest: sha256: and 64 hexadecimal digits expected")),
        }
    }

    fn place(&self, hex: &str) -> PathBuf {
        self.root.join("sha256").join(&hex[..2]).join(hex)
    }
}

/// Writes beside the place and renames, so that a file under its name is always whole.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut file = tempfile::Builder::new().prefix(".partial-").tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    File::open(folder)?.sync_all()?;
    if let Some(parent) = folder.parent() {
        File::open(parent)?.sync_all()?;
    }
    Ok(())
}

fn failed(path: &Path, source: io::Error) -> Error {
    Error::Blob { path: path.to_owned(), source }
}

fn wrong(digest: &str, problem: &str) -> Error {
    Error::Digest { digest: digest.chars().take(100).collect(), problem: problem.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, Blobs) {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(&dir.path().join("blobs")).unwrap();
        (dir, blobs)
    }

    #[test]
    fn what_was_put_comes_back_and_is_kept_once() {
        let (_dir, blobs) = store();
        let digest = blobs.put(b"a mail").unwrap();
        assert_eq!(blobs.put(b"a mail").unwrap(), digest);
        assert_eq!(blobs.get(&digest).unwrap(), b"a mail");
        let path = blobs.path(&digest).unwrap();
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        assert!(path.ends_with(format!("{}/{}", &digest[7..9], &digest[7..])));
        let empty = blobs.put(b"").unwrap();
        assert_eq!(blobs.get(&empty).unwrap(), b"");
    }

    #[test]
    fn damage_is_found_and_mended() {
        let (_dir, blobs) = store();
        let digest = blobs.put(b"evidence").unwrap();
        std::fs::write(blobs.path(&digest).unwrap(), b"forged!!").unwrap();
        assert!(blobs.get(&digest).unwrap_err().to_string().contains("damaged"));
        std::fs::write(blobs.path(&digest).unwrap(), b"evid").unwrap();
        blobs.put(b"evidence").unwrap();
        assert_eq!(blobs.get(&digest).unwrap(), b"evidence");
    }

    #[test]
    fn digests_cannot_leave_the_folder() {
        let (_dir, blobs) = store();
        let long = format!("sha256:{}", "../".repeat(100));
        for digest in ["", "sha256:", "sha256:../../etc/passwd", "md5:00", &long] {
            assert!(matches!(blobs.get(digest), Err(Error::Digest { .. })), "{digest}");
        }
        let upper = format!("sha256:{}", "A".repeat(64));
        assert!(blobs.path(&upper).is_err());
        let missing = format!("sha256:{}", "0".repeat(64));
        assert!(matches!(blobs.get(&missing), Err(Error::Blob { .. })));
    }
}
