//! Mails leave over real SMTP sessions, and each way in which one can end is told apart.

#![allow(missing_docs, clippy::disallowed_methods, clippy::unwrap_used)]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use midwatch::report::transport::{Options, Sent, Transport};
use tempfile::TempDir;

const MAIL: &[u8] =
    b"From: a@example.org\r\nTo: b@example.org\r\nSubject: night\r\n\r\n.dot first\r\nbody\r\n";

struct Server {
    child: Child,
    port: u16,
    folder: TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// `None`, with its name said, where Python, aiosmtpd or openssl is missing.
    fn start(test: &str, mode: &str) -> Option<Self> {
        let Some(python) = python() else {
            return skip(test, "python3 with aiosmtpd");
        };
        let folder = TempDir::new().unwrap();
        if !certificate(folder.path()) {
            return skip(test, "openssl");
        }
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/report/server.py");
        let mut child = Command::new(python)
            .arg(script)
            .args([folder.path(), Path::new(mode)])
            .args([folder.path().join("cert.pem"), folder.path().join("key.pem")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Some(Self { child, port: line.trim().parse().unwrap(), folder })
    }

    fn transport(&self, setting: &str, trusted: bool) -> Transport {
        let setting = setting.replace("PORT", &self.port.to_string());
        let options = Options {
            command: Duration::from_secs(3),
            connect: Duration::from_secs(10),
            root_certificate: trusted.then(|| self.folder.path().join("cert.pem")),
            ..Options::default()
        };
        Transport::new(&setting, PathBuf::new(), None, &options).unwrap()
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap()
    }
}

/// The distribution's modules belong to its own interpreter, which need not be the first on the path.
fn python() -> Option<&'static str> {
    ["python3", "/usr/bin/python3"].into_iter().find(|python| {
        let ready = Command::new(python).args(["-c", "import aiosmtpd"]).output();
        ready.is_ok_and(|output| output.status.success())
    })
}

/// In CI nothing may be left out.
#[allow(clippy::disallowed_methods)]
fn skip<T>(test: &str, what: &str) -> Option<T> {
    assert!(std::env::var_os("CI").is_none(), "{test} needs {what}");
    eprintln!("SKIP {test}: {what} is missing");
    None
}

fn certificate(folder: &Path) -> bool {
    Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test"])
        .args(["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(folder.join("key.pem"))
        .arg("-out")
        .arg(folder.join("cert.pem"))
        .output()
        .is_ok_and(|output| output.status.success())
}

async fn send(transport: &Transport, local: &str) -> Sent {
    transport.send("midwatch@example.org", &format!("{local}@example.org"), MAIL, "x").await
}

#[tokio::test]
async fn each_answer_has_its_own_end() {
    let Some(server) = Server::start("each_answer_has_its_own_end", "plain") else { return };
    let transport = server.transport("smtp://127.0.0.1:PORT", false);
    assert_eq!(send(&transport, "good").await, Sent::Accepted);
    assert_eq!(server.read("good.eml").as_bytes(), MAIL, "the bytes arrive as they were sent");
    for (local, wanted) in [("later", "451"), ("early", "RCPT")] {
        let sent = send(&transport, local).await;
        assert!(matches!(&sent, Sent::Later { error } if error.contains(wanted)), "{sent:?}");
    }
    for (local, wanted) in [("never", "550"), ("spam", "554")] {
        let sent = send(&transport, local).await;
        assert!(matches!(&sent, Sent::Refused { error } if error.contains(wanted)), "{sent:?}");
    }
    for local in ["drop", "silent"] {
        let sent = send(&transport, local).await;
        assert!(matches!(sent, Sent::Unknown { .. }), "{local}: {sent:?}");
    }
    assert_eq!(send(&transport, "after").await, Sent::Accepted, "the pool recovers");
}

#[tokio::test]
async fn a_connection_serves_many_mails() {
    let Some(server) = Server::start("a_connection_serves_many_mails", "plain") else { return };
    let transport = server.transport("smtp://localhost:PORT?tls=none", false);
    for local in ["one", "two", "three"] {
        assert_eq!(send(&transport, local).await, Sent::Accepted);
    }
    assert_eq!(server.read("three.how"), "1 plain");
}

#[tokio::test]
async fn starttls_is_used_where_offered_and_checked() {
    let Some(server) = Server::start("starttls_is_used_where_offered_and_checked", "starttls")
    else {
        return;
    };
    let transport = server.transport("smtp://localhost:PORT", true);
    assert_eq!(send(&transport, "sealed").await, Sent::Accepted);
    assert!(server.read("sealed.how").ends_with(" tls"));
    let stranger = server.transport("smtp://localhost:PORT", false);
    let sent = send(&stranger, "stranger").await;
    assert!(matches!(&sent, Sent::Later { error } if error.contains("certificate")), "{sent:?}");
}

#[tokio::test]
async fn implicit_tls_works() {
    let Some(server) = Server::start("implicit_tls_works", "wrapped") else { return };
    let transport = server.transport("smtps://localhost:PORT", true);
    assert_eq!(send(&transport, "wrapped").await, Sent::Accepted);
    assert!(server.read("wrapped.how").ends_with(" tls"));
}

#[tokio::test]
async fn required_tls_never_falls_back_to_plain() {
    let Some(server) = Server::start("required_tls_never_falls_back_to_plain", "plain") else {
        return;
    };
    let transport = server.transport("smtp://localhost:PORT?tls=required", true);
    let sent = send(&transport, "bare").await;
    assert!(matches!(&sent, Sent::Later { error } if error.contains("STARTTLS")), "{sent:?}");
    assert!(!server.folder.path().join("bare.eml").exists());
}

#[tokio::test]
async fn a_server_that_is_down_means_later() {
    let port = {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        free.local_addr().unwrap().port()
    };
    let setting = format!("smtp://127.0.0.1:{port}");
    let transport = Transport::new(&setting, PathBuf::new(), None, &Options::default()).unwrap();
    let sent = send(&transport, "any").await;
    assert!(
        matches!(&sent, Sent::Later { error } if error.contains(&port.to_string())),
        "{sent:?}"
    );
}

#[tokio::test]
async fn a_folder_gets_whole_files_and_no_others() {
    let folder = TempDir::new().unwrap();
    let inside = folder.path().join("mail");
    let transport = Transport::new("folder", inside.clone(), None, &Options::default()).unwrap();
    let sent = transport.send("a@example.org", "b@example.org", MAIL, "../../etc/night-1").await;
    assert_eq!(sent, Sent::Accepted);
    let names: Vec<_> =
        std::fs::read_dir(&inside).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, ["_.._etc_night-1.eml"]);
    assert_eq!(std::fs::read(inside.join(&names[0])).unwrap(), MAIL);
}

#[test]
fn settings_that_cannot_work_are_refused_without_their_secrets() {
    let refuse = |setting: &str| {
        Transport::new(setting, PathBuf::new(), None, &Options::default()).unwrap_err().to_string()
    };
    assert!(refuse("smtp://user:hunter2@mail.example.org").contains("credentials"));
    assert!(!refuse("smtp://user:hunter2@mail.example.org").contains("hunter2"));
    assert!(refuse("sendmail").contains("\"folder\""));
    assert!(refuse("https://mail.example.org").contains("unknown scheme"));
    assert!(refuse("smtp://mail.example.org?tls=maybe").contains("opportunistic"));
}
