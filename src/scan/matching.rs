//! Inventory × advisories: which packages are affected by what, and which could not be assessed.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::advisory::{Advisories, Advisory};
use crate::model::finding::{Finding, Kind, PackageRef, Severity};
use crate::model::inventory::{Inventory, Package};

use super::version::{self, Scheme};
use fold::Group;
use range::Verdict;

mod fold;
mod range;

#[cfg(test)]
mod tests;

/// What matching an inventory gave.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Matches {
    /// One per vulnerability and package, sorted by (name, version, id, path).
    ///
    /// Packages with a source (dpkg) give one finding per vulnerability and *source* package: it
    /// names the binary package called like its source, else the first by name, and the title
    /// counts the others.
    pub findings: Vec<Finding>,
    /// What could not be assessed, and why, for people; sorted.
    pub unassessed: Vec<String>,
}

/// Matches every package of `inventory` against `feeds`.
///
/// Packages that belong to an operating-system package (`owner`) are left to that package's
/// advisories, and Go's main modules at `(devel)` are left out. A record that several databases
/// know (ids that meet) gives one finding, under the first of its ids in alphabetical order.
pub fn vulnerabilities(inventory: &Inventory, feeds: &dyn Advisories) -> Matches {
    let mut gaps = Gaps::default();
    let mut findings = Vec::new();
    let mut covered: BTreeMap<&str, bool> = BTreeMap::new();
    for subject in subjects(&inventory.packages) {
        let ecosystem = subject.package.ecosystem.as_str();
        if !*covered.entry(ecosystem).or_insert_with(|| feeds.covers(ecosystem)) {
            gaps.add(ecosystem, "no feed covers it".to_owned(), subject.count());
            continue;
        }
        match subject.findings(feeds) {
            Ok(found) => findings.extend(found),
            Err(reason) => gaps.add(ecosystem, reason, subject.count()),
        }
    }
    findings.sort_by_cached_key(place);
    // A package read twice from one place is one package.
    findings.dedup_by(|a, b| place(a) == place(b));
    Matches { findings, unassessed: gaps.lines() }
}

/// What findings are sorted by, and what makes two of them one.
fn place(finding: &Finding) -> impl Ord + use<> {
    let package = finding.package.clone().unwrap_or_default();
    let (id, path) = (finding.id.clone(), finding.path.clone());
    (package.name, package.version, id, path, package.ecosystem)
}

/// What one look-up is about: a package, or all binary packages of one source package.
struct Subject<'a> {
    /// The package that the findings name.
    package: &'a Package,
    /// How many other binary packages come from the same source.
    others: usize,
    /// What the advisories know it by.
    name: &'a str,
    version: &'a str,
}

/// The packages to look up, those of one source package together.
fn subjects(packages: &[Package]) -> Vec<Subject<'_>> {
    let mut subjects = Vec::new();
    let mut sources: BTreeMap<(&str, &str, &str), Vec<&Package>> = BTreeMap::new();
    for package in packages {
        let main = package.version == "(devel)" && package.ecosystem == "Go";
        if main || package.owner.is_some() {
            continue;
        }
        match source(package) {
            Some((name, version)) => {
                sources.entry((&package.ecosystem, name, version)).or_default().push(package);
            }
            None => {
                let Package { name, version, .. } = package;
                subjects.push(Subject { package, others: 0, name, version });
            }
        }
    }
    for ((_, name, version), packages) in sources {
        let first = packages.iter().min_by_key(|package| (package.name != name, &package.name));
        if let Some(package) = first {
            let names: BTreeSet<&str> = packages.iter().map(|p| p.name.as_str()).collect();
            subjects.push(Subject { package, others: names.len() - 1, name, version });
        }
    }
    subjects
}

/// The source package's name and version; a dpkg package that names none is its own source, and a
/// source without a version has the binary package's.
fn source(package: &Package) -> Option<(&str, &str)> {
    match &package.source {
        Some(source) if source.version.is_empty() => Some((&source.name, &package.version)),
        Some(source) => Some((&source.name, &source.version)),
        None if Scheme::of(&package.ecosystem) == Ok(Scheme::Dpkg) => {
            Some((&package.name, &package.version))
        }
        None => None,
    }
}

