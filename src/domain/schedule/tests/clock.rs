//! The effects of clock changes on runs, compared with a count of how often the clock shows each minute.

use std::collections::BTreeMap;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::brute_force::{ZONES, expression, is_day, is_time};
use super::{at, schedule, zone};
use crate::domain::schedule::grammar::Fields;
use crate::domain::schedule::{ClockEffect, ClockTrouble};

fn troubles(text: &str, after: &str, local: &str) -> Vec<String> {
    let show = |trouble: ClockTrouble| match trouble.effect {
        ClockEffect::Skipped => format!("{}: {} skipped", trouble.change, trouble.wall),
        ClockEffect::Twice { first, second } => {
            format!("{}: {} at {first} and {second}", trouble.change, trouble.wall)
        }
    };
    schedule(text)
        .clock_troubles(at(after), &zone(local))
        .map(show)
        .collect()
}

#[test]
fn a_run_that_is_skipped_and_a_run_that_comes_twice_are_found() {
    let year = [
        "2026-03-29T01:00:00Z: 2026-03-29T02:30:00 skipped",
        "2026-10-25T01:00:00Z: 2026-10-25T02:30:00 at 2026-10-25T00:30:00Z and 2026-10-25T01:30:00Z",
    ];
    assert_eq!(
        troubles("30 2 * * *", "2026-01-01T00:00:00Z", "Europe/Berlin"),
        year
    );
    assert_eq!(
        troubles("TZ=Europe/Berlin 30 2 * * *", "2026-01-01T00:00:00Z", "UTC"),
        year
    );
    assert_eq!(
        troubles("30 2 * * *", "2026-03-29T01:00:00Z", "Europe/Berlin")
            .first()
            .unwrap(),
        year[1]
    );
    assert_eq!(
        schedule("30 2 * * *").next_clock_trouble(at("2026-01-01T00:00:00Z"), &zone("Europe/Berlin")),
        schedule("30 2 * * *")
            .clock_troubles(at("2026-01-01T00:00:00Z"), &zone("Europe/Berlin"))
            .next()
    );
}

#[test]
fn the_first_of_several_affected_runs_is_returned() {
    assert_eq!(
        troubles("*/20 1-4 29 3 *", "2026-01-01T00:00:00Z", "Europe/Berlin"),
        ["2026-03-29T01:00:00Z: 2026-03-29T02:00:00 skipped"]
    );
}

#[test]
fn a_run_at_the_edge_of_a_change_is_not_affected() {
    for text in ["59 1 * * *", "0 3 * * *"] {
        assert_eq!(
            troubles(text, "2026-01-01T00:00:00Z", "Europe/Berlin"),
            [""; 0],
            "{text}"
        );
    }
    assert_eq!(
        troubles("0 2 * * *", "2026-06-01T00:00:00Z", "Europe/Berlin").len(),
        2
    );
    // Half an hour, a whole midnight, and a repeated hour across midnight.
    assert_eq!(
        troubles("29 2 * * *", "2026-01-01T00:00:00Z", "Australia/Lord_Howe"),
        ["2026-10-03T15:30:00Z: 2026-10-04T02:29:00 skipped"]
    );
    assert_eq!(
        troubles("@daily", "2026-01-01T00:00:00Z", "Africa/Cairo"),
        ["2026-04-23T22:00:00Z: 2026-04-24T00:00:00 skipped"]
    );
    assert_eq!(
        troubles("30 23 * * thu", "2026-01-01T00:00:00Z", "Africa/Cairo"),
        ["2026-10-29T21:00:00Z: 2026-10-29T23:30:00 at 2026-10-29T20:30:00Z and 2026-10-29T21:30:00Z"]
    );
}

#[test]
fn the_run_of_a_day_that_the_calendar_skips_is_skipped() {
    assert_eq!(
        troubles("0 12 30 12 *", "2011-12-01T00:00:00Z", "Pacific/Apia"),
        ["2011-12-30T10:00:00Z: 2011-12-30T12:00:00 skipped"]
    );
}

