//! Clone or fetch into a bare mirror, pin the commit, check its signature, export its tree.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::DateTime;
use git2::{AutotagOption, Direction, ErrorClass, FetchOptions, Oid, ProxyOptions, Repository};
use sha2::{Digest, Sha256};

use super::address::Address;
use super::remote;
use super::{Checkout, Error, signature, tree};
use crate::model::pipeline::SourceSpec;

/// Milliseconds until a server must have accepted a connection.
const CONNECT_MS: i32 = 30_000;
/// Milliseconds a server may stay silent.
const SILENT_MS: i32 = 120_000;

/// What one checkout works with.
pub(super) struct Job<'a> {
    pub spec: &'a SourceSpec,
    pub address: Address,
    pub credentials: Option<(String, String)>,
    pub at: Option<&'a str>,
    pub cancel: &'a AtomicBool,
}

impl Job<'_> {
    /// An error once the work is to stop.
    pub fn go_on(&self) -> Result<(), Error> {
        if self.cancel.load(Ordering::Relaxed) { Err(Error::Cancelled) } else { Ok(()) }
    }

    /// A git error that concerns the remote.
    pub fn remote_error(&self, error: &git2::Error) -> Error {
        if self.cancel.load(Ordering::Relaxed) {
            return Error::Cancelled;
        }
        let message = self.address.without_secrets(error.message());
        Error::Remote {
            url: self.address.shown.clone(),
            message,
            help: remote::advice(error, self),
        }
    }
}

/// Runs the job, with the mirror in `cache` and the tree in `work`.
pub(super) fn run(job: &Job<'_>, cache: &Path, work: &Path) -> Result<Checkout, Error> {
    set_timeouts();
    fs::create_dir_all(cache).map_err(|source| Error::io(cache, source))?;
    let name = hex::encode(&Sha256::digest(job.address.shown.as_bytes())[..16]);
    let mirror = cache.join(format!("{name}.git"));
    let lock = cache.join(format!("{name}.lock"));
    let _lock = locked(&lock, job)?;
    let existed = mirror.exists();
    match attempt(job, &mirror, work) {
        // The mirror holds nothing that the remote does not: a damaged one is made anew, once.
        Err(Error::Mirror { .. }) if existed => {
            remove(&mirror)?;
            attempt(job, &mirror, work)
        }
        other => other,
    }
}

fn attempt(job: &Job<'_>, mirror: &Path, work: &Path) -> Result<Checkout, Error> {
    let damaged =
        |error: git2::Error| Error::Mirror { path: mirror.into(), message: error.message().into() };
    let repo = match mirror.exists() {
        true => Repository::open_bare(mirror).map_err(damaged)?,
        false => Repository::init_bare(mirror).map_err(damaged)?,
    };
    let oid = match job.at {
        Some(at) => pinned(job, &repo, at)?,
        None => fetch(job, &repo)?,
    };
    let commit = repo.find_commit(oid).map_err(damaged)?;
    let signer = match &job.spec.allowed_signers {
        Some(path) => Some(signature::verify(&repo, &commit, Path::new(path))?),
        None => None,
    };
    let dir = fresh(work)?;
    tree::export(&repo, &commit.tree().map_err(damaged)?, &dir, job, &damaged)?;
    let committed_at = DateTime::from_timestamp(commit.time().seconds(), 0);
    Ok(Checkout { commit: oid.to_string(), committed_at, signer, dir })
}

/// The commit `at`, fetched only where the mirror lacks it.
fn pinned(job: &Job<'_>, repo: &Repository, at: &str) -> Result<Oid, Error> {
    let missing = || Error::Commit { url: job.address.shown.clone(), commit: at.into() };
    let oid = Oid::from_str(at).map_err(|_| missing())?;
    if repo.find_commit(oid).is_err() {
        fetch(job, repo)?;
        repo.find_commit(oid).map_err(|_| missing())?;
    }
    Ok(oid)
}

