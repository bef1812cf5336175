//! The reconciles that fail again and again: a delay that grows, and a report once the failure persists.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;

use crate::api::{Kind, Reason};
use crate::reconcile::object::ReconciledObject;
use crate::reconcile::plan::Event;

/// The delay after the first failure. It doubles with each failure.
const MIN_DELAY: Duration = Duration::from_secs(5);

/// The longest delay between two attempts.
const MAX_DELAY: Duration = Duration::from_mins(5);

/// The time after which a failure is reported by an event. A restart of the API server takes less.
const PERSISTENT_AFTER: SignedDuration = SignedDuration::from_mins(10);

/// The objects whose last reconcile failed, by kind, namespace and name.
#[derive(Debug, Default)]
pub(super) struct Failures(Mutex<HashMap<Key, Failing>>);

type Key = (Kind, String, String);

#[derive(Debug, Clone, Copy)]
struct Failing {
    /// The number of failures after each other.
    count: u32,
    /// The time of the first one.
    since: Timestamp,
}

impl Failures {
    fn failing(&self) -> MutexGuard<'_, HashMap<Key, Failing>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records a failure. Returns the event that reports it, if it persists.
    pub(super) fn record<K: ReconciledObject>(
        &self,
        object: &K,
        error: &str,
        now: Timestamp,
    ) -> Option<Event> {
        let mut failing = self.failing();
        let failing = failing
            .entry(key(object))
            .or_insert(Failing { count: 0, since: now });
        failing.count = failing.count.saturating_add(1);
        let since = failing.since;
        (now.duration_since(since) >= PERSISTENT_AFTER).then(|| Event {
            warning: true,
            reason: Reason::ReconcileFailed,
            message: format!(
                "cassgate has not been able to reconcile this object since {since:.0}: {error}; nothing is done for it until \
                 that succeeds; it is tried again every five minutes, and at once when the object changes"
            ),
            repeated: true,
        })
    }

    /// Forgets the failures of an object, because a reconcile succeeded or the object is gone.
    pub(super) fn clear<K: ReconciledObject>(&self, object: &K) {
        self.failing().remove(&key(object));
    }

    /// Returns the delay until the next attempt at an object whose reconcile failed.
    pub(super) fn delay<K: ReconciledObject>(&self, object: &K) -> Duration {
        let count = self
            .failing()
            .get(&key(object))
            .map_or(1, |failing| failing.count);
        let doublings = count.saturating_sub(1).min(16);
        MIN_DELAY
            .saturating_mul(2_u32.saturating_pow(doublings))
            .min(MAX_DELAY)
    }

    /// Returns the number of objects of a kind whose last reconcile failed.
    pub(super) fn count(&self, kind: Kind) -> usize {
        self.failing().keys().filter(|key| key.0 == kind).count()
    }
}

fn key<K: ReconciledObject>(object: &K) -> Key {
    (K::KIND, object.namespace().unwrap_or_default(), object.name_any())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{CassandraBackup, CassandraBackupSpec, CassandraRestore, CassandraRestoreSpec};

    #[test]
    fn the_delay_grows_until_a_reconcile_succeeds_and_a_failure_that_persists_is_reported() {
        let failures = Failures::default();
        let restore = CassandraRestore::new("monday", CassandraRestoreSpec::default());
        let namesake = CassandraBackup::new("monday", CassandraBackupSpec::default());
        let begun: Timestamp = "2028-02-29T10:00:00Z".parse().unwrap();
        let fails = |minutes: i64| {
            let now = begun.checked_add(SignedDuration::from_mins(minutes)).unwrap();
            failures.record(&restore, "the server is away", now)
        };
        let mut delays = Vec::new();
        for _ in 0..8 {
            assert_eq!(fails(9), fails(0), "no event");
            delays.push(failures.delay(&restore).as_secs());
        }
        assert_eq!(delays, [10, 40, 160, 300, 300, 300, 300, 300]);
        assert_eq!(failures.delay(&namesake).as_secs(), 5);
        assert_eq!(
            (failures.count(Kind::Restore), failures.count(Kind::Backup)),
            (1, 0)
        );
        let event = fails(19).unwrap();
        assert_eq!(
            (event.reason, event.warning, event.repeated),
            (Reason::ReconcileFailed, true, true)
        );
        assert_eq!(
            event.message,
            "cassgate has not been able to reconcile this object since 2028-02-29T10:09:00Z: the server is away; nothing is done \
             for it until that succeeds; it is tried again every five minutes, and at once when the object changes"
        );
        failures.clear(&restore);
        assert_eq!(fails(60), None);
        assert_eq!(failures.delay(&restore).as_secs(), 5);
    }
}
