//! Wakes what rests for longer than a timer of its own is kept.
//!
//! kube keeps the names of whoever has a timer, twice, in tables that never shrink: some 700 bytes (measured) for each of
//! ten thousand backups that wait for the night. Looking at all of them now and then costs no request.

use std::time::Duration;

use futures::channel::mpsc::UnboundedSender;
use jiff::{SignedDuration, Timestamp};
use kube::runtime::reflector::{ObjectRef, Store};

use crate::reconcile::plan::schedule::NextRun;
use crate::reconcile::work::Work;

/// How long a timer is trusted, and kept: the time of day may be set while it runs, and an old snapshot wait for a
/// restore that uses it.
pub(in crate::reconcile) const LONGEST_TIMER: SignedDuration = SignedDuration::from_hours(1);

/// How often all are looked at. Ten minutes less than a timer: nobody falls due between two looks without one.
const EVERY: Duration = Duration::from_mins(50);

/// Has an object looked at. Without a receiver the term is over, and nobody has to be woken.
pub(in crate::reconcile) fn wake<K: Work>(next: &UnboundedSender<ObjectRef<K>>, object: ObjectRef<K>) {
    drop(next.unbounded_send(object));
}

/// Wakes whoever may have to be brought further before the next walk through the store, for as long as this is polled.
pub(in crate::reconcile) async fn walk<K: Work>(
    known: &Store<K>,
    next: &UnboundedSender<ObjectRef<K>>,
    now: fn() -> Timestamp,
) {
    loop {
        tokio::time::sleep(EVERY).await;
        let now = now();
        for object in known.state() {
            if is_near(object.rest(now), now) {
                wake(next, ObjectRef::from_obj(object.as_ref()));
            }
        }
    }
}

fn is_near(rest: NextRun, now: Timestamp) -> bool {
    match rest {
        NextRun::None => true,
        NextRun::ForEver => false,
        NextRun::Until(next) => next.duration_since(now) <= LONGEST_TIMER,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_falls_due_within_the_hour_is_woken_and_nobody_else() {
        let now: Timestamp = "2028-01-01T02:00:00Z".parse().unwrap();
        let at = |time: &str| NextRun::Until(time.parse().unwrap());
        let table = [
            (NextRun::None, true),
            (NextRun::ForEver, false),
            (at("2028-01-01T03:00:00Z"), true),
            (at("2028-01-01T03:00:01Z"), false),
            // The time of day was set meanwhile.
            (at("2027-12-31T03:00:00Z"), true),
        ];
        for (rest, expected) in table {
            assert_eq!(is_near(rest, now), expected, "{rest:?}");
        }
    }

    #[test]
    fn nobody_falls_due_between_two_looks_without_a_timer() {
        assert!(SignedDuration::try_from(EVERY).unwrap() < LONGEST_TIMER);
    }
}
