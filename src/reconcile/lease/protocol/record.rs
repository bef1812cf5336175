//! What a Lease says, and what is written over it. Pure.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// The duration in the record of a lease that was released, as client-go writes it too.
const RELEASED: Duration = Duration::from_secs(1);

/// The most that a Lease can count.
const MOST_TRANSITIONS: u32 = i32::MAX.unsigned_abs();

/// The spec of a Lease.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Record {
    /// Who holds it; `None`: nobody.
    pub holder: Option<String>,
    /// How long it is held after the last renewal, in whole seconds; `None` where nothing sensible stands there.
    pub duration: Option<Duration>,
    /// When its holder took it, by the clock of the holder.
    pub acquired: Option<Timestamp>,
    /// When its holder renewed it last, by the clock of the holder.
    pub renewed: Option<Timestamp>,
    /// How often it went to another holder.
    pub transitions: u32,
}

/// A Lease as the API server has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// What tells this state of this very object from every other: its uid and `resourceVersion`.
    pub version: String,
    /// Its spec.
    pub record: Record,
}

impl Record {
    /// What `me` writes to take it; `over` is what stands there, if there is a Lease at all.
    #[must_use]
    pub fn taken(me: &str, over: Option<&Self>, duration: Duration, wall: Timestamp) -> Self {
        let now = unlike(over.and_then(|over| over.renewed), wall);
        Self {
            holder: Some(me.to_owned()),
            duration: Some(duration),
            acquired: Some(now),
            renewed: Some(now),
            transitions: over.map_or(0, |over| over.transitions.saturating_add(1).min(MOST_TRANSITIONS)),
        }
    }

    /// What its holder writes to keep it.
    #[must_use]
    pub fn renewed(&self, duration: Duration, wall: Timestamp) -> Self {
        Self {
            duration: Some(duration),
            renewed: Some(unlike(self.renewed, wall)),
            ..self.clone()
        }
    }

    /// What its holder writes to give it away.
    #[must_use]
    pub fn released(&self, wall: Timestamp) -> Self {
        Self {
            holder: None,
            ..self.renewed(RELEASED, wall)
        }
    }

    /// Whether its last holder gave it away itself, and does nothing any more.
    ///
    /// A holder that somebody removed by hand leaves its duration behind, and may still act.
    #[must_use]
    pub fn is_released(&self) -> bool {
        self.holder.is_none() && self.duration == Some(RELEASED)
    }

    /// Whether it is held by `me`.
    #[must_use]
    pub fn is_held_by(&self, me: &str) -> bool {
        self.holder.as_deref() == Some(me)
    }
}

/// The time as a Lease has it, in whole microseconds, and never the former one.
///
/// Others notice a renewal only by a change, and a wall clock that was set back may come to the same moment again.
fn unlike(former: Option<Timestamp>, wall: Timestamp) -> Timestamp {
    let time = Timestamp::from_microsecond(wall.as_microsecond()).unwrap_or(wall);
    if former == Some(time) {
        time.checked_add(SignedDuration::from_micros(1))
            .unwrap_or(Timestamp::UNIX_EPOCH)
    } else {
        time
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DURATION: Duration = Duration::from_secs(15);

    fn wall(microsecond: i64) -> Timestamp {
        Timestamp::from_microsecond(1_800_000_000_000_000 + microsecond).unwrap()
    }

    #[test]
    fn each_holder_is_counted_and_the_first_one_is_not() {
        let first = Record::taken("a", None, DURATION, wall(0));
        assert_eq!((first.transitions, first.acquired), (0, Some(wall(0))));
        let second = Record::taken("b", Some(&first), DURATION, wall(7));
        assert_eq!((second.transitions, second.acquired), (1, Some(wall(7))));
        let last = Record {
            transitions: MOST_TRANSITIONS,
            ..second
        };
        assert_eq!(
            Record::taken("a", Some(&last), DURATION, wall(9)).transitions,
            2_147_483_647
        );
    }

    #[test]
    fn a_renewal_keeps_all_but_its_time_and_differs_even_where_the_wall_clock_stands() {
        let taken = Record::taken("a", None, DURATION, wall(0));
        let renewed = taken.renewed(DURATION, wall(0));
        assert_eq!(
            renewed,
            Record {
                renewed: Some(wall(1)),
                ..taken
            }
        );
        assert_eq!(renewed.renewed(DURATION, wall(-5)).renewed, Some(wall(-5)));
    }

    #[test]
    fn released_is_only_what_its_holder_released() {
        let taken = Record::taken("a", None, DURATION, wall(0));
        assert!(taken.released(wall(1)).is_released());
        assert!(!taken.is_released());
        let emptied_by_hand = Record {
            holder: None,
            ..taken
        };
        assert!(!emptied_by_hand.is_released());
        assert!(!Record::default().is_released());
    }
}
