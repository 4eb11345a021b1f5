//! Findings and packages as intervals over an image's judgements: only what moved is written.

use std::collections::{BTreeMap, HashMap};

use sqlx::{AnyConnection, AssertSqlSafe};

use super::Result;
use super::column::{encode, key, mark, pieces, placeholders, text};
use super::finish::Head;
use crate::model::finding::Finding;
use crate::model::inventory::Package;

/// Opens intervals of new findings, closes those of gone ones, and keeps the data of the others
/// up to date. Of several findings with one fingerprint the first stands for all.
pub(super) async fn findings(
    conn: &mut AnyConnection,
    head: &Head,
    findings: &[Finding],
) -> Result<()> {
    let mut tonight: BTreeMap<String, (String, String)> = BTreeMap::new();
    for finding in findings {
        let fingerprint = finding.fingerprint();
        let mark = mark([fingerprint.as_str()]);
        if let std::collections::btree_map::Entry::Vacant(e) = tonight.entry(mark) {
            e.insert((text(&fingerprint), encode("a finding", finding)?));
        }
    }
    let open: Vec<(String, String)> = sqlx::query_as(
        "SELECT mark, data FROM findings \
         WHERE pipeline = $1 AND image = $2 AND until_seq IS NULL",
    )
    .bind(&head.pipeline)
    .bind(&head.image)
    .fetch_all(&mut *conn)
    .await?;
    for (mark, before) in open {
        match tonight.remove(&mark) {
            None => close(conn, CLOSE_FINDING, head, &mark).await?,
            Some((_, data)) if data != before => update(conn, head, &mark, &data).await?,
            Some(_) => {}
        }
    }
    insert_findings(conn, head, &tonight.into_iter().collect::<Vec<_>>()).await
}

const CLOSE_FINDING: &str = "UPDATE findings SET until_seq = $1 \
     WHERE pipeline = $2 AND image = $3 AND mark = $4 AND until_seq IS NULL";
const CLOSE_COMPONENT: &str = "UPDATE components SET until_seq = $1 \
     WHERE pipeline = $2 AND image = $3 AND mark = $4 AND until_seq IS NULL";

async fn close(conn: &mut AnyConnection, sql: &'static str, head: &Head, mark: &str) -> Result<()> {
    sqlx::query(sql)
        .bind(head.seq)
        .bind(&head.pipeline)
        .bind(&head.image)
        .bind(mark)
        .execute(conn)
        .await?;
    Ok(())
}

async fn update(conn: &mut AnyConnection, head: &Head, mark: &str, data: &str) -> Result<()> {
    sqlx::query(
        "UPDATE findings SET data = $1 \
         WHERE pipeline = $2 AND image = $3 AND mark = $4 AND until_seq IS NULL",
    )
    .bind(data)
    .bind(&head.pipeline)
    .bind(&head.image)
    .bind(mark)
    .execute(conn)
    .await?;
    Ok(())
}

async fn insert_findings(
    conn: &mut AnyConnection,
    head: &Head,
    rows: &[(String, (String, String))],
) -> Result<()> {
    for piece in pieces(rows) {
        let sql = format!(
            "INSERT INTO findings (pipeline, image, mark, from_seq, fingerprint, data) VALUES {}",
            placeholders(piece.len(), 6)
        );
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for (mark, (fingerprint, data)) in piece {
            query = query.bind(&head.pipeline).bind(&head.image).bind(mark).bind(head.seq);
            query = query.bind(fingerprint).bind(data);
        }
        query.execute(&mut *conn).await?;
    }
    Ok(())
}

/// Opens intervals of packages that came and closes those of packages that went; another version
/// is another package.
pub(super) async fn components(
    conn: &mut AnyConnection,
    head: &Head,
    packages: &[Package],
) -> Result<()> {
    let mut tonight: HashMap<String, &Package> = HashMap::with_capacity(packages.len());
    for package in packages {
        let Package { ecosystem, name, version, purl, .. } = package;
        let source = package.source.as_ref().map_or(["", ""], |s| [&s.name, &s.version]);
        let parts = [ecosystem, name, version, purl].map(String::as_str);
        tonight.entry(mark(parts.into_iter().chain(source))).or_insert(package);
    }
    let open: Vec<String> = sqlx::query_scalar(
        "SELECT mark FROM components \
         WHERE pipeline = $1 AND image = $2 AND until_seq IS NULL",
    )
    .bind(&head.pipeline)
    .bind(&head.image)
    .fetch_all(&mut *conn)
    .await?;
    for mark in open {
        if tonight.remove(&mark).is_none() {
            close(conn, CLOSE_COMPONENT, head, &mark).await?;
        }
    }
    insert_components(conn, head, &tonight.into_iter().collect::<Vec<_>>()).await
}

async fn insert_components(
    conn: &mut AnyConnection,
    head: &Head,
    rows: &[(String, &Package)],
) -> Result<()> {
    for piece in pieces(rows) {
        let sql = format!(
            "INSERT INTO components (pipeline, image, mark, from_seq, name, version, ecosystem, \
             purl, purl_name, source, source_version) VALUES {}",
            placeholders(piece.len(), 11)
        );
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for (mark, package) in piece {
            let source = package.source.as_ref();
            query = query.bind(&head.pipeline).bind(&head.image).bind(mark).bind(head.seq);
            query = query.bind(key(&package.name)).bind(text(&package.version));
            query = query.bind(text(&package.ecosystem)).bind(text(&package.purl));
            query = query.bind(key(purl_name(&package.purl)));
            query = query.bind(key(source.map_or("", |source| &source.name)));
            query = query.bind(text(source.map_or("", |source| &source.version)));
        }
        query.execute(&mut *conn).await?;
    }
    Ok(())
}

/// A package URL without version, qualifiers and subpath.
pub(super) fn purl_name(purl: &str) -> &str {
    purl_parts(purl).0
}

/// A package URL cut into the part that names the package, and the version as written.
pub(super) fn purl_parts(purl: &str) -> (&str, Option<&str>) {
    let bare = purl.split(['?', '#']).next().unwrap_or(purl);
    let last = bare.rfind('/').unwrap_or(0);
    match bare[last..].find('@') {
        // An `@` right after the slash begins a scope that was written without escape.
        Some(at) if at > 1 => (&bare[..last + at], Some(&bare[last + at + 1..])),
        _ => (bare, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn package_urls_are_cut_at_the_version() {
        let cut = |purl| purl_parts(purl);
        assert_eq!(cut("pkg:pypi/django@4.2.1"), ("pkg:pypi/django", Some("4.2.1")));
        assert_eq!(
            cut("pkg:deb/debian/openssl@3.0.11-1~deb12u2?arch=amd64&distro=debian-12"),
            ("pkg:deb/debian/openssl", Some("3.0.11-1~deb12u2"))
        );
        assert_eq!(cut("pkg:npm/%40babel/core@7.0.0"), ("pkg:npm/%40babel/core", Some("7.0.0")));
        assert_eq!(cut("pkg:npm/@babel/core"), ("pkg:npm/@babel/core", None));
        assert_eq!(cut("pkg:golang/stdlib"), ("pkg:golang/stdlib", None));
    }
}
