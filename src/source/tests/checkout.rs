//! Checkouts of real repositories, signed ones by the real git and ssh-keygen.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::AtomicBool;

use git2::{Oid, Repository, Signature, Time};

use super::{brief, image, spec, write};
use crate::model::pipeline::SourceSpec;
use crate::source::{Checkout, Error, checkout, read};

struct Place {
    dir: tempfile::TempDir,
    repo: Repository,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut options = git2::RepositoryInitOptions::new();
        options.initial_head("main");
        let repo = Repository::init_opts(dir.path().join("repo"), &options).unwrap();
        Self { dir, repo }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("repo")
    }

    fn spec(&self) -> SourceSpec {
        spec(&self.path().display().to_string())
    }

    /// Commits what lies in the folder.
    fn commit(&self) -> Oid {
        let mut index = self.repo.index().unwrap();
        index.add_all(["*"], git2::IndexAddOption::DEFAULT, None).unwrap();
        index.write().unwrap();
        self.commit_tree(index.write_tree().unwrap())
    }

    fn commit_tree(&self, tree: Oid) -> Oid {
        let who = Signature::new("Ann", "ann@example.org", &Time::new(1_700_000_000, 0)).unwrap();
        let parent = self.repo.head().ok().and_then(|head| head.peel_to_commit().ok());
        let parents: Vec<_> = parent.iter().collect();
        let tree = self.repo.find_tree(tree).unwrap();
        self.repo.commit(Some("HEAD"), &who, &who, "x", &tree, &parents).unwrap()
    }

    fn checkout(&self, spec: &SourceSpec, at: Option<&str>) -> Result<Checkout, Error> {
        let (cache, work) = (self.dir.path().join("cache"), self.dir.path().join("work"));
        checkout(spec, None, &cache, &work, at, &AtomicBool::new(false))
    }

    fn mirror(&self) -> PathBuf {
        let listing = fs::read_dir(self.dir.path().join("cache")).unwrap();
        let mut paths = listing.map(|entry| entry.unwrap().path());
        paths.find(|path| path.extension().is_some_and(|end| end == "git")).unwrap()
    }
}

#[test]
fn a_branch_is_cloned_fetched_and_pinned() {
    let place = Place::new();
    image(&place.path(), "a", "opensource/a");
    let run = place.path().join("a/scripts/run.sh");
    fs::set_permissions(&run, fs::Permissions::from_mode(0o755)).unwrap();
    write(&place.path(), ".gitattributes", "* text eol=crlf\n");
    let first = place.commit();
    let got = place.checkout(&place.spec(), None).unwrap();
    assert_eq!(got.commit, first.to_string());
    assert_eq!(got.committed_at.unwrap().timestamp(), 1_700_000_000);
    assert_eq!(got.signer, None);
    assert!(got.dir.is_absolute());
    let license = fs::read_to_string(got.dir.join("a/LICENSE")).unwrap();
    assert_eq!(license, "MIT\n", "no filter of .gitattributes");
    assert!(
        fs::metadata(got.dir.join("a/scripts/run.sh")).unwrap().permissions().mode() & 0o100 != 0
    );
    assert!(!got.dir.join(".git").exists());
    assert_eq!(read(&got.dir, &place.spec()).unwrap().images.len(), 1);

    write(&place.path(), "uncommitted", "x");
    fs::remove_file(place.path().join("a/README.md")).unwrap();
    write(&got.dir, "left-over", "x");
    let again = place.checkout(&place.spec(), None).unwrap();
    assert_eq!(again.commit, first.to_string());
    assert!(!again.dir.join("uncommitted").exists() && !again.dir.join("left-over").exists());
    assert!(again.dir.join("a/README.md").exists());

    let second = place.commit();
    assert_eq!(place.checkout(&place.spec(), None).unwrap().commit, second.to_string());
    let url = format!("file://{}", place.path().display());
    let pinned = place.checkout(&spec(&url), Some(&first.to_string())).unwrap();
    assert_eq!(pinned.commit, first.to_string());
    fs::remove_dir_all(place.path()).unwrap();
    assert!(matches!(place.checkout(&spec(&url), None), Err(Error::NotARepository { .. })));
}

#[test]
fn branches_that_are_not_there_are_named() {
    let place = Place::new();
    let empty = place.checkout(&place.spec(), None).unwrap_err().to_string();
    assert!(empty.contains("empty"), "{empty}");
    write(&place.path(), "x", "");
    let first = place.commit();
    place.repo.branch("side", &place.repo.find_commit(first).unwrap(), false).unwrap();
    write(&place.path(), "y", "");
    place.commit();
    let mut spec = place.spec();
    spec.branch = Some("side".into());
    assert_eq!(place.checkout(&spec, None).unwrap().commit, first.to_string());
    spec.branch = Some("mian".into());
    let error = place.checkout(&spec, None).unwrap_err().to_string();
    assert!(error.contains("mian") && error.contains("main, side"), "{error}");
    let gone = "0123456789012345678901234567890123456789";
    let error = place.checkout(&place.spec(), Some(gone)).unwrap_err();
    assert!(matches!(error, Error::Commit { .. }), "{error}");
    assert!(place.checkout(&place.spec(), Some("rubbish")).is_err());
    place.repo.set_head_detached(first).unwrap();
    assert_eq!(place.checkout(&place.spec(), None).unwrap().commit, first.to_string());
}

