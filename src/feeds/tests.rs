//! The import and the index on samples of the real databases.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use zip::write::SimpleFileOptions;

use super::{Error, ImportSummary, Index, import};
use crate::model::advisory::{Advisories, RangeEvent};
use crate::model::finding::Severity;

fn samples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/feeds")
}

fn now() -> DateTime<Utc> {
    "2026-11-22T03:00:00Z".parse().unwrap()
}

fn bring(paths: &[&Path], into: &Path) -> Result<ImportSummary, Error> {
    let paths: Vec<PathBuf> = paths.iter().map(|path| path.to_path_buf()).collect();
    import(&paths, into, now(), &|_| {})
}

fn open(folder: &Path) -> Index {
    Index::open(folder).unwrap().unwrap()
}

fn names(index: &Index) -> Vec<String> {
    index.state().sources.into_iter().map(|feed| feed.name).collect()
}

fn zip(path: &Path, entries: &[(&str, &str)]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut zip = zip::ZipWriter::new(File::create(path).unwrap());
    for (name, text) in entries {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    zip.finish().unwrap();
}

/// A record for each (ecosystem, package), all fixed in `fixed`.
fn record(id: &str, packages: &[(&str, &str)], fixed: &str) -> Value {
    let affected = |(ecosystem, name): &(&str, &str)| {
        json!({"package": {"ecosystem": ecosystem, "name": name},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": fixed}]}]})
    };
    let affected: Vec<Value> = packages.iter().map(affected).collect();
    json!({"id": id, "modified": "2026-11-20T00:00:00Z", "affected": affected})
}

fn save(folder: &Path, records: &[Value]) {
    fs::create_dir_all(folder).unwrap();
    for record in records {
        let name = format!("{}.json", record["id"].as_str().unwrap().replace(':', "-"));
        fs::write(folder.join(name), record.to_string()).unwrap();
    }
}

fn ids(index: &Index, ecosystem: &str, name: &str) -> Vec<String> {
    let mut ids: Vec<String> = index.of(ecosystem, name).into_iter().map(|a| a.id).collect();
    ids.sort();
    ids
}

#[test]
fn real_records_are_found_again_by_ecosystem_and_name() {
    let folder = tempfile::tempdir().unwrap();
    let summary = bring(&[&samples()], folder.path()).unwrap();
    assert_eq!((summary.damaged, summary.withdrawn), (0, 2), "{summary:?}");
    let skipped: Vec<_> =
        summary.skipped.iter().map(|s| s.path.rsplit('/').next().unwrap()).collect();
    assert_eq!(skipped, ["README.md"]);
    let index = open(folder.path());
    let sources = [
        "EPSS",
        "KEV",
        "OSV AlmaLinux",
        "OSV Bitnami",
        "OSV Debian",
        "OSV Go",
        "OSV PyPI",
        "OSV crates.io",
    ];
    assert_eq!(names(&index), sources);

    let apt = &index.of("Debian:12", "apt")[0];
    assert_eq!((apt.id.as_str(), apt.severity), ("DEBIAN-CVE-2026-109518", None));
    assert_eq!(apt.aliases, ["CVE-2026-109518"]);
    let events = [RangeEvent::Introduced("0".into()), RangeEvent::Fixed("2.6.2".into())];
    assert_eq!(apt.ranges[0].events, events);

    // PEP 503 on both sides; GIT ranges fall away, listed versions stay.
    assert_eq!(ids(&index, "PyPI", "Jinja2"), ["PYSEC-2019-217", "PYSEC-2019-220"]);
    let jinja = index.of("PyPI", "jinja2");
    assert!(
        jinja.iter().all(|advisory| advisory.ranges.len() == 1 && advisory.versions.len() > 20)
    );
    assert!(ids(&index, "PyPI", "pynetbox").is_empty(), "withdrawn");
    assert!(ids(&index, "Go", "github.com/gorilla/sessions").is_empty(), "withdrawn");
    assert_eq!(ids(&index, "Go", "stdlib"), ["GO-2021-0067"]);

    let rust = &index.of("crates.io", "futures-task")[0];
    assert_eq!((rust.cvss, rust.severity), (Some(5.5), Some(Severity::Medium)));
    // One id under two releases: each keeps its own range.
    for (release, fixed) in [("8", "1:1.8.0.402.b06-2.el8"), ("9", "1:1.8.0.402.b06-2.el9")] {
        let found = index.of(&format!("AlmaLinux:{release}"), "java-1.8.0-openjdk");
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].ranges[0].events[1], RangeEvent::Fixed(fixed.into()));
        assert_eq!(found[0].severity, Some(Severity::High), "from the summary's prefix");
        assert!(found[0].aliases.is_empty(), "related ids are no aliases");
    }
}

#[test]
fn coverage_is_by_release() {
    let folder = tempfile::tempdir().unwrap();
    bring(&[&samples()], folder.path()).unwrap();
    let index = open(folder.path());
    for (ecosystem, covered) in [
        ("Debian:12", true),
        ("Debian:9", false),
        ("PyPI", true),
        ("npm", false),
        ("", false),
        ("Alpine:v3.19", false),
    ] {
        assert_eq!(index.covers(ecosystem), covered, "{ecosystem:?}");
    }
}

#[test]
fn cves_are_enriched_from_all_sources() {
    let folder = tempfile::tempdir().unwrap();
    bring(&[&samples()], folder.path()).unwrap();
    let index = open(folder.path());
    let log4j = index.enrich("CVE-2021-44228");
    assert_eq!((log4j.kev, log4j.epss), (true, Some(0.94358)));
    // Lent by the record's alias.
    let lent = index.enrich("CVE-2020-35907");
    assert_eq!((lent.severity, lent.cvss), (Some(Severity::Medium), Some(5.5)));
    let bitnami = index.enrich("CVE-2020-26217");
    assert_eq!((bitnami.severity, bitnami.cvss), (Some(Severity::High), Some(8.8)));
    assert_eq!(index.enrich("CVE-1999-0001"), Default::default());
}

#[test]
fn dates_are_the_datas_own() {
    let folder = tempfile::tempdir().unwrap();
    bring(&[&samples()], folder.path()).unwrap();
    let state = open(folder.path()).state();
    let date = |name: &str| {
        let feed = state.sources.iter().find(|feed| feed.name == name).unwrap();
        feed.as_of.unwrap().format("%F").to_string()
    };
    assert_eq!(date("EPSS"), "2026-11-20");
    assert_eq!(date("KEV"), "2025-08-25");
    assert_eq!(date("OSV Debian"), "2026-11-02");
    assert_eq!(
        date("OSV Go"),
        "2024-04-17",
        "`modified` is year 1 there, the newest date is `withdrawn`"
    );
    assert!(state.index.starts_with("sha256:") && state.imported == Some(now()));
}

#[test]
fn a_second_import_replaces_its_own_sources_and_keeps_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let data = tempfile::tempdir().unwrap();
    let pypi = data.path().join("PyPI/all.zip");
    zip(&pypi, &[("A-1.json", &record("A-1", &[("PyPI", "left")], "2").to_string())]);
    bring(&[&samples().join("kev.json"), &pypi], folder.path()).unwrap();
    let before = open(folder.path());
    zip(&pypi, &[("A-2.json", &record("A-2", &[("PyPI", "right")], "2").to_string())]);
    let summary = bring(&[&pypi], folder.path()).unwrap();
    assert_eq!(summary.kept.iter().map(|feed| feed.name.as_str()).collect::<Vec<_>>(), ["KEV"]);
    let after = open(folder.path());
    assert_eq!(names(&after), ["KEV", "OSV PyPI"]);
    assert!(ids(&after, "PyPI", "left").is_empty());
    assert_eq!(ids(&after, "PyPI", "right"), ["A-2"]);
    assert!(after.enrich("CVE-2021-44228").kev);
    assert_ne!(before.state().index, after.state().index);
    // What was open goes on reading what it opened.
    assert_eq!(ids(&before, "PyPI", "left"), ["A-1"]);
}

