//! Everything here runs against an API server that is a map in memory, and in time that stands still until nothing
//! else can happen.

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

use crate::api::{CassandraBackup, CassandraCluster};
use crate::observe::metrics::Metrics;
use crate::rules::facts::Reference;

use super::{Cache, CacheState, ClusterFacts, Kind};
use apiserver::ApiServer;

const CLUSTERS: &str = "cassandraclusters";
const BACKUPS: &str = "cassandrabackups";
const SECRETS: &str = "secrets";

/// Facts, and what they rest on. The watches end with it.
struct World {
    metrics: Metrics,
    facts: ClusterFacts,
    _watches: JoinSet<()>,
}

impl World {
    /// Both caches are complete, and no request is remembered.
    async fn synced(server: &ApiServer) -> Self {
        let (client, metrics) = (server.client(), Metrics::new());
        let clusters = Cache::<CassandraCluster>::new(client.clone(), metrics.clone());
        let backups = Cache::<CassandraBackup>::new(client.clone(), metrics.clone());
        let facts = ClusterFacts::new(client, clusters.reader(), backups.reader(), metrics.clone());
        let states = [clusters.state(), backups.state()];
        let mut watches = JoinSet::new();
        watches.spawn(clusters.run());
        watches.spawn(backups.run());
        for mut state in states {
            state
                .wait_for(|state| *state == CacheState::Synced)
                .await
                .unwrap();
        }
        server.forget_requests();
        Self {
            metrics,
            facts,
            _watches: watches,
        }
    }

    /// No cache runs.
    fn without_caches(server: &ApiServer) -> Self {
        Self::with(server.client())
    }

    /// No cache runs.
    fn with(client: Client) -> Self {
        let metrics = Metrics::new();
        let clusters = Cache::<CassandraCluster>::new(client.clone(), metrics.clone()).reader();
        let backups = Cache::<CassandraBackup>::new(client.clone(), metrics.clone()).reader();
        let facts = ClusterFacts::new(client, clusters, backups, metrics.clone());
        Self {
            metrics,
            facts,
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

/// A backup that CassKop's CRD would not take, and a broken converter may hand out.
fn bad_backup(name: &str) -> Value {
    json!({"metadata": {"namespace": "prod", "name": name}, "spec": {"cassandraCluster": ["c1"]}})
}

/// `values` are base64, as in a Secret.
fn secret(name: &str, values: &Value) -> Value {
    json!({"metadata": {"namespace": "prod", "name": name}, "data": values})
}

fn unknown<T>(reason: &str) -> Reference<T> {
    Reference::Unknown(reason.to_owned())
}

fn fact<K: Kind>(object: &Value) -> Reference<K::Fact> {
    Reference::Found(serde_json::from_value::<K>(object.clone()).unwrap().fact())
}
