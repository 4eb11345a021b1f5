//! What goes wrong around a night: killed, stopped, without daemon, source or inputs; nothing is lost.

mod inputs;
pub mod interrupted;
mod lanes;
mod ledger;
mod limits;
mod outside;
