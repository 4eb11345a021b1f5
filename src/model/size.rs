//! A number of bytes as people write it: `512MB`, `2GB`, `1.5GiB`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Bytes; reads decimal and binary units or a plain number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("{text:?} is no size; write it like 512MB, 2GB or 1.5GiB");
        let text = text.trim();
        let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, unit) = text.split_at(split);
        let (base, power) = match unit.trim().to_ascii_uppercase().as_str() {
            "" | "B" => (1000f64, 0),
            "K" | "KB" => (1000.0, 1),
            "M" | "MB" => (1000.0, 2),
            "G" | "GB" => (1000.0, 3),
            "T" | "TB" => (1000.0, 4),
            "KIB" => (1024.0, 1),
            "MIB" => (1024.0, 2),
            "GIB" => (1024.0, 3),
            "TIB" => (1024.0, 4),
            _ => return Err(wrong()),
        };
        let number: f64 = number.parse().map_err(|_| wrong())?;
        Ok(Self((number * base.powi(power)) as u64))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes if bytes >= 10_000_000_000 => write!(f, "{} GB", bytes / 1_000_000_000),
            bytes if bytes >= 1_000_000 => write!(f, "{} MB", bytes / 1_000_000),
            bytes => write!(f, "{bytes} bytes"),
        }
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(u64),
            Text(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Number(bytes) => Ok(Self(bytes)),
            Written::Text(text) => text.parse().map_err(serde::de::Error::custom),
        }
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_in_decimal_and_binary_units() {
        assert_eq!("2GB".parse(), Ok(Size(2_000_000_000)));
        assert_eq!("1.5 GiB".parse(), Ok(Size(1_610_612_736)));
        assert_eq!("77".parse(), Ok(Size(77)));
        assert!("many".parse::<Size>().unwrap_err().contains("512MB"));
    }
}
