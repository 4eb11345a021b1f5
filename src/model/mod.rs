//! The nouns that travel between the stages: plain data, no I/O, no async, no SQL.

pub mod advisory;
pub mod build;
pub mod dockerfile;
pub mod event;
pub mod finding;
pub mod inventory;
pub mod manifest;
pub mod night;
pub mod pipeline;
pub mod plan;
pub mod report;
pub mod size;
pub mod source;
pub mod span;
pub mod statement;
pub mod text;
pub mod verdict;
