//! A realistic night for tests: twelve images, every outcome, news of every kind.

use chrono::{DateTime, TimeDelta, Utc};

use super::{AssembleInput, ImageFindings, RenderMeta, assemble};
use crate::model::advisory::{Feed, FeedState, Freshness};
use crate::model::finding::{Counts, Finding, Kind, PackageRef, Severity, Status};
use crate::model::night::{ImageResult, Night, NightFeeds, NightKind, Outcome};
use crate::model::plan::Outside;
use crate::model::report::{Audience, Report, TrendPoint};
use crate::model::statement::{StatementCheck, StatementState};

/// 2026-11-22T15:00Z: midnight of the 23rd in Tokyo.
pub fn start() -> DateTime<Utc> {
    "2026-11-22T15:00:00Z".parse().unwrap()
}

/// What the tests render with.
pub fn meta() -> RenderMeta {
    RenderMeta {
        repository: "hardened".into(),
        timezone: chrono_tz::Asia::Tokyo,
        engine: "0.1.0".into(),
        web_url: None,
        list_domain: "example.org".into(),
    }
}

/// An ended night over these images.
pub fn night(images: &[ImageFindings]) -> Night {
    let mut night = Night {
        id: "20261122T150000Z-1a2b3c".into(),
        pipeline: "hardened".into(),
        kind: NightKind::Scheduled,
        commit: "4be1a9c07d2f65318b40c1f2e8d9a7736c5b4e10".into(),
        started: start(),
        ended: Some(start() + TimeDelta::minutes(41)),
        planned: images.len() as u64,
        released: 0,
        held: 0,
        failed: 0,
        blocked: 0,
        reused: 0,
        skipped: 0,
        feeds: feeds(),
        error: None,
    };
    night.tally(images.iter().map(|image| &image.result.outcome));
    night
}

fn feeds() -> NightFeeds {
    let feed = |name: &str, records, hours| Feed {
        name: name.into(),
        records,
        as_of: Some(start() - TimeDelta::hours(hours)),
        imported: Some(start() - TimeDelta::hours(2)),
        origin: format!("/srv/feeds/{}", name.to_lowercase().replace(' ', "-")),
    };
    NightFeeds {
        freshness: Freshness::Fresh,
        oldest_hours: Some(26),
        state: FeedState {
            index: format!("sha256:{}", "9f3c".repeat(16)),
            imported: Some(start() - TimeDelta::hours(2)),
            sources: vec![
                feed("OSV Debian", 51_204, 9),
                feed("OSV PyPI", 18_377, 11),
                feed("OSV npm", 22_940, 11),
                feed("KEV", 1_422, 26),
                feed("EPSS", 287_113, 14),
            ],
        },
    }
}

/// A vulnerability of a package.
pub fn vulnerability(
    id: &str,
    severity: Severity,
    package: (&str, &str, &str),
    fixed: Option<&str>,
) -> Finding {
    let (ecosystem, name, version) = package;
    Finding {
        id: id.into(),
        kind: Kind::Vulnerability,
        severity,
        cvss: Some(match severity {
            Severity::Critical => 9.8,
            Severity::High => 7.8,
            Severity::Medium => 5.3,
            _ => 3.1,
        }),
        package: Some(PackageRef {
            name: name.into(),
            version: version.into(),
            ecosystem: ecosystem.into(),
            purl: format!("pkg:generic/{name}@{version}"),
            source: None,
        }),
        fixed: fixed.map(Into::into),
        title: format!("{name}: crafted input is not handled"),
        published: Some("2026-09-14T10:00:00Z".into()),
        ..Finding::default()
    }
}

/// An image with its findings counted.
pub fn image(
    name: &str,
    outcome: Outcome,
    score: Option<f64>,
    findings: Vec<Finding>,
) -> ImageFindings {
    let judged = matches!(outcome, Outcome::Released | Outcome::Held | Outcome::Reused);
    let grade = judged.then(|| score.map_or("N/A", grade).to_owned());
    ImageFindings {
        result: ImageResult {
            name: name.into(),
            outcome,
            reason: "forced by schedule".into(),
            stage: None,
            error: None,
            blocked_by: None,
            held_by: Vec::new(),
            score,
            grade,
            digest: judged.then(|| format!("sha256:{}", "ab12".repeat(16))),
            counts: Counts::of(&findings),
            took_ms: 38_400,
            key: "k".into(),
            owners: vec!["platform@example.org".into()],
            sbom: None,
            log: None,
        },
        findings,
        unassessed: Vec::new(),
        warnings: Vec::new(),
    }
}

