//! Bad input costs its own image an honest gap or error, never a panic, memory or minutes.

use proptest::prelude::*;

use super::*;

fn with(layer: Vec<u8>) -> Inventory {
    read(&legacy(&[debian().end(), layer]))
}

/// The good layer below is counted and the bad one is named.
fn is_gap(inventory: &Inventory) {
    assert_eq!(names(inventory), ["bash@5.2.15-2+b13"]);
    assert!(gap_kinds(inventory).contains(&"layer"), "{:?}", inventory.gaps);
}

#[test]
fn a_cut_archive_is_an_error_wherever_it_is_cut() {
    let whole = legacy(&[debian().end()]);
    let manifest = whole.len() - 1024 - 512;
    for end in (0..manifest).step_by(97) {
        let result = archive(&whole[..end], &Limits::default(), &nothing);
        assert!(result.is_err(), "cut at {end}");
    }
    let error = archive(&whole[..600], &Limits::default(), &nothing).unwrap_err().to_string();
    assert!(error.starts_with("image archive: "), "{error}");
}

#[test]
fn what_is_no_archive_is_an_error() {
    for bytes in [&b""[..], b"hello", &[0; 2048], &[0xff; 4096], b"{}"] {
        assert!(archive(bytes, &Limits::default(), &nothing).is_err());
    }
    let missing = Path::new("/nonexistent/image.tar");
    let error = file(missing, &Limits::default(), &nothing).unwrap_err().to_string();
    assert!(error.contains("/nonexistent/image.tar"));
}

#[test]
fn a_broken_layer_is_a_gap_and_the_rest_counts() {
    let good = Tar::default().file("a", vec![b'a'; 3000]).end();
    let mut damaged = good.clone();
    damaged[150] ^= 1;
    is_gap(&with(good[..1500].to_vec()));
    is_gap(&with([good.clone(), b"garbage".to_vec()].concat()[..1700].to_vec()));
    let layers = [debian().end(), good.clone()];
    let squashed = gzip(&good);
    for blob in [damaged, squashed[..squashed.len() - 9].to_vec(), zst(&good)[..8].to_vec()] {
        is_gap(&read(&oci(&layers, &[layers[0].clone(), blob])));
    }
    // Another layer than the configuration says.
    is_gap(&read(&oci(&layers, &[layers[0].clone(), Tar::default().file("b", "").end()])));
}

#[test]
fn a_missing_layer_is_a_gap() {
    let layers = [debian().end(), Tar::default().file("a", "a").end()];
    let files = oci_files(&layers, &layers);
    let lost = format!("blobs/sha256/{}", sha(&layers[1]));
    let kept = files.iter().filter(|(name, _)| *name != lost);
    let inventory =
        read(&kept.fold(Tar::default(), |tar, (name, data)| tar.file(name, data)).end());
    is_gap(&inventory);
    assert_eq!(inventory.layers[1].digest, diff_id(&layers[1]));
}

#[test]
fn names_that_escape_are_refused_and_absolute_ones_stay_inside() {
    let layer = Tar::default()
        .file("../../etc/passwd", "evil:x:0:0::/:\n")
        .file("/etc/group", "staff:x:50:\n")
        .file("a/../../b", "x")
        .hardlink("etc/shadow", "../../../etc/shadow")
        .symlink("etc/passwd", "../../../../../../etc/passwd");
    let inventory = with(layer.end());
    is_gap(&inventory);
    assert_eq!(inventory.gaps.len(), 1);
    assert_eq!((inventory.files.passwd, inventory.files.shadow), (None, None));
    assert_eq!(inventory.files.group.as_deref(), Some("staff:x:50:\n"));
}

