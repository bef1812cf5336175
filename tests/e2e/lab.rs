//! A Kubernetes cluster with one Cassandra ring. Everything is real except the kubelet: kube-apiserver, cassgate,
//! Cassandra, the engine of Icarus.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::runtime::Runtime;

use crate::kube::api::Api;
use crate::kube::gate::Gate;
use crate::kube::objects::cluster_with;
use crate::kube::pods;
use crate::kube::servers::{Crds, Servers};
use crate::kube::stage::Stage;
use crate::support::cql;
use crate::support::ring::{Pace, Ring};

/// Timeout for a run.
const RUN_TIMEOUT: Duration = Duration::from_mins(8);

/// The tables of a lab. Keyspace k1 has one replica of each row, k2 two.
pub(crate) const TABLES: [&str; 4] = ["k1.t1", "k1.t2", "k2.t1", "k2.t2"];

/// The rights of a sidecar: it lists the Secrets of its namespace.
const SIDECAR: &str = "
apiVersion: v1
kind: ServiceAccount
metadata: {name: sidecar}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: sidecar}
rules:
- {apiGroups: [''], resources: [secrets], verbs: [list]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: sidecar}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: sidecar}
subjects:
- {kind: ServiceAccount, name: sidecar}
";

/// Number of nodes in the ring.
const NODES: u8 = 2;

/// A ring whose nodes are pods of a Kubernetes cluster with a running cassgate. Each lab has its own API server:
/// another holder of the lease would act here too.
pub(crate) struct Lab {
    pub(crate) ring: Ring,
    pub(crate) stage: Stage,
    pub(crate) gate: Gate,
    /// The client for frequent reads: a kubectl process for each would use more CPU than all nodes.
    api: Api,
    runtime: Runtime,
}

impl Lab {
    /// Starts everything and fills the tables with the keys 0 to 99.
    pub(crate) fn new(pace: Pace) -> Self {
        let stage = Stage::on(servers());
        let cluster = cluster_with("c1", &["dc1"]).replace("icarus:1.1.3", "icarus:2.0.4");
        stage.kubectl.apply(&cluster).succeeds();
        // cassgate starts first: it waits for a while, since it cannot know whether the lease had a holder just now.
        let gate = Self::cassgate(&stage);
        stage.register(&gate);
        let ring = Ring::start(NODES, pace, Some(&Self::sidecars_kubeconfig(&stage)));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let api = runtime.block_on(Api::of(stage.servers));
        let lab = Self {
            ring,
            stage,
            gate,
            api,
            runtime,
        };
        for node in 0..usize::from(NODES) {
            pods::create(&lab.stage.kubectl, node);
            lab.report(node, (0, 0));
        }
        cql::create(lab.ring.address(0), &[("k1", 1), ("k2", 2)]);
        lab.insert(0..100);
        lab
    }

    fn sidecars_kubeconfig(stage: &Stage) -> PathBuf {
        stage.kubectl.apply(SIDECAR).succeeds();
        stage.servers.kubeconfig_of(&stage.namespace, "sidecar")
    }

    /// Kills cassgate like a failing machine, without releasing the lease, and starts another one.
    pub(crate) fn kill_cassgate(&mut self) {
        self.gate.kill();
        self.gate = Self::cassgate(&self.stage);
        self.stage.register(&self.gate);
    }

    fn cassgate(stage: &Stage) -> Gate {
        let kubeconfig = stage.servers.admin_kubeconfig().display().to_string();
        let flags = ["--executor=cassgate", "--min-schedule-interval=10s"];
        let gate = Gate::start_with_kubeconfig(&kubeconfig, &flags);
        gate.wait_until_ready();
        gate
    }

    /// Reports a pod's status with these restart counts of Cassandra and the sidecar, as a kubelet does.
    pub(crate) fn report(&self, node: usize, restarts: (u32, u32)) {
        let address = self.ring.address(node).into();
        pods::report(&self.stage.kubectl, node, address, restarts);
    }

    /// Creates a backup to the directory that all sidecars share; the tag is the name.
    pub(crate) fn backup(&self, name: &str, more: &str) {
        let location = self.ring.store();
        self.apply(
            "CassandraBackup",
            name,
            &format!("  storageLocation: {location}\n  snapshotTag: {name}\n{more}"),
        );
    }

    pub(crate) fn restore(&self, name: &str, backup: &str, more: &str) {
        self.apply(
            "CassandraRestore",
            name,
            &format!("  cassandraBackup: {backup}\n{more}"),
        );
    }

    /// Applies an object with these lines in its spec.
    pub(crate) fn apply(&self, kind: &str, name: &str, spec: &str) {
        let manifest = format!(
            "apiVersion: db.orange.com/v2\nkind: {kind}\nmetadata: {{name: {name}}}\nspec:\n  \
             cassandraCluster: c1\n{spec}"
        );
        self.stage.kubectl.apply(&manifest).succeeds();
    }

    /// Waits until an object satisfies `holds`.
    pub(crate) fn waits(&self, kind: &str, name: &str, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        loop {
            let object = self.get(kind, name);
            if holds(&object["status"]) {
                return object;
            }
            assert!(
                begun.elapsed() < RUN_TIMEOUT,
                "{kind} {name}: not {what}: {:#}",
                object["status"]
            );
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Returns a backup or a restore.
    pub(crate) fn get(&self, kind: &str, name: &str) -> Value {
        let namespace = &self.stage.namespace;
        let path = format!("/apis/db.orange.com/v2/namespaces/{namespace}/{kind}s/{name}");
        let object = self.runtime.block_on(self.api.get(&path));
        object.unwrap_or_else(|| panic!("there is no {kind} {name}"))
    }

    /// Waits until an object has this state.
    pub(crate) fn is(&self, kind: &str, name: &str, state: &str) -> Value {
        self.waits(kind, name, state, |status| {
            let now = &status["condition"]["type"];
            assert!(now != "FAILED", "{kind} {name}: {status:#}");
            now == state
        })
    }

    /// Inserts rows with these keys into every table.
    pub(crate) fn insert(&self, keys: Range<u32>) {
        cql::insert(self.ring.address(0), &TABLES, keys);
    }

    /// Asserts that every table holds exactly these keys.
    #[track_caller]
    pub(crate) fn holds(&self, range: Range<u32>) {
        self.hold(&TABLES, range);
    }

    /// Asserts that each of these tables holds exactly these keys.
    #[track_caller]
    pub(crate) fn hold(&self, tables: &[&str], keys: Range<u32>) {
        cql::hold(self.ring.address(0), tables, &keys.collect());
    }
}

/// Returns the status of a node.
pub(crate) fn node_of(status: &Value, node: usize) -> &Value {
    let name = pods::name(node);
    let nodes = status["nodes"].as_array();
    let found = nodes.and_then(|nodes| nodes.iter().find(|one| one["pod"] == name));
    found.unwrap_or(&Value::Null)
}

/// Starts servers for one lab. They end with this process.
fn servers() -> &'static Servers {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let name = format!("lab-{}", COUNT.fetch_add(1, Ordering::Relaxed));
    let servers = Servers::start(Crds::Ours, &name).unwrap_or_else(|why| panic!("{why}"));
    Box::leak(Box::new(servers))
}
