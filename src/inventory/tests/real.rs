//! Real input where this machine has it: a daemon's image, Go programs, held against other readers.

use std::process::{Command, Stdio};

use super::*;

fn output(program: &str, arguments: &[&str]) -> Option<Vec<u8>> {
    let output = Command::new(program).args(arguments).stderr(Stdio::null()).output().ok()?;
    output.status.success().then_some(output.stdout)
}

#[test]
fn a_daemons_image_has_the_packages_its_status_file_lists() {
    let Some(saved) = output("docker", &["save", "debian:fresh"]) else {
        eprintln!("skipped: no daemon with an image debian:fresh");
        return;
    };
    let inventory = read(&saved);
    let mut outer = tar::Archive::new(&saved[..]);
    let mut statuses = 0;
    for entry in outer.entries().unwrap() {
        let entry = entry.unwrap();
        if !entry.path().unwrap().ends_with("layer.tar") {
            continue;
        }
        let mut layer = tar::Archive::new(entry);
        for file in layer.entries().unwrap() {
            let mut file = file.unwrap();
            if file.path().unwrap().ends_with("var/lib/dpkg/status") {
                let mut text = String::new();
                file.read_to_string(&mut text).unwrap();
                statuses = text.matches("\nStatus: install ok installed\n").count();
            }
        }
    }
    assert!(statuses > 50);
    assert_eq!(inventory.packages.len(), statuses);
    assert_eq!(inventory.gaps, []);
    assert!(inventory.packages.iter().all(|package| package.ecosystem == "Debian:12"));
    assert!(inventory.packages.iter().all(|package| package.layer == inventory.layers[0].digest));
}

#[test]
fn go_programs_have_the_modules_that_go_lists() {
    for program in ["/usr/bin/containerd", "/usr/sbin/runc", "/opt/go-bin/dockerd"] {
        let Some(listed) = output("go", &["version", "-m", program]) else {
            eprintln!("skipped: no go, or no {program}");
            continue;
        };
        let listed = String::from_utf8(listed).unwrap();
        let binary = std::fs::read(program).unwrap();
        let info = golang::parse(program, &binary, &mut gaps::Gaps::default()).unwrap();
        let first = listed.lines().next().unwrap();
        assert!(first.ends_with(&format!("go{}", info.toolchain)), "{first}");
        for (module, version) in &info.modules {
            assert!(listed.contains(&format!("\t{module}\t{version}")), "{module} {version}");
        }
        let dependencies = listed.lines().filter(|line| line.starts_with("\tdep\t")).count();
        let main = listed.lines().any(|l| l.starts_with("\tmod\t") && !l.contains("(devel)"));
        assert_eq!(info.modules.len(), dependencies + usize::from(main), "{program}");
    }
}
