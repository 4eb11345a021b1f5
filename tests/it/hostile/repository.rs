//! One repository of hostile image folders beside a good one, in one night.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

use super::super::world::{BASE, World, image, manifest};

const FROM: &str = "ARG BASE_IMAGE\nARG BASE_TAG\nFROM ${BASE_IMAGE}:${BASE_TAG}\nUSER 1000\n";

/// What it is called, and words that its error must hold.
const HOSTILE: [(&str, &str); 13] = [
    ("yaml-bomb", "manifest.yaml.bomb"),
    ("huge-manifest", "manifest.file.size"),
    ("link-out", "layout.symlink"),
    ("link-loop", "layout.symlink"),
    ("module", "layout.submodule"),
    ("lfs", "layout.lfs"),
    ("bad-name", "layout.name"),
    ("escape", "layout.name"),
    ("garbage", "dockerfile."),
    ("binary", "dockerfile.encoding"),
    ("deep", "layout."),
    ("controls", "manifest.labels.unknown"),
    ("deep-yaml", "manifest.yaml"),
];

#[test]
fn each_hostile_folder_fails_alone_and_the_good_one_is_released() {
    let Some(world) = World::empty() else { return };
    for name in ["good", "vexed"].iter().chain(HOSTILE.iter().map(|(name, _)| name)) {
        world.image(name, &format!("test/{name}"), BASE.rsplit_once(':'), FROM);
    }
    attack(&world);
    world.commit("hostile");
    raw_trees(&world);
    world.pipeline("jobs = 4\n[mail]\nto = [\"security@example.org\"]\n");
    let done = world.midwatch(&["run", "p", "--json"]).exits(2);
    let night = done.json();
    assert_eq!(night["night"]["planned"], HOSTILE.len() + 2, "{night:#}");
    assert_eq!(night["night"]["failed"], HOSTILE.len(), "{night:#}");
    for (name, words) in HOSTILE {
        let names = night["images"].as_array().unwrap().iter();
        let mut mine =
            names.filter(|it| it["name"].as_str().unwrap().trim_start_matches("test/") == name);
        let failed = mine.next().unwrap_or_else(|| panic!("{name} is lost: {night:#}"));
        assert_eq!(failed["outcome"], "failed", "{failed:#}");
        assert_eq!(failed["stage"], "lint", "{failed:#}");
        let error = failed["error"].as_str().unwrap();
        assert!(error.contains(words), "{name}: {error}");
        assert!(error.len() < 2000, "{name}: an error is a line, not a book: {}", error.len());
        assert!(!error.chars().any(hidden), "{name}: {error:?}");
    }
    assert_eq!(image(&night, "test/good")["outcome"], "released");
    assert_eq!(image(&night, "test/vexed")["outcome"], "released");
    assert!(!done.stderr.chars().any(hidden), "{:?}", done.stderr);
    for raw in world.mails() {
        let mail = mail_parser::MessageParser::default().parse(&raw).unwrap();
        let (plain, html) = (mail.body_text(0).unwrap(), mail.body_html(0).unwrap());
        assert!(!plain.chars().any(hidden), "{plain:?}");
        assert!(!html.chars().any(hidden) && !html.contains("<script>"), "{html}");
        assert!(!mail.subject().unwrap().chars().any(hidden));
    }
    let said = world.midwatch(&["report", "p"]).exits(2).stdout;
    assert!(!said.chars().any(|c| hidden(c) && c != '\u{1b}'), "{said}");
    for words in ["broken.openvex.json", "bomb.openvex.json"] {
        assert!(said.contains(words), "a broken statement is no silence: no {words} in\n{said}");
    }
}

