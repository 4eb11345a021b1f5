//! Hostile archives given to `midwatch scan` and `midwatch inventory`, in bounded memory.

use std::io::Write;

use sha2::{Digest, Sha256};

use super::super::world::World;

/// Megabytes of address space that are enough.
const SPACE: u64 = 1500;

fn world() -> World {
    World::alone("unix:///nonexistent/docker.sock")
}

fn file(path: &str, bytes: &[u8], tar: &mut tar::Builder<Vec<u8>>) {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    header.as_gnu_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
    header.set_cksum();
    tar.append(&header, bytes).unwrap();
}

fn link(path: &str, target: &str, tar: &mut tar::Builder<Vec<u8>>) {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    header.set_mode(0o777);
    header.set_link_name(target).unwrap();
    tar.append_data(&mut header, path, std::io::empty()).unwrap();
}

/// A `docker save` archive of one layer.
fn saved(layer: &[u8]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let manifest = br#"[{"Config":"c.json","RepoTags":["x:1"],"Layers":["l/layer.tar"]}]"#;
    file("manifest.json", manifest, &mut tar);
    let diff = hex::encode(Sha256::digest(layer));
    let config = format!(
        r#"{{"architecture":"amd64","os":"linux","config":{{}},"rootfs":{{"type":"layers","diff_ids":["sha256:{diff}"]}}}}"#
    );
    file("c.json", config.as_bytes(), &mut tar);
    file("l/layer.tar", layer, &mut tar);
    tar.into_inner().unwrap()
}

fn layer(make: impl Fn(&mut tar::Builder<Vec<u8>>)) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let release = b"ID=debian\nVERSION_ID=\"12\"\n";
    file("etc/os-release", release, &mut tar);
    make(&mut tar);
    tar.into_inner().unwrap()
}

/// Writes `bytes` as an archive and scans it; `scan` and `inventory` must agree on the exit.
fn scan(world: &World, name: &str, bytes: &[u8], exit: i32) -> (String, String) {
    let path = world.path(name);
    std::fs::write(&path, bytes).unwrap();
    let path = path.to_str().unwrap();
    let scan = world.bounded(SPACE, &["scan", path, "--format", "json"]).exits(exit);
    let inventory = world.bounded(SPACE, &["inventory", path]).exits(exit);
    for stderr in [&scan.stderr, &inventory.stderr] {
        assert!(!stderr.contains("panicked"), "{stderr}");
        assert!(exit == 0 || stderr.contains(name), "the error names the file: {stderr}");
    }
    (scan.stdout, scan.stderr)
}

#[test]
fn what_is_no_archive_is_refused_with_its_name() {
    let world = world();
    scan(&world, "empty.tar", b"", 1);
    scan(&world, "noise.tar", &(0..=255u8).cycle().take(100_000).collect::<Vec<_>>(), 1);
    scan(&world, "text.tar", "not a tar\n".repeat(1000).as_bytes(), 1);
    scan(&world, "no-image.tar", &layer(|_| {}), 1);
    scan(&world, "gzip.tar.gz", b"\x1f\x8b\x08\x00broken", 1);
    let nothing = world.midwatch(&["scan", "/nonexistent/x.tar"]).exits(1);
    assert!(
        nothing.stderr.contains("x.tar") || nothing.stderr.contains("docker"),
        "{}",
        nothing.stderr
    );
}

#[test]
fn a_truncated_archive_is_an_error_or_a_gap_never_silence() {
    let world = world();
    let big = layer(|tar| file("srv/big", &vec![7; 300_000], tar));
    let whole = saved(&big);
    let (said, _) = scan(&world, "whole.tar", &whole, 0);
    assert!(!gap(&said), "{said}");
    for keep in [100, 600, 1500, 2500, whole.len() / 2, whole.len() - 150_000] {
        let path = world.path("cut.tar");
        std::fs::write(&path, &whole[..keep]).unwrap();
        let done = world.bounded(SPACE, &["scan", path.to_str().unwrap(), "--format", "json"]);
        match done.code {
            1 => assert!(done.stderr.contains("cut.tar"), "{keep}: {}", done.stderr),
            0 => assert!(
                !done.json()["unassessed"].to_string().is_empty() && gap(&done.stdout),
                "{keep} of {}: {}",
                whole.len(),
                done.stdout
            ),
            other => panic!("{keep}: exit {other}\n{}", done.stderr),
        }
    }
}

