//! The other objects of a namespace, out of what the watches report: whose turn it is costs the API server nothing.
//!
//! A watch may be behind what this leader wrote itself. But nobody begins without the lock of its cluster, and whoever
//! began there last is read anew. Everybody before it was over by then, or it would not have begun.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use futures::FutureExt;
use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use jiff::Timestamp;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher::Event;
use kube::{Api, Client, ResourceExt};

use crate::api::{CassandraBackup, CassandraRestore};
use crate::reconcile::plan::Wait;
use crate::reconcile::queue::turn::{Kind, QueueEntry, QueueState, turn};
use crate::reconcile::queue::waking;
use crate::reconcile::work::Work;

/// A Cassandra cluster: its namespace and its name.
pub(in crate::reconcile) type Ring = (String, String);

/// What is known of all objects, and who began last in each cluster.
pub(in crate::reconcile) struct Neighbours {
    backups: Store<CassandraBackup>,
    restores: Store<CassandraRestore>,
    /// By this leader.
    begun: Mutex<HashMap<Ring, (Kind, String)>>,
    next_backup: UnboundedSender<ObjectRef<CassandraBackup>>,
    next_restore: UnboundedSender<ObjectRef<CassandraRestore>>,
    now: fn() -> Timestamp,
}

/// Whose turn has come, as soon as it has: whoever only looks from time to time would leave its cluster idle meanwhile.
pub(in crate::reconcile) struct Turns {
    pub(in crate::reconcile) backups: UnboundedReceiver<ObjectRef<CassandraBackup>>,
    pub(in crate::reconcile) restores: UnboundedReceiver<ObjectRef<CassandraRestore>>,
}

impl Neighbours {
    /// Of these stores, which somebody has to fill.
    pub(in crate::reconcile) fn new(
        backups: Store<CassandraBackup>,
        restores: Store<CassandraRestore>,
        now: fn() -> Timestamp,
    ) -> (Self, Turns) {
        let (next_backup, woken_backups) = unbounded();
        let (next_restore, woken_restores) = unbounded();
        let neighbours = Self {
            backups,
            restores,
            begun: Mutex::default(),
            next_backup,
            next_restore,
            now,
        };
        let turns = Turns {
            backups: woken_backups,
            restores: woken_restores,
        };
        (neighbours, turns)
    }

    /// Whether both kinds were listed to their end. Before that nothing may be concluded.
    pub(in crate::reconcile) fn are_known(&self) -> bool {
        let listed = |ready: Option<Result<(), _>>| ready.is_some_and(|ready| ready.is_ok());
        listed(self.backups.wait_until_ready().now_or_never())
            && listed(self.restores.wait_until_ready().now_or_never())
    }

    /// Why it is not its turn, as far as the watches know. `None`: it may be.
    pub(in crate::reconcile) fn known_turn<K: Work>(&self, object: &K) -> Option<Wait> {
        let own = object.contender((self.now)());
        turn(
            &own,
            &self.contenders(object.namespace().as_deref()?, &own.cluster),
        )
    }

    /// Why it is not its turn; `None`: it is, for whoever has the lock of the cluster.
    ///
    /// # Errors
    /// The API server does not tell how the one stands that began last.
    pub(in crate::reconcile) async fn turn<K: Work>(
        &self,
        client: &Client,
        object: &K,
    ) -> Result<Option<Wait>, kube::Error> {
        let (own, namespace) = (
            object.contender((self.now)()),
            object.namespace().unwrap_or_default(),
        );
        let mut all = self.contenders(&namespace, &own.cluster);
        let last = self.last(&(namespace.clone(), own.cluster.clone()));
        if let Some((kind, name)) = last.filter(|(kind, name)| (*kind, name) != (own.kind, &own.name)) {
            all.retain(|other| (other.kind, &other.name) != (kind, &name));
            all.extend(match kind {
                Kind::Backup => self.read::<CassandraBackup>(client, &namespace, &name).await?,
                Kind::Restore => self.read::<CassandraRestore>(client, &namespace, &name).await?,
            });
        }
        Ok(turn(&own, &all))
    }

    /// Wakes whoever rested until its time came near, for as long as it is polled.
    pub(in crate::reconcile) async fn wake_the_rested(&self) {
        tokio::join!(
            waking::walk(&self.restores, &self.next_restore, self.now),
            waking::walk(&self.backups, &self.next_backup, self.now),
        );
    }

    /// It is about to begin. Said before that is written: what was written without an answer counts too.
    pub(in crate::reconcile) fn begins<K: Work>(&self, object: &K) {
        let own = object.contender((self.now)());
        let ring = (object.namespace().unwrap_or_default(), own.cluster);
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        begun.insert(ring, (own.kind, own.name));
    }

    /// What a watch reported and the stores hold by now. When whoever began last in a cluster is over, the next one is
    /// woken.
    pub(in crate::reconcile) fn heard<K: Work>(&self, event: &Event<K>) {
        let (Event::Apply(object) | Event::Delete(object)) = event else {
            return;
        };
        let ring = (
            object.namespace().unwrap_or_default(),
            object.cluster().to_owned(),
        );
        // Reckoning its schedule is for the few that may make room, not for every event of ten thousand.
        let Some(last) = self.last(&ring).filter(|(_, name)| *name == object.name_any()) else {
            return;
        };
        let own = object.contender((self.now)());
        let is_over = matches!(event, Event::Delete(_)) || own.standing != QueueState::Active;
        if !is_over || last.0 != own.kind {
            return;
        }
        let all = self.contenders(&ring.0, &ring.1);
        let mut ready = all.iter().filter(|other| other.standing == QueueState::Ready);
        let Some(next) = ready.find(|other| turn(other, &all).is_none()) else {
            return;
        };
        match next.kind {
            Kind::Backup => waking::wake(&self.next_backup, ObjectRef::new(&next.name).within(&ring.0)),
            Kind::Restore => waking::wake(&self.next_restore, ObjectRef::new(&next.name).within(&ring.0)),
        }
    }

    fn last(&self, ring: &Ring) -> Option<(Kind, String)> {
        let begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        begun.get(ring).cloned()
    }

    /// Whoever wants this cluster for itself.
    fn contenders(&self, namespace: &str, cluster: &str) -> Vec<QueueEntry> {
        let now = (self.now)();
        let mut all = among(&self.backups, namespace, cluster, now);
        all.extend(among(&self.restores, namespace, cluster, now));
        all
    }

    async fn read<K: Work>(
        &self,
        client: &Client,
        namespace: &str,
        name: &str,
    ) -> Result<Option<QueueEntry>, kube::Error> {
        let api: Api<K> = Api::namespaced(client.clone(), namespace);
        let object = api.get_opt(name).await?;
        Ok(object.map(|object| object.contender((self.now)())))
    }
}

fn among<K: Work>(store: &Store<K>, namespace: &str, cluster: &str, now: Timestamp) -> Vec<QueueEntry> {
    let of_cluster =
        |object: &K| object.meta().namespace.as_deref() == Some(namespace) && object.cluster() == cluster;
    let found = store.state_filter(of_cluster);
    found.iter().map(|object| object.contender(now)).collect()
}

#[cfg(test)]
mod tests;
