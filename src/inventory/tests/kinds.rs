//! Kinds of package and system, each by its own files.

use super::*;

/// A small ELF program with one data segment, and a section of this name over it.
pub(super) fn elf(section: &str, data: &[u8]) -> Vec<u8> {
    const AT: u64 = 128;
    let names = format!("\0{section}\0.shstrtab\0");
    let names_at = AT + data.len() as u64;
    let table_at = (names_at + names.len() as u64).next_multiple_of(16);
    let mut out = b"\x7fELF\x02\x01\x01".to_vec();
    out.resize(16, 0);
    let short = |out: &mut Vec<u8>, v: u16| out.extend(v.to_le_bytes());
    let word = |out: &mut Vec<u8>, v: u32| out.extend(v.to_le_bytes());
    let long = |out: &mut Vec<u8>, v: u64| out.extend(v.to_le_bytes());
    short(&mut out, 2);
    short(&mut out, 62);
    word(&mut out, 1);
    for value in [0, 64, table_at] {
        long(&mut out, value);
    }
    word(&mut out, 0);
    for value in [64, 56, 1, 64, 3, 2] {
        short(&mut out, value);
    }
    word(&mut out, 1);
    word(&mut out, 6);
    let size = data.len() as u64;
    for value in [AT, BASE, BASE, size, size, 16] {
        long(&mut out, value);
    }
    out.resize(AT as usize, 0);
    out.extend_from_slice(data);
    out.extend_from_slice(names.as_bytes());
    out.resize(table_at as usize, 0);
    let rows = [
        (0, 0, 0, 0, 0),
        (1, 1, BASE, AT, size),
        (section.len() as u32 + 2, 3, 0, names_at, names.len() as u64),
    ];
    for (name, kind, address, offset, size) in rows {
        word(&mut out, name);
        word(&mut out, kind);
        for value in [0, address, offset, size, 0, 0, 0] {
            long(&mut out, value);
        }
        out.resize(out.len().next_multiple_of(64), 0);
    }
    out
}

const BASE: u64 = 0x50_0000;

const MODULES: &str = "path\texample.org/app\nmod\texample.org/app\t(devel)\t\n\
    dep\tgithub.com/Old/thing\tv1.0.0\th1:x\ndep\texample.org/kept\tv0.1.0+incompatible\th1:x\n\
    =>\texample.org/fork\tv0.2.0\th1:x\ndep\texample.org/local\tv0.3.0\n=>\t./local\t\n\
    build\t-compiler=gc\n";

fn framed() -> Vec<u8> {
    [&[b'a'; 16][..], MODULES.as_bytes(), &[b'z'; 16]].concat()
}

/// The build information since Go 1.18: both strings inline behind their lengths.
pub(super) fn inline_info(version: &str) -> Vec<u8> {
    let mut data = b"\xff Go buildinf:\x08\x02".to_vec();
    data.resize(32, 0);
    for text in [version.as_bytes(), &framed()] {
        let mut length = text.len();
        while length >= 0x80 {
            data.push(length as u8 | 0x80);
            length >>= 7;
        }
        data.push(length as u8);
        data.extend_from_slice(text);
    }
    data
}

/// The build information before Go 1.18: pointers to string headers.
fn pointer_info(version: &str) -> Vec<u8> {
    let mut data = b"\xff Go buildinf:\x08\x00".to_vec();
    let texts = [version.as_bytes().to_vec(), framed()];
    let headers = BASE + 32;
    for pointer in [headers, headers + 16] {
        data.extend(pointer.to_le_bytes());
    }
    let mut at = headers + 32;
    for text in &texts {
        data.extend(at.to_le_bytes());
        data.extend((text.len() as u64).to_le_bytes());
        at += text.len() as u64;
    }
    data.extend(texts.concat());
    data
}

#[test]
fn go_modules_are_read_in_both_formats() {
    let infos = [
        elf(".go.buildinfo", &inline_info("go1.22.3 X:boringcrypto")),
        elf(".data", &inline_info("go1.22.3")),
        elf(".go.buildinfo", &pointer_info("go1.22.3")),
    ];
    for binary in infos {
        let inventory = one(debian().mode("usr/local/bin/app", 0o755, binary));
        let expected = [
            "bash@5.2.15-2+b13",
            "example.org/fork@v0.2.0",
            "github.com/Old/thing@v1.0.0",
            "stdlib@1.22.3",
        ];
        assert_eq!(names(&inventory), expected);
        let thing = package(&inventory, "github.com/Old/thing");
        assert_eq!((thing.ecosystem.as_str(), thing.path.as_str()), ("Go", "usr/local/bin/app"));
        assert_eq!(thing.purl, "pkg:golang/github.com/old/thing@v1.0.0");
        assert_eq!(inventory.gaps.len(), 1);
        assert!(inventory.gaps[0].reason.contains("local folder"));
    }
}

