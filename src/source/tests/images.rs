//! Discovery, layout, Dockerfile rules, contexts, OpenVEX files, and a hostile set.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use super::{DOCKERFILE, MANIFEST, brief, image, spec, write};
use crate::model::source::{BrokenImage, ContextKind};
use crate::source::{Contents, Error, context_digest, lint, read};

fn top() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn of(top: &Path) -> Contents {
    read(top, &spec("x")).unwrap()
}

fn names(contents: &Contents) -> (Vec<&str>, Vec<&str>) {
    let good = contents.images.iter().map(|image| image.name.as_str()).collect();
    (good, contents.broken.iter().map(|image| image.name.as_str()).collect())
}

fn broken<'a>(contents: &'a Contents, folder: &str) -> &'a BrokenImage {
    let found = contents.broken.iter().find(|image| image.folder == folder);
    found.unwrap_or_else(|| panic!("{folder} in {:?}", names(contents)))
}

/// What one change to a good image brings.
fn after(change: impl FnOnce(&Path)) -> Vec<String> {
    let top = top();
    image(top.path(), "app", "opensource/app");
    change(&top.path().join("app"));
    let found = lint(top.path(), &spec("x")).unwrap();
    brief(&found)
}

#[test]
fn a_good_repository_has_no_violation() {
    let top = top();
    image(top.path(), "b/deep/er", "opensource/b");
    image(top.path(), "a", "opensource/a");
    write(top.path(), "README.md", "all of them");
    write(top.path(), ".git/HEAD", "ref: x");
    let contents = of(top.path());
    assert_eq!(names(&contents), (vec!["opensource/a", "opensource/b"], vec![]));
    assert_eq!(brief(&lint(top.path(), &spec("x")).unwrap()), [""; 0]);
    let image = &contents.images[1];
    assert_eq!(image.folder, "b/deep/er");
    assert_eq!(image.dockerfile.text, DOCKERFILE);
    assert_eq!(image.manifest_sha256.len(), 64);
    let paths: Vec<_> = image.context.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "Dockerfile",
            "LICENSE",
            "README.md",
            "hardening_manifest.yaml",
            "scripts",
            "scripts/run.sh"
        ]
    );
    let license = &image.context[1];
    assert_eq!(license.size, 4);
    assert_eq!(
        license.sha256, "adc37366f403835c1470ab2df93d3837d4719372fc1ef8593d922e06f033f8b2",
        "sha256 of MIT and a newline"
    );
    assert_eq!(brief(&lint(&top.path().join("a"), &spec("x")).unwrap()), [""; 0]);
}

#[test]
fn layout_rules() {
    #[allow(clippy::type_complexity)]
    let cases: &[(&dyn Fn(&Path), &str)] = &[
        (&|app| fs::remove_file(app.join("LICENSE")).unwrap(), "!layout.license app:0"),
        (&|app| fs::remove_file(app.join("README.md")).unwrap(), "!layout.readme app:0"),
        (&|app| fs::remove_file(app.join("Dockerfile")).unwrap(), "!layout.dockerfile app:0"),
        (
            &|app| write(app, "Dockerfile.dev", "FROM x"),
            "!layout.dockerfile.one app/Dockerfile.dev:0",
        ),
        (&|app| write(app, "x/dockerfile", "FROM x"), "!layout.dockerfile.one app/x/dockerfile:0"),
        (&|app| write(app, "Jenkinsfile", ""), "!layout.jenkinsfile app/Jenkinsfile:0"),
        (&|app| write(app, "download.json", ""), "!layout.download app/download.json:0"),
        (&|app| write(app, "ci-artifacts/x", ""), "!layout.ci-artifacts app/ci-artifacts:0"),
        (&|app| symlink("LICENSE", app.join("l")).unwrap(), "!layout.symlink app/l:0"),
        (&|app| symlink("/etc/shadow", app.join("s")).unwrap(), "!layout.symlink app/s:0"),
        (&|app| write(app, "lib/.git", "gitdir: x"), "!layout.submodule app/lib/.git:0"),
        (
            &|app| write(app, "../.gitmodules", "[submodule \"l\"]\n\tpath = app/lib\n"),
            "!layout.submodule app/lib:0",
        ),
        (
            &|app| {
                write(
                    app,
                    "big",
                    "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
                )
            },
            "!layout.lfs app/big:0",
        ),
        (
            &|app| drop(std::os::unix::net::UnixListener::bind(app.join("sock")).unwrap()),
            "!layout.special app/sock:0",
        ),
        (
            &|app| {
                fs::rename(app.join("hardening_manifest.yaml"), app.join("hardening_manifest.yml"))
                    .unwrap()
            },
            "!manifest.file.name app/hardening_manifest.yml:0",
        ),
        (
            &|app| write(app, "app.tar.gz", ""),
            "!manifest.resources.shadows app/hardening_manifest.yaml:16",
        ),
        (
            &|app| write(app, ".dockerignore", "x\n[a\n"),
            "!dockerignore.pattern app/.dockerignore:2",
        ),
    ];
    for (change, expected) in cases {
        let found = after(change);
        assert!(found.iter().any(|v| v == expected), "{expected} not in {found:?}");
    }
}

