//! Declared resources against a web server that lies, breaks off, hangs and floods.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sha2::{Digest, Sha256};

use super::super::world::{BASE, World, image};

const GOOD: &[u8] = b"what was declared\n";

/// Answers by path until the test ends; returns its address and how often `/cut` was asked.
fn server() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let cuts = Arc::new(AtomicUsize::new(0));
    let counted = cuts.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let cuts = counted.clone();
            std::thread::spawn(move || drop(answer(stream, &cuts)));
        }
    });
    (address, cuts)
}

fn answer(mut stream: TcpStream, cuts: &AtomicUsize) -> std::io::Result<()> {
    let mut request = [0; 4096];
    let read = stream.read(&mut request)?;
    let line = String::from_utf8_lossy(&request[..read]).into_owned();
    let path = line.split_whitespace().nth(1).unwrap_or_default().to_owned();
    let head = |status: &str, length: usize| {
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n")
    };
    match path.as_str() {
        "/good" | "/wrong" => {
            stream.write_all(head("200 OK", GOOD.len()).as_bytes())?;
            stream.write_all(GOOD)
        }
        "/cut" => {
            stream.write_all(head("200 OK", GOOD.len()).as_bytes())?;
            let first = cuts.fetch_add(1, Ordering::SeqCst) == 0;
            stream.write_all(if first { &GOOD[..5] } else { GOOD })
        }
        "/big" => {
            stream.write_all(head("200 OK", 50_000_000).as_bytes())?;
            stream.write_all(&vec![0; 50_000_000])
        }
        "/endless" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
            loop {
                stream.write_all(b"10000\r\n")?;
                stream.write_all(&[b'x'; 65536])?;
                stream.write_all(b"\r\n")?;
            }
        }
        "/slow" => {
            stream.write_all(head("200 OK", GOOD.len()).as_bytes())?;
            stream.write_all(&GOOD[..5])?;
            std::thread::sleep(std::time::Duration::from_secs(60));
            Ok(())
        }
        "/silent" => {
            std::thread::sleep(std::time::Duration::from_secs(60));
            Ok(())
        }
        _ => stream.write_all(head("404 Not Found", 0).as_bytes()),
    }
}

fn declare(world: &World, name: &str, url: &str, sha256: &str) {
    let dockerfile = "ARG BASE_IMAGE\nARG BASE_TAG\nFROM ${BASE_IMAGE}:${BASE_TAG}\n\
                      COPY data.bin /data.bin\nRUN cat /data.bin\nUSER 1000\n";
    world.image(name, &format!("test/{name}"), BASE.rsplit_once(':'), dockerfile);
    world.append(
        &format!("repo/{name}/hardening_manifest.yaml"),
        &format!(
            "resources:\n  - filename: data.bin\n    url: {url}\n    validation:\n      \
             type: sha256\n      value: {sha256}\n"
        ),
    );
}

