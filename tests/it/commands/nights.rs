//! Commands about nights: the shapes of their JSON and their exit codes.

use super::super::world::{World, docker, image, scenario};
use super::keys;

const NIGHT: [&str; 14] = [
    "id", "pipeline", "commit", "started", "ended", "planned", "released", "held", "failed",
    "blocked", "reused", "skipped", "feeds", "kind",
];
const IMAGE: [&str; 12] = [
    "name",
    "outcome",
    "reason",
    "stage",
    "error",
    "blocked_by",
    "score",
    "grade",
    "digest",
    "counts",
    "took_ms",
    "held_by",
];

fn has_keys(value: &serde_json::Value, wanted: &[&str]) {
    let keys = keys(value);
    for key in wanted {
        assert!(keys.contains(&key.to_string()), "no {key} in {value:#}");
    }
}

#[test]
fn a_night_in_json_from_plan_to_diff() {
    let folder = scenario("policy-holds");
    let Some(mut world) = World::golden("policy-holds") else { return };
    world.pipeline(&std::fs::read_to_string(folder.join("pipeline.toml")).unwrap());
    world.midwatch(&["feeds", "import", folder.join("feeds").to_str().unwrap()]).exits(0);
    world.midwatch(&["report", "p"]).exits(1);
    world.midwatch(&["diff", "p"]).exits(1);

    let plan = world.midwatch(&["plan", "p", "--json"]).exits(0).json();
    has_keys(&plan, &["commit", "images", "outside"]);
    has_keys(&plan["images"][0], &["name", "key", "reason", "after"]);
    assert_eq!(plan["images"].as_array().unwrap().len(), 5);
    assert!(world.built_images().is_empty(), "a plan builds nothing");
    assert!(world.rows("SELECT id FROM nights").is_empty(), "and opens no night");

    let night = world.midwatch(&["run", "p", "--json"]).exits(2).json();
    assert_eq!(keys(&night), ["night", "images"]);
    has_keys(&night["night"], &NIGHT);
    has_keys(&night["images"][0], &IMAGE);
    let sums = ["released", "held", "failed", "blocked", "reused", "skipped"];
    let sum: u64 = sums.iter().map(|key| night["night"][key].as_u64().unwrap()).sum();
    assert_eq!(night["night"]["planned"], sum);
    let id = night["night"]["id"].as_str().unwrap().to_owned();

    let history = world.midwatch(&["history", "p", "--json"]).exits(0).json();
    assert_eq!(history.as_array().unwrap().len(), 1);
    has_keys(&history[0], &NIGHT);
    let again = world.midwatch(&["report", "p", "--json"]).exits(2).json();
    assert_eq!(again["night"]["id"], night["night"]["id"]);
    assert_eq!(again["images"], night["images"], "the ledger says the same");

    let page = world.path("report.html");
    world.midwatch(&["report", "p", "--night", &id, "--html", page.to_str().unwrap()]).exits(2);
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>") || page.starts_with("<!doctype html>"));
    assert!(page.contains("test/vulnerable") && !page.contains("<script"));
    world.midwatch(&["report", "p", "--night", "20200101T000000Z-000000"]).exits(64);
    let mails = world.mails().len();
    world.midwatch(&["report", "p", "--to", "boss@example.org"]).exits(2);
    assert_eq!(world.mails().len(), mails + 1);

    let holders = world.midwatch(&["who-has", "demo@1.0", "--json"]).exits(0).json();
    assert_eq!(keys(&holders[0]), ["image", "digest", "package", "version", "night"]);
    let names: Vec<&str> =
        holders.as_array().unwrap().iter().map(|it| it["image"].as_str().unwrap()).collect();
    assert_eq!(names, ["test/child", "test/vulnerable"]);
    let none = world.midwatch(&["who-has", "demo@9.9", "--json"]).exits(0).json();
    assert_eq!(none, serde_json::json!([]));

    let rebuilt = world.midwatch(&["rebuild", "p", "test/good", "--json"]).exits(0).json();
    assert_eq!(
        (&rebuilt["night"]["kind"], &rebuilt["night"]["planned"]),
        (&"on-demand".into(), &1.into())
    );
    assert_ne!(image(&rebuilt, "test/good")["reason"], "first build");
    let with = ["rebuild", "p", "test/vulnerable", "--with-dependants", "--json"];
    let rebuilt = world.midwatch(&with).exits(2).json();
    assert_eq!(rebuilt["night"]["planned"], 2);

    world.now = Some("2026-11-23T00:30:00Z".into());
    std::fs::remove_dir_all(world.repo().join("leaky")).unwrap();
    world.commit("less");
    world.midwatch(&["run", "p", "--json"]).exits(2);
    let diff = world.midwatch(&["diff", "p", "--json"]).exits(0).json();
    assert_eq!(keys(&diff), ["earlier", "later", "new", "fixed", "status", "outcomes", "scores"]);
    assert_eq!(diff["earlier"], id.as_str());
    assert_eq!(diff["outcomes"][0]["image"], "test/leaky", "{diff:#}");
    let history = world.midwatch(&["history", "p", "--json", "--limit", "2"]).exits(0).json();
    assert!(history[0]["started"].as_str() > history[1]["started"].as_str(), "latest first");
}

#[test]
fn an_image_an_archive_and_a_folder_give_one_inventory() {
    let Some(world) = World::golden("all-green") else { return };
    world.midwatch(&["run", "p", "--mail", "none"]).exits(0);
    assert!(world.mails().is_empty());
    let name = format!("{}/test/app:1.0", world.registry);
    let tar = world.path("app.tar").display().to_string();
    docker(&world.host, &["save", "--output", &tar, &name]);
    let read =
        |target: &str| world.midwatch(&["inventory", target, "--format", "json"]).exits(0).json();
    let (image, archive) = (read(&name), read(&tar));
    assert_eq!(image["packages"], archive["packages"]);
    assert_eq!(image["layers"], archive["layers"]);
    let scan = world.midwatch(&["scan", &name, "--format", "json"]).exits(0).json();
    assert_eq!(scan["target"], name.as_str());
    assert!(scan["digest"].as_str().unwrap().starts_with("sha256:"));
    let unknown = world.midwatch(&["scan", "localhost/never/heard:of"]).exits(1);
    assert!(unknown.stderr.contains("localhost/never/heard:of"), "{}", unknown.stderr);
}
