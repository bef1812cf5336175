//! Any text and any instant has an answer within bounded time.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use proptest::prelude::*;
use proptest::sample::select;

use super::brute_force::{ZONES, expression};
use super::{at, schedule, zone};
use crate::domain::schedule::grammar::{
    Bounds, DAY_OF_MONTH, DAY_OF_WEEK, Field, Fields, HOUR, MINUTE, MONTH,
};
use crate::domain::schedule::{MAX_BYTES, Schedule, next};

/// Pieces of schedules, good and bad.
const PIECES: [&str; 44] = [
    " ",
    " ",
    " ",
    " ",
    "*",
    "*",
    "?",
    ",",
    "-",
    "/",
    "+",
    "0",
    "1",
    "5",
    "7",
    "31",
    "59",
    "60",
    "007",
    "9223372036854775807",
    "18446744073709551616",
    "mon",
    "SUN",
    "jan",
    "fr\u{130}",
    "TZ=",
    "CRON_TZ=",
    "UTC",
    "Europe/Berlin",
    "Local",
    "..",
    "@",
    "@every ",
    "@daily",
    "h",
    "m",
    "1.5h",
    "\t",
    "\u{a0}",
    "\u{0}",
    "\"",
    "\u{301}",
    "\u{1f600}",
    "0 3 * * *",
];

/// Generates any numbers of a field.
fn any_of(bounds: &'static Bounds) -> impl Strategy<Value = Field> {
    (any::<u64>(), any::<bool>()).prop_map(|(bits, starred)| Field {
        numbers: bits & bounds.star().numbers,
        starred,
    })
}

/// Checks the properties that hold for every text.
fn check(text: &str) -> Result<(), TestCaseError> {
    match Schedule::parse(text) {
        Ok(schedule) => {
            prop_assert_eq!(schedule.as_str(), text);
            let mut before = at("2026-10-25T00:59:59.5Z");
            for run in schedule.after(before, &TimeZone::UTC).take(3) {
                prop_assert!(run > before && run.subsec_nanosecond() == 0);
                before = run;
            }
            prop_assert_eq!(schedule.gaps().is_none(), schedule.never_fires());
            prop_assert!(schedule.gaps().is_none_or(|gaps| gaps.shortest <= gaps.longest));
            prop_assert!(schedule.words().len() < 800);
            prop_assert!(
                schedule
                    .clock_troubles(before, &zone("Africa/Casablanca"))
                    .count()
                    <= 4
            );
        }
        // An error may quote its text three times, with six bytes for each byte.
        Err(error) => prop_assert!(error.to_string().len() < 200 + 20 * text.len(), "{}", error),
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_text_is_a_schedule_or_an_error(text in any::<String>()) {
        check(&text)?;
    }

    #[test]
    fn any_mixture_of_pieces_is_a_schedule_or_an_error(
        pieces in prop::collection::vec(select(PIECES.to_vec()), 0..40),
    ) {
        check(&pieces.concat())?;
    }

    /// The library parses a calendar on first use, when an error could no longer be reported.
    #[test]
    fn the_library_accepts_any_numbers(
        minute in any_of(&MINUTE), hour in any_of(&HOUR), day_of_month in any_of(&DAY_OF_MONTH),
        month in any_of(&MONTH), day_of_week in any_of(&DAY_OF_WEEK),
    ) {
        let fields = Fields { minute, hour, day_of_month, month, day_of_week };
        let built = next::build(&fields);
        prop_assert!(built.is_ok(), "{:?}", built);
    }

    #[test]
    fn any_five_fields_of_pieces_are_a_schedule_or_an_error(
        fields in prop::collection::vec(prop::collection::vec(select(PIECES[4..25].to_vec()), 1..6), 5),
    ) {
        let fields: Vec<String> = fields.iter().map(|pieces| pieces.concat()).collect();
        check(&fields.join(" "))?;
    }

    #[test]
    fn a_long_text_has_the_same_answer_as_a_short_one(
        piece in select(PIECES.to_vec()), other in select(PIECES.to_vec()),
    ) {
        let mut text = [piece, other].concat().repeat(MAX_BYTES);
        text.truncate(text.floor_char_boundary(MAX_BYTES));
        check(&text)?;
        check(&format!("* * * * {}", text.split_at(text.floor_char_boundary(MAX_BYTES - 8)).0))?;
    }

    #[test]
    fn any_instant_has_a_later_run_or_none(
        second in Timestamp::MIN.as_second()..=Timestamp::MAX.as_second(), nanosecond in 0..1_000_000_000_i32,
        text in select(vec!["* * * * *", "@every 1s", "0 0 29 2 *", "0 0 30 2 *", "30 2 13 * fri", "@every 2000000h"]),
        name in select(vec!["UTC", "Europe/Berlin", "Africa/Monrovia", "Pacific/Apia", "Africa/Casablanca"]),
    ) {
        let instant = Timestamp::new(second, nanosecond).unwrap_or(Timestamp::MAX);
        if let Some(run) = schedule(text).next_after(instant, &zone(name)) {
            prop_assert!(run > instant && run.subsec_nanosecond() == 0);
        }
    }
}

proptest! {
    #[test]
    fn a_later_instant_has_no_earlier_run(
        (text, _) in expression(), name in select(ZONES.to_vec()),
        one in instants(), other in instants(),
    ) {
        let (schedule, zone) = (schedule(&text), zone(name));
        let (early, late) = (one.min(other), one.max(other));
        let (first, second) = (schedule.next_after(early, &zone), schedule.next_after(late, &zone));
        prop_assert!(first.is_none_or(|run| run > early) && second.is_none_or(|run| run > late));
        if let (Some(first), Some(second)) = (first, second) {
            prop_assert!(first <= second, "{} in {}: {} {}", text, name, first, second);
            // There is no run between the two instants and the first run after both.
            prop_assert!(first == second || first <= late, "{} in {}: {} {}", text, name, first, second);
        }
    }
}

/// Generates instants within the calendar, of which two are often close together.
fn instants() -> impl Strategy<Value = Timestamp> {
    let all = 0..Timestamp::MAX.as_second() / 90;
    let autumn = at("2026-10-20T00:00:00Z").as_second();
    prop_oneof![all, autumn..autumn + 15 * 86_400].prop_map(|second| Timestamp::from_second(second).unwrap())
}

#[test]
fn the_first_and_the_last_instant_have_an_answer() {
    for text in ["* * * * *", "@every 1s", "@every 2562047h", "0 0 30 2 *"] {
        for name in ["UTC", "Europe/Berlin", "Pacific/Kiritimati", "Etc/GMT+12"] {
            assert_eq!(
                schedule(text).next_after(Timestamp::MAX, &zone(name)),
                None,
                "{text}"
            );
            let first = schedule(text).next_after(Timestamp::MIN, &zone(name));
            assert!(first.is_none_or(|first| first > Timestamp::MIN), "{text}");
        }
    }
}