#[test]
fn links_in_a_circle_end() {
    let layer = Tar::default()
        .symlink("etc/os-release", "../usr/lib/os-release")
        .symlink("usr/lib/os-release", "/etc/os-release")
        .symlink("bin/sh", "sh")
        .symlink("usr/bin/bash", "../../usr/bin/bash")
        .hardlink("etc/passwd", "etc/group")
        .hardlink("etc/group", "etc/passwd")
        .hardlink("var/lib/dpkg/status", "var/lib/dpkg/status");
    let inventory = one(layer);
    assert_eq!((inventory.os, inventory.files.tools.len()), (None, 0));
    assert_eq!(inventory.files.passwd, None);
}

#[test]
fn hard_links_share_their_target_content() {
    let layer = Tar::default()
        .file("etc/os-release", RELEASE)
        .file("var/lib/dpkg/status.d/kept", BASH)
        .hardlink("var/lib/dpkg/status", "var/lib/dpkg/status.d/kept");
    let inventory = one(layer);
    assert_eq!(inventory.packages.len(), 2);
    assert!(inventory.packages.iter().all(|package| package.name == "bash"));
}

#[test]
fn ten_sparse_gigabytes_cost_nothing() {
    let mut header = tar::Header::new_gnu();
    header.set_path("big").unwrap();
    header.set_entry_type(tar::EntryType::GNUSparse);
    header.set_mode(0o644);
    header.set_size(512);
    let gnu = header.as_gnu_mut().unwrap();
    gnu.set_real_size(10 << 30);
    gnu.sparse[0].set_offset((10 << 30) - 512);
    gnu.sparse[0].set_length(512);
    gnu.set_is_extended(true);
    header.set_cksum();
    let mut map = [0; 1024];
    map[504] = 1;
    let mut layer = header.as_bytes().to_vec();
    layer.extend(map);
    layer.extend([b'x'; 512]);
    let rest = Tar::default().file("usr/bin/bash", "x").end();
    let inventory = with([layer, rest].concat());
    assert_eq!(inventory.gaps, []);
    assert_eq!(inventory.files.count, 4);
}

#[test]
fn a_claimed_size_is_not_believed() {
    for size in [10 << 30, i64::MAX as u64, u64::MAX] {
        is_gap(&with(Tar::default().raw(b'0', b"etc/passwd", b"", 0o644, size, b"x").end()));
        is_gap(&with(Tar::default().raw(b'x', b"pax", b"", 0o644, size, b"x").end()));
        is_gap(&with(Tar::default().raw(b'L', b"long", b"", 0o644, size, b"x").end()));
    }
    let mut garbage = Tar::default().file("a", "a");
    garbage.0[124..136].copy_from_slice(b"99zz99zz99z\0");
    let sum: u32 = garbage.0[..512].iter().map(|&b| u32::from(b)).sum();
    let old: u32 = garbage.0[148..156].iter().map(|&b| u32::from(b)).sum();
    garbage.0[148..155].copy_from_slice(format!("{:06o}\0", sum - old + 256).as_bytes());
    is_gap(&with(garbage.end()));
    // Links carry no data, whatever they claim (as the daemon reads them).
    let link = Tar::default().raw(b'2', b"l", b"t", 0o777, 1 << 40, b"").file("b", "").end();
    assert_eq!(with(link).gaps, []);
}