#[test]
fn each_broken_input_costs_its_own_image_and_leaves_nothing() {
    let Some(world) = World::empty() else { return };
    let (web, cuts) = server();
    let good = hex::encode(Sha256::digest(GOOD));
    let other = "a".repeat(64);
    for name in ["good", "missing", "cut", "silent", "big", "endless"] {
        // Each has content of its own, for what is there already is not fetched again.
        let sum = if matches!(name, "good" | "cut") { &good } else { &other };
        declare(&world, name, &format!("{web}/{name}"), sum);
    }
    declare(&world, "wrong", &format!("{web}/wrong"), &other);
    let local = b"from the mirror\n";
    declare(&world, "mirrored", "https://far.example/pub/x", &hex::encode(Sha256::digest(local)));
    declare(&world, "unmirrored", "https://far.example/pub/nothing", &other);
    world.write("mirror/pub/x", std::str::from_utf8(local).unwrap());
    world.pipeline(
        "fetch-tries = 2\nfetch-timeout = \"2s\"\nmax-resource = \"1MB\"\njobs = 4\n\
         [build.mirrors]\n\"https://far.example/\" = \"file://{here}/mirror/\"\n",
    );
    world.commit("first");
    // `cut` is fetched by its own night, so that `good` does not serve it from the store.
    let night = world.midwatch(&["run", "p", "--json"]).exits(2).json();
    assert_eq!(night["night"]["planned"], 9);
    assert_eq!((&night["night"]["released"], &night["night"]["failed"]), (&3.into(), &6.into()));
    for name in ["good", "cut", "mirrored"] {
        assert_eq!(image(&night, &format!("test/{name}"))["outcome"], "released", "{name}");
    }
    let failures = [
        ("missing", "answered 404"),
        ("wrong", "the manifest says aaa"),
        ("silent", "/silent"),
        ("big", "larger than 1000000 bytes (build.max-resource)"),
        ("endless", "larger than 1000000 bytes (build.max-resource)"),
        ("unmirrored", "mirror/pub/nothing"),
    ];
    for (name, words) in failures {
        let failed = image(&night, &format!("test/{name}"));
        assert_eq!(failed["stage"], "inputs", "{failed:#}");
        let error = failed["error"].as_str().unwrap();
        assert!(error.contains(words) && error.contains("data.bin"), "{name}: {error}");
    }
    assert!(cuts.load(Ordering::SeqCst) <= 2);
    let kept = files(&world.data().join("inputs"));
    let sizes: Vec<u64> = kept.iter().map(|path| path.metadata().unwrap().len()).collect();
    assert!(
        sizes.iter().all(|size| [GOOD.len() as u64, local.len() as u64].contains(size)),
        "only whole files are kept: {kept:?} {sizes:?}"
    );
}

#[test]
fn a_connection_that_breaks_off_is_tried_again() {
    let Some(world) = World::empty() else { return };
    let (web, cuts) = server();
    declare(&world, "cut", &format!("{web}/cut"), &hex::encode(Sha256::digest(GOOD)));
    world.commit("first");
    world.pipeline("fetch-tries = 1\n");
    let night = world.midwatch(&["run", "p", "--json"]).exits(2).json();
    let error = image(&night, "test/cut")["error"].as_str().unwrap().to_owned();
    assert!(error.contains("/cut"), "{error}");
    assert_eq!(cuts.swap(0, Ordering::SeqCst), 1);
    world.pipeline("fetch-tries = 2\n");
    let night = world.midwatch(&["run", "p", "--json"]).exits(0).json();
    assert_eq!(image(&night, "test/cut")["outcome"], "released");
    assert_eq!(cuts.load(Ordering::SeqCst), 2, "once broken, once whole");
    world.midwatch(&["run", "p", "--json"]).exits(0);
    assert_eq!(cuts.load(Ordering::SeqCst), 2, "then it comes from the store");
}

#[test]
fn a_killed_download_leaves_nothing_behind() {
    let Some(world) = World::empty() else { return };
    let (web, _) = server();
    declare(&world, "app", "http://inputs.test/slow", &hex::encode(Sha256::digest(GOOD)));
    world.commit("first");
    let mirror = |to: &str| {
        world.pipeline(&format!("[build.mirrors]\n\"http://inputs.test/\" = \"{to}\"\n"));
    };
    mirror(&format!("{web}/"));
    let mut run = world.start(&["run", "p"], "killed");
    let partial = world.data().join("inputs/partial");
    world.until("the download begins", 60, || {
        (partial.exists() && !files(&partial).is_empty()).then_some(())
    });
    run.kill();
    world.write("in/slow", std::str::from_utf8(GOOD).unwrap());
    mirror("file://{here}/in/");
    let night = world.midwatch(&["run", "p", "--json"]).exits(0).json();
    assert_eq!(image(&night, "test/app")["outcome"], "released");
    assert_eq!(files(&partial), Vec::<std::path::PathBuf>::new());
}

fn files(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push(path),
        }
    }
    found
}
