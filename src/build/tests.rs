//! The stage against a real daemon.