#[test]
fn dockerfile_rules() {
    for (from, to, expected) in [
        ("USER 1001", "USER root:root", "dockerfile.user app/Dockerfile:6"),
        ("USER 1001", "USER 0", "dockerfile.user app/Dockerfile:6"),
        ("USER 1001\n", "", "dockerfile.user app/Dockerfile:4"),
        ("USER 1001", "LABEL a=b\nUSER 1001", "!dockerfile.label app/Dockerfile:6"),
        (
            "HEALTHCHECK CMD /opt/run.sh",
            "HEALTHCHECK NONE",
            "dockerfile.healthcheck app/Dockerfile:4",
        ),
        (
            "USER 1001",
            "ADD https://x.example/y /y\nUSER 1001",
            "!dockerfile.add-url app/Dockerfile:6",
        ),
        ("scripts/run.sh", "scripts/gone.sh", "dockerfile.copy app/Dockerfile:5"),
        ("ARG BASE_TAG=12\n", "", "dockerfile.arg app/Dockerfile:3"),
        ("ARG BASE_TAG=12", "ARG BASE_TAG", "dockerfile.arg-default app/Dockerfile:3"),
        (
            "FROM ${BASE_REGISTRY}/${BASE_IMAGE}:${BASE_TAG}",
            "FROM debian:12",
            "dockerfile.from app/Dockerfile:4",
        ),
        (
            "FROM ${BASE_REGISTRY}/${BASE_IMAGE}:${BASE_TAG}",
            "FROM scratch",
            "dockerfile.from app/Dockerfile:4",
        ),
        (
            "ARG BASE_REGISTRY",
            "# syntax=docker/dockerfile:1\nARG BASE_REGISTRY",
            "dockerfile.syntax app/Dockerfile:1",
        ),
        ("USER 1001", "NONSENSE", "!dockerfile.syntax-error app/Dockerfile:6"),
    ] {
        let found = after(|app| write(app, "Dockerfile", DOCKERFILE.replace(from, to)));
        assert_eq!(found, [expected], "{to}");
    }
    let text = DOCKERFILE
        .replace(
            "${BASE_REGISTRY}/${BASE_IMAGE}:${BASE_TAG}",
            "$BASE_REGISTRY/$BASE_IMAGE:$BASE_TAG",
        )
        .replace("COPY app.tar.gz", "COPY $X *.cfg ./scripts/ app.tar.gz");
    let text = format!("\u{feff}{}", text.replace('\n', "\r\n"));
    assert_eq!(after(|app| write(app, "Dockerfile", &text)), [""; 0], "BOM, CRLF, the $VAR form");
}

#[test]
fn scratch_images() {
    let manifest = MANIFEST.replace("debian/base", "\"\"").replace("\"12\"", "\"\"");
    let text = "FROM scratch\nCOPY app.tar.gz /\nUSER 1\nHEALTHCHECK CMD [\"/x\"]\n";
    let found = after(|app| {
        write(app, "hardening_manifest.yaml", &manifest);
        write(app, "Dockerfile", text);
    });
    assert_eq!(found, [""; 0]);
}

