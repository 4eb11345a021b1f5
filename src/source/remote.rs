//! Talking to a git server: credentials, host keys, limits, and advice when it fails.

use std::sync::atomic::Ordering;

use git2::cert::Cert;
use git2::{CertificateCheckStatus, Cred, CredentialType, ErrorClass, ErrorCode, RemoteCallbacks};

use super::address::Kind;
use super::git::Job;
use super::hostkey;

/// Most bytes that one fetch may bring.
const MAX_BYTES: usize = 32 << 30;

/// Callbacks of one connection.
pub(super) fn callbacks<'a>(job: &'a Job<'_>) -> RemoteCallbacks<'a> {
    let mut callbacks = RemoteCallbacks::new();
    let mut tries = 0;
    callbacks.credentials(move |url, user, allowed| {
        tries += 1;
        if tries > 4 {
            return Err(git2::Error::from_str("the server refused the credentials"));
        }
        credential(job, url, user, allowed, tries)
    });
    callbacks.certificate_check(move |cert, host| certificate(job, cert, host));
    callbacks.sideband_progress(move |_| !job.cancel.load(Ordering::Relaxed));
    callbacks.transfer_progress(move |progress| {
        !job.cancel.load(Ordering::Relaxed) && progress.received_bytes() <= MAX_BYTES
    });
    callbacks
}

fn credential(
    job: &Job<'_>,
    url: &str,
    user: Option<&str>,
    allowed: CredentialType,
    tries: u32,
) -> Result<Cred, git2::Error> {
    let name = user.unwrap_or("git");
    if allowed.contains(CredentialType::USERNAME) {
        return Cred::username(name);
    }
    if allowed.contains(CredentialType::SSH_KEY) {
        return match &job.spec.ssh_key {
            _ if tries > 2 => Err(git2::Error::from_str("the server refused the ssh key")),
            Some(key) => Cred::ssh_key(name, None, std::path::Path::new(key), None),
            None => Cred::ssh_key_from_agent(name),
        };
    }
    if allowed.contains(CredentialType::USER_PASS_PLAINTEXT) {
        let (user, password) = job.credentials.as_ref().ok_or_else(|| {
            git2::Error::from_str("the server asks for a user and a password, and none are set")
        })?;
        // A redirect must not carry the password to another server or into the clear.
        let same = url::Url::parse(url).is_ok_and(|url| {
            url.scheme() == "https" && url.host_str() == Some(job.address.host.as_str())
        });
        return match same && tries == 1 {
            true => Cred::userpass_plaintext(user, password),
            false if same => Err(git2::Error::from_str("the server refused the user or password")),
            false => {
                Err(git2::Error::from_str("the password is only sent to https on the same host"))
            }
        };
    }
    Err(git2::Error::from_str("the server asks for credentials of an unknown kind"))
}

fn certificate(
    job: &Job<'_>,
    cert: &Cert<'_>,
    host: &str,
) -> Result<CertificateCheckStatus, git2::Error> {
    match (cert.as_hostkey().and_then(|key| key.hostkey()), &job.spec.known_hosts) {
        (Some(key), Some(file)) => {
            hostkey::check(std::path::Path::new(file), host, job.address.port, key)
                .map(|()| CertificateCheckStatus::CertificateOk)
                .map_err(|why| git2::Error::new(ErrorCode::Certificate, ErrorClass::Ssh, why))
        }
        // The library itself checks: X.509 against the system's authorities, host keys against the
        // user's known_hosts.
        _ => Ok(CertificateCheckStatus::CertificatePassthrough),
    }
}

/// What to do about a failed connection.
pub(super) fn advice(error: &git2::Error, job: &Job<'_>) -> String {
    let host = &job.address.host;
    match (job.address.kind, error.class(), error.code()) {
        (Kind::Ssh, _, ErrorCode::Certificate) => format!(
            "compare the key with the server's administrator, then add the output of `ssh-keyscan {host}` to source.known-hosts"
        ),
        (Kind::Http, _, ErrorCode::Certificate) => {
            format!(
                "the certificate of {host} is not trusted here; add its authority to the system's"
            )
        }
        (Kind::Ssh, ..) if error.message().contains("key") || error.code() == ErrorCode::Auth => {
            "set source.ssh-key to a key that the server accepts, or load one into ssh-agent".into()
        }
        (Kind::Http, _, ErrorCode::Auth) | (Kind::Http, ErrorClass::Callback, _) => {
            "set source.credentials to `env:NAME` or `file:PATH` with `user:password`".into()
        }
        (Kind::Local, ..) => "check that the path is a git repository that may be read".into(),
        _ if error.message().contains("password") => {
            "set source.credentials to `env:NAME` or `file:PATH` with `user:password`".into()
        }
        _ => format!("check source.url and that {host} can be reached from here"),
    }
}
