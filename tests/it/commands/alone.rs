//! Commands that need neither a daemon nor a night.

use std::io::Write;
use std::process::Stdio;

use serde_json::Value;

use super::super::world::{World, scenario, text};
use super::keys;

const COMMANDS: [&str; 13] = [
    "run",
    "rebuild",
    "plan",
    "serve",
    "lint",
    "inventory",
    "scan",
    "feeds",
    "report",
    "history",
    "diff",
    "who-has",
    "vercmp",
];

fn world() -> World {
    World::alone("unix:///nonexistent/docker.sock")
}

#[test]
fn every_command_explains_itself() {
    let world = world();
    let all = world.midwatch(&["--help"]).exits(0);
    for command in COMMANDS {
        assert!(all.stdout.contains(&format!("\n  {command} ")), "{command} is not listed");
        let help = world.midwatch(&[command, "--help"]).exits(0);
        assert!(help.stdout.contains("Usage: midwatch"), "{}", help.stdout);
        assert!(help.stderr.is_empty(), "{}", help.stderr);
    }
    for arguments in [["feeds", "import", "--help"], ["feeds", "status", "--help"]] {
        world.midwatch(&arguments).exits(0);
    }
    assert!(world.midwatch(&["--version"]).exits(0).stdout.starts_with("midwatch 0."));
}

#[test]
fn a_wrong_call_is_64() {
    let world = world();
    for arguments in [
        &["frobnicate"][..],
        &["run"],
        &["run", "p", "--frobnicate"],
        &["rebuild", "p"],
        &["scan", "x", "--format", "xml"],
        &["scan", "x", "--fail-on", "terrible"],
        &["run", "p", "--mail", "later"],
        &["feeds"],
        &[],
    ] {
        let done = world.midwatch(arguments).exits(64);
        assert!(done.stdout.is_empty() && !done.stderr.is_empty(), "{arguments:?}");
    }
    let close = world.midwatch(&["rebuidl", "p"]).exits(64);
    assert!(close.stderr.contains("rebuild"), "it names the nearest: {}", close.stderr);
}

#[test]
fn unknown_keys_are_refused_with_the_nearest_known_one() {
    let world = world();
    let refused = |words: &[&str]| {
        let done = world.midwatch(&["history", "p"]).exits(64);
        for word in words {
            assert!(done.stderr.contains(word), "no {word:?} in {}", done.stderr);
        }
    };
    world.pipeline("rebild = \"always\"\n");
    refused(&["p.toml", "rebild", "did you mean `rebuild`?"]);
    world.pipeline("[policy]\nmax-critcal = 0\n");
    refused(&["did you mean `max-critical`?"]);
    world.pipeline("rebuild = \"allways\"\n");
    refused(&["did you mean `always`?"]);
    world.pipeline("jobs = 0\n");
    refused(&["build.jobs"]);
    world.pipeline("network = \"lan\"\n");
    refused(&["build.network", "none"]);
    world.pipeline("[mail]\nat = \"7\"\n");
    refused(&["mail.at", "07:00"]);
    world.pipeline("[mail]\nto = [\"nobody\"]\n");
    refused(&["mail.to", "nobody"]);
    let pipeline = "name = \"p\"\nschedule = \"0 0 * *\"\n[source]\nurl = \"x\"\n";
    world.write("pipelines/p.toml", pipeline);
    refused(&["schedule", "five fields"]);
    world.pipeline("");
    world.write("midwatch.toml", "[mail]\nform = \"a@example.org\"\n");
    refused(&["midwatch.toml", "did you mean `from`?"]);
    world.write("midwatch.toml", "");
    let done = world.midwatch(&["history", "q"]).exits(64);
    assert!(done.stderr.contains("known here: p"), "{}", done.stderr);
}

#[test]
fn lint_tells_good_soft_and_hard_apart() {
    let world = world();
    let good = "ARG BASE_REGISTRY=localhost\nARG BASE_IMAGE=x/base\nARG BASE_TAG=1\n\
                FROM ${BASE_REGISTRY}/${BASE_IMAGE}:${BASE_TAG}\nUSER 1000\nHEALTHCHECK CMD true\n";
    world.image("app", "test/app", Some(("x/base", "1")), good);
    let repo = world.repo().display().to_string();
    let done = world.midwatch(&["lint", &repo]);
    assert!(matches!(done.code, 0 | 100), "{}", done.stdout);
    world.append(
        "repo/app/hardening_manifest.yaml",
        "resources:\n  - filename: f\n    url: https://example.org/f\n",
    );
    let soft = world.midwatch(&["lint", &repo, "--json"]).exits(100).json();
    assert_eq!(keys(&soft[0]), ["file", "line", "rule", "severity", "message", "help"]);
    assert!(soft.as_array().unwrap().iter().all(|it| it["severity"] == "soft"), "{soft:#}");
    assert!(soft.to_string().contains("manifest.resources.validation"));
    world.write("repo/app/Dockerfile", "FROM\n");
    let hard = world.midwatch(&["lint", &repo]).exits(2);
    assert!(hard.stdout.contains("app/Dockerfile:1: error: "), "{}", hard.stdout);
    let none = world.midwatch(&["lint", "/nonexistent"]).exits(1);
    assert!(none.stderr.contains("/nonexistent"), "{}", none.stderr);
}

