//! The effects of clock changes on a schedule.

use std::cmp::Ordering;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::domain::schedule::grammar::Fields;

/// The time for which changes are computed: a year and a day, which includes every yearly change.
const LOOKAHEAD: SignedDuration = SignedDuration::from_hours(366 * 24);

/// The maximum number of changes. Zones have two a year, and Morocco has four; the limit bounds the loop for any zone of
/// the caller.
const MAX_CHANGES: usize = 16;

/// A clock change at which a run is skipped or comes twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockTrouble {
    /// The instant of the change.
    pub change: Timestamp,
    /// The first time of the schedule that the wall clock skips or shows twice.
    pub wall: DateTime,
    /// The effect on this run.
    pub effect: ClockEffect,
}

impl ClockTrouble {
    /// Describes the effect: `the run of 02:30 on 2027-03-28 is skipped: the clock of Europe/Berlin goes forward at
    /// 2027-03-28T01:00:00Z`. `zone` is the zone of the clock.
    #[must_use]
    pub fn in_words(&self, zone: &TimeZone) -> String {
        let (what, how) = match self.effect {
            ClockEffect::Skipped => ("is skipped", "forward"),
            ClockEffect::Twice { .. } => ("comes twice", "back"),
        };
        format!(
            "the run of {} on {} {what}: the clock of {} goes {how} at {}",
            self.wall.strftime("%H:%M"),
            self.wall.date(),
            zone.iana_name().unwrap_or("this zone"),
            self.change
        )
    }
}

/// The effect of a clock change on a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockEffect {
    /// The clock skips the time, so there is no run.
    Skipped,
    /// The clock shows the time twice, so there are two runs.
    Twice {
        /// The run before the change.
        first: Timestamp,
        /// The run after the change.
        second: Timestamp,
    },
}

/// Returns the changes after `after`, in order, at which a run of `fields` is skipped or comes twice.
pub(super) fn troubles<'a>(
    fields: &'a Fields,
    after: Timestamp,
    zone: &'a TimeZone,
) -> impl Iterator<Item = ClockTrouble> + 'a {
    zone.following(after)
        .map(|transition| transition.timestamp())
        .take_while(move |change| change.duration_since(after) <= LOOKAHEAD)
        .take(MAX_CHANGES)
        .filter_map(move |change| trouble(fields, change, zone))
}

fn trouble(fields: &Fields, change: Timestamp, zone: &TimeZone) -> Option<ClockTrouble> {
    let before = zone.to_offset(Timestamp::from_second(change.as_second() - 1).ok()?);
    let after = zone.to_offset(change);
    let (old, new) = (before.to_datetime(change), after.to_datetime(change));
    if fields.keep_pace(after.seconds() - before.seconds()) {
        return None;
    }
    let (wall, effect) = match old.cmp(&new) {
        Ordering::Less => (fields.first_between(old, new)?, ClockEffect::Skipped),
        Ordering::Equal => return None,
        Ordering::Greater => {
            let wall = fields.first_between(new, old)?;
            let first = before.to_timestamp(wall).ok()?;
            let second = after.to_timestamp(wall).ok()?;
            (wall, ClockEffect::Twice { first, second })
        }
    };
    Some(ClockTrouble { change, wall, effect })
}
