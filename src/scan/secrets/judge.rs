//! What makes a match a secret: entropy, no placeholder, and the proof that its kind carries.

use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use super::rules::{Check, Rule, Scope};
use crate::model::finding::Severity;

/// Pieces that only documentation and templates write.
const PLACEHOLDERS: &[&str] = &[
    "example",
    "xxxx",
    "placeholder",
    "changeme",
    "change_me",
    "change-me",
    "redacted",
    "insert",
    "your_",
    "your-",
    "yourtoken",
    "replace_",
    "replace-",
    "0000000",
    "1234567890",
    "abcdefgh",
    "****",
    "....",
    "dummy",
    "${",
    "{{",
    "<%",
];

/// Words that stand where a password would in samples and in code.
const WORDS: &[&str] = &[
    "password",
    "passwd",
    "secret",
    "username",
    "hostname",
    "string",
    "required",
    "optional",
    "default",
    "undefined",
    "function",
    "localhost",
    "process.env",
    "os.environ",
    "getenv",
    "true",
    "false",
    "none",
    "null",
    "config",
    "self.",
    "this.",
    "test",
    "http",
    "file:",
    "/run/",
    "/etc/",
    "/var/",
    "/usr/",
    "env.",
    "vault:",
    "prompt",
    "request",
    "response",
    "private",
    "public",
    "value",
];

/// Severity and a remark on a match, or nothing where it is no secret.
pub(super) fn judge(
    rule: &Rule,
    content: &[u8],
    span: Range<usize>,
) -> Option<(Severity, &'static str)> {
    let value = &content[span.clone()];
    if entropy(value) < rule.entropy || placeholder(value) {
        return None;
    }
    let plain = Some((rule.severity, ""));
    match rule.check {
        Check::None => plain,
        // A wrong checksum means it was never issued; it is still worth a look, not an alarm.
        Check::Crc if !crc_holds(value) => {
            Some((Severity::Medium, " (checksum does not match, perhaps never issued)"))
        }
        Check::Crc => plain,
        Check::Jwt => jwt(value).then_some(plain)?,
        Check::BasicAuth => basic(value).then_some(plain)?,
        Check::PrivateKey => private_key(rule, content, span),
        Check::Password => password(rule, content, span).then_some(plain)?,
    }
}

/// Shannon entropy in bits per byte (C. E. Shannon, 1948).
pub(super) fn entropy(value: &[u8]) -> f64 {
    let mut counts = [0u32; 256];
    for byte in value {
        counts[usize::from(*byte)] += 1;
    }
    let total = value.len() as f64;
    let share = |count: &u32| f64::from(*count) / total;
    counts.iter().filter(|count| **count > 0).map(share).map(|p| -p * p.log2()).sum()
}

/// At most the first four and last four characters, never more than a third of the whole.
pub(super) fn redact(value: &str) -> String {
    let chars: Vec<char> = value.chars().filter(|c| !c.is_control()).collect();
    let shown = (chars.len() / 3).min(8);
    if shown < 4 {
        return "…".to_owned();
    }
    let head: String = chars[..shown.div_ceil(2)].iter().collect();
    let tail: String = chars[chars.len() - shown / 2..].iter().collect();
    format!("{head}…{tail}")
}

fn placeholder(value: &[u8]) -> bool {
    let lower = String::from_utf8_lossy(value).to_ascii_lowercase();
    PLACEHOLDERS.iter().any(|piece| lower.contains(piece))
}

/// GitHub and npm tokens end in the CRC-32 of their random part, six base-62 digits.
fn crc_holds(token: &[u8]) -> bool {
    let Some(underscore) = token.iter().position(|byte| *byte == b'_') else { return false };
    let body = &token[underscore + 1..];
    let Some(split) = body.len().checked_sub(6) else { return false };
    let mut crc = flate2::Crc::new();
    crc.update(&body[..split]);
    base62(crc.sum()) == body[split..]
}

