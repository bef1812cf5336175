//! A Kubernetes cluster of one Cassandra ring, with everything real but the kubelet: kube-apiserver, cassgate, Cassandra,
//! the engine of Icarus.

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

/// How long a run may take before it hangs.
const PATIENCE: Duration = Duration::from_mins(8);

/// The tables of a lab. The keyspace k1 has one copy of every row, k2 has two.
pub(crate) const TABLES: [&str; 4] = ["k1.t1", "k1.t2", "k2.t1", "k2.t2"];

/// What a sidecar may do, and no more: it lists the Secrets of its namespace.
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

/// How many nodes the ring has.
const NODES: u8 = 2;

/// A ring whose nodes are pods of a Kubernetes cluster in which cassgate acts. Nobody else is in that cluster: whoever
/// held its lease would act here too.
pub(crate) struct Lab {
    pub(crate) ring: Ring,
    pub(crate) stage: Stage,
    pub(crate) gate: Gate,
    /// For looks at an object, many a second: a kubectl for each takes more of a core than all nodes.
    api: Api,
    runtime: Runtime,
}

impl Lab {
    /// Starts everything and fills the tables with the keys 0 to 99.
    pub(crate) fn new(pace: Pace) -> Self {
        let stage = Stage::on(servers());
        let cluster = cluster_with("c1", &["dc1"]).replace("icarus:1.1.3", "icarus:2.0.4");
        stage.kubectl.apply(&cluster).succeeds();
        // First: it does nothing for a while, since it cannot know that nobody held the lease just now.
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

    /// Kills cassgate, as a machine that fails does: it releases no lease and ends nothing. Then starts another one.
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

    /// What a kubelet reports of a pod whose containers, Cassandra and the sidecar, were restarted so often.
    pub(crate) fn report(&self, node: usize, restarts: (u32, u32)) {
        let address = self.ring.address(node).into();
        pods::report(&self.stage.kubectl, node, address, restarts);
    }

    /// Backs up to the directory that all sidecars can reach; the tag is the name.
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

    /// Applies an object of the cluster with these lines in its spec.
    pub(crate) fn apply(&self, kind: &str, name: &str, spec: &str) {
        let manifest = format!(
            "apiVersion: db.orange.com/v2\nkind: {kind}\nmetadata: {{name: {name}}}\nspec:\n  \
             cassandraCluster: c1\n{spec}"
        );
        self.stage.kubectl.apply(&manifest).succeeds();
    }

    /// Waits until this holds of an object.
    pub(crate) fn waits(&self, kind: &str, name: &str, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        loop {
            let object = self.get(kind, name);
            if holds(&object["status"]) {
                return object;
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "{kind} {name}: not {what}: {:#}",
                object["status"]
            );
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// A backup or a restore as it is now.
    pub(crate) fn get(&self, kind: &str, name: &str) -> Value {
        let namespace = &self.stage.namespace;
        let path = format!("/apis/db.orange.com/v2/namespaces/{namespace}/{kind}s/{name}");
        let object = self.runtime.block_on(self.api.get(&path));
        object.unwrap_or_else(|| panic!("there is no {kind} {name}"))
    }

    /// Waits until an object is in this state.
    pub(crate) fn is(&self, kind: &str, name: &str, state: &str) -> Value {
        self.waits(kind, name, state, |status| {
            let now = &status["condition"]["type"];
            assert!(now != "FAILED", "{kind} {name}: {status:#}");
            now == state
        })
    }

    /// Writes rows with these keys into every table.
    pub(crate) fn insert(&self, keys: Range<u32>) {
        cql::insert(self.ring.address(0), &TABLES, keys);
    }

    /// Every table holds exactly these keys.
    #[track_caller]
    pub(crate) fn holds(&self, range: Range<u32>) {
        self.hold(&TABLES, range);
    }

    /// Each of these tables holds exactly these keys.
    #[track_caller]
    pub(crate) fn hold(&self, tables: &[&str], keys: Range<u32>) {
        cql::hold(self.ring.address(0), tables, &keys.collect());
    }
}

/// What a status tells of a node.
pub(crate) fn node_of(status: &Value, node: usize) -> &Value {
    let name = pods::name(node);
    let nodes = status["nodes"].as_array();
    let found = nodes.and_then(|nodes| nodes.iter().find(|one| one["pod"] == name));
    found.unwrap_or(&Value::Null)
}

/// Servers that only one lab uses. They end with this process.
fn servers() -> &'static Servers {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let name = format!("lab-{}", COUNT.fetch_add(1, Ordering::Relaxed));
    let servers = Servers::start(Crds::Ours, &name).unwrap_or_else(|why| panic!("{why}"));
    Box::leak(Box::new(servers))
}
