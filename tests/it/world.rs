//! A world for one test: a git repository, a data folder, a configuration, and the real binary.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use serde_json::Value;
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Connection as _, Row as _};
use tempfile::TempDir;

/// The reference under which every scenario finds its outside base.
pub const BASE: &str = "midwatch-test/world:1";

pub struct World {
    pub folder: TempDir,
    /// Prefix of the images' names, unique to this world.
    pub registry: String,
    pub now: Option<String>,
    pub host: String,
    /// The ledger's address where it is not the one in the data folder.
    pub database: Option<String>,
}

impl World {
    /// A world around the repository in `tests/golden/NAME/repo`, or `None` without a daemon.
    pub fn golden(name: &str) -> Option<Self> {
        let world = Self::empty()?;
        world.overlay(&scenario(name).join("repo"));
        world.commit("first");
        Some(world)
    }

    /// A world with an empty repository.
    pub fn empty() -> Option<Self> {
        Self::on(&docker_host())
    }

    pub fn on(host: &str) -> Option<Self> {
        if !daemon_answers(host) {
            return skip(&format!("no Docker daemon answers at {host}"));
        }
        tiny_base(host);
        Some(Self::alone(host))
    }

    /// A world for what needs no daemon.
    pub fn alone(host: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let unique = folder.path().file_name().unwrap().to_str().unwrap();
        let unique = unique.trim_start_matches('.').to_lowercase();
        let world = Self {
            registry: format!("localhost/mw-{unique}"),
            folder,
            now: Some("2026-11-22T00:30:00Z".into()),
            host: host.into(),
            database: None,
        };
        fs::create_dir_all(world.repo()).unwrap();
        fs::create_dir_all(world.path("pipelines")).unwrap();
        world.git(&["init", "--quiet", "--initial-branch=main"]);
        world.write("midwatch.toml", "[mail]\nfrom = \"midwatch@example.org\"\n");
        world.pipeline("");
        world
    }

    pub fn path(&self, relative: &str) -> PathBuf {
        self.folder.path().join(relative)
    }

    pub fn repo(&self) -> PathBuf {
        self.path("repo")
    }

    pub fn data(&self) -> PathBuf {
        self.path("data")
    }

    pub fn write(&self, relative: &str, text: &str) {
        let path = self.path(relative);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub fn append(&self, relative: &str, text: &str) {
        let before = fs::read_to_string(self.path(relative)).unwrap();
        self.write(relative, &(before + text));
    }

    /// Writes the pipeline file `p`, whose name is unique to this world, for garbage is collected by
    /// name; `more` is TOML text after the usual keys, `{registry}` replaced.
    pub fn pipeline(&self, more: &str) {
        let head = format!(
            "name = \"{}\"\n[source]\nurl = \"{}\"\n[build]\nregistry = \"{}\"\n",
            self.registry.rsplit('/').next().unwrap(),
            self.repo().display(),
            self.registry
        );
        let here = self.folder.path().display().to_string();
        let more = more.replace("{registry}", &self.registry).replace("{here}", &here);
        self.write("pipelines/p.toml", &(head + &more));
    }

    /// Copies a folder over the repository.
    pub fn overlay(&self, from: &Path) {
        copy(from, &self.repo());
    }

    pub fn commit(&self, message: &str) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", message]);
    }

    pub fn git(&self, arguments: &[&str]) {
        self.git_with(arguments, b"");
    }

