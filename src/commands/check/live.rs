//! The Kubernetes cluster as a source of facts for `cassgate check --live`.

use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use kube::Client;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::api::{CassandraBackup, CassandraCluster, CassandraRestore};
use crate::kubernetes::{Cache, CacheState, Cached, ClusterFacts, Readers, WatchedKind};
use crate::rules::facts::FactSource;
use crate::telemetry::metrics::Metrics;

/// Timeout for the lists of clusters, backups, restores and namespaces.
///
/// Without the lists only the objects that a manifest names are known, by single reads, and no neighbours.
const LIST_TIMEOUT: Duration = Duration::from_secs(10);

/// Caches of the API server and the facts from them. The caches end when this is dropped.
pub(super) struct Live {
    facts: ClusterFacts,
    _tasks: JoinSet<()>,
}

impl Live {
    /// Starts the caches and waits until they are listed, at most [`LIST_TIMEOUT`].
    pub(super) async fn start(client: Client) -> Self {
        let metrics = Metrics::new();
        let mut caches = Caches {
            client: client.clone(),
            metrics: metrics.clone(),
            tasks: JoinSet::new(),
            states: Vec::new(),
        };
        let readers = Readers {
            clusters: caches.start::<CassandraCluster>(),
            backups: caches.start::<CassandraBackup>(),
            restores: caches.start::<CassandraRestore>(),
            namespaces: caches.start::<Namespace>(),
        };
        // The time limit may pass without a list: the user may lack the right to list.
        drop(timeout(LIST_TIMEOUT, caches.listed()).await);
        Self {
            facts: ClusterFacts::new(client, readers, metrics),
            _tasks: caches.tasks,
        }
    }

    /// Returns the source of facts.
    pub(super) fn facts(&self) -> &dyn FactSource {
        &self.facts
    }
}

struct Caches {
    client: Client,
    metrics: Metrics,
    tasks: JoinSet<()>,
    states: Vec<watch::Receiver<CacheState>>,
}

impl Caches {
    fn start<K: WatchedKind>(&mut self) -> Cached<K> {
        let cache = Cache::<K>::new(self.client.clone(), self.metrics.clone());
        let reader = cache.reader();
        self.states.push(cache.state());
        self.tasks.spawn(cache.run());
        reader
    }

    /// Waits until every cache is listed. This never completes if the user may not list a kind.
    async fn listed(&mut self) {
        for state in &mut self.states {
            while state.borrow_and_update().unready().is_some() {
                if state.changed().await.is_err() {
                    break;
                }
            }
        }
    }
}
