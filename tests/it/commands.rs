//! The command line as scripts know it: exit codes, JSON keys, and what a wrong call is told.

mod alone;
mod nights;

/// The keys of a JSON object, in their order.
fn keys(value: &serde_json::Value) -> Vec<String> {
    value.as_object().unwrap_or_else(|| panic!("{value:#}")).keys().cloned().collect()
}