#[test]
fn extended_headers_are_bounded_and_obeyed() {
    let record = |key: &str, value: &str| {
        let body = format!(" {key}={value}\n");
        let length =
            (1..).find(|n| n + body.len() == (n + body.len()).to_string().len() + body.len());
        format!("{}{body}", length.unwrap() + body.len())
    };
    let path = record("path", "etc/debian_version");
    let layer = Tar::default()
        .raw(b'g', b"pax_global", b"", 0, 12, b"12 comment=x")
        .raw(b'x', b"pax", b"", 0, path.len() as u64, path.as_bytes())
        .file("other", "9.1\n")
        .file("var/lib/dpkg/status", BASH);
    assert_eq!(one(layer).packages[0].ecosystem, "Debian:9");

    let long = "a/".repeat(40_000);
    let layer = Tar::default()
        .raw(b'L', b"long", b"", 0, long.len() as u64, long.as_bytes())
        .file("lost", "")
        .file(&format!("{}x", "b/".repeat(300)), "too deep")
        .file("usr/bin/bash", "x");
    let inventory = with(layer.end());
    is_gap(&inventory);
    assert_eq!((inventory.gaps.len(), inventory.files.count), (2, 3));

    for bad in ["5 a=b\n", "999999999999999999999 a=b\n", "x", "-1 a=b\n", "7 size=\n", "0 a=b\n"] {
        let layer = Tar::default().raw(b'x', b"pax", b"", 0, bad.len() as u64, bad.as_bytes());
        is_gap(&with(layer.file("a", "a").end()));
    }
}

#[test]
fn archives_inside_are_files() {
    let inner = legacy(&[Tar::default().file("etc/debian_version", "11").end()]);
    let layer = Tar::default().file("opt/image.tar", &inner).file("opt/more.tgz", gzip(&inner));
    let inventory = with(layer.end());
    assert_eq!((inventory.gaps.len(), inventory.files.count), (0, 4));
}

#[test]
fn names_need_not_be_text() {
    let layer = Tar::default().raw(b'0', b"caf\xe9/\xff\xfe.txt", b"", 0o644, 1, b"x").raw(
        b'2',
        b"link",
        b"\xff\xff",
        0o777,
        0,
        b"",
    );
    let inventory = with(layer.end());
    assert_eq!((inventory.gaps.len(), inventory.files.count), (0, 3));
}

#[test]
fn a_broken_status_file_gives_what_can_be_read() {
    let long = "x".repeat(10 << 20);
    let mut status = format!(
        "garbage without a colon\n\n{BASH}Package: nothing\nStatus: install ok installed\n\n\
         Package: {long}\nVersion: 1\n\n  continued\n:\n\nPackage: a\u{7}b\nVersion: 1\n\n\
         Package: nul\nVersion: 1\0\n\nDescription: {long}\nPackage: good\nVersion: 3\n\n"
    )
    .into_bytes();
    status.extend(b"Package: \xff\xfe\nVersion: 1\n\nPackage: last\r\nVersion: 4");
    let layer = Tar::default().file("etc/os-release", RELEASE).file("var/lib/dpkg/status", status);
    let inventory = one(layer);
    assert_eq!(names(&inventory), ["bash@5.2.15-2+b13", "good@3", "last@4"]);
    assert_eq!(gap_kinds(&inventory), ["dpkg status", "dpkg status"]);
    assert!(
        inventory.gaps.iter().any(|gap| gap.reason.contains("7 in all")),
        "{:?}",
        inventory.gaps
    );
}

