//! A build that takes too long is ended, and its first error line says so.

use super::super::world::image;
use super::interrupted::{sleepers, sleeping};

#[test]
fn a_build_ends_at_its_time_limit() {
    for (builder, nap) in [("buildkit", "61.383"), ("classic", "61.387")] {
        let Some(world) = sleepers(&["slow", "good"]) else { return };
        world.write("in/slow", nap);
        world.pipeline(&format!(
            "jobs = 1\nbuilder = \"{builder}\"\ntime-limit = \"15s\"\n\
             [build.mirrors]\n\"http://inputs.test/\" = \"file://{{here}}/in/\"\n"
        ));
        let night = world.midwatch(&["run", "p", "--json"]).exits(2).json();
        let slow = image(&night, "test/slow");
        assert_eq!((&slow["outcome"], &slow["stage"]), (&"failed".into(), &"time-limit".into()));
        let error = slow["error"].as_str().unwrap();
        assert!(error.starts_with("not done after 15 s at "), "{error}");
        assert!(error.contains("sleep $(cat /wait)"), "the step it hung in: {error}");
        assert_eq!(image(&night, "test/good")["outcome"], "released");
        world.until("the daemon's work is ended", 10, || (!sleeping(nap)).then_some(()));
    }
}

#[test]
fn a_limit_without_unit_is_refused_with_an_example() {
    let Some(world) = sleepers(&["a"]) else { return };
    world.pipeline("time-limit = \"60\"\n");
    let done = world.midwatch(&["run", "p"]).exits(64);
    assert!(done.stderr.contains("time-limit") && done.stderr.contains("60m"), "{}", done.stderr);
}
