//! Golden nights: a folder per scenario under `tests/golden`, driven through the real binary.
//!
//! `repo/` is the repository, `scenario.toml` says what is run when, `pipeline.toml` is added to the
//! pipeline file, `feeds/` is imported first, `second/` and the like are laid over the repository
//! between nights, and `expected.json` is what must come out. Accept a new result with
//! `MIDWATCH_ACCEPT=1 ./ops/test golden`.

use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::world::{World, docker_host, scenario, skip};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scenario {
    night: Vec<NightSpec>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NightSpec {
    now: String,
    overlay: Option<String>,
    exit: i32,
    /// Words that must stand on stderr.
    #[serde(default)]
    says: Vec<String>,
}

#[test]
fn all_green() {
    golden("all-green", &docker_host());
}

#[test]
fn base_fails() {
    golden("base-fails", &docker_host());
}

#[test]
fn policy_holds() {
    golden("policy-holds", &docker_host());
}

#[test]
fn vex_expires() {
    golden("vex-expires", &docker_host());
}

#[test]
fn cycle() {
    golden("cycle", &docker_host());
}

#[test]
fn empty_repository() {
    golden("empty", &docker_host());
}

#[test]
fn no_disk() {
    golden("no-disk", &docker_host());
}

#[test]
fn feeds_stale() {
    golden("feeds-stale", &docker_host());
}

#[test]
fn feeds_refused() {
    golden("feeds-refused", &docker_host());
}

#[test]
fn reused_when_inputs_stay() {
    golden("reused", &docker_host());
}

#[test]
fn classic_builder() {
    golden("classic", &docker_host());
}

#[test]
fn on_the_current_engine() {
    match std::env::var("MIDWATCH_TEST_CURRENT_ENGINE") {
        Ok(host) => golden("current-engine", &host),
        Err(_) => {
            skip::<()>("MIDWATCH_TEST_CURRENT_ENGINE names no second Docker daemon");
        }
    }
}

fn golden(name: &str, host: &str) {
    let Some(world) = World::on(host) else { return };
    let folder = scenario(name);
    let text = fs::read_to_string(folder.join("scenario.toml")).unwrap();
    let scenario: Scenario = toml::from_str(&text).unwrap();
    world.pipeline(&fs::read_to_string(folder.join("pipeline.toml")).unwrap_or_default());
    world.overlay(&folder.join("repo"));
    world.commit("first");
    let mut nights = Vec::new();
    let mut world = world;
    for (number, night) in scenario.night.iter().enumerate() {
        world.now = Some(night.now.clone());
        if number == 0 && folder.join("feeds").exists() {
            let done = world.midwatch(&["feeds", "import", folder.join("feeds").to_str().unwrap()]);
            assert!(done.stderr.contains("sources written"), "{}", done.stderr);
        }
        if let Some(overlay) = &night.overlay {
            world.overlay(&folder.join(overlay));
            world.commit("next");
        }
        let done = world.midwatch(&["run", "p", "--json"]).exits(night.exit);
        for word in &night.says {
            assert!(done.stderr.contains(word), "no {word:?} in\n{}", done.stderr);
        }
        nights.push(normal(done.json(), &world));
    }
    compare(&folder, &Value::Array(nights));
}

/// What stays the same from run to run.
fn normal(mut night: Value, world: &World) -> Value {
    let sums = ["planned", "released", "held", "failed", "blocked", "reused", "skipped"];
    let mut head = Map::new();
    for key in sums {
        head.insert(key.into(), night["night"][key].take());
    }
    head.insert("freshness".into(), night["night"]["feeds"]["freshness"].take());
    if let Some(error) = night["night"]["error"].as_str() {
        head.insert("error".into(), plain(error, world).into());
    }
    let images = night["images"].as_array_mut().unwrap().iter_mut().map(|image| {
        let mut kept = Map::new();
        for key in ["name", "outcome", "reason", "stage", "error", "blocked_by", "held_by"] {
            let value = match image[key].take() {
                Value::String(text) => plain(&text, world).into(),
                other => other,
            };
            kept.insert(key.into(), value);
        }
        for key in ["score", "grade"] {
            kept.insert(key.into(), image[key].take());
        }
        for key in ["digest", "sbom", "log"] {
            kept.insert(key.into(), image[key].is_string().into());
        }
        let counts = image["counts"].as_object().unwrap().iter();
        let counts = counts.filter(|(_, count)| **count != json!(0));
        kept.insert("counts".into(), counts.map(|(k, v)| (k.clone(), v.clone())).collect());
        kept.retain(|_, value| !value.is_null() && *value != json!([]));
        Value::Object(kept)
    });
    let images: Vec<Value> = images.collect();
    json!({"night": head, "images": images})
}

/// Text without what differs from run to run: paths, names of this world, digests.
fn plain(text: &str, world: &World) -> String {
    let here = world.folder.path().display().to_string();
    let text = text.replace(&here, "HERE").replace(&world.registry, "REGISTRY");
    let night = regex::Regex::new("([0-9]{8}T[0-9]{6}Z)-[0-9a-f]{6}").unwrap();
    let text = night.replace_all(&text, "$1-ID").into_owned();
    let hex = regex::Regex::new("[0-9a-f]{12,64}").unwrap();
    let hex = hex.replace_all(&text, "HEX").into_owned();
    let megabytes = regex::Regex::new("[0-9]+ MB are free").unwrap();
    megabytes.replace_all(&hex, "N MB are free").into_owned()
}

fn compare(folder: &Path, nights: &Value) {
    let path = folder.join("expected.json");
    let got = serde_json::to_string_pretty(nights).unwrap() + "\n";
    if std::env::var_os("MIDWATCH_ACCEPT").is_some() {
        fs::write(path, got).unwrap();
        return;
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        got == expected,
        "{} differs\n--- expected\n{expected}\n--- got\n{got}\naccept it with MIDWATCH_ACCEPT=1 ./ops/test golden",
        path.display()
    );
}
