//! Version order, one file per ecosystem: dpkg, PEP 440, SemVer, npm, Go, crates.io.

use std::cmp::Ordering;

mod dpkg;
mod go;
mod pypi;
mod semver;

#[cfg(test)]
mod tests;

/// Why two versions have no order here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A real ecosystem whose order is not built in.
    #[error("{0}: the version order of this ecosystem is not supported yet")]
    Unsupported(String),
    /// No ecosystem at all.
    #[error("{0}: no such ecosystem; known are dpkg, pypi, npm, semver, Go, crates.io")]
    Unknown(String),
}

/// The version orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Debian policy 5.6.12, as dpkg does it.
    Dpkg,
    /// PEP 440, with setuptools' old order for what PEP 440 refuses.
    Pypi,
    /// Semantic Versioning 2.0, section 11.
    Semver,
    /// SemVer with a `v`, `+incompatible`, pseudo-versions, and the toolchain's own `go1.22rc1`.
    Go,
}

const UNSUPPORTED: [&str; 27] = [
    "rpm",
    "apk",
    "maven",
    "gem",
    "rubygems",
    "composer",
    "packagist",
    "nuget",
    "alpine",
    "wolfi",
    "chainguard",
    "almalinux",
    "rocky linux",
    "red hat",
    "suse",
    "opensuse",
    "mageia",
    "photon os",
    "azure linux",
    "openeuler",
    "hex",
    "pub",
    "hackage",
    "cran",
    "swifturl",
    "conancenter",
    "bitnami",
];

impl Scheme {
    /// The order of an OSV ecosystem (`Debian:12`, `PyPI`, …) or by its short name (`dpkg`, `pep440`, …),
    /// in any case.
    ///
    /// # Errors
    /// Where that order is not built in or the name is none.
    pub fn of(ecosystem: &str) -> Result<Self, Error> {
        let base = ecosystem.split(':').next().unwrap_or_default().trim().to_ascii_lowercase();
        match base.as_str() {
            "dpkg" | "deb" | "debian" | "ubuntu" | "echo" => Ok(Self::Dpkg),
            "pypi" | "pep440" | "python" => Ok(Self::Pypi),
            "npm" | "semver" | "crates.io" | "cargo" | "rust" => Ok(Self::Semver),
            "go" | "golang" => Ok(Self::Go),
            known if UNSUPPORTED.contains(&known) => Err(Error::Unsupported(ecosystem.to_owned())),
            _ => Err(Error::Unknown(ecosystem.to_owned())),
        }
    }

    /// How `a` stands to `b`; `None` where one of them is no version of this scheme.
    pub fn compare(self, a: &str, b: &str) -> Option<Ordering> {
        let (a, b) = (a.trim(), b.trim());
        match self {
            Self::Dpkg => dpkg::compare(a, b),
            Self::Pypi => pypi::compare(a, b),
            Self::Semver => semver::compare(a, b),
            Self::Go => go::compare(a, b),
        }
    }
}

/// How version `a` stands to `b` in an OSV ecosystem or scheme; `None` where the ecosystem is not
/// supported or one of them is no version.
pub fn compare(ecosystem: &str, a: &str, b: &str) -> Option<Ordering> {
    Scheme::of(ecosystem).ok()?.compare(a, b)
}

/// The order of two runs of digits of any length; leading zeros do not count.
fn digits(a: &[u8], b: &[u8]) -> Ordering {
    let (a, b) = (trim_zeros(a), trim_zeros(b));
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

fn trim_zeros(text: &[u8]) -> &[u8] {
    let zeros = text.iter().take_while(|byte| **byte == b'0').count();
    &text[zeros..]
}