#[test]
fn a_broken_image_costs_only_itself() {
    let top = top();
    image(top.path(), "good", "opensource/good");
    image(top.path(), "twin-a", "opensource/twin");
    image(top.path(), "twin-b", "opensource/twin");
    write(top.path(), "orphan/Dockerfile", "FROM scratch\n");
    image(top.path(), "ill", "opensource/ill");
    write(top.path(), "ill/Jenkinsfile", "");
    let contents = of(top.path());
    assert_eq!(
        names(&contents),
        (
            vec!["opensource/good"],
            vec!["opensource/ill", "opensource/twin", "opensource/twin", "orphan"]
        )
    );
    assert_eq!(broken(&contents, "ill").owners, ["ann@example.org"]);
    let twin = &broken(&contents, "twin-a").violations[0];
    assert!(twin.message.contains("twin-b") && twin.line == 2, "{twin:?}");
    let rules = brief(&broken(&contents, "orphan").violations);
    assert!(
        rules.contains(&"!manifest.missing orphan/hardening_manifest.yaml:0".into()),
        "{rules:?}"
    );
}

#[test]
fn nested_images_are_two_images() {
    let top = top();
    image(top.path(), "outer", "opensource/outer");
    image(top.path(), "outer/inner", "opensource/inner");
    write(top.path(), "outer/test/Dockerfile.txt.bak", "not one");
    let contents = of(top.path());
    assert_eq!(contents.broken.len(), 1, "another Dockerfile in the outer one");
    fs::remove_dir_all(top.path().join("outer/test")).unwrap();
    let contents = of(top.path());
    assert_eq!(names(&contents).0, ["opensource/inner", "opensource/outer"]);
    assert_eq!(brief(&contents.images[1].violations), ["layout.nested outer/inner:0"]);
    assert!(contents.images[1].context.iter().any(|file| file.path == "inner/Dockerfile"));
}

#[test]
fn only_below_a_folder() {
    let top = top();
    image(top.path(), "images/a", "opensource/a");
    image(top.path(), "other/b", "opensource/b");
    write(top.path(), "vex/all.openvex.json", "{}");
    let mut spec = spec("x");
    spec.folder = Some("images/".into());
    let contents = read(top.path(), &spec).unwrap();
    assert_eq!(names(&contents).0, ["opensource/a"]);
    assert_eq!(contents.images[0].folder, "images/a");
    assert_eq!(contents.vex[0].path, "vex/all.openvex.json");
    for bad in ["../x", "gone"] {
        spec.folder = Some(bad.into());
        assert!(
            matches!(read(top.path(), &spec), Err(Error::Setting { key: "folder", .. })),
            "{bad}"
        );
    }
    spec.folder = None;
    spec.allowed_labels = Some("(".into());
    assert!(matches!(read(top.path(), &spec), Err(Error::Setting { key: "allowed-labels", .. })));
}

#[test]
fn contexts_honour_dockerignore() {
    let top = top();
    image(top.path(), "a", "opensource/a");
    write(top.path(), "a/.dockerignore", "**\n!scripts/*.sh\n");
    write(top.path(), "a/scripts/notes.txt", "x");
    fs::set_permissions(top.path().join("a/scripts/run.sh"), fs::Permissions::from_mode(0o755))
        .unwrap();
    let contents = of(top.path());
    let context = &contents.images[0].context;
    let listed: Vec<_> = context.iter().map(|f| (f.path.as_str(), f.kind, f.executable)).collect();
    assert_eq!(
        listed,
        [
            (".dockerignore", ContextKind::File, false),
            ("Dockerfile", ContextKind::File, false),
            ("scripts", ContextKind::Folder, false),
            ("scripts/run.sh", ContextKind::File, true),
        ]
    );
    write(top.path(), "a/Dockerfile", DOCKERFILE.replace("run.sh /opt", "notes.txt /opt"));
    let found = lint(top.path(), &spec("x")).unwrap();
    assert_eq!(brief(&found), ["dockerfile.copy a/Dockerfile:5"]);
    assert!(found[0].message.contains(".dockerignore"), "{found:?}");
}

