//! The next run of a parsed schedule, and of one that is parsed first.

use std::hint::black_box;

use cassgate::domain::schedule::{Schedule, time_zone};
use jiff::Timestamp;

use crate::report::Table;
use crate::{Result, nanoseconds};

const SCHEDULES: [(&str, &str); 9] = [
    ("0 3 * * *", "UTC"),
    ("0 3 * * *", "Europe/Berlin"),
    ("*/5 * * * *", "Europe/Berlin"),
    ("30 2 * * mon-fri", "Europe/Berlin"),
    ("0 0 13 * fri", "America/New_York"),
    ("15 4 1 */3 *", "Australia/Lord_Howe"),
    ("0 0 29 2 *", "UTC"),
    ("0 0 29 2 *", "Africa/Casablanca"),
    ("@every 6h", "UTC"),
];

/// Prints a table.
///
/// # Errors
/// An error if a schedule or a zone of the list is invalid.
pub(crate) fn measure(start: Timestamp) -> Result<()> {
    let mut table = Table::new([
        "schedule, zone",
        "next run, ns",
        "read and next run, ns",
        "gaps, ns",
        "clock changes, ns",
    ]);
    for (text, name) in SCHEDULES {
        let zone = time_zone(name)?;
        let schedule = Schedule::parse(text)?;
        let mut instant = start;
        let next = nanoseconds(2_000, || {
            // Continues through the years, so that each kind of day occurs.
            instant = schedule.next_after(instant, &zone).unwrap_or(start);
            instant
        });
        let read = nanoseconds(500, || {
            Schedule::parse(black_box(text)).map(|schedule| schedule.next_after(start, &zone))
        });
        let gaps = nanoseconds(500, || schedule.gaps());
        let troubles = nanoseconds(500, || schedule.next_clock_trouble(start, &zone));
        let shown = |nanoseconds: f64| format!("{nanoseconds:.0}");
        table.row([
            format!("{text}, {name}"),
            shown(next),
            shown(read),
            shown(gaps),
            shown(troubles),
        ]);
    }
    table.print();
    Ok(())
}
