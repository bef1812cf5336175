//! Descriptions of schedules in words.

use jiff::SignedDuration;
use proptest::prelude::*;

use super::brute_force::expression;
use super::schedule;
use crate::domain::schedule::{Schedule, in_words};

#[test]
fn a_schedule_is_described_in_words() {
    for (text, words) in [
        ("0 3 * * *", "every day at 03:00"),
        ("@midnight", "every day at 00:00"),
        ("0 */6 * * *", "every day at 00:00, 06:00, 12:00 and 18:00"),
        ("* * * * *", "every minute"),
        ("*/15 * * * *", "every 15 minutes"),
        ("@hourly", "every hour"),
        ("30 * * * *", "every hour at minute 30"),
        ("*/45 * * * *", "every hour at minutes 0 and 45"),
        (
            "*/15 8-18 * * 1-5",
            "every 15 minutes from 08:00 to 18:45, every Monday to Friday",
        ),
        ("* 3 * * *", "every minute from 03:00 to 03:59"),
        ("0 8-18 * * *", "every hour from 08:00 to 18:00"),
        (
            "0 0,2,4,6,8,10,12,14,16 * * *",
            "at minute 0 of hours 0, 2, 4, 6, 8, 10, 12, 14 and 16",
        ),
        (
            "7,8 0,2,4,6,8 * * *",
            "at minutes 7 and 8 of hours 0, 2, 4, 6 and 8",
        ),
        ("@weekly", "every Sunday at 00:00"),
        ("0 9 * * mon-fri", "every Monday to Friday at 09:00"),
        (
            "0 9 * 6 mon,wed,fri",
            "every Monday, Wednesday and Friday in June at 09:00",
        ),
        ("@monthly", "on day 1 of every month at 00:00"),
        ("0 0 1,15 1,7 *", "on days 1 and 15 of January and July at 00:00"),
        ("@yearly", "on day 1 of January at 00:00"),
        ("0 0 * 12 *", "every day in December at 00:00"),
        (
            "0 0 13 * fri",
            "on day 13 of every month and every Friday at 00:00",
        ),
        ("0 0 1-31 * fri", "every day at 00:00"),
        (
            "0 0 */2 * *",
            "on days 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29 and 31 of every month at 00:00",
        ),
        ("0 0 30 2 mon", "every Monday in February at 00:00"),
        ("0 0 , * mon", "every Monday at 00:00"),
        ("0 0 1 * ,", "on day 1 of every month at 00:00"),
        ("0 0 30 2 *", "never"),
        (", * * * *", "never"),
        (
            "@every 90m",
            "every 1h 30m, counted from when the executor schedules it",
        ),
        (
            "@every 48h",
            "every 2d, counted from when the executor schedules it",
        ),
    ] {
        assert_eq!(schedule(text).words(), words, "{text}");
        assert_eq!(
            schedule(&format!("TZ=Asia/Tokyo {text}")).words(),
            words,
            "{text}"
        );
    }
}

#[test]
fn a_duration_is_formatted_in_words() {
    for (seconds, words) in [
        (1, "1s"),
        (90, "1m 30s"),
        (600, "10m"),
        (129_600, "1d 12h"),
        (1461 * 86_400, "1461d"),
    ] {
        assert_eq!(in_words(SignedDuration::from_secs(seconds)), words);
    }
    let longest = Schedule::parse("@every 2562047h").unwrap();
    assert_eq!(in_words(longest.interval().unwrap()), "106751d 23h");
}

proptest! {
    #[test]
    fn a_description_is_one_short_line((text, fields) in expression()) {
        let words = schedule(&text).words();
        prop_assert!(words.len() < 700 && !words.contains(char::is_control), "{}: {}", text, words);
        prop_assert_eq!(words == "never", fields.never_fires());
    }
}
