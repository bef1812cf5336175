//! Lengths of time as Go writes them: `90s`, `1h30m`, `-1.5h`.
//!
//! `CassKop` is written in Go, so two fields of a backup hold such a text: `spec.duration`, and `spec.schedule`
//! behind `@every`.

use std::fmt::{self, Write as _};

use jiff::SignedDuration;

#[cfg(test)]
mod tests;

/// The magnitude of the longest length, in nanoseconds. Only a negative length reaches it.
const LIMIT: u64 = 1 << 63;

/// A length of time, read exactly as Go's `time.ParseDuration` reads it.
///
/// A sign, then numbers with a unit each, summed up: `ns`, `us` (also `µs`), `ms`, `s`, `m`, `h`. A number may have
/// a fraction. There is no unit above the hour, no blank anywhere, and only zero goes without a unit. Precise to
/// the nanosecond, about 292 years at most, negative ones included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GoDuration {
    nanoseconds: i64,
}

/// Why a text is no [`GoDuration`]. It reads as Go's own error does.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GoDurationError {
    /// Not of the form, or over 292 years long.
    #[error("time: invalid duration {}", Quoted(text))]
    Invalid {
        /// The whole text.
        text: String,
    },
    /// A number without a unit.
    #[error("time: missing unit in duration {}", Quoted(text))]
    MissingUnit {
        /// The whole text.
        text: String,
    },
    /// A unit that Go does not have; days and weeks are the usual ones.
    #[error("time: unknown unit {} in duration {}", Quoted(unit), Quoted(text))]
    UnknownUnit {
        /// What stands where a unit is expected.
        unit: String,
        /// The whole text.
        text: String,
    },
}

impl GoDuration {
    /// Parses `text` as Go's `time.ParseDuration` (`src/time/format.go`), in time linear in its length.
    ///
    /// # Errors
    /// [`GoDurationError`], whose text is Go's.
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
            let (nanoseconds, behind) = first_part(rest, text)?;
            // Wraps as in Go, where twice the limit is zero.
            total = total.wrapping_add(nanoseconds);
            if total > LIMIT {
                return Err(invalid());
            }
            rest = behind;
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

    /// The length in nanoseconds.
    #[must_use]
    pub const fn nanoseconds(self) -> i64 {
        self.nanoseconds
    }

    /// The length as a duration that can be added to a [`jiff::Timestamp`].
    #[must_use]
    pub const fn signed(self) -> SignedDuration {
        SignedDuration::from_nanos(self.nanoseconds)
    }
}

/// Reads the number and the unit at the head of `rest`: nanoseconds, at most [`LIMIT`], and what follows.
fn first_part<'a>(rest: &'a str, text: &str) -> Result<(u64, &'a str), GoDurationError> {
    let invalid = || GoDurationError::Invalid {
        text: text.to_owned(),
    };
    let (whole, behind) = leading_digits(rest);
    let (fraction, behind) = match behind.strip_prefix('.') {
        Some(behind) => leading_digits(behind),
        None => ("", behind),
    };
    if whole.is_empty() && fraction.is_empty() {
        return Err(invalid());
    }
    let whole = integer(whole).ok_or_else(invalid)?;
    let end = behind
        .find(|c: char| c == '.' || c.is_ascii_digit())
        .unwrap_or(behind.len());
    let (unit, behind) = behind.split_at(end);
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
        .map(|nanoseconds| (nanoseconds, behind))
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

/// The nanoseconds of `0.DIGITS` of a unit, in the floating point arithmetic of Go, so that both round alike.
/// Digits that overflow are dropped.
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

/// A text in the quotes of Go's package `time`: what is no printable ASCII stands as its bytes.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
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
