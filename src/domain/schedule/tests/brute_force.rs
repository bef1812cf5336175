//! Compares runs with a test of every minute against the wall clock, without a calendar library or a search.

use std::sync::LazyLock;

use jiff::civil::{Date, DateTime, date};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};
use proptest::prelude::*;
use proptest::sample::select;

use super::{schedule, zone};
use crate::domain::schedule::grammar::{
    Bounds, DAY_OF_MONTH, DAY_OF_WEEK, Field, Fields, HOUR, MINUTE, MONTH,
};

/// Zones with usual clock changes and with every kind of unusual ones: by half an hour, by two hours, at a quarter past, at
/// midnight, four a year.
pub(super) const ZONES: [&str; 10] = [
    "UTC",
    "America/New_York",
    "Europe/Berlin",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "Pacific/Chatham",
    "Africa/Cairo",
    "America/Santiago",
    "Antarctica/Troll",
    "Africa/Casablanca",
];

const FIRST_DAY: Date = date(2025, 1, 1);
const END: Date = date(2027, 1, 1);
const QUARTER: i64 = 15 * 60;

/// The number of compared runs of each schedule.
const RUNS: usize = 150;

pub(super) fn has(field: Field, number: impl Into<i64>) -> bool {
    field.numbers & (1 << number.into()) != 0
}

fn index(number: i64) -> usize {
    usize::try_from(number).unwrap()
}

pub(super) fn is_day(fields: &Fields, day: Date) -> bool {
    let by_month = has(fields.day_of_month, day.day());
    let by_week = has(fields.day_of_week, day.weekday().to_sunday_zero_offset());
    let both = fields.day_of_month.starred || fields.day_of_week.starred;
    has(fields.month, day.month())
        && if both {
            by_month && by_week
        } else {
            by_month || by_week
        }
}

pub(super) fn is_time(fields: &Fields, hour: impl Into<i64>, minute: impl Into<i64>) -> bool {
    has(fields.hour, hour) && has(fields.minute, minute)
}

/// Returns the first minute after `after`, within two years, at which the wall clock matches.
pub(super) fn first_match(fields: &Fields, zone: &TimeZone, after: Timestamp) -> Option<Timestamp> {
    let minute = after.as_second().div_euclid(60) + 1;
    (minute..minute + 731 * 24 * 60)
        .map(|minute| Timestamp::from_second(minute * 60).unwrap())
        .find(|instant| {
            let wall: DateTime = zone.to_datetime(*instant);
            wall.second() == 0 && is_time(fields, wall.hour(), wall.minute()) && is_day(fields, wall.date())
        })
}

/// The offsets of a zone in the two years, one for each quarter of an hour.
struct Clock {
    zone: TimeZone,
    /// Minutes east of UTC.
    offsets: Vec<i64>,
    changes: Vec<Timestamp>,
}

static CLOCKS: LazyLock<Vec<Clock>> = LazyLock::new(|| ZONES.iter().map(|name| Clock::new(name)).collect());

/// The days of the two years, with one more on either side for the zones.
static DAYS: LazyLock<Vec<Date>> = LazyLock::new(|| {
    FIRST_DAY
        .yesterday()
        .unwrap()
        .series(1.day())
        .take_while(|day| *day <= END)
        .collect()
});

fn instant(day: Date) -> Timestamp {
    day.to_zoned(TimeZone::UTC).unwrap().timestamp()
}

impl Clock {
    fn new(name: &str) -> Self {
        let zone = zone(name);
        let (start, end) = (instant(FIRST_DAY).as_second(), instant(END).as_second());
        let offsets = (start..end)
            .step_by(index(QUARTER))
            .map(|second| i64::from(zone.to_offset(Timestamp::from_second(second).unwrap()).seconds()) / 60)
            .collect();
        let changes: Vec<Timestamp> = zone
            .following(instant(FIRST_DAY))
            .map(|change| change.timestamp())
            .take_while(|change| *change < instant(END))
            .collect();
        assert!(
            changes.iter().all(|change| change.as_second() % QUARTER == 0),
            "{name}: {changes:?}"
        );
        Self {
            zone,
            offsets,
            changes,
        }
    }

    /// Returns every minute after `after` that is a run.
    fn runs(&self, fields: &Fields, after: Timestamp) -> impl Iterator<Item = Timestamp> {
        let start = instant(FIRST_DAY).as_second() / 60;
        let days: Vec<bool> = DAYS.iter().map(|day| is_day(fields, *day)).collect();
        let fields = *fields;
        let first = (after.as_second().div_euclid(60) + 1 - start).max(0);
        let minutes = (instant(END).as_second() / 60) - start;
        (first..minutes).filter_map(move |minute| {
            let wall = minute + self.offsets[index(minute * 60 / QUARTER)] + 24 * 60;
            let time = wall % (24 * 60);
            (days[index(wall / (24 * 60))] && is_time(&fields, time / 60, time % 60))
                .then(|| Timestamp::from_second((start + minute) * 60).unwrap())
        })
    }

