//! Tests of the report as a whole: texts, bounds, hostile input, the message as a client reads it.

use std::path::PathBuf;

use mail_parser::{MessageParser, MimeHeaders};

use super::sample::{image, meta, night, vulnerability};
use super::*;
use crate::model::finding::{Finding, Severity, Status};
use crate::model::night::{NightReport, Outcome};
use crate::model::report::Audience;

const NASTY: &str =
    "<script>alert(\"1\")</script>&\u{202e}gnp\u{1b}[31m\r\nBcc: x@example.org\r\n\r\n";

fn envelope() -> Envelope {
    Envelope {
        from: "midwatch <midwatch@example.org>".into(),
        to: "security@example.org".into(),
        message_id: message_id("n1", &Audience::Owner("a@example.org".into()), 0, "example.org"),
        date: sample::start(),
        list_id: "hardened.midwatch.example.org".into(),
        thread: None,
        night: "n1".into(),
        unsubscribe: None,
    }
}

/// Two nights over these images, for the pipeline's recipients.
fn compared(before: Vec<ImageFindings>, images: Vec<ImageFindings>) -> Report {
    let night = night(&images);
    assemble(AssembleInput {
        night: &night,
        previous: Some(&night),
        images,
        before,
        same_formula: true,
        statements: vec![],
        outside: vec![],
        trend: vec![],
        policy: vec![],
        notes: vec![],
        audience: Audience::Pipeline("security@example.org".into()),
    })
}

fn one(findings: Vec<Finding>) -> Vec<ImageFindings> {
    vec![image("base", Outcome::Released, Some(90.0), findings)]
}

fn openssl() -> Finding {
    let package = ("Debian:12", "openssl", "3.0.11-1");
    vulnerability("CVE-2026-1", Severity::High, package, Some("3.0.15-1"))
}

fn ids(changes: &[crate::model::report::Change]) -> Vec<&str> {
    changes.iter().map(|change| change.finding.id.as_str()).collect()
}

#[test]
fn a_quiet_night_is_three_lines_and_the_footer() {
    let report = sample::quiet();
    assert!(quiet(&report));
    let rendered = render(&report, &meta()).unwrap();
    assert_eq!(rendered.subject, "[hardened] PASS · score 95.0 (±0.0) · night of 2026-11-23");
    let unwrapped =
        template::text("morning.text", &view::View::of(&report, &meta(), &view::MAIL, 0));
    assert_eq!(
        unwrapped.unwrap(),
        "\
PASS - 3 images are all good.
Planned 3 = 3 released + 0 held + 0 failed + 0 blocked + 0 reused + 0 skipped. Score 95.0 (±0.0). \
Nothing new, nothing fixed; open as before: 0 critical, 0 high, 0 medium, 0 low.
Advisory data fresh, oldest source 26 h. 00:00–00:41 Asia/Tokyo, 41 min.

--
midwatch 0.1.0, night 20261122T150000Z-1a2b3c, commit 4be1a9c07d2f, advisory index 9f3c9f3c9f3c
Policy: max-critical 0
Advisory data: OSV Debian 9 h, OSV PyPI 11 h, OSV npm 11 h, KEV 26 h, EPSS 14 h
You get this because mail.to of pipeline hardened names security@example.org.
"
    );
}

#[test]
fn an_owner_reads_of_the_own_images_alone() {
    let report = sample::report_for(Audience::Owner("WEB@example.org".into()));
    let rendered = render(&report, &meta()).unwrap();
    assert_eq!(
        rendered.subject,
        "[hardened] HELD 1 of 1 · 1 new KEV · score 58.5 (−1.5) · night of 2026-11-23"
    );
    let head: Vec<&str> = rendered.text.lines().take(8).collect();
    assert_eq!(
        head.join("\n"),
        "\
HELD - Your only image is not released: 1 held by policy.
hardened, night of 2026-11-23 (scheduled), commit 4be1a9c07d2f
Score 58.5 (−1.5 since the last night), 100 is best
Planned 12 = 5 released + 2 held + 2 failed + 1 blocked + 1 reused + 1
skipped
Yours: 1 of these
Open: 1 critical, 3 high, 4 medium, 0 low; 1 known exploited; 0 secrets; 0
failed checks; 1 justified"
    );
    assert!(rendered.text.contains(
        "- Held: hardened/apps/web [policy]\n  what must change: 1 known-exploited vulnerability"
    ));
    for hidden in ["apps/keys", "apps/broken", "gnutls28", "TREND", "Trend"] {
        assert!(!rendered.text.contains(hidden) && !rendered.html.contains(hidden), "{hidden}");
    }
}

