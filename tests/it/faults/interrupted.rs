//! Killed or stopped at any moment, `midwatch run` finishes the same night and repeats nothing.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;

use serde_json::Value;

use super::super::world::{BASE, World, docker};

const RUN: [&str; 3] = ["run", "p", "--json"];

/// Each build of an image is another one: its layer holds something random. How long it sleeps says a
/// file outside the repository.
const UNIQUE: &str = "ARG BASE_REGISTRY\nARG BASE_IMAGE\nARG BASE_TAG\nFROM ${BASE_IMAGE}:${BASE_TAG}\n\
    COPY wait /wait\nRUN sleep $(cat /wait) && cat /proc/sys/kernel/random/uuid > /id\nUSER 1000\n";

/// `names` images, independent of one another, that sleep as the file `in/NAME` says.
pub fn sleepers(names: &[&str]) -> Option<World> {
    let world = World::empty()?;
    for name in names {
        world.image(name, &format!("test/{name}"), Some(split(BASE)), UNIQUE);
        world.append(
            &format!("repo/{name}/hardening_manifest.yaml"),
            &format!("resources:\n  - filename: wait\n    url: http://inputs.test/{name}\n"),
        );
        world.write(&format!("in/{name}"), "0");
    }
    world.pipeline(
        "jobs = 1\n[build.mirrors]\n\"http://inputs.test/\" = \"file://{here}/in/\"\n\
         [mail]\nto = [\"security@example.org\"]\n",
    );
    world.commit("first");
    Some(world)
}

fn split(reference: &str) -> (&str, &str) {
    reference.rsplit_once(':').unwrap()
}

/// Ids of what is built so far, by image.
fn built(world: &World) -> BTreeMap<String, String> {
    let rows = world.rows("SELECT image, built_id FROM night_images WHERE built_id IS NOT NULL");
    rows.into_iter().map(|row| (row[0].clone(), row[1].clone())).collect()
}

fn count(world: &World, condition: &str) -> String {
    world.value(&format!("SELECT CAST(COUNT(*) AS TEXT) FROM night_images WHERE {condition}"))
}

/// Runs again and checks that the night which was open is whole afterwards.
fn goes_on(world: &World, images: usize) -> Value {
    let before = world.rows("SELECT id FROM nights");
    assert_eq!(before.len(), 1);
    let kept = built(world);
    let night = world.midwatch(&RUN).exits(0).json();
    assert_eq!(night["night"]["id"], before[0][0].as_str(), "the same night");
    assert_eq!(world.rows("SELECT id FROM nights"), before, "and no other");
    assert_whole(world, &night, images);
    for (image, id) in kept {
        let now = night["images"].as_array().unwrap().iter().find(|it| it["name"] == image);
        assert_eq!(now.unwrap()["digest"], id.as_str(), "{image} was built twice");
    }
    night
}

fn assert_whole(world: &World, night: &Value, images: usize) {
    assert_eq!(night["night"]["planned"], images);
    assert_eq!(night["night"]["released"], images, "{night:#}");
    assert_eq!(world.built_images().len(), images, "one image each, and no more");
    let ids: Vec<String> = world.built_images().into_iter().collect();
    for image in night["images"].as_array().unwrap() {
        assert!(ids.contains(&image["digest"].as_str().unwrap().to_owned()), "{image:#}");
    }
    assert_mailed_once(world, 2);
}

/// `recipients` mails, each handed over in one try.
fn assert_mailed_once(world: &World, recipients: usize) {
    let mails = world.rows("SELECT recipient, state, CAST(tries AS TEXT) FROM outbox");
    assert_eq!(mails.len(), recipients, "{mails:?}");
    assert!(mails.iter().all(|mail| mail[1] == "sent" && mail[2] == "1"), "{mails:?}");
    assert_eq!(world.mails().len(), recipients);
}

#[test]
fn killed_before_the_plan() {
    let Some(world) = sleepers(&["a", "b"]) else { return };
    let pipeline = fs::read_to_string(world.path("pipelines/p.toml")).unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/nothing.git", silent.local_addr().unwrap());
    let repository = world.repo().display().to_string();
    world.write("pipelines/p.toml", &pipeline.replace(&repository, &address));
    let mut run = world.start(&RUN, "killed");
    let _asked = silent.accept().unwrap();
    assert_eq!(world.value("SELECT CAST(COUNT(*) AS TEXT) FROM nights"), "1");
    run.kill();
    world.write("pipelines/p.toml", &pipeline);
    goes_on(&world, 2);
}

#[test]
fn killed_during_the_first_build() {
    let Some(world) = sleepers(&["a", "b"]) else { return };
    world.write("in/a", "61.371");
    let mut run = world.start(&RUN, "killed");
    world.until("the build sleeps", 60, || sleeping("61.371").then_some(()));
    run.kill();
    world.until("the daemon gives the build up", 30, || (!sleeping("61.371")).then_some(()));
    world.write("in/a", "0");
    goes_on(&world, 2);
}

