//! The build context as a reproducible tar.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use tar::{EntryType, Header};

use crate::model::build::BuildJob;
use crate::model::source::ContextKind;

/// The time of every entry: a constant, and after 1980, before which zip files know no time.
/// 26 October 1985, 08:15 UTC.
const MTIME: u64 = 499_162_500;

/// Why a context could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ContextError {
    /// A file is not what the listing says.
    #[error("{}: {problem}", path.display())]
    File {
        /// The file on disk.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A declared input and a file of the context have the same name.
    #[error(
        "{0}: a declared resource and a file of the context have this name; rename one of them"
    )]
    Clash(String),
    /// A name that would leave the context.
    #[error("{0:?} is not a name inside a build context")]
    Name(String),
    /// The reader went away or the tar could not be written.
    #[error("cannot write the build context: {0}")]
    Write(io::Error),
}

/// What an entry of the tar is made of.
enum Entry<'a> {
    Folder,
    Text(&'a str),
    File { path: PathBuf, size: Option<u64>, executable: bool },
}

/// Writes the context of `job` to `to`: the same job gives the same bytes.
///
/// Entries are sorted by path, owned by nobody in particular (0:0), with one constant time and
/// the modes 0644 and 0755. `Dockerfile` is the job's own text.
///
/// # Errors
/// Where a file vanished or changed since it was listed, or two entries share a name.
pub fn context_tar(job: &BuildJob, to: impl Write) -> Result<(), ContextError> {
    let mut tar = tar::Builder::new(to);
    for (name, entry) in entries(job)? {
        match entry {
            Entry::Folder => {
                append(&mut tar, &format!("{name}/"), EntryType::Directory, 0o755, 0, io::empty())?;
            }
            Entry::Text(text) => {
                let bytes = text.as_bytes();
                append(&mut tar, name, EntryType::Regular, 0o644, bytes.len() as u64, bytes)?;
            }
            Entry::File { path, size, executable } => {
                let (file, size) = open(&path, size)?;
                let mode = if executable { 0o755 } else { 0o644 };
                let mut content = Exact { inner: file, left: size, path: &path, broken: None };
                let written = append(&mut tar, name, EntryType::Regular, mode, size, &mut content);
                if let Some(problem) = content.broken.take() {
                    return Err(ContextError::File { path, problem });
                }
                written?;
            }
        }
    }
    tar.into_inner().map_err(ContextError::Write)?.flush().map_err(ContextError::Write)
}

/// All entries by name, sorted.
fn entries(job: &BuildJob) -> Result<BTreeMap<&str, Entry<'_>>, ContextError> {
    let mut entries = BTreeMap::new();
    for file in &job.context {
        check(&file.path)?;
        let entry = match file.kind {
            ContextKind::Folder => Entry::Folder,
            ContextKind::File => Entry::File {
                path: job.dir.join(&file.path),
                size: Some(file.size),
                executable: file.executable,
            },
        };
        entries.insert(file.path.as_str(), entry);
    }
    for (name, path) in &job.inputs {
        check(name)?;
        let entry = Entry::File { path: path.clone(), size: None, executable: false };
        if name == "Dockerfile" || entries.insert(name, entry).is_some() {
            return Err(ContextError::Clash(name.clone()));
        }
    }
    entries.insert("Dockerfile", Entry::Text(&job.dockerfile));
    Ok(entries)
}

fn check(name: &str) -> Result<(), ContextError> {
    let bad = name.is_empty()
        || name.contains(['\0', '\\'])
        || name.split('/').any(|part| matches!(part, "" | "." | ".."));
    if bad { Err(ContextError::Name(name.to_owned())) } else { Ok(()) }
}

/// Opens a regular file and compares its size with the listing.
fn open(path: &Path, listed: Option<u64>) -> Result<(File, u64), ContextError> {
    let problem = |problem: String| ContextError::File { path: path.to_owned(), problem };
    let facts = std::fs::symlink_metadata(path)
        .map_err(|error| problem(format!("listed, but cannot be read now: {error}")))?;
    if !facts.is_file() {
        return Err(problem("is no longer a regular file".into()));
    }
    if let Some(size) = listed
        && size != facts.len()
    {
        return Err(problem(format!(
            "changed since it was listed: {size} bytes then, {} now",
            facts.len()
        )));
    }
    let file = File::open(path).map_err(|error| problem(error.to_string()))?;
    Ok((file, facts.len()))
}

fn append<W: Write>(
    tar: &mut tar::Builder<W>,
    name: &str,
    kind: EntryType,
    mode: u32,
    size: u64,
    content: impl Read,
) -> Result<(), ContextError> {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_mtime(MTIME);
    header.set_uid(0);
    header.set_gid(0);
    tar.append_data(&mut header, name, content).map_err(ContextError::Write)
}

/// Reads exactly the announced number of bytes, or says why not: a tar with a short entry would
/// shift everything after it.
struct Exact<'a> {
    inner: File,
    left: u64,
    path: &'a Path,
    broken: Option<String>,
}

