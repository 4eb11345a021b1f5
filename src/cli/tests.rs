//! How the program ends, and what it says about it.

use std::path::PathBuf;

use super::*;

fn exit_of(error: impl Into<anyhow::Error>) -> Exit {
    failed(&error.into())
}

#[test]
fn a_cause_is_said_once() {
    let source = io::Error::new(io::ErrorKind::NotFound, "no such file");
    let read = config::Error::Read { path: PathBuf::from("m.toml"), source };
    let error = anyhow::Error::from(read).context("no configuration");
    assert_eq!(told(&error), "no configuration: cannot read m.toml: no such file");
}

#[test]
fn a_reader_that_leaves_is_no_failure() {
    let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
    assert_eq!(exit_of(written(Err(gone())).unwrap_err()), Exit::Good);
    assert_eq!(exit_of(written(Err(io::ErrorKind::StorageFull.into())).unwrap_err()), Exit::Failed);
    assert!(unless_unread(written(Err(gone()))).is_ok());
    assert!(unless_unread(Err(gone().into())).is_err());
    // A pipe to a daemon or a mail server that breaks is one.
    assert_eq!(exit_of(gone()), Exit::Failed);
}

#[test]
fn mistakes_of_the_user_are_told_from_failures() {
    let unknown = || plan_stage::Error::Unknown { name: "x".into(), near: Vec::new() };
    let no_pipeline =
        || config::Error::NoPipeline { name: "x".into(), path: "x".into(), known: "none".into() };
    assert_eq!(exit_of(no_pipeline()), Exit::Usage);
    assert_eq!(exit_of(anyhow::Error::from(no_pipeline()).context("here")), Exit::Usage);
    assert_eq!(exit_of(night::Error::Plan(unknown())), Exit::Usage);
    assert_eq!(exit_of(store::Error::UnknownNight { night: "x".into() }), Exit::Usage);
    assert_eq!(exit_of(Usage("no".into())), Exit::Usage);
    let source = io::Error::from(io::ErrorKind::PermissionDenied);
    assert_eq!(exit_of(config::Error::Read { path: "x".into(), source }), Exit::Failed);
    assert_eq!(exit_of(anyhow::anyhow!("the ledger failed")), Exit::Failed);
}