fn grade(score: f64) -> &'static str {
    match score {
        s if s > 90.0 => "A",
        s if s > 70.0 => "B",
        s if s > 50.0 => "C",
        _ => "D",
    }
}

fn libraries(version: &str) -> Vec<Finding> {
    (1..=5)
        .map(|n| {
            let id = format!("CVE-2026-310{n}");
            let severity = if n == 1 { Severity::High } else { Severity::Medium };
            vulnerability(&id, severity, ("Debian:12", "libxml2", version), Some("2.9.14-3"))
        })
        .collect()
}

fn openssl() -> Finding {
    let mut finding = vulnerability(
        "CVE-2026-2201",
        Severity::Critical,
        ("Debian:12", "openssl", "3.0.11-1"),
        Some("3.0.15-1~deb12u1"),
    );
    finding.kev = true;
    finding.epss = Some(0.91);
    finding.title = "openssl: a certificate can make the client write out of bounds".into();
    finding
}

fn jinja(id: &str, fixed: &str) -> Finding {
    vulnerability(id, Severity::High, ("PyPI", "jinja2", "3.1.2"), Some(fixed))
}

fn justified() -> Finding {
    let mut finding =
        vulnerability("CVE-2025-7777", Severity::High, ("PyPI", "urllib3", "2.0.6"), Some("2.0.7"));
    finding.status = Status::NotAffected;
    finding.note = Some("vulnerable_code_not_in_execute_path: redirects are switched off".into());
    finding.statement = Some("opensource/web/vex/urllib3.openvex.json#CVE-2025-7777".into());
    finding
}

fn secret() -> Finding {
    Finding {
        id: "private-key".into(),
        kind: Kind::Secret,
        severity: Severity::Critical,
        path: Some("srv/app/deploy/id_ed25519".into()),
        title: "a private key lies in a layer".into(),
        ..Finding::default()
    }
}

/// Tonight's twelve images.
pub fn tonight() -> Vec<ImageFindings> {
    let mut base = vec![openssl()];
    base.extend(libraries("2.9.14-1"));
    let mut web = base.clone();
    web.extend([jinja("CVE-2026-1412", "3.1.4"), jinja("CVE-2026-1888", "3.1.10"), justified()]);
    let released =
        |name: &str, score, findings| image(name, Outcome::Released, Some(score), findings);
    let mut images = vec![
        released("hardened/debian/base", 81.5, base.clone()),
        released("hardened/debian/python", 79.0, base.clone()),
        image("hardened/apps/web", Outcome::Held, Some(58.5), web),
        released("hardened/apps/worker", 79.0, base),
        image("hardened/apps/keys", Outcome::Held, Some(40.0), vec![secret()]),
        image("hardened/apps/broken", Outcome::Failed, None, vec![]),
        image("hardened/apps/child", Outcome::Blocked, None, vec![]),
        image("hardened/tools/static", Outcome::Reused, Some(100.0), vec![]),
        image("hardened/tools/odd", Outcome::Released, None, vec![]),
        image("hardened/tools/fetch", Outcome::Failed, None, vec![]),
        released("hardened/node/runtime", 92.5, vec![]),
        image("hardened/node/old", Outcome::Skipped, None, vec![]),
    ];
    images[2].result.held_by = vec!["1 known-exploited vulnerability, at most 0 allowed".into()];
    images[2].result.owners = vec!["web@example.org".into()];
    images[4].result.held_by = vec!["1 secret, at most 0 allowed".into()];
    images[5].result.stage = Some("build".into());
    images[5].result.error = Some("make: *** No rule to make target 'instal'. Stop.".into());
    images[6].result.blocked_by = Some("hardened/apps/broken".into());
    images[8].unassessed = vec!["conan: no advisory data for 14 packages".into()];
    images[9].result.stage = Some("inputs".into());
    images[9].result.error =
        Some("fetch-2.4.tar.gz: sha256 is 77ab…, the manifest says 19c0…".into());
    images[11].result.reason = "architecture arm64 is not built here".into();
    images[0].warnings = vec!["debian/base/Dockerfile:3 dockerfile.add use COPY, not ADD".into()];
    images
}