/// What fools a reader: control characters and bidirectional overrides.
fn hidden(c: char) -> bool {
    (c.is_control() && !"\n\r\t".contains(c))
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn attack(world: &World) {
    let repo = world.repo();
    let mut bomb = String::from("a: &a [x,x,x,x,x,x,x,x,x,x]\n");
    for (at, name) in ["b", "c", "d", "e", "f", "g", "h", "i", "j"].iter().enumerate() {
        let before = (b'a' + at as u8) as char;
        bomb += &format!("{name}: &{name} [{}]\n", vec![format!("*{before}"); 10].join(","));
    }
    let good = |name: &str| manifest(&format!("test/{name}"), "x", "1", "owner@example.org");
    let write = |path: &str, bytes: &[u8]| {
        let path = repo.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    };
    write("yaml-bomb/hardening_manifest.yaml", (good("yaml-bomb") + &bomb).as_bytes());
    let mut huge = good("huge-manifest").into_bytes();
    huge.resize(100_000_000, b'\n');
    write("huge-manifest/hardening_manifest.yaml", &huge);
    let deep = good("deep-yaml") + "x: " + &"[".repeat(100_000) + "\n";
    write("deep-yaml/hardening_manifest.yaml", deep.as_bytes());
    symlink("/etc/shadow", repo.join("link-out/secret")).unwrap();
    symlink("b", repo.join("link-loop/a")).unwrap();
    symlink("a", repo.join("link-loop/b")).unwrap();
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:".to_owned()
        + &"a".repeat(64)
        + "\nsize 12345\n";
    write("lfs/model.bin", pointer.as_bytes());
    fs::write(repo.join("bad-name").join(std::ffi::OsStr::from_bytes(b"f\xff")), "x").unwrap();
    write("garbage/Dockerfile", b"FROM\nRUN [[[\n\"\\\nCOPY --from= \nONBUILD ONBUILD FROM x\n");
    write("binary/Dockerfile", &(0..=255u8).cycle().take(5000).collect::<Vec<u8>>());
    write(&format!("deep/{}f", "d/".repeat(80)), b"x");
    let evil = r#""io.evil\e[31m\u202Ekcab<script>alert(1)</script>\r\nSubject: forged": x"#;
    let controls = good("controls").replace("maintainers:", &format!("  {evil}\nmaintainers:"));
    write("controls/hardening_manifest.yaml", controls.as_bytes());
    write("vexed/vex/broken.openvex.json", b"{\"statements\": [");
    write("vexed/vex/bomb.openvex.json", "[".repeat(1_000_000).as_bytes());
}

/// Trees that git itself would not write: a submodule without its file, and a way out of the folder.
fn raw_trees(world: &World) {
    let commit = world.git_with(&["rev-parse", "HEAD"], b"");
    let link = format!("160000,{commit},module/sub");
    world.git(&["update-index", "--add", "--cacheinfo", &link]);
    let top = world.git_with(&["write-tree"], b"");
    let blob = world.git_with(&["hash-object", "-w", "--stdin"], b"outside");
    let escape = world.git_with(&["rev-parse", &format!("{top}:escape")], b"");
    let inside = world.git_with(&["ls-tree", &escape], b"");
    let mut tree = Vec::new();
    let mut entry = |mode: &str, name: &str, id: &str| {
        tree.extend(format!("{mode} {name}\0").bytes());
        tree.extend(hex::decode(id).unwrap());
    };
    let mut outer = Vec::new();
    outer.extend(b"100644 outside\0");
    outer.extend(hex::decode(&blob).unwrap());
    let outer =
        world.git_with(&["hash-object", "-t", "tree", "-w", "--literally", "--stdin"], &outer);
    entry("40000", "..", &outer);
    for line in inside.lines() {
        let (facts, name) = line.split_once('\t').unwrap();
        let facts: Vec<&str> = facts.split(' ').collect();
        entry(facts[0], name, facts[2]);
    }
    let escape =
        world.git_with(&["hash-object", "-t", "tree", "-w", "--literally", "--stdin"], &tree);
    let listed = world.git_with(&["ls-tree", &top], b"");
    let listed = listed.lines().map(|line| match line.ends_with("\tescape") {
        true => format!("040000 tree {escape}\tescape\n"),
        false => format!("{line}\n"),
    });
    let top = world.git_with(&["mktree", "--missing"], listed.collect::<String>().as_bytes());
    let made = world.git_with(&["commit-tree", &top, "-p", "HEAD", "-m", "raw"], b"");
    world.git(&["update-ref", "refs/heads/main", &made]);
}
