//! Recognizes the events of a watch that report a status which cassgate wrote itself.
//!
//! Such an event brings nothing that the reconcile did not know when it wrote, and a reconcile for it would read the object
//! and its cluster anew. Everything else is an occasion: another status, and a change of the spec, of an annotation, of a
//! finalizer, or a deletion.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::cached::trim;
use super::reconciled::ReconciledObject;

/// The number of written states that are kept of an object: one reconcile writes the status up to twice, and the events of
/// a watch come later.
const KEPT_STATES: usize = 2;

/// The fingerprints of the last states of each object that cassgate wrote, by the fingerprint of its uid.
#[derive(Debug, Default)]
pub(in crate::reconcile) struct OwnWrites {
    hasher: RandomState,
    written: Mutex<HashMap<u64, [u64; KEPT_STATES]>>,
}

impl OwnWrites {
    fn written(&self) -> MutexGuard<'_, HashMap<u64, [u64; KEPT_STATES]>> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records the state that the object has after a write. Called before the write is sent, because its event may come
    /// before the response.
    pub(in crate::reconcile) fn record<K: ReconciledObject>(&self, object: &K) {
        let mut trimmed = object.clone();
        trim(&mut trimmed);
        let fingerprint = self.fingerprint(&trimmed);
        let mut written = self.written();
        let states = written.entry(self.key(object)).or_default();
        let [last, _] = *states;
        *states = [fingerprint, last];
    }

    /// Returns true if a trimmed object of a watch has a state that cassgate wrote.
    pub(in crate::reconcile) fn is_own<K: ReconciledObject>(&self, trimmed: &K) -> bool {
        let Some(states) = self.written().get(&self.key(trimmed)).copied() else {
            return false;
        };
        states.contains(&self.fingerprint(trimmed))
    }

    /// Forgets an object that was deleted.
    pub(in crate::reconcile) fn forget<K: ReconciledObject>(&self, object: &K) {
        self.written().remove(&self.key(object));
    }

    fn key<K: ReconciledObject>(&self, object: &K) -> u64 {
        self.hasher.hash_one(object.meta().uid.as_deref())
    }

    fn fingerprint<K: ReconciledObject>(&self, trimmed: &K) -> u64 {
        let meta = trimmed.meta();
        let status = serde_json::to_vec(&trimmed.status()).unwrap_or_default();
        let deleted = meta.deletion_timestamp.as_ref().map(|time| time.0);
        self.hasher.hash_one((
            status,
            meta.generation,
            deleted,
            &meta.finalizers,
            &meta.annotations,
        ))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::api::CassandraBackup;

    /// Returns a backup with a change at a path.
    fn backup(path: &str, value: Value) -> CassandraBackup {
        let mut backup = json!({
            "apiVersion": "db.orange.com/v2", "kind": "CassandraBackup",
            "metadata": {
                "name": "nightly", "uid": "1", "generation": 1, "resourceVersion": "7", "annotations": {},
                "finalizers": [],
            },
            "spec": { "cassandraCluster": "c1", "storageLocation": "s3://b" },
            "status": { "condition": { "type": "RUNNING" }, "nodes": [{ "hostId": "h", "progress": "10%" }] },
        });
        if let Some((parent, field)) = path.rsplit_once('/') {
            backup.pointer_mut(parent).unwrap()[field] = value;
        }
        serde_json::from_value(backup).unwrap()
    }

    fn trimmed(mut backup: CassandraBackup) -> CassandraBackup {
        trim(&mut backup);
        backup
    }

    #[test]
    fn only_the_status_that_was_written_is_recognized() {
        let own = OwnWrites::default();
        let written = backup("", Value::Null);
        assert!(!own.is_own(&trimmed(written.clone())), "nothing was written");
        own.record(&written);
        // The write itself changes the version.
        assert!(own.is_own(&trimmed(backup("/metadata/resourceVersion", json!("8")))));
        for (path, value) in [
            ("/metadata/uid", json!("2")),
            ("/metadata/generation", json!(2)),
            ("/metadata/deletionTimestamp", json!("2028-01-01T00:00:00Z")),
            ("/metadata/finalizers", json!(["x"])),
            (
                "/metadata/annotations",
                json!({ "cassgate.db.orange.com/abandon": "true" }),
            ),
            ("/status/condition/type", json!("COMPLETED")),
            ("/status/id", json!("of another client")),
        ] {
            assert!(!own.is_own(&trimmed(backup(path, value))), "{path}");
        }
        let second = backup("/status/condition/type", json!("PENDING"));
        own.record(&second);
        assert!(own.is_own(&trimmed(written.clone())), "its event comes late");
        assert!(own.is_own(&trimmed(second.clone())));
        own.forget(&second);
        assert!(!own.is_own(&trimmed(second)));
    }
}
