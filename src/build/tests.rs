//! The stage against real daemons: the machine's own and, where one listens there, a second engine
//! at `/run/docker-current.sock`.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::*;
use crate::model::build::{BuildEnd, BuildJob, Builder, Built, Limits};
use crate::model::manifest::{Resource, ResourceKind};
use crate::model::pipeline::Pull;
use crate::model::source::{ContextFile, ContextKind};

#[path = "../../tests/tiny_base/mod.rs"]
mod tiny_base;

use tiny_base::TINY;

const HOSTS: [&str; 2] = ["unix:///var/run/docker.sock", "unix:///run/docker-current.sock"];

/// Makes names of images unique among the tests of one run and among runs.
static COUNT: AtomicU32 = AtomicU32::new(0);

fn unique(what: &str) -> String {
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("midwatch-test/{what}-{}-{count}", std::process::id())
}

async fn daemons() -> Vec<Daemon> {
    let mut daemons = Vec::new();
    for host in HOSTS {
        match Daemon::connect(host).await {
            Ok(daemon) => {
                tiny_base::import(&daemon.docker).await;
                daemons.push(daemon);
            }
            Err(error) => eprintln!("SKIP: no Docker daemon: {error}"),
        }
    }
    daemons
}

fn write(dir: &Path, files: &[(&str, &str)]) -> Vec<ContextFile> {
    let one = |(path, text): &(&str, &str)| {
        std::fs::write(dir.join(path), text).unwrap();
        ContextFile {
            path: (*path).into(),
            kind: ContextKind::File,
            executable: false,
            size: text.len() as u64,
            sha256: String::new(),
        }
    };
    files.iter().map(one).collect()
}

fn job(dir: &Path, dockerfile: &str) -> BuildJob {
    BuildJob {
        image: "test".into(),
        dir: dir.to_owned(),
        context: Vec::new(),
        dockerfile: dockerfile.into(),
        inputs: Vec::new(),
        args: BTreeMap::new(),
        labels: BTreeMap::new(),
        tags: vec![format!("{}:1", unique("image"))],
        platform: None,
        network: "none".into(),
        builder: Builder::Buildkit,
        cache: false,
        limits: Limits {
            time: Duration::from_secs(120),
            memory: None,
            milli_cpus: None,
            log_bytes: 100_000,
        },
    }
}

async fn run(daemon: &Daemon, job: &BuildJob) -> BuildEnd {
    daemon.build(job, &|_| {}, &CancellationToken::new()).await.unwrap()
}

async fn built(daemon: &Daemon, job: &BuildJob) -> Built {
    match run(daemon, job).await {
        BuildEnd::Built(built) => built,
        other => panic!("{}: {other:?}", daemon.host()),
    }
}

async fn failure(daemon: &Daemon, job: &BuildJob) -> (String, String, String) {
    match run(daemon, job).await {
        BuildEnd::Failed { stage, error, log } => (stage, error, log),
        other => panic!("{}: {other:?}", daemon.host()),
    }
}

async fn forget(daemon: &Daemon, job: &BuildJob) {
    for tag in &job.tags {
        daemon.remove(tag).await.unwrap();
    }
}

/// The files of an image's layers, one after the other, and what the tar itself holds.
async fn names(daemon: &Daemon, id: &str) -> Vec<String> {
    let reader = daemon.export_reader(id).await.unwrap();
    let read = move || {
        let mut names = Vec::new();
        for entry in tar::Archive::new(reader).entries().unwrap() {
            let entry = entry.unwrap();
            names.push(entry.path().unwrap().to_string_lossy().into_owned());
        }
        names
    };
    tokio::task::spawn_blocking(read).await.unwrap()
}

/// Whether any process of this machine runs `command`.
fn running(command: &str) -> bool {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let line = |path: std::path::PathBuf| std::fs::read_to_string(path.join("cmdline")).ok();
    processes
        .filter_map(|entry| line(entry.path()))
        .any(|line| line.replace('\0', " ").starts_with(command))
}

/// Open sockets of this process.
fn sockets() -> usize {
    let open = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    let target = |path: std::path::PathBuf| std::fs::read_link(path).ok();
    open.filter_map(|entry| target(entry.path()))
        .filter(|target| target.to_string_lossy().starts_with("socket:"))
        .count()
}

