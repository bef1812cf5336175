//! Tests against an API server in memory, with a paused clock that advances only when every task is idle.

mod apiserver;
mod cache;
mod client;
mod discovery;
mod live;
mod secrets;
mod source;

use std::sync::Arc;

use kube::Client;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::rules::facts::Reference;
use crate::telemetry::metrics::Metrics;

use super::{CacheState, ClusterFacts, WatchedKind, cached_facts};
use apiserver::ApiServer;

const CLUSTERS: &str = "cassandraclusters";
const BACKUPS: &str = "cassandrabackups";
const SECRETS: &str = "secrets";

/// The facts and their caches. Dropping it ends the watches.
struct World {
    metrics: Metrics,
    facts: ClusterFacts,
    _watches: JoinSet<()>,
}

impl World {
    /// Returns facts whose caches are complete, and forgets the recorded requests.
    async fn synced(server: &ApiServer) -> Self {
        let metrics = Metrics::new();
        let (facts, caches) = cached_facts(&server.client(), &metrics);
        let mut watches = JoinSet::new();
        let mut states = Vec::new();
        for cache in caches {
            states.push(cache.state);
            watches.spawn(cache.run);
        }
        for mut state in states {
            state
                .wait_for(|state| *state == CacheState::Synced)
                .await
                .unwrap();
        }
        server.forget_requests();
        Self {
            facts,
            metrics,
            _watches: watches,
        }
    }

    /// Returns facts without running caches.
    fn without_caches(server: &ApiServer) -> Self {
        Self::with(&server.client())
    }

    /// Returns facts of this client without running caches.
    fn with(client: &Client) -> Self {
        let metrics = Metrics::new();
        let (facts, _) = cached_facts(client, &metrics);
        Self {
            facts,
            metrics,
            _watches: JoinSet::new(),
        }
    }

    fn metric(&self, line: &str) -> bool {
        self.metrics.encode().lines().any(|found| found == line)
    }
}

fn cluster(name: &str, datacenter: &str) -> Value {
    json!({
        "metadata": {"namespace": "prod", "name": name, "managedFields": [{"manager": "kubectl"}]},
        "spec": {"topology": {"dc": [{"name": datacenter}]}, "nodesPerRacks": 1},
        "status": {"phase": "Running"},
    })
}

fn backup(name: &str, location: &str) -> Value {
    json!({
        "metadata": {"namespace": "prod", "name": name, "annotations": {"a": "b"}},
        "spec": {"cassandraCluster": "c1", "storageLocation": location, "snapshotTag": "t"},
        "status": {"condition": {"type": "COMPLETED"}},
    })
}

/// A backup that CassKop's CRD would reject and a broken conversion webhook may return.
fn bad_backup(name: &str) -> Value {
    json!({"metadata": {"namespace": "prod", "name": name}, "spec": {"cassandraCluster": ["c1"]}})
}

/// A Secret with these base64 values.
fn secret(name: &str, values: &Value) -> Value {
    json!({"metadata": {"namespace": "prod", "name": name}, "data": values})
}

fn unknown<T>(reason: &str) -> Reference<T> {
    Reference::Unknown(reason.to_owned())
}

fn fact<K: WatchedKind>(object: &Value) -> Reference<K::Fact> {
    Reference::Found(serde_json::from_value::<K>(object.clone()).unwrap().fact())
}
