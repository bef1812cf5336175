//! What to do about a lease, from one look at it. Pure.

use std::time::Duration;

use super::boot_time::BootTime;
use super::options::Timing;
use super::record::Stored;

/// A Lease, and since when we have seen it so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// As it was read last.
    pub stored: Stored,
    /// When an answer of the API server first had this record, by our own boot clock.
    pub since: BootTime,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Take it, over what was seen. Then nothing is done for so long.
    Take {
        /// How long what a former holder began may still go on.
        settle: Duration,
    },
    /// It is ours: renew it.
    Renew,
    /// Another holds it, at least for so long.
    Wait(Duration),
}

impl Observed {
    /// What is known after an answer that came `now`.
    ///
    /// Its `resourceVersion` alone is no sign of its holder: a label changes that too.
    #[must_use]
    pub fn note(former: Option<Self>, stored: Stored, now: BootTime) -> Self {
        let since = former
            .filter(|former| former.stored.record == stored.record)
            .map_or(now, |former| former.since);
        Self { stored, since }
    }
}

/// What `me` does next; `observed` is nothing when there is no Lease.
///
/// Guarantees: another's lease is taken only when it was seen unchanged for its whole duration, or ours if that is
/// longer. Only one that its holder released is taken without anything to wait for afterwards: where there is none,
/// or an empty one, somebody may have removed it under a holder that acts.
#[must_use]
pub fn decide(me: &str, observed: Option<&Observed>, timing: &Timing, now: BootTime) -> Step {
    let Some(observed) = observed else {
        return Step::Take {
            settle: timing.settle(timing.duration),
        };
    };
    let record = &observed.stored.record;
    if record.is_held_by(me) {
        return Step::Renew;
    }
    if record.is_released() {
        return Step::Take {
            settle: Duration::ZERO,
        };
    }
    let duration = record
        .duration
        .map_or(timing.duration, |theirs| theirs.max(timing.duration));
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
    fn every_look_has_one_step() {
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
        for (about, record, now, expected) in [
            ("there is none", None, 100, take(45)),
            ("it was never held", Some(Record::default()), 100, take(45)),
            ("another's, just seen", Some(other.clone()), 100, wait(15)),
            (
                "another's, a moment before its end",
                Some(other.clone()),
                114,
                wait(1),
            ),
            ("another's, at its end", Some(other.clone()), 115, take(45)),
            ("another's, long over", Some(other.clone()), 100_000, take(45)),
            ("seen in the future", Some(other.clone()), 5, wait(15)),
            (
                "another's with a longer duration",
                Some(held_by("other", 60)),
                159,
                wait(1),
            ),
            (
                "another's with a longer duration, over",
                Some(held_by("other", 60)),
                160,
                take(90),
            ),
            (
                "another's with a shorter duration",
                Some(held_by("other", 2)),
                110,
                wait(5),
            ),
            ("another's without a duration", Some(no_duration), 114, wait(1)),
            ("another's that was emptied by hand", Some(emptied), 100, take(45)),
            ("released by another", Some(other.released(wall(9))), 100, take(0)),
            (
                "released by us",
                Some(held_by("me", 15).released(wall(9))),
                100,
                take(0),
            ),
            ("ours", Some(held_by("me", 15)), 100, Step::Renew),
            (
                "ours, long over, and nobody took it",
                Some(held_by("me", 15)),
                9_000,
                Step::Renew,
            ),
            (
                "a name that begins as ours",
                Some(held_by("me2", 15)),
                100,
                wait(15),
            ),
        ] {
            let observed = record.map(|record| seen(record, 100));
            assert_eq!(step(observed.as_ref(), now), expected, "{about}");
        }
        assert_eq!(DURATION + LONGEST_REQUEST, SETTLE);
    }

    #[test]
    fn the_wall_clocks_of_others_are_never_read() {
        for second in [-1_000_000, 0, 1_000_000] {
            let record = Record::taken("other", None, DURATION, wall(second));
            assert_eq!(
                step(Some(&seen(record, 100)), 110),
                Step::Wait(Duration::from_secs(5))
            );
        }
    }

    #[test]
    fn a_renewal_begins_the_time_again_and_a_label_does_not() {
        let record = held_by("other", 15);
        let first = Observed::note(None, seen(record.clone(), 0).stored, at(100));
        assert_eq!(first.since, at(100));
        let labelled = Stored {
            version: "8".to_owned(),
            record: record.clone(),
        };
        let second = Observed::note(Some(first), labelled.clone(), at(105));
        assert_eq!((second.since, &second.stored), (at(100), &labelled));
        let renewed = Stored {
            version: "9".to_owned(),
            record: record.renewed(DURATION, wall(3)),
        };
        let third = Observed::note(Some(second), renewed, at(110));
        assert_eq!(third.since, at(110));
    }
}
