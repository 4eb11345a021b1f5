//! What is written down holds: keys, defaults, command lines, examples, links, JSON schemas.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use clap::{CommandFactory, Parser};
use midwatch::cli::Cli;
use midwatch::config::{Config, File};
use midwatch::model::pipeline::{BuildSpec, MailSpec, Pipeline, Policy};
use midwatch::model::size::Size;
use regex::Regex;
use serde_json::{Value, json};

use super::schema;
use super::world::World;

/// A struct of the configuration and the heading of its table in `configuration.md`.
const TABLES: &[(&str, &str, &str)] = &[
    ("src/config.rs", "File", "midwatch.toml"),
    ("src/config.rs", "Docker", "midwatch.toml [docker]"),
    ("src/config.rs", "Mail", "midwatch.toml [mail]"),
    ("src/config.rs", "Serve", "midwatch.toml [serve]"),
    ("src/model/pipeline.rs", "Pipeline", "pipeline"),
    ("src/model/pipeline.rs", "SourceSpec", "pipeline [source]"),
    ("src/model/pipeline.rs", "BuildSpec", "pipeline [build]"),
    ("src/model/pipeline.rs", "Policy", "pipeline [policy]"),
    ("src/model/pipeline.rs", "MailSpec", "pipeline [mail]"),
];

#[test]
fn every_key_is_documented_and_every_documented_key_exists() {
    let documented = documented();
    for (file, name, table) in TABLES {
        let real = fields(file, name);
        let written: BTreeSet<String> = documented
            .iter()
            .filter(|row| row.table == *table)
            .map(|row| row.key.clone())
            .collect();
        assert_eq!(real, written, "{name} of {file} against `{table}` of configuration.md");
    }
    let known: BTreeSet<&str> = TABLES.iter().map(|(.., table)| *table).collect();
    let strange: Vec<&Row> =
        documented.iter().filter(|row| !known.contains(row.table.as_str())).collect();
    assert!(strange.is_empty(), "{strange:?}");
}

#[test]
fn documented_defaults_are_the_real_ones() {
    let mut pipeline = json!(minimal());
    let mut file = json!(File::default());
    let defaults = [
        ("midwatch.toml [docker]", file["docker"].take()),
        ("midwatch.toml [mail]", file["mail"].take()),
        ("midwatch.toml [serve]", file["serve"].take()),
        ("midwatch.toml", file),
        ("pipeline [source]", pipeline["source"].take()),
        ("pipeline [build]", json!(BuildSpec::default())),
        ("pipeline [policy]", json!(Policy::default())),
        ("pipeline [mail]", json!(MailSpec::default())),
        ("pipeline", pipeline),
    ];
    for row in documented() {
        let (_, values) = defaults.iter().find(|(table, _)| *table == row.table).unwrap();
        let real = &values[&row.key];
        let written = row.default.strip_prefix('`').and_then(|it| it.strip_suffix('`'));
        let place = format!("`{}` of {}: {} against {real}", row.key, row.table, row.default);
        match written {
            None => assert!(
                ["–", "required"].contains(&row.default.as_str()) || real.is_object(),
                "{place}"
            ),
            Some(text) => assert!(same(text, real), "{place}"),
        }
        let unset = real.is_null() || row.default == "required" || real.is_object();
        assert_eq!(unset, written.is_none(), "{place}");
    }
}

#[test]
fn examples_are_good_as_they_stand_and_with_every_key_in_use() {
    for name in ["ops/midwatch.example.toml", "ops/midwatch.compose.toml"] {
        Config::load(Some(&top().join(name)), None).unwrap();
        toml::from_str::<File>(&uncommented(&read(name))).unwrap_or_else(|e| panic!("{name}: {e}"));
    }
    let config = Config::load(Some(&top().join("ops/midwatch.example.toml")), None).unwrap();
    let path = top().join("ops/pipeline.example.toml");
    config.pipeline(path.to_str().unwrap()).unwrap();
    let all = uncommented(&read("ops/pipeline.example.toml"));
    toml::from_str::<Pipeline>(&all).unwrap();
    let examples = uncommented(&read("ops/midwatch.example.toml")) + &all;
    for row in documented().iter().filter(|row| row.default != "table") {
        let line = Regex::new(&format!(r"(?m)^(\[[a-z]*\.?)?{}( = |\])", row.key)).unwrap();
        assert!(line.is_match(&examples), "no example uses `{}` of {}", row.key, row.table);
    }
}