#[test]
fn the_same_data_has_the_same_digest() {
    let folder = tempfile::tempdir().unwrap();
    bring(&[&samples()], folder.path()).unwrap();
    let first = open(folder.path()).state().index;
    bring(&[&samples()], folder.path()).unwrap();
    assert_eq!(open(folder.path()).state().index, first);
}

#[test]
fn a_dumps_chance_records_of_another_ecosystem_are_not_its_data() {
    let folder = tempfile::tempdir().unwrap();
    let data = tempfile::tempdir().unwrap();
    let records =
        [record("A-1", &[("PyPI", "a"), ("npm", "a")], "2"), record("A-2", &[("PyPI", "b")], "2")];
    save(&data.path().join("PyPI"), &records);
    let summary = bring(&[data.path()], folder.path()).unwrap();
    let index = open(folder.path());
    assert!(!index.covers("npm"), "one record is no coverage");
    assert!(index.covers("PyPI"));
    assert!(summary.notes.iter().any(|note| note.starts_with("npm:")), "{:?}", summary.notes);
    // A folder of mixed records is all of their data.
    save(&data.path().join("PyPI"), &[record("A-3", &[("npm", "c")], "2")]);
    bring(&[data.path()], folder.path()).unwrap();
    assert!(open(folder.path()).covers("npm"));
}

