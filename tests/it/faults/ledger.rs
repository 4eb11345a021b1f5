//! The same nights with the ledger on PostgreSQL, interrupted ones too.

#[path = "../../../src/store/tests/cluster.rs"]
mod cluster;

use super::super::world::image;
use super::interrupted::{sleepers, sleeping};

#[test]
fn nights_are_kept_and_taken_up_on_postgresql() {
    let executor = tokio::runtime::Runtime::new().unwrap();
    let Some(database) = executor.block_on(cluster::database()) else { return };
    let Some(mut world) = sleepers(&["a", "b"]) else { return };
    let rest = std::fs::read_to_string(world.path("midwatch.toml")).unwrap();
    world.write("midwatch.toml", &format!("database = \"{database}\"\n{rest}"));
    world.database = Some(database);
    world.write("in/b", "61.389");
    let mut run = world.start(&["run", "p", "--json"], "killed");
    world.until("the second build sleeps", 60, || sleeping("61.389").then_some(()));
    run.kill();
    world.until("the daemon gives it up", 30, || (!sleeping("61.389")).then_some(()));
    let before = world.value("SELECT built_id FROM night_images WHERE image = 'test/a'");
    world.write("in/b", "0");
    let first = world.midwatch(&["run", "p", "--json"]).exits(0).json();
    assert_eq!(first["night"]["released"], 2);
    assert_eq!(image(&first, "test/a")["digest"], before.as_str(), "not built again");
    world.now = Some("2026-11-23T00:30:00Z".into());
    let second = world.midwatch(&["run", "p", "--json"]).exits(0).json();
    assert_ne!(second["night"]["id"], first["night"]["id"]);
    let history = world.midwatch(&["history", "p", "--json"]).exits(0).json();
    assert_eq!(history.as_array().unwrap().len(), 2);
    assert_eq!(history[0]["id"], second["night"]["id"]);
    let diff = world.midwatch(&["diff", "p", "--json"]).exits(0).json();
    assert_eq!(diff["earlier"], first["night"]["id"]);
    let states = world.rows("SELECT state, COUNT(*)::TEXT FROM outbox GROUP BY state");
    assert_eq!(states, [["sent", "4"]], "each mail of both nights once");
    assert!(!world.data().join("ledger.db").exists());
}