#[test]
fn vercmp_answers_line_by_line() {
    let world = world();
    let ask = |ecosystem: &str, lines: &str| {
        let mut command = world.command(&["vercmp", ecosystem]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        (output.status.code().unwrap(), text(&output.stdout))
    };
    assert_eq!(ask("dpkg", "1.0~rc1 1.0\n1:0 9\n1.0-1 1.0-1\n"), (0, "<\n>\n=\n".into()));
    assert_eq!(ask("PyPI", "1.0.dev1 1.0a1\n1.0 1.0.0\n"), (0, "<\n=\n".into()));
    assert_eq!(ask("npm", "1.0.0-alpha 1.0.0\n"), (0, "<\n".into()));
    assert_eq!(ask("dpkg", "1.0\n\n1 2 3\n1 2\n"), (2, "?\n?\n?\n<\n".into()));
    assert_eq!(ask("COBOL", "1 2\n").0, 64);
}

#[test]
fn feeds_are_imported_and_their_age_told() {
    let mut world = world();
    let none = world.midwatch(&["feeds", "status", "--json"]).exits(2).json();
    assert_eq!(none["age"]["freshness"], "missing");
    let feeds = scenario("policy-holds").join("feeds");
    let done = world.midwatch(&["feeds", "import", feeds.to_str().unwrap()]).exits(0);
    assert!(done.stderr.contains("2 records read"), "{}", done.stderr);
    let fresh = world.midwatch(&["feeds", "status", "--json"]).exits(0).json();
    assert_eq!(keys(&fresh), ["age", "feeds"]);
    assert_eq!(fresh["age"]["freshness"], "fresh");
    assert_eq!(keys(&fresh["feeds"]), ["index", "imported", "sources"]);
    world.now = Some("2027-01-22T00:30:00Z".into());
    let stale = world.midwatch(&["feeds", "status"]).exits(2);
    assert!(stale.stdout.contains("STALE"), "{}", stale.stdout);
    world.midwatch(&["feeds", "status", "--max-age-days", "400"]).exits(0);
    world.midwatch(&["feeds", "import", "/nonexistent"]).exits(1);
}

#[test]
fn a_folder_is_scanned_and_judged_by_the_bar() {
    let world = world();
    let feeds = scenario("policy-holds");
    world.midwatch(&["feeds", "import", feeds.join("feeds").to_str().unwrap()]).exits(0);
    let metadata = std::fs::read_to_string(feeds.join("repo/vulnerable/METADATA")).unwrap();
    world.write("root/usr/lib/python3/dist-packages/demo-1.0.dist-info/METADATA", &metadata);
    world.write("root/etc/os-release", "ID=debian\nVERSION_ID=\"12\"\n");
    let root = world.path("root").display().to_string();
    let scan = world.midwatch(&["scan", &root, "--format", "json"]).exits(0).json();
    assert_eq!(keys(&scan), ["target", "digest", "feeds", "findings", "unassessed"]);
    let finding = vulnerability(&scan);
    let contract = [
        "id",
        "aliases",
        "kind",
        "severity",
        "cvss",
        "epss",
        "kev",
        "package",
        "fixed",
        "path",
        "layer",
        "status",
        "statement",
    ];
    assert_eq!(keys(finding)[..contract.len()], contract);
    assert_eq!(keys(&finding["package"]), ["name", "version", "ecosystem", "purl", "source"]);
    assert_eq!(finding["severity"], "critical");
    world.midwatch(&["scan", &root, "--fail-on", "critical"]).exits(2);

    let id = finding["id"].as_str().unwrap();
    let vex = format!(
        "{{\"@context\":\"https://openvex.dev/ns/v0.2.0\",\"@id\":\"https://example.org/1\",\
         \"author\":\"Test\",\"timestamp\":\"2026-11-01T00:00:00Z\",\"version\":1,\"statements\":[{{\
         \"vulnerability\":{{\"name\":\"{id}\"}},\"products\":[{{\"@id\":\"pkg:pypi/demo\"}}],\
         \"status\":\"not_affected\",\"justification\":\"vulnerable_code_not_present\"}}]}}"
    );
    world.write("demo.openvex.json", &vex);
    let vex = world.path("demo.openvex.json").display().to_string();
    let decided = ["scan", &root, "--vex", &vex, "--fail-on", "critical", "--format", "json"];
    let scan = world.midwatch(&decided).exits(0).json();
    assert_eq!(vulnerability(&scan)["status"], "not_affected", "{scan:#}");
    assert!(vulnerability(&scan)["statement"].is_string());
    world.write("bad.openvex.json", "{");
    let bad = world.path("bad.openvex.json").display().to_string();
    let done = world.midwatch(&["scan", &root, "--vex", &bad]).exits(1);
    assert!(done.stderr.contains("bad.openvex.json"), "{}", done.stderr);

    let sarif = world.midwatch(&["scan", &root, "--format", "sarif"]).exits(0).json();
    assert_eq!(sarif["version"], "2.1.0");
    let bom = world.midwatch(&["inventory", &root]).exits(0).json();
    assert_eq!(bom["bomFormat"], "CycloneDX");
    assert!(bom.to_string().contains("pkg:pypi/demo@1.0"));
    let plain = world.midwatch(&["inventory", &root, "--format", "json"]).exits(0).json();
    assert!(plain["packages"].as_array().unwrap().iter().any(|it| it["name"] == "demo"));
}

fn vulnerability(scan: &Value) -> &Value {
    let findings = scan["findings"].as_array().unwrap();
    findings.iter().find(|it| it["kind"] == "vulnerability").unwrap_or_else(|| panic!("{scan:#}"))
}