#[test]
fn killed_after_a_build_before_its_record() {
    let Some(world) = sleepers(&["a", "b"]) else { return };
    // Something to read, so that there is time to be killed in.
    let big = UNIQUE.replace("> /id", "> /id && dd if=/dev/urandom of=/big bs=1048576 count=256");
    world.write("repo/a/Dockerfile", &big);
    world.commit("big");
    let mut run = world.start(&RUN, "killed");
    world.until("an image is built and not recorded", 60, || {
        (count(&world, "built_id IS NOT NULL AND ended IS NULL") == "1").then_some(())
    });
    run.kill();
    assert_eq!(count(&world, "ended IS NOT NULL"), "0", "killed too late to tell");
    assert_eq!(built(&world).len(), 1);
    goes_on(&world, 2);
}

#[test]
fn killed_between_images() {
    let Some(world) = sleepers(&["a", "b", "c"]) else { return };
    world.write("in/b", "61.373");
    world.write("in/c", "61.373");
    let mut run = world.start(&RUN, "killed");
    world.until("the first image has its end", 60, || {
        (count(&world, "ended IS NOT NULL") == "1").then_some(())
    });
    run.kill();
    world.until("nothing is left on the daemon", 30, || (!sleeping("61.373")).then_some(()));
    world.write("in/b", "0");
    world.write("in/c", "0");
    assert_eq!(built(&world).len(), 1);
    goes_on(&world, 3);
}

#[test]
fn killed_while_the_mails_go_out() {
    let Some(mut world) = sleepers(&["a"]) else { return };
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let folder = fs::read_to_string(world.path("midwatch.toml")).unwrap();
    world.write("midwatch.toml", &format!("{folder}transport = \"smtp://{address}\"\n"));
    let mut run = world.start(&RUN, "killed");
    let _asked = silent.accept().unwrap();
    run.kill();
    let night = world.midwatch(&["report", "p", "--json"]).exits(0).json();
    assert_eq!(night["night"]["planned"], 1, "the night itself is over: {night:#}");
    assert_eq!(
        world.value("SELECT CAST(COUNT(*) AS TEXT) FROM outbox WHERE state = 'pending'"),
        "2"
    );
    // A mail that a process had in its hands is free again after its lease.
    world.write("midwatch.toml", &folder);
    world.now = Some("2026-11-22T00:45:00Z".into());
    let mut serve = world.start(&["serve", "--listen", "127.0.0.1:0"], "serve");
    world.until("the mails are out", 30, || (world.mails().len() == 2).then_some(()));
    serve.signal("TERM");
    serve.ends_within(15).exits(0);
    assert_eq!(world.value("SELECT CAST(COUNT(*) AS TEXT) FROM outbox WHERE state = 'sent'"), "2");
    assert_eq!(world.rows("SELECT id FROM nights").len(), 1);
    assert_eq!(world.built_images().len(), 1);
}

#[test]
fn sigterm_ends_a_night_within_seconds() {
    stopped_by("TERM", "61.377", "");
}

#[test]
fn ctrl_c_ends_a_night_of_the_classic_builder() {
    stopped_by("INT", "61.379", "builder = \"classic\"\n");
}

fn stopped_by(signal: &str, nap: &str, build: &str) {
    let Some(world) = sleepers(&["a", "b"]) else { return };
    let pipeline = fs::read_to_string(world.path("pipelines/p.toml")).unwrap();
    world.write("pipelines/p.toml", &pipeline.replace("jobs = 1\n", &format!("jobs = 1\n{build}")));
    world.write("in/b", nap);
    let mut run = world.start(&RUN, "stopped");
    world.until("the second build sleeps", 60, || sleeping(nap).then_some(()));
    run.signal(signal);
    let done = run.ends_within(12).exits(1);
    assert!(done.stderr.contains("midwatch run"), "it says how to go on:\n{}", done.stderr);
    let night = world.value("SELECT id FROM nights");
    assert!(done.stderr.contains(&night), "and with which night:\n{}", done.stderr);
    world.until("the build's container is gone", 10, || (!sleeping(nap)).then_some(()));
    let containers =
        docker(&world.host, &["ps", "--all", "--no-trunc", "--format", "{{.Command}}"]);
    assert!(!containers.contains(nap), "{containers}");
    world.write("in/b", "0");
    goes_on(&world, 2);
}

/// Whether a process of this machine, in whatever container, sleeps that long.
pub fn sleeping(nap: &str) -> bool {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let wanted = format!("sleep\0{nap}\0");
    processes
        .filter_map(|entry| fs::read(entry.path().join("cmdline")).ok())
        .any(|line| String::from_utf8_lossy(&line).ends_with(&wanted))
}
