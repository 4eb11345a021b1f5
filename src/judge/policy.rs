//! The policy: which rules of the pipeline file an image does not meet.

use chrono::{DateTime, Utc};

use crate::model::advisory::Freshness;
use crate::model::finding::{Finding, Kind, Severity};
use crate::model::pipeline::{Policy, StaleFeeds};
use crate::model::verdict::{PolicyReason, Score};

const MAX_FINDINGS: usize = 50;

/// What the rules look at; findings decided and worst first.
#[derive(Clone, Copy)]
pub(super) struct Facts<'a> {
    pub(super) findings: &'a [Finding],
    pub(super) score: &'a Score,
    pub(super) user: &'a str,
    pub(super) bases: &'a [String],
    pub(super) freshness: Freshness,
    pub(super) first_seen: &'a dyn Fn(&str) -> Option<DateTime<Utc>>,
    pub(super) now: DateTime<Utc>,
}

/// The rules that are not met, in the order of the pipeline file's documentation. Each holds the
/// image.
pub(super) fn reasons(policy: &Policy, facts: Facts<'_>) -> Vec<PolicyReason> {
    let counted = [
        ("max-critical", policy.max_critical, "critical vulnerabilities", is_critical as Rule),
        ("max-high", policy.max_high, "high vulnerabilities", is_high),
        ("max-medium", policy.max_medium, "medium or unrated vulnerabilities", is_medium),
        ("max-kev", policy.max_kev, "known exploited vulnerabilities", is_exploited),
        ("max-secrets", policy.max_secrets, "secrets", is_secret),
    ];
    let counted = counted.into_iter().filter_map(|(rule, most, what, counts)| {
        let found: Vec<&Finding> =
            facts.findings.iter().filter(|f| f.counts() && counts(f)).collect();
        let most = most.filter(|most| found.len() as u64 > *most)?;
        let what = match (found.len(), what.strip_suffix("ies"), what.strip_suffix('s')) {
            (1, Some(stem), _) => format!("{stem}y"),
            (1, None, Some(stem)) => stem.to_owned(),
            _ => what.to_owned(),
        };
        Some(reason(rule, format!("{} {what}, at most {most} allowed", found.len()), &found))
    });
    counted
        .chain(overdue(policy, facts))
        .chain(root_user(policy, facts.user))
        .chain(foreign_bases(policy, facts.bases))
        .chain(low_score(policy, facts.score))
        .chain(stale(policy, facts.freshness))
        .collect()
}

type Rule = fn(&Finding) -> bool;

fn is_critical(finding: &Finding) -> bool {
    finding.kind == Kind::Vulnerability && finding.severity == Severity::Critical
}

fn is_high(finding: &Finding) -> bool {
    finding.kind == Kind::Vulnerability && finding.severity == Severity::High
}

fn is_medium(finding: &Finding) -> bool {
    finding.kind == Kind::Vulnerability
        && matches!(finding.severity, Severity::Medium | Severity::Unknown)
}

fn is_exploited(finding: &Finding) -> bool {
    finding.kind == Kind::Vulnerability && finding.kev
}

fn is_secret(finding: &Finding) -> bool {
    finding.kind == Kind::Secret
}

fn reason(rule: &str, message: String, findings: &[&Finding]) -> PolicyReason {
    let findings = findings.iter().take(MAX_FINDINGS).map(|f| f.fingerprint()).collect();
    PolicyReason { rule: rule.to_owned(), message, findings }
}

fn overdue(policy: &Policy, facts: Facts<'_>) -> Option<PolicyReason> {
    let most = policy.max_fixable_days?;
    let age = |finding: &Finding| {
        let first = (facts.first_seen)(&finding.fingerprint()).unwrap_or(facts.now);
        u64::try_from((facts.now - first).num_days()).unwrap_or(0)
    };
    let found: Vec<&Finding> = facts
        .findings
        .iter()
        .filter(|f| f.counts() && (is_critical(f) || is_high(f)) && f.fixed.is_some())
        .filter(|f| age(f) > most)
        .collect();
    let oldest = found.iter().map(|finding| age(finding)).max()?;
    let what = match found.len() {
        1 => "1 critical or high vulnerability with a fix is".to_owned(),
        n => format!("{n} critical or high vulnerabilities with a fix are"),
    };
    let message = format!("{what} there longer than {most} days, the oldest for {oldest}");
    Some(reason("max-fixable-days", message, &found))
}

