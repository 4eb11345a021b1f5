//! Which images have a package, now or as of a past night.

use sqlx::FromRow;

use super::column::{key, text};
use super::interval::purl_parts;
use super::{Holder, Result, Store};

/// An image's package.
#[derive(FromRow)]
struct HolderRow {
    image: String,
    digest: String,
    night: String,
    name: String,
    version: String,
    purl: String,
    purl_name: String,
    source: String,
    source_version: String,
    ecosystem: String,
}

impl Store {
    /// The images that have `package`: a name, a source package's name, or a package URL with or
    /// without version. Without `night`: as they stand now, images still in their repository only;
    /// with it: as they stood after that night. Names of Python packages count in any spelling, all
    /// others exactly. Sorted by image, package and version.
    ///
    /// # Errors
    /// [`super::Error::UnknownNight`], [`super::Error::Ledger`].
    pub async fn who_has(
        &self,
        package: &str,
        version: Option<&str>,
        night: Option<&str>,
    ) -> Result<Vec<Holder>> {
        let wanted = Wanted::new(package, version);
        // Packages without a source have an empty one.
        if wanted.key.is_empty() {
            return Ok(Vec::new());
        }
        let rows = match night {
            Some(night) => self.holders_after(&wanted, night).await?,
            None => self.holders_now(&wanted).await?,
        };
        let mut holders: Vec<Holder> =
            rows.into_iter().filter(|row| wanted.matches(row)).map(HolderRow::holder).collect();
        holders.sort();
        holders.dedup();
        Ok(holders)
    }

    async fn holders_now(&self, wanted: &Wanted) -> Result<Vec<HolderRow>> {
        Ok(sqlx::query_as(
            "SELECT c.image, j.digest, j.night, c.name, c.version, c.purl, c.purl_name, \
             c.source, c.source_version, c.ecosystem FROM components c \
             JOIN images i ON i.pipeline = c.pipeline AND i.image = c.image AND i.present = 1 \
             JOIN judgements j ON j.pipeline = c.pipeline AND j.image = c.image AND j.seq = i.seq \
             WHERE c.until_seq IS NULL AND (c.name = $1 OR c.source = $1 OR c.purl_name = $1 \
             OR (c.name = $2 AND c.ecosystem = 'PyPI') \
             OR (c.purl_name = $2 AND c.ecosystem = 'PyPI'))",
        )
        .bind(&wanted.key)
        .bind(&wanted.python)
        .fetch_all(&self.pool)
        .await?)
    }

    async fn holders_after(&self, wanted: &Wanted, night: &str) -> Result<Vec<HolderRow>> {
        let night = self.known_night(night).await?;
        Ok(sqlx::query_as(
            "SELECT c.image, j.digest, j.night, c.name, c.version, c.purl, c.purl_name, \
             c.source, c.source_version, c.ecosystem FROM components c \
             JOIN night_images i ON i.night = $2 AND i.image = c.image \
             JOIN judgements j ON j.pipeline = c.pipeline AND j.image = c.image AND j.seq = i.seq \
             WHERE c.pipeline = $3 AND c.from_seq <= i.seq \
             AND (c.until_seq IS NULL OR c.until_seq > i.seq) \
             AND (c.name = $1 OR c.source = $1 OR c.purl_name = $1 \
             OR (c.name = $4 AND c.ecosystem = 'PyPI') \
             OR (c.purl_name = $4 AND c.ecosystem = 'PyPI'))",
        )
        .bind(&wanted.key)
        .bind(night.id)
        .bind(night.pipeline)
        .bind(&wanted.python)
        .fetch_all(&self.pool)
        .await?)
    }
}

impl HolderRow {
    fn holder(self) -> Holder {
        Holder {
            image: self.image,
            digest: self.digest,
            package: self.name,
            version: self.version,
            night: self.night,
        }
    }
}

/// What somebody asked for.
struct Wanted {
    /// The name to look up.
    key: String,
    /// The same as Python spells it.
    python: String,
    /// The version, escapes of a package URL resolved.
    version: Option<String>,
    /// A whole package URL with qualifiers, to be met exactly.
    exact: Option<String>,
}

impl Wanted {
    fn new(package: &str, version: Option<&str>) -> Self {
        let version = version.map(text);
        if !package.starts_with("pkg:") {
            return Self { key: key(package), python: key(&python(package)), version, exact: None };
        }
        let (name, of_purl) = purl_parts(package);
        let exact = package.contains(['?', '#']).then(|| text(package));
        let version = version.or_else(|| of_purl.map(unescaped));
        let kind = name.get(..PYTHON_URL.len()).filter(|it| it.eq_ignore_ascii_case(PYTHON_URL));
        let spelled = match kind {
            Some(kind) => key(&format!("{PYTHON_URL}{}", python(&name[kind.len()..]))),
            None => key(name),
        };
        Self { key: key(name), python: spelled, version, exact }
    }

    fn matches(&self, row: &HolderRow) -> bool {
        if let Some(exact) = &self.exact {
            return *exact == row.purl;
        }
        let Some(version) = &self.version else { return true };
        let has = |name: &String| row.name == *name || row.purl_name == *name;
        let named = has(&self.key) || (row.ecosystem == "PyPI" && has(&self.python));
        (named && row.version == *version)
            || (row.source == self.key && row.source_version == *version)
    }
}

const PYTHON_URL: &str = "pkg:pypi/";

/// The one spelling of a Python package's name (PEP 503).
fn python(name: &str) -> String {
    let mut folded = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            '-' | '_' | '.' if folded.ends_with('-') => {}
            '-' | '_' | '.' => folded.push('-'),
            c => folded.push(c.to_ascii_lowercase()),
        }
    }
    folded
}

/// Percent escapes of a package URL's version resolved.
fn unescaped(version: &str) -> String {
    let bytes = version.as_bytes();
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while at < bytes.len() {
        let escape = bytes.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        match escape.and_then(|digits| hex::decode(digits).ok()) {
            Some(byte) => {
                out.extend(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).replace('\0', "\u{fffd}")
}
