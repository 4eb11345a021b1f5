//! The only reader of the configuration file, the pipeline files and the environment.

#![allow(clippy::disallowed_methods)]

use std::env;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use chrono::{DateTime, NaiveTime, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::ambient::Clock;
use crate::model::pipeline::{Pipeline, check_glob};
use crate::store::Store;

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file does not parse or has a key that nobody knows.
    #[error("{path}: {message}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// Line, key and the nearest known key.
        message: String,
    },
    /// No pipeline of that name.
    #[error(
        "no pipeline {name:?}: {path} does not exist; known here: {known}. \
         Give one of these names or the path of a pipeline file"
    )]
    NoPipeline {
        /// What was asked for.
        name: String,
        /// Where it was looked for.
        path: PathBuf,
        /// What is there.
        known: String,
    },
    /// A value is not of its form.
    #[error("{path}: {key} = {value:?}: {help}")]
    Value {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// What stands there.
        value: String,
        /// What may stand there.
        help: String,
    },
    /// A secret's source is missing.
    #[error("{spec:?} gives no secret: {reason}; write env:NAME or file:PATH")]
    Secret {
        /// The reference, never the value.
        spec: String,
        /// What went wrong.
        reason: String,
    },
}

/// The whole configuration of one program run.
#[derive(Debug, Clone)]
pub struct Config {
    /// Everything that midwatch writes lies below.
    pub data: PathBuf,
    /// Where the pipeline files lie.
    pub pipelines: PathBuf,
    /// What the file says.
    pub file: File,
    /// The clock.
    pub clock: Clock,
    /// Who runs the program.
    pub user: String,
    /// The user's Docker client configuration, where it exists.
    pub docker_auth: Option<PathBuf>,
}

/// `midwatch.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct File {
    /// The data folder, where neither `--data` nor `MIDWATCH_DATA` says otherwise.
    pub data: Option<PathBuf>,
    /// `sqlite` (in the data folder) or `postgres://…`; `env:NAME` and `file:PATH` are read.
    pub database: String,
    /// The Docker daemon.
    pub docker: Docker,
    /// Mail.
    pub mail: Mail,
    /// `midwatch serve`.
    pub serve: Serve,
}

impl Default for File {
    fn default() -> Self {
        Self {
            data: None,
            database: "sqlite".into(),
            docker: Docker::default(),
            mail: Mail::default(),
            serve: Serve::default(),
        }
    }
}

/// `[docker]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Docker {
    /// `unix://…` or `tcp://…`; default: `DOCKER_HOST`, else the usual socket.
    pub host: Option<String>,
}

/// `[mail]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Mail {
    /// The sender.
    pub from: String,
    /// `folder`, `smtp://host:587` (STARTTLS) or `smtps://host:465`.
    pub transport: String,
    /// The account's name.
    pub user: Option<String>,
    /// `env:NAME` or `file:PATH` of its password.
    pub password: Option<String>,
    /// A PEM file with a certificate authority of one's own.
    pub ca_file: Option<PathBuf>,
    /// Hours after which an undelivered mail is given up.
    pub give_up_hours: u64,
    /// Who hears of refused addresses and broken nights.
    pub administrator: Option<String>,
}

impl Default for Mail {
    fn default() -> Self {
        Self {
            from: "midwatch@localhost".into(),
            transport: "folder".into(),
            user: None,
            password: None,
            ca_file: None,
            give_up_hours: 48,
            administrator: None,
        }
    }
}

/// `[serve]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Serve {
    /// Address of `/healthz` and `/metrics`.
    pub listen: String,
}

impl Default for Serve {
    fn default() -> Self {
        Self { listen: "127.0.0.1:8077".into() }
    }
}