#[test]
fn the_digest_of_a_context_moves_with_what_it_holds() {
    let top = top();
    image(top.path(), "a", "opensource/a");
    let digest = || context_digest(&of(top.path()).images[0].context);
    let first = digest();
    assert_eq!(first.len(), 64);
    assert_eq!(digest(), first);
    fs::set_permissions(top.path().join("a/scripts/run.sh"), fs::Permissions::from_mode(0o755))
        .unwrap();
    let executable = digest();
    write(top.path(), "a/scripts/run.sh", "#!/bin/zsh\n");
    let changed = digest();
    fs::rename(top.path().join("a/LICENSE"), top.path().join("a/README.md.x")).unwrap();
    write(top.path(), "a/LICENSE", "MIT\n");
    let more = digest();
    let all = std::collections::BTreeSet::from([first, executable, changed, more]);
    assert_eq!(all.len(), 4);
}

#[test]
fn vex_documents_and_whom_they_speak_for() {
    let top = top();
    image(top.path(), "a", "opensource/a");
    write(top.path(), "vex/all.openvex.json", "{1}");
    write(top.path(), "a/vex/own.openvex.json", "{2}");
    write(top.path(), "a/vex/vex.json", "{3}");
    write(top.path(), "elsewhere/x.openvex.json", "{4}");
    write(top.path(), "a/vex/notes.json", "{5}");
    write(top.path(), "vex/huge.openvex.json", vec![b' '; (4 << 20) + 1]);
    symlink("/etc/passwd", top.path().join("vex/link.openvex.json")).unwrap();
    let contents = of(top.path());
    let found: Vec<_> = contents
        .vex
        .iter()
        .map(|v| (v.path.as_str(), v.folder.as_deref(), v.text.as_str()))
        .collect();
    assert_eq!(
        found,
        [
            ("a/vex/own.openvex.json", Some("a"), "{2}"),
            ("a/vex/vex.json", Some("a"), "{3}"),
            ("vex/all.openvex.json", None, "{1}"),
        ]
    );
    assert_eq!(
        brief(&contents.violations),
        ["vex.unreadable vex/huge.openvex.json:0", "vex.unreadable vex/link.openvex.json:0"]
    );
}

#[test]
fn a_hostile_set_leaves_the_others_alone() {
    let top = top();
    image(top.path(), "good", "opensource/good");
    image(top.path(), "bomb", "opensource/bomb");
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let before = vec![format!("*a{}", level - 1); 9].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{before}]\n"));
    }
    write(top.path(), "bomb/hardening_manifest.yaml", bomb);
    image(top.path(), "huge", "opensource/huge");
    let huge = fs::File::create(top.path().join("huge/hardening_manifest.yaml")).unwrap();
    huge.set_len(100 << 20).unwrap();
    image(top.path(), "names", "opensource/names");
    fs::write(top.path().join("names").join(OsStr::from_bytes(b"\xff\xfe")), "").unwrap();
    image(top.path(), "loop", "opensource/loop");
    symlink(".", top.path().join("loop/again")).unwrap();
    image(top.path(), "link", "opensource/link");
    fs::remove_file(top.path().join("link/hardening_manifest.yaml")).unwrap();
    symlink("/etc/passwd", top.path().join("link/hardening_manifest.yaml")).unwrap();
    image(top.path(), "deep", "opensource/deep");
    write(top.path(), &format!("deep/{}x", "d/".repeat(200)), "");
    image(top.path(), "sparse", "opensource/sparse");
    fs::File::create(top.path().join("sparse/rootfs.tar")).unwrap().set_len(10 << 30).unwrap();
    let contents = of(top.path());
    assert_eq!(names(&contents).0, ["opensource/good"]);
    for (folder, rule) in [
        ("bomb", "!manifest.yaml.bomb bomb/hardening_manifest.yaml"),
        ("huge", "!manifest.file.size huge/hardening_manifest.yaml:0"),
        ("names", "!layout.name names/\u{fffd}\u{fffd}:0"),
        ("loop", "!layout.symlink loop/again:0"),
        ("link", "!manifest.file.kind link/hardening_manifest.yaml:0"),
        ("deep", "!layout.depth deep/d/d"),
        ("sparse", "!context.size sparse:0"),
    ] {
        let found = brief(&broken(&contents, folder).violations);
        assert!(found.iter().any(|v| v.starts_with(rule)), "{rule} not in {found:?}");
    }
    assert!(matches!(read(&top.path().join("none"), &spec("x")), Err(Error::Io { .. })));
}