#[test]
fn a_bad_night_says_who_must_do_what() {
    let rendered = render(&sample::report(), &meta()).unwrap();
    assert_eq!(
        rendered.subject,
        "[hardened] FAIL 5 of 12 · 1 new KEV · score 75.8 (−1.3) · night of 2026-11-23"
    );
    for wanted in [
        "FAIL - 5 of 12 images not released: 2 failed, 1 blocked, 2 held by policy.",
        "- Mend hardened/apps/broken: unblocks 1 image [own]",
        "$ midwatch rebuild hardened hardened/apps/broken --with-dependants",
        "- Mend hardened/tools/fetch [input]",
        "- Upgrade libxml2 to 2.9.14-3: closes 20 findings in 4 images",
        "- Upgrade jinja2 to 3.1.10: closes 2 findings in 1 image",
        "- hardened/apps/child: blocked [base]\n  by hardened/apps/broken",
        "- contradicted: CVE-2024-0567",
        "- hardened/tools/odd: score N/A: conan: no advisory data for 14 packages",
        "1 in 1 image: not_affected, vulnerable_code_not_in_execute_path",
    ] {
        assert!(rendered.text.contains(wanted), "{wanted}\n---\n{}", rendered.text);
    }
    assert_eq!(
        (rendered.verdict, rendered.severity_highest),
        (Verdict::Fail, Some(Severity::Critical))
    );
}

#[test]
fn stale_and_missing_data_stand_in_subject_and_body() {
    use crate::model::advisory::Freshness;
    for (freshness, word) in [(Freshness::Stale, "STALE"), (Freshness::Missing, "MISSING")] {
        let mut report = sample::quiet();
        report.night.feeds.freshness = freshness;
        assert!(!quiet(&report));
        let rendered = render(&report, &meta()).unwrap();
        assert!(rendered.subject.contains(&format!("PASS · feeds {word}")), "{}", rendered.subject);
        assert!(rendered.text.contains(&format!("Advisory data {word}")));
        assert!(rendered.html.contains(&format!(">{}<", word.to_lowercase())));
    }
}

#[test]
fn a_night_that_could_not_be_done_or_did_not_end_is_no_pass() {
    let mut report = sample::quiet();
    report.night.planned += 1;
    let rendered = render(&report, &meta()).unwrap();
    assert_eq!(rendered.verdict, Verdict::Incomplete);
    assert!(rendered.text.contains("Planned 4 ≠ 3 released"), "{}", rendered.text);
    report.night.error = Some("the source cannot be fetched".into());
    report.images.clear();
    let rendered = render(&report, &meta()).unwrap();
    assert!(rendered.text.starts_with("ERROR - The night could not be done: the source cannot"));
}

#[test]
fn a_night_stopped_before_any_image_claims_nothing() {
    let mut report = compared(vec![], vec![]);
    report.night.error = Some("the source cannot be fetched".into());
    let rendered = render(&report, &meta()).unwrap();
    let pages = [page(&report, &meta()).unwrap(), terminal(&report, 100, false)];
    for text in [&rendered.text, &rendered.html].into_iter().chain(&pages) {
        for claim in ["Open", "New since", "NEW SINCE", "Fixed", "FIXED"] {
            assert!(!text.contains(claim), "{claim}\n{text}");
        }
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains("cannot be fetched; nothing was built or judged"), "{words}");
    }
}

#[test]
fn a_night_without_judgement_is_no_point_of_the_trend() {
    let night = night(&[]);
    let mut trend = sample::trend();
    (trend[13].good, trend[13].bad, trend[13].score) = (0, 0, None);
    let report = assemble(AssembleInput {
        night: &night,
        previous: Some(&night),
        images: vec![],
        before: vec![],
        same_formula: true,
        statements: vec![],
        outside: vec![],
        trend,
        policy: vec![],
        notes: vec![],
        audience: Audience::Pipeline("security@example.org".into()),
    });
    assert_eq!(report.trend.len(), 13);
}

#[test]
fn a_pass_without_any_rule_says_so() {
    let mut report = sample::quiet();
    report.policy.clear();
    let rendered = render(&report, &meta()).unwrap();
    assert!(
        rendered.text.starts_with("PASS - 3 images are all built and scanned; no policy rule is"),
        "{}",
        rendered.text
    );
    assert!(rendered.text.contains("\nPolicy: no policy rule is set\n"));
    assert!(rendered.html.contains("<b>Policy</b> no policy rule is set"));
    assert!(page(&report, &meta()).unwrap().contains("<b>Policy</b> no policy rule is set"));
    assert!(terminal(&report, 100, false).contains("no policy rule is set"));
    report.night.ended = Some(report.night.started + chrono::TimeDelta::seconds(12));
    assert!(render(&report, &meta()).unwrap().text.contains("00:00 Asia/Tokyo, 12 s"));
}