    /// Gives git something to read and returns what it says.
    pub fn git_with(&self, arguments: &[&str], input: &[u8]) -> String {
        let mut child = Command::new("git")
            .args(["-c", "user.name=Test", "-c", "user.email=test@example.org"])
            .args(["-c", "commit.gpgsign=false", "-c", "protocol.file.allow=always"])
            .args(arguments)
            .current_dir(self.repo())
            .env("GIT_AUTHOR_DATE", "2026-11-01T00:00:00Z")
            .env("GIT_COMMITTER_DATE", "2026-11-01T00:00:00Z")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "git {arguments:?}: {}", text(&output.stderr));
        text(&output.stdout).trim().to_owned()
    }

    /// One image folder with a manifest that the lint has nothing against.
    pub fn image(&self, folder: &str, name: &str, base: Option<(&str, &str)>, dockerfile: &str) {
        let (image, tag) = base.unwrap_or(("", ""));
        self.write(&format!("repo/{folder}/Dockerfile"), dockerfile);
        self.write(&format!("repo/{folder}/LICENSE"), "Apache-2.0\n");
        self.write(&format!("repo/{folder}/README.md"), "A test image.\n");
        self.write(
            &format!("repo/{folder}/hardening_manifest.yaml"),
            &manifest(name, image, tag, "owner@example.org"),
        );
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_midwatch"));
        command
            .args(["--config", self.path("midwatch.toml").to_str().unwrap()])
            .args(["--data", self.data().to_str().unwrap()])
            .args(arguments)
            .current_dir(self.folder.path())
            .env("DOCKER_HOST", &self.host)
            .env("MIDWATCH_USER", "tester")
            .env_remove("MIDWATCH_DATA")
            .stdin(Stdio::null());
        match &self.now {
            Some(now) => command.env("MIDWATCH_NOW", now),
            None => command.env_remove("MIDWATCH_NOW"),
        };
        command
    }

    pub fn midwatch(&self, arguments: &[&str]) -> Done {
        Done::of(arguments, self.command(arguments).output().unwrap())
    }

    /// Runs the binary in an address space of that many megabytes.
    pub fn bounded(&self, megabytes: u64, arguments: &[&str]) -> Done {
        let inner = self.command(arguments);
        let mut command = Command::new("sh");
        let script = format!("ulimit -v {}; exec \"$0\" \"$@\"", megabytes * 1024);
        command.args(["-c", &script]).arg(inner.get_program()).args(inner.get_args());
        command.current_dir(self.folder.path()).env("DOCKER_HOST", &self.host);
        Done::of(arguments, command.stdin(Stdio::null()).output().unwrap())
    }

    /// Starts the binary and leaves it running, its words in `FILE.out` and `FILE.err`.
    pub fn start(&self, arguments: &[&str], file: &str) -> Running {
        let create = |end: &str| fs::File::create(self.path(&format!("{file}.{end}"))).unwrap();
        let child =
            self.command(arguments).stdout(create("out")).stderr(create("err")).spawn().unwrap();
        Running { child, words: self.path(file), arguments: arguments.join(" ") }
    }

    /// Waits until `look` gives something; panics with everybody's words when it takes too long.
    pub fn until<T>(&self, what: &str, seconds: u64, mut look: impl FnMut() -> Option<T>) -> T {
        let deadline = Instant::now() + Duration::from_secs(seconds);
        loop {
            if let Some(found) = look() {
                return found;
            }
            if Instant::now() > deadline {
                panic!("{what}: not within {seconds} s\n{}", self.words());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn words(&self) -> String {
        let entries = fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().path());
        let logs = entries.filter(|path| path.extension().is_some_and(|it| it == "err"));
        let show = |path: PathBuf| {
            format!("--- {}\n{}", path.display(), text(&fs::read(&path).unwrap_or_default()))
        };
        logs.map(show).collect()
    }

    /// Rows of text from the ledger; none before there is one.
    pub fn rows(&self, sql: &str) -> Vec<Vec<String>> {
        let ledger = self.data().join("ledger.db");
        let url = self.database.clone().unwrap_or(format!("sqlite://{}", ledger.display()));
        if self.database.is_none() && !ledger.exists() {
            return Vec::new();
        }
        sqlx::any::install_default_drivers();
        let executor = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        executor.block_on(async {
            let mut ledger = sqlx::AnyConnection::connect(&url).await.unwrap();
            let query = sqlx::query(AssertSqlSafe(sql.to_owned()));
            // A ledger that is just being made has no tables yet.
            let rows = query.fetch_all(&mut ledger).await.unwrap_or_default();
            ledger.close().await.unwrap();
            let text = |row: &AnyRow, at| {
                row.try_get::<Option<String>, usize>(at).unwrap().unwrap_or_default()
            };
            rows.iter().map(|row| (0..row.len()).map(|at| text(row, at)).collect()).collect()
        })
    }

    /// The one value of a query.
    pub fn value(&self, sql: &str) -> String {
        self.rows(sql).first().map(|row| row[0].clone()).unwrap_or_default()
    }

    /// Ends the processes, in whatever container, that sleep exactly that long.
    pub fn wake(&self, nap: &str) {
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            if text(&line).ends_with(&format!("sleep\0{nap}\0")) {
                let id = entry.file_name().into_string().unwrap();
                let _ = Command::new("kill").args(["-9", &id]).status();
            }
        }
    }

    /// The name of the pipeline `p`.
    pub fn pipeline_name(&self) -> &str {
        self.registry.rsplit('/').next().unwrap()
    }

    /// Ids of all images that nights of this world built, tagged or not.
    pub fn built_images(&self) -> BTreeSet<String> {
        let label = format!("label=io.midwatch.pipeline={}", self.pipeline_name());
        let ids = docker(&self.host, &["images", "--quiet", "--no-trunc", "--filter", &label]);
        ids.lines().map(str::to_owned).collect()
    }

    /// Every mail in the data folder, parsed, sorted by file name.
    pub fn mails(&self) -> Vec<Vec<u8>> {
        let mut paths: Vec<_> = fs::read_dir(self.data().join("mail"))
            .map(|entries| entries.map(|entry| entry.unwrap().path()).collect())
            .unwrap_or_default();
        paths.sort();
        paths.iter().map(|path| fs::read(path).unwrap()).collect()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if !daemon_answers(&self.host) {
            return;
        }
        let images = docker(&self.host, &["images", "--format", "{{.Repository}}:{{.Tag}}"]);
        let built = self.built_images();
        let names = images.lines().filter(|name| name.starts_with(&self.registry));
        let mine: Vec<&str> = names.chain(built.iter().map(String::as_str)).collect();
        if !mine.is_empty() {
            docker(&self.host, &[&["rmi", "--force"], mine.as_slice()].concat());
        }
    }
}

