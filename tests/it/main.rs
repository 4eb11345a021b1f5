//! The real binary against a real daemon: golden nights, faults, hostile input, the command line.

mod architecture;
mod commands;
mod documents;
mod faults;
mod golden;
mod hostile;
mod mail;
mod schema;
mod world;
