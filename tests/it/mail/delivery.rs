//! Mails against servers that are down, refuse, or lose the connection after the message.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::super::world::{BASE, World, skip};

const FROM: &str = "ARG BASE_IMAGE\nARG BASE_TAG\nFROM ${BASE_IMAGE}:${BASE_TAG}\nUSER 1000\n";

/// A world whose night mails these addresses and the image's owner.
pub fn world(to: &[&str]) -> Option<World> {
    let world = World::empty()?;
    world.image("app", "test/app", BASE.rsplit_once(':'), FROM);
    world.commit("first");
    world.pipeline(&format!("[mail]\nto = {to:?}\n"));
    Some(world)
}

fn transport(world: &World, address: &str) {
    let text = format!(
        "[mail]\nfrom = \"midwatch@example.org\"\ntransport = \"smtp://{address}\"\n\
         administrator = \"admin@example.org\"\n"
    );
    world.write("midwatch.toml", &text);
}

/// An SMTP server of the distribution, writing what it gets into a folder.
struct Server {
    child: Child,
    address: String,
    folder: PathBuf,
}

impl Server {
    fn start(world: &World) -> Option<Self> {
        let mut pythons = ["python3", "/usr/bin/python3"].into_iter();
        let python = pythons.find(|python| {
            let tried = Command::new(python).args(["-c", "import aiosmtpd"]).output();
            tried.is_ok_and(|output| output.status.success())
        });
        let Some(python) = python else { return skip("python3 has no aiosmtpd") };
        let folder = world.path("smtp");
        std::fs::create_dir_all(&folder).unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/report/server.py");
        let mut child = Command::new(python)
            .arg(script)
            .arg(&folder)
            .args(["plain", "none", "none"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Some(Self { child, address: format!("127.0.0.1:{}", line.trim()), folder })
    }

    fn mail(&self, local: &str) -> Option<String> {
        std::fs::read_to_string(self.folder.join(format!("{local}.eml"))).ok()
    }

    /// How many mails the server took for that address.
    fn taken(&self, local: &str) -> usize {
        let log = std::fs::read_to_string(self.folder.join("taken")).unwrap_or_default();
        log.lines().filter(|line| *line == local).count()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn states(world: &World) -> Vec<Vec<String>> {
    world.rows("SELECT recipient, state FROM outbox ORDER BY recipient, message_id")
}

#[test]
fn a_server_that_is_down_costs_no_mail_and_no_night() {
    let Some(mut world) = world(&["security@example.org"]) else { return };
    let Some(server) = Server::start(&world) else { return };
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    transport(&world, &closed.to_string());
    let done = world.midwatch(&["run", "p", "--json"]).exits(0);
    assert_eq!(done.json()["night"]["released"], 1);
    assert!(done.stderr.contains("2 to be tried again"), "{}", done.stderr);
    let pending = [["owner@example.org", "pending"], ["security@example.org", "pending"]];
    assert_eq!(states(&world), pending);

    // Too early: patience first. Then the next run brings the old mails and its own.
    transport(&world, &server.address);
    world.now = Some("2026-11-22T00:30:20Z".into());
    world.midwatch(&["run", "p", "--mail", "none"]).exits(0);
    world.now = Some("2026-11-22T00:40:00Z".into());
    let second = world.midwatch(&["run", "p", "--json"]).exits(0).json();
    assert!(states(&world).iter().all(|mail| mail[1] == "sent"), "{:?}", states(&world));
    assert_eq!((server.taken("security"), server.taken("owner")), (2, 2), "two nights, once each");
    let last = server.mail("security").unwrap();
    assert!(last.contains(second["night"]["id"].as_str().unwrap()) || last.contains("Message-ID"));
    world.now = Some("2026-11-22T02:00:00Z".into());
    world.midwatch(&["run", "p", "--mail", "none"]).exits(0);
    assert_eq!((server.taken("security"), server.taken("owner")), (2, 2), "and never again");
}

#[test]
fn a_refused_address_is_suppressed_and_the_administrator_told_once() {
    let Some(mut world) = world(&["never@example.org", "good@example.org"]) else { return };
    let Some(server) = Server::start(&world) else { return };
    transport(&world, &server.address);
    let done = world.midwatch(&["run", "p"]).exits(0);
    assert!(done.stderr.contains("1 given up"), "{}", done.stderr);
    assert_eq!(server.taken("good"), 1);
    assert_eq!(server.taken("admin"), 1);
    let told = server.mail("admin").unwrap();
    let told = mail_parser::MessageParser::default().parse(told.as_bytes()).unwrap();
    assert_eq!(told.subject().unwrap(), "[midwatch] no mail to never@example.org any more");
    let text = told.body_text(0).unwrap();
    assert!(text.contains("550 no such user") || text.contains("no such user"), "{text}");
    world.now = Some("2026-11-23T00:30:00Z".into());
    world.midwatch(&["run", "p"]).exits(0);
    assert_eq!((server.taken("good"), server.taken("admin")), (2, 1), "told once");
    let dead = world.rows("SELECT state FROM outbox WHERE recipient = 'never@example.org'");
    assert_eq!(dead, [["dead"], ["dead"]]);
}

/// One SMTP dialogue up to the whole message; the answer to it is the caller's.
fn take(stream: &TcpStream) -> String {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    stream.write_all(b"220 test\r\n").unwrap();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        match line.trim().to_ascii_uppercase().as_str() {
            "DATA" => break,
            _ => stream.write_all(b"250 ok\r\n").unwrap(),
        }
    }
    stream.write_all(b"354 go\r\n").unwrap();
    let mut message = Vec::new();
    while !message.ends_with(b"\r\n.\r\n") {
        let mut byte = [0];
        reader.read_exact(&mut byte).unwrap();
        message.push(byte[0]);
    }
    String::from_utf8(message).unwrap()
}

fn message_id(mail: &str) -> String {
    let line = mail.lines().find(|line| line.starts_with("Message-ID:")).unwrap();
    line.trim().to_owned()
}

#[test]
fn killed_between_the_message_and_its_record_a_resend_is_the_same_message() {
    let Some(mut world) = world(&["owner@example.org"]) else { return };
    let Some(server) = Server::start(&world) else { return };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    transport(&world, &listener.local_addr().unwrap().to_string());
    let mut run = world.start(&["run", "p"], "killed");
    let (stream, _) = listener.accept().unwrap();
    let first = take(&stream);
    run.kill();
    // The server has it; the ledger does not know.
    assert_eq!(states(&world), [["owner@example.org", "pending"]]);
    transport(&world, &server.address);
    world.now = Some("2026-11-22T00:45:00Z".into());
    let mut serve = world.start(&["serve", "--listen", "127.0.0.1:0"], "serve");
    world.until("the mail is sent again", 30, || (server.taken("owner") == 1).then_some(()));
    world.until("and recorded", 10, || (states(&world)[0][1] == "sent").then_some(()));
    serve.signal("TERM");
    serve.ends_within(15).exits(0);
    assert_eq!(message_id(&first), message_id(&server.mail("owner").unwrap()));
    assert_eq!(server.taken("owner"), 1);
}