impl Subject<'_> {
    fn count(&self) -> usize {
        self.others + 1
    }

    /// Its findings, or why it could not be assessed.
    fn findings(&self, feeds: &dyn Advisories) -> Result<Vec<Finding>, String> {
        let scheme = Scheme::of(&self.package.ecosystem).map_err(|error| match error {
            version::Error::Unsupported(_) => "its version order is not supported yet".to_owned(),
            version::Error::Unknown(_) => "its version order is not known".to_owned(),
        })?;
        if scheme.compare(self.version, self.version).is_none() {
            return Err(format!("version not understood ({} {:?})", self.name, self.version));
        }
        let advisories = feeds.of(&self.package.ecosystem, self.name);
        let hits: Vec<(&Advisory, Verdict)> = advisories
            .iter()
            .filter_map(|advisory| {
                Some((advisory, range::affected(scheme, self.version, advisory)?))
            })
            .collect();
        let groups = fold::groups(scheme, hits);
        Ok(groups.into_iter().map(|group| self.finding(group, feeds)).collect())
    }

    fn finding(&self, group: Group, feeds: &dyn Advisories) -> Finding {
        let (mut epss, mut kev, mut lent) = (None::<f64>, false, None::<Rating>);
        for id in std::iter::once(&group.id).chain(&group.aliases) {
            let more = feeds.enrich(id);
            kev |= more.kev;
            epss = larger(epss, more.epss);
            let offer = more.severity.map(|severity| (severity, more.cvss));
            lent = worse(lent, offer);
        }
        let severity = group.severity.or(lent.map(|(severity, _)| severity)).unwrap_or_default();
        let cvss = group.cvss.or(lent.and_then(|(_, cvss)| cvss));
        let package = self.package;
        Finding {
            kind: Kind::Vulnerability,
            severity,
            cvss,
            epss,
            kev,
            title: self.title(&group.summary),
            remedy: self.remedy(group.fixed.as_deref()),
            package: Some(PackageRef {
                name: package.name.clone(),
                version: package.version.clone(),
                ecosystem: package.ecosystem.clone(),
                purl: package.purl.clone(),
                source: package.source.as_ref().map(|s| format!("{} {}", s.name, s.version)),
            }),
            fixed: group.fixed,
            path: Some(package.path.clone()).filter(|path| !path.is_empty()),
            layer: Some(package.layer.clone()).filter(|layer| !layer.is_empty()),
            published: Some(group.published).filter(|date| !date.is_empty()),
            id: group.id,
            aliases: group.aliases,
            ..Finding::default()
        }
    }

    fn title(&self, summary: &str) -> String {
        let Package { name, version, .. } = self.package;
        let others = match self.others {
            0 => String::new(),
            1 => format!(" and 1 more package of {}", self.name),
            many => format!(" and {many} more packages of {}", self.name),
        };
        match summary {
            "" => format!("{name} {version}{others}"),
            summary => format!("{name} {version}{others}: {summary}"),
        }
    }

    fn remedy(&self, fixed: Option<&str>) -> String {
        match fixed {
            Some(fixed) => format!("upgrade {} to {fixed}", self.name),
            None => "no fix yet".to_owned(),
        }
    }
}

fn larger(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.max(b)),
        (a, b) => a.or(b),
    }
}

/// A severity and its CVSS base score, as another record lends them.
type Rating = (Severity, Option<f64>);

/// Of two ratings, the worse.
fn worse(a: Option<Rating>, b: Option<Rating>) -> Option<Rating> {
    match (a, b) {
        (Some(a), Some(b)) if b.0 > a.0 => Some(b),
        (a, b) => a.or(b),
    }
}

/// Packages that could not be assessed, by ecosystem and reason.
#[derive(Default)]
struct Gaps(BTreeMap<(String, String), usize>);

impl Gaps {
    fn add(&mut self, ecosystem: &str, reason: String, count: usize) {
        let ecosystem = if ecosystem.is_empty() { "an unknown ecosystem" } else { ecosystem };
        *self.0.entry((ecosystem.to_owned(), reason)).or_default() += count;
    }

    fn lines(self) -> Vec<String> {
        let line = |((ecosystem, reason), count)| match count {
            1 => format!("1 package of {ecosystem}: {reason}"),
            many => format!("{many} packages of {ecosystem}: {reason}"),
        };
        self.0.into_iter().map(line).collect()
    }
}
