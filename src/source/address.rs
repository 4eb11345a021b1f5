//! Addresses of repositories: which forms are taken, and how they are shown without secrets.

use std::path::{Path, PathBuf};

use super::Error;

/// How a repository is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `https://` or `http://`.
    Http,
    /// `ssh://` or `user@host:path`.
    Ssh,
    /// `file://` or a path.
    Local,
}

/// A repository's address.
#[derive(Debug, Clone)]
pub(super) struct Address {
    /// As the library takes it; may hold a password.
    pub url: String,
    /// For people, without password.
    pub shown: String,
    /// How it is reached.
    pub kind: Kind,
    /// The server; empty for local ones.
    pub host: String,
    /// The server's port where one is written.
    pub port: Option<u16>,
    password: Option<String>,
}

impl Address {
    /// Reads `url`: https, http, ssh, file or a path that is a git repository.
    pub fn of(url: &str) -> Result<Self, Error> {
        let bad = |why: &str| Error::Address { url: url.into(), why: why.into() };
        match url.split_once("://") {
            Some((scheme, rest)) => match scheme.to_ascii_lowercase().as_str() {
                "file" => local(Path::new(rest.strip_prefix("localhost").unwrap_or(rest))),
                "http" | "https" => server(url, Kind::Http),
                "ssh" | "git+ssh" | "ssh+git" => server(url, Kind::Ssh),
                _ => Err(bad("use https://, ssh://, file:// or a path")),
            },
            None if url.trim().is_empty() => Err(bad("it is empty; set source.url")),
            None => match scp(url) {
                Some(address) if !Path::new(url).exists() => Ok(address),
                _ => local(Path::new(url)),
            },
        }
    }

    /// `message` without the address's password.
    pub fn without_secrets(&self, message: &str) -> String {
        let message = message.replace(&self.url, &self.shown);
        match &self.password {
            Some(password) => message.replace(password, "***"),
            None => message,
        }
    }
}

fn server(text: &str, kind: Kind) -> Result<Address, Error> {
    let error = |why: String| Error::Address { url: masked(text), why };
    let mut parsed = url::Url::parse(text).map_err(|why| error(why.to_string()))?;
    let host = parsed.host_str().unwrap_or_default().to_owned();
    if host.is_empty() {
        return Err(error("it names no host".into()));
    }
    let password = parsed.password().filter(|password| !password.is_empty()).map(str::to_owned);
    if password.is_some() && parsed.scheme() == "http" {
        return Err(error("a password would travel in the clear; use https".into()));
    }
    let _ = parsed.set_password(None);
    let (shown, port) = (parsed.to_string(), parsed.port());
    Ok(Address { url: text.into(), shown, kind, host, port, password })
}

/// What stands before an `@` in the authority may be a password.
fn masked(text: &str) -> String {
    match (text.split_once("://"), text.rfind('@')) {
        (Some((scheme, _)), Some(at)) => format!("{scheme}://***{}", &text[at..]),
        _ => text.into(),
    }
}

/// `user@host:path`, as ssh has it.
fn scp(text: &str) -> Option<Address> {
    let (head, path) = text.split_once(':')?;
    if head.contains('/') || path.is_empty() {
        return None;
    }
    let host = head.rsplit('@').next()?.to_owned();
    let (url, shown) = (text.to_owned(), text.to_owned());
    Some(Address { url, shown, kind: Kind::Ssh, host, port: None, password: None })
}

fn local(path: &Path) -> Result<Address, Error> {
    let not = |help: &str| Error::NotARepository { path: path.into(), help: help.into() };
    let full: PathBuf =
        path.canonicalize().map_err(|_| not("there is no such folder; check source.url"))?;
    if let Err(error) = git2::Repository::open_ext(
        &full,
        git2::RepositoryOpenFlags::NO_SEARCH,
        std::iter::empty::<&std::ffi::OsStr>(),
    ) {
        let shown = full.display();
        return Err(match error.code() {
            git2::ErrorCode::Owner => not(&format!(
                "it belongs to another user; if you trust it, run `git config --global --add safe.directory {shown}`"
            )),
            git2::ErrorCode::NotFound => {
                not("run `git init` there and commit, or name the repository's top folder")
            }
            _ => not(error.message()),
        });
    }
    let text = full.to_str().ok_or_else(|| not("its path is not UTF-8; rename it"))?.to_owned();
    let (url, shown, host) = (text.clone(), text, String::new());
    Ok(Address { url, shown, kind: Kind::Local, host, port: None, password: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_never_shown() {
        let address = Address::of("https://me:s3cret@git.example.org/r.git").unwrap();
        assert_eq!(address.shown, "https://me@git.example.org/r.git");
        assert!(
            !address
                .without_secrets("failed https://me:s3cret@git.example.org/r.git")
                .contains("s3cret")
        );
        let error = Address::of("http://me:s3cret@git.example.org/r.git").unwrap_err().to_string();
        assert!(error.contains("https") && !error.contains("s3cret"), "{error}");
        let error = Address::of("https://me:s3cret@[bad/r").unwrap_err().to_string();
        assert!(!error.contains("s3cret"), "{error}");
    }

    #[test]
    fn forms() {
        let of = |text: &str| Address::of(text).map(|a| (a.kind, a.host, a.port));
        assert_eq!(
            of("git@host.example:a/b.git").unwrap(),
            (Kind::Ssh, "host.example".into(), None)
        );
        assert_eq!(of("ssh://git@h:2222/a").unwrap(), (Kind::Ssh, "h".into(), Some(2222)));
        assert!(of("git://h/a").unwrap_err().to_string().contains("https://"));
        assert!(of("/no/such/folder").unwrap_err().to_string().contains("/no/such/folder"));
        let plain = tempfile::tempdir().unwrap();
        let error = of(&plain.path().display().to_string()).unwrap_err().to_string();
        assert!(error.contains("not a git repository") && error.contains("git init"), "{error}");
    }
}
