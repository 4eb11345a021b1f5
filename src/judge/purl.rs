//! Package URLs as statements and inventories write them, and whether two mean the same package.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::str::FromStr;

use packageurl::PackageUrl;

use crate::model::finding::PackageRef;
use crate::model::inventory::Package;

/// A package URL taken apart, names in the spelling of their ecosystem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Purl {
    pub(super) kind: String,
    pub(super) namespace: Option<String>,
    pub(super) name: String,
    pub(super) version: Option<String>,
    pub(super) qualifiers: BTreeMap<String, String>,
}

impl Purl {
    /// `None` for anything that is no package URL.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let purl = PackageUrl::from_str(text).ok()?;
        let kind = purl.ty().to_ascii_lowercase();
        let qualifiers: BTreeMap<String, String> = purl
            .qualifiers()
            .iter()
            .map(|(key, value)| (key.to_ascii_lowercase(), value.to_string()))
            .collect();
        let version = purl.version().filter(|version| !version.is_empty());
        Some(Self {
            namespace: purl.namespace().filter(|name| !name.is_empty()).map(str::to_owned),
            name: spelling(&kind, purl.name()),
            version: version.map(|text| release(&kind, text, qualifiers.get("epoch"))),
            kind,
            qualifiers,
        })
    }

    /// Whether it names an image and not a package in one.
    pub(super) fn is_image(&self) -> bool {
        matches!(self.kind.as_str(), "oci" | "docker")
    }

    /// Whether both name the same package, versions aside.
    pub(super) fn same_package(&self, other: &Self) -> bool {
        self.kind == other.kind && self.namespace == other.namespace && self.name == other.name
    }

    fn agrees(&self, other: &Self) -> bool {
        self.qualifiers.iter().all(|(key, value)| {
            key == "epoch" || other.qualifiers.get(key).is_none_or(|there| there == value)
        })
    }
}

/// PyPI names as PEP 503 writes them; all others as they stand.
fn spelling(kind: &str, name: &str) -> String {
    if kind != "pypi" {
        return name.to_owned();
    }
    let words: Vec<&str> = name.split(['-', '_', '.']).filter(|word| !word.is_empty()).collect();
    words.join("-").to_ascii_lowercase()
}

fn release(kind: &str, version: &str, epoch: Option<&String>) -> String {
    match (kind, epoch) {
        ("golang", _) => version.trim_start_matches('v').to_owned(),
        ("deb" | "rpm", Some(epoch)) if !version.contains(':') => format!("{epoch}:{version}"),
        _ => version.to_owned(),
    }
}

/// A package that is really there, as components are compared with it.
#[derive(Debug, Clone)]
pub(super) struct Present {
    purl: Purl,
    version: String,
    source: Option<(String, String)>,
}

impl Present {
    /// The package of a finding; `None` where it has no package URL.
    pub(super) fn of_finding(package: &PackageRef) -> Option<Self> {
        let source = package.source.as_deref().map(|text| {
            let (name, version) = text.rsplit_once(' ').unwrap_or((text, ""));
            (name.to_owned(), version.to_owned())
        });
        Self::new(&package.purl, &package.version, source)
    }

    /// A package of the inventory; `None` where it has no package URL.
    pub(super) fn of_inventory(package: &Package) -> Option<Self> {
        let source =
            package.source.as_ref().map(|source| (source.name.clone(), source.version.clone()));
        Self::new(&package.purl, &package.version, source)
    }

    fn new(purl: &str, version: &str, source: Option<(String, String)>) -> Option<Self> {
        let purl = Purl::parse(purl)?;
        let version = match version {
            "" => purl.version.clone().unwrap_or_default(),
            text => release(&purl.kind, text, purl.qualifiers.get("epoch")),
        };
        Some(Self { purl, version, source })
    }

    /// Whether a statement's component means this package: by its own name, or by the name of its
    /// source package where the ecosystem has those.
    pub(super) fn is(&self, component: &Purl) -> bool {
        let version = |there: &str| {
            component
                .version
                .as_deref()
                .is_none_or(|version| version == there || component.version == self.purl.version)
        };
        let by_name = component.same_package(&self.purl) && version(&self.version);
        let by_source = || {
            let Some((name, release)) = &self.source else { return false };
            component.kind == self.purl.kind
                && component.namespace == self.purl.namespace
                && component.name == *name
                && (version(release) || version(&self.version))
        };
        (by_name || by_source()) && component.agrees(&self.purl)
    }
}

