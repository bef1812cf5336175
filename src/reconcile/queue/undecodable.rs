//! The objects that cannot be decoded. They are not reconciled, and may still occupy their cluster.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use kube::runtime::watcher::Event;

use super::order::{QueueEntry, QueueState};
use crate::api::Kind;
use crate::reconcile::object::{CachedObject, ReconciledObject, UndecodableObject};

/// Queue entries by kind, namespace and name.
type Entries = BTreeMap<(Kind, String, String), QueueEntry>;

/// The queue entries of objects that cannot be decoded.
#[derive(Debug, Default)]
pub(super) struct UndecodableObjects(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    known: Entries,
    /// Those of the lists that are being received. Until a list is complete, the ones that were known before stay: they may
    /// be running.
    listed: Entries,
}

impl UndecodableObjects {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Turns an event of a watch into one of plain objects, and records those that cannot be decoded. Such an object
    /// leaves the store: `None` if it never was there.
    pub(super) fn admit<K: ReconciledObject>(&self, event: Event<CachedObject<K>>) -> Option<Event<K>> {
        match event {
            Event::Init => {
                self.state().listed.retain(|(kind, ..), _| *kind != K::KIND);
                Some(Event::Init)
            }
            Event::InitApply(object) => match object.into_object() {
                Ok(object) => Some(Event::InitApply(object)),
                Err(object) => {
                    let (key, entry) = skip::<K>(&object);
                    let mut state = self.state();
                    state.known.insert(key.clone(), entry.clone());
                    state.listed.insert(key, entry);
                    None
                }
            },
            Event::InitDone => {
                let state = &mut *self.state();
                let listed = &mut state.listed;
                state
                    .known
                    .retain(|key, _| key.0 != K::KIND || listed.contains_key(key));
                listed.retain(|(kind, ..), _| *kind != K::KIND);
                Some(Event::InitDone)
            }
            Event::Apply(object) => Some(match object.into_object() {
                Ok(object) => {
                    self.remove(&object);
                    Event::Apply(object)
                }
                Err(object) => {
                    let (key, entry) = skip::<K>(&object);
                    self.state().known.insert(key, entry);
                    Event::Delete(object.placeholder())
                }
            }),
            Event::Delete(object) => {
                let object = object.into_object();
                let object = object.unwrap_or_else(|undecodable| undecodable.placeholder());
                self.remove(&object);
                Some(Event::Delete(object))
            }
        }
    }

    /// Returns the entries that may run on a cluster.
    pub(super) fn of_cluster(&self, namespace: &str, cluster: &str) -> Vec<QueueEntry> {
        let state = self.state();
        let of_cluster = state
            .known
            .iter()
            .filter(|((_, of, _), entry)| of == namespace && entry.may_run_on(cluster));
        of_cluster.map(|(_, entry)| entry.clone()).collect()
    }

    fn remove<K: ReconciledObject>(&self, object: &K) {
        let meta = object.meta();
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let key = (K::KIND, text(&meta.namespace), text(&meta.name));
        let mut state = self.state();
        state.known.remove(&key);
        state.listed.remove(&key);
    }
}

/// Logs an object that is skipped, and returns its entry with its key.
fn skip<K: ReconciledObject>(object: &UndecodableObject) -> ((Kind, String, String), QueueEntry) {
    let (namespace, name) = (object.namespace(), object.name());
    tracing::warn!(
        kind = %K::kind(&()), namespace, name, error = object.error(),
        "object cannot be decoded and is not reconciled until it is corrected"
    );
    let key = (K::KIND, namespace.to_owned(), name.to_owned());
    (key, entry::<K>(object))
}

/// Returns the queue entry of an object that cannot be decoded. Its cluster is empty if it cannot be read.
pub(super) fn entry<K: ReconciledObject>(object: &UndecodableObject) -> QueueEntry {
    QueueEntry {
        kind: K::KIND,
        name: object.name().to_owned(),
        since: object.created(),
        created: object.created(),
        cluster: object.cluster().unwrap_or_default().to_owned(),
        state: if object.may_be_running() {
            QueueState::Undecodable
        } else {
            QueueState::Idle
        },
        stalled: None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::CassandraRestore;

    type Watched = Event<CachedObject<CassandraRestore>>;

    fn undecodable(name: &str) -> CachedObject<CassandraRestore> {
        let object = json!({
            "metadata": { "name": name, "namespace": "team" },
            "spec": { "cassandraCluster": "c1", "cassandraBackup": 7 },
            "status": { "condition": { "type": "RUNNING" } },
        });
        serde_json::from_value(object).unwrap()
    }

    /// While a list is received, the objects of the last one may still be running.
    #[test]
    fn a_list_replaces_the_known_objects_when_it_is_complete() {
        let objects = UndecodableObjects::default();
        let names = || {
            let entries = objects.of_cluster("team", "c1");
            entries.into_iter().map(|entry| entry.name).collect::<Vec<_>>()
        };
        let admit = |event: Watched| objects.admit(event);
        admit(Event::Init);
        admit(Event::InitApply(undecodable("one")));
        admit(Event::InitApply(undecodable("two")));
        admit(Event::InitDone);
        assert_eq!(names(), ["one", "two"]);
        admit(Event::Init);
        assert_eq!(names(), ["one", "two"]);
        admit(Event::InitApply(undecodable("two")));
        admit(Event::InitApply(undecodable("three")));
        assert_eq!(names(), ["one", "three", "two"]);
        // The connection breaks, and the list begins anew.
        admit(Event::Init);
        admit(Event::InitApply(undecodable("two")));
        assert_eq!(names(), ["one", "three", "two"]);
        admit(Event::InitDone);
        assert_eq!(names(), ["two"]);
        admit(Event::Apply(undecodable("four")));
        assert_eq!(names(), ["four", "two"]);
    }
}