#[test]
fn go_build_information_is_not_taken_from_anywhere() {
    // A program that only talks of build information, as Go's own tools do.
    let mut talk = vec![0; 40];
    talk.extend(inline_info("go1.22.3"));
    assert_eq!(names(&one(Tar::default().file("tool", elf(".rodata", &talk)))), [""; 0]);
    let cut = &inline_info("go1.22.3")[..60];
    let inventory = one(Tar::default().file("broken", elf(".go.buildinfo", cut)));
    assert_eq!(gap_kinds(&inventory), ["go binary"]);
    let devel = elf(".go.buildinfo", &inline_info("devel go1.23-abcdef"));
    let inventory = one(Tar::default().file("devel", devel));
    assert!(!names(&inventory).iter().any(|name| name.starts_with("stdlib")));
    assert!(inventory.gaps.iter().any(|gap| gap.reason.contains("unreleased")));
}

#[test]
fn python_names_are_normal_and_licences_the_best_stated() {
    let site = "usr/local/lib/python3.11/site-packages";
    let layer = Tar::default()
        .file(
            &format!("{site}/Zope.Interface-5.0.dist-info/METADATA"),
            "Metadata-Version: 2.1\nName: Zope._Interface\nVersion: 5.0\nLicense: ZPL\n\
             Classifier: License :: OSI Approved :: MIT License\n\nName: body\n",
        )
        .file(
            &format!("{site}/b-1.0-py3.11.egg-info"),
            "Name: b\nVersion: 1.0\nLicense: UNKNOWN\nClassifier: License :: OSI Approved :: BSD\n",
        )
        .file(&format!("{site}/c_d-2.0.egg-info/PKG-INFO"), "Summary: no name\n")
        .file(
            &format!("{site}/e-1.dist-info/METADATA"),
            "Name: e\nVersion: 1\nLicense: long text\nLicense-Expression: MIT OR Apache-2.0\n",
        )
        .file("src/proj/PKG-INFO", "Name: source-tree\nVersion: 1\n")
        .file(&format!("{site}/x.dist-info/METADATA"), "garbage");
    let inventory = one(layer);
    assert_eq!(names(&inventory), ["b@1.0", "c-d@2.0", "e@1", "zope-interface@5.0"]);
    let licences = |name: &str| package(&inventory, name).licences.join("|");
    assert_eq!((licences("zope-interface"), licences("b")), ("ZPL".into(), "BSD".into()));
    assert_eq!(licences("e"), "MIT OR Apache-2.0");
    assert_eq!(package(&inventory, "b").purl, "pkg:pypi/b@1.0");
    assert_eq!(gap_kinds(&inventory), ["python package"]);
}