impl Config {
    /// Reads the configuration: `file`, else `midwatch.toml` here, else the one under `/etc`, else
    /// defaults.
    ///
    /// # Errors
    /// An unreadable or wrong file, with the place and the nearest known key.
    pub fn load(file: Option<&Path>, data: Option<&Path>) -> Result<Self, Error> {
        let path = match file {
            Some(path) => Some(path.to_owned()),
            None => ["midwatch.toml", "/etc/midwatch/midwatch.toml"]
                .iter()
                .map(PathBuf::from)
                .find(|path| path.exists()),
        };
        let contents = match &path {
            Some(path) => parse::<File>(path)?,
            None => File::default(),
        };
        let folder = path.as_deref().and_then(Path::parent).unwrap_or(Path::new(""));
        let data = data
            .map(Path::to_owned)
            .or_else(|| env::var_os("MIDWATCH_DATA").map(PathBuf::from))
            .or_else(|| contents.data.as_ref().map(|data| folder.join(data)))
            .unwrap_or_else(default_data);
        Ok(Self {
            data: std::path::absolute(&data).unwrap_or(data),
            pipelines: folder.join("pipelines"),
            clock: clock()?,
            user: user(),
            docker_auth: docker_auth(),
            file: contents,
        })
    }

    /// The ledger's address.
    ///
    /// # Errors
    /// A secret reference that gives nothing.
    pub fn database(&self) -> Result<String, Error> {
        match self.file.database.as_str() {
            "sqlite" => Ok(Store::sqlite_url(&self.data.join("ledger.db"))),
            spec if spec.starts_with("env:") || spec.starts_with("file:") => secret(spec),
            url => Ok(url.to_owned()),
        }
    }

    /// The daemon's address.
    pub fn docker_host(&self) -> String {
        (self.file.docker.host.clone())
            .or_else(|| env::var("DOCKER_HOST").ok().filter(|host| !host.is_empty()))
            .unwrap_or_else(|| "unix:///var/run/docker.sock".into())
    }

    /// Reads a pipeline by its name or its file's path.
    ///
    /// # Errors
    /// No such file, a wrong key or a wrong value.
    pub fn pipeline(&self, name: &str) -> Result<Pipeline, Error> {
        let path = match name.contains('/') || name.ends_with(".toml") {
            true => PathBuf::from(name),
            false => self.pipelines.join(format!("{name}.toml")),
        };
        if !path.exists() {
            let known = match self.pipeline_names().join(", ") {
                none if none.is_empty() => "none".into(),
                some => some,
            };
            return Err(Error::NoPipeline { name: name.into(), path, known });
        }
        let mut pipeline: Pipeline = parse(&path)?;
        check(&path, &pipeline)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        relocate(folder, &mut pipeline);
        Ok(pipeline)
    }

    /// The names of all pipeline files beside the configuration, sorted.
    pub fn pipeline_names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.pipelines).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries
            .filter_map(|entry| {
                let path = entry.path();
                let stem = path.file_stem()?.to_str()?.to_owned();
                (path.extension()? == "toml").then_some(stem)
            })
            .collect();
        names.sort();
        names
    }
}

/// A secret from the environment (`env:NAME`) or a file (`file:PATH`, trailing white space cut).
///
/// # Errors
/// Where there is none; the value is never part of the message.
pub fn secret(spec: &str) -> Result<String, Error> {
    let fail = |reason: String| Error::Secret { spec: spec.into(), reason };
    if let Some(name) = spec.strip_prefix("env:") {
        return env::var(name).map_err(|_| fail(format!("the variable {name} is not set")));
    }
    let path = spec.strip_prefix("file:").ok_or_else(|| fail("it is no reference".into()))?;
    let text = fs::read_to_string(path).map_err(|error| fail(error.to_string()))?;
    Ok(text.trim_end().to_owned())
}

/// `user:password` behind a secret reference.
///
/// # Errors
/// Where there is none, or no colon in it.
pub fn credentials(spec: &str) -> Result<(String, String), Error> {
    let text = secret(spec)?;
    let (user, password) = text.split_once(':').ok_or_else(|| Error::Secret {
        spec: spec.into(),
        reason: "its value is not user:password".into(),
    })?;
    Ok((user.to_owned(), password.to_owned()))
}

/// The log filter: `MIDWATCH_LOG`, else `info` of this program and warnings of the others.
pub fn log_filter() -> String {
    env::var("MIDWATCH_LOG").unwrap_or_else(|_| "warn,midwatch=info".into())
}

/// Whether `NO_COLOR` is set.
pub fn no_color() -> bool {
    env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}

