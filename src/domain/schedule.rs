//! When a backup runs: the schedules of `CassKop`, which are those of robfig/cron v3.

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

/// The longest schedule that is read, in bytes. robfig has no limit; nobody writes a schedule of a page.
pub const MAX_BYTES: usize = 4096;

/// When a backup runs, again and again.
///
/// It is what `ParseStandard` of robfig/cron v3.0.1 takes, since `CassKop` parses `spec.schedule` with it: minute,
/// hour, day of month, month and day of week; or `@yearly`, `@annually`, `@monthly`, `@weekly`, `@daily`,
/// `@midnight`, `@hourly`; or `@every` with a [`GoDuration`](crate::domain::go_duration::GoDuration). `TZ=NAME` or
/// `CRON_TZ=NAME` and a space may stand in front.
///
/// It differs from robfig in these points:
/// - A zone prefix with nothing behind it is an error, where robfig panics, and so is a text over [`MAX_BYTES`].
/// - Zones come from the compiled-in database, by the names of IANA only. robfig takes any file of its image.
/// - It fires when the wall clock shows the time, without exception. robfig itself loses or moves a run next to a
///   clock change that skips midnight (Cairo, Beirut, Santiago, Havana, the Azores) or that is no whole hour or more
///   than one (Lord Howe, Chatham, Troll).
/// - The calendar is that of the years 1970 to 2100.
///
/// Parsing takes time linear in the text, and every question a bounded time.
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
    /// In whole seconds, at least one.
    Every { seconds: i64 },
    /// By the wall clock of the zone, or of the reader's.
    Calendar {
        calendar: Calendar,
        zone: Option<TimeZone>,
    },
}

impl Schedule {
    /// Parses a schedule. One that never fires (`0 0 30 2 *`) is a schedule too, as it is for robfig:
    /// [`Self::next_after`] tells.
    ///
    /// # Errors
    /// The first mistake in robfig's words, see [`ScheduleError`].
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

    /// The text that it was parsed from, unchanged.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The time between two runs of an `@every`, whole seconds and at least one; `None` for the others.
    ///
    /// An interval knows no wall clock: it counts from the instant that it is asked for.
    #[must_use]
    pub fn interval(&self) -> Option<SignedDuration> {
        match self.when {
            When::Every { seconds } => Some(SignedDuration::from_secs(seconds)),
            When::Calendar { .. } => None,
        }
    }

    /// The zone that the text names; `None` when it names none or `Local`, and for an `@every`, where robfig checks
    /// the zone and forgets it.
    #[must_use]
    pub fn zone(&self) -> Option<&TimeZone> {
        match &self.when {
            When::Every { .. } => None,
            When::Calendar { zone, .. } => zone.as_ref(),
        }
    }

    /// Whether there is no instant at which it fires, in any year: `0 0 30 2 *`.
    #[must_use]
    pub fn never_fires(&self) -> bool {
        match &self.when {
            When::Every { .. } => false,
            When::Calendar { calendar, .. } => calendar.fields().never_fires(),
        }
    }

    /// How far apart its runs are; `None` when it never fires.
    #[must_use]
    pub fn gaps(&self) -> Option<Gaps> {
        match &self.when {
            When::Every { seconds } => Some(Gaps::every(SignedDuration::from_secs(*seconds))),
            When::Calendar { calendar, .. } => Gaps::of(calendar.fields()),
        }
    }

    /// The changes of the clock within a year after `after`, in order, at which a run is skipped or taken twice.
    ///
    /// `local` as for [`Self::next_after`]. An interval has none, nor has a schedule whose runs come at the same
    /// distance all the same: one that fires in every hour, where the clock changes by whole hours.
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

    /// The next of [`Self::clock_troubles`].
    #[must_use]
    pub fn next_clock_trouble(&self, after: Timestamp, local: &TimeZone) -> Option<ClockTrouble> {
        self.clock_troubles(after, local).next()
    }

    /// What it means, in words: `every day at 03:00`. Without the zone, and `never` when it never fires.
    #[must_use]
    pub fn words(&self) -> String {
        match &self.when {
            When::Every { seconds } => format!(
                "every {}, counted from the moment it is taken up",
                in_words(SignedDuration::from_secs(*seconds))
            ),
            When::Calendar { calendar, .. } => words::describe(calendar.fields()),
        }
    }

    /// The zone whose wall clock it follows where the reader's is `local`.
    #[must_use]
    pub fn zone_or<'a>(&'a self, local: &'a TimeZone) -> &'a TimeZone {
        self.zone().unwrap_or(local)
    }

    /// The first run strictly after `instant`, on a whole second; `None` when there is none until the end of the
    /// fifth year after that of `instant`, which is how far robfig looks.
    ///
    /// `local` is the zone of a schedule that names none ([`Self::zone`]); `CassKop`'s is that of its image, UTC.
    /// A wall clock time that a clock change skips is no run, and one that it repeats is two.
    #[must_use]
    pub fn next_after(&self, instant: Timestamp, local: &TimeZone) -> Option<Timestamp> {
        match &self.when {
            When::Every { seconds } => next::next_interval(instant, *seconds),
            When::Calendar { calendar, zone } => calendar.next_after(instant, zone.as_ref().unwrap_or(local)),
        }
    }

    /// All runs after `instant`, in order: [`Self::next_after`] of each other. Only years end it, so take some.
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
    /// The run before the next one; `None` behind the last.
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
