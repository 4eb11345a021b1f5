//! A base image made of this machine's shell and a few programs, so that no test downloads one.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use bollard::Docker;
use bollard::query_parameters::CreateImageOptions;
use futures_util::TryStreamExt;

/// The reference under which tests find it.
pub const TINY: &str = "midwatch-test/tiny:1";

/// What is inside, in `/bin`.
const PROGRAMS: [&str; 10] =
    ["sh", "cat", "ls", "sleep", "echo", "dd", "grep", "head", "mkdir", "cp"];

/// The root file system as a tar: the programs, their shared libraries, `/etc/os-release`.
pub fn rootfs() -> Vec<u8> {
    let mut files = BTreeSet::new();
    for program in PROGRAMS {
        let source = PathBuf::from("/bin").join(program);
        assert!(source.exists(), "{} is not on this machine", source.display());
        files.extend(libraries(&source));
        files.insert(source);
    }
    files.insert("/etc/os-release".into());
    let mut tar = tar::Builder::new(Vec::new());
    for file in files {
        let name = file.strip_prefix("/").unwrap();
        let content = std::fs::read(&file).unwrap();
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o755);
        header.set_size(content.len() as u64);
        tar.append_data(&mut header, name, content.as_slice()).unwrap();
    }
    tar.into_inner().unwrap()
}

/// Imports it where the daemon does not have it yet.
pub async fn import(docker: &Docker) {
    if docker.inspect_image(TINY).await.is_ok() {
        return;
    }
    let (repo, tag) = TINY.split_once(':').unwrap();
    let options = CreateImageOptions {
        from_src: Some("-".into()),
        repo: Some(repo.into()),
        tag: Some(tag.into()),
        ..CreateImageOptions::default()
    };
    let body = bollard::body_full(rootfs().into());
    let done = docker.create_image(Some(options), Some(body), None);
    done.try_collect::<Vec<_>>().await.unwrap();
}

/// The shared objects that `ldd` names, by the paths at which the loader looks for them.
fn libraries(program: &Path) -> Vec<PathBuf> {
    let output = Command::new("ldd").arg(program).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let words = text.split_whitespace().filter(|word| word.starts_with('/'));
    words.map(PathBuf::from).filter(|path| path.is_file()).collect()
}
