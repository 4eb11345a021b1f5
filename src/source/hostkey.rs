//! Checks an ssh server's key against an OpenSSH known-hosts file.

use std::path::Path;

use ssh_key::known_hosts::{Entry, HostPatterns, Marker};

use super::pattern;

/// Most bytes of a known-hosts file.
const MAX_BYTES: u64 = 4 << 20;

/// Whether `file` knows `key` (the wire form) for `host`; else why not.
pub(super) fn check(file: &Path, host: &str, port: Option<u16>, key: &[u8]) -> Result<(), String> {
    let text =
        super::files::text(file, MAX_BYTES).map_err(|why| format!("known-hosts file: {why}"))?;
    judge(&text, host, port, key).map_err(|why| format!("{why} ({})", file.display()))
}

fn judge(text: &str, host: &str, port: Option<u16>, key: &[u8]) -> Result<(), String> {
    let name = match port {
        Some(port) if port != 22 => format!("[{host}]:{port}"),
        _ => host.to_owned(),
    };
    let (mut known, mut others, mut hashed) = (false, Vec::new(), false);
    for entry in text.lines().filter_map(|line| line.trim().parse::<Entry>().ok()) {
        let patterns = match entry.host_patterns() {
            HostPatterns::Patterns(patterns) => patterns,
            HostPatterns::HashedName { .. } => {
                hashed = true;
                continue;
            }
        };
        if !pattern::list_matches(patterns.iter().map(String::as_str), &name) {
            continue;
        }
        let same = entry.public_key().to_bytes().is_ok_and(|bytes| bytes == key);
        match entry.marker() {
            Some(Marker::Revoked) if same => return Err(format!("the key of {name} is revoked")),
            Some(_) => {}
            None if same => known = true,
            None => others.push(entry.public_key().algorithm().to_string()),
        }
    }
    match (known, others.is_empty(), hashed) {
        (true, ..) => Ok(()),
        (_, false, _) => Err(format!(
            "{name} shows a key that is not the known one ({}); the server was changed, or somebody is in between",
            others.join(", ")
        )),
        (_, _, true) => Err(format!(
            "{name} is not known; hashed host names in the file are not read, write them plainly"
        )),
        _ => Err(format!("{name} is not known")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";

    fn wire(line: &str) -> Vec<u8> {
        line.parse::<ssh_key::PublicKey>().unwrap().to_bytes().unwrap()
    }

    #[test]
    fn only_the_known_key_of_the_host_passes() {
        let key = wire(A);
        assert!(judge(&format!("git.example.org {A}\n"), "git.example.org", None, &key).is_ok());
        assert!(
            judge(&format!("*.example.org,!git.example.org {A}\n"), "git.example.org", None, &key)
                .is_err()
        );
        assert!(judge(&format!("[h]:2222 {A}\n"), "h", Some(2222), &key).is_ok());
        assert!(judge(&format!("h {A}\n"), "h", Some(2222), &key).is_err());
        let changed = judge(&format!("h {A}\n"), "h", None, b"other").unwrap_err();
        assert!(changed.contains("not the known one"), "{changed}");
        let revoked = judge(&format!("h {A}\n@revoked h {A}\n"), "h", None, &key).unwrap_err();
        assert!(revoked.contains("revoked"), "{revoked}");
        assert!(judge("rubbish\n\n# x\n", "h", None, &key).unwrap_err().contains("not known"));
    }
}