#[test]
fn configuration_in_the_documents_reads() {
    let mut seen = 0;
    for (name, text) in documents() {
        for block in blocks(&text).filter(|block| block.language == "toml") {
            let first = block.text.lines().next().unwrap_or_default();
            let read = match first {
                first if first.starts_with("# midwatch.toml") => {
                    toml::from_str::<File>(&block.text).map(drop)
                }
                first if first.starts_with("# pipelines/") => {
                    toml::from_str::<Pipeline>(&block.text).map(drop)
                }
                _ => panic!("{name}: a toml block opens with neither file's name: {first}"),
            };
            read.unwrap_or_else(|error| panic!("{name}: {error}"));
            seen += 1;
        }
    }
    assert!(seen >= 2, "{seen}");
}

#[test]
fn every_command_line_in_the_documents_parses() {
    let mut lines = 0;
    let mut wrong = Vec::new();
    for (name, text) in documents() {
        for line in commands(&text) {
            lines += 1;
            if let Err(error) = parse(&line) {
                wrong.push(format!("{name}: {line}: {error}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(lines > 30, "only {lines} command lines found");
    assert!(parse("midwatch rnu hardened").is_err());
    assert!(parse("midwatch scan debian:12 --fail-on severe").is_err());
    assert!(parse("./ops/no-such-thing").is_err());
}

#[test]
fn every_command_and_option_is_documented() {
    let text = read("ops/docs/configuration.md");
    let mut open = vec![(String::from("midwatch"), Cli::command())];
    while let Some((name, command)) = open.pop() {
        for option in command.get_arguments().filter_map(|argument| argument.get_long()) {
            let shown = format!("`--{option}");
            let line = text.lines().find(|line| line.starts_with(&format!("| `{name}")));
            let place = line.filter(|_| name != "midwatch").unwrap_or(&text);
            assert!(place.contains(&shown), "{name} --{option} is not documented");
        }
        for inner in command.get_subcommands() {
            let name = format!("{name} {}", inner.get_name());
            assert!(text.contains(&format!("`{name}")), "{name} is not documented");
            open.push((name, inner.clone()));
        }
    }
}

#[test]
fn links_lead_somewhere() {
    let link = Regex::new(r"\]\(([^)#\s]+)|<img[^>]* src=.([^'\x22]+)").unwrap();
    for (name, text) in documents() {
        let folder = top().join(&name).parent().unwrap().to_owned();
        for hit in link.captures_iter(&text) {
            let target = hit.get(1).or(hit.get(2)).unwrap().as_str();
            if !target.contains("://") {
                assert!(folder.join(target).exists(), "{name}: {target} is not there");
            }
        }
    }
}

#[test]
fn alerts_ask_for_metrics_that_exist() {
    let source = read("src/web/mod.rs");
    let registered: BTreeSet<String> = Regex::new(r#"register\(\s*"([a-z_]+)""#)
        .unwrap()
        .captures_iter(&source)
        .map(|hit| format!("midwatch_{}", &hit[1]))
        .collect();
    let metric = Regex::new(r"\bmidwatch_[a-z_]+").unwrap();
    for name in ["ops/alerts.yaml", "ops/docs/operations.md"] {
        for hit in metric.find_iter(&read(name)) {
            let plain = hit.as_str().trim_end_matches("_total");
            assert!(registered.contains(plain), "{name}: {} is not exported", hit.as_str());
        }
    }
    let runbook = read("ops/docs/operations.md");
    for name in &registered {
        assert!(runbook.contains(name), "operations.md does not explain {name}");
    }
}

#[test]
fn schemas_are_sound() {
    for path in files("ops/schema") {
        schema::sound(&schema::load(&path)).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    }
    let plan = schema::load(&top().join("ops/schema/plan.schema.json"));
    let good = json!({"commit": "c", "images": [], "outside": [], "broken": []});
    assert_eq!(schema::check(&plan, &good), Ok(()));
    for bad in [
        json!({"commit": 7, "images": [], "outside": [], "broken": []}),
        json!({"commit": "c", "images": [], "outside": []}),
        json!({"commit": "c", "images": [], "outside": [], "broken": [], "more": 1}),
        json!({"commit": "c", "images": [{"name": "x"}], "outside": [], "broken": []}),
    ] {
        assert!(schema::check(&plan, &bad).is_err(), "{bad}");
    }
}

#[test]
fn what_needs_no_daemon_prints_what_its_schema_says() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| offline(folder.path(), arguments);
    let sample = top().join("pipelines/sample");
    fits("feeds-status", &run(&["feeds", "status", "--json"]));
    run(&["feeds", "import", top().join("pipelines/sample-feeds").to_str().unwrap()]);
    fits("feeds-status", &run(&["feeds", "status", "--json"]));
    let lint = run(&["lint", sample.to_str().unwrap(), "--schema", "strict", "--json"]);
    fits("lint", &lint);
    assert!(!serde_json::from_str::<Vec<Value>>(&lint).unwrap().is_empty());
    fits("who-has", &run(&["who-has", "openssl", "--json"]));
    let root = folder.path().join("root");
    let metadata = root.join("usr/lib/python3/dist-packages/Django-2.2.dist-info/METADATA");
    fs::create_dir_all(metadata.parent().unwrap()).unwrap();
    fs::write(metadata, "Metadata-Version: 2.1\nName: Django\nVersion: 2.2\n\n").unwrap();
    let scan = run(&["scan", root.to_str().unwrap(), "--format", "json"]);
    fits("scan", &scan);
    assert!(scan.contains("CVE-"), "{scan}");
}

#[test]
fn a_night_prints_what_its_schemas_say() {
    let Some(mut world) = World::empty() else { return };
    let base = ("midwatch-test/world", "1");
    let head = "ARG BASE_REGISTRY=x\nARG BASE_IMAGE=x\nARG BASE_TAG=x\n\
                FROM ${BASE_REGISTRY}/${BASE_IMAGE}:${BASE_TAG}\n";
    let copy = "COPY package.json /app/node_modules/lodash/package.json\n";
    world.write("repo/good/package.json", r#"{"name": "lodash", "version": "4.17.15"}"#);
    world.image("good", "test/good", Some(base), &format!("{head}{copy}"));
    world.image("bad", "test/bad", Some(base), &format!("{head}RUN false\n"));
    world.commit("two images");
    world.pipeline("[policy]\nnon-root = true\n");
    let run = |world: &World, arguments: &[&str], name: &str| {
        let done = world.midwatch(&[arguments, &["--json"]].concat());
        assert!([0, 2].contains(&done.code), "{arguments:?}: {}", done.stderr);
        fits(name, &done.stdout);
        done.json()
    };
    run(&world, &["plan", "p"], "plan");
    let first = run(&world, &["run", "p"], "night");
    assert_eq!(first["images"].as_array().unwrap().len(), 2);
    world.now = Some("2026-11-23T00:30:00Z".into());
    world.write("repo/broken/hardening_manifest.yaml", "name: [\n");
    world.commit("one that cannot be read");
    world.pipeline("");
    run(&world, &["run", "p"], "night");
    run(&world, &["plan", "p"], "plan");
    run(&world, &["report", "p"], "night");
    let history = run(&world, &["history", "p"], "history");
    assert_eq!(history.as_array().unwrap().len(), 2);
    let holders = run(&world, &["who-has", "lodash"], "who-has");
    assert_eq!(holders[0]["version"], "4.17.15");
    let diff = run(&world, &["diff", "p"], "diff");
    assert!(!diff["outcomes"].as_array().unwrap().is_empty());
}

/// One row of a key table.
#[derive(Debug)]
struct Row {
    table: String,
    key: String,
    default: String,
}

/// The rows of all tables in `configuration.md` whose first column is headed `key`.
fn documented() -> Vec<Row> {
    let (mut rows, mut table, mut keys) = (Vec::new(), String::new(), false);
    for line in read("ops/docs/configuration.md").lines() {
        if let Some(heading) = line.strip_prefix("## ").or(line.strip_prefix("### ")) {
            table = heading.replace('`', "");
            keys = false;
        }
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        keys = line.starts_with('|') && (keys || cells[0] == "key");
        let key = cells[0].strip_prefix('`').and_then(|it| it.strip_suffix('`'));
        if let Some(key) = key.filter(|_| keys) {
            let default = cells[1].to_owned();
            rows.push(Row { table: table.clone(), key: key.into(), default });
        }
    }
    rows
}

/// The fields of a struct in their kebab-case spelling, read from its source.
fn fields(file: &str, name: &str) -> BTreeSet<String> {
    let source = read(file);
    let (_, rest) = source.split_once(&format!("pub struct {name} {{\n")).unwrap();
    let (body, _) = rest.split_once("\n}").unwrap();
    let field = Regex::new(r"(?m)^    pub ([a-z_]+):").unwrap();
    field.captures_iter(body).map(|hit| hit[1].replace('_', "-")).collect()
}

/// A pipeline with nothing but what is required.
fn minimal() -> Pipeline {
    toml::from_str("name = \"required\"\n[source]\nurl = \"required\"\n").unwrap()
}

/// Whether a written TOML value is the real one; a size may stand as text.
fn same(written: &str, real: &Value) -> bool {
    let value: toml::Table = toml::from_str(&format!("it = {written}")).unwrap();
    match (&value["it"], real.as_u64()) {
        (toml::Value::String(text), Some(bytes)) => text.parse() == Ok(Size(bytes)),
        (value, _) => json!(value) == *real,
    }
}

/// A configuration file with the keys in its comments brought into use.
fn uncommented(text: &str) -> String {
    let key = Regex::new(r#"(?m)^# ([a-z-]+ = )"#).unwrap();
    key.replace_all(text, "$1").into_owned()
}

/// Every document that people read, with its path.
fn documents() -> Vec<(String, String)> {
    let mut names = vec!["README.md".to_owned()];
    let docs = files("ops/docs").into_iter().filter(|path| path.extension().unwrap() == "md");
    names.extend(docs.map(|path| path.strip_prefix(top()).unwrap().display().to_string()));
    names.into_iter().map(|name| (name.clone(), read(&name))).collect()
}

struct Block {
    language: String,
    text: String,
}

fn blocks(text: &str) -> impl Iterator<Item = Block> {
    let fence = Regex::new(r"(?ms)^ *```([a-z]*)\n(.*?)^ *```").unwrap();
    let found: Vec<Block> = fence
        .captures_iter(text)
        .map(|hit| Block { language: hit[1].into(), text: hit[2].into() })
        .collect();
    found.into_iter()
}

/// Command lines in shell blocks and in `code`.
fn commands(text: &str) -> Vec<String> {
    let ours = |line: &&str| line.starts_with("midwatch ") || line.starts_with("./ops/");
    let shell = blocks(text).filter(|block| ["sh", "bash", "console"].contains(&&*block.language));
    let mut found = Vec::new();
    for block in shell {
        let joined = block.text.replace("\\\n", " ");
        let lines = joined.lines().map(|line| line.trim().trim_start_matches("$ "));
        let bare = lines.map(|line| line.trim_start_matches("sudo -u midwatch "));
        found.extend(bare.filter(ours).map(str::to_owned));
    }
    let code = Regex::new(r"`([^`\n]+)`").unwrap();
    let inline: Vec<&str> =
        code.captures_iter(text).map(|hit| hit.extract::<1>().1[0]).filter(|it| ours(it)).collect();
    found.extend(inline.into_iter().map(str::to_owned));
    found
}

/// Parses a command line up to the first `|`, `>`, `<`, `&` or comment; `…` marks a repetition.
fn parse(line: &str) -> Result<(), String> {
    let end = Regex::new(r" [|><&#]| 2>|;").unwrap();
    let own = end.split(line).next().unwrap_or_default();
    let words: Vec<String> =
        own.split_whitespace().map(|word| word.trim_end_matches('…').replace('"', "")).collect();
    if words[0] == "midwatch" {
        let known = |kind| {
            use clap::error::ErrorKind::{DisplayHelp, DisplayVersion};
            matches!(kind, DisplayHelp | DisplayVersion)
        };
        return match Cli::try_parse_from(&words) {
            Err(error) if !known(error.kind()) => Err(error.to_string()),
            _ => Ok(()),
        };
    }
    let path = top().join(&words[0]);
    path.is_file().then_some(()).ok_or_else(|| format!("{} is not there", words[0]))
}

/// Runs the binary without a daemon; an exit code that speaks of the content is good.
fn offline(folder: &Path, arguments: &[&str]) -> String {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_midwatch"))
        .args(["--data", folder.join("data").to_str().unwrap()])
        .args(arguments)
        .current_dir(folder)
        .env("MIDWATCH_NOW", "2026-11-22T00:30:00Z")
        .env("DOCKER_HOST", "unix:///nonexistent.sock")
        .output()
        .unwrap();
    let code = output.status.code();
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(matches!(code, Some(0 | 2 | 100)), "{arguments:?}: {code:?} {words}");
    String::from_utf8(output.stdout).unwrap()
}

fn fits(name: &str, text: &str) {
    let schema = schema::load(&top().join(format!("ops/schema/{name}.schema.json")));
    let value: Value = serde_json::from_str(text).unwrap_or_else(|e| panic!("{name}: {e}: {text}"));
    schema::check(&schema, &value).unwrap_or_else(|e| panic!("{name}: {e}\n{text}"));
}

fn top() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    fs::read_to_string(top().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn files(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(top().join(folder)).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}
