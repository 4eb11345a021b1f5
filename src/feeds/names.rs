//! Names as the index is asked for them: releases, Ubuntu's `:LTS` and `:Pro`, PEP 503.

use std::borrow::Cow;

/// The part before the release: `Debian` of `Debian:12`.
pub fn base(ecosystem: &str) -> &str {
    ecosystem.split(':').next().unwrap_or_default()
}

/// The ecosystem as it is looked up: `Ubuntu:22.04:LTS` and `Ubuntu:Pro:22.04:LTS` are `Ubuntu:22.04`;
/// FIPS builds stay apart.
pub fn ecosystem(written: &str) -> Cow<'_, str> {
    if !written.starts_with("Ubuntu:") {
        return Cow::Borrowed(written);
    }
    let parts: Vec<&str> = written.split(':').filter(|p| !matches!(*p, "LTS" | "Pro")).collect();
    Cow::Owned(parts.join(":"))
}

/// The package as it is looked up; PyPI's by PEP 503.
pub fn package<'a>(ecosystem: &str, written: &'a str) -> Cow<'a, str> {
    if base(ecosystem) != "PyPI" {
        return Cow::Borrowed(written);
    }
    let mut name = String::with_capacity(written.len());
    for c in written.trim().chars() {
        match c {
            '-' | '_' | '.' if name.ends_with('-') => {}
            '-' | '_' | '.' => name.push('-'),
            c => name.extend(c.to_lowercase()),
        }
    }
    Cow::Owned(name)
}

/// The key of an index's package table. A NUL cannot stand in either part: `osv` refuses it.
pub fn key(ecosystem: &str, package: &str) -> String {
    format!("{}\0{}", self::ecosystem(ecosystem), self::package(ecosystem, package))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ubuntu_tiers_fall_away_and_releases_stay() {
        assert_eq!(ecosystem("Ubuntu:22.04:LTS"), "Ubuntu:22.04");
        assert_eq!(ecosystem("Ubuntu:Pro:18.04:LTS"), "Ubuntu:18.04");
        assert_eq!(ecosystem("Ubuntu:Pro:FIPS:16.04:LTS"), "Ubuntu:FIPS:16.04");
        assert_eq!(ecosystem("Debian:12"), "Debian:12");
    }

    #[test]
    fn python_names_follow_pep_503_and_others_stay() {
        assert_eq!(package("PyPI", "Zope.Interface"), "zope-interface");
        assert_eq!(package("PyPI", "a-_.b"), "a-b");
        assert_eq!(package("Go", "github.com/BurntSushi/toml"), "github.com/BurntSushi/toml");
    }
}
