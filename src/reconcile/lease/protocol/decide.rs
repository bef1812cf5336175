//! The next step of a replica, from one observation of the Lease.

use std::time::Duration;

use super::boot_time::BootTime;
use super::options::Timing;
use super::record::Stored;

/// A Lease, and the time since which it has been seen with this record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// The Lease as it was read last.
    pub stored: Stored,
    /// The time of the first response with this record, by our own boot clock.
    pub since: BootTime,
}

/// The next step of a replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Take the lease, in place of the observed record, and wait before acting.
    Take {
        /// The time for which requests of a former holder may still be running.
        settle: Duration,
    },
    /// Renew the lease, because this replica holds it.
    Renew,
    /// Wait, because another replica holds the lease for at least this long.
    Wait(Duration),
}

impl Observed {
    /// Returns the observation after a response that arrived `now`.
    ///
    /// Only a change of the record is a sign of the holder: a label changes the `resourceVersion` as well.
    #[must_use]
    pub fn update(former: Option<Self>, stored: Stored, now: BootTime) -> Self {
        let since = former
            .filter(|former| former.stored.record == stored.record)
            .map_or(now, |former| former.since);
        Self { stored, since }
    }
}

/// Decides the next step of `identity`. `observed` is `None` if the Lease does not exist.
///
/// # Guarantees
/// The lease of another holder is taken only after it was seen unchanged for its whole duration, or for ours if that is
/// longer. Only after a release the new holder may act at once: if the Lease does not exist or has no holder, a user may
/// have removed it from a holder that still acts.
#[must_use]
pub fn decide(identity: &str, observed: Option<&Observed>, timing: &Timing, now: BootTime) -> Step {
    let Some(observed) = observed else {
        return Step::Take {
            settle: timing.settle(timing.duration),
        };
    };
    let record = &observed.stored.record;
    if record.is_held_by(identity) {
        return Step::Renew;
    }
    if record.is_released() {
        return Step::Take {
            settle: Duration::ZERO,
        };
    }
    let duration = record
        .duration
        .map_or(timing.duration, |stored| stored.max(timing.duration));
    let settle = timing.settle(duration);
    let unchanged = now.since(observed.since);
    match duration.checked_sub(unchanged) {
        Some(left) if record.holder.is_some() && !left.is_zero() => Step::Wait(left),
        _ => Step::Take { settle },
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::reconcile::lease::protocol::Record;

    const DURATION: Duration = Duration::from_secs(15);
    const LONGEST_REQUEST: Duration = Duration::from_secs(30);
    const SETTLE: Duration = Duration::from_secs(45);

    fn at(seconds: u64) -> BootTime {
        BootTime(Duration::from_secs(seconds))
    }

    fn wall(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn seen(record: Record, since: u64) -> Observed {
        let version = "7".to_owned();
        Observed {
            stored: Stored { version, record },
            since: at(since),
        }
    }

    fn held_by(holder: &str, duration: u64) -> Record {
        Record::taken(holder, None, Duration::from_secs(duration), wall(0))
    }

    fn step(observed: Option<&Observed>, now: u64) -> Step {
        decide("me", observed, &Timing::standard(LONGEST_REQUEST), at(now))
    }

    #[test]
    fn every_observation_has_one_step() {
        let take = |settle: u64| Step::Take {
            settle: Duration::from_secs(settle),
        };
        let wait = |seconds: u64| Step::Wait(Duration::from_secs(seconds));
        let other = held_by("other", 15);
        let no_duration = Record {
            duration: None,
            ..other.clone()
        };
        let emptied = Record {
            holder: None,
            ..other.clone()
        };
        for (case, record, now, expected) in [
            ("no Lease", None, 100, take(45)),
            ("no holder yet", Some(Record::default()), 100, take(45)),
            ("held by another, just seen", Some(other.clone()), 100, wait(15)),
            (
                "held by another, shortly before its end",
                Some(other.clone()),
                114,
                wait(1),
            ),
            ("held by another, at its end", Some(other.clone()), 115, take(45)),
            (
                "held by another, long over",
                Some(other.clone()),
                100_000,
                take(45),
            ),
            ("seen in the future", Some(other.clone()), 5, wait(15)),
            (
                "held by another with a longer duration",
                Some(held_by("other", 60)),
                159,
                wait(1),
            ),
            (
                "held by another with a longer duration, over",
                Some(held_by("other", 60)),
                160,
                take(90),
            ),
            (
                "held by another with a shorter duration",
                Some(held_by("other", 2)),
                110,
                wait(5),
            ),
            (
                "held by another without a duration",
                Some(no_duration),
                114,
                wait(1),
            ),
            ("holder removed by hand", Some(emptied), 100, take(45)),
            ("released by another", Some(other.released(wall(9))), 100, take(0)),
            (
                "released by us",
                Some(held_by("me", 15).released(wall(9))),
                100,
                take(0),
            ),
            ("held by us", Some(held_by("me", 15)), 100, Step::Renew),
            (
                "held by us, long over",
                Some(held_by("me", 15)),
                9_000,
                Step::Renew,
            ),
            (
                "held by an identity with our identity as its prefix",
                Some(held_by("me2", 15)),
                100,
                wait(15),
            ),
        ] {
            let observed = record.map(|record| seen(record, 100));
            assert_eq!(step(observed.as_ref(), now), expected, "{case}");
        }
        assert_eq!(DURATION + LONGEST_REQUEST, SETTLE);
    }

    #[test]
    fn the_wall_clocks_of_other_replicas_have_no_effect() {
        for second in [-1_000_000, 0, 1_000_000] {
            let record = Record::taken("other", None, DURATION, wall(second));
            assert_eq!(
                step(Some(&seen(record, 100)), 110),
                Step::Wait(Duration::from_secs(5))
            );
        }
    }

    #[test]
    fn a_renewal_restarts_the_wait_and_a_label_does_not() {
        let record = held_by("other", 15);
        let first = Observed::update(None, seen(record.clone(), 0).stored, at(100));
        assert_eq!(first.since, at(100));
        let labelled = Stored {
            version: "8".to_owned(),
            record: record.clone(),
        };
        let second = Observed::update(Some(first), labelled.clone(), at(105));
        assert_eq!((second.since, &second.stored), (at(100), &labelled));
        let renewed = Stored {
            version: "9".to_owned(),
            record: record.renewed(DURATION, wall(3)),
        };
        let third = Observed::update(Some(second), renewed, at(110));
        assert_eq!(third.since, at(110));
    }
}
