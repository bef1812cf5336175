//! The caches of the four kinds that rules read.

use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::Namespace;
use kube::Client;
use tokio::sync::watch;

use crate::api::{CassandraBackup, CassandraCluster, CassandraRestore};
use crate::telemetry::metrics::Metrics;

use super::cache::{Cache, CacheState};
use super::kind::WatchedKind;
use super::source::{ClusterFacts, Readers};
use super::undecodable::Undecodable;

/// A cache that has to be run.
pub struct CacheTask {
    /// The name of the task and of its readiness gate.
    pub name: &'static str,
    /// The state of the cache.
    pub state: watch::Receiver<CacheState>,
    /// The name of the note about the objects that cannot be decoded.
    pub undecodable_note: &'static str,
    /// The objects that cannot be decoded.
    pub undecodable: watch::Receiver<Undecodable>,
    /// Lists and watches as long as it is polled.
    pub run: BoxFuture<'static, ()>,
}

impl CacheTask {
    fn new<K: WatchedKind>(name: &'static str, undecodable_note: &'static str, cache: Cache<K>) -> Self {
        Self {
            name,
            state: cache.state(),
            undecodable_note,
            undecodable: cache.undecodable(),
            run: Box::pin(cache.run()),
        }
    }
}

/// Creates the caches of the four kinds.
///
/// Returns the facts, and the tasks that keep them up to date. Until the tasks run and have listed their objects, the
/// facts come from live reads and there are no neighbours.
#[must_use]
pub fn cached_facts(client: &Client, metrics: &Metrics) -> (ClusterFacts, [CacheTask; 4]) {
    let clusters = Cache::<CassandraCluster>::new(client.clone(), metrics.clone());
    let backups = Cache::<CassandraBackup>::new(client.clone(), metrics.clone());
    let restores = Cache::<CassandraRestore>::new(client.clone(), metrics.clone());
    let namespaces = Cache::<Namespace>::new(client.clone(), metrics.clone());
    let readers = Readers {
        clusters: clusters.reader(),
        backups: backups.reader(),
        restores: restores.reader(),
        namespaces: namespaces.reader(),
    };
    let facts = ClusterFacts::new(client.clone(), readers, metrics.clone());
    let tasks = [
        CacheTask::new(
            "cache:cassandraclusters",
            "undecodable:cassandraclusters",
            clusters,
        ),
        CacheTask::new("cache:cassandrabackups", "undecodable:cassandrabackups", backups),
        CacheTask::new(
            "cache:cassandrarestores",
            "undecodable:cassandrarestores",
            restores,
        ),
        CacheTask::new("cache:namespaces", "undecodable:namespaces", namespaces),
    ];
    (facts, tasks)
}
