//! Compares schedules with the recorded answers of robfig/cron v3.0.1; see `tests/vectors/README.md`.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use super::brute_force::first_match;
use super::{schedule, zone};
use crate::domain::schedule::grammar::{self, Expression, Field, Fields};
use crate::domain::schedule::{Schedule, ScheduleError};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Recorded {
    parse: Vec<Parse>,
    next: Vec<Case>,
    activation: Vec<Activation>,
    every: Vec<Every>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parse {
    spec: String,
    error: Option<String>,
    #[serde(default)]
    panics: bool,
    every: Option<i64>,
    bits: Option<[String; 5]>,
    zone: Option<String>,
    #[serde(default)]
    image: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    spec: String,
    r#in: String,
    from: i64,
    #[serde(default)]
    nanos: i64,
    next: Vec<Option<i64>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Activation {
    spec: String,
    at: i64,
    fires: bool,
    next: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Every {
    spec: String,
    from: i64,
    nanos: i64,
    next: i64,
}

fn recorded() -> Recorded {
    serde_json::from_str(include_str!("../../../../tests/vectors/robfig.json")).unwrap()
}

fn instant(second: i64, nanos: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap() + SignedDuration::from_nanos(nanos)
}

/// Returns the zone of a vector: `fixed:N`, or a name.
fn recorded_zone(text: &str) -> TimeZone {
    text.strip_prefix("fixed:").map_or_else(
        || zone(text),
        |seconds| TimeZone::fixed(Offset::from_seconds(seconds.parse().unwrap()).unwrap()),
    )
}

/// Returns the result of cassgate in the format of the vectors.
fn verdict(text: &str) -> Parse {
    let mut verdict = Parse {
        spec: text.to_owned(),
        error: None,
        panics: false,
        every: None,
        bits: None,
        zone: None,
        image: false,
    };
    match (Schedule::parse(text), grammar::parse(text)) {
        (Err(ScheduleError::NothingAfterZone { .. }), _) => verdict.panics = true,
        (Err(error), _) => verdict.error = Some(error.to_string()),
        (Ok(schedule), Ok(Expression::Every { seconds })) => {
            assert_eq!(schedule.interval(), Some(SignedDuration::from_secs(seconds)));
            verdict.every = Some(seconds);
        }
        (Ok(schedule), Ok(Expression::Calendar { fields, zone })) => {
            assert_eq!(schedule.zone(), zone.as_ref());
            let Fields {
                minute,
                hour,
                day_of_month,
                month,
                day_of_week,
            } = fields;
            let bits = |field: Field| format!("{:x}", field.numbers | u64::from(field.starred) << 63);
            verdict.bits = Some([minute, hour, day_of_month, month, day_of_week].map(bits));
            let name = zone.as_ref().map_or("Local", |zone| zone.iana_name().unwrap());
            verdict.zone = Some(name.to_owned());
        }
        (Ok(_), Err(error)) => panic!("{text}: {error}"),
    }
    verdict
}

/// Returns true for the name of a file that is not an IANA zone, which robfig accepts or rejects with a file system error.
const FILES: [(&str, &str); 6] = [
    ("TZ=posix/America/New_York * * * * *", "posix/America/New_York"),
    ("TZ=right/UTC * * * * *", "right/UTC"),
    ("TZ=America//New_York * * * * *", "America//New_York"),
    ("TZ=./UTC * * * * *", "./UTC"),
    ("TZ=America * * * * *", "America"),
    ("TZ=tzdata.zi * * * * *", "tzdata.zi"),
];

#[test]
fn the_same_texts_are_valid_and_errors_have_the_text_of_robfig() {
    let cases = recorded().parse;
    let mut files = 0;
    for case in &cases {
        let ours = verdict(&case.spec);
        let file = FILES.iter().find(|(spec, _)| *spec == case.spec);
        let error = if let Some((_, name)) = file {
            files += 1;
            assert!(case.image, "{}", case.spec);
            Some(format!("provided bad location {name}: unknown time zone {name}"))
        } else {
            assert_eq!(ours.panics, case.panics, "{}", case.spec);
            assert_eq!(ours.every, case.every, "{}", case.spec);
            assert_eq!(ours.bits, case.bits, "{}", case.spec);
            assert_eq!(ours.zone, case.zone, "{}", case.spec);
            case.error.clone()
        };
        assert_eq!(ours.error, error, "{}", case.spec);
    }
    assert_eq!((cases.len(), files), (218, FILES.len()));
}

/// The reason why an answer of robfig differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Difference {
    /// robfig loses or moves runs next to a clock change of this zone. cassgate follows the wall clock.
    Walk,
    /// The rules of the zone changed after tzdata 2025b.
    Rules,
    /// The request is before 1970, or the answer is after 2100.
    Years,
}

/// The zones whose clock skips midnight, or does not change by exactly one hour. The last two did so in the past.
const WALK: [&str; 15] = [
    "Africa/Cairo",
    "America/Havana",
    "America/Santiago",
    "Antarctica/Troll",
    "Asia/Beirut",
    "Atlantic/Azores",
    "Australia/LHI",
    "Australia/Lord_Howe",
    "Chile/Continental",
    "Cuba",
    "Egypt",
    "NZ-CHAT",
    "Pacific/Chatham",
    "America/Asuncion",
    "America/Sao_Paulo",
];

const RULES: [&str; 8] = [
    "Africa/Casablanca",
    "America/Edmonton",
    "America/Rainy_River",
    "America/Vancouver",
    "America/Winnipeg",
    "America/Yellowknife",
    "Canada/Pacific",
    "Europe/Tiraspol",
];

fn difference(name: &str, from: Timestamp, theirs: Option<Timestamp>) -> Option<Difference> {
    let known = "1970-01-01T00:00:00Z".parse().unwrap().."2101-01-01T00:00:00Z".parse().unwrap();
    if !known.contains(&from) || theirs.is_some_and(|theirs| !known.contains(&theirs)) {
        Some(Difference::Years)
    } else if WALK.contains(&name) {
        Some(Difference::Walk)
    } else if RULES.contains(&name) {
        Some(Difference::Rules)
    } else {
        None
    }
}

#[test]
fn robfig_fires_at_the_same_instants() {
    let mut same = 0;
    let mut differences: BTreeMap<Difference, Vec<String>> = BTreeMap::new();
    for case in recorded().next {
        let local = recorded_zone(&case.r#in);
        let schedule = schedule(&case.spec);
        let name = schedule
            .zone()
            .and_then(TimeZone::iana_name)
            .unwrap_or(&case.r#in);
        let mut from = instant(case.from, case.nanos);
        for answer in &case.next {
            let theirs = answer.map(|second| instant(second, 0));
            let ours = schedule.next_after(from, &local);
            if ours == theirs {
                same += 1;
            } else {
                let why = format!("{} in {} after {from}", case.spec, case.r#in);
                let Some(difference) = difference(name, from, theirs) else {
                    panic!("{why}: {ours:?}, robfig has {theirs:?}");
                };
                if difference != Difference::Years {
                    assert_eq!(ours, by_the_wall_clock(&case.spec, &local, from), "{why}");
                }
                differences.entry(difference).or_default().push(name.to_owned());
            }
            from = theirs.unwrap_or(from);
        }
    }
    let count = |difference| differences[&difference].len();
    let names = |difference| {
        differences[&difference]
            .iter()
            .map(String::as_str)
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(
        (same, count(Difference::Walk), count(Difference::Years)),
        (2352, 214, 11)
    );
    // Every release of the time zone database may change these two numbers.
    assert_eq!(
        (names(Difference::Rules), count(Difference::Rules)),
        (RULES.into(), 9)
    );
    assert_eq!(
        names(Difference::Walk),
        WALK.into(),
        "each of the zones is there for a reason"
    );
}

fn by_the_wall_clock(text: &str, local: &TimeZone, after: Timestamp) -> Option<Timestamp> {
    match grammar::parse(text).unwrap() {
        Expression::Every { .. } => panic!("{text} has no wall clock"),
        Expression::Calendar { fields, zone } => first_match(&fields, zone.as_ref().unwrap_or(local), after),
    }
}

#[test]
fn robfig_counts_the_same_instants_as_runs() {
    let cases = recorded().activation;
    for case in &cases {
        let next = schedule(&case.spec).next_after(instant(case.at - 1, 0), &TimeZone::UTC);
        assert_eq!(next, Some(instant(case.next, 0)), "{}", case.spec);
        assert_eq!(next == Some(instant(case.at, 0)), case.fires, "{}", case.spec);
    }
    assert_eq!(cases.len(), 29);
}

#[test]
fn robfig_counts_intervals_alike() {
    let cases = recorded().every;
    for case in &cases {
        let next = schedule(&case.spec).next_after(instant(case.from, case.nanos), &TimeZone::UTC);
        assert_eq!(next, Some(instant(case.next, 0)), "{}", case.spec);
    }
    assert_eq!(cases.len(), 14);
}