/// The packages of an image, found by their own and their source package's name.
#[derive(Debug, Default)]
pub(super) struct Installed {
    packages: Vec<Present>,
    by_name: HashMap<String, Vec<usize>>,
}

impl Installed {
    pub(super) fn of(packages: &[Package]) -> Self {
        let mut installed = Self::default();
        for package in packages.iter().filter_map(Present::of_inventory) {
            let place = installed.packages.len();
            let source = package.source.as_ref().map(|(name, _)| name.clone());
            for name in std::iter::once(package.purl.name.clone()).chain(source) {
                installed.by_name.entry(name).or_default().push(place);
            }
            installed.packages.push(package);
        }
        installed
    }

    /// Whether a package is there that a component means.
    pub(super) fn has(&self, component: &Purl) -> bool {
        let named = self.by_name.get(&component.name);
        named.into_iter().flatten().any(|place| self.packages[*place].is(component))
    }
}

/// The components that count: one without a version gives way to the same package with one.
pub(super) fn narrow(components: &[String]) -> Vec<Purl> {
    let name = |purl: &Purl| (purl.kind.clone(), purl.namespace.clone(), purl.name.clone());
    let all: Vec<Purl> = components.iter().filter_map(|text| Purl::parse(text)).collect();
    let versioned: HashSet<_> =
        all.iter().filter(|purl| purl.version.is_some()).map(name).collect();
    all.into_iter()
        .filter(|purl| purl.version.is_some() || !versioned.contains(&name(purl)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn present(purl: &str, source: Option<&str>) -> Present {
        Present::of_finding(&PackageRef {
            purl: purl.into(),
            source: source.map(str::to_owned),
            ..PackageRef::default()
        })
        .unwrap()
    }

    #[test]
    fn components_and_packages() {
        let curl = present(
            "pkg:deb/debian/libcurl4@7.88.1-10%2Bdeb12u5?arch=amd64&distro=debian-12",
            Some("curl 7.88.1-10+deb12u5"),
        );
        for (component, same) in [
            ("pkg:deb/debian/libcurl4@7.88.1-10+deb12u5", true),
            ("pkg:deb/debian/libcurl4@7.88.1-10%2Bdeb12u5?arch=amd64", true),
            ("pkg:deb/debian/libcurl4", true),
            ("pkg:deb/debian/curl@7.88.1-10+deb12u5", true),
            ("pkg:deb/debian/curl", true),
            ("pkg:deb/debian/curl@7.88.1-10+deb12u6", false),
            ("pkg:deb/debian/libcurl4@7.88.1-10+deb12u5?arch=arm64", false),
            ("pkg:deb/debian/libcurl4?distro=debian-11", false),
            ("pkg:deb/debian/libcurl4?other=1", true),
            ("pkg:deb/ubuntu/libcurl4", false),
            ("pkg:deb/debian/libcurl", false),
            ("pkg:generic/libcurl4", false),
        ] {
            assert_eq!(curl.is(&Purl::parse(component).unwrap()), same, "{component}");
        }
        for (package, component, same) in [
            ("pkg:pypi/ruamel-yaml@0.17", "pkg:pypi/Ruamel.Yaml@0.17", true),
            ("pkg:pypi/django@4.2", "pkg:pypi/django@4.3", false),
            ("pkg:npm/%40babel/core@7.0.0", "pkg:npm/%40babel/core@7.0.0", true),
            ("pkg:npm/%40babel/core@7.0.0", "pkg:npm/core@7.0.0", false),
            ("pkg:golang/golang.org/x/net@v0.1.0", "pkg:golang/golang.org/x/net@0.1.0", true),
            ("pkg:deb/debian/vim@2:9.0-1", "pkg:deb/debian/vim@2%3A9.0-1", true),
            ("pkg:deb/debian/vim@2:9.0-1", "pkg:deb/debian/vim@9.0-1?epoch=2", true),
            ("pkg:deb/debian/vim@2:9.0-1", "pkg:deb/debian/vim@9.0-1", false),
        ] {
            let component = Purl::parse(component).unwrap();
            assert_eq!(present(package, None).is(&component), same, "{package} {component:?}");
        }
    }

    #[test]
    fn a_version_beside_no_version_stays_a_version() {
        let texts = ["pkg:npm/a@1", "pkg:npm/a", "pkg:npm/b", "no purl"].map(str::to_owned);
        let kept = narrow(&texts);
        assert_eq!(kept.len(), 2);
        assert_eq!(kept[0].version.as_deref(), Some("1"));
        assert_eq!(kept[1].name, "b");
    }
}