impl Read for &mut Exact<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 || buffer.is_empty() {
            return Ok(0);
        }
        let most = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let result = self.inner.read(&mut buffer[..most]);
        match result {
            Ok(0) => {
                self.broken = Some("became shorter while it was read".into());
                Err(io::Error::other(format!("{} became shorter", self.path.display())))
            }
            Ok(count) => {
                self.left -= count as u64;
                Ok(count)
            }
            Err(error) => {
                self.broken = Some(error.to_string());
                Err(error)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::build::{Builder, Limits};
    use crate::model::source::ContextFile;

    fn job(dir: &Path) -> BuildJob {
        let file = |path: &str, size: u64, executable: bool| ContextFile {
            path: path.into(),
            kind: ContextKind::File,
            executable,
            size,
            sha256: String::new(),
        };
        std::fs::create_dir_all(dir.join("scripts")).unwrap();
        std::fs::write(dir.join("scripts/run.sh"), "echo\n").unwrap();
        std::fs::write(dir.join("Dockerfile"), "FROM other\n").unwrap();
        let long = format!("{}/{}", "d".repeat(90), "f".repeat(120));
        std::fs::create_dir_all(dir.join("d".repeat(90))).unwrap();
        std::fs::write(dir.join(&long), "long").unwrap();
        let folder = ContextFile { kind: ContextKind::Folder, ..file("scripts", 0, true) };
        BuildJob {
            image: "app".into(),
            dir: dir.to_owned(),
            context: vec![
                file("Dockerfile", 11, false),
                file(&long, 4, false),
                folder,
                file("scripts/run.sh", 5, true),
            ],
            dockerfile: "FROM scratch\n".into(),
            inputs: Vec::new(),
            args: BTreeMap::new(),
            labels: BTreeMap::new(),
            tags: Vec::new(),
            platform: None,
            network: "none".into(),
            builder: Builder::Buildkit,
            cache: true,
            limits: Limits {
                time: Duration::from_secs(60),
                memory: None,
                milli_cpus: None,
                log_bytes: 1000,
            },
        }
    }

    fn bytes(job: &BuildJob) -> Result<Vec<u8>, ContextError> {
        let mut out = Vec::new();
        context_tar(job, &mut out).map(|()| out)
    }

    #[test]
    fn the_same_job_gives_the_same_bytes_wherever_and_whenever_it_lies() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let first = bytes(&job(one.path())).unwrap();
        let second = job(two.path());
        let script = File::open(two.path().join("scripts/run.sh")).unwrap();
        script.set_modified(std::time::UNIX_EPOCH + Duration::from_secs(5)).unwrap();
        assert_eq!(first, bytes(&second).unwrap());
    }

    #[test]
    fn entries_carry_modes_and_long_names_and_the_jobs_dockerfile() {
        let dir = tempfile::tempdir().unwrap();
        let tar = bytes(&job(dir.path())).unwrap();
        let mut seen = Vec::new();
        for entry in tar::Archive::new(tar.as_slice()).entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            let path = entry.path().unwrap().to_string_lossy().into_owned();
            let header = entry.header();
            assert_eq!((header.uid().unwrap(), header.mtime().unwrap()), (0, MTIME));
            seen.push((path, header.mode().unwrap(), text));
        }
        let long = format!("{}/{}", "d".repeat(90), "f".repeat(120));
        assert_eq!(
            seen,
            [
                ("Dockerfile".into(), 0o644, "FROM scratch\n".into()),
                (long, 0o644, "long".into()),
                ("scripts/".to_string(), 0o755, String::new()),
                ("scripts/run.sh".into(), 0o755, "echo\n".into()),
            ]
        );
    }

    #[test]
    fn a_changed_or_vanished_file_is_an_error_that_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let job = job(dir.path());
        std::fs::write(dir.path().join("scripts/run.sh"), "echo more\n").unwrap();
        let error = bytes(&job).unwrap_err().to_string();
        assert!(
            error.contains("run.sh: changed since it was listed: 5 bytes then, 10 now"),
            "{error}"
        );
        std::fs::remove_file(dir.path().join("scripts/run.sh")).unwrap();
        assert!(
            bytes(&job).unwrap_err().to_string().contains("run.sh: listed, but cannot be read")
        );
    }

    #[test]
    fn a_link_in_place_of_a_listed_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let job = job(dir.path());
        std::fs::remove_file(dir.path().join("scripts/run.sh")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("scripts/run.sh")).unwrap();
        assert!(bytes(&job).unwrap_err().to_string().contains("no longer a regular file"));
    }

    #[test]
    fn an_input_lies_at_the_root_and_must_not_hide_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let mut job = job(dir.path());
        let input = dir.path().join("blob");
        std::fs::write(&input, "data").unwrap();
        job.inputs = vec![("app.tar.gz".into(), input.clone())];
        let tar = bytes(&job).unwrap();
        let mut archive = tar::Archive::new(tar.as_slice());
        assert!(
            archive
                .entries()
                .unwrap()
                .any(|e| e.unwrap().path().unwrap() == Path::new("app.tar.gz"))
        );
        for name in ["scripts", "Dockerfile"] {
            job.inputs = vec![(name.into(), input.clone())];
            assert!(matches!(bytes(&job), Err(ContextError::Clash(_))), "{name}");
        }
        job.inputs = vec![("../up".into(), input)];
        assert!(matches!(bytes(&job), Err(ContextError::Name(_))));
    }
}
