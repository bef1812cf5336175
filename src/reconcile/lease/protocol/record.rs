//! The spec of a Lease, and the changes that a holder makes to it.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// The duration that marks a released lease; client-go writes the same.
const RELEASED_DURATION: Duration = Duration::from_secs(1);

/// The largest count that a Lease can store.
const MAX_TRANSITIONS: u32 = i32::MAX.unsigned_abs();

/// The spec of a Lease.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Record {
    /// The identity of the holder.
    pub holder: Option<String>,
    /// The duration of the lease after a renewal, in whole seconds; `None` if the Lease has no valid one.
    pub duration: Option<Duration>,
    /// The time at which the holder took the lease, by the clock of the holder.
    pub acquired: Option<Timestamp>,
    /// The time of the last renewal, by the clock of the holder.
    pub renewed: Option<Timestamp>,
    /// The number of times that the lease has changed its holder.
    pub transitions: u32,
}

/// A Lease as the API server stores it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Identifies this state of this object: uid and `resourceVersion`.
    pub version: String,
    /// The spec.
    pub record: Record,
}

impl Record {
    /// Returns the record that `identity` writes to take the lease. `over` is the stored record, if the Lease exists.
    #[must_use]
    pub fn taken(identity: &str, over: Option<&Self>, duration: Duration, wall: Timestamp) -> Self {
        let now = distinct_time(over.and_then(|over| over.renewed), wall);
        Self {
            holder: Some(identity.to_owned()),
            duration: Some(duration),
            acquired: Some(now),
            renewed: Some(now),
            transitions: over.map_or(0, |over| over.transitions.saturating_add(1).min(MAX_TRANSITIONS)),
        }
    }

    /// Returns the record that the holder writes to renew the lease.
    #[must_use]
    pub fn renewed(&self, duration: Duration, wall: Timestamp) -> Self {
        Self {
            duration: Some(duration),
            renewed: Some(distinct_time(self.renewed, wall)),
            ..self.clone()
        }
    }

    /// Returns the record that the holder writes to release the lease.
    #[must_use]
    pub fn released(&self, wall: Timestamp) -> Self {
        Self {
            holder: None,
            ..self.renewed(RELEASED_DURATION, wall)
        }
    }

    /// Returns true if the last holder released the lease itself and no longer acts.
    ///
    /// If a user removed the holder by hand, the duration is still there, and that holder may still act.
    #[must_use]
    pub fn is_released(&self) -> bool {
        self.holder.is_none() && self.duration == Some(RELEASED_DURATION)
    }

    /// Returns true if `identity` holds the lease.
    #[must_use]
    pub fn is_held_by(&self, identity: &str) -> bool {
        self.holder.as_deref() == Some(identity)
    }
}

/// Returns the wall time in whole microseconds, as a Lease stores it, and always different from the former time.
///
/// Other replicas notice a renewal only by a change, and a wall clock that was set back can repeat a time.
fn distinct_time(former: Option<Timestamp>, wall: Timestamp) -> Timestamp {
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
    fn every_holder_after_the_first_is_counted() {
        let first = Record::taken("a", None, DURATION, wall(0));
        assert_eq!((first.transitions, first.acquired), (0, Some(wall(0))));
        let second = Record::taken("b", Some(&first), DURATION, wall(7));
        assert_eq!((second.transitions, second.acquired), (1, Some(wall(7))));
        let last = Record {
            transitions: MAX_TRANSITIONS,
            ..second
        };
        assert_eq!(
            Record::taken("a", Some(&last), DURATION, wall(9)).transitions,
            2_147_483_647
        );
    }

    #[test]
    fn a_renewal_changes_only_its_time_even_if_the_wall_clock_stops() {
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
    fn only_the_holder_can_release_a_lease() {
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
