//! Descriptions of schedules in words.

use jiff::{SignedDuration, SpanRound, Unit};

use crate::domain::schedule::days::months;
use crate::domain::schedule::grammar::{DAY_OF_MONTH, DAY_OF_WEEK, Field, Fields, MONTH};

const WEEKDAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// The maximum number of times of day that a description lists.
const MAX_TIMES: u32 = 8;

/// Formats a duration for people: `1d 12h`, and `90s` as `1m 30s`. A day has 24 hours.
#[must_use]
pub fn in_words(length: SignedDuration) -> String {
    let days = SpanRound::new().largest(Unit::Day).days_are_24_hours();
    jiff::Span::try_from(length)
        .and_then(|span| span.round(days))
        .map_or_else(|_| format!("{length:#}"), |span| format!("{span:#}"))
}

/// Describes fields: `every day at 03:00`, `every 15 minutes`, `on days 1 and 15 of every month at 00:00`, or `never`.
pub(super) fn describe(fields: &Fields) -> String {
    if fields.never_fires() {
        return "never".to_owned();
    }
    match (times(fields), days(fields)) {
        (Times::At(times), days) => format!("{} at {times}", days.as_deref().unwrap_or("every day")),
        (Times::Often(times), None) => times,
        (Times::Often(times), Some(days)) => format!("{times}, {days}"),
    }
}

/// The times on a day.
enum Times {
    /// A list of times.
    At(String),
    /// A phrase that does not need "at".
    Often(String),
}

fn times(fields: &Fields) -> Times {
    let (minute, hour) = (fields.minute, fields.hour);
    if !fields.takes_every_hour() && minute.count() * hour.count() <= MAX_TIMES {
        let times = hour.numbers().flat_map(|hour| {
            minute
                .numbers()
                .map(move |minute| format!("{hour:02}:{minute:02}"))
        });
        return Times::At(enumerate(&times.collect::<Vec<_>>()));
    }
    let regular = regular(minute);
    let what = match regular {
        Some(1) => "every minute".to_owned(),
        Some(60) => "every hour".to_owned(),
        Some(step) => format!("every {step} minutes"),
        None if fields.takes_every_hour() => {
            format!("every hour at {}", named("minute", &ranges(minute, number)))
        }
        None => format!("at {}", named("minute", &ranges(minute, number))),
    };
    if fields.takes_every_hour() {
        return Times::Often(what);
    }
    Times::Often(match (regular, stretch(hour)) {
        (Some(step), Some((first, last))) => {
            format!("{what} from {first:02}:00 to {last:02}:{:02}", 60 - step)
        }
        (Some(60), None) => format!("at minute 0 of {}", named("hour", &ranges(hour, number))),
        _ => format!("{what} of {}", named("hour", &ranges(hour, number))),
    })
}

/// Returns the first and the last number of a field that has all numbers in between.
fn stretch(field: Field) -> Option<(u32, u32)> {
    let (first, last) = (field.numbers().next()?, field.numbers().last()?);
    (last - first + 1 == field.count()).then_some((first, last))
}

/// Returns the step if the minutes are at equal distances through the hour, starting at 0.
fn regular(minute: Field) -> Option<u32> {
    let count = minute.count();
    let step = 60_u32.checked_div(count)?;
    (step * count == 60 && minute.numbers().eq((0..60).step_by(usize::try_from(step).ok()?))).then_some(step)
}

/// Describes the days, or returns `None` for every day.
fn days(fields: &Fields) -> Option<String> {
    let any_month = fields.month.numbers == MONTH.star().numbers;
    let month = enumerate(&ranges(fields.month, |n| name(&MONTHS, n, 1)));
    let in_month = |what: String| {
        if any_month {
            what
        } else {
            format!("{what} in {month}")
        }
    };
    let of_month = || {
        let days = named("day", &ranges(fields.day_of_month, number));
        format!("on {days} of {}", if any_month { "every month" } else { &month })
    };
    let weekdays = || {
        in_month(format!(
            "every {}",
            enumerate(&ranges(fields.day_of_week, |n| name(&WEEKDAYS, n, 0)))
        ))
    };
    let any_day = fields.day_of_month.numbers == DAY_OF_MONTH.star().numbers;
    let any_weekday = fields.day_of_week.numbers == DAY_OF_WEEK.star().numbers;
    if fields.days_match_both() {
        // The field with the star has every number, so the other field decides.
        match (any_day, any_weekday) {
            (true, true) => (!any_month).then(|| in_month("every day".to_owned())),
            (true, false) => Some(weekdays()),
            (false, _) => Some(of_month()),
        }
    } else if any_day || any_weekday {
        (!any_month).then(|| in_month("every day".to_owned()))
    } else if fields.day_of_week.numbers == 0 {
        Some(of_month())
    } else if no_day(fields) {
        Some(weekdays())
    } else {
        Some(format!("{} and {}", of_month(), weekdays()))
    }
}

/// Returns true if the day of the month alone never matches.
fn no_day(fields: &Fields) -> bool {
    let alone = Fields {
        day_of_week: DAY_OF_WEEK.star(),
        ..*fields
    };
    months(true, 0).all(|month| alone.days(month) == 0)
}

impl Field {
    fn numbers(self) -> impl Iterator<Item = u32> + Clone {
        (0..u64::BITS).filter(move |number| self.has(*number))
    }

    const fn count(self) -> u32 {
        self.numbers.count_ones()
    }
}

fn number(number: u32) -> String {
    number.to_string()
}

fn name(names: &[&str], number: u32, first: u32) -> String {
    let place = number
        .checked_sub(first)
        .and_then(|place| usize::try_from(place).ok());
    let name = place.and_then(|place| names.get(place));
    name.map_or_else(|| number.to_string(), |name| (*name).to_owned())
}

/// Returns the numbers of a field, with three or more consecutive numbers as `8 to 18`.
fn ranges(field: Field, show: impl Fn(u32) -> String) -> Vec<String> {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for number in field.numbers() {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => runs.push((number, number)),
        }
    }
    let texts = runs.into_iter().flat_map(|(first, last)| match last - first {
        0 => vec![show(first)],
        1 => vec![show(first), show(last)],
        _ => vec![format!("{} to {}", show(first), show(last))],
    });
    texts.collect()
}

/// Formats `day 1`, `days 1 and 15`, `days 1 to 5`.
fn named(what: &str, texts: &[String]) -> String {
    let plural = match texts {
        [one] if !one.contains(' ') => "",
        _ => "s",
    };
    format!("{what}{plural} {}", enumerate(texts))
}

/// Joins texts: `a`, `a and b`, `a, b and c`.
fn enumerate(texts: &[String]) -> String {
    match texts {
        [] => String::new(),
        [only] => only.clone(),
        [head @ .., last] => format!("{} and {last}", head.join(", ")),
    }
}