#[test]
fn npm_packages_are_named_and_versioned_modules() {
    let layer = Tar::default()
        .file("app/package.json", r#"{"name":"app","version":"9.9.9"}"#)
        .file(
            "app/node_modules/a/package.json",
            "\u{feff}{\"name\":\"a\",\"version\":\"1.0.0\",\"license\":{\"type\":\"MIT\"}}",
        )
        .file("app/node_modules/a/test/package.json", r#"{"name":"fixture"}"#)
        .file("app/node_modules/a/esm/package.json", r#"{"type":"module"}"#)
        .file("app/node_modules/a/test/bad/package.json", "{")
        .file(
            "app/node_modules/@x/y/package.json",
            r#"{"name":"@x/y","version":"2.0.0","license":7,"licenses":[{"type":"ISC"},3,"MIT"]}"#,
        )
        .file("app/node_modules/z/package.json", r#"{"name":"../z","version":"1"}"#)
        .file("app/node_modules/bad/package.json", "{");
    let inventory = one(layer);
    assert_eq!(names(&inventory), ["@x/y@2.0.0", "a@1.0.0"]);
    assert_eq!(package(&inventory, "@x/y").purl, "pkg:npm/%40x/y@2.0.0");
    assert_eq!(package(&inventory, "@x/y").licences, ["ISC", "MIT"]);
    assert_eq!(package(&inventory, "a").licences, ["MIT"]);
    assert_eq!(gap_kinds(&inventory), ["npm package"]);
    assert_eq!(inventory.gaps[0].path, "app/node_modules/bad/package.json");
}

#[test]
fn language_packages_of_the_distribution_are_owned_by_it() {
    let metadata = "Name: six\nVersion: 1.16.0\n";
    let layer = debian()
        .file("usr/lib/python3/dist-packages/six-1.16.0.egg-info/PKG-INFO", metadata)
        .file(
            "usr/local/lib/python3/site-packages/six-2.dist-info/METADATA",
            "Name: six\nVersion: 2\n",
        )
        .mode("usr/bin/containerd", 0o755, elf(".go.buildinfo", &inline_info("go1.19.8")))
        .file(
            "var/lib/dpkg/info/python3-six.list",
            "/.\n/usr\n/usr/lib/python3/dist-packages/six-1.16.0.egg-info/PKG-INFO\n",
        )
        .file("var/lib/dpkg/info/containerd:amd64.list", "/.\n/bin/containerd\n");
    let inventory = one(layer);
    let owner = |name: &str, version: &str| {
        let found = inventory.packages.iter().find(|p| p.name == name && p.version == version);
        found.unwrap().owner.clone()
    };
    assert_eq!(owner("six", "1.16.0").as_deref(), Some("python3-six"));
    assert_eq!(owner("six", "2"), None);
    assert_eq!(owner("stdlib", "1.19.8").as_deref(), Some("containerd"));
    assert_eq!(package(&inventory, "bash").owner, None);
}

#[test]
fn only_installed_packages_count() {
    let status = format!(
        "{BASH}Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n\n\
         Package: held\nStatus: hold ok installed\nVersion: 2\n\n\
         Package: half\nStatus: install ok half-installed\nVersion: 3\n"
    );
    let inventory = one(debian().file("var/lib/dpkg/status", status));
    assert_eq!(names(&inventory), ["bash@5.2.15-2+b13", "held@2"]);
    assert_eq!(inventory.gaps, []);
}

#[test]
fn distroless_status_files_count() {
    let layer = Tar::default()
        .file("usr/lib/os-release", RELEASE)
        .file("var/lib/dpkg/status.d/tzdata", "Package: tzdata\nVersion: 2024a-0\n")
        .file("var/lib/dpkg/status.d/tzdata.md5sums", "0123  usr/share/zoneinfo/UTC\n");
    let bytes = layer.end();
    let inventory = read(&legacy(std::slice::from_ref(&bytes)));
    assert_eq!(names(&inventory), ["tzdata@2024a-0"]);
    let tzdata = package(&inventory, "tzdata");
    assert_eq!(
        (tzdata.path.as_str(), &tzdata.layer),
        ("var/lib/dpkg/status.d/tzdata", &diff_id(&bytes))
    );
    assert_eq!(inventory.gaps, []);
}

#[test]
fn a_removed_status_file_is_a_gap() {
    let upper = Tar::default().file("var/lib/.wh.dpkg", "").end();
    let inventory = read(&legacy(&[debian().end(), upper]));
    assert_eq!((names(&inventory).len(), gap_kinds(&inventory)), (0, vec!["dpkg status"]));
}

#[test]
fn the_ecosystem_is_the_release() {
    let of = |release: &str, version: &str| {
        let layer = Tar::default()
            .file("etc/os-release", release)
            .file("etc/debian_version", version)
            .file("var/lib/dpkg/status", BASH);
        let inventory = one(layer);
        (inventory.packages[0].ecosystem.clone(), inventory.gaps.len())
    };
    assert_eq!(of("ID=ubuntu\nVERSION_ID='22.04'\n", "bookworm/sid"), ("Ubuntu:22.04".into(), 0));
    assert_eq!(of("ID=debian\n", "12.5\n"), ("Debian:12".into(), 0));
    assert_eq!(of("ID=debian\n", "trixie/sid\n"), ("Debian".into(), 1));
    assert_eq!(of("ID=kali\nVERSION_ID=2024.1\n", ""), ("kali:2024.1".into(), 1));
    let bare = one(Tar::default().file("var/lib/dpkg/status", BASH));
    assert_eq!((bare.packages[0].ecosystem.as_str(), bare.gaps.len()), ("Debian", 1));
}

#[test]
fn packages_that_are_not_read_yet_are_named() {
    let layer = Tar::default()
        .file("lib/apk/db/installed", "P:musl\n")
        .file("usr/lib/sysimage/rpm/rpmdb.sqlite", "x")
        .file("opt/a.jar", "PK")
        .file("opt/b.war", "PK")
        .file("usr/lib/ruby/gems/3.1.0/specifications/rake-13.gemspec", "x")
        .file("app/vendor/composer/installed.json", "{}")
        .file("app/app.deps.json", "{}")
        .dir("var/lib/rpm/Packages", 0o755);
    let inventory = one(layer);
    let expected = [
        "apk database",
        "composer packages",
        "dotnet dependencies",
        "java archive",
        "rpm database",
        "ruby gem",
    ];
    assert_eq!(gap_kinds(&inventory), expected);
    assert_eq!(inventory.gaps[3].path, "opt/a.jar");
    assert!(inventory.gaps[3].reason.starts_with("2 files"));
}

#[test]
fn purls_are_what_another_parser_reads_back() {
    let purl =
        purl::of("deb", "debian", "libstdc++6", "1:2+b~1", &[("arch", "amd64"), ("distro", "")]);
    let read: packageurl::PackageUrl<'_> = purl.parse().unwrap();
    assert_eq!((read.name(), read.version()), ("libstdc++6", Some("1:2+b~1")));
    assert_eq!(read.qualifiers().len(), 1);
}
