use jiff::SignedDuration;
use proptest::prelude::*;

use super::GoDuration;

const SECOND: i64 = 1_000_000_000;
const HOUR: i64 = 3600 * SECOND;

/// Returns the nanoseconds, or the text of the error.
fn read(text: &str) -> Result<i64, String> {
    GoDuration::parse(text)
        .map(GoDuration::nanoseconds)
        .map_err(|error| error.to_string())
}

#[test]
fn durations_are_parsed_as_go_parses_them() {
    for (text, nanoseconds) in [
        ("0", 0),
        ("-0", 0),
        ("+0", 0),
        ("0s", 0),
        ("5s", 5 * SECOND),
        ("+5s", 5 * SECOND),
        ("-5s", -5 * SECOND),
        ("1h30m", HOUR * 3 / 2),
        ("30m1h", HOUR * 3 / 2),
        ("1m1m", 120 * SECOND),
        ("1h0m0.5s", HOUR + SECOND / 2),
        ("-1.5h", -HOUR * 3 / 2),
        (".5h", HOUR / 2),
        ("5.h", 5 * HOUR),
        ("0.100000000000000000000h", HOUR / 10),
        ("0.3333333333333333333h", HOUR / 3),
        ("0.9223372036854775808h", 3_320_413_933_267),
        // The digit that overflows and all digits after it are dropped.
        ("0.92233720368547758099999h", 3_320_413_933_267),
        ("007ns", 7),
        ("1us", 1000),
        ("1\u{b5}s", 1000),
        ("1\u{3bc}s", 1000),
        ("1ms", 1_000_000),
        ("1.9ns", 1),
        ("2562047h47m16.854775807s", i64::MAX),
        ("-2562047h47m16.854775808s", i64::MIN),
        ("9223372036854775807ns", i64::MAX),
        // Go's own overflow: twice the limit is zero.
        ("-9223372036854775808ns9223372036854775808ns", 0),
    ] {
        assert_eq!(read(text), Ok(nanoseconds), "{text}");
    }
}

#[test]
fn errors_have_the_text_of_go() {
    for (text, words) in [
        ("", r#"time: invalid duration """#),
        ("-", r#"time: invalid duration "-""#),
        ("--1h", r#"time: invalid duration "--1h""#),
        (" 1h", r#"time: invalid duration " 1h""#),
        (".h", r#"time: invalid duration ".h""#),
        ("forever", r#"time: invalid duration "forever""#),
        (
            "9223372036854775808ns",
            r#"time: invalid duration "9223372036854775808ns""#,
        ),
        (
            "-9223372036854775809ns",
            r#"time: invalid duration "-9223372036854775809ns""#,
        ),
        (
            "9999999999999999999999h",
            r#"time: invalid duration "9999999999999999999999h""#,
        ),
        ("2562048h", r#"time: invalid duration "2562048h""#),
        ("2562047h2562047h", r#"time: invalid duration "2562047h2562047h""#),
        ("1", r#"time: missing unit in duration "1""#),
        ("1h30", r#"time: missing unit in duration "1h30""#),
        ("1.2.3s", r#"time: missing unit in duration "1.2.3s""#),
        ("7d", r#"time: unknown unit "d" in duration "7d""#),
        ("1H", r#"time: unknown unit "H" in duration "1H""#),
        ("1h ", r#"time: unknown unit "h " in duration "1h ""#),
        ("1h 30m", r#"time: unknown unit "h " in duration "1h 30m""#),
        ("1h-30m", r#"time: unknown unit "h-" in duration "1h-30m""#),
        ("1e3s", r#"time: unknown unit "e" in duration "1e3s""#),
        (
            "1\u{e9}",
            r#"time: unknown unit "\xc3\xa9" in duration "1\xc3\xa9""#,
        ),
        (
            "1\"\\\t\u{7f}",
            "time: unknown unit \"\\\"\\\\\\x09\u{7f}\" in duration \"1\\\"\\\\\\x09\u{7f}\"",
        ),
    ] {
        assert_eq!(read(text), Err(words.to_owned()), "{text}");
    }
}

#[test]
fn a_duration_can_be_added_to_a_timestamp() {
    assert_eq!(
        GoDuration::parse("1h30m").map(GoDuration::signed),
        Ok(SignedDuration::from_mins(90))
    );
    assert_eq!(
        GoDuration::parse("-1ns").map(GoDuration::signed),
        Ok(SignedDuration::from_nanos(-1))
    );
}

proptest! {
    #[test]
    fn any_text_is_a_duration_or_an_error(text in "[-+]?([0-9.]{0,25}(ns|us|µs|ms|s|m|h|d|é)?){0,4}|.*") {
        match GoDuration::parse(&text) {
            Ok(_) => prop_assert!(!text.is_empty()),
            Err(error) => prop_assert!(error.to_string().starts_with("time: ")),
        }
    }

    #[test]
    fn whole_parts_add_up(hours in 0..2_000_000_i64, minutes in 0..99_i64, nanoseconds in 0..SECOND) {
        let sum = hours * HOUR + minutes * 60 * SECOND + nanoseconds;
        prop_assert_eq!(read(&format!("{hours}h{minutes}m{nanoseconds}ns")), Ok(sum));
        prop_assert_eq!(read(&format!("-{nanoseconds}ns{minutes}m{hours}h")), Ok(-sum));
    }
}
