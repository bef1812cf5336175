//! The Kubernetes cluster as a source of facts for `cassgate check --live`.

use std::time::Duration;

use futures::future::BoxFuture;
use kube::Client;
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::api::Kind;
use crate::check::{Live, StoredObjects};
use crate::kubernetes::{CacheState, ClusterFacts, cached_facts};
use crate::rules::facts::Reference;
use crate::telemetry::metrics::Metrics;

/// Timeout for the lists of clusters, backups, restores and namespaces.
///
/// Without the lists only the objects that a manifest names are known, by single reads, and no neighbours.
const LIST_TIMEOUT: Duration = Duration::from_secs(10);

/// Caches of the API server and the facts from them. The caches end when this is dropped.
pub(super) struct LiveCluster {
    facts: ClusterFacts,
    _tasks: JoinSet<()>,
}

impl LiveCluster {
    /// Starts the caches and waits until they are listed, at most [`LIST_TIMEOUT`].
    pub(super) async fn start(client: &Client) -> Self {
        let (facts, caches) = cached_facts(client, &Metrics::new());
        let mut tasks = JoinSet::new();
        let mut states = Vec::new();
        for cache in caches {
            states.push(cache.state);
            tasks.spawn(cache.run);
        }
        // The time limit may pass without a list: the user may lack the right to list.
        drop(timeout(LIST_TIMEOUT, listed(states)).await);
        Self { facts, _tasks: tasks }
    }

    /// Returns the source of facts and of stored objects.
    pub(super) fn live(&self) -> Live<'_> {
        Live {
            facts: &self.facts,
            objects: self,
        }
    }
}

impl StoredObjects for LiveCluster {
    fn stored<'a>(
        &'a self,
        kind: Kind,
        namespace: &'a str,
        name: &'a str,
    ) -> BoxFuture<'a, Reference<Value>> {
        Box::pin(self.facts.stored_object(kind, namespace, name))
    }
}

/// Waits until every cache is listed. This never completes if the user may not list a kind.
async fn listed(states: Vec<watch::Receiver<CacheState>>) {
    for mut state in states {
        while state.borrow_and_update().unready().is_some() {
            if state.changed().await.is_err() {
                break;
            }
        }
    }
}
