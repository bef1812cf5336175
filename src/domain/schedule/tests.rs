mod brute_force;
mod clock;
mod gaps;
mod hostile;
mod vectors;
mod words;
mod zones;

use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp};

use super::next::MAX_CLOCK_CHANGES;
use super::{MAX_BYTES, Schedule, ScheduleError};

fn schedule(text: &str) -> Schedule {
    Schedule::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn says(text: &str) -> String {
    Schedule::parse(text).expect_err(text).to_string()
}

fn zone(name: &str) -> TimeZone {
    TimeZoneDatabase::bundled().get(name).unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Returns the first `count` runs on the wall clock of `local`.
fn runs(text: &str, after: &str, local: &str, count: usize) -> Vec<String> {
    let local = zone(local);
    let shown = |run: Timestamp| run.to_zoned(local.clone()).strftime("%F %H:%M %Z").to_string();
    schedule(text)
        .after(at(after), &local)
        .take(count)
        .map(shown)
        .collect()
}

#[test]
fn a_schedule_keeps_its_text() {
    for text in ["0 3 * * *", "  0 3\t* * *  ", "TZ=UTC  @daily ", "@every 90s"] {
        assert_eq!(schedule(text).as_str(), text);
        assert_eq!(schedule(text).to_string(), text);
    }
    assert_eq!(schedule("0 3 * * *"), schedule("0 3 * * *").clone());
    assert_ne!(schedule("0 3 * * *"), schedule("0 4 * * *"));
}

#[test]
fn a_zone_without_a_schedule_is_an_error_where_robfig_panics() {
    assert_eq!(
        says("CRON_TZ=Europe/Berlin"),
        "no schedule follows the time zone in \"CRON_TZ=Europe/Berlin\": \
         write a space and the schedule after it, as in \"TZ=UTC 0 3 * * *\""
    );
    assert!(says("TZ=UTC\t0\t3").starts_with(r#"no schedule follows the time zone in "TZ=UTC\t0\t3": "#));
}

#[test]
fn a_schedule_over_4096_bytes_is_rejected_without_parsing() {
    let longest = format!("{}1 * * * *", "1,".repeat((MAX_BYTES - 9) / 2));
    assert_eq!(longest.len(), MAX_BYTES - 1);
    assert_eq!(Schedule::parse(&format!("{longest} ")).map(|_| ()), Ok(()));
    assert_eq!(
        Schedule::parse(&format!("{longest}  ")),
        Err(ScheduleError::TooLong { bytes: 4097 })
    );
    assert_eq!(
        says(&"*".repeat(5000)),
        "the schedule has 5000 bytes, and at most 4096 are read: \
         write ranges and steps (8-18, */10) instead of long lists"
    );
}

#[test]
fn every_zone_of_the_database_is_found_by_its_exact_name_only() {
    let names: Vec<String> = TimeZoneDatabase::bundled()
        .available()
        .map(|name| name.to_string())
        .collect();
    assert!(names.len() > 590, "{} zones", names.len());
    for name in &names {
        let schedule = schedule(&format!("TZ={name} 0 3 * * *"));
        assert_eq!(schedule.zone().and_then(TimeZone::iana_name), Some(name.as_str()));
        let lower = name.to_lowercase();
        assert_eq!(
            says(&format!("TZ={lower} 0 3 * * *")),
            format!("provided bad location {lower}: unknown time zone {lower}")
        );
    }
    assert_eq!(
        says("TZ=Etc/Unknown @daily"),
        "provided bad location Etc/Unknown: unknown time zone Etc/Unknown"
    );
}

#[test]
fn a_schedule_without_a_zone_follows_the_local_zone() {
    let summer = at("2026-07-01T00:00:00Z");
    for text in ["0 3 * * *", "TZ=Local 0 3 * * *", "CRON_TZ=Local 0 3 * * *"] {
        assert_eq!(schedule(text).zone(), None);
        assert_eq!(
            schedule(text).next_after(summer, &TimeZone::UTC),
            Some(at("2026-07-01T03:00:00Z"))
        );
        assert_eq!(
            schedule(text).next_after(summer, &zone("Asia/Tokyo")),
            Some(at("2026-07-01T18:00:00Z"))
        );
    }
    let own = schedule("TZ=Europe/Berlin 0 3 * * *");
    assert_eq!(
        own.next_after(summer, &zone("Asia/Tokyo")),
        Some(at("2026-07-01T01:00:00Z"))
    );
}

#[test]
fn an_interval_counts_whole_seconds_from_the_given_instant() {
    let interval = schedule("TZ=Europe/Berlin @every 1h0m0.9s");
    assert_eq!(interval.interval(), Some(SignedDuration::from_hours(1)));
    assert_eq!(interval.zone(), None);
    for (after, next) in [
        ("2026-01-01T10:00:00.5Z", "2026-01-01T11:00:00Z"),
        ("2026-01-01T10:00:01Z", "2026-01-01T11:00:01Z"),
        ("1969-12-31T23:00:00.25Z", "1970-01-01T00:00:00Z"),
    ] {
        assert_eq!(interval.next_after(at(after), &TimeZone::UTC), Some(at(next)));
    }
    assert_eq!(
        schedule("@every -5h").interval(),
        Some(SignedDuration::from_secs(1))
    );
    assert_eq!(schedule("0 3 * * *").interval(), None);
    assert_eq!(interval.next_after(Timestamp::MAX, &TimeZone::UTC), None);
}

#[test]
fn a_time_that_the_clock_skips_has_no_run_that_day() {
    assert_eq!(
        runs("30 2 * * *", "2026-03-27T12:00:00Z", "Europe/Berlin", 3),
        [
            "2026-03-28 02:30 CET",
            "2026-03-30 02:30 CEST",
            "2026-03-31 02:30 CEST"
        ]
    );
}

#[test]
fn a_time_that_the_clock_repeats_has_two_runs() {
    assert_eq!(
        runs("30 2 * * *", "2026-10-24T12:00:00Z", "Europe/Berlin", 3),
        [
            "2026-10-25 02:30 CEST",
            "2026-10-25 02:30 CET",
            "2026-10-26 02:30 CET"
        ]
    );
    // In between, later than 02:10 and before it comes back.
    assert_eq!(
        runs("10 2 25 10 *", "2026-10-25T00:40:00Z", "Europe/Berlin", 2),
        ["2026-10-25 02:10 CET", "2027-10-25 02:10 CEST"]
    );
}

#[test]
fn a_day_without_midnight_keeps_its_runs() {
    // robfig has 24 April 05:00 for the first, and loses the run of 2026 for the second.
    assert_eq!(
        runs("0 5 23 4 *", "2026-04-23T06:00:00Z", "Africa/Cairo", 1),
        ["2027-04-23 05:00 EET"]
    );
    assert_eq!(
        runs("0 9 24 4 *", "2026-04-20T06:00:00Z", "Africa/Cairo", 1),
        ["2026-04-24 09:00 EEST"]
    );
    assert_eq!(
        runs("0 0 * * *", "2026-04-23T06:00:00Z", "Africa/Cairo", 1),
        ["2026-04-25 00:00 EEST"]
    );
}

#[test]
fn a_day_must_match_both_fields_only_if_one_is_starred() {
    let day = |text| runs(text, "2026-06-01T12:00:00Z", "UTC", 3);
    let either = [
        "2026-06-08 00:00 UTC",
        "2026-06-13 00:00 UTC",
        "2026-06-15 00:00 UTC",
    ];
    assert_eq!(day("0 0 13 * 1"), either);
    let mondays = [
        "2026-06-08 00:00 UTC",
        "2026-06-15 00:00 UTC",
        "2026-06-22 00:00 UTC",
    ];
    assert_eq!(day("0 0 * * 1"), mondays);
    assert_eq!(day("0 0 */1 * 1"), mondays);
    assert_eq!(day("0 0 , * 1"), mondays);
    let daily = [
        "2026-06-02 00:00 UTC",
        "2026-06-03 00:00 UTC",
        "2026-06-04 00:00 UTC",
    ];
    assert_eq!(day("0 0 1-31 * 1"), daily);
    assert_eq!(
        day("0 0 13 * *,1"),
        [
            "2026-06-13 00:00 UTC",
            "2026-07-13 00:00 UTC",
            "2026-08-13 00:00 UTC"
        ]
    );
}

#[test]
fn an_impossible_date_never_fires() {
    for text in [
        "0 0 30 2 *",
        "0 0 31 4,6,9,11 *",
        ", * * * *",
        "* ,, * * *",
        "* * , * *",
        "* * * , *",
        "* * * * ,",
    ] {
        let schedule = schedule(text);
        assert_eq!(
            schedule.next_after(at("2026-01-01T00:00:00Z"), &zone("Europe/Berlin")),
            None,
            "{text}"
        );
        assert_eq!(
            schedule.after(at("2026-01-01T00:00:00Z"), &TimeZone::UTC).next(),
            None,
            "{text}"
        );
    }
}

#[test]
fn the_calendar_has_the_years_1970_to_2100_and_the_search_covers_five_years() {
    let next = |text, after| schedule(text).next_after(at(after), &TimeZone::UTC);
    assert_eq!(
        next("0 0 29 2 *", "2096-02-28T00:00:00Z"),
        Some(at("2096-02-29T00:00:00Z"))
    );
    assert_eq!(next("0 0 29 2 *", "2096-02-29T00:00:00Z"), None);
    assert_eq!(next("0 0 * * *", "2100-12-31T00:00:00Z"), None);
    assert_eq!(
        next("0 0 * * *", "1965-06-01T00:00:00Z"),
        Some(at("1970-01-01T00:00:00Z"))
    );
    assert_eq!(next("0 0 * * *", "1964-06-01T00:00:00Z"), None);
    // The search covers the fifth year beyond its clock changes.
    assert_eq!(
        runs("0 0 1 7 *", "1965-08-01T00:00:00Z", "America/New_York", 1),
        ["1970-07-01 00:00 EDT"]
    );
}

#[test]
fn every_zone_has_fewer_clock_changes_than_the_limit_of_the_search() {
    let years = SignedDuration::from_hours(24 * 366 * 7);
    for name in TimeZoneDatabase::bundled().available() {
        let zone = zone(name.as_str());
        let changes: Vec<Timestamp> = zone
            .following(at("1968-01-01T00:00:00Z"))
            .map(|change| change.timestamp())
            .take_while(|change| *change < at("2050-01-01T00:00:00Z"))
            .collect();
        let most = changes
            .iter()
            .enumerate()
            .map(|(index, first)| {
                changes[index..]
                    .iter()
                    .take_while(|c| first.duration_until(**c) < years)
                    .count()
            })
            .max();
        assert!(
            most.unwrap_or_default() * 2 < MAX_CLOCK_CHANGES,
            "{name}: {most:?}"
        );
    }
}