/// A program that runs; killed where the test forgets it.
pub struct Running {
    child: Child,
    words: PathBuf,
    arguments: String,
}

impl Running {
    /// `kill -9`.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// `TERM`, `INT`, ….
    pub fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    pub fn ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    pub fn stderr(&self) -> String {
        text(&fs::read(self.words.with_extension("err")).unwrap_or_default())
    }

    /// How it ended, which it must within that time.
    pub fn ends_within(&mut self, seconds: u64) -> Done {
        let deadline = Instant::now() + Duration::from_secs(seconds);
        while !self.ended() {
            if Instant::now() > deadline {
                self.kill();
                panic!("midwatch {}: not done in {seconds} s\n{}", self.arguments, self.stderr());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Done {
            code: self.child.wait().unwrap().code().unwrap_or(-1),
            stdout: text(&fs::read(self.words.with_extension("out")).unwrap()),
            stderr: self.stderr(),
            arguments: self.arguments.clone(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A finished program run.
pub struct Done {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
    arguments: String,
}

impl Done {
    fn of(arguments: &[&str], output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
            arguments: arguments.join(" "),
        }
    }

    pub fn exits(self, code: i32) -> Self {
        assert_eq!(
            self.code, code,
            "midwatch {}\n--- stdout\n{}\n--- stderr\n{}",
            self.arguments, self.stdout, self.stderr
        );
        self
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| {
            panic!("midwatch {}: {error}\n{}\n{}", self.arguments, self.stdout, self.stderr)
        })
    }
}

/// The image of that name in a night's JSON.
pub fn image<'a>(night: &'a Value, name: &str) -> &'a Value {
    let images = night["images"].as_array().expect("images");
    images
        .iter()
        .find(|image| image["name"] == name)
        .unwrap_or_else(|| panic!("no image {name} in {night:#}"))
}

pub fn scenario(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

pub fn manifest(name: &str, base: &str, tag: &str, owner: &str) -> String {
    format!(
        "apiVersion: v1\nname: {name}\ntags:\n  - \"1.0\"\n  - latest\nargs:\n  BASE_IMAGE: \"{base}\"\n  \
         BASE_TAG: \"{tag}\"\nlabels:\n  org.opencontainers.image.title: {name}\n  \
         org.opencontainers.image.description: A test image\n  \
         org.opencontainers.image.licenses: Apache-2.0\n  \
         org.opencontainers.image.vendor: Example\n  org.opencontainers.image.version: \"1.0\"\n\
         maintainers:\n  - name: Owner\n    username: owner\n    email: {owner}\n"
    )
}

/// A named skip: a failure where `CI` is set, because there everything must be had.
pub fn skip<T>(why: &str) -> Option<T> {
    assert!(std::env::var_os("CI").is_none(), "in CI nothing is skipped: {why}");
    eprintln!("SKIP: {why}");
    None
}

pub fn docker_host() -> String {
    std::env::var("DOCKER_HOST").unwrap_or_else(|_| "unix:///var/run/docker.sock".into())
}

pub fn daemon_answers(host: &str) -> bool {
    Command::new("docker")
        .args(["--host", host, "version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

pub fn docker(host: &str, arguments: &[&str]) -> String {
    let output = Command::new("docker").args(["--host", host]).args(arguments).output().unwrap();
    text(&output.stdout)
}

/// Imports [`BASE`]: the machine's own `sh`, `cat`, `sleep` and their libraries, with a Debian face.
fn tiny_base(host: &str) {
    static MADE: OnceLock<Vec<u8>> = OnceLock::new();
    static ONE: Mutex<()> = Mutex::new(());
    // Two imports at once would make the first a nameless image in the middle of a night.
    let _one = ONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if !docker(host, &["images", "--quiet", BASE]).trim().is_empty() {
        return;
    }
    let tar = MADE.get_or_init(tiny_tar);
    let mut child = Command::new("docker")
        .args(["--host", host, "import", "-", BASE])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(tar).unwrap();
    assert!(child.wait().unwrap().success());
}

fn tiny_tar() -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut libraries = std::collections::BTreeSet::new();
    for program in ["sh", "cat", "sleep", "false", "mkdir", "chmod", "dd"] {
        let path = fs::canonicalize(format!("/bin/{program}")).unwrap();
        tar.append_path_with_name(&path, format!("bin/{program}")).unwrap();
        let output = Command::new("ldd").arg(&path).output().unwrap();
        let found = text(&output.stdout);
        let words = found.split_whitespace().filter(|word| word.starts_with('/'));
        libraries.extend(words.map(str::to_owned));
    }
    for library in libraries {
        let real = fs::canonicalize(&library).unwrap();
        tar.append_path_with_name(real, library.trim_start_matches('/')).unwrap();
    }
    let release = "ID=debian\nVERSION_ID=\"12\"\nPRETTY_NAME=\"Debian GNU/Linux 12 (tiny)\"\n";
    let status =
        "Package: dash\nStatus: install ok installed\nArchitecture: amd64\nVersion: 0.5.12-2\n";
    let files = [
        ("etc/os-release", release),
        ("etc/passwd", "root:x:0:0::/:/bin/sh\n"),
        ("var/lib/dpkg/status", status),
    ];
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, path, content.as_bytes()).unwrap();
    }
    tar.into_inner().unwrap()
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).unwrap()),
        }
    }
}