/// Whether something besides the missing advisory data is said to be unassessed.
fn gap(stdout: &str) -> bool {
    let scan: serde_json::Value = serde_json::from_str(stdout).unwrap();
    let lines = scan["unassessed"].as_array().unwrap().iter();
    lines.filter(|line| !line.as_str().unwrap().starts_with("no advisory data")).count() > 0
}

#[test]
fn members_that_lead_out_of_the_image_stay_inside_it() {
    let world = world();
    std::fs::create_dir_all(world.path("a/b")).unwrap();
    let hostile = layer(|tar| {
        file("../../escaped", b"x", tar);
        file("/absolute", b"x", tar);
        file("a/../../../escaped2", b"x", tar);
        link("loop", "loop", tar);
        link("ping", "pong", tar);
        link("pong", "ping", tar);
        link("etc/passwd", "/etc/shadow", tar);
        link("var/lib/dpkg/status", "../../../../../../../../etc/passwd", tar);
        link("usr/lib/os-release", "/proc/self/environ", tar);
    });
    let (said, _) = scan(&world, "a/b/escape.tar", &saved(&hostile), 0);
    assert!(!said.contains("root:x:0"), "nothing of this machine is read: {said}");
    for path in ["escaped", "escaped2", "a/escaped", "a/b/escaped"] {
        assert!(!world.path(path).exists(), "{path}");
    }
    let manifest = br#"[{"Config":"../c.json","RepoTags":null,"Layers":["../../etc/passwd"]}]"#;
    let mut tar = tar::Builder::new(Vec::new());
    file("manifest.json", manifest, &mut tar);
    let (said, stderr) = scan(&world, "manifest.tar", &tar.into_inner().unwrap(), 1);
    assert!(!said.contains("root:x:0") && !stderr.contains("root:x:0"));
}

#[test]
fn a_bomb_of_a_layer_is_read_in_bounded_memory() {
    let world = world();
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let size: u64 = 1 << 30;
    let mut header = tar::Header::new_gnu();
    header.set_path("srv/zeros.json").unwrap();
    header.set_size(size);
    header.set_mode(0o644);
    header.set_cksum();
    bomb.write_all(header.as_bytes()).unwrap();
    let zeros = vec![0; 1 << 20];
    for _ in 0..size >> 20 {
        bomb.write_all(&zeros).unwrap();
    }
    bomb.write_all(&[0; 1024]).unwrap();
    let bomb = bomb.finish().unwrap();
    assert!(bomb.len() < 20_000_000, "{}", bomb.len());
    let path = world.path("bomb.tar");
    std::fs::write(&path, saved(&bomb)).unwrap();
    let done = world.bounded(SPACE, &["scan", path.to_str().unwrap(), "--format", "json"]).exits(0);
    assert_eq!(done.json()["target"], path.to_str().unwrap());
}

#[test]
fn names_that_are_no_text_and_hostile_package_files_are_gaps() {
    let world = world();
    let hostile = layer(|tar| {
        let mut header = tar::Header::new_gnu();
        header.as_gnu_mut().unwrap().name[..6].copy_from_slice(b"srv/\xff\xfe");
        header.set_size(1);
        header.set_mode(0o4755);
        header.set_cksum();
        tar.append(&header, &b"x"[..]).unwrap();
        let deep = "[".repeat(200_000);
        file("usr/lib/node_modules/x/package.json", deep.as_bytes(), tar);
        file(
            "var/lib/dpkg/status",
            b"Package: \x1b[31mred\nVersion: 1\nStatus: install ok installed\n",
            tar,
        );
    });
    let (said, _) = scan(&world, "names.tar", &saved(&hostile), 0);
    assert!(gap(&said), "{said}");
    assert!(said.contains("package.json"), "{said}");
    let table = world.midwatch(&["scan", world.path("names.tar").to_str().unwrap()]).exits(0);
    assert!(!table.stdout.contains("\u{1b}[31m"), "{:?}", table.stdout);
}
