//! Open findings as CSV, worst first, safe to open in a spreadsheet program.

use super::{Error, assemble, clean};
use crate::model::finding::Finding;
use crate::model::report::Report;

/// Most bytes of the attachment; base64 and the other parts fit beside it under usual mail limits.
const MOST_BYTES: usize = 4_000_000;

/// The attachment.
pub(super) struct Sheet {
    /// UTF-8 with a header line.
    pub bytes: Vec<u8>,
    /// Findings that did not fit.
    pub left_out: u64,
}

/// Writes all open findings; what goes beyond 4 MB is counted in the last line.
pub(super) fn open_findings(report: &Report) -> Result<Sheet, Error> {
    let mut rows: Vec<(&str, &Finding)> = report
        .images
        .iter()
        .flat_map(|image| image.findings.iter().map(|f| (image.result.name.as_str(), f)))
        .filter(|(_, finding)| finding.counts())
        .collect();
    rows.sort_by(|a, b| assemble::worst_first(a.1, b.1).then(a.0.cmp(b.0)));
    let failed = |error: csv::Error| Error::Sheet(error.to_string());
    let mut writer =
        csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    writer.write_record(HEADER).map_err(failed)?;
    let mut left_out = 0;
    for (at, (image, finding)) in rows.iter().enumerate() {
        writer.write_record(record(image, finding)).map_err(failed)?;
        // The writer's own buffer is 8 KiB: the bound is kept to within that.
        if writer.get_ref().len() > MOST_BYTES {
            left_out = (rows.len() - at - 1) as u64;
            break;
        }
    }
    let mut bytes = writer.into_inner().map_err(|error| Error::Sheet(error.to_string()))?;
    if left_out > 0 {
        bytes
            .extend_from_slice(format!("\"and {left_out} more\"{}\r\n", ",".repeat(15)).as_bytes());
    }
    Ok(Sheet { bytes, left_out })
}

const HEADER: [&str; 16] = [
    "image",
    "severity",
    "id",
    "aliases",
    "kind",
    "package",
    "version",
    "fixed",
    "ecosystem",
    "cvss",
    "epss",
    "known_exploited",
    "path",
    "status",
    "published",
    "title",
];

fn record(image: &str, finding: &Finding) -> [String; 16] {
    let package = finding.package.clone().unwrap_or_default();
    let number = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
    let text = |value: &str| clean::cell(&cut(value));
    [
        text(image),
        finding.severity.as_str().into(),
        text(&finding.id),
        text(&finding.aliases.join(" ")),
        finding.kind.as_str().into(),
        text(&package.name),
        text(&package.version),
        text(finding.fixed.as_deref().unwrap_or("")),
        text(&package.ecosystem),
        number(finding.cvss),
        number(finding.epss),
        if finding.kev { "yes" } else { "no" }.into(),
        text(finding.path.as_deref().unwrap_or("")),
        finding.status.as_str().into(),
        text(finding.published.as_deref().unwrap_or("")),
        text(&finding.title),
    ]
}

/// At most 500 characters, leading white space kept: a tab there is what a formula hides behind.
fn cut(text: &str) -> String {
    text.chars().take(500).collect()
}
