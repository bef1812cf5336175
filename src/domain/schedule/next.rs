//! When a schedule fires: the `cron` crate counts on the wall clock, and the zone's offsets are laid over it here.
//!
//! The crate gets no zone: with one, its release 0.17.0 goes back in time where the clock does. It gets wall clock
//! times that are typed as UTC, and this is the only place where they, and chrono, are.

use std::sync::OnceLock;

use chrono::{DateTime, Datelike, Utc};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::domain::schedule::grammar::{
    Bounds, DAY_OF_MONTH, DAY_OF_WEEK, Field, Fields, HOUR, MINUTE, MONTH,
};

/// How far robfig looks for a match (`spec.go`, `Next`): to the end of the fifth year after this one. What does not
/// match until then never fires.
const YEARS_AHEAD: i32 = 5;

/// How many times a zone may change its clock in the years that are looked at. No zone on record comes near; it is
/// there so that the loop has an end whatever the zone handed in says.
pub(super) const MAX_CLOCK_CHANGES: usize = 128;

/// A calendar of wall clock times.
#[derive(Debug, Clone)]
pub(super) struct Calendar {
    fields: Fields,
    /// Built at the first question: the crate reads text, which takes longer than the rest of a review, and a
    /// review asks whether a schedule is one, not when it runs.
    parts: OnceLock<Vec<cron::Schedule>>,
}

impl PartialEq for Calendar {
    fn eq(&self, other: &Self) -> bool {
        self.fields == other.fields
    }
}

impl Eq for Calendar {}

impl Calendar {
    /// The calendar of five fields.
    pub(super) const fn new(fields: Fields) -> Self {
        Self {
            fields,
            parts: OnceLock::new(),
        }
    }

    /// What the calendar was made of.
    pub(super) const fn fields(&self) -> &Fields {
        &self.fields
    }

    /// It fires when one of these does: none (a field without numbers), one, or two.
    fn parts(&self) -> &[cron::Schedule] {
        // The crate takes every list of numbers in its bounds; the tests build all kinds of them.
        self.parts.get_or_init(|| build(&self.fields).unwrap_or_default())
    }

    /// The first instant after `instant` at which the wall clock in `zone` shows a time of this calendar.
    ///
    /// A wall clock time that is skipped does not fire that day, and one that comes twice fires twice.
    pub(super) fn next_after(&self, instant: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let mut after = whole_second(instant);
        let last_year = wall_year(after + 1, zone)? + YEARS_AHEAD;
        for _ in 0..=MAX_CLOCK_CHANGES {
            // From `begin` to before `change` the offset holds still.
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

    /// The first time after `after`, both in seconds on the wall clock. None outside of 1970 to 2100, the years that
    /// the crate knows.
    fn next_wall(&self, after: i64) -> Option<DateTime<Utc>> {
        let after = DateTime::from_timestamp(after, 0)?;
        self.parts()
            .iter()
            .filter_map(|part| part.after(&after).next())
            .min()
    }
}

/// The fields as the crate's schedules.
///
/// The crate knows only days that match both day fields, so "one of them is enough" is two schedules.
///
/// # Errors
/// When the crate refuses lists of numbers that are all in its bounds; no such list is known.
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

/// The next instant of `@every` (robfig's `constantdelay.go`): counted from `instant` without its fraction.
pub(super) fn next_interval(instant: Timestamp, seconds: i64) -> Option<Timestamp> {
    Timestamp::from_second(whole_second(instant).checked_add(seconds)?).ok()
}

/// The second that `instant` lies in; jiff itself rounds towards 1970.
fn whole_second(instant: Timestamp) -> i64 {
    instant.as_second() - i64::from(instant.subsec_nanosecond() < 0)
}

fn wall_year(second: i64, zone: &TimeZone) -> Option<i32> {
    Some(i32::from(
        zone.to_datetime(Timestamp::from_second(second).ok()?).year(),
    ))
}

/// The fields in the crate's words: a field for seconds in front, and 1 for Sunday. Only numbers and stars, since
/// its names, ranges and steps mean other things than robfig's. `None` when a field is empty, which it cannot say.
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
