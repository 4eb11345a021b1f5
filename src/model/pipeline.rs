//! A pipeline: what a night is. `pipelines/NAME.toml`, as read; defaults work.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::build::{Builder, Limits};
use super::size::Size;
use super::span::Span;

/// One pipeline file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Pipeline {
    /// Letters, digits, `.`, `-`, `_`.
    pub name: String,
    /// Five-field cron line; none: only by hand.
    #[serde(default)]
    pub schedule: Option<String>,
    /// IANA time zone of the schedule and of `mail.at`.
    #[serde(default = "utc")]
    pub timezone: Tz,
    /// What to do with a night whose hour passed while nothing ran.
    #[serde(default)]
    pub missed: Missed,
    /// Where the repository is.
    pub source: SourceSpec,
    /// How images are built.
    #[serde(default)]
    pub build: BuildSpec,
    /// What is released.
    #[serde(default)]
    pub policy: Policy,
    /// Who hears of it.
    #[serde(default)]
    pub mail: MailSpec,
}

fn utc() -> Tz {
    Tz::UTC
}

/// Missed-night policy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Missed {
    /// One night at once, however many were missed.
    #[default]
    Once,
    /// None; the next one comes at its hour. The mail says how many were missed.
    Skip,
}

/// `[source]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SourceSpec {
    /// https, ssh, file or a path.
    pub url: String,
    /// The branch; none: the remote's default.
    #[serde(default)]
    pub branch: Option<String>,
    /// Only images below this folder.
    #[serde(default)]
    pub folder: Option<String>,
    /// An OpenSSH allowed-signers file; given, an unsigned or badly signed commit stops the night.
    #[serde(default)]
    pub allowed_signers: Option<String>,
    /// Private key file for ssh.
    #[serde(default)]
    pub ssh_key: Option<String>,
    /// OpenSSH known-hosts file for ssh.
    #[serde(default)]
    pub known_hosts: Option<String>,
    /// Environment variable or file (`env:NAME`, `file:PATH`) with `user:password` for https.
    #[serde(default)]
    pub credentials: Option<String>,
    /// Which manifest schema holds.
    #[serde(default)]
    pub schema: Schema,
    /// Regular expression of label keys to allow beside the closed list.
    #[serde(default)]
    pub allowed_labels: Option<String>,
}

/// Manifest schemas.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Schema {
    /// The relaxed one holds; what only the strict one asks for is a soft finding.
    #[default]
    Auto,
    /// The strict one.
    Strict,
    /// The relaxed one.
    Relaxed,
}

/// `[build]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct BuildSpec {
    /// Whether everything is rebuilt every night.
    pub rebuild: Rebuild,
    /// Network of `RUN`: `none`, `default`, `host`.
    pub network: String,
    /// Builds at once.
    pub jobs: usize,
    /// Prefix of the images' names; `BASE_REGISTRY` in a build.
    pub registry: String,
    /// Address prefix → other prefix, for declared resources.
    pub mirrors: BTreeMap<String, String>,
    /// Which builder.
    pub builder: Builder,
    /// When the daemon's build cache may serve.
    pub cache: Cache,
    /// Whether outside bases are pulled.
    pub pull: Pull,
    /// How long one build may take, such as `90s`, `60m` or `2h`.
    pub time_limit: Span,
    /// Bytes of memory for a build's containers, such as `2GB`.
    pub memory: Option<Size>,
    /// Processors for a build's containers, such as `1.5`.
    pub cpus: Option<f64>,
    /// Most bytes of a build's log that are kept.
    pub log_limit: Size,
    /// Free disk below which no build starts.
    pub min_free_disk: Size,
    /// Most bytes of one declared resource.
    pub max_resource: Size,
    /// Tries for each address of a declared resource.
    pub fetch_tries: u32,
    /// Longest silence of a declared resource's server, and longest time to connect.
    pub fetch_timeout: Span,
    /// Credentials of declared resources: auth id → `env:NAME` or `file:PATH` with `user:password`.
    pub credentials: BTreeMap<String, String>,
    /// Images of the last nights whose untagged builds are kept.
    pub keep_nights: u32,
}

impl BuildSpec {
    /// The bounds of one build.
    pub fn limits(&self) -> Limits {
        Limits {
            time: self.time_limit.0,
            memory: self.memory.map(|size| size.0),
            milli_cpus: self.cpus.map(|cpus| (cpus * 1000.0) as u64),
            log_bytes: self.log_limit.0 as usize,
        }
    }
}

