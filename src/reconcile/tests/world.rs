//! A leading reconciler with everything around it, in paused time.

use std::cell::Cell;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::api_server::ApiServer;
use super::sidecars::{Node, Sidecars};
use crate::api::Kind;
use crate::evaluate::Judge;
use crate::reconcile::Reconciler;
use crate::reconcile::lease::{
    BootTime, Clocks, LeaseKeeper, LeaseOptions, LeaseStore, LeaseStoreError, Record, Stored, Timing, Written,
};
use crate::reconcile::plan::NO_PROGRESS_TIMEOUT;
use crate::rules::finding::Findings;
use crate::telemetry::metrics::Metrics;

pub(super) const BACKUPS: &str = "cassandrabackups";
pub(super) const RESTORES: &str = "cassandrarestores";

thread_local! {
    static BEGINNING: Cell<Option<Instant>> = const { Cell::new(None) };
}

fn elapsed() -> Duration {
    BEGINNING
        .get()
        .map_or(Duration::ZERO, |beginning| beginning.elapsed())
}

/// Returns the time of the world.
pub(super) fn now() -> Timestamp {
    Timestamp::from_second(1_835_000_000).unwrap() + elapsed()
}

/// Rules that find the same in every object.
#[derive(Clone, Default)]
pub(super) struct Rules(Arc<Mutex<Findings>>);

impl Rules {
    /// Replaces what the rules find.
    pub(super) fn set(&self, findings: Findings) {
        *self.0.lock().unwrap() = findings;
    }
}

impl Judge for Rules {
    fn judge<'a>(&'a self, _: Kind, _: &'a Value) -> Pin<Box<dyn Future<Output = Findings> + Send + 'a>> {
        let findings = self.0.lock().unwrap().clone();
        Box::pin(std::future::ready(findings))
    }
}

/// A lease that its last holder released.
#[derive(Clone)]
pub(super) struct Lease(Arc<Mutex<(u32, Record)>>);

impl Lease {
    fn free() -> Self {
        let former = Record::taken("former", None, Duration::from_secs(15), now());
        Self(Arc::new(Mutex::new((0, former.released(now())))))
    }

    /// Lets another replica take the lease.
    pub(super) fn take(&self) {
        let mut lease = self.0.lock().unwrap();
        lease.0 += 1;
        lease.1.holder = Some("two".to_owned());
    }

    fn stored(&self) -> Stored {
        let (version, record) = self.0.lock().unwrap().clone();
        Stored {
            version: version.to_string(),
            record,
        }
    }
}

impl LeaseStore for Lease {
    async fn read(&self) -> Result<Option<Stored>, LeaseStoreError> {
        Ok(Some(self.stored()))
    }

    async fn write(&self, record: &Record, over: Option<&str>) -> Result<Written, LeaseStoreError> {
        if over != Some(self.stored().version.as_str()) {
            return Ok(Written::Conflict);
        }
        let mut lease = self.0.lock().unwrap();
        *lease = (lease.0 + 1, record.clone());
        drop(lease);
        Ok(Written::Stored(self.stored()))
    }
}

pub(super) struct World {
    pub(super) server: ApiServer,
    pub(super) sidecars: Sidecars,
    pub(super) lease: Lease,
    pub(super) rules: Rules,
    /// The time by which the boot clock is ahead: the machine has slept.
    pub(super) slept: Arc<Mutex<Duration>>,
}

impl World {
    /// Returns a world in which a backup takes the sidecars `duration`.
    pub(super) fn new(duration: Duration) -> Self {
        BEGINNING.set(Some(Instant::now()));
        Self {
            server: ApiServer::default(),
            sidecars: Sidecars::new(duration),
            lease: Lease::free(),
            rules: Rules::default(),
            slept: Arc::default(),
        }
    }

