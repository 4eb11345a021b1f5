//! What a user relies on: right packages from good images, honest gaps from bad ones.

use std::io::Write;

use serde_json::json;
use sha2::{Digest, Sha256};

use super::*;
use crate::model::finding::Kind as FindingKind;
use crate::model::inventory::Package;
use chrono::DateTime;

mod hostile;
mod kinds;
mod real;

/// Builds one tar, entry by entry, headers unchecked so that they may be hostile.
#[derive(Default)]
struct Tar(Vec<u8>);

impl Tar {
    fn raw(
        mut self,
        kind: u8,
        name: &[u8],
        link: &[u8],
        mode: u32,
        size: u64,
        data: &[u8],
    ) -> Self {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name);
        header.as_old_mut().linkname[..link.len()].copy_from_slice(link);
        header.set_entry_type(tar::EntryType::new(kind));
        header.set_mode(mode);
        header.set_size(size);
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(data);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    fn mode(self, name: &str, mode: u32, data: impl AsRef<[u8]>) -> Self {
        let data = data.as_ref();
        let size = data.len() as u64;
        if name.len() < 100 {
            return self.raw(b'0', name.as_bytes(), b"", mode, size, data);
        }
        let long = name.len() as u64;
        self.raw(b'L', b"././@LongLink", b"", 0, long, name.as_bytes())
            .raw(b'0', b"cut", b"", mode, size, data)
    }

    fn file(self, name: &str, data: impl AsRef<[u8]>) -> Self {
        self.mode(name, 0o644, data)
    }

    fn dir(self, name: &str, mode: u32) -> Self {
        self.raw(b'5', name.as_bytes(), b"", mode, 0, b"")
    }

    fn symlink(self, name: &str, target: &str) -> Self {
        self.raw(b'2', name.as_bytes(), target.as_bytes(), 0o777, 0, b"")
    }

    fn hardlink(self, name: &str, target: &str) -> Self {
        self.raw(b'1', name.as_bytes(), target.as_bytes(), 0o644, 0, b"")
    }

    fn end(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }
}

