//! Reading files of strangers: bounded, regular files only, links never followed.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

/// The bytes of a regular file of at most `max` bytes; else why not.
pub(super) fn bytes(path: &Path, max: u64) -> Result<Vec<u8>, String> {
    let shown = path.display();
    let meta = fs::symlink_metadata(path).map_err(|error| format!("{shown}: {error}"))?;
    if !meta.is_file() {
        return Err(format!("{shown}: not a regular file"));
    }
    if meta.len() > max {
        return Err(format!("{shown}: {} bytes, at most {max} are read", meta.len()));
    }
    let file = File::open(path).map_err(|error| format!("{shown}: {error}"))?;
    let mut bytes = Vec::new();
    file.take(max + 1).read_to_end(&mut bytes).map_err(|error| format!("{shown}: {error}"))?;
    match bytes.len() as u64 > max {
        true => Err(format!("{shown}: more than {max} bytes")),
        false => Ok(bytes),
    }
}

/// The text of a file that the operator named; links are followed, they are the operator's own.
pub(super) fn text(path: &Path, max: u64) -> Result<String, String> {
    let full = path.canonicalize().map_err(|error| format!("{}: {error}", path.display()))?;
    let bytes = bytes(&full, max)?;
    String::from_utf8(bytes).map_err(|_| format!("{}: not UTF-8", path.display()))
}
