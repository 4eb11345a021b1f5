//! Images whose layers are hostile, and builds that talk too much.

use super::super::world::{BASE, World, image};

fn dockerfile(body: &str) -> String {
    format!("ARG BASE_IMAGE\nARG BASE_TAG\nFROM ${{BASE_IMAGE}}:${{BASE_TAG}}\n{body}\nUSER 1000\n")
}

/// A tar with a device, a pipe, a hard link out of it and another archive inside.
fn odd_tar() -> Vec<u8> {
    let mut inner = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(4);
    header.set_mode(0o644);
    inner.append_data(&mut header.clone(), "deeper/x", &b"deep"[..]).unwrap();
    let mut nested = inner.into_inner().unwrap();
    for level in 0..8 {
        let mut outer = tar::Builder::new(Vec::new());
        header.set_size(nested.len() as u64);
        outer.append_data(&mut header.clone(), format!("l{level}.tar"), &nested[..]).unwrap();
        nested = outer.into_inner().unwrap();
    }
    let mut tar = tar::Builder::new(Vec::new());
    header.set_size(nested.len() as u64);
    tar.append_data(&mut header.clone(), "srv/nested.tar", &nested[..]).unwrap();
    let mut device = tar::Header::new_gnu();
    device.set_entry_type(tar::EntryType::Char);
    device.set_size(0);
    device.set_mode(0o666);
    device.set_device_major(1).unwrap();
    device.set_device_minor(3).unwrap();
    tar.append_data(&mut device.clone(), "srv/null", std::io::empty()).unwrap();
    device.set_entry_type(tar::EntryType::Fifo);
    tar.append_data(&mut device.clone(), "srv/pipe", std::io::empty()).unwrap();
    tar.into_inner().unwrap()
}

#[test]
fn odd_layers_are_read_to_the_end_and_what_was_not_understood_is_said() {
    let Some(world) = World::empty() else { return };
    let images = [
        ("good", ""),
        (
            "dpkg",
            "RUN mkdir -p /var/lib/dpkg && printf 'Package: a\\nVersion\\n\\377\\n\\nPackage: b\\nStatus: install ok installed\\nVersion: 1.0-1\\nArchitecture: amd64\\n' > /var/lib/dpkg/status",
        ),
        ("sparse", "RUN dd of=/sparse bs=1 count=0 seek=1G"),
        (
            "odd",
            "ADD odd.tar /\nRUN : > \"$(printf '/srv/f\\377')\" && printf x > /srv/set && chmod 4755 /srv/set",
        ),
        (
            "loud",
            "RUN i=0; while [ $i -lt 60000 ]; do echo \"line $i of a build that talks and talks\"; i=$((i+1)); done; false",
        ),
    ];
    for (name, body) in images {
        world.image(name, &format!("test/{name}"), BASE.rsplit_once(':'), &dockerfile(body));
    }
    std::fs::write(world.path("repo/odd/odd.tar"), odd_tar()).unwrap();
    world.commit("first");
    world.pipeline("log-limit = \"100KB\"\n[mail]\nto = [\"security@example.org\"]\n");
    let night = world.midwatch(&["run", "p", "--json"]).exits(2).json();
    assert_eq!(night["night"]["planned"], 5);
    for name in ["good", "dpkg", "sparse", "odd"] {
        let image = image(&night, &format!("test/{name}"));
        assert_eq!(image["outcome"], "released", "{image:#}");
    }
    let loud = image(&night, "test/loud");
    assert_eq!((&loud["outcome"], &loud["stage"]), (&"failed".into(), &"build".into()));
    assert!(loud["error"].as_str().unwrap().len() < 2000, "{loud:#}");
    let log = loud["log"].as_str().unwrap().trim_start_matches("sha256:").to_owned();
    let log = find(&world.data().join("blobs"), &log).unwrap();
    let log = std::fs::read_to_string(log).unwrap();
    assert!(log.len() < 150_000, "{} bytes of log", log.len());
    assert!(log.contains("line 0 of"), "its beginning is kept");

    let said = world.midwatch(&["report", "p"]).exits(2).stdout;
    assert!(said.contains("dpkg"), "the broken package data base is said:\n{said}");
    let odd = format!("{}/test/odd:1.0", world.registry);
    let scan = world.midwatch(&["scan", &odd, "--format", "json"]).exits(0).json();
    let text = scan.to_string();
    assert!(text.contains("srv/set"), "setuid is found: {scan:#}");
    let packages = format!("{}/test/dpkg:1.0", world.registry);
    let sbom = world.midwatch(&["inventory", &packages]).exits(0);
    assert!(sbom.stdout.contains("pkg:deb/debian/b@1.0-1"), "{}", sbom.stdout);
    assert!(sbom.stderr.contains("not assessed: dpkg"), "{}", sbom.stderr);
}

fn find(folder: &std::path::Path, name: &str) -> Option<std::path::PathBuf> {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            if let Some(found) = find(&path, name) {
                return Some(found);
            }
        } else if path.file_name().unwrap().to_string_lossy().contains(name) {
            return Some(path);
        }
    }
    None
}
