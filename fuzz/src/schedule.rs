//! The target for `spec.schedule`.

use cassgate::domain::schedule::{ClockEffect, MAX_BYTES, Schedule, time_zone};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// The local zones, some of them with unusual clock changes.
const ZONES: [&str; 8] = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Africa/Cairo",
    "Antarctica/Troll",
    "Asia/Kathmandu",
    "Pacific/Apia",
];

/// The number of consecutive runs that are checked.
const RUNS: usize = 6;

/// Reads a letter for the zone and a number for the instant from the first line, and the schedule from the rest.
pub fn schedule(data: &[u8]) {
    let Some(text) = super::text(data) else { return };
    let (parameters, text) = text.split_once('\n').unwrap_or(("", text));
    let parsed = match Schedule::parse(text) {
        Ok(parsed) => parsed,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    assert!(text.len() <= MAX_BYTES);
    assert_eq!(
        (parsed.as_str(), Schedule::parse(text).as_ref()),
        (text, Ok(&parsed))
    );
    assert_eq!(parsed.words() == "never", parsed.never_fires());
    assert_eq!(parsed.gaps().is_none(), parsed.never_fires());
    let (now, local) = (instant(parameters), zone(parameters));
    let runs: Vec<Timestamp> = parsed.after(now, &local).take(RUNS).collect();
    assert!(runs.is_empty() || !parsed.never_fires());
    let mut before = now;
    for run in &runs {
        assert!(*run > before, "a run is after the instant that was asked for");
        assert!(run.subsec_nanosecond() == 0 || parsed.interval().is_some());
        // The next run is the same from any instant in the gap.
        let middle = at(before.as_second().midpoint(run.as_second()));
        if parsed.interval().is_none() {
            assert_eq!(parsed.next_after(middle, &local), Some(*run));
        }
        before = *run;
    }
    gaps(&parsed, &runs, &local);
    troubles(&parsed, now, &local);
}

fn instant(parameters: &str) -> Timestamp {
    let digits: String = parameters.chars().filter(char::is_ascii_digit).take(10).collect();
    // The calendar ends in 2100.
    let seconds = digits.parse::<i64>().unwrap_or(1_795_000_000) % 4_102_444_800;
    at(seconds)
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).expect("within the calendar")
}

fn zone(parameters: &str) -> TimeZone {
    let index = usize::from(parameters.bytes().next().unwrap_or_default()) % ZONES.len();
    time_zone(ZONES.get(index).copied().unwrap_or("UTC")).expect("a zone of the data base")
}

/// Checks the gaps, which assume a wall clock without changes and therefore hold for every run in UTC.
fn gaps(parsed: &Schedule, runs: &[Timestamp], local: &TimeZone) {
    let Some(gaps) = parsed.gaps() else { return };
    assert!(gaps.shortest <= gaps.longest && gaps.shortest >= SignedDuration::from_secs(1));
    let steady = parsed.interval().is_some() || parsed.zone_or(local).iana_name() == Some("UTC");
    for pair in runs.windows(2).filter(|_| steady) {
        let [earlier, later] = pair else { continue };
        let gap = later.duration_since(*earlier);
        assert!(
            gap >= gaps.shortest && gap <= gaps.longest,
            "{gap:?} is outside of {gaps:?}"
        );
    }
}

fn troubles(parsed: &Schedule, now: Timestamp, local: &TimeZone) {
    let mut last = now;
    for trouble in parsed.clock_troubles(now, local) {
        assert!(trouble.change > last && !parsed.never_fires() && parsed.interval().is_none());
        last = trouble.change;
        assert!(!trouble.in_words(parsed.zone_or(local)).is_empty());
        let second = SignedDuration::from_secs(1);
        match trouble.effect {
            ClockEffect::Skipped => {}
            ClockEffect::Twice { first, second: again } => {
                assert!(first < trouble.change && trouble.change <= again);
                for run in [first, again] {
                    assert_eq!(parsed.next_after(run - second, local), Some(run));
                }
            }
        }
    }
}
