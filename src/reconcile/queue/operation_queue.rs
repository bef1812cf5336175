//! The queues of all clusters, kept from what the watches report, so that deciding a turn needs no request.
//!
//! A watch may lag behind the writes of this leader. Two facts make up for that: an object starts only under the lock of
//! its cluster, and the object that started there last is read live. All objects that started
//! before it were over by then; otherwise it would not have started.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use futures::FutureExt;
use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use jiff::Timestamp;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher::Event;
use kube::{Api, Client, ResourceExt};

use super::deleted_backups::DeletedBackups;
use super::order::{QueueEntry, QueueState, Queued, reason_to_wait};
use super::undecodable::{self, UndecodableObjects};
use super::wake;
use crate::api::{CassandraBackup, CassandraRestore, Kind};
use crate::reconcile::object::CachedObject;
use crate::reconcile::plan::backup::elsewhere::unproven_parts;
use crate::reconcile::plan::restore::copies::restores_with_copies;
use crate::reconcile::plan::{UnprovenPart, Wait};

/// Namespace and name of a `CassandraCluster`.
pub(in crate::reconcile) type ClusterKey = (String, String);

/// All backups and restores, and the object that started last on each cluster.
pub(in crate::reconcile) struct OperationQueue {
    backups: Store<CassandraBackup>,
    restores: Store<CassandraRestore>,
    undecodable: UndecodableObjects,
    deleted_backups: DeletedBackups,
    last_started: Mutex<HashMap<ClusterKey, LastStarted>>,
    wake_backup: UnboundedSender<ObjectRef<CassandraBackup>>,
    wake_restore: UnboundedSender<ObjectRef<CassandraRestore>>,
    now: fn() -> Timestamp,
}

/// The object that this leader started last on a cluster.
#[derive(Debug, Clone)]
struct LastStarted {
    kind: Kind,
    name: String,
    /// True if this leader has written the end of it.
    is_over: bool,
}

impl LastStarted {
    fn is_of(&self, entry: &QueueEntry) -> bool {
        self.kind == entry.kind && self.name == entry.name
    }
}

/// The objects to reconcile now, because their turn or their time has come. Without them a cluster would be idle until
/// the next requeue.
pub(in crate::reconcile) struct WakeUps {
    pub(in crate::reconcile) backups: UnboundedReceiver<ObjectRef<CassandraBackup>>,
    pub(in crate::reconcile) restores: UnboundedReceiver<ObjectRef<CassandraRestore>>,
}

impl OperationQueue {
    /// Returns a queue over these stores, which the caller has to fill.
    pub(in crate::reconcile) fn new(
        backups: Store<CassandraBackup>,
        restores: Store<CassandraRestore>,
        now: fn() -> Timestamp,
    ) -> (Self, WakeUps) {
        let (wake_backup, woken_backups) = unbounded();
        let (wake_restore, woken_restores) = unbounded();
        let queue = Self {
            backups,
            restores,
            undecodable: UndecodableObjects::default(),
            deleted_backups: DeletedBackups::default(),
            last_started: Mutex::default(),
            wake_backup,
            wake_restore,
            now,
        };
        let wake_ups = WakeUps {
            backups: woken_backups,
            restores: woken_restores,
        };
        (queue, wake_ups)
    }

    /// Returns true once both kinds have been listed in full. Nothing may be concluded before that.
    pub(in crate::reconcile) fn is_synced(&self) -> bool {
        let is_listed = |ready: Option<Result<(), _>>| ready.is_some_and(|ready| ready.is_ok());
        is_listed(self.backups.wait_until_ready().now_or_never())
            && is_listed(self.restores.wait_until_ready().now_or_never())
    }

    /// Returns the reason why it is not the object's turn, according to the watches. `None`: it may be its turn.
    pub(in crate::reconcile) fn cached_reason_to_wait<K: Queued>(&self, object: &K) -> Option<Wait> {
        let own = object.queue_entry((self.now)());
        reason_to_wait(&own, &self.entries(object.namespace().as_deref()?, &own.cluster))
    }