#[test]
fn one_id_in_two_files_is_merged_by_release_and_the_newest_wins() {
    let folder = tempfile::tempdir().unwrap();
    let data = tempfile::tempdir().unwrap();
    save(&data.path().join("8"), &[record("ALSA-1", &[("AlmaLinux:8", "vim")], "1-1.el8")]);
    let mut newer = record("ALSA-1", &[("AlmaLinux:9", "vim")], "1-1.el9");
    newer["modified"] = json!("2026-11-21T00:00:00Z");
    save(&data.path().join("9"), &[newer]);
    let mut newest = record("ALSA-1", &[("AlmaLinux:9", "vim")], "1-2.el9");
    newest["modified"] = json!("2026-11-21T10:00:00Z");
    save(&data.path().join("9-again"), &[newest]);
    bring(&[data.path()], folder.path()).unwrap();
    let index = open(folder.path());
    for (release, fixed) in [("AlmaLinux:8", "1-1.el8"), ("AlmaLinux:9", "1-2.el9")] {
        let found = index.of(release, "vim");
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].ranges[0].events[1], RangeEvent::Fixed(fixed.into()));
    }
    assert_eq!(index.state().sources[0].records, 1);
}

#[test]
fn ubuntu_tiers_and_records_without_a_release_match() {
    let folder = tempfile::tempdir().unwrap();
    let data = tempfile::tempdir().unwrap();
    let mut ubuntu = record("UBUNTU-CVE-1", &[("Ubuntu:22.04:LTS", "vim"), ("Debian", "vim")], "2");
    ubuntu["severity"] = json!([{"type": "Ubuntu", "score": "low"}]);
    save(data.path(), &[ubuntu]);
    bring(&[data.path()], folder.path()).unwrap();
    let index = open(folder.path());
    for ecosystem in ["Ubuntu:22.04", "Ubuntu:22.04:LTS", "Ubuntu:Pro:22.04:LTS"] {
        assert_eq!(index.of(ecosystem, "vim").len(), 1, "{ecosystem}");
        assert!(index.covers(ecosystem));
    }
    assert_eq!(index.of("Ubuntu:22.04", "vim")[0].severity, Some(Severity::Low));
    assert!(!index.covers("Ubuntu:24.04"));
    assert_eq!(index.of("Debian:13", "vim").len(), 1);
}