#[test]
fn a_schedule_that_fires_every_hour_is_not_affected() {
    for text in [
        "* * * * *",
        "0 * * * *",
        "*/15 * * * *",
        "30 * 29 3 *",
        "@hourly",
        "@every 1h",
        "TZ=Europe/Berlin @every 90m",
    ] {
        assert_eq!(
            troubles(text, "2026-01-01T00:00:00Z", "Europe/Berlin"),
            [""; 0],
            "{text}"
        );
    }
}

#[test]
fn a_schedule_that_fires_every_hour_is_affected_if_the_clock_changes_by_half_an_hour() {
    let troubles = |text| troubles(text, "2026-05-01T00:00:00Z", "Australia/Lord_Howe");
    for text in ["* * * * *", "*/15 * * * *", "0,30 * * * *"] {
        assert_eq!(troubles(text), [""; 0], "{text}");
    }
    assert_eq!(
        troubles("15 * * * *"),
        ["2026-10-03T15:30:00Z: 2026-10-04T02:15:00 skipped"]
    );
    assert_eq!(
        troubles("45 * * * *"),
        ["2027-04-03T15:00:00Z: 2027-04-04T01:45:00 at 2027-04-03T14:45:00Z and 2027-04-03T15:15:00Z"]
    );
}

#[test]
fn only_changes_within_a_year_are_returned() {
    // 29 March is the day of the change in 2026 and again in 2037.
    assert_eq!(
        troubles("30 2 29 3 *", "2026-01-01T00:00:00Z", "Europe/Berlin").len(),
        1
    );
    assert_eq!(
        troubles("30 2 29 3 *", "2026-04-01T00:00:00Z", "Europe/Berlin"),
        [""; 0]
    );
    for zone in ["UTC", "Asia/Kolkata", "Etc/GMT+12"] {
        assert_eq!(
            troubles("30 2 * * *", "2026-01-01T00:00:00Z", zone),
            [""; 0],
            "{zone}"
        );
    }
    for after in [Timestamp::MIN, Timestamp::MAX] {
        assert_eq!(
            schedule("30 2 * * *").next_clock_trouble(after, &TimeZone::UTC),
            None
        );
        let berlin = schedule("30 2 * * *").next_clock_trouble(after, &zone("Europe/Berlin"));
        assert!(berlin.is_none_or(|trouble| trouble.change > after));
    }
}

/// Returns, for each change of the year, the first minute of the schedule that the clock does not show exactly once.
fn by_counting(fields: &Fields, zone: &TimeZone, after: Timestamp) -> Vec<(Timestamp, DateTime, usize)> {
    let around = SignedDuration::from_hours(30);
    let year = SignedDuration::from_hours(366 * 24);
    let changes = zone.following(after).map(|change| change.timestamp());
    let mut found = Vec::new();
    for change in changes.take_while(|change| *change <= after + year) {
        let (mut instant, end) = (change - around, change + around);
        let mut shown: BTreeMap<DateTime, usize> = BTreeMap::new();
        while instant < end {
            *shown.entry(zone.to_datetime(instant)).or_default() += 1;
            instant += SignedDuration::from_mins(1);
        }
        let mut wall = *shown.first_key_value().unwrap().0;
        let last = *shown.last_key_value().unwrap().0;
        while wall < last {
            let count = shown.get(&wall).copied().unwrap_or_default();
            if count != 1 && is_time(fields, wall.hour(), wall.minute()) && is_day(fields, wall.date()) {
                found.push((change, wall, count));
                break;
            }
            wall += SignedDuration::from_mins(1);
        }
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.min(512), ..ProptestConfig::default() })]

    #[test]
    fn affected_runs_are_the_minutes_that_the_clock_does_not_show_once(
        (text, fields) in expression(), name in proptest::sample::select(ZONES.to_vec()), day in 0..700_i64,
    ) {
        prop_assume!(!fields.takes_every_hour());
        let after = at("2025-01-01T00:00:00Z") + SignedDuration::from_hours(24 * day);
        let ours: Vec<_> = schedule(&text)
            .clock_troubles(after, &zone(name))
            .map(|trouble| {
                let count = match trouble.effect {
                    ClockEffect::Skipped => 0,
                    ClockEffect::Twice { .. } => 2,
                };
                (trouble.change, trouble.wall, count)
            })
            .collect();
        prop_assert_eq!(ours, by_counting(&fields, &zone(name), after), "{} in {}", text, name);
    }
}
