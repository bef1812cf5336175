//! The grammar of robfig/cron v3's `ParseStandard` (`parser.go`): five fields or a descriptor, with or without a
//! zone in front.

use jiff::tz::TimeZone;

use crate::domain::go_duration::GoDuration;
use crate::domain::schedule::error::{NumberError, ScheduleError};
use crate::domain::schedule::zone;

/// What a text says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Expression {
    /// `@every`, in whole seconds, at least one.
    Every { seconds: i64 },
    /// Five fields, or a descriptor that stands for them. Without a zone they mean the reader's.
    Calendar { fields: Fields, zone: Option<TimeZone> },
}

/// The five fields; the second is always 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fields {
    pub(super) minute: Field,
    pub(super) hour: Field,
    pub(super) day_of_month: Field,
    pub(super) month: Field,
    pub(super) day_of_week: Field,
}

/// The numbers that a field stands for; none is possible (`,`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Field {
    /// Bit `n` is set when the field holds `n`.
    pub(super) numbers: u64,
    /// Whether one of its items is `*` or `?` without a step above 1. robfig keeps it as bit 63; the rule for days
    /// asks for it, so `*` and `1-31` differ.
    pub(super) starred: bool,
}

/// Which numbers a field takes (robfig's `spec.go`), and which names.
#[derive(Debug)]
pub(super) struct Bounds {
    pub(super) minimum: u64,
    pub(super) maximum: u64,
    /// Lower-case names of the numbers from the minimum on; empty where only numbers are taken.
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

/// Parses a text in robfig's order, so that of several mistakes the same one is reported.
///
/// # Errors
/// The first mistake.
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

/// Whether a zone stands in front of `text`, `Local` too, and whether or not the schedule uses it. `spec.timeZone`
/// beside one is a contradiction.
#[must_use]
pub fn has_zone_prefix(text: &str) -> bool {
    behind_prefix(text).is_some()
}

fn behind_prefix(text: &str) -> Option<&str> {
    text.strip_prefix("TZ=").or_else(|| text.strip_prefix("CRON_TZ="))
}

/// Takes the zone off the head. Only behind one is the rest trimmed.
fn split_zone(text: &str) -> Result<(Option<TimeZone>, &str), ScheduleError> {
    let Some(behind) = behind_prefix(text) else {
        return Ok((None, text));
    };
    // Other white space belongs to the name. robfig slices by the space's index without a look, and panics.
    let Some((name, rest)) = behind.split_once(' ') else {
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

/// robfig's `Every` (`constantdelay.go`): whole seconds, rounded down, at least one, even of a negative length.
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
    /// Every number, starred.
    pub(super) const fn star(&self) -> Field {
        Field {
            numbers: bits(self.minimum, self.maximum),
            starred: true,
        }
    }

    /// A list of items. Empty ones are dropped, so a list can be empty.
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

    /// One item: a star, a number or a range, with or without a step.
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
            // What follows a star is never looked at: `*-anything` is `*`.
            _ if starred => (self.minimum, self.maximum),
            None => {
                let only = self.number(low)?;
                // With a step, a number is where the range begins.
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

    /// A name of this field in any case, or a number.
    fn number(&self, text: &str) -> Result<u64, ScheduleError> {
        // Most are digits, and no name begins with one.
        if text.starts_with(|first: char| first.is_ascii_digit()) {
            return number(text);
        }
        // Go lowers letter by letter, so U+0130 becomes a plain `i`. Rust adds a dot above, as a second letter.
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

/// The bits of a range. No maximum is above 59, so nothing is shifted out.
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

/// robfig's `mustParseInt`.
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

/// Go's `strconv.Atoi`: a sign and ASCII digits. A letter behind more digits than an unsigned number holds is not
/// seen any more; the error is the range then.
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