#[test]
fn severities_are_read_from_wherever_the_databases_write_them() {
    let folder = tempfile::tempdir().unwrap();
    let data = tempfile::tempdir().unwrap();
    let mut github = record("GHSA-1", &[("npm", "github")], "2");
    github["database_specific"] = json!({"severity": "MODERATE"});
    let mut debian = record("DEBIAN-CVE-1", &[("npm", "debian")], "2");
    debian["affected"][0]["ecosystem_specific"] = json!({"urgency": "unimportant"});
    let mut inside = record("BIT-1", &[("npm", "inside")], "2");
    inside["affected"][0]["severity"] =
        json!([{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}]);
    save(data.path(), &[github, debian, inside, record("X-1", &[("npm", "none")], "2")]);
    bring(&[data.path()], folder.path()).unwrap();
    let index = open(folder.path());
    for (name, severity, cvss) in [
        ("github", Some(Severity::Medium), None),
        ("debian", Some(Severity::Negligible), None),
        ("inside", Some(Severity::Critical), Some(9.8)),
        ("none", None, None),
    ] {
        let found = &index.of("npm", name)[0];
        assert_eq!((found.severity, found.cvss), (severity, cvss), "{name}");
    }
}

#[test]
fn a_bulletin_lends_its_severity_to_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let data = tempfile::tempdir().unwrap();
    let rated = |id: &str, aliases: Value| {
        let mut record = record(id, &[("npm", "a")], "2");
        record["upstream"] = aliases;
        record["database_specific"] = json!({"severity": "CRITICAL"});
        record
    };
    save(data.path(), &[rated("B-1", json!(["CVE-1", "CVE-2"])), rated("B-2", json!(["CVE-3"]))]);
    bring(&[data.path()], folder.path()).unwrap();
    let index = open(folder.path());
    assert_eq!(index.enrich("CVE-1").severity, None);
    assert_eq!(index.enrich("CVE-3").severity, Some(Severity::Critical));
}

#[test]
fn damaged_records_are_named_and_the_rest_is_imported() {
    let folder = tempfile::tempdir().unwrap();
    let data = tempfile::tempdir().unwrap();
    let nested = format!("{{\"id\":{}", "[".repeat(100_000));
    let path = data.path().join("PyPI/all.zip");
    let good = record("A-1", &[("PyPI", "a")], "2").to_string();
    let nul = record("A-3", &[("PyPI", "a\0b")], "2").to_string();
    let entries = [
        ("A-1.json", good.as_str()),
        ("A-2.json", "{\"id\": \"A-2\", \"modi"),
        ("A-3.json", &nul),
        ("deep.json", &nested),
        ("types.json", "{\"id\": \"T\", \"affected\": 7}"),
        ("notes.txt", "hello"),
        ("package.json", "{\"name\": \"left-pad\"}"),
    ];
    zip(&path, &entries);
    let summary = bring(&[data.path()], folder.path()).unwrap();
    assert_eq!((summary.records, summary.damaged), (1, 4), "{summary:?}");
    let named: Vec<_> =
        summary.damaged_first.iter().map(|r| r.path.rsplit(':').next().unwrap()).collect();
    assert_eq!(named, ["A-2.json", "A-3.json", "deep.json", "types.json"]);
    assert_eq!(summary.skipped.len(), 2);
    assert_eq!(ids(&open(folder.path()), "PyPI", "a"), ["A-1"]);
}

#[test]
fn nothing_recognised_is_an_error_that_names_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let data = tempfile::tempdir().unwrap();
    fs::write(data.path().join("photo.png"), "png").unwrap();
    let error = bring(&[data.path()], folder.path()).unwrap_err().to_string();
    assert!(error.contains("nothing to import") && error.contains("photo.png"), "{error}");
    assert!(Index::open(folder.path()).unwrap().is_none());
    let missing = bring(&[&data.path().join("gone")], folder.path()).unwrap_err().to_string();
    assert!(missing.contains("gone"), "{missing}");
}

#[test]
fn a_damaged_zip_swaps_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let data = tempfile::tempdir().unwrap();
    bring(&[&samples()], folder.path()).unwrap();
    let before = open(folder.path()).state();
    let path = data.path().join("npm/all.zip");
    let text = record("A-1", &[("npm", "a")], "2").to_string();
    zip(&path, &[("A-1.json", &text), ("A-2.json", &text)]);
    let whole = fs::read(&path).unwrap();
    let mut flipped = whole.clone();
    flipped[60] ^= 0xff;
    for bytes in [&whole[..whole.len() / 2], &flipped, &b"PK\x03\x04rubbish"[..]] {
        fs::write(&path, bytes).unwrap();
        let error = bring(&[data.path(), &samples()], folder.path()).unwrap_err();
        assert!(matches!(&error, Error::Archive { path: named, .. } if *named == path), "{error}");
        assert_eq!(open(folder.path()).state(), before);
    }
}

