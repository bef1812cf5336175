//! Judges scheduled backups between their runs, so that a missing Secret is reported before the run is due.
//!
//! A judgement uses the caches of the rules and one read of the Secret. Only changes are reported. Secrets cannot be
//! watched (cassgate may not list them), so each backup is judged at a slow pace, and at once when its cluster changes.

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

use crate::api::{CassandraBackup, CassandraCluster, Kind};
use crate::evaluate::Judge;
use crate::reconcile::plan::needs::Needs;
use crate::reconcile::plan::readiness;
use crate::rules::facts::Cluster;
use crate::telemetry::api_error::log_text;

/// The time between two checks for backups that are due for a judgement.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// The limit of concurrent judgements.
const MAX_CONCURRENT_JUDGEMENTS: usize = 8;

/// The number of judgements after a change of the cluster. The rules read the cluster from a cache with a watch of its
/// own, which may lag behind this one, so one judgement is not enough.
const JUDGEMENTS_AFTER_CHANGE: u8 = 2;

/// Namespace and name.
type Key = (String, String);

/// A cluster as it is watched. One cluster that cannot be decoded must not break the watch of all others.
type GuardedCluster = DeserializeGuard<CassandraCluster>;

/// Watches what the next run of every scheduled backup needs.
pub(super) struct NextRunWatch<'a> {
    pub(super) judge: &'a dyn Judge,
    pub(super) backups: Store<CassandraBackup>,
    pub(super) clusters: Api<GuardedCluster>,
    pub(super) now: fn() -> Timestamp,
}

impl NextRunWatch<'_> {
    /// Runs for as long as the future is polled. `report` gets each backup whose needs have changed and returns true if
    /// it has reported them; otherwise the backup is judged again.
    pub(super) async fn run<F, Reported>(self, report: F)
    where
        F: Fn(Arc<CassandraBackup>) -> Reported + Sync,
        Reported: Future<Output = bool> + Send,
    {
        // An error means that the writer of the store is gone, so this replica no longer leads.
        if self.backups.wait_until_ready().await.is_err() {
            return;
        }
        let mut clusters = Clusters::default();
        let mut events = pin!(watcher(self.clusters.clone(), watcher::Config::default()).default_backoff());
        let mut ticks = tokio::time::interval(CHECK_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut since = (self.now)();
        let mut unreported = HashSet::new();
        loop {
            tokio::select! {
                Some(event) = events.next() => match event {
                    Ok(event) => clusters.apply(event),
                    // The cache of clusters fails in the same way and logs it as a warning.
                    Err(error) => tracing::debug!(error = log_text(&error), "the watch of clusters failed; it is opened again"),
                },
                _ = ticks.tick() => {
                    let now = (self.now)();
                    let changed = clusters.take_changed();
                    let due = self.due(since, now, &changed, &std::mem::take(&mut unreported));
                    since = now;
                    for backups in due.chunks(MAX_CONCURRENT_JUDGEMENTS) {
                        let judged = backups.iter().map(|backup| self.judge(backup, &report));
                        unreported.extend(join_all(judged).await.into_iter().flatten());
                    }
                }
            }
        }
    }

    /// Returns the backups to judge now.
    fn due(
        &self,
        since: Timestamp,
        now: Timestamp,
        changed: &HashSet<Key>,
        unreported: &HashSet<Key>,
    ) -> Vec<Arc<CassandraBackup>> {
        let mut due = self.backups.state();
        due.retain(|backup| {
            let is_of_changed = || changed.contains(&key(backup, backup.spec.cassandra_cluster.clone()));
            let is_unreported = || unreported.contains(&key(backup, backup.name_any()));
            backup.spec.is_scheduled()
                && (readiness::is_due(backup, since, now)
                    || (!changed.is_empty() && is_of_changed())
                    || (!unreported.is_empty() && is_unreported()))
                && readiness::is_checked(backup, now)
        });
        due
    }

    /// Judges a backup and reports a change. Returns its key if that failed.
    async fn judge<F, Reported>(&self, backup: &Arc<CassandraBackup>, report: &F) -> Option<Key>
    where
        F: Fn(Arc<CassandraBackup>) -> Reported + Sync,
        Reported: Future<Output = bool> + Send,
    {
        let findings = self.judge.judge(Kind::Backup, &judged_value(backup)).await;
        let is_reported =
            !readiness::differs(backup, &Needs::from_findings(&findings)) || report(Arc::clone(backup)).await;
        (!is_reported).then(|| key(backup, backup.name_any()))
    }
}

/// Returns a key in the namespace of the backup.
fn key(backup: &CassandraBackup, name: String) -> Key {
    (backup.namespace().unwrap_or_default(), name)
}

/// Returns the parts of a backup that the rules read. Its status may have hundreds of runs and is left out.
fn judged_value(backup: &CassandraBackup) -> Value {
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

/// The clusters, and the recent changes among them.
#[derive(Default)]
struct Clusters {
    /// The facts about each cluster; the inner `None` is a cluster that cannot be decoded, the outer one means
    /// that no list has completed.
    known: Option<HashMap<Key, Option<Cluster>>>,
    /// The list that is being received.
    listing: HashMap<Key, Option<Cluster>>,
    /// The number of judgements to come for each changed cluster.
    changed: HashMap<Key, u8>,
}

impl Clusters {
    fn apply(&mut self, event: Event<GuardedCluster>) {
        match event {
            Event::Init => self.listing.clear(),
            Event::InitApply(cluster) => {
                let (key, fact) = fact(cluster);
                self.listing.insert(key, fact);
            }
            Event::InitDone => {
                let listed = std::mem::take(&mut self.listing);
                if let Some(before) = self.known.take() {
                    let gone = before.keys().filter(|key| !listed.contains_key(*key));
                    let new = listed
                        .iter()
                        .filter(|(key, fact)| before.get(*key) != Some(*fact));
                    let changed = gone.chain(new.map(|(key, _)| key)).cloned();
                    self.changed
                        .extend(changed.map(|key| (key, JUDGEMENTS_AFTER_CHANGE)));
                }
                self.known = Some(listed);
            }
            Event::Apply(cluster) => {
                let (key, fact) = fact(cluster);
                let before = self
                    .known
                    .get_or_insert_default()
                    .insert(key.clone(), fact.clone());
                if before.as_ref() != Some(&fact) {
                    self.changed.insert(key, JUDGEMENTS_AFTER_CHANGE);
                }
            }
            Event::Delete(cluster) => {
                let (key, _) = fact(cluster);
                self.known.get_or_insert_default().remove(&key);
                self.changed.insert(key, JUDGEMENTS_AFTER_CHANGE);
            }
        }
    }

    /// Returns the clusters whose backups are judged now, and counts that judgement.
    fn take_changed(&mut self) -> HashSet<Key> {
        let changed = self.changed.keys().cloned().collect();
        self.changed.retain(|_, judgements| {
            *judgements = judgements.saturating_sub(1);
            *judgements > 0
        });
        changed
    }
}

/// Returns the facts for which the rules may deny a backup. Readiness and nodes are left out: they change often and deny
/// nothing.
fn fact(cluster: GuardedCluster) -> (Key, Option<Cluster>) {
    let key = (cluster.namespace().unwrap_or_default(), cluster.name_any());
    let fact = cluster.0.ok().map(|cluster| Cluster {
        unready: None,
        nodes: [].into(),
        ..Cluster::from(&cluster)
    });
    (key, fact)
}

#[cfg(test)]
mod tests;
