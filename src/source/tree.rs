//! Writes a commit's tree to disk: no filters, no hooks, nothing followed, nothing outside the folder.
//!
//! What cannot be written as it is (a submodule, a name or depth that no file system takes) becomes a link
//! that leads nowhere and says why; the lint finds it, so that only its own image pays.

use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};

use git2::{ObjectType, Oid, Repository, Tree, TreeEntry};

use super::Error;
use super::git::Job;

/// How the target of a link begins that stands for what was not written.
pub(super) const REFUSED: &str = "midwatch-refused:";
/// Most levels of folders.
pub(super) const MAX_DEPTH: usize = 64;
/// Most bytes of a path inside the repository.
pub(super) const MAX_PATH: usize = 1024;
/// Most bytes of one file.
const MAX_FILE: usize = 2 << 30;
/// Most bytes of one tree.
pub(super) const MAX_TOTAL: u64 = 64 << 30;
/// Most entries of one tree.
const MAX_ENTRIES: usize = 1_000_000;

type Damaged<'a> = &'a dyn Fn(git2::Error) -> Error;

struct Folder {
    tree: Oid,
    path: PathBuf,
    depth: usize,
    length: usize,
}

struct Export<'a> {
    repo: &'a Repository,
    damaged: Damaged<'a>,
    pending: Vec<Folder>,
    entries: usize,
    bytes: u64,
}

/// Writes `tree` into the empty folder `dir`.
pub(super) fn export(
    repo: &Repository,
    tree: &Tree<'_>,
    dir: &Path,
    job: &Job<'_>,
    damaged: Damaged<'_>,
) -> Result<(), Error> {
    let top = Folder { tree: tree.id(), path: dir.into(), depth: 0, length: 0 };
    let mut export = Export { repo, damaged, pending: vec![top], entries: 0, bytes: 0 };
    while let Some(folder) = export.pending.pop() {
        let tree = repo.find_tree(folder.tree).map_err(damaged)?;
        for entry in &tree {
            job.go_on()?;
            export.entries += 1;
            export.entry(&folder, &entry)?;
            if export.entries > MAX_ENTRIES || export.bytes > MAX_TOTAL {
                return Err(Error::TooLarge { entries: MAX_ENTRIES, bytes: MAX_TOTAL });
            }
        }
    }
    Ok(())
}

impl Export<'_> {
    fn entry(&mut self, folder: &Folder, entry: &TreeEntry<'_>) -> Result<(), Error> {
        let name = entry.name_bytes();
        let length = folder.length + name.len() + 1;
        if !is_plain(name) {
            return self.refuse(folder, name, "name", "its name is not one that a file may have");
        }
        if name.len() > 255 || length > MAX_PATH {
            return self.refuse(folder, name, "path", "its path is too long");
        }
        let path = folder.path.join(OsStr::from_bytes(name));
        match (entry.kind(), entry.filemode()) {
            (Some(ObjectType::Tree), _) if folder.depth >= MAX_DEPTH => {
                self.refuse(folder, name, "depth", "it lies too deep")
            }
            (Some(ObjectType::Tree), _) => {
                fs::create_dir(&path).map_err(|source| Error::io(&path, source))?;
                let depth = folder.depth + 1;
                self.pending.push(Folder { tree: entry.id(), path, depth, length });
                Ok(())
            }
            (Some(ObjectType::Blob), 0o120_000) => self.link(folder, name, &path, entry.id()),
            (Some(ObjectType::Blob), mode) => self.file(folder, name, &path, entry.id(), mode),
            (Some(ObjectType::Commit), _) => {
                let why = format!("a submodule at commit {}; it is not fetched", entry.id());
                self.refuse(folder, name, "submodule", &why)
            }
            _ => self.refuse(folder, name, "kind", "git knows no such kind of entry"),
        }
    }

    fn file(
        &mut self,
        folder: &Folder,
        name: &[u8],
        path: &Path,
        id: Oid,
        mode: i32,
    ) -> Result<(), Error> {
        let (size, _) =
            self.repo.odb().and_then(|odb| odb.read_header(id)).map_err(self.damaged)?;
        if size > MAX_FILE {
            return self.refuse(folder, name, "size", "it is larger than 2 GiB");
        }
        self.bytes += size as u64;
        let blob = self.repo.find_blob(id).map_err(self.damaged)?;
        let mode = if mode & 0o100 != 0 { 0o755 } else { 0o644 };
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(path)
            .and_then(|mut file| file.write_all(blob.content()))
            .map_err(|source| Error::io(path, source))
    }

    fn link(&self, folder: &Folder, name: &[u8], path: &Path, id: Oid) -> Result<(), Error> {
        let blob = self.repo.find_blob(id).map_err(self.damaged)?;
        let target = blob.content();
        if target.is_empty() || target.len() > 4000 || target.contains(&0) {
            return self.refuse(folder, name, "link", "a link whose target is no path");
        }
        symlink(OsStr::from_bytes(target), path).map_err(|source| Error::io(path, source))
    }

    /// Leaves a link that says why `name` is not here.
    fn refuse(&self, folder: &Folder, name: &[u8], rule: &str, why: &str) -> Result<(), Error> {
        let shown: String = String::from_utf8_lossy(name).chars().take(80).collect();
        let target = format!("{REFUSED}{rule}:{}: {why}", shown.escape_debug());
        let kept = is_plain(name) && name.len() <= 255;
        let stand_in = format!("midwatch-refused-{}", self.entries);
        let name = if kept { OsStr::from_bytes(name) } else { OsStr::new(&stand_in) };
        let path = folder.path.join(name);
        symlink(target, &path).map_err(|source| Error::io(&path, source))
    }
}

/// Whether `name` is one component of a path and not git's own folder.
fn is_plain(name: &[u8]) -> bool {
    !name.is_empty()
        && name != b"."
        && name != b".."
        && !name.eq_ignore_ascii_case(b".git")
        && !name.contains(&b'/')
        && !name.contains(&0)
}
