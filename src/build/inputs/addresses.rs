//! Where a declared file is really asked for: mirrors, and what each kind of address may do.

use std::path::{Component, PathBuf};

use url::Url;

use super::{FetchError, FetchSettings};
use crate::model::manifest::Auth;

/// An address that can be opened.
#[derive(Debug, Clone)]
pub(super) struct Address {
    /// For people: without user and password.
    pub(super) shown: String,
    /// What to open.
    pub(super) place: Place,
}

/// The two kinds of place.
#[derive(Clone)]
pub(super) enum Place {
    /// A file of this machine, named by a mirror.
    File(PathBuf),
    /// A web server, with a login where the resource names one.
    Web(Url, Option<(String, String)>),
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Web(url, _) => {
                f.debug_tuple("Web").field(&url.host_str()).finish_non_exhaustive()
            }
        }
    }
}

impl Address {
    /// What to open in place of `declared`.
    ///
    /// # Errors
    /// Where the address cannot be read, is of a kind that is not fetched, or wants a login that
    /// is not configured.
    pub(super) fn of(
        name: &str,
        declared: &str,
        settings: &FetchSettings,
        auth: Option<&Auth>,
    ) -> Result<Self, FetchError> {
        let bad = |problem: String| FetchError::Address {
            name: name.into(),
            address: shown_text(declared),
            problem,
        };
        let parse = |text: &str| Url::parse(text).map_err(|error| bad(error.to_string()));
        let original = parse(declared)?;
        let mirror = mirrored(&settings.mirrors, original.as_str());
        let mapped = mirror.is_some();
        let url = mirror.map_or(Ok(original.clone()), |text| parse(&text))?;
        let shown = shown(&url);
        let place = match url.scheme() {
            "file" if mapped => Place::File(local_path(&url).ok_or_else(|| {
                bad(format!("its mirror {shown} does not name a file of this machine"))
            })?),
            "file" => {
                return Err(bad(
                    "files of this machine serve only as mirrors (build.mirrors)".into()
                ));
            }
            "http" | "https" => {
                // A login is meant for the declared server and for no other.
                let same = url.origin() == original.origin();
                let login = auth.filter(|_| same).map(|auth| login(name, auth, settings));
                Place::Web(url, login.transpose()?)
            }
            scheme => {
                return Err(bad(format!(
                    "{scheme}:// is not fetched; map it to https:// or file:// under build.mirrors"
                )));
            }
        };
        Ok(Self { shown, place })
    }
}

fn login(
    name: &str,
    auth: &Auth,
    settings: &FetchSettings,
) -> Result<(String, String), FetchError> {
    let found = settings.credentials.get(&auth.id).cloned();
    found.ok_or_else(|| FetchError::Credential { name: name.into(), id: auth.id.clone() })
}

/// The address with its longest mapped prefix exchanged. A prefix ends at a path's part:
/// `https://example.org` does not fit `https://example.org.evil/`.
fn mirrored(mirrors: &std::collections::BTreeMap<String, String>, url: &str) -> Option<String> {
    let fits = |(prefix, target): (&String, &String)| {
        let rest = url.strip_prefix(prefix.as_str())?;
        let boundary = prefix.ends_with('/') || rest.is_empty() || rest.starts_with(['/', '?']);
        (boundary && !prefix.is_empty()).then(|| (prefix.len(), joined(target, rest)))
    };
    mirrors.iter().filter_map(fits).max_by_key(|(length, _)| *length).map(|(_, url)| url)
}

fn joined(target: &str, rest: &str) -> String {
    match (target.ends_with('/'), rest.starts_with('/')) {
        (true, true) => format!("{target}{}", &rest[1..]),
        (false, false) if !rest.is_empty() && !rest.starts_with('?') => format!("{target}/{rest}"),
        _ => format!("{target}{rest}"),
    }
}

