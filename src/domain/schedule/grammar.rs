//! The grammar of robfig/cron v3's `ParseStandard` (`parser.go`): five fields or a descriptor, with an optional prefix for
//! the zone.

use jiff::tz::TimeZone;

use crate::domain::go_duration::GoDuration;
use crate::domain::schedule::error::{NumberError, ScheduleError};
use crate::domain::schedule::zone;

/// A parsed schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Expression {
    /// `@every` with its interval in whole seconds, at least one.
    Every { seconds: i64 },
    /// Five fields, or the descriptor of five fields. Without a zone they are in the local zone of the caller.
    Calendar { fields: Fields, zone: Option<TimeZone> },
}

/// The five fields. The second of a run is always 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fields {
    pub(super) minute: Field,
    pub(super) hour: Field,
    pub(super) day_of_month: Field,
    pub(super) month: Field,
    pub(super) day_of_week: Field,
}

/// The numbers of a field, which can be empty (`,`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Field {
    /// Bit `n` is set if the field has the number `n`.
    pub(super) numbers: u64,
    /// True if one of its items is `*` or `?` without a step above 1. robfig stores it as bit 63. Because of the rule for
    /// days, `*` and `1-31` differ.
    pub(super) starred: bool,
}

/// The numbers and names that are valid in a field (robfig's `spec.go`).
#[derive(Debug)]
pub(super) struct Bounds {
    pub(super) minimum: u64,
    pub(super) maximum: u64,
    /// The lower-case names of the numbers from the minimum on; empty for a field without names.
    names: &'static [&'static str],
}

pub(super) const MINUTE: Bounds = Bounds {
    minimum: 0,
    maximum: 59,
    names: &[],
};
pub(super) const HOUR: Bounds = Bounds {
    minimum: 0,
    maximum: 23,
    names: &[],
};
pub(super) const DAY_OF_MONTH: Bounds = Bounds {
    minimum: 1,
    maximum: 31,
    names: &[],
};
pub(super) const MONTH: Bounds = Bounds {
    minimum: 1,
    maximum: 12,
    names: &[
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ],
};
/// 0 is Sunday; 7 is an error.
pub(super) const DAY_OF_WEEK: Bounds = Bounds {
    minimum: 0,
    maximum: 6,
    names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
};

/// Parses a text in the order of robfig, so that of several errors the same one is reported.
///
/// # Errors
/// Returns the first error.
pub(super) fn parse(text: &str) -> Result<Expression, ScheduleError> {
    if text.is_empty() {
        return Err(ScheduleError::Empty);
    }
    let (zone, text) = split_zone(text)?;
    if text.starts_with('@') {
        descriptor(text, zone)
    } else {
        five_fields(text, zone)
    }
}

/// Returns true if `text` has a prefix with a zone, including `Local` and a zone that the schedule does not use.
///
/// `spec.timeZone` cannot be combined with such a prefix.
#[must_use]
pub fn has_zone_prefix(text: &str) -> bool {
    after_prefix(text).is_some()
}

fn after_prefix(text: &str) -> Option<&str> {
    text.strip_prefix("TZ=").or_else(|| text.strip_prefix("CRON_TZ="))
}

/// Splits off the zone. The schedule is trimmed only after a zone.
fn split_zone(text: &str) -> Result<(Option<TimeZone>, &str), ScheduleError> {
    let Some(after) = after_prefix(text) else {
        return Ok((None, text));
    };
    // Other white space belongs to the name. robfig does not check for the missing space, and panics.
    let Some((name, rest)) = after.split_once(' ') else {
        return Err(ScheduleError::NothingAfterZone {
            text: text.to_owned(),
        });
    };
    Ok((zone::load(name)?, rest.trim()))
}

fn descriptor(text: &str, zone: Option<TimeZone>) -> Result<Expression, ScheduleError> {
    const ZERO: Field = Field {
        numbers: 1 << 0,
        starred: false,
    };
    const FIRST: Field = Field {
        numbers: 1 << 1,
        starred: false,
    };
    let hourly = Fields {
        minute: ZERO,
        hour: HOUR.star(),
        day_of_month: DAY_OF_MONTH.star(),
        month: MONTH.star(),
        day_of_week: DAY_OF_WEEK.star(),
    };
    let daily = Fields { hour: ZERO, ..hourly };
    let fields = match text {
        "@hourly" => hourly,
        "@daily" | "@midnight" => daily,
        "@weekly" => Fields {
            day_of_week: ZERO,
            ..daily
        },
        "@monthly" => Fields {
            day_of_month: FIRST,
            ..daily
        },
        "@yearly" | "@annually" => Fields {
            day_of_month: FIRST,
            month: FIRST,
            ..daily
        },
        _ => return every(text),
    };
    Ok(Expression::Calendar { fields, zone })
}

/// Parses `@every` as robfig's `Every` does (`constantdelay.go`): whole seconds, rounded down, at least one even for a
/// negative duration.
fn every(descriptor: &str) -> Result<Expression, ScheduleError> {
    let Some(length) = descriptor.strip_prefix("@every ") else {
        return Err(ScheduleError::UnknownDescriptor {
            descriptor: descriptor.to_owned(),
        });
    };
    let length = GoDuration::parse(length).map_err(|reason| ScheduleError::Interval {
        descriptor: descriptor.to_owned(),
        reason,
    })?;
    Ok(Expression::Every {
        seconds: (length.nanoseconds() / 1_000_000_000).max(1),
    })
}

