//! Version orders against their specifications' tables and against dpkg itself.

use std::cmp::Ordering::{Equal, Greater, Less};
use std::process::Command;

use super::{Error, Scheme, compare};

/// Each list is strictly ascending.
fn ascending(ecosystem: &str, versions: &[&str]) {
    for (i, a) in versions.iter().enumerate() {
        for (j, b) in versions.iter().enumerate() {
            assert_eq!(compare(ecosystem, a, b), Some(i.cmp(&j)), "{ecosystem}: {a} and {b}");
        }
    }
}

fn equal(ecosystem: &str, versions: &[&str]) {
    for a in versions {
        for b in versions {
            assert_eq!(compare(ecosystem, a, b), Some(Equal), "{ecosystem}: {a} and {b}");
        }
    }
}

#[test]
fn semver_follows_section_11() {
    let spec = [
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-alpha.beta",
        "1.0.0-beta",
        "1.0.0-beta.2",
        "1.0.0-beta.11",
        "1.0.0-rc.1",
        "1.0.0",
        "2.0.0",
        "2.1.0",
        "2.1.1",
        "10.0.0",
        "99999999999999999999999.0.0",
    ];
    for ecosystem in ["semver", "npm", "crates.io", "Go"] {
        ascending(ecosystem, &spec);
    }
    ascending("crates.io", &["0.0.0-0", "0.0.0-a", "0.0.0", "0.0.1-0", "0.0.1"]);
    equal("npm", &["1.2.3", "v1.2.3", "=1.2.3", "1.2.3+build.7", "1.2.3+other"]);
    assert_eq!(compare("npm", "not-a-version", "1.0.0"), None);
    assert_eq!(compare("npm", "", "1.0.0"), None);
}

#[test]
fn go_knows_pseudo_versions_and_its_toolchain() {
    ascending(
        "Go",
        &[
            "v0.0.0-20180125103619-43913f2f4fbd",
            "v0.0.0-20200101000000-000000000000",
            "v1.0.4-0.20180125103619-43913f2f4fbd",
            "v1.0.4-rc.1",
            "v1.0.4",
            "v2.0.0+incompatible",
            "v2.0.1",
        ],
    );
    ascending(
        "Go",
        &["go1.19.8", "1.22.0-0", "go1.22beta1", "go1.22rc1", "go1.22rc2", "go1.22", "1.22.1"],
    );
    equal("Go", &["go1.22", "1.22.0", "v1.22.0", "go1.22.0 X:boringcrypto"]);
    equal("Go", &["1.22.0-rc.1", "go1.22rc1"]);
    assert_eq!(compare("Go", "(devel)", "1.0.0"), None);
}

#[test]
fn pypi_follows_pep_440_and_falls_back() {
    ascending(
        "PyPI",
        &[
            "some-tag",
            "1.0.dev456",
            "1.0a1",
            "1.0a2.dev456",
            "1.0a12.dev456",
            "1.0a12",
            "1.0b1.dev456",
            "1.0b2",
            "1.0b2.post345.dev456",
            "1.0b2.post345",
            "1.0rc1.dev456",
            "1.0rc1",
            "1.0",
            "1.0+abc.5",
            "1.0+abc.7",
            "1.0+5",
            "1.0.post456.dev34",
            "1.0.post456",
            "1.1.dev1",
            "1!0.1",
        ],
    );
    equal("pep440", &["1.0", "1", "1.0.0", "v1.0"]);
    equal("PyPI", &["1.0RC1", "1.0-rc.1", "1.0c1"]);
    ascending("PyPI", &["2004d-x", "2004e-x", "2005a-x"]);
    assert_eq!(compare("PyPI", "", "1"), None);
}

#[test]
fn dpkg_orders_tildes_epochs_and_revisions() {
    ascending(
        "Debian:12",
        &[
            "1.0~~",
            "1.0~rc1-1",
            "1.0-1",
            "1.0-1+deb12u1",
            "1.0-1.1",
            "1.0a-1",
            "1.0+dfsg-1",
            "1.10-1",
            "1:0.1",
        ],
    );
    equal("dpkg", &["1.0", "0:1.0", "1.0-0", "01.00"]);
    equal("Ubuntu:22.04:LTS", &["2.33.1-0.1", "0:2.33.1-0.1"]);
    assert_eq!(compare("deb", "x:1", "1"), None);
    assert_eq!(compare("deb", "1:", "1"), None);
}

#[test]
fn an_order_that_is_not_built_in_says_so() {
    for name in ["rpm", "AlmaLinux:9", "Alpine:v3.19", "Maven", "RubyGems", "Packagist", "NuGet"] {
        assert_eq!(Scheme::of(name), Err(Error::Unsupported(name.to_owned())));
    }
    assert_eq!(Scheme::of("dnf5"), Err(Error::Unknown("dnf5".to_owned())));
}

/// A small generator, so that a failure repeats.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % limit
    }

    fn version(&mut self) -> String {
        let pieces = [
            "0", "00", "1", "10", "9", "a", "Z", "rc", "~", "~~", ".", "+", "deb", "-", "007", "u1",
        ];
        let mut text = ["", "0:", "1:", "1:", "", ""][self.below(6)].to_owned();
        text.push_str(["0", "1", "2"][self.below(3)]);
        for _ in 0..self.below(6) {
            text.push_str(pieces[self.below(pieces.len())]);
        }
        // dpkg refuses an empty revision.
        text.trim_end_matches('-').to_owned()
    }
}

/// Asks `dpkg --compare-versions` whether each `A OPERATOR B` holds, in one shell; `None` where there
/// is no dpkg.
fn oracle(claims: &[String]) -> Option<Vec<bool>> {
    Command::new("dpkg").arg("--version").output().ok()?;
    let script = "while read -r a op b; do \
        if dpkg --compare-versions \"$a\" \"$op\" \"$b\"; then echo yes; else echo no; fi; done";
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("claims");
    std::fs::write(&file, claims.join("\n") + "\n").unwrap();
    let input = std::fs::File::open(&file).unwrap();
    let output = Command::new("sh").args(["-c", script]).stdin(input).output().unwrap();
    Some(String::from_utf8(output.stdout).unwrap().lines().map(|line| line == "yes").collect())
}

#[test]
fn dpkg_agrees_with_dpkg() {
    let mut dice = Dice(20261122);
    let claim = |a: String, b: String| {
        let operator = match compare("dpkg", &a, &b).unwrap() {
            Less => "lt",
            Equal => "eq",
            Greater => "gt",
        };
        format!("{a} {operator} {b}")
    };
    let claims: Vec<String> = (0..2500).map(|_| claim(dice.version(), dice.version())).collect();
    let Some(answers) = oracle(&claims) else {
        eprintln!("skipped: no dpkg here");
        return;
    };
    assert_eq!(claims.len(), answers.len());
    let wrong: Vec<_> = claims.iter().zip(answers).filter(|(_, holds)| !holds).collect();
    assert!(wrong.is_empty(), "dpkg says otherwise: {wrong:?}");
}
