//! `midwatch serve`: nights at their hour, mails at theirs, and the two addresses for the operator.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::super::world::{Running, World};
use super::delivery::world;

/// The pipeline with a schedule, mailed at `at`.
fn scheduled(world: &World, more: &str, at: &str) {
    world.pipeline(&format!("[mail]\nto = [\"security@example.org\"]\nmaintainers = false\n{at}"));
    let pipeline = std::fs::read_to_string(world.path("pipelines/p.toml")).unwrap();
    world
        .write("pipelines/p.toml", &pipeline.replace("[source]\n", &format!("{more}\n[source]\n")));
}

fn serve(world: &World, file: &str) -> Running {
    world.start(&["serve", "--listen", "127.0.0.1:0"], file)
}

/// The service's answer to a GET.
fn get(world: &World, serve: &Running, path: &str) -> String {
    let address = world.until("the service listens", 20, || {
        let text = serve.stderr();
        let (_, rest) = text.split_once("address=")?;
        Some(rest.split_whitespace().next()?.to_owned())
    });
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn ended(world: &World) -> usize {
    world.rows("SELECT id FROM nights WHERE ended IS NOT NULL").len()
}

fn subjects(world: &World) -> Vec<String> {
    let parser = mail_parser::MessageParser::default();
    let mails = world.mails();
    mails.iter().map(|raw| parser.parse(raw).unwrap().subject().unwrap().to_owned()).collect()
}

#[test]
fn a_night_starts_at_its_hour_and_its_mail_waits_for_the_morning() {
    let Some(mut world) = world(&[]) else { return };
    let feeds = super::super::world::scenario("policy-holds").join("feeds");
    world.midwatch(&["feeds", "import", feeds.to_str().unwrap()]).exits(0);
    scheduled(&world, "schedule = \"31 0 * * *\"", "at = \"07:00\"\n");
    world.now = Some("2026-11-22T00:30:50Z".into());
    let mut service = serve(&world, "night");
    let health = get(&world, &service, "/healthz");
    assert!(health.starts_with("HTTP/1.1 200") && health.contains("\"ok\""), "{health}");
    world.until("the night comes to its end", 90, || (ended(&world) == 1).then_some(()));
    assert_eq!(world.value("SELECT kind FROM nights"), "scheduled");
    assert_eq!(world.value("SELECT state FROM outbox"), "pending");
    assert!(world.value("SELECT due FROM outbox").starts_with("2026-11-22T07:00:00"));
    let figures = world.until("the figures know of it", 10, || {
        let figures = get(&world, &service, "/metrics");
        figures.contains("midwatch_nights_total{").then_some(figures)
    });
    let name = world.pipeline_name();
    for line in [
        format!("midwatch_nights_total{{pipeline=\"{name}\"}} 1"),
        format!("midwatch_images{{pipeline=\"{name}\",outcome=\"released\"}} 1"),
        format!("midwatch_night_running{{pipeline=\"{name}\"}} 0"),
        "midwatch_outbox_pending 1".into(),
    ] {
        assert!(figures.contains(&line), "no {line} in\n{figures}");
    }
    service.signal("TERM");
    service.ends_within(15).exits(0);
    assert_eq!(world.mails().len(), 0, "not before seven");

    // In the morning the mail goes out; no second night.
    world.now = Some("2026-11-22T07:00:05Z".into());
    let mut service = serve(&world, "morning");
    world.until("the mail is out", 30, || (world.mails().len() == 1).then_some(()));
    service.signal("TERM");
    service.ends_within(15).exits(0);
    assert_eq!(ended(&world), 1);

    // The next night is quiet: three lines, at once where no hour is given.
    scheduled(&world, "schedule = \"31 0 * * *\"", "");
    world.now = Some("2026-11-23T00:30:55Z".into());
    let mut service = serve(&world, "quiet");
    world.until("a second mail is out", 90, || (world.mails().len() == 2).then_some(()));
    service.signal("TERM");
    service.ends_within(15).exits(0);
    let quiet = subjects(&world).pop().unwrap();
    assert!(quiet.contains("2026-11-23"), "{quiet}");
    let raw = world.mails().pop().unwrap();
    let mail = mail_parser::MessageParser::default().parse(&raw).unwrap();
    assert!(mail.body_text(0).unwrap().lines().count() < 15, "{}", mail.body_text(0).unwrap());
}

#[test]
fn missed_nights_are_made_up_for_once_and_the_mail_says_so() {
    let Some(mut world) = world(&[]) else { return };
    scheduled(&world, "schedule = \"0 3 * * *\"", "");
    world.now = Some("2026-11-19T12:00:00Z".into());
    let mut service = serve(&world, "before");
    world.until("the hour is noted", 30, || {
        (!world.rows("SELECT next_run_at FROM schedules").is_empty()).then_some(())
    });
    service.signal("TERM");
    service.ends_within(15).exits(0);
    world.now = Some("2026-11-22T09:00:00Z".into());
    let mut service = serve(&world, "after");
    world.until("one mail", 90, || (world.mails().len() == 1).then_some(()));
    service.signal("TERM");
    service.ends_within(15).exits(0);
    assert_eq!(ended(&world), 1, "three were missed, one is made up");
    let raw = world.mails().pop().unwrap();
    let mail = mail_parser::MessageParser::default().parse(&raw).unwrap();
    let said = mail.body_text(0).unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("3 scheduled nights were missed since 2026-11-20"), "{said}");
}

#[test]
fn a_night_by_hand_and_one_by_schedule_never_run_at_once() {
    use super::super::faults::interrupted::{sleepers, sleeping};
    let Some(mut world) = sleepers(&["a"]) else { return };
    let pipeline = std::fs::read_to_string(world.path("pipelines/p.toml")).unwrap();
    world.write(
        "pipelines/p.toml",
        &pipeline.replace("[source]\n", "schedule = \"31 0 * * *\"\n[source]\n"),
    );
    world.write("in/a", "61.391");
    world.now = Some("2026-11-22T00:30:50Z".into());
    let mut hand = world.start(&["run", "p", "--json"], "hand");
    world.until("the night's build sleeps", 60, || sleeping("61.391").then_some(()));
    let mut service = serve(&world, "service");
    world.until("the schedule meets it", 60, || {
        service.stderr().contains("is running already").then_some(())
    });
    assert_eq!(world.rows("SELECT id FROM nights").len(), 1);
    let figures = get(&world, &service, "/metrics");
    assert!(figures.contains("midwatch_nights_stopped_total{"), "{figures}");
    world.wake("61.391");
    hand.ends_within(60).exits(2);
    service.signal("TERM");
    service.ends_within(15).exits(0);
    assert_eq!(world.rows("SELECT id FROM nights").len(), 1);
}
