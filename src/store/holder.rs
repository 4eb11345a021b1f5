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
}

impl Store {
    /// The images that have `package`: a name, a source package's name, or a package URL with or
    /// without version. Without `night`: as they stand now, images still in their repository only;
    /// with it: as they stood after that night. Sorted by image, package and version.
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
            Some(night) => self.holders_after(&wanted.key, night).await?,
            None => self.holders_now(&wanted.key).await?,
        };
        let mut holders: Vec<Holder> =
            rows.into_iter().filter(|row| wanted.matches(row)).map(HolderRow::holder).collect();
        holders.sort();
        holders.dedup();
        Ok(holders)
    }

    async fn holders_now(&self, package: &str) -> Result<Vec<HolderRow>> {
        Ok(sqlx::query_as(
            "SELECT c.image, j.digest, j.night, c.name, c.version, c.purl, c.purl_name, \
             c.source, c.source_version FROM components c \
             JOIN images i ON i.pipeline = c.pipeline AND i.image = c.image AND i.present = 1 \
             JOIN judgements j ON j.pipeline = c.pipeline AND j.image = c.image AND j.seq = i.seq \
             WHERE c.until_seq IS NULL AND (c.name = $1 OR c.source = $1 OR c.purl_name = $1)",
        )
        .bind(package)
        .fetch_all(&self.pool)
        .await?)
    }

    async fn holders_after(&self, package: &str, night: &str) -> Result<Vec<HolderRow>> {
        let night = self.known_night(night).await?;
        Ok(sqlx::query_as(
            "SELECT c.image, j.digest, j.night, c.name, c.version, c.purl, c.purl_name, \
             c.source, c.source_version FROM components c \
             JOIN night_images i ON i.night = $2 AND i.image = c.image \
             JOIN judgements j ON j.pipeline = c.pipeline AND j.image = c.image AND j.seq = i.seq \
             WHERE c.pipeline = $3 AND c.from_seq <= i.seq \
             AND (c.until_seq IS NULL OR c.until_seq > i.seq) \
             AND (c.name = $1 OR c.source = $1 OR c.purl_name = $1)",
        )
        .bind(package)
        .bind(night.id)
        .bind(night.pipeline)
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
    /// The version, escapes of a package URL resolved.
    version: Option<String>,
    /// A whole package URL with qualifiers, to be met exactly.
    exact: Option<String>,
}

impl Wanted {
    fn new(package: &str, version: Option<&str>) -> Self {
        let version = version.map(text);
        if !package.starts_with("pkg:") {
            return Self { key: key(package), version, exact: None };
        }
        let (name, of_purl) = purl_parts(package);
        let exact = package.contains(['?', '#']).then(|| text(package));
        let version = version.or_else(|| of_purl.map(unescaped));
        Self { key: key(name), version, exact }
    }

    fn matches(&self, row: &HolderRow) -> bool {
        if let Some(exact) = &self.exact {
            return *exact == row.purl;
        }
        let Some(version) = &self.version else { return true };
        let named = row.name == self.key || row.purl_name == self.key;
        (named && row.version == *version)
            || (row.source == self.key && row.source_version == *version)
    }
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