fn sha(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

fn diff_id(layer: &[u8]) -> String {
    format!("sha256:{}", sha(layer))
}

fn config(layers: &[Vec<u8>]) -> Vec<u8> {
    let ids: Vec<String> = layers.iter().map(|layer| diff_id(layer)).collect();
    let step = |i: usize| json!({"created_by": format!("step {i}")});
    let mut history: Vec<_> = (0..layers.len()).map(step).collect();
    history.insert(0, json!({"created_by": "ENV A=b", "empty_layer": true}));
    json!({
        "architecture": "amd64",
        "config": {
            "User": "1000", "Env": ["A=b"], "Cmd": ["serve"], "Entrypoint": ["/app"],
            "ExposedPorts": {"80/tcp": {}}, "Volumes": null, "Labels": {"k": "v"},
            "Healthcheck": {"Test": ["CMD", "true"]},
        },
        "history": history,
        "rootfs": {"type": "layers", "diff_ids": ids},
    })
    .to_string()
    .into_bytes()
}

/// `docker save` as Docker 20.10 writes it.
fn legacy(layers: &[Vec<u8>]) -> Vec<u8> {
    let config = config(layers);
    let name = format!("{}.json", sha(&config));
    let mut tar = Tar::default().file(&name, &config);
    let mut names = Vec::new();
    for (i, layer) in layers.iter().enumerate() {
        tar = tar.dir(&format!("{i:064}/"), 0o755).file(&format!("{i:064}/VERSION"), "1.0");
        names.push(format!("{i:064}/layer.tar"));
        tar = match layers[..i].iter().position(|earlier| earlier == layer) {
            Some(same) => tar.symlink(&names[i], &format!("../{same:064}/layer.tar")),
            None => tar.file(&names[i], layer),
        };
    }
    let manifest = json!([{"Config": name, "RepoTags": ["demo:1"], "Layers": names}]);
    tar.file("manifest.json", manifest.to_string()).end()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

fn zst(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

/// The blobs and documents of an OCI layout: a nested index with an attestation, no `manifest.json`.
fn oci_files(layers: &[Vec<u8>], blobs: &[Vec<u8>]) -> Vec<(String, Vec<u8>)> {
    let config = config(layers);
    let mut files = Vec::new();
    let mut add = |bytes: Vec<u8>| {
        let hex = sha(&bytes);
        files.push((format!("blobs/sha256/{hex}"), bytes));
        format!("sha256:{hex}")
    };
    let config = json!({"digest": add(config)});
    let list: Vec<_> = blobs.iter().map(|blob| json!({"digest": add(blob.clone())})).collect();
    let manifest = add(json!({"config": config, "layers": list}).to_string().into_bytes());
    let attestation = add(json!({"config": {"digest": "sha256:00"}}).to_string().into_bytes());
    let unknown = json!({"os": "unknown", "architecture": "unknown"});
    let nested = json!({"manifests": [
        {"digest": attestation, "platform": unknown,
         "annotations": {"vnd.docker.reference.type": "attestation-manifest"}},
        {"digest": manifest, "platform": {"os": "linux", "architecture": "amd64"}},
    ]});
    let nested = add(nested.to_string().into_bytes());
    let index = json!({"manifests": [{"digest": nested}]}).to_string().into_bytes();
    files.push(("index.json".to_owned(), index));
    files.push(("oci-layout".to_owned(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec()));
    files
}

fn oci(layers: &[Vec<u8>], blobs: &[Vec<u8>]) -> Vec<u8> {
    let files = oci_files(layers, blobs);
    files.iter().fold(Tar::default(), |tar, (name, bytes)| tar.file(name, bytes)).end()
}

fn nothing(_: &FileSeen<'_>) -> Vec<Finding> {
    Vec::new()
}

fn read(bytes: &[u8]) -> Inventory {
    archive(bytes, &Limits::default(), &nothing).unwrap()
}

fn one(layer: Tar) -> Inventory {
    read(&legacy(&[layer.end()]))
}

fn names(inventory: &Inventory) -> Vec<String> {
    inventory.packages.iter().map(|p| format!("{}@{}", p.name, p.version)).collect()
}

fn package<'a>(inventory: &'a Inventory, name: &str) -> &'a Package {
    inventory.packages.iter().find(|p| p.name == name).unwrap()
}

fn gap_kinds(inventory: &Inventory) -> Vec<&str> {
    inventory.gaps.iter().map(|gap| gap.kind.as_str()).collect()
}

const RELEASE: &str = "ID=debian\nVERSION_ID=\"12\"\nPRETTY_NAME=\"Debian GNU/Linux 12\"\n";
const BASH: &str = "Package: bash\nStatus: install ok installed\nArchitecture: amd64\n\
    Source: bash (5.2.15-2)\nVersion: 5.2.15-2+b13\nDescription: shell\n more: text\n\n";
const LOGIN: &str = "Package: login\nStatus: install ok installed\nArchitecture: amd64\n\
    Source: shadow\nVersion: 1:4.13+dfsg1-1\n\n";

fn debian() -> Tar {
    Tar::default()
        .dir("etc/", 0o755)
        .symlink("etc/os-release", "../usr/lib/os-release")
        .file("usr/lib/os-release", RELEASE)
        .file("var/lib/dpkg/status", BASH)
}

#[test]
fn a_saved_image_has_its_packages_with_their_layers() {
    let base = debian().end();
    let upper = Tar::default()
        .file("./var/lib/dpkg/status", format!("{BASH}{LOGIN}"))
        .file("app/x/.wh..wh..opq", "")
        .end();
    let inventory = read(&legacy(&[base.clone(), upper.clone()]));

    assert_eq!(names(&inventory), ["bash@5.2.15-2+b13", "login@1:4.13+dfsg1-1"]);
    assert_eq!(package(&inventory, "bash").layer, diff_id(&base));
    let login = package(&inventory, "login");
    assert_eq!(login.layer, diff_id(&upper));
    assert_eq!(login.ecosystem, "Debian:12");
    assert_eq!(login.purl, "pkg:deb/debian/login@1%3A4.13%2Bdfsg1-1?arch=amd64&distro=debian-12");
    let source = |name: &str| package(&inventory, name).source.clone().unwrap();
    assert_eq!(
        (source("bash").version, source("login").name),
        ("5.2.15-2".into(), "shadow".into())
    );
    assert_eq!(source("login").version, "1:4.13+dfsg1-1");

    assert_eq!(inventory.gaps, []);
    assert_eq!(inventory.target, "demo:1");
    assert_eq!(inventory.digest, diff_id(&config(&[base.clone(), upper.clone()])));
    assert_eq!(inventory.os.as_ref().unwrap().version, "12");
    assert_eq!(inventory.size, (base.len() + upper.len()) as u64);
    let steps: Vec<_> = inventory.layers.iter().map(|layer| layer.created_by.as_str()).collect();
    assert_eq!(steps, ["step 0", "step 1"]);
}

#[test]
fn the_configuration_is_read() {
    let inventory = one(debian());
    let config = &inventory.config;
    assert_eq!((inventory.architecture.as_str(), config.user.as_str()), ("amd64", "1000"));
    assert_eq!(config.command, ["/app", "serve"]);
    assert_eq!(config.ports, ["80/tcp"]);
    assert!(config.healthcheck && config.volumes.is_empty());
    assert_eq!(config.history, ["ENV A=b", "step 0"]);
    assert_eq!(config.labels["k"], "v");
}

#[test]
fn all_shapes_of_an_image_give_the_same_inventory() {
    let layers = [debian().end(), Tar::default().file("etc/.wh.hosts", "").end()];
    let saved = read(&legacy(&layers));
    let plain = read(&oci(&layers, &layers));
    let packed = read(&oci(&layers, &[gzip(&layers[0]), zst(&layers[1])]));
    assert_eq!(plain, packed);
    assert_eq!(packed, Inventory { target: String::new(), ..saved });
}

#[test]
fn files_and_layout_folders_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let layers = [debian().end()];
    let saved = read(&legacy(&layers));
    let expected = saved.packages;
    let limits = Limits::default();
    let plain = folder.path().join("image.tar");
    let unnamed = plain.display().to_string();
    let archives = [
        (legacy(&layers), &saved.target),
        (gzip(&legacy(&layers)), &saved.target),
        (zst(&oci(&layers, &layers)), &unnamed),
    ];
    for (bytes, target) in archives {
        std::fs::write(&plain, bytes).unwrap();
        let inventory = file(&plain, &limits, &nothing).unwrap();
        assert_eq!(inventory.packages, expected);
        assert_eq!(&inventory.target, target);
    }
    let layout = folder.path().join("layout");
    std::fs::create_dir_all(layout.join("blobs/sha256")).unwrap();
    for (name, bytes) in oci_files(&layers, &[gzip(&layers[0])]) {
        std::fs::write(layout.join(name), bytes).unwrap();
    }
    assert_eq!(file(&layout, &limits, &nothing).unwrap().packages, expected);
}

#[test]
fn a_repeated_layer_is_read_once_and_counted_twice() {
    let same = Tar::default().file("a", "a").end();
    let inventory = read(&legacy(&[same.clone(), debian().end(), same.clone()]));
    assert_eq!(inventory.gaps, []);
    assert_eq!(inventory.layers.len(), 3);
    assert_eq!(inventory.layers[0].digest, inventory.layers[2].digest);
}

#[test]
fn whiteouts_hide_what_lies_below_and_nothing_else() {
    let module = |name: &str| format!(r#"{{"name":"{name}","version":"1.0.0"}}"#);
    let base = Tar::default()
        .file("a/node_modules/one/package.json", module("one"))
        .file("a/node_modules/one-more/package.json", module("one-more"))
        .file("b/node_modules/two/package.json", module("two"))
        .file("c/node_modules/three/package.json", module("three"));
    // The opaque mark stands behind its folder's new content, as it may.
    let upper = Tar::default()
        .file("a/node_modules/.wh.one", "")
        .file("b/node_modules/four/package.json", module("four"))
        .file("b/.wh..wh..opq", "")
        .file("c", "a file now")
        .file("d/.wh.", "")
        .file("d/.wh...", "");
    let inventory = read(&legacy(&[base.end(), upper.end()]));
    assert_eq!(names(&inventory), ["four@1.0.0", "one-more@1.0.0"]);
}

#[test]
fn secrets_of_deleted_files_are_found_with_their_layer() {
    let find = |seen: &FileSeen<'_>| -> Vec<Finding> {
        let hit = seen.content.windows(5).any(|window| window == b"TOKEN");
        let finding = Finding {
            kind: FindingKind::Secret,
            path: Some(seen.path.to_owned()),
            ..Finding::default()
        };
        if hit { vec![finding] } else { Vec::new() }
    };
    let base = Tar::default().file("root/.env", "TOKEN=1").file("plain", "nothing").end();
    let upper = Tar::default().file("root/.wh..env", "").end();
    let archived = legacy(&[base.clone(), upper]);
    let inventory = archive(&archived[..], &Limits::default(), &find).unwrap();
    assert_eq!(inventory.secrets.len(), 1);
    assert_eq!(inventory.secrets[0].path.as_deref(), Some("root/.env"));
    assert_eq!(inventory.secrets[0].layer, Some(diff_id(&base)));

    let limits = Limits { secrets: 0, ..Limits::default() };
    let inventory = archive(&archived[..], &limits, &find).unwrap();
    assert_eq!((inventory.secrets.len(), gap_kinds(&inventory)), (0, vec!["secrets"]));
}

#[test]
fn facts_are_those_of_the_final_file_system() {
    let base = debian()
        .mode("usr/bin/mount", 0o4755, "x")
        .mode("usr/bin/gone", 0o4755, "x")
        .mode("usr/bin/bash", 0o755, "x")
        .symlink("usr/bin/sh", "bash")
        .symlink("usr/bin/wget", "nowhere")
        .file("etc/passwd", "root:$1$abc:0:0::/root:/bin/bash\n")
        .file("etc/shadow", "root:$6$secret$hash:1\nopen::1\nlocked:!$y$hash:1\nno:*:1\n")
        .dir("tmp/", 0o1777)
        .dir("srv/", 0o777)
        .mode("srv/all", 0o666, "x")
        .file("var/lib/apt/lists/lock", "")
        .file("var/cache/apt/archives/a.deb", "x")
        .file("root/.cache/pip/http/a", "x")
        .file("root/.cache/pip/http/b", "x");
    let upper = Tar::default().file("usr/bin/.wh.gone", "");
    let files = read(&legacy(&[base.end(), upper.end()])).files;

    let paths = |list: &[crate::model::inventory::FileRef]| -> Vec<String> {
        list.iter().map(|file| file.path.clone()).collect()
    };
    assert_eq!(paths(&files.setuid), ["usr/bin/mount"]);
    assert_eq!(files.setuid[0].mode, 0o4755);
    assert_eq!(paths(&files.world_writable), ["srv", "srv/all"]);
    assert_eq!(paths(&files.tools), ["usr/bin/bash", "usr/bin/sh"]);
    assert_eq!(paths(&files.caches), ["root/.cache/pip", "var/cache/apt/archives/a.deb"]);
    assert_eq!(files.passwd.as_deref(), Some("root:x:0:0::/root:/bin/bash\n"));
    assert_eq!(files.shadow.as_deref(), Some("root:x:1\nopen::1\nlocked:x:1\nno:*:1\n"));
    assert_eq!((files.count, files.executables), (11, 2));
}

#[test]
fn a_folder_is_read_without_leaving_it() {
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("status"), BASH).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for dir in ["etc", "usr/lib", "var/lib/dpkg"] {
        std::fs::create_dir_all(root.join(dir)).unwrap();
    }
    std::fs::write(root.join("usr/lib/os-release"), RELEASE).unwrap();
    std::os::unix::fs::symlink("/usr/lib/os-release", root.join("etc/os-release")).unwrap();
    let status = root.join("var/lib/dpkg/status");
    std::os::unix::fs::symlink(outside.path().join("status"), &status).unwrap();
    std::os::unix::fs::symlink(outside.path(), root.join("out")).unwrap();
    let inventory = super::folder(root, &Limits::default(), &nothing).unwrap();
    assert_eq!(names(&inventory), [""; 0]);
    assert_eq!(inventory.os.as_ref().unwrap().id, "debian");

    std::fs::remove_file(&status).unwrap();
    std::fs::write(&status, BASH).unwrap();
    let inventory = file(root, &Limits::default(), &nothing).unwrap();
    assert_eq!(names(&inventory), ["bash@5.2.15-2+b13"]);
    assert_eq!(inventory.packages[0].layer, "");
}

