//! The objects that cannot be decoded. They are not reconciled, and may still occupy their cluster.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use kube::runtime::watcher::Event;

use super::order::{QueueEntry, QueueState};
use crate::api::Kind;
use crate::reconcile::object::{CachedObject, ReconciledObject, UndecodableObject};

/// The queue entries of objects that cannot be decoded, by kind, namespace and name.
#[derive(Debug, Default)]
pub(super) struct UndecodableObjects(Mutex<BTreeMap<(Kind, String, String), QueueEntry>>);

impl UndecodableObjects {
    fn entries(&self) -> MutexGuard<'_, BTreeMap<(Kind, String, String), QueueEntry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Turns an event of a watch into one of plain objects, and records those that cannot be decoded. Such an object
    /// leaves the store: `None` if it never was there.
    pub(super) fn admit<K: ReconciledObject>(&self, event: Event<CachedObject<K>>) -> Option<Event<K>> {
        match event {
            Event::Init => {
                // A list names every object anew.
                self.entries().retain(|(kind, ..), _| *kind != K::KIND);
                Some(Event::Init)
            }
            Event::InitApply(object) => match object.into_object() {
                Ok(object) => Some(Event::InitApply(object)),
                Err(object) => {
                    self.skip::<K>(&object);
                    None
                }
            },
            Event::InitDone => Some(Event::InitDone),
            Event::Apply(object) => Some(match object.into_object() {
                Ok(object) => {
                    self.remove(&object);
                    Event::Apply(object)
                }
                Err(object) => {
                    self.skip::<K>(&object);
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

    /// Returns the entries of a cluster.
    pub(super) fn of_cluster(&self, namespace: &str, cluster: &str) -> Vec<QueueEntry> {
        let entries = self.entries();
        let of_cluster = entries
            .iter()
            .filter(|((_, of, _), entry)| of == namespace && entry.cluster == cluster);
        of_cluster.map(|(_, entry)| entry.clone()).collect()
    }

    fn skip<K: ReconciledObject>(&self, object: &UndecodableObject) {
        let (namespace, name) = (object.namespace(), object.name());
        tracing::warn!(
            kind = %K::kind(&()), namespace, name, error = object.error(),
            "object cannot be decoded and is not reconciled; correct it or delete it"
        );
        let key = (K::KIND, namespace.to_owned(), name.to_owned());
        self.entries().insert(key, entry::<K>(object));
    }

    fn remove<K: ReconciledObject>(&self, object: &K) {
        let meta = object.meta();
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let key = (K::KIND, text(&meta.namespace), text(&meta.name));
        self.entries().remove(&key);
    }
}

/// Returns the queue entry of an object that cannot be decoded.
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
