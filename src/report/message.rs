//! A rendered report as the bytes of a mail (RFC 5322), the same bytes for the same input.

use chrono::{DateTime, Utc};
use lettre::Message;
use lettre::message::MessageBuilder;
use lettre::message::header::{
    ContentDisposition, ContentTransferEncoding, ContentType, HeaderName, HeaderValue,
};
use lettre::message::{Mailbox, MultiPart, SinglePart};
use sha2::{Digest, Sha256};

use super::{Error, Rendered, clean};
use crate::model::report::Audience;

/// From whom, to whom and as what a mail goes out.
#[derive(Debug, Clone)]
pub struct Envelope {
    /// The sender: `midwatch <midwatch@example.org>` or the bare address.
    pub from: String,
    /// The recipient.
    pub to: String,
    /// With its angle brackets, from [`message_id`].
    pub message_id: String,
    /// The `Date` header.
    pub date: DateTime<Utc>,
    /// `hardened.midwatch.example.org`, without angle brackets.
    pub list_id: String,
    /// The message id of the night's first mail, where this one corrects it.
    pub thread: Option<String>,
    /// The night's id.
    pub night: String,
    /// An address that unsubscribes with one POST (RFC 8058), where there is one.
    pub unsubscribe: Option<String>,
}

/// The `Message-ID` of one night's mail for one reader: a resend is the same message.
pub fn message_id(night: &str, audience: &Audience, revision: u32, domain: &str) -> String {
    let kind = match audience {
        Audience::Pipeline(_) => "pipeline",
        Audience::Owner(_) => "owner",
    };
    let address = audience.address().trim().to_ascii_lowercase();
    let mut hash = Sha256::new();
    for part in [night, kind, &address, &revision.to_string()] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let domain: String =
        domain.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-')).collect();
    let domain = if domain.is_empty() { "midwatch.invalid" } else { &domain };
    format!("<{}@{domain}>", hex::encode(&hash.finalize()[..16]))
}

/// Builds the message: text and HTML as alternatives, the open findings as an attachment.
///
/// # Errors
/// Where an address is none, or a header cannot be written.
pub fn message(rendered: &Rendered, envelope: &Envelope) -> Result<Vec<u8>, Error> {
    let severity = rendered.severity_highest.map_or("none", |severity| severity.as_str());
    let about = [
        ("X-Midwatch-Verdict", rendered.verdict.as_str().to_owned()),
        ("X-Midwatch-Severity", severity.into()),
    ];
    let message = headed(&rendered.subject, envelope, about)?
        .multipart(body(rendered, &envelope.message_id))
        .map_err(|error| Error::Message(error.to_string()))?;
    Ok(message.formatted())
}

/// Builds a short message of plain text, such as one to the administrator.
///
/// # Errors
/// Where an address is none, or a header cannot be written.
pub fn notice(subject: &str, text: &str, envelope: &Envelope) -> Result<Vec<u8>, Error> {
    let message = headed(subject, envelope, [])?
        .singlepart(part(ContentType::TEXT_PLAIN, text))
        .map_err(|error| Error::Message(error.to_string()))?;
    Ok(message.formatted())
}

/// Everything above the body.
fn headed(
    subject: &str,
    envelope: &Envelope,
    about: impl IntoIterator<Item = (&'static str, String)>,
) -> Result<MessageBuilder, Error> {
    let mut builder = Message::builder()
        .from(mailbox(&envelope.from)?)
        .to(mailbox(&envelope.to)?)
        .subject(clean::header(subject, 240))
        .date(envelope.date.into())
        .message_id(Some(one_token(&envelope.message_id)));
    if let Some(thread) = &envelope.thread {
        builder = builder.in_reply_to(one_token(thread)).references(one_token(thread));
    }
    for (name, value) in headers(envelope).into_iter().chain(about) {
        let name = HeaderName::new_from_ascii(name.into())
            .map_err(|error| Error::Message(error.to_string()))?;
        builder = builder.raw_header(HeaderValue::new(name, clean::header(&value, 400)));
    }
    Ok(builder)
}

fn headers(envelope: &Envelope) -> Vec<(&'static str, String)> {
    let mut headers = vec![
        ("List-Id", format!("<{}>", one_token(&envelope.list_id))),
        ("Auto-Submitted", "auto-generated".into()),
        ("X-Auto-Response-Suppress", "All".into()),
        ("X-Midwatch-Run", envelope.night.clone()),
    ];
    if let Some(url) = &envelope.unsubscribe {
        headers.push(("List-Unsubscribe", format!("<{}>", one_token(url))));
        headers.push(("List-Unsubscribe-Post", "List-Unsubscribe=One-Click".into()));
    }
    headers
}

fn body(rendered: &Rendered, message_id: &str) -> MultiPart {
    let readable = MultiPart::alternative()
        .boundary(boundary(message_id, "alternative"))
        .singlepart(part(ContentType::TEXT_PLAIN, &rendered.text))
        .singlepart(part(ContentType::TEXT_HTML, &rendered.html));
    let name = format!("open-findings-{}.csv", file_safe(&rendered.date));
    let sheet = SinglePart::builder()
        .header(csv_type())
        .header(ContentDisposition::attachment(&name))
        .header(ContentTransferEncoding::Base64)
        .body(rendered.csv.clone());
    MultiPart::mixed().boundary(boundary(message_id, "mixed")).multipart(readable).singlepart(sheet)
}

fn part(kind: ContentType, text: &str) -> SinglePart {
    SinglePart::builder()
        .header(kind)
        .header(ContentTransferEncoding::QuotedPrintable)
        .body(text.to_owned())
}

fn csv_type() -> ContentType {
    ContentType::parse("text/csv; charset=utf-8").unwrap_or(ContentType::TEXT_PLAIN)
}

/// Random boundaries would make each resend a different message. `=_` stands in no
/// quoted-printable or base64 body (RFC 2045, section 6.7).
fn boundary(message_id: &str, part: &str) -> String {
    let hash = Sha256::digest(format!("{part}|{message_id}"));
    format!("=_midwatch-{}", hex::encode(&hash[..12]))
}

fn mailbox(address: &str) -> Result<Mailbox, Error> {
    address.trim().parse().map_err(|error: lettre::address::AddressError| Error::Address {
        address: clean::clip(address, 200),
        reason: error.to_string(),
    })
}

/// Printable ASCII without blanks and quotes: what may stand in an identifier.
fn one_token(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_graphic() && *c != '"').take(400).collect()
}

fn file_safe(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(20).collect()
}
