//! SSH signatures of commits against an OpenSSH allowed-signers file (ssh-keygen(1), ALLOWED SIGNERS).
//!
//! As git does, validity is judged at the time the commit was made; times without `Z` are read as UTC.

use std::path::Path;

use chrono::{DateTime, NaiveDateTime, Utc};
use git2::{Commit, Repository};
use ssh_key::{Algorithm, PublicKey, SshSig};

use super::{Error, files, pattern};

/// What git signs under.
const NAMESPACE: &str = "git";
/// Most bytes of an allowed-signers file.
const MAX_BYTES: u64 = 4 << 20;

/// One line of the file.
#[derive(Debug)]
struct Signer {
    principals: String,
    authority: bool,
    namespaces: Option<String>,
    after: Option<DateTime<Utc>>,
    before: Option<DateTime<Utc>>,
    key: Result<PublicKey, String>,
    line: usize,
}

/// The principals of the key that signed `commit`.
///
/// # Errors
/// Where the commit is unsigned, badly signed, or signed by a key that `file` does not allow.
pub(super) fn verify(repo: &Repository, commit: &Commit<'_>, file: &Path) -> Result<String, Error> {
    let text = files::text(file, MAX_BYTES).map_err(|why| Error::Signers { why })?;
    let signers = signers(&text)
        .map_err(|why| Error::Signers { why: format!("{}: {why}", file.display()) })?;
    let refuse = |why: String, help: &str| Error::Signature {
        commit: commit.id().to_string(),
        why,
        help: help.into(),
    };
    let Ok((signature, content)) = repo.extract_signature(&commit.id(), None) else {
        return Err(refuse(
            "it is not signed".into(),
            "sign it with `git commit -S` and an ssh key",
        ));
    };
    let armoured = String::from_utf8_lossy(&signature).into_owned();
    if !armoured.trim_start().starts_with("-----BEGIN SSH SIGNATURE-----") {
        return Err(refuse(
            "its signature is not an SSH one (GPG and X.509 are not read)".into(),
            "set `git config gpg.format ssh` and sign again",
        ));
    }
    let signature: SshSig = armoured.trim().parse().map_err(|error: ssh_key::Error| {
        refuse(format!("its signature cannot be read: {error}"), "sign the commit again")
    })?;
    let made = DateTime::from_timestamp(commit.time().seconds(), 0).unwrap_or_default();
    match judge(&signers, &signature, &content, made) {
        Ok(principals) => Ok(principals),
        Err(why) => Err(refuse(
            why,
            &format!("have it signed by a key in {}, or add the key there", file.display()),
        )),
    }
}

fn judge(
    signers: &[Signer],
    signature: &SshSig,
    content: &[u8],
    made: DateTime<Utc>,
) -> Result<String, String> {
    let key = PublicKey::from(signature.public_key().clone());
    let shown = format!("{} {}", key.algorithm(), key.fingerprint(ssh_key::HashAlg::Sha256));
    supported(&key)?;
    key.verify(NAMESPACE, content, signature)
        .map_err(|error| format!("its signature by {shown} does not fit the commit: {error}"))?;
    let mut why = format!("the key {shown} is not among the allowed signers");
    for signer in signers {
        if !signer.key.as_ref().is_ok_and(|known| known.key_data() == key.key_data()) {
            continue;
        }
        match allows(signer, made) {
            Ok(()) => return Ok(signer.principals.clone()),
            Err(reason) => why = format!("the key {shown} {reason} (line {})", signer.line),
        }
    }
    if signers.iter().any(|signer| signer.authority) {
        why.push_str("; cert-authority lines are not supported, list the keys themselves");
    }
    Err(why)
}

fn supported(key: &PublicKey) -> Result<(), String> {
    match key.algorithm() {
        Algorithm::Rsa { .. }
            if key.key_data().rsa().is_some_and(|rsa| modulus_bits(rsa) < 2048) =>
        {
            Err("its RSA key is shorter than 2048 bits".into())
        }
        Algorithm::Ed25519 | Algorithm::SkEd25519 | Algorithm::Rsa { .. } => Ok(()),
        Algorithm::Ecdsa { curve: ssh_key::EcdsaCurve::NistP256 } => Ok(()),
        Algorithm::SkEcdsaSha2NistP256 => Ok(()),
        other => Err(format!("keys of type {other} are not supported; use ed25519")),
    }
}

fn modulus_bits(key: &ssh_key::public::RsaPublicKey) -> usize {
    key.n.as_positive_bytes().map_or(0, |bytes| {
        bytes.len() * 8 - bytes.first().map_or(0, |byte| byte.leading_zeros() as usize)
    })
}

fn allows(signer: &Signer, made: DateTime<Utc>) -> Result<(), String> {
    if signer.authority {
        return Err("is listed as cert-authority, which is not supported".into());
    }
    let listed = |list: &String| pattern::list_matches(list.split(','), NAMESPACE);
    if !signer.namespaces.as_ref().is_none_or(listed) {
        return Err("may not sign in the namespace \"git\"".into());
    }
    if signer.after.is_some_and(|after| made < after) {
        return Err("was not valid yet when the commit was made".into());
    }
    if signer.before.is_some_and(|before| made > before) {
        return Err("was no longer valid when the commit was made".into());
    }
    Ok(())
}