/// Waits until `true`, up to ten seconds.
async fn eventually(what: impl Fn() -> bool) -> bool {
    for _ in 0..100 {
        if what() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    what()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_takes_context_inputs_arguments_labels_and_tags() {
    for daemon in daemons().await {
        let dir = tempfile::tempdir().unwrap();
        let mut job = job(
            dir.path(),
            &format!(
                "ARG BASE\nFROM {TINY}\nARG WORD\nCOPY own.txt given.bin /\nRUN cat /own.txt /given.bin; echo $WORD >&2; ls /sys/class/net\n"
            ),
        );
        job.context = write(dir.path(), &[("own.txt", "from the context\n")]);
        std::fs::write(dir.path().join("blob"), "from the store\n").unwrap();
        job.inputs = vec![("given.bin".into(), dir.path().join("blob"))];
        job.args = BTreeMap::from([("WORD".into(), "a word & more".into())]);
        job.labels = BTreeMap::from([("io.example/x".into(), "y = z".into())]);
        job.tags.push(format!("{}:two", unique("more")));
        let steps = Mutex::new(Vec::new());
        let note = |line| steps.lock().unwrap().push(line);
        let end = daemon.build(&job, &note, &CancellationToken::new()).await.unwrap();
        let BuildEnd::Built(built) = end else { panic!("{}: {end:?}", daemon.host()) };
        for word in ["from the context", "from the store", "a word & more"] {
            assert!(built.log.contains(word), "{word}: {}", built.log);
        }
        assert!(!built.log.contains("eth0"), "there is a network: {}", built.log);
        let steps = steps.into_inner().unwrap();
        assert!(steps.iter().any(|step| step.starts_with("3/3 RUN cat /own.txt")), "{steps:?}");
        for tag in &job.tags {
            let facts = daemon.inspect(tag).await.unwrap().unwrap();
            assert_eq!((facts.id.as_str(), facts.size), (built.id.as_str(), built.size), "{tag}");
            assert_eq!(facts.labels["io.example/x"], "y = z");
        }
        assert!(built.id.starts_with("sha256:") && built.size > 0);
        forget(&daemon, &job).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_build_tells_the_line_that_says_why() {
    for daemon in daemons().await {
        let dir = tempfile::tempdir().unwrap();
        let fails = job(
            dir.path(),
            &format!(
                "FROM {TINY}\nRUN echo fine; echo 'E: Unable to locate package nope' >&2; exit 100\n"
            ),
        );
        let (stage, error, log) = failure(&daemon, &fails).await;
        assert_eq!(stage, "build");
        assert!(
            error.starts_with("E: Unable to locate package nope (2/2 RUN echo fine"),
            "{error}"
        );
        assert!(error.ends_with("exit code 100)"), "{error}");
        assert!(log.contains("fine") && log.contains("E: Unable"), "{log}");

        let missing = job(dir.path(), &format!("FROM {TINY}\nCOPY nope /\n"));
        let (_, error, _) = failure(&daemon, &missing).await;
        assert!(error.contains("nope") && error.contains("not found"), "{error}");

        let rubbish = job(dir.path(), "FROM scratch\nFRMO x\n");
        let (_, error, _) = failure(&daemon, &rubbish).await;
        assert!(error.to_lowercase().contains("unknown instruction: frmo"), "{error}");

        let nobody = job(dir.path(), "FROM 127.0.0.1:1/nobody/here:1\nRUN true\n");
        let (_, error, _) = failure(&daemon, &nobody).await;
        assert!(error.contains("127.0.0.1:1/nobody/here:1"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn output_that_a_terminal_would_obey_does_not_reach_the_log() {
    for daemon in daemons().await {
        let dir = tempfile::tempdir().unwrap();
        let noisy = job(
            dir.path(),
            &format!(
                "FROM {TINY}\nRUN echo 'a\\033[31mred\\033[0m\\007' && dd if=/dev/urandom bs=1000 count=50 && exit 3\n"
            ),
        );
        let (_, _, log) = failure(&daemon, &noisy).await;
        assert!(log.contains("ared"), "{log:?}");
        assert!(log.chars().all(|c| !c.is_control() || c == '\n' || c == '\t'));
        assert!(log.len() < 220_000);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_over_its_time_ends_and_so_does_its_work() {
    for (number, daemon) in daemons().await.into_iter().enumerate() {
        let dir = tempfile::tempdir().unwrap();
        let command = format!("sleep 30.{}{number}", std::process::id());
        let mut slow = job(dir.path(), &format!("FROM {TINY}\nRUN {command}\n"));
        slow.limits.time = Duration::from_secs(4);
        let (stage, error, _) = failure(&daemon, &slow).await;
        assert_eq!(stage, "time-limit");
        assert_eq!(error, format!("not done after 4 s at 2/2 RUN {command}"));
        assert!(eventually(|| !running(&command)).await, "{} still runs it", daemon.host());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_build_stops_within_seconds_in_both_builders() {
    for (number, daemon) in daemons().await.into_iter().enumerate() {
        for builder in [Builder::Buildkit, Builder::Classic] {
            if builder == Builder::Classic && !classic_runs(&daemon) {
                continue;
            }
            let dir = tempfile::tempdir().unwrap();
            let command = format!("sleep 40.{}{number}{}", std::process::id(), builder as u8);
            let mut slow = job(dir.path(), &format!("FROM {TINY}\nRUN {command}\n"));
            slow.builder = builder;
            let cancel = CancellationToken::new();
            let progress = |_| {};
            let (end, began) = tokio::join!(daemon.build(&slow, &progress, &cancel), async {
                let began = eventually(|| running(&command)).await;
                cancel.cancel();
                began
            });
            assert!(began);
            assert_eq!(end.unwrap(), BuildEnd::Cancelled);
            assert!(eventually(|| !running(&command)).await, "{} still runs it", daemon.host());
        }
    }
}

/// Old `runc` programs cannot start what a current engine's classic builder asks for.
fn classic_runs(daemon: &Daemon) -> bool {
    !daemon.about().containerd_store
}

#[tokio::test(flavor = "multi_thread")]
async fn the_classic_builder_builds_fails_and_keeps_its_limits() {
    for daemon in daemons().await.into_iter().filter(classic_runs) {
        let dir = tempfile::tempdir().unwrap();
        let base = format!("FROM {TINY}\nCOPY own.txt /\n");
        let limits = "RUN cat /own.txt; cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/cpu/cpu.cfs_quota_us || true\n";
        let mut job = job(dir.path(), &format!("{base}{limits}"));
        job.context = write(dir.path(), &[("own.txt", "from the context\n")]);
        job.builder = Builder::Classic;
        job.limits.memory = Some(3_000_000_512);
        job.limits.milli_cpus = Some(1500);
        job.tags.push(format!("{}:two", unique("more")));
        let end = built(&daemon, &job).await;
        assert!(end.log.contains("from the context"), "{}", end.log);
        if daemon.about().cgroup_v1 {
            assert!(
                end.log.contains(" 3000000512\n") && end.log.contains(" 150000\n"),
                "{}",
                end.log
            );
        }
        assert!(daemon.limits_gap(job.builder, &job.limits).is_none());
        for tag in &job.tags {
            assert_eq!(daemon.inspect(tag).await.unwrap().unwrap().id, end.id);
        }
        forget(&daemon, &job).await;

        job.dockerfile = format!("{base}RUN echo fine; cat /nope\n");
        let (stage, error, _) = failure(&daemon, &job).await;
        assert_eq!(stage, "build");
        assert!(error.starts_with("cat: /nope: No such file or directory (3/3 RUN"), "{error}");
        assert!(error.ends_with("exit code 1)"), "{error}");
        job.dockerfile = "FROM scratch\nFRMO x\n".into();
        let (_, error, _) = failure(&daemon, &job).await;
        assert!(error.to_lowercase().contains("unknown instruction: frmo"), "{error}");

        job.dockerfile = format!("{base}RUN head -c 100000000 /dev/zero | grep x\n");
        job.limits.memory = Some(20_000_000);
        let (_, error, _) = failure(&daemon, &job).await;
        assert!(error.contains("exit code"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_classic_builder_works_on_every_engine_where_nothing_runs() {
    for daemon in daemons().await {
        let dir = tempfile::tempdir().unwrap();
        let alias = daemon.pin(TINY, "tests").await.unwrap();
        let mut job = job(dir.path(), &format!("FROM {alias}\nCOPY a /\nENV A=b\n"));
        job.context = write(dir.path(), &[("a", "one")]);
        job.builder = Builder::Classic;
        let end = built(&daemon, &job).await;
        assert_eq!(daemon.inspect(&job.tags[0]).await.unwrap().unwrap().id, end.id);
        forget(&daemon, &job).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn more_labels_than_an_address_holds_are_the_images_own_failure() {
    for daemon in daemons().await {
        let dir = tempfile::tempdir().unwrap();
        let mut job = job(dir.path(), "FROM scratch\nCOPY a /\n");
        job.context = write(dir.path(), &[("a", "one")]);
        job.labels = BTreeMap::from([("long".into(), "%".repeat(30_000))]);
        let (stage, error, _) = failure(&daemon, &job).await;
        assert_eq!(stage, "build");
        assert!(error.contains("labels and build arguments take"), "{error}");
        job.labels = BTreeMap::from([("long".into(), "%".repeat(19_000))]);
        job.limits.time = Duration::MAX;
        assert_eq!(
            daemon.inspect(&built(&daemon, &job).await.id).await.unwrap().unwrap().labels,
            job.labels
        );
        forget(&daemon, &job).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_context_streams_through() {
    for daemon in daemons().await {
        let dir = tempfile::tempdir().unwrap();
        let mut job = job(dir.path(), &format!("FROM {TINY}\nCOPY big /\nRUN ls -l /big\n"));
        std::fs::File::create(dir.path().join("big")).unwrap().set_len(100_000_000).unwrap();
        job.inputs = Vec::new();
        job.context = write(dir.path(), &[("small", "")]);
        job.context.push(ContextFile {
            path: "big".into(),
            size: 100_000_000,
            ..job.context[0].clone()
        });
        let end = built(&daemon, &job).await;
        assert!(end.log.contains(" 100000000 "), "{}", end.log);
        forget(&daemon, &job).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn young_build_cache_survives_a_pruning_of_the_old() {
    for daemon in daemons().await {
        assert_eq!(daemon.prune_cache(Duration::from_secs(10_000 * 3600)).await.unwrap(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_that_do_not_hold_are_said_out_loud() {
    for daemon in daemons().await {
        let dir = tempfile::tempdir().unwrap();
        let mut job = job(dir.path(), "FROM scratch\n");
        assert_eq!(daemon.limits_gap(job.builder, &job.limits), None);
        job.limits.memory = Some(1 << 30);
        assert!(daemon.limits_gap(job.builder, &job.limits).unwrap().contains("BuildKit"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_context_that_changed_is_the_builds_failure() {
    for daemon in daemons().await {
        let dir = tempfile::tempdir().unwrap();
        let mut job = job(dir.path(), "FROM scratch\nCOPY a b /\n");
        job.context = write(dir.path(), &[("a", "one"), ("b", "two")]);
        std::fs::write(dir.path().join("b"), "longer than before").unwrap();
        let (stage, error, _) = failure(&daemon, &job).await;
        assert_eq!(stage, "context");
        assert!(error.contains("/b: changed since it was listed"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pinned_bases_build_offline_in_every_position() {
    for daemon in daemons().await {
        let dir = tempfile::tempdir().unwrap();
        let base = job(dir.path(), &format!("FROM {TINY}\nRUN echo {} > /word\n", unique("w")));
        let id = built(&daemon, &base).await.id;
        let alias = daemon.pin(&base.tags[0], "tests").await.unwrap();
        assert_eq!(daemon.pin(&id, "tests").await.unwrap(), alias);
        let child = job(
            dir.path(),
            &format!(
                "FROM {alias} AS one\nRUN cat /word > /copy\nFROM scratch\nCOPY --from=one /copy /\nCOPY --from={alias} /word /\n"
            ),
        );
        built(&daemon, &child).await;
        // The pin holds the image although its name moved on.
        let moved =
            BuildJob { tags: base.tags.clone(), ..job(dir.path(), "FROM scratch\nCOPY a /\n") };
        let moved = BuildJob { context: write(dir.path(), &[("a", "x")]), ..moved };
        built(&daemon, &moved).await;
        assert_eq!(daemon.inspect(&alias).await.unwrap().unwrap().id, id);
        assert!(daemon.unpin(&alias).await.unwrap());
        assert_eq!(daemon.inspect(&alias).await.unwrap(), None);
        assert!(daemon.inspect(&id).await.unwrap().is_some(), "unpinning removed the image");
        assert!(daemon.unpin(&base.tags[0]).await.is_err(), "that was no pin");
        daemon.remove(&id).await.unwrap();
        forget(&daemon, &child).await;
        forget(&daemon, &moved).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_read_while_the_daemon_writes_it() {
    for daemon in daemons().await {
        let id = daemon.inspect(TINY).await.unwrap().unwrap().id;
        let names = names(&daemon, &id).await;
        assert!(names.iter().any(|name| name == "manifest.json"), "{names:?}");
        // A reader that stops early does not hold anything.
        let mut reader = daemon.export_reader(TINY).await.unwrap();
        let first = tokio::task::spawn_blocking(move || reader.read(&mut [0; 10]).unwrap());
        assert_eq!(first.await.unwrap(), 10);
        let absent = daemon.export_reader("midwatch-test/absent:1").await.unwrap_err();
        assert!(!absent.to_string().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_our_own_unnamed_images_of_old_nights_are_collected() {
    for daemon in daemons().await {
        let dir = tempfile::tempdir().unwrap();
        let pipeline = unique("pipeline");
        let tag = format!("{}:1", unique("night"));
        let mut ids = Vec::new();
        for (night, owner) in
            [("1", &pipeline), ("2", &pipeline), ("2", &"other".to_owned()), ("3", &pipeline)]
        {
            let mut job = job(dir.path(), "FROM scratch\nCOPY a /\n");
            job.context = write(dir.path(), &[("a", &format!("{night} {owner}"))]);
            job.tags = vec![tag.clone()];
            job.labels = BTreeMap::from([
                (PIPELINE_LABEL.into(), owner.clone()),
                (NIGHT_LABEL.into(), night.into()),
            ]);
            ids.push(built(&daemon, &job).await.id);
        }
        let collected = daemon.collect(&pipeline, &["2".into()]).await.unwrap();
        assert_eq!(collected.images, 1, "{}", daemon.host());
        let mut there = Vec::new();
        for id in &ids {
            there.push(daemon.inspect(id).await.unwrap().is_some());
        }
        assert_eq!(there, [false, true, true, true], "{}", daemon.host());
        assert_eq!(daemon.collect(&pipeline, &["2".into()]).await.unwrap(), Collected::default());
        for id in &ids[1..3] {
            assert!(daemon.remove(id).await.unwrap());
        }
        assert!(daemon.remove(&tag).await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_classic_builders_steps_go_with_their_image_and_the_base_stays() {
    for daemon in daemons().await.into_iter().filter(classic_runs) {
        let dir = tempfile::tempdir().unwrap();
        let pipeline = unique("pipeline");
        let mut job =
            job(dir.path(), &format!("FROM {TINY}\nRUN echo {pipeline} > /a\nRUN cat /a > /b\n"));
        job.builder = Builder::Classic;
        job.labels = BTreeMap::from([
            (PIPELINE_LABEL.into(), pipeline.clone()),
            (NIGHT_LABEL.into(), "1".into()),
        ]);
        job.tags = Vec::new();
        let id = built(&daemon, &job).await.id;
        let parent = daemon.docker.inspect_image(&id).await.unwrap();
        let history = daemon.docker.image_history(&id).await.unwrap();
        let steps: Vec<String> = history
            .into_iter()
            .map(|step| step.id)
            .filter(|step| step.starts_with("sha256:"))
            .collect();
        assert!(steps.len() >= 3, "{steps:?} {parent:?}");
        assert_eq!(daemon.collect(&pipeline, &[]).await.unwrap().images, 1);
        let base = daemon.inspect(TINY).await.unwrap().unwrap().id;
        for step in steps.iter().filter(|step| **step != base) {
            assert_eq!(daemon.inspect(step).await.unwrap(), None, "{step}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resource_image_stands_ready_under_its_tag() {
    for daemon in daemons().await {
        let name = format!("{}:1", unique("resource"));
        let mut resource = Resource {
            kind: ResourceKind::Image(name.clone()),
            urls: vec!["docker://127.0.0.1:1/nobody:1".into(), format!("docker://{TINY}")],
            checksum: None,
            auth: None,
            line: 1,
        };
        let cancel = CancellationToken::new();
        let logins = BTreeMap::new();
        let fetched =
            daemon.fetch_image(&resource, Pull::Missing, &logins, &|_| {}, &cancel).await.unwrap();
        let base = daemon.inspect(TINY).await.unwrap().unwrap();
        assert_eq!((fetched.id, fetched.pinned), (base.id.clone(), false));
        assert_eq!(daemon.inspect(&name).await.unwrap().unwrap().id, base.id);
        daemon.remove(&name).await.unwrap();
        resource.urls.pop();
        let error = daemon.fetch_image(&resource, Pull::Missing, &logins, &|_| {}, &cancel).await;
        let error = error.unwrap_err();
        assert!(error.to_string().starts_with("cannot pull 127.0.0.1:1/nobody:1: "), "{error}");
        assert!(error.transient());
        let never = daemon.fetch_image(&resource, Pull::Never, &logins, &|_| {}, &cancel).await;
        assert!(matches!(never, Err(Error::Absent(_))));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn facts_are_true_and_absent_images_are_none() {
    for daemon in daemons().await {
        let about = daemon.about();
        assert!(about.api >= (1, 40) && about.platform.starts_with("linux/"), "{about:?}");
        assert!(daemon.free_disk().is_none_or(|bytes| bytes > 0));
        assert_eq!(daemon.inspect("midwatch-test/absent:1").await.unwrap(), None);
        assert!(matches!(daemon.inspect("a?b").await, Err(Error::Reference(_))));
        let dir = tempfile::tempdir().unwrap();
        let trigger = job(dir.path(), &format!("FROM {TINY}\nONBUILD RUN echo hello\n"));
        built(&daemon, &trigger).await;
        let facts = daemon.inspect(&trigger.tags[0]).await.unwrap().unwrap();
        assert_eq!(facts.on_build, ["RUN echo hello"]);
        assert!(facts.created.is_some() && !facts.architecture.is_empty());
        forget(&daemon, &trigger).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_builds_at_once_leave_no_connection_behind() {
    for daemon in daemons().await {
        let dir = tempfile::tempdir().unwrap();
        let one = |number: u32| {
            let mut job =
                job(dir.path(), &format!("FROM {TINY}\nRUN echo number {number}; sleep 0.2\n"));
            job.tags = Vec::new();
            job
        };
        let before = sockets();
        let jobs: Vec<BuildJob> = (0..8).map(one).collect();
        let ends = futures_util::future::join_all(jobs.iter().map(|job| built(&daemon, job))).await;
        // Other tests of this process open some of their own meanwhile.
        assert!(eventually(|| sockets() < before + 8).await, "{} sockets more", sockets() - before);
        for (number, end) in ends.iter().enumerate() {
            assert!(end.log.contains(&format!("number {number}")));
            daemon.remove(&end.id).await.unwrap();
        }
    }
}

#[tokio::test]
async fn where_nothing_answers_the_error_says_what_to_do() {
    for host in ["unix:///nonexistent/docker.sock", "tcp://127.0.0.1:1"] {
        let error = Daemon::connect(host).await.unwrap_err();
        let text = error.to_string();
        assert!(
            text.starts_with(&format!(
                "cannot reach the Docker daemon at {host}: start it or set docker.host"
            )),
            "{text}"
        );
        assert!(error.transient());
    }
    assert!(matches!(Daemon::connect("ssh://x").await, Err(Error::Host(_))));
}
