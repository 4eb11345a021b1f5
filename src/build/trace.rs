//! BuildKit's trace as steps and log lines.