/// The images of the night before: no openssl finding, an older libxml2, one finding more.
pub fn last_night() -> Vec<ImageFindings> {
    let curl = vulnerability(
        "CVE-2026-0007",
        Severity::High,
        ("Debian:12", "curl", "7.88.1-9"),
        Some("7.88.1-10"),
    );
    let mut images = tonight();
    for image in &mut images {
        image.findings.retain(|finding| finding.id != "CVE-2026-2201");
        if image.result.grade.is_some() && image.result.name.contains("debian") {
            image.findings.push(curl.clone());
        }
        image.result.score = image.result.score.map(|score| (score + 1.5).min(100.0));
        image.result.counts = Counts::of(&image.findings);
    }
    images
}

/// Fourteen nights that end with this one.
pub fn trend() -> Vec<TrendPoint> {
    let open = [31u64, 31, 29, 30, 30, 27, 24, 24, 22, 22, 25, 24, 23, 26];
    (0..14)
        .map(|n| TrendPoint {
            night: if n == 13 { "20261122T150000Z-1a2b3c".into() } else { format!("n{n}") },
            date: (start().date_naive() - TimeDelta::days(12 - n)).to_string(),
            score: (n != 4).then(|| 88.0 - open[n as usize] as f64 * 0.3),
            planned: 12,
            good: 8,
            bad: if n > 10 { 4 } else { 1 },
            vulnerabilities: open[n as usize],
            freshness: Freshness::Fresh,
        })
        .collect()
}

fn statements() -> Vec<StatementCheck> {
    vec![
        StatementCheck {
            origin: "apps/web/vex/urllib3.openvex.json#1".into(),
            id: "CVE-2025-7777".into(),
            image: "hardened/apps/web".into(),
            state: StatementState::Expiring,
            message: "expires in 6 days".into(),
            expires: Some(start() + TimeDelta::days(6)),
        },
        StatementCheck {
            origin: "vex/base.openvex.json#3".into(),
            id: "CVE-2024-0567".into(),
            image: "hardened/debian/base".into(),
            state: StatementState::Contradicted,
            message: "says gnutls28 is not present, but the inventory has 3.7.9-2".into(),
            expires: None,
        },
    ]
}

/// The report of a bad night for the pipeline's recipients.
pub fn report() -> Report {
    report_for(Audience::Pipeline("security@example.org".into()))
}

/// The same night for another reader.
pub fn report_for(audience: Audience) -> Report {
    let images = tonight();
    let night = night(&images);
    assemble(AssembleInput {
        night: &night,
        previous: Some(&night),
        images,
        before: last_night(),
        same_formula: true,
        statements: statements(),
        outside: vec![Outside {
            reference: "registry.example.org/debian:bookworm".into(),
            digest: Some(format!("sha256:{}", "c0de".repeat(16))),
            error: None,
        }],
        trend: trend(),
        policy: vec!["max-critical 0".into(), "max-high 10".into(), "max-secrets 0".into()],
        notes: vec![],
        audience,
    })
}

/// A night on which nothing happened.
pub fn quiet() -> Report {
    let images: Vec<ImageFindings> = ["base", "web", "tool"]
        .map(|name| image(name, Outcome::Released, Some(95.0), vec![]))
        .into();
    let night = night(&images);
    assemble(AssembleInput {
        night: &night,
        previous: Some(&night),
        before: images.clone(),
        images,
        same_formula: true,
        statements: vec![],
        outside: vec![],
        trend: trend(),
        policy: vec!["max-critical 0".into()],
        notes: vec![],
        audience: Audience::Pipeline("security@example.org".into()),
    })
}

/// The first night of a pipeline.
pub fn baseline() -> Report {
    let images = tonight();
    let night = night(&images);
    assemble(AssembleInput {
        night: &night,
        previous: None,
        images,
        before: vec![],
        same_formula: true,
        statements: vec![],
        outside: vec![],
        trend: trend().split_off(13),
        policy: vec![],
        notes: vec![],
        audience: Audience::Pipeline("security@example.org".into()),
    })
}
