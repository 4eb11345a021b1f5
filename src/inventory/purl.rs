//! Package URLs (ECMA-427), written with the percent-encoding that the specification asks for.

use std::fmt::Write;

/// `pkg:KIND/NAMESPACE/NAME@VERSION?QUALIFIERS`; `namespace` may hold several segments or none,
/// empty qualifiers are left out, and the given ones must be sorted by key.
pub(super) fn of(
    kind: &str,
    namespace: &str,
    name: &str,
    version: &str,
    qualifiers: &[(&str, &str)],
) -> String {
    let mut purl = format!("pkg:{kind}/");
    for segment in namespace.split('/').filter(|segment| !segment.is_empty()) {
        encode(segment, &mut purl);
        purl.push('/');
    }
    encode(name, &mut purl);
    if !version.is_empty() {
        purl.push('@');
        encode(version, &mut purl);
    }
    let mut mark = '?';
    for (key, value) in qualifiers.iter().filter(|(_, value)| !value.is_empty()) {
        purl.push(mark);
        purl.push_str(key);
        purl.push('=');
        encode(value, &mut purl);
        mark = '&';
    }
    purl
}

fn encode(text: &str, purl: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'~') {
            purl.push(byte.into());
        } else {
            // Writing to a string cannot fail.
            let _ = write!(purl, "%{byte:02X}");
        }
    }
}