#[test]
fn a_damaged_mirror_is_made_anew() {
    let place = Place::new();
    image(&place.path(), "a", "opensource/a");
    let commit = place.commit().to_string();
    place.checkout(&place.spec(), None).unwrap();
    let objects = place.mirror().join("objects");
    fn spoil(dir: &Path) {
        for entry in fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                spoil(&entry);
            } else {
                fs::set_permissions(&entry, fs::Permissions::from_mode(0o644)).unwrap();
                fs::write(&entry, "rubbish").unwrap();
            }
        }
    }
    spoil(&objects);
    assert_eq!(place.checkout(&place.spec(), None).unwrap().commit, commit);
    fs::write(place.mirror().join("config"), "[[[").unwrap();
    fs::remove_file(place.mirror().join("HEAD")).unwrap();
    assert_eq!(place.checkout(&place.spec(), None).unwrap().commit, commit);
    fs::remove_dir_all(place.mirror().join("objects")).unwrap();
    assert_eq!(place.checkout(&place.spec(), None).unwrap().commit, commit);
}

#[test]
fn a_server_that_does_not_answer_is_named_without_its_password() {
    let place = Place::new();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("https://me:s3cret@127.0.0.1:{port}/r.git");
    let error = place.checkout(&spec(&url), None).unwrap_err().to_string();
    assert!(error.contains("127.0.0.1") && error.contains("source.url"), "{error}");
    assert!(!error.contains("s3cret"), "{error}");
    let error = place.checkout(&spec(&format!("ssh://git@127.0.0.1:{port}/r")), None).unwrap_err();
    assert!(matches!(error, Error::Remote { .. }), "{error}");
}

#[test]
fn it_stops_when_asked() {
    let place = Place::new();
    write(&place.path(), "x", "");
    place.commit();
    let (cache, work) = (place.dir.path().join("cache"), place.dir.path().join("work"));
    let result = checkout(&place.spec(), None, &cache, &work, None, &AtomicBool::new(true));
    assert!(matches!(result, Err(Error::Cancelled)), "{result:?}");
}

#[test]
fn hostile_trees_cost_only_their_image() {
    let place = Place::new();
    image(&place.path(), "good", "opensource/good");
    image(&place.path(), "ill", "opensource/ill");
    std::os::unix::fs::symlink("/etc", place.path().join("ill/etc")).unwrap();
    place.commit();
    // A submodule, names that leave the folder, and a chain of folders, as no git client would write them.
    let blob = place.repo.blob(b"x").unwrap();
    let odb = place.repo.odb().unwrap();
    let raw = |entries: &[(&str, &[u8], Oid)]| {
        let mut bytes = Vec::new();
        for (mode, name, id) in entries {
            bytes.extend_from_slice(mode.as_bytes());
            bytes.push(b' ');
            bytes.extend_from_slice(name);
            bytes.push(0);
            bytes.extend_from_slice(id.as_bytes());
        }
        odb.write(git2::ObjectType::Tree, &bytes).unwrap()
    };
    let mut chain = raw(&[("100644", b"end", blob)]);
    for _ in 0..300 {
        chain = raw(&[("40000", b"d", chain)]);
    }
    let head = place.repo.head().unwrap().peel_to_tree().unwrap();
    let id = |path: &str| head.get_path(Path::new(path)).unwrap().id();
    let long = vec![b'n'; 300];
    let ill = raw(&[
        ("100644", b"..", blob),
        ("40000", b".git", chain),
        ("100644", b"../../escaped", blob),
        ("100644", b"Dockerfile", id("ill/Dockerfile")),
        ("100644", b"LICENSE", id("ill/LICENSE")),
        ("100644", b"README.md", id("ill/README.md")),
        ("40000", b"chain", chain),
        ("120000", b"etc", id("ill/etc")),
        ("100644", b"hardening_manifest.yaml", id("ill/hardening_manifest.yaml")),
        ("160000", b"lib", blob),
        ("100644", &long, blob),
        ("100644", b"\xff", blob),
    ]);
    let top = raw(&[("40000", b"good", id("good")), ("40000", b"ill", ill)]);
    place.commit_tree(top);
    let got = place.checkout(&place.spec(), None).unwrap();
    assert!(!place.dir.path().join("escaped").exists() && !got.dir.join("escaped").exists());
    assert_eq!(fs::read_link(got.dir.join("ill/etc")).unwrap(), Path::new("/etc"));
    let contents = read(&got.dir, &place.spec()).unwrap();
    assert_eq!(contents.images.len(), 1);
    let found = brief(&contents.broken[0].violations);
    for rule in [
        "!layout.submodule ill/lib:0",
        "!layout.symlink ill/etc:0",
        "!layout.depth ill/chain/d/d",
        "!layout.name ill/midwatch-refused-",
        "!layout.name ill/\u{fffd}:0",
        "!layout.path ill/midwatch-refused-",
    ] {
        assert!(found.iter().any(|v| v.starts_with(rule)), "{rule} not in {found:#?}");
    }
    assert_eq!(found.iter().filter(|v| v.contains("layout.name ill/midwatch")).count(), 3);
}

