//! Schedules by a hostile author: every operation on them, each time including parsing.

use std::time::Duration;

use cassgate::domain::schedule::{MAX_BYTES, Schedule, time_zone};
use fastrand::Rng;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::quickest;
use crate::report::Table;

/// Number of random mixtures of pieces.
const MIXTURES: usize = 20_000;

const PIECES: [&str; 24] = [
    " ",
    " ",
    " ",
    "*",
    "?",
    ",",
    "-",
    "/",
    "0",
    "1",
    "7",
    "31",
    "59",
    "9223372036854775807",
    "mon",
    "JAN",
    "fr\u{130}",
    "TZ=",
    "Europe/Berlin ",
    "@every ",
    "1.5h",
    "\u{a0}",
    "\u{301}",
    "\"",
];

/// Runs every operation on a text: parsing, next run, gaps, description, clock changes, and parsing as a zone.
fn ask(text: &str, start: Timestamp, zone: &TimeZone) -> usize {
    let zone_error = time_zone(text).map_or_else(|error| error.nearest.len(), |_| 0);
    let answer = match Schedule::parse(text) {
        Ok(schedule) => {
            let run = schedule.next_after(start, zone).map_or(0, |_| 1);
            let troubles = schedule.clock_troubles(start, zone).count();
            run + troubles + schedule.words().len() + schedule.gaps().map_or(0, |_| 1)
        }
        Err(error) => error.to_string().len(),
    };
    answer + zone_error
}

fn long(head: &str, piece: &str, tail: &str) -> String {
    let times = MAX_BYTES.saturating_sub(head.len() + tail.len()) / piece.len();
    format!("{head}{}{tail}", piece.repeat(times))
}

/// Prints the slowest.
pub(crate) fn measure(start: Timestamp) {
    let zone = time_zone("Africa/Casablanca").unwrap_or(TimeZone::UTC);
    let named = [
        ("never: 0 0 30 2 *", "0 0 30 2 *".to_owned()),
        ("never: no minute", ", * * * *".to_owned()),
        ("once in four years", "59 23 29 2 ,".to_owned()),
        ("every second weekday or day", "*/2 */2 */2 */2 */2".to_owned()),
        ("a list of 4 KiB", long("", "1,3,5,", " 1 1 1 1")),
        ("ranges of 4 KiB", long("", "0-59,", " * * * *")),
        ("stars of 4 KiB", long("* * * * ", "*,", "1")),
        ("4 KiB of fields", long("", "* ", "*")),
        ("4 KiB of quotes", long("\" * * * ", "\"", "")),
        ("an interval of 4 KiB", long("@every ", "1ns", "")),
        ("a zone of 4 KiB", long("TZ=", "Europe/", " @daily")),
        (
            "a zone that is nearly one",
            "TZ=America/Argentina/ComodRivadaviaX @daily".to_owned(),
        ),
        (
            "a name that is nearly a zone",
            "america/argentina/buenos_airesxx".to_owned(),
        ),
        ("over 4 KiB", "1,".repeat(MAX_BYTES)),
    ];
    let mut table = Table::new(["hostile, all that can be asked", "us"]);
    for (what, text) in &named {
        let time = quickest(|| ask(text, start, &zone));
        table.row([(*what).to_owned(), microseconds(time)]);
    }
    let mut rng = Rng::with_seed(1);
    let mut slowest = Duration::ZERO;
    for _ in 0..MIXTURES {
        let mut text = String::new();
        let length = if rng.u8(..4) == 0 {
            MAX_BYTES
        } else {
            rng.usize(1..80)
        };
        while text.len() < length {
            text.push_str(PIECES.get(rng.usize(..PIECES.len())).unwrap_or(&" "));
        }
        text.truncate(text.floor_char_boundary(MAX_BYTES));
        slowest = slowest.max(quickest(|| ask(&text, start, &zone)));
    }
    table.row([
        format!("the slowest of {MIXTURES} random mixtures"),
        microseconds(slowest),
    ]);
    table.print();
}

fn microseconds(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64() * 1e6)
}
