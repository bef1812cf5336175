//! What scheduled backups need, looked at between the times of their schedules.
//!
//! A look is a judgement of what is cached, out of caches and of one read of the Secret. Only what it finds anew is
//! told. A backup is looked at at a slow pace (nobody may watch Secrets), and at once when its cluster changes.

use std::collections::{HashMap, HashSet};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::join_all;
use jiff::Timestamp;
use kube::core::DeserializeGuard;
use kube::runtime::WatchStreamExt;
use kube::runtime::reflector::Store;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use tokio::time::MissedTickBehavior;

use crate::api::Kind;
use crate::api::{CassandraBackup, CassandraCluster};
use crate::evaluate::Judge;
use crate::reconcile::plan::needs::{self, Needs};
use crate::rules::facts::Cluster;

/// How often it is asked whose look is due.
const EVERY: Duration = Duration::from_secs(5);

/// Looks at the same time.
const AT_ONCE: usize = 8;

/// How often the backups of a cluster are looked at after it has changed: the caches that the rules rest on have a
/// watch of their own, which may be behind this one.
const LOOKS_AFTER_A_CHANGE: u8 = 2;

/// Namespace and name.
type Key = (String, String);

/// A cluster as it is watched: one that cannot be read must not stop the watch of all others.
type Guarded = DeserializeGuard<CassandraCluster>;

/// What it takes to look.
pub(super) struct Watch<'a> {
    pub(super) judge: &'a dyn Judge,
    pub(super) backups: Store<CassandraBackup>,
    pub(super) clusters: Api<Guarded>,
    pub(super) now: fn() -> Timestamp,
}

impl Watch<'_> {
    /// Looks for as long as it is polled. `tell` gets what finds something new; it answers whether that is told.
    pub(super) async fn run<F, Told>(self, tell: F)
    where
        F: Fn(Arc<CassandraBackup>) -> Told + Sync,
        Told: Future<Output = bool> + Send,
    {
        // An error says that the writer is gone, and with it the whole term.
        if self.backups.wait_until_ready().await.is_err() {
            return;
        }
        let mut clusters = Clusters::default();
        let mut events = pin!(watcher(self.clusters.clone(), watcher::Config::default()).default_backoff());
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut since = (self.now)();
        let mut untold = HashSet::new();
        loop {
            tokio::select! {
                Some(event) = events.next() => match event {
                    Ok(event) => clusters.take(event),
                    // The cache of clusters has the same trouble, and tells it.
                    Err(error) => tracing::debug!(%error, "the watch of clusters is tried again"),
                },
                _ = ticks.tick() => {
                    let now = (self.now)();
                    let changed = clusters.changed();
                    let due = self.due(since, now, &changed, &std::mem::take(&mut untold));
                    since = now;
                    for some in due.chunks(AT_ONCE) {
                        let looks = some.iter().map(|backup| self.look(backup, &tell));
                        untold.extend(join_all(looks).await.into_iter().flatten());
                    }
                }
            }
        }
    }

    /// The backups whose turn it is.
    fn due(
        &self,
        since: Timestamp,
        now: Timestamp,
        changed: &HashSet<Key>,
        untold: &HashSet<Key>,
    ) -> Vec<Arc<CassandraBackup>> {
        let mut due = self.backups.state();
        due.retain(|backup| {
            let of_changed = || changed.contains(&of(backup, backup.spec.cassandra_cluster.clone()));
            let is_untold = || untold.contains(&of(backup, backup.name_any()));
            backup.spec.is_scheduled()
                && (needs::are_due(backup, since, now)
                    || (!changed.is_empty() && of_changed())
                    || (!untold.is_empty() && is_untold()))
                && needs::are_watched(backup, now)
        });
        due
    }

    /// Looks at one; its name, if what it finds could not be told.
    async fn look<F, Told>(&self, backup: &Arc<CassandraBackup>, tell: &F) -> Option<Key>
    where
        F: Fn(Arc<CassandraBackup>) -> Told + Sync,
        Told: Future<Output = bool> + Send,
    {
        let findings = self.judge.judge(Kind::Backup, &judged(backup)).await;
        let is_told = !needs::differ(backup, &Needs::of(&findings)) || tell(Arc::clone(backup)).await;
        (!is_told).then(|| of(backup, backup.name_any()))
    }
}

fn of(backup: &CassandraBackup, name: String) -> Key {
    (backup.namespace().unwrap_or_default(), name)
}

/// What the rules look at. A status may have hundreds of runs.
fn judged(backup: &CassandraBackup) -> Value {
    let meta = &backup.metadata;
    json!({
        "metadata": {
            "namespace": meta.namespace,
            "name": meta.name,
            "annotations": meta.annotations,
        },
        "spec": backup.spec,
    })
}

/// The clusters, and which of them have changed of late.
#[derive(Default)]
struct Clusters {
    /// As the rules see them; `None` for one that cannot be read. `None`: not listed yet.
    known: Option<HashMap<Key, Option<Cluster>>>,
    /// The list that is being read.
    listing: HashMap<Key, Option<Cluster>>,
    /// By how many looks are still to come.
    changed: HashMap<Key, u8>,
}

impl Clusters {
    fn take(&mut self, event: Event<Guarded>) {
        match event {
            Event::Init => self.listing.clear(),
            Event::InitApply(cluster) => {
                let (key, fact) = read(cluster);
                self.listing.insert(key, fact);
            }
            Event::InitDone => {
                let listed = std::mem::take(&mut self.listing);
                if let Some(before) = self.known.take() {
                    let gone = before.keys().filter(|key| !listed.contains_key(*key));
                    let other = listed
                        .iter()
                        .filter(|(key, fact)| before.get(*key) != Some(*fact));
                    let all = gone.chain(other.map(|(key, _)| key)).cloned();
                    self.changed.extend(all.map(|key| (key, LOOKS_AFTER_A_CHANGE)));
                }
                self.known = Some(listed);
            }
            Event::Apply(cluster) => {
                let (key, fact) = read(cluster);
                let before = self
                    .known
                    .get_or_insert_default()
                    .insert(key.clone(), fact.clone());
                if before.as_ref() != Some(&fact) {
                    self.changed.insert(key, LOOKS_AFTER_A_CHANGE);
                }
            }
            Event::Delete(cluster) => {
                let (key, _) = read(cluster);
                self.known.get_or_insert_default().remove(&key);
                self.changed.insert(key, LOOKS_AFTER_A_CHANGE);
            }
        }
    }

    /// Those whose backups are to be looked at now.
    fn changed(&mut self) -> HashSet<Key> {
        let changed = self.changed.keys().cloned().collect();
        self.changed.retain(|_, looks| {
            *looks = looks.saturating_sub(1);
            *looks > 0
        });
        changed
    }
}

/// What the rules refuse a backup for. Whether the cluster is ready changes often, and is none of that.
fn read(cluster: Guarded) -> (Key, Option<Cluster>) {
    let key = (cluster.namespace().unwrap_or_default(), cluster.name_any());
    let fact = cluster.0.ok().map(|cluster| Cluster {
        unready: None,
        ..Cluster::from(&cluster)
    });
    (key, fact)
}

#[cfg(test)]
mod tests;