impl Default for BuildSpec {
    fn default() -> Self {
        Self {
            rebuild: Rebuild::Always,
            network: "none".into(),
            jobs: 2,
            registry: "localhost/midwatch".into(),
            mirrors: BTreeMap::new(),
            builder: Builder::Buildkit,
            cache: Cache::Nightly,
            pull: Pull::Missing,
            time_limit: Span(Duration::from_secs(3600)),
            memory: None,
            cpus: None,
            log_limit: Size(4_000_000),
            min_free_disk: Size(2_000_000_000),
            max_resource: Size(4_000_000_000),
            fetch_tries: 3,
            fetch_timeout: Span(Duration::from_secs(60)),
            credentials: BTreeMap::new(),
            keep_nights: 2,
        }
    }
}

/// Rebuild policy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rebuild {
    /// Every image every night.
    #[default]
    Always,
    /// Only images whose build key moved; the others are reused with proof.
    WhenInputsChange,
}

/// Use of the daemon's build cache.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cache {
    /// A new cache epoch each night: package upgrades are never frozen.
    #[default]
    Nightly,
    /// As the daemon sees fit.
    Always,
    /// Not at all.
    Never,
}

/// Pull policy of outside bases.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pull {
    /// Only what the daemon does not have.
    #[default]
    Missing,
    /// Ask the registry each night; fall back to what is there, and say so.
    Always,
    /// Never.
    Never,
}

/// `[policy]`; a rule that is not written does not hold anything.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Policy {
    /// Most critical vulnerabilities.
    pub max_critical: Option<u64>,
    /// Most high ones.
    pub max_high: Option<u64>,
    /// Most medium ones.
    pub max_medium: Option<u64>,
    /// Most known-exploited ones.
    pub max_kev: Option<u64>,
    /// Most secrets.
    pub max_secrets: Option<u64>,
    /// Days a critical or high vulnerability with a fix may stay, from the day it was first seen.
    pub max_fixable_days: Option<u64>,
    /// Whether the image must not run as root.
    pub non_root: bool,
    /// Glob patterns of outside bases that are approved; empty: all.
    pub approved_bases: Vec<String>,
    /// Smallest score.
    pub min_score: Option<f64>,
    /// Days after which feeds are stale.
    pub max_feed_age_days: Option<u64>,
    /// What stale or missing feeds do.
    pub stale_feeds: StaleFeeds,
}

impl Policy {
    /// The limit in force: 7 days where none is written.
    pub fn feed_age_days(&self) -> u64 {
        self.max_feed_age_days.unwrap_or(7)
    }
}

/// What stale feeds do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StaleFeeds {
    /// Every report says so.
    #[default]
    Mark,
    /// Nothing is released.
    Hold,
    /// The night does not begin.
    Refuse,
}

/// Checks a pattern of `approved-bases`: the characters of an image reference, `*` and `**`. Anything
/// else (`[`, `?`, `{`) no reference has, so that the pattern could never match.
pub fn check_glob(pattern: &str) -> Result<(), String> {
    if pattern.is_empty() {
        return Err("an empty pattern matches nothing; leave it out".to_owned());
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-+/:@*".contains(c);
    match pattern.chars().find(|c| !allowed(*c)) {
        None => Ok(()),
        Some(c) => Err(format!(
            "{pattern:?} has {c:?}, which no image reference has; `*` stands for anything within a \
             component and `**` for anything"
        )),
    }
}

/// `[mail]` of a pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct MailSpec {
    /// Who gets the whole report.
    pub to: Vec<String>,
    /// `HH:MM` in the pipeline's zone; none: when the night ends.
    pub at: Option<String>,
    /// Whether the maintainers of an image get a mail of their own images.
    pub maintainers: bool,
    /// Whether a night without news is mailed.
    pub quiet: Quiet,
}

impl Default for MailSpec {
    fn default() -> Self {
        Self { to: Vec::new(), at: None, maintainers: true, quiet: Quiet::Heartbeat }
    }
}

/// Mail on nights without news.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Quiet {
    /// Three lines that say all is well.
    #[default]
    Heartbeat,
    /// None.
    Skip,
}

#[cfg(test)]
mod glob_tests {
    use super::check_glob;

    #[test]
    fn only_stars_are_wild() {
        for pattern in ["debian:*", "reg.example.org:5000/**", "a/b_c@sha256:*"] {
            assert_eq!(check_glob(pattern), Ok(()), "{pattern}");
        }
        for pattern in ["", "[", "debian:1?", "{a,b}", "a b", "é"] {
            assert!(check_glob(pattern).is_err(), "{pattern}");
        }
        assert!(check_glob("[").unwrap_err().contains("'['"));
    }
}