#[test]
fn a_truncated_or_changed_index_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    bring(&[&samples()], folder.path()).unwrap();
    let find = |entry: std::io::Result<fs::DirEntry>| {
        Some(entry.unwrap().path()).filter(|path| path.to_string_lossy().contains("osv-pypi"))
    };
    let segment = fs::read_dir(folder.path()).unwrap().find_map(find).unwrap();
    let whole = fs::read(&segment).unwrap();
    for at in [0, 20, whole.len() / 2, whole.len() - 1] {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        fs::write(&segment, changed).unwrap();
        let error = Index::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains("import the feeds again"), "byte {at}: {error}");
    }
    fs::write(&segment, &whole[..whole.len() - 100]).unwrap();
    assert!(matches!(Index::open(folder.path()), Err(Error::Damaged { .. })));
    fs::write(folder.path().join("current.json"), "{").unwrap();
    assert!(matches!(Index::open(folder.path()), Err(Error::Damaged { .. })));
    // Importing again mends it.
    let summary = bring(&[&samples()], folder.path()).unwrap();
    assert!(summary.notes.iter().any(|note| note.contains("damaged")), "{:?}", summary.notes);
    assert_eq!(ids(&open(folder.path()), "PyPI", "jinja2").len(), 2);
}

#[test]
fn leftovers_of_a_killed_import_are_swept_and_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    bring(&[&samples()], folder.path()).unwrap();
    let before = open(folder.path()).state();
    for name in ["segment.tmp", "current.json.tmp", "osv-npm-0123456789abcdef.seg"] {
        fs::write(folder.path().join(name), "half").unwrap();
    }
    assert_eq!(open(folder.path()).state(), before);
    bring(&[&samples().join("kev.json")], folder.path()).unwrap();
    let left = fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, before.sources.len() + 2, "the segments, their table and the lock");
}

#[test]
fn two_imports_do_not_mix() {
    let folder = tempfile::tempdir().unwrap();
    let lock = File::create(folder.path().join("lock")).unwrap();
    fs4::FileExt::try_lock(&lock).unwrap();
    let error = bring(&[&samples()], folder.path()).unwrap_err();
    assert!(matches!(error, Error::Busy { .. }), "{error}");
    drop(lock);
    bring(&[&samples()], folder.path()).unwrap();
}

#[test]
fn packed_scores_and_nested_folders_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let data = tempfile::tempdir().unwrap();
    let file = File::create(data.path().join("scores")).unwrap();
    let mut gzip = flate2::write::GzEncoder::new(file, flate2::Compression::default());
    gzip.write_all(&fs::read(samples().join("epss.csv")).unwrap()).unwrap();
    gzip.finish().unwrap();
    save(&data.path().join("a/b/c"), &[record("A-1", &[("PyPI", "a")], "2")]);
    bring(&[data.path()], folder.path()).unwrap();
    let index = open(folder.path());
    assert_eq!(index.enrich("CVE-2019-10906").epss, Some(0.01502));
    assert_eq!(ids(&index, "PyPI", "a"), ["A-1"]);
}

#[test]
fn what_is_no_file_is_named_and_never_opened() {
    let folder = tempfile::tempdir().unwrap();
    let data = tempfile::tempdir().unwrap();
    save(data.path(), &[record("A-1", &[("PyPI", "a")], "2")]);
    std::os::unix::fs::symlink(data.path(), data.path().join("loop")).unwrap();
    std::os::unix::fs::symlink("gone", data.path().join("dangling")).unwrap();
    let pipe = data.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let summary = bring(&[data.path(), &pipe], folder.path()).unwrap();
    assert_eq!((summary.records, summary.skipped.len()), (1, 4), "{summary:?}");
}