#[test]
fn json_is_bounded_in_size_and_depth() {
    let deep = "[".repeat(200_000);
    let fat = format!(r#"{{"name":"fat","version":"1","x":"{}"}}"#, "x".repeat(5 << 20));
    let layer = Tar::default()
        .file("node_modules/deep/package.json", format!(r#"{{"license":{deep}"#))
        .file("node_modules/dull/package.json", format!(r#"{{"x":{deep}"#))
        .file("node_modules/fat/package.json", fat);
    let inventory = with(layer.end());
    assert_eq!(names(&inventory), ["bash@5.2.15-2+b13"]);
    assert_eq!(gap_kinds(&inventory), ["npm package", "npm package"]);

    for manifest in [deep, "[]".into(), "[{}]".into(), r#"[{"Config":"../x"}]"#.into()] {
        let bytes = Tar::default().file("manifest.json", manifest).end();
        assert!(matches!(
            archive(&bytes[..], &Limits::default(), &nothing),
            Err(Error::Format { .. })
        ));
    }
    let nested = |digest: &str| json!({"manifests": [{"digest": digest}]}).to_string();
    let own = Tar::default()
        .file("index.json", nested("sha256:aa"))
        .file("blobs/sha256/aa", nested("sha256:aa"));
    let error = archive(&own.end()[..], &Limits::default(), &nothing).unwrap_err().to_string();
    assert!(error.contains("nested"), "{error}");
    let odd = Tar::default().file("index.json", nested("sha256:../../etc/passwd")).end();
    assert!(archive(&odd[..], &Limits::default(), &nothing).is_err());
}

#[test]
fn bombs_stop_at_the_limits() {
    let bomb = Tar::default().file("zeros", vec![0; 4 << 20]).end();
    let layers = [debian().end(), bomb.clone()];
    let packed = oci(&layers, &[layers[0].clone(), gzip(&bomb)]);
    let limits = |change: fn(&mut Limits)| {
        let mut limits = Limits::default();
        change(&mut limits);
        let inventory = archive(&packed[..], &limits, &nothing).unwrap();
        is_gap(&inventory);
    };
    limits(|limits| (limits.ratio_from, limits.ratio) = (1 << 20, 100));
    limits(|limits| limits.layer_bytes = 1 << 20);
    limits(|limits| limits.layers = 1);
    let many = (0..50).fold(Tar::default(), |tar, i| tar.file(&format!("f{i}"), "x")).end();
    let few = Limits { entries: 20, ..Limits::default() };
    let inventory = archive(&legacy(&[debian().end(), many.clone()])[..], &few, &nothing).unwrap();
    is_gap(&inventory);
    let poor = Limits { kept_bytes: 1000, ..Limits::default() };
    is_gap(&archive(&legacy(&[debian().end(), many])[..], &poor, &nothing).unwrap());
}

#[test]
fn executables_are_bounded() {
    let binary = kinds::elf(".go.buildinfo", &kinds::inline_info("go1.22.3"));
    let limits = Limits { executable_bytes: 100, ..Limits::default() };
    let bytes = legacy(&[Tar::default().mode("app", 0o755, binary).end()]);
    let inventory = archive(&bytes[..], &limits, &nothing).unwrap();
    assert_eq!(gap_kinds(&inventory), ["go binary"]);
}

#[test]
fn the_inspection_sees_no_more_than_its_share() {
    let limits = Limits { inspect_bytes: 10, ..Limits::default() };
    let look = |seen: &FileSeen<'_>| {
        assert!(seen.content.len() <= 10 && !seen.path.starts_with('/'));
        Vec::new()
    };
    let bytes = legacy(&[debian().file("/a", "0123456789ab").end()]);
    let inventory = archive(&bytes[..], &limits, &look).unwrap();
    assert_eq!(names(&inventory), ["bash@5.2.15-2+b13"]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn damage_anywhere_is_survived(at in 0_usize..30_000, bytes in any::<[u8; 4]>(), shape in 0..3) {
        let binary = kinds::elf(".go.buildinfo", &kinds::inline_info("go1.22.3"));
        let layer = debian().mode("app", 0o755, binary).hardlink("b", "app").end();
        let layers = [layer.clone()];
        let mut archived = match shape {
            0 => legacy(&layers),
            1 => oci(&layers, &[gzip(&layer)]),
            _ => oci(&layers, &[zst(&layer)]),
        };
        let at = at % (archived.len() - 4);
        archived[at..at + 4].copy_from_slice(&bytes);
        let _ = archive(&archived[..], &Limits::default(), &nothing);
    }

    #[test]
    fn rubbish_binaries_are_survived(at in 0_usize..2000, bytes in any::<[u8; 8]>()) {
        let mut binary = kinds::elf(".go.buildinfo", &kinds::inline_info("go1.22.3"));
        let at = at % (binary.len() - 8);
        binary[at..at + 8].copy_from_slice(&bytes);
        let _ = golang::parse("app", &binary, &mut gaps::Gaps::default());
    }
}
