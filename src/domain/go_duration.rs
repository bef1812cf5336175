//! Durations in Go's notation: `90s`, `1h30m`, `-1.5h`.
//!
//! CassKop is written in Go, so two fields of a backup hold such a duration: `spec.duration`, and `spec.schedule` after
//! `@every`.

use std::fmt::{self, Write as _};

use jiff::SignedDuration;

#[cfg(test)]
mod tests;

/// The magnitude of the longest duration, in nanoseconds. Only a negative duration reaches it.
const LIMIT: u64 = 1 << 63;

/// A duration, parsed exactly as Go's `time.ParseDuration` parses it.
///
/// The text is an optional sign and a sequence of numbers, each with a unit: `ns`, `us` (also `µs`), `ms`, `s`, `m`,
/// `h`. A number may have a fraction. The largest unit is the hour, spaces are invalid, and only zero needs no unit.
/// The value has nanosecond precision, may be negative, and is at most about 292 years long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GoDuration {
    nanoseconds: i64,
}

/// The error for an invalid duration. Its text is the text of Go's own error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GoDurationError {
    /// The text is malformed, or the duration is over 292 years long.
    #[error("time: invalid duration {}", TimeQuoted(text))]
    Invalid {
        /// The whole text.
        text: String,
    },
    /// A number has no unit.
    #[error("time: missing unit in duration {}", TimeQuoted(text))]
    MissingUnit {
        /// The whole text.
        text: String,
    },
    /// A unit does not exist in Go. Users often write days or weeks.
    #[error("time: unknown unit {} in duration {}", TimeQuoted(unit), TimeQuoted(text))]
    UnknownUnit {
        /// The text in the place of a unit.
        unit: String,
        /// The whole text.
        text: String,
    },
}

impl GoDuration {
    /// Parses `text` as Go's `time.ParseDuration` does (`src/time/format.go`), in time linear in its length.
    ///
    /// # Errors
    /// Returns [`GoDurationError`] with Go's text.
    pub fn parse(text: &str) -> Result<Self, GoDurationError> {
        let (negative, unsigned) = match text.strip_prefix('-') {
            Some(unsigned) => (true, unsigned),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        if unsigned == "0" {
            return Ok(Self { nanoseconds: 0 });
        }
        let invalid = || GoDurationError::Invalid {
            text: text.to_owned(),
        };
        if unsigned.is_empty() {
            return Err(invalid());
        }
        let mut total = 0_u64;
        let mut rest = unsigned;
        while !rest.is_empty() {
            let (nanoseconds, after) = first_part(rest, text)?;
            // Wraps as in Go, where twice the limit is zero.
            total = total.wrapping_add(nanoseconds);
            if total > LIMIT {
                return Err(invalid());
            }
            rest = after;
        }
        let nanoseconds = if negative {
            0_i64.checked_sub_unsigned(total)
        } else {
            i64::try_from(total).ok()
        };
        nanoseconds
            .map(|nanoseconds| Self { nanoseconds })
            .ok_or_else(invalid)
    }

    /// Returns the duration in nanoseconds.
    #[must_use]
    pub const fn nanoseconds(self) -> i64 {
        self.nanoseconds
    }

    /// Returns the duration in the type that can be added to a [`jiff::Timestamp`].
    #[must_use]
    pub const fn signed(self) -> SignedDuration {
        SignedDuration::from_nanos(self.nanoseconds)
    }
}

/// Parses the number and the unit at the start of `rest`. Returns the nanoseconds, at most [`LIMIT`], and the remainder.
fn first_part<'a>(rest: &'a str, text: &str) -> Result<(u64, &'a str), GoDurationError> {
    let invalid = || GoDurationError::Invalid {
        text: text.to_owned(),
    };
    let (whole, after) = leading_digits(rest);
    let (fraction, after) = match after.strip_prefix('.') {
        Some(after) => leading_digits(after),
        None => ("", after),
    };
    if whole.is_empty() && fraction.is_empty() {
        return Err(invalid());
    }
    let whole = integer(whole).ok_or_else(invalid)?;
    let end = after
        .find(|c: char| c == '.' || c.is_ascii_digit())
        .unwrap_or(after.len());
    let (unit, after) = after.split_at(end);
    if unit.is_empty() {
        return Err(GoDurationError::MissingUnit {
            text: text.to_owned(),
        });
    }
    let Some(unit) = unit_nanoseconds(unit) else {
        return Err(GoDurationError::UnknownUnit {
            unit: unit.to_owned(),
            text: text.to_owned(),
        });
    };
    whole
        .checked_mul(unit)
        .filter(|nanoseconds| *nanoseconds <= LIMIT)
        .and_then(|nanoseconds| nanoseconds.checked_add(part_of_unit(fraction, unit)))
        .filter(|nanoseconds| *nanoseconds <= LIMIT)
        .map(|nanoseconds| (nanoseconds, after))
        .ok_or_else(invalid)
}

fn unit_nanoseconds(unit: &str) -> Option<u64> {
    Some(match unit {
        "ns" => 1,
        // The micro sign U+00B5 and the Greek letter mu U+03BC.
        "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

fn leading_digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

fn integer(digits: &str) -> Option<u64> {
    digits.bytes().try_fold(0_u64, |number, digit| {
        number
            .checked_mul(10)?
            .checked_add(u64::from(digit - b'0'))
            .filter(|number| *number <= LIMIT)
    })
}

/// Returns the nanoseconds of `0.DIGITS` units, in Go's floating point arithmetic so that both round alike.
/// Digits that overflow are dropped, as in Go.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "Go's own arithmetic; the product is from 0 to 3.6e12"
)]
fn part_of_unit(digits: &str, unit: u64) -> u64 {
    let (mut number, mut scale) = (0_u64, 1.0_f64);
    for digit in digits.bytes() {
        let longer = number
            .checked_mul(10)
            .and_then(|number| number.checked_add(u64::from(digit - b'0')));
        let Some(longer) = longer.filter(|longer| *longer <= LIMIT) else {
            break;
        };
        number = longer;
        scale *= 10.0;
    }
    (number as f64 * (unit as f64 / scale)) as u64
}

/// Displays a text as Go's package `time` quotes it: characters other than printable ASCII appear as escaped bytes.
struct TimeQuoted<'a>(&'a str);

impl fmt::Display for TimeQuoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for c in self.0.chars() {
            match c {
                '"' | '\\' => write!(f, "\\{c}")?,
                ' '..='\u{7f}' => f.write_char(c)?,
                _ => {
                    let mut bytes = [0; 4];
                    for byte in c.encode_utf8(&mut bytes).bytes() {
                        write!(f, "\\x{byte:02x}")?;
                    }
                }
            }
        }
        f.write_char('"')
    }
}