#[test]
fn what_came_and_what_went_is_told_apart() {
    let report = compared(one(vec![]), one(vec![openssl()]));
    assert_eq!((ids(&report.new), report.fixed.len()), (vec!["CVE-2026-1"], 0));
    let report = compared(one(vec![openssl()]), one(vec![]));
    assert_eq!((report.new.len(), ids(&report.fixed)), (0, vec!["CVE-2026-1"]));
    // The same advisory on an older version of the package is no news.
    let mut upgraded = openssl();
    upgraded.package.as_mut().unwrap().version = "3.0.12-1".into();
    let report = compared(one(vec![openssl()]), one(vec![upgraded]));
    assert!(report.new.is_empty() && report.fixed.is_empty());
}

#[test]
fn a_justification_that_begins_or_ends_is_news() {
    let mut justified = openssl();
    justified.status = Status::NotAffected;
    let report = compared(one(vec![justified.clone()]), one(vec![openssl()]));
    assert_eq!(report.new[0].finding.note.as_deref(), Some("no longer justified"));
    let report = compared(one(vec![openssl()]), one(vec![justified]));
    assert_eq!(report.fixed[0].finding.note.as_deref(), Some("justified"));
}

#[test]
fn nothing_is_fixed_where_nobody_looked() {
    let mut failed = one(vec![]);
    failed[0] = image("base", Outcome::Failed, None, vec![]);
    assert!(compared(one(vec![openssl()]), failed).fixed.is_empty());
    let mut gap = one(vec![]);
    gap[0].unassessed = vec!["Debian: no advisory data for 90 packages".into()];
    assert!(compared(one(vec![openssl()]), gap).fixed.is_empty());
    let mut unscored = one(vec![]);
    unscored[0].result.score = None;
    assert!(compared(one(vec![openssl()]), unscored).fixed.is_empty());
}

#[test]
fn findings_of_an_image_not_judged_before_are_never_hidden() {
    let failed = vec![image("base", Outcome::Failed, None, vec![])];
    for before in [failed, vec![]] {
        let report = compared(before, one(vec![openssl()]));
        assert_eq!(ids(&report.new), ["CVE-2026-1"]);
        assert_eq!(report.new[0].finding.note.as_deref(), Some("not judged on the night before"));
        let note = "base was not judged on the night before: 1 open finding is listed as new";
        assert_eq!(report.notes, [note]);
        let rendered = render(&report, &meta()).unwrap();
        assert!(rendered.text.contains("NEW SINCE THE LAST NIGHT (1)"), "{}", rendered.text);
    }
    // Judged is judged, whatever came of it then.
    let mut stopped = one(vec![openssl()]);
    stopped[0].result.outcome = Outcome::Blocked;
    let report = compared(stopped, one(vec![openssl()]));
    assert!(report.new.is_empty() && report.notes.is_empty());
    // What is new in a compared image too does not look like an old one.
    let all = vec![
        image("a", Outcome::Released, Some(90.0), vec![openssl()]),
        image("b", Outcome::Released, Some(90.0), vec![openssl()]),
    ];
    let before = vec![image("b", Outcome::Released, Some(90.0), vec![])];
    let report = compared(before, all);
    assert_eq!((report.new[0].images.len(), &report.new[0].finding.note), (2, &None));
}

#[test]
fn the_score_moves_by_images_judged_on_both_nights_alone() {
    let scored = |name: &str, score| image(name, Outcome::Released, score, vec![]);
    let before = vec![scored("a", Some(90.0)), scored("b", None), scored("gone", Some(10.0))];
    let now = vec![scored("a", Some(91.0)), scored("b", Some(40.0)), scored("c", Some(20.0))];
    let delta = compared(before, now).score_delta.unwrap();
    assert!((delta - 1.0).abs() < 1e-9, "{delta}");
    let now = vec![scored("c", Some(20.0))];
    assert_eq!(compared(vec![], now).score_delta, None);
}

#[test]
fn one_advisory_in_many_images_and_many_in_one_package_are_one_line() {
    let many: Vec<ImageFindings> = (0..9)
        .map(|n| image(&format!("i{n}"), Outcome::Released, Some(90.0), vec![openssl()]))
        .collect();
    let clean = many.iter().cloned().map(|i| ImageFindings { findings: vec![], ..i }).collect();
    let report = compared(clean, many);
    assert_eq!((report.new.len(), report.new[0].images.len()), (1, 9));
    let flood: Vec<Finding> =
        (0..50).map(|n| Finding { id: format!("CVE-2026-9{n:02}"), ..openssl() }).collect();
    let rendered = render(&compared(one(vec![]), one(flood)), &meta()).unwrap();
    assert!(rendered.text.contains("50 advisories, worst CVE-2026-900: openssl"));
    assert_eq!(rendered.text.matches("CVE-2026-9").count(), 1);
}