    /// Returns the reason why it is not the object's turn; `None` if it is. The caller holds the lock of the cluster.
    ///
    /// # Errors
    /// The API server does not return the object that started last.
    pub(in crate::reconcile) async fn reason_to_wait<K: Queued>(
        &self,
        client: &Client,
        object: &K,
    ) -> Result<Option<Wait>, kube::Error> {
        let own = object.queue_entry((self.now)());
        let namespace = object.namespace().unwrap_or_default();
        let mut all = self.entries(&namespace, &own.cluster);
        let last = self.last_started(&(namespace.clone(), own.cluster.clone()));
        // A stored end needs no read once the watch has reported it. If the watch says that it runs, either the watch lags
        // behind, or another client has started it again.
        let runs = |last: &LastStarted| {
            let mut entries = all.iter().filter(|entry| last.is_of(entry));
            entries.any(|entry| entry.state == QueueState::Active)
        };
        let unknown = last.filter(|last| !last.is_of(&own) && (!last.is_over || runs(last)));
        if let Some(last) = unknown {
            all.retain(|other| !last.is_of(other));
            all.extend(match last.kind {
                Kind::Backup => {
                    self.read_entry::<CassandraBackup>(client, &namespace, &last.name)
                        .await?
                }
                Kind::Restore => {
                    self.read_entry::<CassandraRestore>(client, &namespace, &last.name)
                        .await?
                }
            });
        }
        Ok(reason_to_wait(&own, &all))
    }

    /// Requests a reconcile of a backup.
    pub(in crate::reconcile) fn wake_backup(&self, backup: &CassandraBackup) {
        wake::wake(&self.wake_backup, ObjectRef::from_obj(backup));
    }

    /// Returns the names of the restores, according to the watches, whose copies of emptied tables have to stay in a cluster.
    pub(in crate::reconcile) fn restores_with_copies(
        &self,
        namespace: &str,
        cluster: &str,
        own: &str,
    ) -> Vec<String> {
        let in_namespace =
            |restore: &CassandraRestore| restore.metadata.namespace.as_deref() == Some(namespace);
        let restores = self.restores.state_filter(in_namespace);
        let mut names = restores_with_copies(restores.iter().map(AsRef::as_ref), cluster, own);
        let undecodable = self.undecodable.of_cluster(namespace, cluster);
        let may_run =
            |entry: &QueueEntry| entry.kind == Kind::Restore && entry.state == QueueState::Undecodable;
        names.extend(undecodable.into_iter().filter(may_run).map(|entry| entry.name));
        names
    }

    /// Returns the parts, according to the watches, that other backups of the cluster may have left cut short, also those
    /// that were deleted while this replica leads.
    pub(in crate::reconcile) fn unproven_elsewhere(&self, own: &CassandraBackup) -> Vec<UnprovenPart> {
        let in_namespace = |backup: &CassandraBackup| backup.metadata.namespace == own.metadata.namespace;
        let backups = self.backups.state_filter(in_namespace);
        let mut parts = unproven_parts(backups.iter().map(AsRef::as_ref), own);
        parts.extend(self.deleted_backups.of_cluster(own));
        parts
    }

    /// Wakes objects whose time comes near, for as long as the future is polled.
    pub(in crate::reconcile) async fn wake_due_objects(&self) {
        tokio::join!(
            wake::wake_due_objects(&self.restores, &self.wake_restore, self.now),
            wake::wake_due_objects(&self.backups, &self.wake_backup, self.now),
        );
    }

    /// Records that the object starts. Called before its status is written, because a write whose response is lost
    /// counts too.
    pub(in crate::reconcile) fn record_start<K: Queued>(&self, object: &K) {
        let own = object.queue_entry((self.now)());
        let cluster = (object.namespace().unwrap_or_default(), own.cluster);
        let last = LastStarted {
            kind: own.kind,
            name: own.name,
            is_over: false,
        };
        let mut last_started = self.last_started.lock().unwrap_or_else(PoisonError::into_inner);
        last_started.insert(cluster, last);
    }

