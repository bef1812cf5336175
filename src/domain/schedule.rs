//! The schedules of backups, in the format of CassKop, which uses robfig/cron v3.

use std::fmt;
use std::iter::FusedIterator;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

mod clock;
mod days;
mod error;
mod gaps;
mod grammar;
mod next;
mod words;
mod zone;

#[cfg(test)]
mod tests;

pub use clock::{ClockEffect, ClockTrouble};
pub use error::{NumberError, ScheduleError};
pub use gaps::Gaps;
use grammar::Expression;
pub use grammar::has_zone_prefix;
use next::Calendar;
pub use words::in_words;
pub use zone::{UnknownTimeZone, time_zone};

/// The maximum length of a schedule, in bytes. robfig has no limit, but real schedules are much shorter.
pub const MAX_BYTES: usize = 4096;

/// The schedule of a backup.
///
/// The grammar is that of `ParseStandard` of robfig/cron v3.0.1, with which CassKop parses `spec.schedule`: minute, hour,
/// day of month, month and day of week; or `@yearly`, `@annually`, `@monthly`, `@weekly`, `@daily`, `@midnight`,
/// `@hourly`; or `@every` with a [`GoDuration`](crate::domain::go_duration::GoDuration). A prefix `TZ=NAME` or
/// `CRON_TZ=NAME` with a space sets the time zone.
///
/// It differs from robfig as follows:
/// - A zone prefix without a schedule is an error, whereas robfig panics. A text longer than [`MAX_BYTES`] is an error.
/// - Zones come from the compiled-in database and have IANA names. robfig accepts any file of its image.
/// - It always fires when the wall clock shows the time. robfig loses or moves a run next to a clock change that skips
///   midnight (Cairo, Beirut, Santiago, Havana, the Azores) or that is not exactly one hour (Lord Howe, Chatham, Troll).
/// - The calendar has the years 1970 to 2100.
///
/// Parsing takes time linear in the length of the text, and every method takes bounded time.
///
/// ```
/// use cassgate::domain::schedule::Schedule;
/// use jiff::{Timestamp, tz::TimeZone};
///
/// let schedule = Schedule::parse("TZ=Europe/Berlin 30 2 * * mon-fri")?;
/// let friday: Timestamp = "2026-10-23T12:00:00Z".parse()?;
/// let runs: Vec<_> = schedule.after(friday, &TimeZone::UTC).take(2).map(|run| run.to_string()).collect();
/// assert_eq!(runs, ["2026-10-26T01:30:00Z", "2026-10-27T01:30:00Z"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    text: String,
    when: When,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum When {
    /// An interval in whole seconds, at least one.
    Every { seconds: i64 },
    /// Times on the wall clock of the zone, or of the local zone of the caller.
    Calendar {
        calendar: Calendar,
        zone: Option<TimeZone>,
    },
}

impl Schedule {
    /// Parses a schedule. As in robfig, a schedule that never fires (`0 0 30 2 *`) is valid; see
    /// [`Self::never_fires`].
    ///
    /// # Errors
    /// Returns the first error with the text of robfig, see [`ScheduleError`].
    pub fn parse(text: &str) -> Result<Self, ScheduleError> {
        if text.len() > MAX_BYTES {
            return Err(ScheduleError::TooLong { bytes: text.len() });
        }
        let when = match grammar::parse(text)? {
            Expression::Every { seconds } => When::Every { seconds },
            Expression::Calendar { fields, zone } => When::Calendar {
                calendar: Calendar::new(fields),
                zone,
            },
        };
        Ok(Self {
            text: text.to_owned(),
            when,
        })
    }

    /// Returns the text that was parsed, unchanged.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the interval of an `@every`, in whole seconds and at least one, or `None` for another schedule.
    ///
    /// An interval does not depend on the wall clock: it counts from the instant that the caller passes.
    #[must_use]
    pub fn interval(&self) -> Option<SignedDuration> {
        match self.when {
            When::Every { seconds } => Some(SignedDuration::from_secs(seconds)),
            When::Calendar { .. } => None,
        }
    }