fn fleet(images: usize, findings: usize, text: &str) -> Report {
    let all: Vec<ImageFindings> = (0..images)
        .map(|n| {
            let outcome = [Outcome::Released, Outcome::Held, Outcome::Failed][n % 3];
            let found = (0..findings).map(|m| {
                let package = ("npm", text, "1.0.0");
                let mut finding = vulnerability("", Severity::High, package, Some(text));
                finding.id = format!("CVE-{n}-{m}{text}");
                finding.package.as_mut().unwrap().name = format!("{text}{m}-{n}");
                finding.title = text.into();
                finding
            });
            let mut one = image(&format!("{text}{n}"), outcome, Some(50.0), found.collect());
            one.result.error = Some(text.into());
            one.result.held_by = vec![text.into()];
            one.result.owners = vec![format!("{text}@example.org"); 3];
            one.unassessed = vec![format!("{text}{n}")];
            one
        })
        .collect();
    let before = all.iter().map(|image| ImageFindings {
        result: image.result.clone(),
        findings: vec![],
        unassessed: vec![],
        warnings: vec![],
    });
    let before = before.collect();
    compared(before, all)
}

#[test]
fn the_html_part_fits_whatever_comes() {
    let long = format!("{NASTY}{}", "<&\"x".repeat(500));
    let mut report = fleet(120, 20, &long);
    report.notes = vec![long.clone(); 400];
    report.policy = vec![long.clone(); 400];
    let hostile = RenderMeta { repository: long.clone(), engine: long, ..meta() };
    for (report, meta) in [(fleet(2_000, 40, "p"), meta()), (report, hostile)] {
        let rendered = render(&report, &meta).unwrap();
        assert!(rendered.html.len() <= HTML_LIMIT, "{} bytes", rendered.html.len());
        assert!(rendered.html.contains("more in the attached CSV"));
        assert!(rendered.html.ends_with("</html>\n"));
        assert!(rendered.csv.len() <= 4_200_000, "{} bytes", rendered.csv.len());
        assert!(rendered.text.lines().all(|line| clean::width(line) <= 78));
        assert!(!rendered.subject.contains(['\r', '\n']) && rendered.subject.len() < 1_000);
    }
}

#[test]
#[ignore = "600,000 findings take half a minute unoptimised"]
fn the_largest_fleet_fits_too() {
    let rendered = render(&fleet(2_000, 300, "p"), &meta()).unwrap();
    assert!(rendered.html.len() <= HTML_LIMIT && rendered.csv.len() <= 4_200_000);
    assert!(rendered.text.contains("more did not fit"));
}

#[test]
fn hostile_text_is_shown_not_obeyed() {
    let report = fleet(3, 2, NASTY);
    let rendered = render(&report, &meta()).unwrap();
    let page = page(&report, &meta()).unwrap();
    let table = terminal(&report, 100, false);
    let night = NightReport {
        night: report.night.clone(),
        images: report.images.iter().map(|image| image.result.clone()).collect(),
    };
    for text in [&rendered.html, &page] {
        assert!(!text.contains("<script") && text.contains("&lt;script&gt;"));
    }
    let csv = String::from_utf8(rendered.csv.clone()).unwrap();
    for text in [
        rendered.html,
        page,
        rendered.text,
        rendered.subject,
        csv,
        table,
        night_table(&night, 100, false),
    ] {
        assert!(!text.contains(['\u{202e}', '\u{1b}']), "{text}");
        assert!(!text.contains("\nBcc:"), "{text}");
    }
}

#[test]
fn formulas_do_not_reach_the_spreadsheet() {
    let mut finding = openssl();
    finding.title = "=HYPERLINK(\"http://x\")".into();
    finding.package.as_mut().unwrap().name = "@sum".into();
    finding.path = Some("\t-2+3".into());
    let rendered = render(&compared(one(vec![]), one(vec![finding])), &meta()).unwrap();
    let mut reader = csv::Reader::from_reader(&rendered.csv[..]);
    let row = reader.records().next().unwrap().unwrap();
    assert_eq!((&row[0], &row[5], &row[12]), ("base", "'@sum", "'-2+3"));
    assert_eq!(&row[15], "'=HYPERLINK(\"http://x\")");
}

