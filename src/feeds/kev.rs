//! CISA's catalogue of known exploited vulnerabilities (JSON, as CISA publishes it).

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::osv;

/// An entry of `vulnerabilities`.
#[derive(Debug, Default, Deserialize)]
pub struct Entry {
    #[serde(rename = "cveID", default)]
    cve: String,
}

/// The catalogue.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Catalogue {
    /// CVE ids.
    pub cves: Vec<String>,
    /// `dateReleased`.
    pub released: Option<DateTime<Utc>>,
}

/// Reads the catalogue; `None` where the document is none.
pub(super) fn catalogue(document: &mut osv::Document) -> Option<Catalogue> {
    let entries = document.vulnerabilities.take()?;
    let released = osv::date(document.released.as_deref());
    let cves: Vec<String> =
        entries.into_iter().map(|entry| entry.cve).filter(|cve| cve.starts_with("CVE-")).collect();
    (!cves.is_empty()).then_some(Catalogue { cves, released })
}
