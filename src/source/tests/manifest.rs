//! Every rule of the manifest, by changing one thing in a good one.

use regex::Regex;

use super::MANIFEST;
use crate::model::manifest::{Algorithm, ResourceKind};
use crate::model::pipeline::Schema;
use crate::source::manifest::{Reading, Settings, read};

fn with(text: &str, schema: Schema) -> Reading {
    read("m", text.as_bytes(), Settings { schema, allowed_labels: None })
}

/// The violations after `from` became `to`.
fn after(from: &str, to: &str) -> Vec<String> {
    assert!(MANIFEST.contains(from), "{from}");
    super::brief(&with(&MANIFEST.replacen(from, to, 1), Schema::Auto).violations)
}

#[test]
fn a_good_one_is_read_whole() {
    for schema in [Schema::Auto, Schema::Relaxed] {
        assert_eq!(super::brief(&with(MANIFEST, schema).violations), [""; 0]);
    }
    let manifest = with(MANIFEST, Schema::Auto).manifest;
    assert_eq!(manifest.name, "opensource/app");
    assert_eq!(manifest.tags, ["1.0", "latest"]);
    assert_eq!(manifest.base(), Some(("debian/base", "12")));
    assert_eq!(manifest.labels.len(), 5);
    let resource = &manifest.resources[0];
    assert_eq!(resource.kind, ResourceKind::File("app.tar.gz".into()));
    assert_eq!(resource.checksum.as_ref().map(|c| c.algorithm), Some(Algorithm::Sha256));
    assert_eq!(resource.line, 16);
    assert_eq!(manifest.maintainers[0].email.as_deref(), Some("ann@example.org"));
}

