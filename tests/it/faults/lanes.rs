//! Two lanes: a rebuild on demand does not wait for the night, and no two nights run at once.

use super::super::world::image;
use super::interrupted::{sleepers, sleeping};

#[test]
fn a_rebuild_overtakes_the_night_and_a_second_night_is_refused() {
    let Some(world) = sleepers(&["a", "b", "c"]) else { return };
    world.write("in/a", "61.381");
    let mut night = world.start(&["run", "p", "--json"], "night");
    world.until("the night's first build sleeps", 60, || sleeping("61.381").then_some(()));

    let second = world.midwatch(&["run", "p"]).exits(1);
    assert!(second.stderr.contains("is running already"), "{}", second.stderr);
    assert!(second.stderr.contains("process "), "it says which:\n{}", second.stderr);

    let rebuilt = world.midwatch(&["rebuild", "p", "test/c", "--json"]).exits(0).json();
    assert_eq!(rebuilt["night"]["planned"], 1);
    assert_eq!(image(&rebuilt, "test/c")["outcome"], "released");
    assert!(!night.ended() && sleeping("61.381"), "the night goes on beside it");

    let unknown = world.midwatch(&["rebuild", "p", "test/nothing"]).exits(64);
    assert!(unknown.stderr.contains("test/nothing"), "{}", unknown.stderr);

    // The night's own build of what was rebuilt meanwhile still takes place.
    world.wake("61.381");
    let night = night.ends_within(60).exits(2).json();
    assert_eq!(night["night"]["planned"], 3, "{night:#}");
    assert_eq!(image(&night, "test/a")["outcome"], "failed", "its sleep was killed");
    for name in ["test/b", "test/c"] {
        assert_eq!(image(&night, name)["outcome"], "released");
    }
    assert_ne!(image(&night, "test/c")["digest"], image(&rebuilt, "test/c")["digest"]);
}