fn five_fields(text: &str, zone: Option<TimeZone>) -> Result<Expression, ScheduleError> {
    let mut words = text.split_whitespace();
    let five = [(); 5].map(|()| words.next());
    let (
        [
            Some(minute),
            Some(hour),
            Some(day_of_month),
            Some(month),
            Some(day_of_week),
        ],
        None,
    ) = (five, words.next())
    else {
        let words: Vec<&str> = text.split_whitespace().collect();
        return Err(ScheduleError::FieldCount {
            found: words.len(),
            fields: words.join(" "),
        });
    };
    let fields = Fields {
        minute: MINUTE.field(minute)?,
        hour: HOUR.field(hour)?,
        day_of_month: DAY_OF_MONTH.field(day_of_month)?,
        month: MONTH.field(month)?,
        day_of_week: DAY_OF_WEEK.field(day_of_week)?,
    };
    Ok(Expression::Calendar { fields, zone })
}

impl Bounds {
    /// Returns every number of the field, starred.
    pub(super) const fn star(&self) -> Field {
        Field {
            numbers: bits(self.minimum, self.maximum),
            starred: true,
        }
    }

    /// Parses a list of items. Empty items are dropped, so a field can be empty.
    fn field(&self, list: &str) -> Result<Field, ScheduleError> {
        list.split(',')
            .filter(|item| !item.is_empty())
            .try_fold(Field::default(), |field, item| {
                let Field { numbers, starred } = self.item(item)?;
                Ok(Field {
                    numbers: field.numbers | numbers,
                    starred: field.starred | starred,
                })
            })
    }

    /// Parses one item: a star, a number or a range, with an optional step.
    fn item(&self, item: &str) -> Result<Field, ScheduleError> {
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => (range, Some(step)),
            None => (item, None),
        };
        let (low, high) = match range.split_once('-') {
            Some((low, high)) => (low, Some(high)),
            None => (range, None),
        };
        let starred = matches!(low, "*" | "?");
        let (start, end) = match high {
            // robfig ignores the text after a star: `*-anything` is `*`.
            _ if starred => (self.minimum, self.maximum),
            None => {
                let only = self.number(low)?;
                // With a step, a number is the start of a range.
                (only, if step.is_some() { self.maximum } else { only })
            }
            Some(high) => (self.number(low)?, self.end(high, item)?),
        };
        let step = step.map_or(Ok(1), |step| self::step(step, item))?;
        self.check(start, end, item)?;
        if step == 0 {
            return Err(ScheduleError::ZeroStep {
                item: item.to_owned(),
            });
        }
        let numbers = if step == 1 {
            bits(start, end)
        } else {
            (start..=end)
                .filter(|n| (n - start).is_multiple_of(step))
                .fold(0, |bits, n| bits | 1 << n)
        };
        Ok(Field {
            numbers,
            starred: starred && step == 1,
        })
    }

    fn end(&self, high: &str, item: &str) -> Result<u64, ScheduleError> {
        if high.contains('-') {
            return Err(ScheduleError::TooManyHyphens {
                item: item.to_owned(),
            });
        }
        self.number(high)
    }

    fn check(&self, start: u64, end: u64, item: &str) -> Result<(), ScheduleError> {
        let item = || item.to_owned();
        if start < self.minimum {
            Err(ScheduleError::BelowMinimum {
                start,
                minimum: self.minimum,
                item: item(),
            })
        } else if end > self.maximum {
            Err(ScheduleError::AboveMaximum {
                end,
                maximum: self.maximum,
                item: item(),
            })
        } else if start > end {
            Err(ScheduleError::Backwards {
                start,
                end,
                item: item(),
            })
        } else {
            Ok(())
        }
    }

    /// Parses a name of this field in any case, or a number.
    fn number(&self, text: &str) -> Result<u64, ScheduleError> {
        // Most texts are digits, and names do not start with one.
        if text.starts_with(|first: char| first.is_ascii_digit()) {
            return number(text);
        }
        // Go converts each character to one in lower case, so U+0130 becomes `i`. Rust adds a combining dot.
        let lower = || text.chars().filter_map(|c| c.to_lowercase().next());
        match (self.minimum..)
            .zip(self.names)
            .find(|(_, name)| name.chars().eq(lower()))
        {
            Some((number, _)) => Ok(number),
            None => number(text),
        }
    }
}

/// Returns the bits of a range. No maximum is above 59, so no bit is shifted out.
const fn bits(start: u64, end: u64) -> u64 {
    ((1 << (end + 1)) - 1) & !((1 << start) - 1)
}

fn step(step: &str, item: &str) -> Result<u64, ScheduleError> {
    if step.contains('/') {
        return Err(ScheduleError::TooManySlashes {
            item: item.to_owned(),
        });
    }
    number(step)
}

/// Parses a number as robfig's `mustParseInt` does.
fn number(text: &str) -> Result<u64, ScheduleError> {
    let number = atoi(text).map_err(|reason| ScheduleError::Number {
        text: text.to_owned(),
        reason,
    })?;
    u64::try_from(number).map_err(|_| ScheduleError::NegativeNumber {
        number,
        text: text.to_owned(),
    })
}

/// Parses an optional sign and ASCII digits as Go's `strconv.Atoi` does. If a letter follows digits that overflow, the
/// error is the range.
fn atoi(text: &str) -> Result<i64, NumberError> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if digits.is_empty() {
        return Err(NumberError::Syntax);
    }
    let magnitude = digits.chars().try_fold(0_u64, |number, digit| {
        let digit = digit.to_digit(10).ok_or(NumberError::Syntax)?;
        number
            .checked_mul(10)
            .and_then(|n| n.checked_add(u64::from(digit)))
            .ok_or(NumberError::Range)
    })?;
    let number = if negative {
        0_i64.checked_sub_unsigned(magnitude)
    } else {
        i64::try_from(magnitude).ok()
    };
    number.ok_or(NumberError::Range)
}
