//! Wakes objects that wait for longer than [`MAX_TIMER`].
//!
//! kube keeps the name of every object with a timer twice, in tables that never shrink: about 700 bytes (measured) for
//! each of ten thousand backups that wait for the night. Going through the store now and then costs no request.

use std::time::Duration;

use futures::channel::mpsc::UnboundedSender;
use jiff::{SignedDuration, Timestamp};
use kube::runtime::reflector::{ObjectRef, Store};

use crate::reconcile::object::Plannable;
use crate::reconcile::plan::schedule::NextRun;

/// The longest requeue delay. It is short because the wall clock may be set while a timer runs, and because an old
/// snapshot may wait for a restore that uses it.
pub(in crate::reconcile) const MAX_TIMER: SignedDuration = SignedDuration::from_hours(1);

/// The time between two passes over the store. It is ten minutes less than [`MAX_TIMER`], so that every object gets its
/// timer before it is due.
const PASS_INTERVAL: Duration = Duration::from_mins(50);

/// Requests a reconcile of an object. A closed channel means that this replica no longer leads.
pub(in crate::reconcile) fn wake<K: Plannable>(
    wake_ups: &UnboundedSender<ObjectRef<K>>,
    object: ObjectRef<K>,
) {
    drop(wake_ups.unbounded_send(object));
}

/// Wakes the objects that are due before the next pass, for as long as the future is polled.
pub(in crate::reconcile) async fn wake_due_objects<K: Plannable>(
    objects: &Store<K>,
    wake_ups: &UnboundedSender<ObjectRef<K>>,
    now: fn() -> Timestamp,
) {
    loop {
        tokio::time::sleep(PASS_INTERVAL).await;
        let now = now();
        for object in objects.state() {
            if is_near(object.next_wake(now), now) {
                wake(wake_ups, ObjectRef::from_obj(object.as_ref()));
            }
        }
    }
}

fn is_near(next_wake: NextRun, now: Timestamp) -> bool {
    match next_wake {
        NextRun::Now => true,
        NextRun::Never => false,
        NextRun::At(next) => next.duration_since(now) <= MAX_TIMER,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_objects_that_are_due_within_the_hour_are_woken() {
        let now: Timestamp = "2028-01-01T02:00:00Z".parse().unwrap();
        let at = |time: &str| NextRun::At(time.parse().unwrap());
        let table = [
            (NextRun::Now, true),
            (NextRun::Never, false),
            (at("2028-01-01T03:00:00Z"), true),
            (at("2028-01-01T03:00:01Z"), false),
            // The wall clock was set in the meantime.
            (at("2027-12-31T03:00:00Z"), true),
        ];
        for (next_wake, expected) in table {
            assert_eq!(is_near(next_wake, now), expected, "{next_wake:?}");
        }
    }

    #[test]
    fn every_object_gets_a_timer_before_it_is_due() {
        assert!(SignedDuration::try_from(PASS_INTERVAL).unwrap() < MAX_TIMER);
    }
}