fn root_user(policy: &Policy, user: &str) -> Option<PolicyReason> {
    let name = user.split(':').next().unwrap_or_default().trim();
    let number = name.trim_start_matches('+').parse::<u64>();
    let root = name.is_empty() || name == "root" || number == Ok(0);
    let shown = if user.is_empty() { "no USER is set".to_owned() } else { format!("USER {user}") };
    (policy.non_root && root)
        .then(|| reason("non-root", format!("the image runs as root ({shown})"), &[]))
}

fn foreign_bases(policy: &Policy, bases: &[String]) -> Option<PolicyReason> {
    if policy.approved_bases.is_empty() {
        return None;
    }
    let foreign: Vec<&str> = bases
        .iter()
        .map(String::as_str)
        .filter(|base| !policy.approved_bases.iter().any(|pattern| approves(pattern, base)))
        .collect();
    (!foreign.is_empty()).then(|| {
        let message = format!("stands on {}, which is not approved", foreign.join(" and "));
        reason("approved-bases", message, &[])
    })
}

fn low_score(policy: &Policy, score: &Score) -> Option<PolicyReason> {
    let least = policy.min_score?;
    let message = match score.value {
        Some(value) if value >= least => return None,
        Some(value) => format!("score {value:.1}, at least {least} needed"),
        None => format!("the score could not be assessed, at least {least} needed"),
    };
    Some(reason("min-score", message, &[]))
}

fn stale(policy: &Policy, freshness: Freshness) -> Option<PolicyReason> {
    let message = match freshness {
        Freshness::Fresh => return None,
        Freshness::Stale => {
            format!("advisory data is older than {} days", policy.feed_age_days())
        }
        Freshness::Missing => "there is no advisory data".to_owned(),
    };
    (policy.stale_feeds != StaleFeeds::Mark).then(|| reason("stale-feeds", message, &[]))
}

/// Whether a glob pattern covers a reference: `*` stays within a component, `**` goes across. A
/// pattern without a tag covers every tag; Docker Hub's short and long names are the same.
fn approves(pattern: &str, reference: &str) -> bool {
    let (name, _) = reference.split_once('@').unwrap_or((reference, ""));
    let bare = match name.rsplit_once(':') {
        Some((bare, tag)) if !tag.contains('/') => bare,
        _ => name,
    };
    let tagged = if bare == name { format!("{name}:latest") } else { name.to_owned() };
    let last = pattern.rsplit('/').next().unwrap_or_default();
    let untagged = !last.contains([':', '@']);
    [Some(reference), Some(&tagged), untagged.then_some(bare)]
        .into_iter()
        .flatten()
        .flat_map(spellings)
        .any(|text| glob(pattern.as_bytes(), text.as_bytes()))
}

fn spellings(reference: &str) -> Vec<String> {
    let mut spellings = vec![reference.to_owned()];
    let first = reference.split('/').next().unwrap_or_default();
    let hosted = reference.contains('/') && (first.contains(['.', ':']) || first == "localhost");
    if !hosted && reference.contains('/') {
        spellings.push(format!("docker.io/{reference}"));
    } else if !hosted {
        spellings.push(format!("docker.io/library/{reference}"));
    } else if let Some(short) = reference.strip_prefix("docker.io/") {
        spellings.push(short.strip_prefix("library/").unwrap_or(short).to_owned());
    }
    spellings
}