#[test]
fn the_bill_of_materials_is_cyclonedx() {
    let layer = debian()
        .file(
            "app/node_modules/@s/n/package.json",
            r#"{"name":"@s/n","version":"1","license":"MIT"}"#,
        )
        .file(
            "old/node_modules/@s/n/package.json",
            r#"{"name":"@s/n","version":"1","license":"X"}"#,
        )
        .file("lib/apk/db/installed", "x");
    let inventory = one(layer);
    let meta = SbomMeta {
        name: "team/Demo".to_owned(),
        version: "1".to_owned(),
        timestamp: DateTime::UNIX_EPOCH,
        serial: "urn:uuid:3e671687-395b-41f5-a30f-a58921a69b79".to_owned(),
        tool_version: "0.1.0".to_owned(),
    };
    let bom = cyclonedx(&inventory, &meta).unwrap();
    assert_eq!(bom, cyclonedx(&inventory, &meta).unwrap());
    assert_eq!((&bom["bomFormat"], &bom["specVersion"]), (&json!("CycloneDX"), &json!("1.6")));
    assert_eq!(bom["metadata"]["timestamp"], "1970-01-01T00:00:00Z");
    let image = &bom["metadata"]["component"];
    assert_eq!(image["type"], "container");
    assert!(image["purl"].as_str().unwrap().starts_with("pkg:oci/demo@sha256%3A"));
    assert!(bom["metadata"]["properties"][0]["value"].as_str().unwrap().contains("apk"));

    let components = bom["components"].as_array().unwrap();
    let kinds: Vec<_> = components.iter().map(|c| c["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["operating-system", "library", "library", "library"]);
    let references: std::collections::HashSet<_> =
        components.iter().map(|c| c["bom-ref"].as_str().unwrap()).collect();
    assert_eq!(references.len(), components.len());
    assert_eq!(
        components[1]["properties"][3],
        json!({"name": "midwatch:source", "value": "bash 5.2.15-2"})
    );
    assert_eq!(components[2]["purl"], "pkg:npm/%40s/n@1");
    assert_eq!(components[2]["licenses"], json!([{"license": {"id": "MIT"}}]));
    assert_eq!(components[3]["licenses"], json!([{"license": {"name": "X"}}]));
}