fn signers(text: &str) -> Result<Vec<Signer>, String> {
    let mut signers = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let signer = signer(line, at + 1).map_err(|why| format!("line {}: {why}", at + 1))?;
        signers.push(signer);
    }
    match signers.is_empty() {
        true => Err("it lists no signer".into()),
        false => Ok(signers),
    }
}

fn signer(line: &str, number: usize) -> Result<Signer, String> {
    let (principals, rest) = field(line).ok_or("no principals")?;
    let mut signer = Signer {
        principals,
        authority: false,
        namespaces: None,
        after: None,
        before: None,
        key: Err(String::new()),
        line: number,
    };
    let mut key = rest;
    let is_key =
        |text: &str| ["ssh-", "ecdsa-", "sk-", "rsa-"].iter().any(|kind| text.starts_with(kind));
    if !is_key(rest) {
        let (options, rest) = field(rest).ok_or("no key")?;
        for option in split_options(&options) {
            apply(&mut signer, &option)?;
        }
        key = rest;
    }
    let parts: Vec<&str> = key.split_whitespace().take(2).collect();
    let [kind, data] = parts.as_slice() else { return Err("no key".into()) };
    // A key type that is not supported costs only the commits that it signed.
    signer.key =
        PublicKey::from_openssh(&format!("{kind} {data}")).map_err(|error| error.to_string());
    if signer.key.is_err() && !is_key(kind) {
        return Err(format!("`{kind}` is not a kind of key"));
    }
    Ok(signer)
}

/// The first field, quotes kept out of principals but inside options, and what follows.
fn field(text: &str) -> Option<(String, &str)> {
    let mut quoted = false;
    let end = text
        .find(|c: char| {
            quoted ^= c == '"';
            !quoted && c.is_whitespace()
        })
        .unwrap_or(text.len());
    let first = &text[..end];
    let bare = first.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(first);
    (!bare.is_empty()).then(|| (bare.to_owned(), text[end..].trim_start()))
}

fn split_options(text: &str) -> Vec<String> {
    let mut quoted = false;
    let split = text.split(|c: char| {
        quoted ^= c == '"';
        !quoted && c == ','
    });
    split.map(str::to_owned).collect()
}

fn apply(signer: &mut Signer, option: &str) -> Result<(), String> {
    let (name, value) = option.split_once('=').unwrap_or((option, ""));
    let value = value.trim_matches('"');
    match name.to_ascii_lowercase().as_str() {
        "cert-authority" => signer.authority = true,
        "namespaces" => signer.namespaces = Some(value.into()),
        "valid-after" => signer.after = Some(moment(value)?),
        "valid-before" => signer.before = Some(moment(value)?),
        _ => return Err(format!("unknown option `{name}`")),
    }
    Ok(())
}

/// `YYYYMMDD[HHMM[SS]][Z]`.
fn moment(text: &str) -> Result<DateTime<Utc>, String> {
    let digits = text.strip_suffix(['Z', 'z']).unwrap_or(text);
    let full = match digits.len() {
        8 => format!("{digits}000000"),
        12 => format!("{digits}00"),
        _ => digits.to_owned(),
    };
    NaiveDateTime::parse_from_str(&full, "%Y%m%d%H%M%S")
        .map(|moment| moment.and_utc())
        .map_err(|_| format!("`{text}` is not a time (YYYYMMDD[HHMM[SS]][Z])"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";

    #[test]
    fn options_of_allowed_signers() {
        let text = format!(
            "# people\n\na@example.org,b@example.org namespaces=\"file,git\",valid-after=\"20240101\",valid-before=\"202501011200Z\" {KEY} note\n\
             \"c d\" cert-authority {KEY}\n"
        );
        let parsed = signers(&text).unwrap();
        assert_eq!(parsed[0].principals, "a@example.org,b@example.org");
        assert_eq!(parsed[0].line, 3);
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        assert!(allows(&parsed[0], at("2024-06-01T00:00:00Z")).is_ok());
        assert!(
            allows(&parsed[0], at("2023-12-31T00:00:00Z")).unwrap_err().contains("not valid yet")
        );
        assert!(allows(&parsed[0], at("2025-01-01T12:00:01Z")).unwrap_err().contains("no longer"));
        assert_eq!(parsed[1].principals, "c d");
        assert!(
            allows(&parsed[1], at("2024-06-01T00:00:00Z")).unwrap_err().contains("cert-authority")
        );
        let file = signers(&format!("a namespaces=\"file\" {KEY}\n")).unwrap();
        assert!(allows(&file[0], at("2024-06-01T00:00:00Z")).unwrap_err().contains("namespace"));
    }

    #[test]
    fn broken_files_name_the_line() {
        assert!(signers("# none\n").unwrap_err().contains("no signer"));
        assert!(signers(&format!("a {KEY}\nb bogus=1 {KEY}\n")).unwrap_err().contains("line 2"));
        assert!(signers("a valid-after=\"soon\" ssh-ed25519 AAAA\n").unwrap_err().contains("soon"));
        assert!(signers("just-one-word\n").unwrap_err().contains("line 1"));
    }
}
