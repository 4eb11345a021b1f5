//! Without a daemon or a source there is no night, and everybody concerned is told.

use std::process::Command;

use super::super::world::{BASE, World, docker_host, skip, text};

const FROM: &str = "ARG BASE_IMAGE\nARG BASE_TAG\nFROM ${BASE_IMAGE}:${BASE_TAG}\nUSER 1000\n";

/// Runs, and expects a night that is recorded and mailed as stopped for that reason.
fn stopped(world: &World, words: &[&str]) {
    let done = world.midwatch(&["run", "p", "--json"]).exits(1);
    let night = done.json();
    let error = night["night"]["error"].as_str().unwrap().to_owned();
    for word in words {
        assert!(error.contains(word), "no {word:?} in {error:?}");
        assert!(done.stderr.contains(word), "no {word:?} in {}", done.stderr);
    }
    let history = world.midwatch(&["history", "p", "--json"]).exits(0).json();
    assert_eq!(history[0]["error"], error.as_str());
    assert_eq!(history[0]["planned"], 0);
    let mails = world.mails();
    assert_eq!(mails.len(), 1, "one mail, to the one address of the pipeline");
    let mail = mail_parser::MessageParser::default().parse(&mails[0]).unwrap();
    assert!(mail.subject().unwrap().contains("ERROR"), "{:?}", mail.subject());
    let said = mail.body_text(0).unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
    for word in words {
        assert!(said.contains(word), "no {word:?} in the mail:\n{said}");
    }
}

fn mailing(world: &World, source: &str) {
    world.pipeline(&format!("[mail]\nto = [\"security@example.org\"]\n{source}"));
}

fn one_image() -> Option<World> {
    let world = World::empty()?;
    world.image("a", "test/a", BASE.rsplit_once(':'), FROM);
    world.commit("first");
    mailing(&world, "");
    Some(world)
}

/// Changes the pipeline's `[source]`.
fn source(world: &World, more: &str) {
    let pipeline = std::fs::read_to_string(world.path("pipelines/p.toml")).unwrap();
    world.write("pipelines/p.toml", &pipeline.replace("[build]\n", &format!("{more}\n[build]\n")));
}

#[test]
fn no_daemon_stops_the_night_and_is_mailed() {
    let world = World::alone("unix:///nonexistent/docker.sock");
    mailing(&world, "");
    stopped(&world, &["/nonexistent/docker.sock"]);
    // The next night, with a daemon again, is another one.
    assert_eq!(world.midwatch(&["history", "p", "--json"]).json().as_array().unwrap().len(), 1);
}

#[test]
fn an_unsigned_commit_stops_the_night_and_a_signed_one_does_not() {
    let Some(world) = one_image() else { return };
    let key = world.path("key");
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "signer", "-f"])
        .arg(&key)
        .status();
    if !made.is_ok_and(|status| status.success()) {
        skip::<()>("ssh-keygen is not installed");
        return;
    }
    let public = text(&std::fs::read(key.with_extension("pub")).unwrap());
    world.write("signers", &format!("signer@example.org {public}"));
    source(&world, &format!("allowed-signers = \"{}\"", world.path("signers").display()));
    stopped(&world, &["not signed", "git commit -S"]);
    let key = format!("user.signingkey={}", key.display());
    let sign =
        ["-c", "gpg.format=ssh", "-c", &key, "commit", "-S", "--allow-empty", "-qm", "signed"];
    world.git(&sign);
    let night = world.midwatch(&["run", "p", "--json"]).exits(0).json();
    assert_eq!(night["night"]["released"], 1);
}

#[test]
fn a_source_that_nobody_serves_stops_the_night() {
    let Some(world) = one_image() else { return };
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let pipeline = std::fs::read_to_string(world.path("pipelines/p.toml")).unwrap();
    let address = format!("http://127.0.0.1:{port}/hardened.git");
    let repository = world.repo().display().to_string();
    world.write("pipelines/p.toml", &pipeline.replace(&repository, &address));
    stopped(&world, &["source:", &address]);
}

#[test]
fn a_branch_that_is_not_there_stops_the_night() {
    let Some(world) = one_image() else { return };
    source(&world, "branch = \"nightly\"");
    stopped(&world, &["source:", "nightly"]);
}

#[test]
fn the_daemon_s_absence_is_told_to_commands_that_need_it() {
    let world = World::alone("unix:///nonexistent/docker.sock");
    let done = world.midwatch(&["inventory", "debian:12"]).exits(1);
    assert!(done.stderr.contains("/nonexistent/docker.sock"), "{}", done.stderr);
    assert!(docker_host().contains(':'));
}