    /// Creates a cluster with its pods.
    pub(super) fn cluster(&self, name: &str, nodes: usize) {
        self.server.put(
            "cassandraclusters",
            json!({
                "apiVersion": "db.orange.com/v2", "kind": "CassandraCluster",
                "metadata": { "name": name, "namespace": "team", "uid": name },
                "spec": {
                    "topology": { "dc": [{ "name": "dc1", "rack": [{ "name": "rack1" }] }] },
                    "backRestSidecar": { "enabled": true, "image": "ghcr.io/cscetbon/instaclustr-icarus:2.0.4" },
                },
            }),
        );
        for number in 0..nodes {
            let address = self.sidecars.add(name);
            self.pod(name, number, &address.to_string());
        }
    }

    /// Swaps the addresses of two nodes and their pods. Returns the nodes as they were before.
    pub(super) fn swap_addresses(&self, cluster: &str, [one, other]: [usize; 2]) -> [Node; 2] {
        let before = [one, other].map(|number| self.sidecars.nodes()[number].clone());
        self.sidecars.swap(one, other);
        self.pod(cluster, one, &before[1].address.to_string());
        self.pod(cluster, other, &before[0].address.to_string());
        before
    }

    /// Stores the pod of a node with its address.
    pub(super) fn pod(&self, cluster: &str, number: usize, address: &str) {
        let name = format!("{cluster}-dc1-rack1-{number}");
        let container = |container: &str| {
            json!({
                "name": container, "image": "x", "imageID": "x", "ready": true, "restartCount": 0,
                "containerID": format!("containerd://{container}-{name}"),
                "state": { "running": { "startedAt": "2026-11-22T00:00:00Z" } },
            })
        };
        self.server.put(
            "pods",
            json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": {
                    "name": name, "namespace": "team",
                    "labels": { "app": "cassandracluster", "cassandracluster": cluster },
                },
                "spec": { "containers": [] },
                "status": {
                    "podIP": address,
                    "containerStatuses": [container("cassandra"), container("backrest-sidecar")],
                },
            }),
        );
    }

    /// Runs the reconciler as a process that leads at once, while `test` runs.
    pub(super) async fn run<T>(&self, test: impl Future<Output = T>) -> T {
        let reconciler = Arc::new(Reconciler {
            client: self.server.client(),
            sidecars: self.sidecars.clone(),
            judge: Arc::new(self.rules.clone()),
            metrics: Metrics::new(),
            status_is_subresource: Box::new(|_| Some(true)),
            namespace: None,
            no_progress_timeout: NO_PROGRESS_TIMEOUT,
            now,
        });
        let slept = Arc::clone(&self.slept);
        let clocks = Clocks {
            boot: Arc::new(move || BootTime(elapsed() + *slept.lock().unwrap())),
            wall: Arc::new(now),
        };
        let options = LeaseOptions {
            identity: "one".to_owned(),
            timing: Timing::standard(Duration::from_secs(10)),
        };
        let keeper = LeaseKeeper::new(options, self.lease.clone(), clocks, Metrics::new()).unwrap();
        let process = keeper.run(CancellationToken::new(), |leadership| {
            Arc::clone(&reconciler).run(leadership)
        });
        tokio::select! {
            done = test => done,
            () = process => panic!("the process ended by itself"),
        }
    }

    /// Returns the state of a run.
    pub(super) fn state(&self, plural: &str, name: &str) -> String {
        let object = self.server.get(plural, name);
        let state = object["status"]["condition"]["type"].as_str();
        state.unwrap_or_default().to_owned()
    }

    /// Waits until a run has this state.
    pub(super) async fn until(&self, plural: &str, name: &str, state: &str) {
        let begun = Instant::now();
        while self.state(plural, name) != state {
            assert!(
                begun.elapsed() < Duration::from_hours(1),
                "{name} is not {state}: {:#}",
                self.server.get(plural, name)
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// Returns a backup of a cluster.
pub(super) fn backup(name: &str, cluster: &str) -> Value {
    json!({
        "apiVersion": "db.orange.com/v2", "kind": "CassandraBackup",
        "metadata": {
            "name": name, "namespace": "team", "uid": name, "generation": 1,
            "creationTimestamp": now().strftime("%FT%TZ").to_string(),
        },
        "spec": {
            "cassandraCluster": cluster, "storageLocation": "s3://bucket", "snapshotTag": name,
            "secret": "s3", "entities": "k1",
        },
    })
}