#[test]
fn one_rule_each() {
    let digits = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    for (from, to, expected) in [
        ("apiVersion: v1", "apiVersion: v2", "!manifest.api-version m:1"),
        ("apiVersion: v1\n", "", "!manifest.required m:1"),
        ("args:\n", "extra: 1\nargs:\n", "!manifest.unknown-key m:6"),
        ("opensource/app", "Opensource/App", "!manifest.name.grammar m:2"),
        ("opensource/app", "a//b", "!manifest.name.grammar m:2"),
        ("opensource/app", "\"\"", "!manifest.name.grammar m:2"),
        ("opensource/app", "example.org/app", "!manifest.name.domain m:2"),
        ("name: opensource/app", "name: 1", "!manifest.type m:2"),
        ("  - \"1.0\"\n", "", "!manifest.tags.latest-first m:4"),
        ("  - latest\n", "  - \"1.0\"\n", "!manifest.tags.unique m:5"),
        ("  - latest\n", "  - 1.1\n", "!manifest.type m:5"),
        ("  - latest\n", "  - .x\n", "!manifest.tags.grammar m:5"),
        ("tags:\n  - \"1.0\"\n  - latest\n", "tags: []\n", "!manifest.tags.count m:3"),
        ("  BASE_IMAGE: debian/base\n", "", "!manifest.args.base-image m:6"),
        ("  BASE_TAG: \"12\"\n", "", "!manifest.args.base-tag m:6"),
        (
            "  BASE_TAG: \"12\"\n",
            "  BASE_TAG: \"12\"\n  base_Registry: x\n",
            "!manifest.args.base-registry m:9",
        ),
        ("  BASE_TAG: \"12\"\n", "  BASE_TAG: \"12\"\n  _x: a\n", "!manifest.args.name m:9"),
        (
            "  BASE_TAG: \"12\"\n",
            "  BASE_TAG: \"12\"\n  X: \"a\\nb\"\n",
            "!manifest.args.value m:9",
        ),
        ("  BASE_TAG: \"12\"\n", "  BASE_TAG: \"12\"\n  X: true\n", "!manifest.type m:9"),
        ("debian/base", "\"\"", "manifest.args.half-base m:6"),
        ("labels:\n", "architecture: []\nlabels:\n", "!manifest.architecture.count m:9"),
        ("labels:\n", "architecture: [x86, x86]\nlabels:\n", "!manifest.architecture.unique m:9"),
        ("labels:\n", "architecture: [mips]\nlabels:\n", "!manifest.architecture.value m:9"),
        ("  org.opencontainers.image.title: App\n", "", "!manifest.labels.required m:9"),
        ("image.title: App\n", "image.title: App\n  x.y: z\n", "!manifest.labels.unknown m:11"),
        ("image.title: App", "image.title: Fixme now", "!manifest.fixme m:10"),
        ("image.title: App", "image.title: \" \"", "manifest.labels.empty m:10"),
        (
            "labels:\n",
            "labels:\n  mil.dso.ironbank.image.type: free\n",
            "!manifest.labels.type m:10",
        ),
        (
            "url: https://example.org/app.tar.gz",
            "url: file:///etc/shadow",
            "!manifest.resources.url m:16",
        ),
        (
            "url: https://example.org/app.tar.gz",
            "url: https://registry1.dso.mil/x",
            "!manifest.resources.own-registry m:16",
        ),
        (
            "url: https://example.org/app.tar.gz",
            "url: https://u:p@example.org/x",
            "!manifest.resources.secret m:16",
        ),
        ("filename: app.tar.gz", "filename: a/b", "!manifest.resources.filename m:17"),
        ("filename: app.tar.gz", "filename: ..", "!manifest.resources.filename m:17"),
        ("filename: app.tar.gz", "filename: Dockerfile", "!manifest.resources.filename m:17"),
        ("    filename: app.tar.gz\n", "", "!manifest.resources.filename m:16"),
        (
            "    filename: app.tar.gz\n",
            "    filename: app.tar.gz\n    x: 1\n",
            "!manifest.unknown-key m:18",
        ),
        ("type: sha256", "type: md5", "!manifest.resources.checksum m:19"),
        ("type: sha256", "type: sha512", "!manifest.resources.checksum m:19"),
        (digits, "\"00\"", "!manifest.resources.checksum m:19"),
        (
            "https://example.org/app.tar.gz\n",
            "https://example.org/app.tar.gz\n    auth: {id: x, type: s3}\n",
            "!manifest.resources.auth m:17",
        ),
        ("    username: ann\n", "", "manifest.maintainers.required m:22"),
        ("ann@example.org", "ann", "!manifest.email m:22"),
        ("ann@example.org", "\"a@b\\r\\nBcc: x@y\"", "!manifest.email m:22"),
        (
            "    username: ann\n",
            "    username: ann\n    cht_member: maybe\n",
            "!manifest.type m:24",
        ),
        ("name: Ann", "name: FIXME", "!manifest.fixme m:22"),
        (
            "  - name: Ann\n    username: ann\n    email: ann@example.org\n",
            "  []\n",
            "!manifest.maintainers.count m:22",
        ),
        (
            "maintainers:\n",
            "partner_advocates:\n  - name: X\nmaintainers:\n",
            "!manifest.partner-advocates.required m:22",
        ),
        ("tags:\n", "tags: x\nbogus:\n", "!manifest.type m:3"),
    ] {
        let found = after(from, to);
        assert!(found.iter().any(|v| v == expected), "{to:?}: {expected} not in {found:?}");
    }
}

#[test]
fn a_resource_without_checksum_is_only_shown() {
    let validation = MANIFEST.lines().skip_while(|line| !line.contains("validation")).take(3);
    let text = validation.map(|line| format!("{line}\n")).collect::<String>();
    assert_eq!(after(&text, ""), ["manifest.resources.validation m:16"]);
}

#[test]
fn shapes_of_resources() {
    let head = MANIFEST.split("resources:").next().unwrap();
    let tail = "maintainers:\n  - {name: A, username: a}\n";
    let sum = format!("validation: {{type: sha256, value: {}}}", "A".repeat(64));
    let digest = "a".repeat(64);
    let resources = format!(
        "resources:\n- {{url: 's3://bucket/key', filename: k, {sum}, auth: {{id: a, region: r, type: aws}}}}\n\
         - {{url: 'docker://docker.io/library/golang:1@sha256:{digest}', tag: 'golang:1'}}\n\
         - {{url: 'ghcr.io/o/p@sha256:{digest}', tag: 'o/p:2', auth: {{id: b, type: basic}}}}\n\
         - {{urls: ['https://a.example/f', 'https://b.example/f'], filename: f, {sum}}}\n"
    );
    let reading = with(&format!("{head}{resources}{tail}"), Schema::Auto);
    assert_eq!(super::brief(&reading.violations), [""; 0]);
    let resources = &reading.manifest.resources;
    assert_eq!(resources[0].auth.as_ref().and_then(|a| a.region.as_deref()), Some("r"));
    assert_eq!(resources[0].checksum.as_ref().unwrap().hex, digest);
    assert_eq!(resources[1].kind, ResourceKind::Image("golang:1".into()));
    assert_eq!(resources[2].name(), "o/p:2");
    assert_eq!(resources[3].urls.len(), 2);

    let bad = format!(
        "{head}resources:\n- {{url: 'docker://golang:1', tag: 'golang:1'}}\n- {{url: 'docker://golang:1'}}\n\
         - {{urls: [], filename: f}}\n- {{filename: f}}\n- {{url: 'https://a/f', filename: f, {sum}}}\n\
         - {{url: 'https://b/f', filename: f, {sum}}}\n- {{url: 'docker://registry1.dso.mil/ironbank/x:1@sha256:{digest}', tag: 'x:1'}}\n{tail}"
    );
    assert_eq!(
        super::brief(&with(&bad, Schema::Auto).violations),
        [
            "manifest.resources.validation m:16",
            "!manifest.resources.tag m:17",
            "!manifest.resources.shape m:18",
            "!manifest.resources.shape m:19",
            "!manifest.resources.unique m:21",
            "!manifest.resources.own-registry m:22",
        ]
    );
}

