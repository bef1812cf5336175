//! The gaps between runs, compared with every day from 1970 to 2099.

use std::sync::LazyLock;

use jiff::civil::{Date, date};
use jiff::{SignedDuration, ToSpan};
use proptest::prelude::*;

use super::brute_force::{expression, is_day, is_time};
use super::schedule;
use crate::domain::schedule::grammar::Fields;

static DAYS: LazyLock<Vec<Date>> = LazyLock::new(|| {
    date(1970, 1, 1)
        .series(1.day())
        .take_while(|day| day.year() < 2100)
        .collect()
});

/// Returns the shortest and the longest gap in minutes, from every day and every minute of a day.
fn by_enumeration(fields: &Fields) -> Option<(i64, i64)> {
    let times: Vec<i64> = (0..24 * 60)
        .filter(|time| is_time(fields, time / 60, time % 60))
        .collect();
    let days: Vec<i64> = (0..)
        .zip(&*DAYS)
        .filter(|(_, day)| is_day(fields, **day))
        .map(|(n, _)| n)
        .collect();
    let (first, last) = (times.first()?, times.last()?);
    let within = times.windows(2).map(|pair| pair[1] - pair[0]);
    let between = days
        .windows(2)
        .map(|pair| (pair[1] - pair[0]) * 24 * 60 + first - last);
    let all: Vec<i64> = within.chain(between).collect();
    (!days.is_empty()).then_some((*all.iter().min()?, *all.iter().max()?))
}

fn minutes(text: &str) -> Option<(i64, i64)> {
    let gaps = schedule(text).gaps()?;
    assert_eq!(
        (gaps.shortest.as_secs() % 60, gaps.longest.as_secs() % 60),
        (0, 0),
        "{text}"
    );
    Some((gaps.shortest.as_mins(), gaps.longest.as_mins()))
}

#[test]
fn the_gaps_of_usual_schedules() {
    const HOUR: i64 = 60;
    const DAY: i64 = 24 * HOUR;
    for (text, shortest, longest) in [
        ("* * * * *", 1, 1),
        ("*/10 * * * *", 10, 10),
        ("*/45 * * * *", 15, 45),
        ("5 * * * *", HOUR, HOUR),
        ("@daily", DAY, DAY),
        ("0 1,4 * * *", 3 * HOUR, 21 * HOUR),
        ("0,59 23,0 * * *", 1, 22 * HOUR + 1),
        ("0 3 * * mon-fri", DAY, 3 * DAY),
        ("@weekly", 7 * DAY, 7 * DAY),
        ("@monthly", 28 * DAY, 31 * DAY),
        ("0 0 31 * *", 31 * DAY, 61 * DAY),
        ("@yearly", 365 * DAY, 366 * DAY),
        ("0 0 29 2 *", 1461 * DAY, 1461 * DAY),
        ("0 0 13 * fri", DAY, 7 * DAY),
        ("0 0 1-31 * fri", DAY, DAY),
        ("0 0 1 1 sun", DAY, 342 * DAY),
    ] {
        assert_eq!(minutes(text), Some((shortest, longest)), "{text}");
    }
}

#[test]
fn the_gaps_of_an_interval_are_the_interval() {
    let gaps = schedule("@every 1h0m30s").gaps().unwrap();
    assert_eq!(
        (gaps.shortest, gaps.longest),
        (SignedDuration::from_secs(3630), SignedDuration::from_secs(3630))
    );
    assert!(!schedule("@every 1h").never_fires());
}

#[test]
fn a_schedule_that_never_fires_has_no_gaps() {
    for text in [
        "0 0 30 2 *",
        "0 0 31 4,6,9,11 *",
        ", * * * *",
        "* ,, * * *",
        "* * , * *",
        "* * * , *",
        "* * * * ,",
    ] {
        assert!(schedule(text).never_fires(), "{text}");
        assert_eq!(schedule(text).gaps(), None, "{text}");
    }
    // A match of one of the two day fields is enough.
    for text in ["0 0 30 2 mon", "0 0 , * mon", "0 0 29 2 *", "0 0 1 * ,"] {
        assert!(!schedule(text).never_fires(), "{text}");
        assert!(schedule(text).gaps().is_some(), "{text}");
    }
}

proptest! {
    #[test]
    fn the_gaps_are_those_of_all_days_and_minutes((text, fields) in expression()) {
        prop_assert_eq!(minutes(&text), by_enumeration(&fields), "{}", text);
        prop_assert_eq!(schedule(&text).never_fires(), by_enumeration(&fields).is_none(), "{}", text);
    }
}
