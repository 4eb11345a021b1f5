//! SARIF 2.1.0 (OASIS standard): one run, one rule for each id, one result for each finding.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Scan;
use crate::model::finding::{Finding, Severity, Status};

/// A SARIF 2.1.0 log with one run.
pub fn sarif(scan: &Scan<'_>) -> Value {
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    let mut rules = Vec::new();
    for finding in scan.findings {
        places.entry(&finding.id).or_insert_with(|| {
            rules.push(rule(finding));
            rules.len() - 1
        });
    }
    let results: Vec<Value> = scan
        .findings
        .iter()
        .map(|finding| result(scan, finding, places[finding.id.as_str()]))
        .collect();
    json!({
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "midwatch",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            }},
            "invocations": [{
                "executionSuccessful": true,
                "toolExecutionNotifications": notifications(scan.unassessed),
            }],
            "results": results,
            "properties": { "target": scan.target, "digest": scan.digest, "feeds": scan.feeds.index },
        }],
    })
}

fn notifications(unassessed: &[String]) -> Vec<Value> {
    let one =
        |gap| json!({ "level": "warning", "message": { "text": format!("not assessed: {gap}") } });
    unassessed.iter().map(one).collect()
}

fn rule(finding: &Finding) -> Value {
    let mut rule = json!({
        "id": finding.id,
        "name": finding.kind.as_str(),
        "shortDescription": { "text": described(finding) },
        "defaultConfiguration": { "level": level(finding.severity) },
        "properties": { "tags": ["security", finding.kind.as_str()] },
    });
    // Code-scanning pages sort by this number, a CVSS score as text.
    let score = finding.cvss.map_or(assumed(finding.severity), |score| Some(format!("{score:.1}")));
    if let Some(score) = score {
        rule["properties"]["security-severity"] = json!(score);
    }
    if !finding.remedy.is_empty() {
        rule["help"] = json!({ "text": finding.remedy });
    }
    rule
}

fn result(scan: &Scan<'_>, finding: &Finding, rule: usize) -> Value {
    let package = finding.package.as_ref();
    let mut text = match package {
        Some(package) => format!("{} in {} {}", finding.cve(), package.name, package.version),
        None => described(finding).to_owned(),
    };
    if let (Some(_), Some(fixed)) = (package, &finding.fixed) {
        text.push_str(&format!(", fixed in {fixed}"));
    }
    let mut result = json!({
        "ruleId": finding.id,
        "ruleIndex": rule,
        "level": level(finding.severity),
        "message": { "text": text },
        "locations": [location(scan, finding)],
        "partialFingerprints": { "midwatch/v1": finding.fingerprint() },
        "properties": {
            "aliases": finding.aliases,
            "severity": finding.severity,
            "status": finding.status,
            "kev": finding.kev,
            "epss": finding.epss,
            "layer": finding.layer,
        },
    });
    if matches!(finding.status, Status::NotAffected | Status::Fixed) {
        let why = [finding.note.as_deref(), finding.statement.as_deref()];
        let why: Vec<&str> = why.into_iter().flatten().collect();
        result["suppressions"] = json!([{
            "kind": "external",
            "status": "accepted",
            "justification": why.join("; "),
        }]);
    }
    result
}

/// The file; where there is none the image itself; and the package as a logical location.
fn location(scan: &Scan<'_>, finding: &Finding) -> Value {
    let path = finding.path.as_deref().unwrap_or(scan.target);
    let mut location =
        json!({ "physicalLocation": { "artifactLocation": { "uri": escaped(path) } } });
    if let Some(package) = &finding.package {
        location["logicalLocations"] = json!([{ "fullyQualifiedName": package.purl, "name": package.name, "kind": "package" }]);
    }
    location
}

/// A path as a relative URI reference (RFC 3986, section 4.2): a colon would make it a scheme.
fn escaped(path: &str) -> String {
    let mut uri = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' | b'+' => {
                uri.push(char::from(byte));
            }
            other => uri.push_str(&format!("%{other:02X}")),
        }
    }
    uri
}

fn described(finding: &Finding) -> &str {
    if finding.title.is_empty() { &finding.id } else { &finding.title }
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical | Severity::High => "error",
        Severity::Medium | Severity::Unknown => "warning",
        Severity::Low | Severity::Negligible => "note",
    }
}

/// The middle of the severity's CVSS range, for findings without a score.
fn assumed(severity: Severity) -> Option<String> {
    let score = match severity {
        Severity::Critical => "9.5",
        Severity::High => "8.0",
        Severity::Medium => "5.5",
        Severity::Low => "2.0",
        Severity::Unknown | Severity::Negligible => return None,
    };
    Some(score.to_owned())
}