#[test]
fn a_client_reads_the_message_back() {
    let rendered = render(&sample::report(), &meta()).unwrap();
    let raw = message(&rendered, &envelope()).unwrap();
    assert!(raw.is_ascii(), "no extension of SMTP is needed");
    assert!(raw.split(|b| *b == b'\n').all(|line| line.len() <= 998));
    let mail = MessageParser::default().parse(&raw).unwrap();
    assert_eq!(mail.subject(), Some(rendered.subject.as_str()));
    assert_eq!(
        mail.body_text(0).unwrap().replace("\r\n", "\n").trim_end(),
        rendered.text.trim_end()
    );
    assert_eq!(
        mail.body_html(0).unwrap().replace("\r\n", "\n").trim_end(),
        rendered.html.trim_end()
    );
    let sheet = mail.attachment(0).unwrap();
    assert_eq!(sheet.attachment_name(), Some("open-findings-2026-11-23.csv"));
    assert_eq!(sheet.contents(), rendered.csv);
    let header = |name: &'static str| mail.header_raw(name).map(str::trim);
    assert_eq!(header("List-Id"), Some("<hardened.midwatch.example.org>"));
    assert_eq!(header("Auto-Submitted"), Some("auto-generated"));
    assert_eq!(header("X-Auto-Response-Suppress"), Some("All"));
    assert_eq!(header("X-Midwatch-Run"), Some("n1"));
    assert_eq!(header("X-Midwatch-Verdict"), Some("fail"));
    assert_eq!(header("X-Midwatch-Severity"), Some("critical"));
    assert_eq!(header("Message-ID"), Some(envelope().message_id.as_str()));
    assert_eq!(mail.date().unwrap().to_timestamp(), sample::start().timestamp());
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let once = || message(&render(&sample::report(), &meta()).unwrap(), &envelope()).unwrap();
    assert_eq!(once(), once());
    let id = |night, address: &str, revision| {
        message_id(night, &Audience::Owner(address.into()), revision, "example.org")
    };
    assert_eq!(id("n", "a@b", 0), id("n", "A@B", 0));
    let all = [id("n", "a@b", 0), id("n", "a@b", 1), id("m", "a@b", 0), id("n", "c@b", 0)];
    assert_eq!(std::collections::BTreeSet::from(all).len(), 4);
}

#[test]
fn headers_cannot_be_injected() {
    let mut rendered = render(&sample::quiet(), &meta()).unwrap();
    rendered.subject = format!("a{NASTY}");
    let mut envelope = envelope();
    envelope.list_id = "x>\r\nBcc: <y@example.org".into();
    envelope.night = "n\r\nBcc: y@example.org".into();
    envelope.thread = Some("<t@example.org>\r\nBcc: y@example.org".into());
    let raw = message(&rendered, &envelope).unwrap();
    let mail = MessageParser::default().parse(&raw).unwrap();
    assert!(mail.bcc().is_none());
    assert!(mail.in_reply_to().as_text().unwrap().starts_with("t@example.org"));
    envelope.to = "x@example.org\r\nBcc: y@example.org".into();
    assert!(matches!(message(&rendered, &envelope), Err(Error::Address { .. })));
}

#[test]
fn a_terminal_shows_every_image_and_the_completeness_line() {
    let report = sample::report();
    let text = terminal(&report, 100, false);
    assert!(
        text.starts_with("FAIL  hardened · night 20261122T150000Z-1a2b3c · score 75.8 (−1.3)\n")
    );
    assert!(text.contains(
        "planned 12 = 5 released + 2 held + 2 failed + 1 blocked + 1 reused + 1 skipped"
    ));
    assert!(text.lines().all(|line| clean::width(line) <= 100), "{text}");
    for image in &report.images {
        assert!(text.contains(&image.result.name));
    }
    assert!(!text.contains('\u{1b}') && terminal(&report, 100, true).contains("\u{1b}["));
}

#[test]
#[ignore = "writes the sample reports into a folder for a look at them"]
fn show() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/report-show");
    std::fs::create_dir_all(&folder).unwrap();
    for (name, report) in
        [("bad", sample::report()), ("quiet", sample::quiet()), ("first", sample::baseline())]
    {
        let rendered = render(&report, &meta()).unwrap();
        std::fs::write(folder.join(format!("{name}.html")), &rendered.html).unwrap();
        std::fs::write(folder.join(format!("{name}.txt")), &rendered.text).unwrap();
        let page = page(&report, &meta()).unwrap();
        std::fs::write(folder.join(format!("{name}.page.html")), page).unwrap();
    }
}