/// The path of a `file://` address; an escaped `../` must not lead out of the mirror.
fn local_path(url: &Url) -> Option<PathBuf> {
    let path = url.to_file_path().ok()?;
    path.components().all(|part| !matches!(part, Component::ParentDir)).then_some(path)
}

fn shown(url: &Url) -> String {
    let mut url = url.clone();
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.into()
}

fn shown_text(text: &str) -> String {
    Url::parse(text).map_or_else(|_| text.to_owned(), |url| shown(&url))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;

    fn settings(mirrors: &[(&str, &str)]) -> FetchSettings {
        let own = |(a, b): &(&str, &str)| ((*a).to_owned(), (*b).to_owned());
        FetchSettings {
            store: PathBuf::new(),
            mirrors: mirrors.iter().map(own).collect(),
            tries: 1,
            max_bytes: 1,
            credentials: BTreeMap::from([("id".into(), ("u".into(), "p".into()))]),
            timeout: Duration::from_secs(1),
        }
    }

    fn address(url: &str, mirrors: &[(&str, &str)]) -> Result<Address, FetchError> {
        Address::of("x", url, &settings(mirrors), None)
    }

    #[test]
    fn the_longest_prefix_wins_and_ends_at_a_boundary() {
        let mirrors = [
            ("https://example.org/", "file:///srv/mirror/"),
            ("https://example.org/big", "https://cache.example/b/"),
        ];
        let shown = |url: &str| address(url, &mirrors).unwrap().shown;
        assert_eq!(shown("https://example.org/a/b.deb"), "file:///srv/mirror/a/b.deb");
        assert_eq!(shown("https://example.org/big/c"), "https://cache.example/b/c");
        assert_eq!(shown("https://example.org/bigger"), "file:///srv/mirror/bigger");
        assert_eq!(shown("https://example.org.evil/a"), "https://example.org.evil/a");
    }

    #[test]
    fn a_mirror_cannot_be_left_through_its_paths() {
        let mirrors = [("https://example.org/", "file:///srv/mirror/")];
        for url in ["https://example.org/..%2f..%2fetc/shadow", "https://example.org/a%2f..%2f../x"]
        {
            assert!(matches!(address(url, &mirrors), Err(FetchError::Address { .. })), "{url}");
        }
        let plain = address("https://example.org/../../etc/shadow", &mirrors).unwrap();
        assert_eq!(plain.shown, "file:///srv/mirror/etc/shadow");
    }

    #[test]
    fn files_and_buckets_need_a_mirror() {
        let error = address("file:///etc/shadow", &[]).unwrap_err().to_string();
        assert!(error.contains("build.mirrors"), "{error}");
        let error = address("s3://bucket/key", &[]).unwrap_err().to_string();
        assert!(error.contains("s3:// is not fetched; map it"), "{error}");
        assert!(address("s3://bucket/key", &[("s3://bucket/", "file:///srv/")]).is_ok());
    }

    #[test]
    fn a_login_goes_to_the_declared_server_only() {
        let auth = Auth { id: "id".into(), kind: "basic".into(), region: None };
        let of = |mirrors: &[(&str, &str)]| {
            Address::of("x", "https://example.org/a", &settings(mirrors), Some(&auth))
                .unwrap()
                .place
        };
        assert!(matches!(of(&[]), Place::Web(_, Some(_))));
        let elsewhere = [("https://example.org/", "https://cache.example/")];
        assert!(matches!(of(&elsewhere), Place::Web(_, None)));
        let unknown = Auth { id: "other".into(), ..auth.clone() };
        let error = Address::of("x", "https://example.org/a", &settings(&[]), Some(&unknown));
        assert!(matches!(error, Err(FetchError::Credential { .. })));
    }

    #[test]
    fn passwords_in_addresses_are_not_shown() {
        let address = address("https://user:secret@example.org/a", &[]).unwrap();
        assert!(!format!("{address:?}").contains("secret"));
    }
}
