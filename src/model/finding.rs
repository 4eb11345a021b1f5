//! Findings: what is wrong with an image, in the shape that `--json` prints.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One finding.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Advisory id, rule id or check id.
    pub id: String,
    /// Other ids of the same thing, CVE first.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// What kind it is.
    pub kind: Kind,
    /// How bad.
    pub severity: Severity,
    /// CVSS base score, 0.0 to 10.0.
    pub cvss: Option<f64>,
    /// EPSS probability, 0.0 to 1.0.
    pub epss: Option<f64>,
    /// Whether CISA lists it as known exploited.
    #[serde(default)]
    pub kev: bool,
    /// The package; `None` for secrets and checks.
    pub package: Option<PackageRef>,
    /// The first fixed version.
    pub fixed: Option<String>,
    /// The file, without a leading slash.
    pub path: Option<String>,
    /// The layer's diff id.
    pub layer: Option<String>,
    /// Whether it counts.
    #[serde(default)]
    pub status: Status,
    /// The statement that decided the status, as `document#vulnerability`.
    pub statement: Option<String>,
    /// One line for people; secrets redacted.
    #[serde(default)]
    pub title: String,
    /// What to do, one line.
    #[serde(default)]
    pub remedy: String,
    /// Why the status is what it is: the justification or the expiry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// When the advisory was published, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<String>,
}

impl Finding {
    /// What makes it the same finding on another night: kind, id, package and path, not the version.
    pub fn fingerprint(&self) -> String {
        let package = self.package.as_ref();
        [
            self.kind.as_str(),
            &self.id,
            package.map_or("", |p| &p.ecosystem),
            package.map_or("", |p| &p.name),
            self.path.as_deref().unwrap_or(""),
        ]
        .join("|")
    }

    /// Whether it counts for score and policy.
    pub fn counts(&self) -> bool {
        matches!(self.status, Status::Affected | Status::UnderInvestigation)
    }

    /// The id and all aliases.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.id.as_str()).chain(self.aliases.iter().map(String::as_str))
    }

    /// The CVE among its ids, else its id.
    pub fn cve(&self) -> &str {
        self.ids().find(|id| id.starts_with("CVE-")).unwrap_or(&self.id)
    }
}

/// The package a finding speaks of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageRef {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its OSV ecosystem.
    pub ecosystem: String,
    /// Its package URL.
    pub purl: String,
    /// `name version` of the source package it was matched by; `None` where there is none.
    pub source: Option<String>,
}

/// Kinds of finding.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A known vulnerability of a package.
    #[default]
    Vulnerability,
    /// A credential left in a layer.
    Secret,
    /// An image check that failed.
    Check,
    /// Malware.
    Malware,
    /// A licence the policy refuses.
    Licence,
}

impl Kind {
    /// The JSON spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Vulnerability => "vulnerability",
            Self::Secret => "secret",
            Self::Check => "check",
            Self::Malware => "malware",
            Self::Licence => "licence",
        }
    }
}

/// Severities, ordered; `Unknown` is never zero, it stands between low and medium for sorting.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Shown, not counted.
    Negligible,
    /// CVSS 0.1–3.9.
    Low,
    /// No source states one.
    #[default]
    Unknown,
    /// CVSS 4.0–6.9.
    Medium,
    /// CVSS 7.0–8.9.
    High,
    /// CVSS 9.0–10.
    Critical,
}

impl Severity {
    /// The rating of a CVSS base score (CVSS v3.1 specification, section 5).
    pub fn from_cvss(score: f64) -> Self {
        match score {
            s if s >= 9.0 => Self::Critical,
            s if s >= 7.0 => Self::High,
            s if s >= 4.0 => Self::Medium,
            s if s > 0.0 => Self::Low,
            _ => Self::Negligible,
        }
    }

    /// The JSON spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Negligible => "negligible",
            Self::Low => "low",
            Self::Unknown => "unknown",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// OpenVEX statuses of a finding.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The default of a new finding.
    #[default]
    Affected,
    /// Suppressed: a statement says why it does not apply.
    NotAffected,
    /// Suppressed: a statement says it is repaired.
    Fixed,
    /// Somebody looks into it; it counts.
    UnderInvestigation,
}

impl Status {
    /// The OpenVEX spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Affected => "affected",
            Self::NotAffected => "not_affected",
            Self::Fixed => "fixed",
            Self::UnderInvestigation => "under_investigation",
        }
    }
}

/// How many findings of each kind an image has; suppressed ones stand apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Vulnerabilities that count, by severity.
    pub critical: u64,
    /// High.
    pub high: u64,
    /// Medium.
    pub medium: u64,
    /// Low.
    pub low: u64,
    /// Negligible.
    pub negligible: u64,
    /// Without a severity.
    pub unknown: u64,
    /// Of all these, known exploited.
    pub kev: u64,
    /// Of all these, with a fixed version.
    pub fixable: u64,
    /// Secrets.
    pub secrets: u64,
    /// Failed image checks.
    pub checks: u64,
    /// Findings of any kind that a statement suppresses.
    pub suppressed: u64,
}

impl Counts {
    /// Counts findings.
    pub fn of<'a>(findings: impl IntoIterator<Item = &'a Finding>) -> Self {
        let mut counts = Self::default();
        for finding in findings {
            counts.add(finding);
        }
        counts
    }

    fn add(&mut self, finding: &Finding) {
        if !finding.counts() {
            self.suppressed += 1;
            return;
        }
        match finding.kind {
            Kind::Vulnerability => {
                *self.by_severity(finding.severity) += 1;
                self.kev += u64::from(finding.kev);
                self.fixable += u64::from(finding.fixed.is_some());
            }
            Kind::Secret => self.secrets += 1,
            Kind::Check | Kind::Malware | Kind::Licence => self.checks += 1,
        }
    }

    fn by_severity(&mut self, severity: Severity) -> &mut u64 {
        match severity {
            Severity::Critical => &mut self.critical,
            Severity::High => &mut self.high,
            Severity::Medium => &mut self.medium,
            Severity::Low => &mut self.low,
            Severity::Negligible => &mut self.negligible,
            Severity::Unknown => &mut self.unknown,
        }
    }

    /// Vulnerabilities that count, of all severities.
    pub fn vulnerabilities(&self) -> u64 {
        self.critical + self.high + self.medium + self.low + self.negligible + self.unknown
    }
}
