//! What a change of the clock does to a schedule, from the zone's next changes.

use std::cmp::Ordering;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::domain::schedule::grammar::Fields;

/// How far ahead changes are looked at: a year and a day, so that each yearly change is among them.
const AHEAD: SignedDuration = SignedDuration::from_hours(366 * 24);

/// How many changes are looked at. Zones have two a year, Morocco's four; it is there so that there is an end
/// whatever the zone handed in says.
const MOST_CHANGES: usize = 16;

/// A change of the clock at which a run does not take place, or takes place twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockTrouble {
    /// The instant at which the clock is put forward or back.
    pub change: Timestamp,
    /// The first time of the schedule that the wall clock skips, or shows twice.
    pub wall: DateTime,
    /// What becomes of that run.
    pub effect: ClockEffect,
}

impl ClockTrouble {
    /// What happens, in half a sentence: `the run of 02:30 on 2027-03-28 is skipped: the clock of Europe/Berlin goes
    /// forward at 2027-03-28T01:00:00Z`. `zone` is the one whose clock it is.
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

/// What a change of the clock does to a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockEffect {
    /// The clock is put forward over it: no run.
    Skipped,
    /// The clock is put back and shows it again: two runs, one at each of these instants.
    Twice {
        /// Before the change.
        first: Timestamp,
        /// After it.
        second: Timestamp,
    },
}

/// The changes after `after`, in order, at which a run of `fields` is skipped or taken twice.
pub(super) fn troubles<'a>(
    fields: &'a Fields,
    after: Timestamp,
    zone: &'a TimeZone,
) -> impl Iterator<Item = ClockTrouble> + 'a {
    zone.following(after)
        .map(|transition| transition.timestamp())
        .take_while(move |change| change.duration_since(after) <= AHEAD)
        .take(MOST_CHANGES)
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