    /// Returns the zone in the text. Returns `None` without a zone, for `Local`, and for an `@every`, for which robfig
    /// checks the zone and does not use it.
    #[must_use]
    pub fn zone(&self) -> Option<&TimeZone> {
        match &self.when {
            When::Every { .. } => None,
            When::Calendar { zone, .. } => zone.as_ref(),
        }
    }

    /// Returns true if the schedule fires in no year, like `0 0 30 2 *`.
    #[must_use]
    pub fn never_fires(&self) -> bool {
        match &self.when {
            When::Every { .. } => false,
            When::Calendar { calendar, .. } => calendar.fields().never_fires(),
        }
    }

    /// Returns the shortest and the longest time between two runs, or `None` if the schedule never fires.
    #[must_use]
    pub fn gaps(&self) -> Option<Gaps> {
        match &self.when {
            When::Every { seconds } => Some(Gaps::every(SignedDuration::from_secs(*seconds))),
            When::Calendar { calendar, .. } => Gaps::of(calendar.fields()),
        }
    }

    /// Returns the clock changes within a year after `after`, in order, at which a run is skipped or comes twice.
    ///
    /// `local` has the same meaning as in [`Self::next_after`]. An interval has no such change, and neither has a schedule
    /// that fires at the same minutes of every hour if the clock changes by whole hours.
    pub fn clock_troubles<'a>(
        &'a self,
        after: Timestamp,
        local: &'a TimeZone,
    ) -> impl Iterator<Item = ClockTrouble> + 'a {
        let calendar = match &self.when {
            When::Every { .. } => None,
            When::Calendar { calendar, zone } => Some((calendar.fields(), zone.as_ref().unwrap_or(local))),
        };
        calendar
            .into_iter()
            .flat_map(move |(fields, zone)| clock::troubles(fields, after, zone))
    }

    /// Returns the first of [`Self::clock_troubles`].
    #[must_use]
    pub fn next_clock_trouble(&self, after: Timestamp, local: &TimeZone) -> Option<ClockTrouble> {
        self.clock_troubles(after, local).next()
    }

    /// Describes the schedule in words, without the zone: `every day at 03:00`, or `never` if it never fires.
    #[must_use]
    pub fn words(&self) -> String {
        match &self.when {
            When::Every { seconds } => format!(
                "every {}, counted from when the executor schedules it",
                in_words(SignedDuration::from_secs(*seconds))
            ),
            When::Calendar { calendar, .. } => words::describe(calendar.fields()),
        }
    }

    /// Returns the zone of the schedule, or `local` if it has none.
    #[must_use]
    pub fn zone_or<'a>(&'a self, local: &'a TimeZone) -> &'a TimeZone {
        self.zone().unwrap_or(local)
    }

    /// Returns the first run strictly after `instant`, on a whole second. Returns `None` if there is none until the end of
    /// the fifth year after that of `instant`, which is the limit of robfig.
    ///
    /// `local` is the zone of a schedule without one ([`Self::zone`]); CassKop uses that of its image, UTC. A wall clock
    /// time that a clock change skips has no run, and a time that it repeats has two.
    #[must_use]
    pub fn next_after(&self, instant: Timestamp, local: &TimeZone) -> Option<Timestamp> {
        match &self.when {
            When::Every { seconds } => next::next_interval(instant, *seconds),
            When::Calendar { calendar, zone } => calendar.next_after(instant, zone.as_ref().unwrap_or(local)),
        }
    }

    /// Returns all runs after `instant`, in order. The iterator ends only at the end of the calendar.
    #[must_use]
    pub const fn after<'a>(&'a self, instant: Timestamp, local: &'a TimeZone) -> Runs<'a> {
        Runs {
            schedule: self,
            local,
            last: Some(instant),
        }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The runs of a schedule; see [`Schedule::after`].
#[derive(Debug, Clone)]
pub struct Runs<'a> {
    schedule: &'a Schedule,
    local: &'a TimeZone,
    /// The run before the next one, or `None` after the last.
    last: Option<Timestamp>,
}

impl Iterator for Runs<'_> {
    type Item = Timestamp;

    fn next(&mut self) -> Option<Timestamp> {
        self.last = self.schedule.next_after(self.last?, self.local);
        self.last
    }
}

impl FusedIterator for Runs<'_> {}
