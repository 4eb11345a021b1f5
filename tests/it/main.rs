//! The real binary against a real daemon: golden nights, faults, hostile input, the command line.

#![allow(missing_docs, clippy::disallowed_methods, clippy::unwrap_used)]

mod architecture;
mod commands;
mod documents;
mod faults;
mod golden;
mod hostile;
mod mail;
mod schema;
mod world;
