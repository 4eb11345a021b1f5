//! The morning mail: what stands in it, that each arrives once whatever the server does, and the
//! service that sends it at its hour.

mod content;
mod delivery;
mod service;
