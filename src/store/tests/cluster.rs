//! A PostgreSQL server for the tests: its own cluster, on a socket in a temporary folder.

use std::fs;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection as _, Executor as _};

/// A running server; it stops when the pipe to its keeper closes, however this process ends.
struct Cluster {
    folder: PathBuf,
    _keeper: ChildStdin,
}

static CLUSTER: OnceLock<Option<Cluster>> = OnceLock::new();
static DATABASES: AtomicU32 = AtomicU32::new(0);

/// The address of a new empty database; `None`, said aloud, where PostgreSQL is not installed.
pub async fn database() -> Option<String> {
    let cluster = tokio::task::spawn_blocking(|| CLUSTER.get_or_init(start)).await.unwrap();
    let Some(cluster) = cluster else {
        #[allow(clippy::disallowed_methods)]
        let required = std::env::var_os("CI").is_some();
        assert!(!required, "PostgreSQL is not installed");
        eprintln!("SKIP: PostgreSQL is not installed");
        return None;
    };
    let name = format!("t{}", DATABASES.fetch_add(1, Ordering::Relaxed));
    let mut admin = connect(&cluster.url("postgres")).await;
    let sql = format!("CREATE DATABASE {name} TEMPLATE template0");
    admin.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await.unwrap();
    admin.close().await.unwrap();
    Some(cluster.url(&name))
}

impl Cluster {
    fn url(&self, database: &str) -> String {
        format!("postgres://postgres@localhost/{database}?host={}", self.folder.display())
    }
}

async fn connect(url: &str) -> sqlx::AnyConnection {
    sqlx::any::install_default_drivers();
    let mut tries = 0;
    loop {
        match sqlx::AnyConnection::connect(url).await {
            Ok(connection) => return connection,
            Err(error) if tries == 600 => panic!("the server does not answer: {error}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
        tries += 1;
    }
}

fn start() -> Option<Cluster> {
    let bin = newest()?;
    let folder = tempfile::Builder::new().prefix("midwatch-pg-").tempdir().unwrap().keep();
    let root = fs::metadata("/proc/self").is_ok_and(|meta| {
        use std::os::unix::fs::MetadataExt as _;
        meta.uid() == 0
    });
    if root {
        run(Command::new("chown").arg("postgres").arg(&folder));
    }
    let data = folder.join("data");
    let options = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"];
    run(server(root, &bin.join("initdb")).arg("-D").arg(&data).args(options).stdout(Stdio::null()));
    let keeper = r#"
        "$1" -D "$2" -k "$3" -c listen_addresses= -c fsync=off >"$3/log" 2>&1 & server=$!
        read end
        kill -INT $server; wait $server; rm -rf "$3"
    "#;
    #[allow(clippy::zombie_processes)] // it ends with this process, which cannot wait then
    let mut child = server(root, Path::new("sh"))
        .args(["-c", keeper, "sh"])
        .args([&bin.join("postgres"), &data, &folder])
        .current_dir("/")
        // A group of its own, so that an interrupt at the terminal leaves the stopping to the keeper.
        .process_group(0)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = child.stdin.take().unwrap();
    pipe.flush().unwrap();
    Some(Cluster { folder, _keeper: pipe })
}

/// PostgreSQL refuses to run as root.
fn server(root: bool, program: &Path) -> Command {
    if !root {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]).arg(program);
    command
}

fn run(command: &mut Command) {
    let status = command.current_dir("/").status().unwrap();
    assert!(status.success(), "{command:?}: {status}");
}

fn newest() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
    let bins = versions.filter_map(Result::ok).map(|version| version.path().join("bin"));
    bins.filter(|bin| bin.join("initdb").exists() && bin.join("postgres").exists()).max()
}