/// Runs a tool in `dir` with nothing of the user's own settings.
fn run(dir: &Path, tool: &str, arguments: &[&str]) {
    let output = Command::new(tool)
        .args(arguments)
        .current_dir(dir)
        .env("HOME", dir)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .output()
        .unwrap();
    assert!(output.status.success(), "{tool} {arguments:?}: {output:?}");
}

fn have(tool: &str) -> bool {
    let found = Command::new(tool).arg("--help").output().is_ok();
    if !found {
        eprintln!("skipped: no {tool}");
    }
    found
}

fn key(dir: &Path, name: &str, kind: &[&str]) -> String {
    let path = dir.join(name).display().to_string();
    let mut arguments = vec!["-q", "-N", "", "-C", "note", "-f", &path];
    arguments.extend(kind);
    run(dir, "ssh-keygen", &arguments);
    let public = fs::read_to_string(format!("{path}.pub")).unwrap();
    public.trim().to_owned()
}

fn signed(place: &Place, key: &str) -> String {
    let key = place.dir.path().join(key).display().to_string();
    let sign = format!("user.signingkey={key}");
    let mut arguments = vec!["-c", "user.name=A", "-c", "user.email=a@b", "-c", "gpg.format=ssh"];
    arguments.extend(["-c", &sign, "commit", "-q", "--allow-empty", "-S", "-m", "signed"]);
    run(&place.path(), "git", &arguments);
    place.repo.head().unwrap().target().unwrap().to_string()
}

#[test]
fn signatures_are_verified() {
    if !have("git") || !have("ssh-keygen") {
        return;
    }
    let place = Place::new();
    write(&place.path(), "x", "");
    place.commit();
    let dir = place.dir.path();
    let file = dir.join("signers");
    let mut spec = place.spec();
    spec.allowed_signers = Some(file.display().to_string());
    let refused = |spec: &SourceSpec| match place.checkout(spec, None) {
        Err(Error::Signature { commit, why, help }) => {
            assert_eq!(commit, place.repo.head().unwrap().target().unwrap().to_string());
            assert!(!help.is_empty());
            why
        }
        other => panic!("{other:?}"),
    };
    let ann = key(dir, "ann", &["-t", "ed25519"]);
    fs::write(&file, format!("ann@example.org {ann}\n")).unwrap();
    assert!(refused(&spec).contains("not signed"));
    for (name, kind) in [
        ("ann", &[][..]),
        ("rsa", &["-t", "rsa", "-b", "2048"][..]),
        ("p256", &["-t", "ecdsa", "-b", "256"][..]),
    ] {
        let public = if name == "ann" { ann.clone() } else { key(dir, name, kind) };
        fs::write(&file, format!("# x\n{name}@example.org namespaces=\"git\" {public}\n")).unwrap();
        let commit = signed(&place, name);
        let got = place.checkout(&spec, None).unwrap();
        assert_eq!((got.commit, got.signer), (commit, Some(format!("{name}@example.org"))));
    }
    signed(&place, "ann");
    let eve = key(dir, "eve", &["-t", "ed25519"]);
    fs::write(&file, format!("eve@example.org {eve}\n")).unwrap();
    assert!(refused(&spec).contains("not among the allowed signers"));
    fs::write(&file, format!("ann@example.org valid-before=\"20200101\" {ann}\n")).unwrap();
    assert!(refused(&spec).contains("no longer valid"));
    fs::write(&file, format!("ann@example.org namespaces=\"file\" {ann}\n")).unwrap();
    assert!(refused(&spec).contains("namespace"));
    fs::write(&file, format!("*@example.org cert-authority {ann}\n")).unwrap();
    assert!(refused(&spec).contains("cert-authority"));
    fs::remove_file(&file).unwrap();
    assert!(matches!(place.checkout(&spec, None), Err(Error::Signers { .. })));
    fs::write(&file, format!("ann@example.org {ann}\n")).unwrap();
    assert!(place.checkout(&spec, None).is_ok());

    // The signature of one commit under another's content, and one of another kind.
    let head = place.repo.head().unwrap().target().unwrap();
    let (good, content) = place.repo.extract_signature(&head, None).unwrap();
    let content = std::str::from_utf8(&content).unwrap().replace("signed", "forged");
    let good = std::str::from_utf8(&good).unwrap();
    for (signature, expected) in [
        (good, "does not fit"),
        ("-----BEGIN PGP SIGNATURE-----\n\nx\n-----END PGP SIGNATURE-----", "GPG"),
        ("-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----", "cannot be read"),
    ] {
        let forged = place.repo.commit_signed(&content, signature, None).unwrap();
        place.repo.reference("refs/heads/main", forged, true, "x").unwrap();
        let why = refused(&spec);
        assert!(why.contains(expected), "{why}");
    }
}