#[test]
fn both_schemas() {
    let only_mail = MANIFEST.replace("name: Ann\n    username: ann\n    ", "");
    let no_mail = MANIFEST.replace("    email: ann@example.org\n", "");
    let rules = |text: &str, schema| {
        let mut found = super::brief(&with(text, schema).violations);
        found.retain(|v| v.contains("maintainers"));
        found
    };
    assert_eq!(rules(&only_mail, Schema::Strict), ["!manifest.maintainers.required m:22"]);
    assert_eq!(rules(&only_mail, Schema::Auto), ["manifest.maintainers.required m:22"]);
    assert_eq!(rules(&only_mail, Schema::Relaxed), [""; 0]);
    assert_eq!(rules(&no_mail, Schema::Strict), [""; 0]);
    assert_eq!(rules(&no_mail, Schema::Auto), [""; 0]);
    assert_eq!(rules(&no_mail, Schema::Relaxed), ["!manifest.maintainers.required m:22"]);
    let strict = super::brief(&with(MANIFEST, Schema::Strict).violations);
    assert_eq!(strict, ["manifest.labels.recommended m:9"; 3]);
}

#[test]
fn labels_may_be_admitted_and_all_faults_are_told_at_once() {
    let allowed = Regex::new("^(?:com\\.example\\..*)$").unwrap();
    let text =
        MANIFEST.replace("labels:\n", "labels:\n  com.example.team: x\n  not.com.example.y: z\n");
    let text = text.replace("apiVersion: v1", "apiVersion: v3").replace("latest", "\"1.0\"");
    let settings = Settings { schema: Schema::Auto, allowed_labels: Some(&allowed) };
    let mut found = super::brief(&read("m", text.as_bytes(), settings).violations);
    found.sort();
    assert_eq!(
        found,
        ["!manifest.api-version m:1", "!manifest.labels.unknown m:11", "!manifest.tags.unique m:5"]
    );
}

#[test]
fn rubbish() {
    let rules = |bytes: &[u8]| {
        let settings = Settings { schema: Schema::Auto, allowed_labels: None };
        super::brief(&read("m", bytes, settings).violations)
    };
    assert_eq!(rules(b"a: b\nc: \xff\n"), ["!manifest.encoding m:2"]);
    assert_eq!(rules(b"a: [\n")[0].split(' ').next(), Some("!manifest.yaml.syntax"));
    assert_eq!(rules(b"- a\n"), ["!manifest.type m:1"]);
    assert_eq!(rules(b""), ["!manifest.type m:1"]);
    assert_eq!(rules(b"a: 1\na: 2\n")[0], "!manifest.yaml.syntax m:2");
    let crlf = format!("\u{feff}{}", MANIFEST.replace('\n', "\r\n"));
    assert_eq!(rules(crlf.as_bytes()), [""; 0]);
}

proptest::proptest! {
    #[test]
    fn nothing_panics(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200), at in 0..MANIFEST.len()) {
        let settings = Settings { schema: Schema::Auto, allowed_labels: None };
        let mut text = MANIFEST.as_bytes().to_vec();
        let end = (at + bytes.len()).min(text.len());
        text.splice(at..end, bytes);
        read("m", &text, settings);
    }
}
