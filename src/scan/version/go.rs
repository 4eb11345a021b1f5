//! Go's version order: SemVer for modules, and the toolchain's `go1.22rc1` as `1.22.0-rc.1`.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::semver;

/// `None` for `(devel)` and the like.
pub fn compare(a: &str, b: &str) -> Option<Ordering> {
    semver::compare(&canonical(a), &canonical(b))
}

/// The SemVer spelling of a toolchain's version; a module's version stays as it is.
fn canonical(text: &str) -> Cow<'_, str> {
    // `go1.22.1 X:boringcrypto`: experiments after a blank are no part of the version.
    let text = text.split(' ').next().unwrap_or_default();
    let bare = text.strip_prefix("go").unwrap_or(text);
    let end = bare.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(bare.len());
    let (release, rest) = bare.split_at(end);
    let word = ["rc", "beta", "alpha"].iter().find(|word| rest.starts_with(**word));
    match word {
        Some(word) if !release.is_empty() => {
            let dots = release.matches('.').count();
            let zeros = ".0".repeat(2usize.saturating_sub(dots));
            Cow::Owned(format!("{release}{zeros}-{word}.{}", &rest[word.len()..]))
        }
        _ => Cow::Borrowed(bare),
    }
}