pub(super) fn base62(mut number: u32) -> [u8; 6] {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut text = [b'0'; 6];
    for digit in text.iter_mut().rev() {
        *digit = DIGITS[(number % 62) as usize];
        number /= 62;
    }
    text
}

fn jwt(token: &[u8]) -> bool {
    let header = token.split(|byte| *byte == b'.').next().unwrap_or_default();
    let Ok(json) = URL_SAFE_NO_PAD.decode(header) else { return false };
    let header: Option<serde_json::Value> = serde_json::from_slice(&json).ok();
    header.is_some_and(|header| header["alg"].is_string())
}

fn basic(value: &[u8]) -> bool {
    let decoded = STANDARD.decode(value).or_else(|_| STANDARD_NO_PAD.decode(value));
    decoded.is_ok_and(|pair| {
        pair.is_ascii()
            && pair.iter().position(|byte| *byte == b':').is_some_and(|at| at + 1 < pair.len())
            && !placeholder(&pair)
    })
}

fn private_key(
    rule: &Rule,
    content: &[u8],
    span: Range<usize>,
) -> Option<(Severity, &'static str)> {
    let rest = &content[span.end..content.len().min(span.end + 16_384)];
    // A key inside JSON or a shell string writes its line ends as `\n`.
    let rest = String::from_utf8_lossy(rest).replace("\\n", "\n").replace("\\r", "");
    let body = rest.split("-----").next().unwrap_or_default();
    let is_base64 = |line: &&str| {
        line.len() >= 16 && line.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b))
    };
    let lines: Vec<&str> = body
        .lines()
        .map(|line| line.trim_matches(|c: char| c.is_whitespace() || "\"',+\\;".contains(c)))
        .filter(is_base64)
        .collect();
    let bytes = lines.concat();
    if bytes.len() < 56 || entropy(bytes.as_bytes()) < 3.5 || placeholder(body.as_bytes()) {
        return None;
    }
    let header = &content[span];
    let encrypted = header.windows(9).any(|w| w == b"ENCRYPTED")
        || body.contains("ENCRYPTED")
        || openssh_encrypted(&bytes);
    Some(match encrypted {
        true => (Severity::Low, " (protected by a passphrase)"),
        false => (rule.severity, ""),
    })
}

/// `openssh-key-v1` names its cipher right after the magic; `none` is an unprotected key.
fn openssh_encrypted(body: &str) -> bool {
    let start = body.get(..48).and_then(|start| STANDARD.decode(start).ok()).unwrap_or_default();
    start
        .strip_prefix(b"openssh-key-v1\0\0\0\0")
        .is_some_and(|rest| !rest[1..].starts_with(b"none"))
}

fn password(rule: &Rule, content: &[u8], span: Range<usize>) -> bool {
    let value = &content[span.clone()];
    let lower = String::from_utf8_lossy(value).to_ascii_lowercase();
    if WORDS.iter().any(|word| lower.starts_with(word) || lower.ends_with(word)) {
        return false;
    }
    if rule.scope != Scope::Config {
        return !documented_host(&content[span.end..]);
    }
    let has = |of: fn(&u8) -> bool| value.iter().any(of);
    // Identifiers, paths and dotted names are values of such keys far more often than passwords.
    let mixed = has(u8::is_ascii_digit) && has(u8::is_ascii_alphabetic);
    let path = value.starts_with(b"/") || value.starts_with(b"./") || value.contains(&b'(');
    let digest =
        lower.starts_with("sha256") || lower.starts_with("sha512") || lower.starts_with("md5");
    mixed && !path && !digest
}

/// Whether the address is one of those set aside for documentation (RFC 2606).
fn documented_host(after: &[u8]) -> bool {
    let host: Vec<u8> = (after.iter().skip(1))
        .take_while(|byte| byte.is_ascii_alphanumeric() || b".-".contains(byte))
        .take(255)
        .map(u8::to_ascii_lowercase)
        .collect();
    [&b"example.com"[..], b"example.org", b"example.net", b".example", b".invalid", b".test"]
        .iter()
        .any(|reserved| host.ends_with(reserved))
        || host == b"host"
        || host == b"hostname"
}