/// Time and memory are bounded by the product of both lengths.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let mut row = vec![false; text.len() + 1];
    row[0] = true;
    let mut at = 0;
    while at < pattern.len() {
        let star = pattern[at] == b'*';
        let across = star && pattern.get(at + 1) == Some(&b'*');
        let mut next = vec![false; text.len() + 1];
        for place in 0..=text.len() {
            let before = place.checked_sub(1);
            next[place] = if star {
                row[place] || before.is_some_and(|b| next[b] && (across || text[b] != b'/'))
            } else {
                before.is_some_and(|b| row[b] && text[b] == pattern[at])
            };
        }
        row = next;
        at += if across { 2 } else { 1 };
    }
    row[text.len()]
}

/// One line for each rule in force; none where nothing can hold an image or a night.
pub fn describe_policy(policy: &Policy) -> Vec<String> {
    let most = |most: Option<u64>, what: &str| most.map(|most| format!("at most {most} {what}"));
    let mut lines: Vec<String> = [
        most(policy.max_critical, "critical vulnerabilities (max-critical)"),
        most(policy.max_high, "high vulnerabilities (max-high)"),
        most(policy.max_medium, "medium or unrated vulnerabilities (max-medium)"),
        most(policy.max_kev, "known exploited vulnerabilities (max-kev)"),
        most(policy.max_secrets, "secrets (max-secrets)"),
        policy.max_fixable_days.map(|days| {
            format!("critical and high vulnerabilities fixed within {days} days (max-fixable-days)")
        }),
        policy.non_root.then(|| "not running as root (non-root)".to_owned()),
        policy.min_score.map(|least| format!("score at least {least} (min-score)")),
    ]
    .into_iter()
    .flatten()
    .collect();
    if !policy.approved_bases.is_empty() {
        let bases = policy.approved_bases.join(", ");
        lines.push(format!("outside bases only from {bases} (approved-bases)"));
    }
    let days = policy.feed_age_days();
    lines.extend(match policy.stale_feeds {
        StaleFeeds::Mark => None,
        StaleFeeds::Hold => {
            Some(format!("nothing is released on advisory data older than {days} days"))
        }
        StaleFeeds::Refuse => Some(format!("no night on advisory data older than {days} days")),
    });
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_of_bases() {
        let digest = format!("debian:12@sha256:{}", "a".repeat(64));
        for (pattern, reference, expected) in [
            ("debian:12", "debian:12", true),
            ("debian:12", "debian:11", false),
            ("debian:*", "debian:12", true),
            ("debian", "debian:12", true),
            ("debian", "debian12:12", false),
            ("debian:12", digest.as_str(), true),
            ("debian:latest", "debian", true),
            ("docker.io/library/*", "debian:12", true),
            ("docker.io/library/*:12", "debian:12", true),
            ("debian:12", "docker.io/library/debian:12", true),
            ("docker.io/bitnami/*", "bitnami/redis:7", true),
            ("registry.example.org/*", "registry.example.org/a/b:1", false),
            ("registry.example.org/**", "registry.example.org/a/b:1", true),
            ("registry.example.org/*/b:1", "registry.example.org/a/b:1", true),
            ("registry.example.org:5000/a", "registry.example.org:5000/a:1", true),
            ("**/b:*", "registry.example.org/a/b:1", true),
            ("*", "debian:12", true),
            ("*", "a/b:1", false),
            ("", "debian:12", false),
            ("registry.example.org/**", "registry.example.org.evil.net/a:1", false),
        ] {
            assert_eq!(approves(pattern, reference), expected, "{pattern} {reference}");
        }
        let hostile = "*a".repeat(300) + "b";
        assert!(!glob(hostile.as_bytes(), "a".repeat(2000).as_bytes()));
    }

    #[test]
    fn describes_only_what_holds() {
        assert_eq!(describe_policy(&Policy::default()), Vec::<String>::new());
        let policy = Policy {
            max_critical: Some(0),
            approved_bases: vec!["debian:*".into()],
            stale_feeds: StaleFeeds::Hold,
            max_feed_age_days: Some(3),
            ..Policy::default()
        };
        let lines = describe_policy(&policy);
        assert_eq!(lines[0], "at most 0 critical vulnerabilities (max-critical)");
        assert!(lines[1].contains("debian:*"));
        assert!(lines[2].contains("older than 3 days"));
    }
}
