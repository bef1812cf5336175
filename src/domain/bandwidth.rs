//! The upload limit of a node.

use std::borrow::Cow;
use std::fmt;

/// The maximum rate at which a node uploads, in bytes per second.
///
/// Source: CassKop removes spaces and then requires `(?i)^\d+[kmg]?$` (`pkg/backrest`). The units are powers of a
/// thousand (`BPS` to `GBPS` of Icarus), and the number before the unit is a signed 32-bit integer. CassKop silently
/// drops any other value, and the upload is then unlimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bandwidth {
    bytes_per_second: u64,
}

/// The error for an invalid limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BandwidthError {
    /// The text is not digits and a unit.
    #[error("is not a whole number with K, M or G (or no unit, for bytes)")]
    Form,
    /// The limit is zero.
    #[error("is zero, which allows no upload")]
    Zero,
    /// The number does not fit into a signed 32-bit integer.
    #[error("has a number above 2147483647, which CassKop cannot hold; use a larger unit")]
    TooLarge,
}

impl Bandwidth {
    /// Parses `spec.bandwidth`.
    ///
    /// # Errors
    /// Returns an error for a value that CassKop drops or changes.
    pub fn parse(text: &str) -> Result<Self, BandwidthError> {
        let text = text.trim_matches(' ');
        let (number, factor) = match text.as_bytes().last() {
            Some(b'k' | b'K') => (text.get(..text.len() - 1), 1_000),
            Some(b'm' | b'M') => (text.get(..text.len() - 1), 1_000_000),
            Some(b'g' | b'G') => (text.get(..text.len() - 1), 1_000_000_000),
            _ => (Some(text), 1),
        };
        let number = number.unwrap_or_default();
        let digits = if number.contains(' ') {
            Cow::Owned(number.replace(' ', ""))
        } else {
            Cow::Borrowed(number)
        };
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(BandwidthError::Form);
        }
        match digits.parse::<i32>().map(u64::try_from) {
            Ok(Ok(0)) => Err(BandwidthError::Zero),
            Ok(Ok(number)) => Ok(Self {
                bytes_per_second: number * factor,
            }),
            _ => Err(BandwidthError::TooLarge),
        }
    }

    /// Returns the limit in bytes per second, at least 1.
    #[must_use]
    pub const fn bytes_per_second(self) -> u64 {
        self.bytes_per_second
    }
}

impl fmt::Display for Bandwidth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes/s", self.bytes_per_second)
    }
}

#[cfg(test)]
mod tests {
    use super::{Bandwidth, BandwidthError};

    #[test]
    fn numbers_with_and_without_a_unit_are_bytes_per_second() {
        for (text, expected) in [
            ("1024", 1_024),
            ("10M", 10_000_000),
            ("10 k", 10_000),
            ("1 0 g", 10_000_000_000),
            ("007", 7),
            ("2147483647G", 2_147_483_647_000_000_000),
        ] {
            assert_eq!(
                Bandwidth::parse(text).map(Bandwidth::bytes_per_second),
                Ok(expected),
                "{text:?}"
            );
        }
    }

    #[test]
    fn values_that_casskop_would_drop_are_invalid() {
        for text in [
            "", " ", "M", "0.25M", "10T", "10MB", "-1", "+1", "10\tM", "1e3", "١", "10é",
        ] {
            assert_eq!(Bandwidth::parse(text), Err(BandwidthError::Form), "{text:?}");
        }
        assert_eq!(Bandwidth::parse("0"), Err(BandwidthError::Zero));
        assert_eq!(Bandwidth::parse("000G"), Err(BandwidthError::Zero));
        for text in ["2147483648", "3000000000", "99999999999999999999999K"] {
            assert_eq!(Bandwidth::parse(text), Err(BandwidthError::TooLarge), "{text:?}");
        }
    }
}