/// Fetches the branch and answers its commit.
fn fetch(job: &Job<'_>, repo: &Repository) -> Result<Oid, Error> {
    job.go_on()?;
    let mut remote =
        repo.remote_anonymous(&job.address.url).map_err(|error| job.remote_error(&error))?;
    let wanted = match &job.spec.branch {
        Some(branch) => format!("refs/heads/{branch}"),
        None => "HEAD".into(),
    };
    let oid = {
        let connection = remote
            .connect_auth(Direction::Fetch, Some(remote::callbacks(job)), Some(proxy()))
            .map_err(|error| job.remote_error(&error))?;
        let heads = connection.list().map_err(|error| job.remote_error(&error))?;
        match heads.iter().find(|head| head.name() == wanted) {
            Some(head) => head.oid(),
            None => return Err(no_branch(job, heads.iter().map(git2::RemoteHead::name))),
        }
    };
    // The last fetched heads stay as references: the next fetch asks only for what is new.
    let slot = hex::encode(&Sha256::digest(wanted.as_bytes())[..8]);
    let local = format!("refs/midwatch/{slot}");
    if repo.find_commit(oid).is_err() {
        let mut options = FetchOptions::new();
        options.remote_callbacks(remote::callbacks(job)).proxy_options(proxy());
        options.download_tags(AutotagOption::None).update_fetchhead(false);
        remote
            .fetch(&[format!("+{wanted}:{local}")], Some(&mut options), None)
            .map_err(|error| failed_fetch(job, repo, &error))?;
    }
    job.go_on()?;
    let damaged = |error: git2::Error| Error::Mirror {
        path: repo.path().into(),
        message: error.message().into(),
    };
    if repo.find_commit(oid).is_ok() {
        repo.reference(&local, oid, true, "fetched").map_err(damaged)?;
        return Ok(oid);
    }
    // The branch moved between the two connections.
    repo.refname_to_id(&local).map_err(damaged)
}

fn failed_fetch(job: &Job<'_>, repo: &Repository, error: &git2::Error) -> Error {
    let remote = matches!(
        error.class(),
        ErrorClass::Net
            | ErrorClass::Ssl
            | ErrorClass::Ssh
            | ErrorClass::Http
            | ErrorClass::Callback
    );
    if remote || job.cancel.load(Ordering::Relaxed) {
        return job.remote_error(error);
    }
    Error::Mirror {
        path: repo.path().into(),
        message: job.address.without_secrets(error.message()),
    }
}

fn no_branch<'a>(job: &Job<'_>, heads: impl Iterator<Item = &'a str>) -> Error {
    let url = job.address.shown.clone();
    let mut known: Vec<_> =
        heads.filter_map(|head| head.strip_prefix("refs/heads/")).map(str::to_owned).collect();
    known.sort();
    if known.is_empty() {
        return Error::Empty { url };
    }
    known.truncate(20);
    let branch = job.spec.branch.clone().unwrap_or_else(|| "HEAD".into());
    Error::Branch { url, branch, known: known.join(", ") }
}

fn proxy<'a>() -> ProxyOptions<'a> {
    let mut options = ProxyOptions::new();
    options.auto();
    options
}

/// Waits for the mirror's lock, so that two pipelines of one repository do not meet in it.
fn locked(path: &Path, job: &Job<'_>) -> Result<File, Error> {
    let options = File::options().create(true).truncate(false).write(true).open(path);
    let file = options.map_err(|source| Error::io(path, source))?;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => {
                job.go_on()?;
                std::thread::sleep(Duration::from_millis(100));
            }
            Err(TryLockError::Error(source)) => return Err(Error::io(path, source)),
        }
    }
}

fn fresh(work: &Path) -> Result<PathBuf, Error> {
    remove(work)?;
    fs::create_dir_all(work).map_err(|source| Error::io(work, source))?;
    work.canonicalize().map_err(|source| Error::io(work, source))
}

fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            fs::remove_file(path).map_err(|_| Error::io(path, source))
        }
        _ => Ok(()),
    }
}

/// Sets the library's time limits once for the process; its own default is to wait for ever.
fn set_timeouts() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: two plain integers of the library are written; all its other users in this program
        // come after this `Once`.
        #[allow(unsafe_code)]
        unsafe {
            let _ = git2::opts::set_server_connect_timeout_in_milliseconds(CONNECT_MS);
            let _ = git2::opts::set_server_timeout_in_milliseconds(SILENT_MS);
        }
    });
}