fn parse<T: DeserializeOwned>(path: &Path) -> Result<T, Error> {
    let text =
        fs::read_to_string(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
    toml::from_str(&text).map_err(|error| Error::Parse {
        path: path.to_owned(),
        message: with_nearest(&error.to_string(), error.message()),
    })
}

/// Adds the nearest known key to serde's "unknown field `x`, expected one of `a`, `b`".
fn with_nearest(shown: &str, message: &str) -> String {
    let mut quoted = message.split('`').skip(1).step_by(2);
    let unknown = quoted.next().filter(|_| message.starts_with("unknown"));
    let nearest = unknown.and_then(|unknown| {
        quoted
            .map(|known| (strsim::damerau_levenshtein(unknown, known), known))
            .filter(|(distance, known)| *distance <= known.len().div_ceil(2))
            .min()
    });
    match nearest {
        Some((_, known)) => format!("{}\ndid you mean `{known}`?", shown.trim_end()),
        None => shown.trim_end().to_owned(),
    }
}

fn check(path: &Path, pipeline: &Pipeline) -> Result<(), Error> {
    let wrong = |key: &str, value: &str, help: &str| Error::Value {
        path: path.to_owned(),
        key: key.into(),
        value: value.into(),
        help: help.into(),
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if pipeline.name.is_empty() || !pipeline.name.chars().all(plain) {
        return Err(wrong("name", &pipeline.name, "use letters, digits, '.', '-' and '_'"));
    }
    if let Some(schedule) = &pipeline.schedule {
        schedule.parse::<croner::Cron>().map_err(|error| {
            wrong("schedule", schedule, &format!("{error}; five fields, such as \"0 0 * * *\""))
        })?;
    }
    if let Some(schedule) =
        pipeline.schedule.as_ref().filter(|it| it.split_whitespace().count() != 5)
    {
        return Err(wrong("schedule", schedule, "five fields, such as \"0 0 * * *\""));
    }
    if let Some(at) = &pipeline.mail.at {
        NaiveTime::parse_from_str(at, "%H:%M")
            .map_err(|_| wrong("mail.at", at, "write the hour as HH:MM, such as \"07:00\""))?;
    }
    let build = &pipeline.build;
    if build.jobs == 0 {
        return Err(wrong("build.jobs", "0", "at least one build must run"));
    }
    if build.fetch_tries == 0 {
        return Err(wrong("build.fetch-tries", "0", "at least one try"));
    }
    if let Some(cpus) = build.cpus.filter(|cpus| !cpus.is_finite() || *cpus <= 0.0) {
        return Err(wrong("build.cpus", &cpus.to_string(), "more than 0, such as 1.5"));
    }
    if !["none", "default", "host"].contains(&build.network.as_str()) {
        return Err(wrong("build.network", &build.network, "one of none, default, host"));
    }
    for pattern in &pipeline.policy.approved_bases {
        check_glob(pattern).map_err(|help| wrong("policy.approved-bases", pattern, &help))?;
    }
    for address in &pipeline.mail.to {
        address.parse::<lettre::Address>().map_err(|error| {
            wrong("mail.to", address, &format!("{error}; write addresses as name@example.org"))
        })?;
    }
    Ok(())
}

/// Makes relative paths of a pipeline relative to its file, where they exist there.
fn relocate(folder: &Path, pipeline: &mut Pipeline) {
    let source = &mut pipeline.source;
    let optional = [&mut source.allowed_signers, &mut source.ssh_key, &mut source.known_hosts];
    for path in optional.into_iter().flatten().chain([&mut source.url]) {
        let here = folder.join(&*path);
        if !path.contains("://") && Path::new(path.as_str()).is_relative() && here.exists() {
            let absolute = fs::canonicalize(&here).unwrap_or(here);
            *path = absolute.to_string_lossy().into_owned();
        }
    }
}

fn default_data() -> PathBuf {
    let home = env::var_os("HOME").map(PathBuf::from);
    match (rustix::process::geteuid().is_root(), env::var_os("XDG_DATA_HOME"), home) {
        (true, ..) | (false, None, None) => "/var/lib/midwatch".into(),
        (false, Some(folder), _) => PathBuf::from(folder).join("midwatch"),
        (false, None, Some(home)) => home.join(".local/share/midwatch"),
    }
}

/// `MIDWATCH_NOW` sets the clock: for replaying a night and for tests.
fn clock() -> Result<Clock, Error> {
    match env::var("MIDWATCH_NOW") {
        Ok(text) => {
            text.parse::<DateTime<Utc>>().map(Clock::starting_at).map_err(|error| Error::Value {
                path: "environment".into(),
                key: "MIDWATCH_NOW".into(),
                value: text.clone(),
                help: format!("{error}; write it like 2026-11-22T03:00:00Z"),
            })
        }
        Err(_) => Ok(Clock::system()),
    }
}

fn user() -> String {
    ["MIDWATCH_USER", "SUDO_USER", "USER", "LOGNAME"]
        .iter()
        .find_map(|name| env::var(name).ok().filter(|value| !value.is_empty()))
        .or_else(account)
        .unwrap_or_else(|| format!("uid {}", rustix::process::geteuid().as_raw()))
}

/// The account's name in the password file.
fn account() -> Option<String> {
    let uid = rustix::process::geteuid().as_raw().to_string();
    let accounts = fs::read_to_string("/etc/passwd").ok()?;
    let of = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?.to_owned();
        (fields.nth(1)? == uid).then_some(name)
    };
    accounts.lines().find_map(of)
}

fn docker_auth() -> Option<PathBuf> {
    let folder = env::var_os("DOCKER_CONFIG")
        .map(PathBuf::from)
        .or_else(|| env::var_os("HOME").map(|home| PathBuf::from(home).join(".docker")))?;
    let path = folder.join("config.json");
    match fs::metadata(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        _ => Some(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pipeline(text: &str) -> Result<Pipeline, Error> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.toml");
        fs::write(&path, text).unwrap();
        Config::load(None, Some(folder.path())).unwrap().pipeline(path.to_str().unwrap())
    }

    #[test]
    fn the_documented_pipeline_reads() {
        let read = pipeline(
            r#"
            name = "hardened"
            schedule = "0 0 * * *"
            timezone = "Asia/Tokyo"
            [source]
            url = "https://git.example.org/hardened.git"
            branch = "main"
            [build]
            rebuild = "when-inputs-change"
            network = "none"
            jobs = 4
            registry = "registry.example.org/hardened"
            [build.mirrors]
            "https://example.org/" = "file:///srv/mirror/"
            [policy]
            max-critical = 0
            max-high = 10
            max-secrets = 0
            [mail]
            to = ["security@example.org"]
            at = "07:00"
            "#,
        )
        .unwrap();
        assert_eq!(read.build.jobs, 4);
        assert_eq!(read.policy.max_high, Some(10));
        assert_eq!(read.mail.at.as_deref(), Some("07:00"));
        assert_eq!(read.timezone, chrono_tz::Asia::Tokyo);
    }

    #[test]
    fn an_unknown_key_names_its_line_and_the_nearest_one() {
        let error = pipeline("name = \"x\"\n[source]\nurl = \"/x\"\n[policy]\nmax-critcal = 0\n")
            .unwrap_err()
            .to_string();
        assert!(error.contains("line 5"), "{error}");
        assert!(error.contains("did you mean `max-critical`?"), "{error}");
    }

    #[test]
    fn wrong_values_say_what_may_stand_there() {
        let with = |line: &str| {
            pipeline(&format!("name = \"x\"\n[source]\nurl = \"/x\"\n{line}\n"))
                .unwrap_err()
                .to_string()
        };
        assert!(with("[mail]\nat = \"7 am\"").contains("HH:MM"));
        assert!(with("[mail]\nto = [\"nobody\"]").contains("name@example.org"));
        assert!(with("[build]\njobs = 0").contains("at least one"));
        assert!(with("[build]\nmin-free-disk = \"lots\"").contains("512MB"));
    }

    #[test]
    fn a_missing_pipeline_lists_the_known_ones() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("midwatch.toml");
        fs::write(&config, "").unwrap();
        fs::create_dir(folder.path().join("pipelines")).unwrap();
        fs::write(folder.path().join("pipelines/good.toml"), "").unwrap();
        let config = Config::load(Some(&config), None).unwrap();
        let error = config.pipeline("bad").unwrap_err().to_string();
        assert!(error.contains("known here: good"), "{error}");
    }
}
