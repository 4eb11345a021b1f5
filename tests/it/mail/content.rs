//! The morning mail as a client reads it.

use std::collections::BTreeSet;
use std::path::Path;

use mail_parser::{Message, MessageParser, MimeHeaders};

use super::super::world::{BASE, World};

const APP: &str = "ARG BASE_IMAGE\nARG BASE_TAG\nFROM ${BASE_IMAGE}:${BASE_TAG}\n\
                   COPY METADATA /usr/lib/python3/dist-packages/demo-1.0.dist-info/METADATA\nUSER 1000\n";

fn parsed(raw: &[u8]) -> Message<'_> {
    MessageParser::default().parse(raw).unwrap()
}

fn text(mail: &Message<'_>) -> String {
    mail.body_text(0).unwrap().split_whitespace().collect::<Vec<_>>().join(" ")
}

fn header(mail: &Message<'_>, name: &str) -> String {
    mail.header_raw(name).unwrap_or_else(|| panic!("no {name}")).trim().to_owned()
}

/// The mail to that address among those of the data folder that are not in `before`.
fn mail_to(world: &World, address: &str, before: &BTreeSet<Vec<u8>>) -> Vec<u8> {
    let to = |raw: &Vec<u8>| header(&parsed(raw), "To").contains(address);
    let new = world.mails().into_iter().filter(|raw| !before.contains(raw));
    let mine: Vec<Vec<u8>> = new.filter(to).collect();
    assert_eq!(mine.len(), 1, "one new mail to {address}");
    mine.into_iter().next().unwrap()
}

#[test]
fn the_second_night_says_what_is_new_and_what_is_fixed() {
    let Some(mut world) = World::empty() else { return };
    let feeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/policy-holds");
    let metadata = |version: &str| {
        let text = std::fs::read_to_string(feeds.join("repo/vulnerable/METADATA")).unwrap();
        let lines = text.lines().map(|line| match line.starts_with("Version:") {
            true => format!("Version: {version}\n"),
            false => format!("{line}\n"),
        });
        lines.collect::<String>()
    };
    world.image("app", "test/app", BASE.rsplit_once(':'), APP);
    world.write("repo/app/METADATA", &metadata("1.0"));
    world.commit("first");
    world.pipeline("[policy]\nmax-critical = 0\n[mail]\nto = [\"security@example.org\"]\n");
    world.midwatch(&["feeds", "import", feeds.join("feeds").to_str().unwrap()]);
    let night = world.midwatch(&["run", "p", "--json"]).exits(2).json();
    let raw = mail_to(&world, "security@example.org", &BTreeSet::new());
    shape(&parsed(&raw), &world, night["night"]["id"].as_str().unwrap());
    let owner = mail_to(&world, "owner@example.org", &BTreeSet::new());
    assert!(text(&parsed(&owner)).contains("test/app"));

    let before: BTreeSet<Vec<u8>> = world.mails().into_iter().collect();
    world.write("repo/app/METADATA", &metadata("99.0"));
    world.commit("fixed");
    world.now = Some("2026-11-23T00:30:00Z".into());
    world.midwatch(&["run", "p"]).exits(0);
    let raw = mail_to(&world, "security@example.org", &before);
    let fixed = parsed(&raw);
    let said = text(&fixed);
    let line = "FIXED TONIGHT (1) - critical CVE-2026-99001: demo 1.0 in 1 image: test/app";
    assert!(said.contains(line) && said.contains("NEW SINCE THE LAST NIGHT (0)"), "{said}");

    let before: BTreeSet<Vec<u8>> = world.mails().into_iter().collect();
    world.write("repo/app/METADATA", &metadata("1.0"));
    world.commit("back again");
    world.now = Some("2026-11-24T00:30:00Z".into());
    world.midwatch(&["run", "p"]).exits(2);
    let raw = mail_to(&world, "security@example.org", &before);
    let new = parsed(&raw);
    let said = text(&new);
    let line = "NEW SINCE THE LAST NIGHT (1) - critical CVE-2026-99001: demo 1.0, fixed in 1.1 in";
    assert!(said.contains(line) && said.contains("FIXED TONIGHT (0)"), "{said}");
    assert!(new.subject().unwrap().contains("HELD"), "{:?}", new.subject());
}

/// What every mail client relies on.
fn shape(mail: &Message<'_>, world: &World, night: &str) {
    let name = world.pipeline_name();
    let subject = mail.subject().unwrap();
    assert!(subject.starts_with(&format!("[{name}] HELD 1 of 1")), "{subject}");
    assert!(subject.contains("2026-11-22"), "the date keeps nights apart: {subject}");
    assert_eq!(header(mail, "List-Id"), format!("<{name}.midwatch.example.org>"));
    assert_eq!(header(mail, "Auto-Submitted"), "auto-generated");
    assert_eq!(header(mail, "X-Auto-Response-Suppress"), "All");
    assert_eq!(header(mail, "X-Midwatch-Run"), night);
    assert_eq!(header(mail, "X-Midwatch-Severity"), "critical");
    assert!(header(mail, "Message-ID").ends_with("@example.org>"));
    let kind = mail.content_type().unwrap();
    assert_eq!((kind.ctype(), kind.subtype()), ("multipart", Some("mixed")));
    let said = text(mail);
    for words in ["test/app", "Upgrade demo to", "Planned 1", "1 held"] {
        assert!(said.contains(words), "no {words:?} in {said}");
    }
    let plain = mail.body_text(0).unwrap();
    assert!(plain.lines().all(|line| line.chars().count() <= 78), "78 columns at most:\n{plain}");
    let html = mail.body_html(0).unwrap();
    assert!(html.len() < 80_000 && html.contains("test/app"));
    assert!(!html.contains("<script"));
    let sheet = mail.attachment(0).unwrap();
    assert!(sheet.attachment_name().unwrap().ends_with(".csv"));
    let rows = String::from_utf8(sheet.contents().to_vec()).unwrap();
    assert!(rows.contains("MWTEST-2026-"), "{rows}");
    assert_eq!(mail.attachment_count(), 1);
}
