//! The compliance report: assembled from two nights, rendered as mail, page and terminal, and sent.

mod action;
mod assemble;
mod clean;
mod message;
mod sheet;
mod template;
mod terminal;
#[cfg(test)]
mod tests;
mod verdict;
mod view;
mod words;

/// A realistic report for tests.
#[cfg(test)]
pub mod sample;
/// How a mail leaves the house.
pub mod transport;

use std::path::PathBuf;

use chrono_tz::Tz;

use crate::model::finding::Severity;
use crate::model::report::Report;

pub use assemble::{AssembleInput, ImageFindings, assemble};
pub use message::{Envelope, message, message_id, notice};
pub use terminal::{night_table, terminal};
pub use verdict::{Verdict, quiet, verdict};

/// What can go wrong between a report and its delivery.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A template is broken: a fault of midwatch itself.
    #[error("template {name}: {reason}")]
    Template {
        /// Its file.
        name: String,
        /// What the engine says.
        reason: String,
    },
    /// The open findings could not be written as CSV.
    #[error("open findings as csv: {0}")]
    Sheet(String),
    /// Not a mail address.
    #[error("mail address {address:?}: {reason}")]
    Address {
        /// As it was given.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The message could not be put together.
    #[error("mail message: {0}")]
    Message(String),
    /// `mail.transport` cannot be understood.
    #[error(
        "mail transport {setting:?}: {reason}; write \"folder\", \"smtp://host:587\" or \"smtps://host:465\""
    )]
    Setting {
        /// As it was given, without credentials.
        setting: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A certificate file cannot be used.
    #[error("mail root certificate {}: {reason}", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// What a rendering needs beside the report.
#[derive(Debug, Clone)]
pub struct RenderMeta {
    /// The source repository's name, for the subject.
    pub repository: String,
    /// The pipeline's time zone.
    pub timezone: Tz,
    /// midwatch's version.
    pub engine: String,
    /// Address of the pages, where there are any.
    pub web_url: Option<String>,
    /// Domain of `List-Id` and `Message-ID`.
    pub list_domain: String,
}

/// A report as mail, not yet addressed.
#[derive(Debug, Clone, PartialEq)]
pub struct Rendered {
    /// One line.
    pub subject: String,
    /// Plain text, lines of at most 76 columns.
    pub text: String,
    /// At most 80,000 bytes.
    pub html: String,
    /// Open findings, worst first; at most 4 MB.
    pub csv: Vec<u8>,
    /// `2026-11-22`, in the pipeline's zone; names the attachment.
    pub date: String,
    /// The worst severity that is open; `None` where nothing is.
    pub severity_highest: Option<Severity>,
    /// The verdict.
    pub verdict: Verdict,
}

/// Most bytes of the HTML part: Gmail clips at about 102 KB.
pub const HTML_LIMIT: usize = 80_000;

/// Columns of the text part.
const COLUMNS: usize = 76;

/// Renders a report as a mail; the tables shrink until the HTML part is within [`HTML_LIMIT`].
///
/// # Errors
/// Where a template is broken, or the CSV cannot be written.
pub fn render(report: &Report, meta: &RenderMeta) -> Result<Rendered, Error> {
    let sheet = sheet::open_findings(report)?;
    let mut view = view::View::of(report, meta, &view::MAIL, sheet.left_out);
    let mut html = template::html("morning.html", &view)?;
    let mut rows = view::MAIL.rows;
    while html.len() > HTML_LIMIT && rows > 0 {
        rows = rows * 2 / 3;
        view.shrink(rows);
        html = template::html("morning.html", &view)?;
    }
    Ok(Rendered {
        subject: clean::header(&template::text("morning.subject", &view)?, 240),
        text: clean::wrap(&template::text("morning.text", &view)?, COLUMNS),
        html,
        csv: sheet.bytes,
        date: view.date.clone(),
        severity_highest: verdict::severity_highest(report),
        verdict: verdict(report),
    })
}

/// Renders a report as one self-contained page, fuller than the mail.
///
/// # Errors
/// Where a template is broken.
pub fn page(report: &Report, meta: &RenderMeta) -> Result<String, Error> {
    template::html("night.html", &view::View::of(report, meta, &view::PAGE, 0))
}