    /// Returns an instant of the two years, in half of the cases within three days of a clock change.
    fn start(&self, seconds: i64, change: Option<prop::sample::Index>) -> Timestamp {
        match change {
            Some(change) if !self.changes.is_empty() => {
                let near = SignedDuration::from_secs(seconds % (6 * 86_400) - 3 * 86_400);
                change.get(&self.changes).saturating_add(near).unwrap()
            }
            _ => instant(FIRST_DAY) + SignedDuration::from_secs(seconds),
        }
    }
}

/// The text of a field, and its meaning.
#[derive(Debug, Clone)]
struct Written {
    text: String,
    field: Field,
}

fn numbers(from: u64, to: u64, step: usize) -> u64 {
    (from..=to)
        .step_by(step)
        .fold(0, |bits, number| bits | 1 << number)
}

fn written(text: String, numbers: u64, starred: bool) -> Written {
    Written {
        text,
        field: Field { numbers, starred },
    }
}

fn item(bounds: &'static Bounds, names: &'static [&'static str]) -> impl Strategy<Value = Written> {
    let Bounds {
        minimum: low,
        maximum: high,
        ..
    } = *bounds;
    let number = low..=high;
    let name = move |n: u64| {
        (low..)
            .zip(names)
            .find(|(number, _)| *number == n)
            .map_or_else(|| n.to_string(), |(_, n)| (*n).to_owned())
    };
    let range = (number.clone(), number.clone()).prop_map(|(a, b)| (a.min(b), a.max(b)));
    prop_oneof![
        2 => number.clone().prop_map(move |n| written(n.to_string(), 1 << n, false)),
        2 => number.clone().prop_map(move |n| written(name(n), 1 << n, false)),
        1 => select(vec!["*", "?"]).prop_map(move |star| written(star.into(), numbers(low, high, 1), true)),
        1 => (1_usize..70).prop_map(move |s| written(format!("*/{s}"), numbers(low, high, s), s == 1)),
        1 => range.clone().prop_map(move |(a, b)| written(format!("{}-{b}", name(a)), numbers(a, b, 1), false)),
        1 => (range, 1_usize..9)
            .prop_map(|((a, b), s)| written(format!("{a}-{b}/{s}"), numbers(a, b, s), false)),
        1 => (number, 1_usize..9)
            .prop_map(move |(n, s)| written(format!("{n}/{s}"), numbers(n, high, s), false)),
    ]
}

fn list(bounds: &'static Bounds, names: &'static [&'static str]) -> impl Strategy<Value = Written> {
    prop_oneof![
        1 => Just(written("*".into(), bounds.star().numbers, true)),
        2 => prop::collection::vec(item(bounds, names), 1..3).prop_map(|items| {
            let texts: Vec<&str> = items.iter().map(|item| item.text.as_str()).collect();
            let numbers = items.iter().fold(0, |bits, item| bits | item.field.numbers);
            written(texts.join(","), numbers, items.iter().any(|item| item.field.starred))
        }),
    ]
}

pub(super) fn expression() -> impl Strategy<Value = (String, Fields)> {
    const MONTHS: [&str; 12] = [
        "jan", "Feb", "MAR", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ];
    const DAYS: [&str; 7] = ["sun", "Mon", "TUE", "wed", "thu", "fri", "sat"];
    (
        list(&MINUTE, &[]),
        list(&HOUR, &[]),
        list(&DAY_OF_MONTH, &[]),
        list(&MONTH, &MONTHS),
        list(&DAY_OF_WEEK, &DAYS),
    )
        .prop_map(|(minute, hour, day_of_month, month, day_of_week)| {
            let text = [&minute, &hour, &day_of_month, &month, &day_of_week].map(|field| field.text.as_str());
            let fields = Fields {
                minute: minute.field,
                hour: hour.field,
                day_of_month: day_of_month.field,
                month: month.field,
                day_of_week: day_of_week.field,
            };
            (text.join(" "), fields)
        })
}

proptest! {
    #[test]
    fn the_runs_are_the_minutes_at_which_the_wall_clock_matches(
        (text, fields) in expression(),
        clock in 0..ZONES.len(),
        own in any::<bool>(),
        seconds in 0..730 * 86_400_i64,
        change in any::<Option<prop::sample::Index>>(),
    ) {
        let (name, clock) = (ZONES[clock], &CLOCKS[clock]);
        let start = clock.start(seconds, change);
        let (text, local) =
            if own { (format!("TZ={name} {text}"), &TimeZone::UTC) } else { (text, &clock.zone) };
        let ours: Vec<Timestamp> = schedule(&text)
            .after(start, local)
            .take_while(|run| *run < instant(END))
            .take(RUNS)
            .collect();
        let theirs: Vec<Timestamp> = clock.runs(&fields, start).take(RUNS).collect();
        prop_assert_eq!(ours, theirs, "{} in {} after {}", text, name, start);
    }
}
