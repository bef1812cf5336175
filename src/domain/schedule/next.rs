//! The next run of a schedule: the `cron` crate finds the next wall clock time, and this module applies the offsets of the
//! zone.
//!
//! The crate does not get the zone: release 0.17.0 goes back in time when the clock does. It gets wall clock times with the
//! type of UTC times. No other module uses them or chrono.

use std::sync::OnceLock;

use chrono::{DateTime, Datelike, Utc};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::domain::schedule::grammar::{
    Bounds, DAY_OF_MONTH, DAY_OF_WEEK, Field, Fields, HOUR, MINUTE, MONTH,
};

/// The number of years after the current one that are searched, as in robfig (`spec.go`, `Next`). A schedule without a
/// match until the end of the last one never fires.
const YEARS_AHEAD: i32 = 5;

/// The maximum number of clock changes in these years. No known zone comes near; the limit bounds the loop for any zone
/// of the caller.
pub(super) const MAX_CLOCK_CHANGES: usize = 128;

/// The wall clock times of five fields.
#[derive(Debug, Clone)]
pub(super) struct Calendar {
    fields: Fields,
    /// Built on first use: the crate parses text, which takes longer than the rest of a review, and most reviews only
    /// validate a schedule.
    parts: OnceLock<Vec<cron::Schedule>>,
}

impl PartialEq for Calendar {
    fn eq(&self, other: &Self) -> bool {
        self.fields == other.fields
    }
}

impl Eq for Calendar {}

impl Calendar {
    /// Creates the calendar of five fields.
    pub(super) const fn new(fields: Fields) -> Self {
        Self {
            fields,
            parts: OnceLock::new(),
        }
    }

    /// Returns the fields.
    pub(super) const fn fields(&self) -> &Fields {
        &self.fields
    }

    /// Returns the schedules of which one must match: none (for a field without numbers), one, or two.
    fn parts(&self) -> &[cron::Schedule] {
        // The crate accepts every list of numbers in its bounds, which the tests cover.
        self.parts.get_or_init(|| build(&self.fields).unwrap_or_default())
    }

    /// Returns the first instant after `instant` at which the wall clock in `zone` shows a time of this calendar.
    ///
    /// A wall clock time that a change skips does not fire that day, and one that comes twice fires twice.
    pub(super) fn next_after(&self, instant: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let mut after = whole_second(instant);
        let last_year = wall_year(after + 1, zone)? + YEARS_AHEAD;
        for _ in 0..=MAX_CLOCK_CHANGES {
            // The offset is constant from `begin` until `change`.
            let begin = Timestamp::from_second(after + 1).ok()?;
            let offset = i64::from(zone.to_offset(begin).seconds());
            let change = zone
                .following(begin)
                .next()
                .map(|change| change.timestamp().as_second());
            let wall = self.next_wall(after + offset)?;
            let next = wall.timestamp() - offset;
            match change {
                Some(change) if next >= change => {
                    if wall_year(change, zone)? > last_year {
                        return None;
                    }
                    after = change - 1;
                }
                _ if wall.year() > last_year => return None,
                _ => return Timestamp::from_second(next).ok(),
            }
        }
        None
    }

    /// Returns the first time after `after`, both in seconds on the wall clock, or `None` outside of 1970 to 2100, the
    /// years of the crate.
    fn next_wall(&self, after: i64) -> Option<DateTime<Utc>> {
        let after = DateTime::from_timestamp(after, 0)?;
        self.parts()
            .iter()
            .filter_map(|part| part.after(&after).next())
            .min()
    }
}

/// Converts the fields to schedules of the crate.
///
/// In the crate a day must match both day fields, so fields of which one match is enough become two schedules.
///
/// # Errors
/// Returns an error if the crate rejects a list of numbers within its bounds. No such list is known.
pub(super) fn build(fields: &Fields) -> Result<Vec<cron::Schedule>, cron::error::Error> {
    let Fields {
        day_of_month,
        day_of_week,
        ..
    } = *fields;
    let days = if fields.days_match_both() {
        vec![(day_of_month, day_of_week)]
    } else {
        vec![
            (day_of_month, DAY_OF_WEEK.star()),
            (DAY_OF_MONTH.star(), day_of_week),
        ]
    };
    let texts = days.into_iter().filter_map(|(day_of_month, day_of_week)| {
        translate(&Fields {
            day_of_month,
            day_of_week,
            ..*fields
        })
    });
    texts.map(|text| text.parse()).collect()
}

/// Returns the next instant of `@every`, counted from the whole second of `instant` (robfig's `constantdelay.go`).
pub(super) fn next_interval(instant: Timestamp, seconds: i64) -> Option<Timestamp> {
    Timestamp::from_second(whole_second(instant).checked_add(seconds)?).ok()
}

/// Returns the second that contains `instant`; jiff rounds towards 1970.
fn whole_second(instant: Timestamp) -> i64 {
    instant.as_second() - i64::from(instant.subsec_nanosecond() < 0)
}

fn wall_year(second: i64, zone: &TimeZone) -> Option<i32> {
    Some(i32::from(
        zone.to_datetime(Timestamp::from_second(second).ok()?).year(),
    ))
}

/// Converts the fields to the syntax of the crate, which has a field for seconds and 1 for Sunday.
///
/// Uses only numbers and stars, because names, ranges and steps have other meanings than in robfig. Returns `None` for an
/// empty field, which the crate cannot express.
fn translate(fields: &Fields) -> Option<String> {
    let minute = list(fields.minute, &MINUTE, 0)?;
    let hour = list(fields.hour, &HOUR, 0)?;
    let day_of_month = list(fields.day_of_month, &DAY_OF_MONTH, 0)?;
    let month = list(fields.month, &MONTH, 0)?;
    let day_of_week = list(fields.day_of_week, &DAY_OF_WEEK, 1)?;
    Some(format!("0 {minute} {hour} {day_of_month} {month} {day_of_week}"))
}

fn list(field: Field, bounds: &Bounds, shift: u64) -> Option<String> {
    if field.numbers == 0 {
        return None;
    }
    if field.numbers == bounds.star().numbers {
        return Some("*".to_owned());
    }
    let numbers = (bounds.minimum..=bounds.maximum).filter(|n| field.numbers & (1 << n) != 0);
    Some(
        numbers
            .map(|n| (n + shift).to_string())
            .collect::<Vec<_>>()
            .join(","),
    )
}
