//! midwatch: nightly rebuild-and-rescan orchestrator for hardened container images.

pub mod ambient;
pub mod build;
pub mod cli;
pub mod config;
pub mod feeds;
pub mod inventory;
pub mod judge;
pub mod model;
pub mod night;
pub mod plan;
pub mod report;
pub mod scan;
pub mod source;
pub mod store;
pub mod web;