    /// Records the state of an object that this leader has stored.
    pub(in crate::reconcile) fn record_stored<K: Queued>(&self, object: &K) {
        let own = object.queue_entry((self.now)());
        let cluster = (object.namespace().unwrap_or_default(), own.cluster.clone());
        let mut last_started = self.last_started.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = last_started.get_mut(&cluster).filter(|last| last.is_of(&own)) {
            last.is_over = own.state != QueueState::Active;
        }
    }

    /// Forgets the parts of deleted backups that the run of a backup has proven, which has just completed.
    pub(in crate::reconcile) fn record_completed<K: Queued>(&self, object: &K) {
        if let Some(backup) = object.as_backup() {
            self.deleted_backups.forget_proven(backup);
        }
    }

    /// Turns an event of a watch into one for the stores. An object that cannot be decoded is recorded and logged, and
    /// leaves the stores; `None` if it never was there.
    pub(in crate::reconcile) fn admit<K: Queued>(&self, event: Event<CachedObject<K>>) -> Option<Event<K>> {
        self.undecodable.admit(event)
    }

    /// Handles an event of a watch that the stores hold already: wakes the next object of a cluster when the one that
    /// started last is over.
    pub(in crate::reconcile) fn handle_event<K: Queued>(&self, event: &Event<K>) {
        let (Event::Apply(object) | Event::Delete(object)) = event else {
            return;
        };
        if let (Event::Delete(_), Some(backup)) = (event, object.as_backup()) {
            self.deleted_backups.remember(backup);
        }
        let cluster = (
            object.namespace().unwrap_or_default(),
            object.cluster().to_owned(),
        );
        // A queue entry computes the next times of a schedule, which is too slow for the events of ten thousand objects.
        // The name filters out almost all of them.
        let Some(last) = self
            .last_started(&cluster)
            .filter(|last| last.name == object.name_any())
        else {
            return;
        };
        let own = object.queue_entry((self.now)());
        let is_over = matches!(event, Event::Delete(_)) || own.state != QueueState::Active;
        if !is_over || last.kind != own.kind {
            return;
        }
        let all = self.entries(&cluster.0, &cluster.1);
        let mut ready = all.iter().filter(|other| other.state == QueueState::Ready);
        let Some(next) = ready.find(|other| reason_to_wait(other, &all).is_none()) else {
            return;
        };
        match next.kind {
            Kind::Backup => wake::wake(&self.wake_backup, ObjectRef::new(&next.name).within(&cluster.0)),
            Kind::Restore => wake::wake(&self.wake_restore, ObjectRef::new(&next.name).within(&cluster.0)),
        }
    }

    fn last_started(&self, cluster: &ClusterKey) -> Option<LastStarted> {
        let last_started = self.last_started.lock().unwrap_or_else(PoisonError::into_inner);
        last_started.get(cluster).cloned()
    }

    /// Returns the entries of a cluster.
    fn entries(&self, namespace: &str, cluster: &str) -> Vec<QueueEntry> {
        let now = (self.now)();
        let mut all = entries_of_kind(&self.backups, namespace, cluster, now);
        all.extend(entries_of_kind(&self.restores, namespace, cluster, now));
        all.extend(self.undecodable.of_cluster(namespace, cluster));
        all
    }

    async fn read_entry<K: Queued>(
        &self,
        client: &Client,
        namespace: &str,
        name: &str,
    ) -> Result<Option<QueueEntry>, kube::Error> {
        let api: Api<CachedObject<K>> = Api::namespaced(client.clone(), namespace);
        let object = api.get_opt(name).await?.map(CachedObject::into_object);
        Ok(object.map(|object| match object {
            Ok(object) => object.queue_entry((self.now)()),
            Err(object) => undecodable::entry::<K>(&object),
        }))
    }
}

fn entries_of_kind<K: Queued>(
    store: &Store<K>,
    namespace: &str,
    cluster: &str,
    now: Timestamp,
) -> Vec<QueueEntry> {
    let is_of_cluster =
        |object: &K| object.meta().namespace.as_deref() == Some(namespace) && object.cluster() == cluster;
    let objects = store.state_filter(is_of_cluster);
    objects.iter().map(|object| object.queue_entry(now)).collect()
}

#[cfg(test)]
mod tests;
