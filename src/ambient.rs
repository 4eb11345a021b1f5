//! The only reader of the clock and of randomness; everything else gets them as arguments.

#![allow(clippy::disallowed_methods)]

use chrono::{DateTime, Utc};

/// The time, or the one that was set in its place when the program started.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    offset: chrono::Duration,
}

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self { offset: chrono::Duration::zero() }
    }

    /// A clock that shows `now` at this moment and goes on from there.
    pub fn starting_at(now: DateTime<Utc>) -> Self {
        Self { offset: now - Utc::now() }
    }

    /// What it shows.
    pub fn now(self) -> DateTime<Utc> {
        Utc::now() + self.offset
    }
}

/// `digits` random hexadecimal digits from the operating system.
///
/// # Errors
/// Where the operating system has no randomness to give.
pub fn random_hex(digits: usize) -> std::io::Result<String> {
    let mut bytes = vec![0u8; digits.div_ceil(2)];
    getrandom::fill(&mut bytes).map_err(|error| std::io::Error::other(error.to_string()))?;
    let mut text = hex::encode(bytes);
    text.truncate(digits);
    Ok(text)
}
