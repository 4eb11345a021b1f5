//! VEX statements as judged, whatever format they came in.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::finding::Status;

/// One statement: one vulnerability, some products, some components.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// `path#n`: the file in the repository and the statement's place in it, from 1.
    pub origin: String,
    /// The image folder it lies beside; `None` speaks for every image it names.
    pub folder: Option<String>,
    /// The vulnerability's name and aliases.
    pub ids: Vec<String>,
    /// Product ids (purls, image references); empty means the image it lies beside.
    pub products: Vec<String>,
    /// Component purls (`subcomponents`); empty means the product as a whole.
    pub components: Vec<String>,
    /// The status.
    pub status: Status,
    /// OpenVEX justification label.
    pub justification: Option<String>,
    /// `impact_statement`.
    pub impact: Option<String>,
    /// `action_statement`.
    pub action: Option<String>,
    /// The author of the document.
    pub author: String,
    /// `timestamp` of the statement, else of the document.
    pub timestamp: DateTime<Utc>,
    /// When it stops to count.
    pub expires: Option<DateTime<Utc>>,
}

/// What is wrong with a statement, found anew every night.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatementCheck {
    /// The statement's origin.
    pub origin: String,
    /// The vulnerability's first id.
    pub id: String,
    /// The image it was checked for; empty where it concerns none.
    pub image: String,
    /// What is wrong.
    pub state: StatementState,
    /// One line for people.
    pub message: String,
    /// The day it expires or expired.
    pub expires: Option<DateTime<Utc>>,
}

/// Ways in which a statement rots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StatementState {
    /// The document or statement breaks the format's rules; it is not used.
    Invalid,
    /// Past its day; it suppresses nothing any more.
    Expired,
    /// Within 14 days of it.
    Expiring,
    /// Says a component is absent which the inventory has; it suppresses nothing.
    Contradicted,
    /// No finding matches any more.
    Stale,
    /// Names a product or component that the repository never had.
    Unmatched,
    /// A fix is available by now.
    Fixable,
    /// Names no version: it would suppress every version.
    Broad,
}
