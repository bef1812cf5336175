//! A Kubernetes cluster with one Cassandra ring. Everything is real except the kubelet: kube-apiserver, cassgate,
//! Cassandra, the engine of Icarus.

use std::ops::{Deref, DerefMut, Range};
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
use crate::support::ring::{Pace, Ring, RingSettings, Tokens};

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

/// A Cassandra ring whose nodes are pods of a namespace. cassgate runs its backups and restores.
pub(crate) struct Site {
    pub(crate) ring: Ring,
    pub(crate) stage: Stage,
    /// The name of the `CassandraCluster`.
    cluster: &'static str,
    runtime: Runtime,
    /// The restart counts of Cassandra and the sidecar of each node.
    restarts: Vec<(u32, u32)>,
}

/// A site and the running cassgate. Each lab has its own API server: another holder of the lease would act here too.
pub(crate) struct Lab {
    site: Site,
    pub(crate) gate: Gate,
}

impl Deref for Lab {
    type Target = Site;

    fn deref(&self) -> &Site {
        &self.site
    }
}

impl DerefMut for Lab {
    fn deref_mut(&mut self) -> &mut Site {
        &mut self.site
    }
}

impl Lab {
    /// Starts everything with two nodes, and fills the tables with the keys 0 to 99.
    pub(crate) fn new(pace: Pace) -> Self {
        let lab = Self::with(RingSettings {
            pace,
            ..RingSettings::default()
        });
        lab.create_tables();
        lab
    }

    /// Starts everything with an empty ring.
    pub(crate) fn with(settings: RingSettings) -> Self {
        let stage = Stage::on(servers());
        // cassgate starts first: it waits for a while, since it cannot know whether the lease had a holder just now.
        let gate = Self::cassgate(&stage);
        let site = Site::new(stage, "c1", &gate, settings);
        Self { site, gate }
    }

    /// Starts another ring in another namespace, whose cluster has this name.
    pub(crate) fn another(&self, cluster: &'static str, settings: RingSettings) -> Site {
        Site::new(Stage::on(self.stage.servers), cluster, &self.gate, settings)
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
}

impl Site {
    fn new(stage: Stage, cluster: &'static str, gate: &Gate, settings: RingSettings) -> Self {
        let manifest = cluster_with(cluster, &["dc1"]).replace(
            "icarus:1.1.3",
            &format!("icarus:{}", settings.generation.icarus()),
        );
        stage.kubectl.apply(&manifest).succeeds();
        stage.register(gate);
        stage.kubectl.apply(SIDECAR).succeeds();
        let kubeconfig = stage.servers.kubeconfig_of(&stage.namespace, "sidecar");
        let ring = Ring::with(RingSettings {
            kubeconfig: Some(kubeconfig),
            ..settings
        });
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let mut site = Self {
            ring,
            stage,
            cluster,
            runtime,
            restarts: Vec::new(),
        };
        for node in 0..site.ring.size() {
            site.create_pod(node);
        }
        site
    }

    /// Creates the tables, and fills them with the keys 0 to 99.
    pub(crate) fn create_tables(&self) {
        cql::create(self.ring.address(0), &[("k1", 1), ("k2", 2)]);
        self.insert(0..100);
    }

    /// Kills Cassandra on every node at once, and starts it again.
    pub(crate) fn restart_ring(&mut self) {
        let nodes = 0..self.ring.size();
        for node in nodes.clone() {
            self.ring.node(node).kill_cassandra();
        }
        for node in nodes {
            self.ring.node(node).start_cassandra();
            self.restarts[node].0 += 1;
            self.report(node);
            self.ring.node(node).wait_for_cassandra();
        }
    }

    /// Creates the pod of a node of the ring.
    pub(crate) fn create_pod(&mut self, node: usize) {
        pods::create_in(&self.stage.kubectl, self.cluster, node);
        self.restarts.resize(node + 1, (0, 0));
        self.restarts[node] = (0, 0);
        self.report(node);
    }

    /// Adds a node to the ring and its pod.
    pub(crate) fn add_node(&mut self, tokens: Tokens) {
        self.ring.add(tokens);
        self.create_pod(self.ring.size() - 1);
    }

    /// Replaces the ring by an empty one of the same pods; the directory of the backups stays.
    pub(crate) fn rebuild(&mut self) {
        for node in 0..self.ring.size() {
            self.delete_pod(node);
        }
        self.ring.rebuild();
        for node in 0..self.ring.size() {
            self.create_pod(node);
        }
    }

    /// Stops the last node and deletes its pod and its volume.
    pub(crate) fn lose_last_node(&mut self) {
        let last = self.ring.size() - 1;
        self.delete_pod(last);
        self.ring.node(last).stop();
    }

    /// Starts a successor of the last node, which was lost: a pod of the same name with another address and an empty
    /// disk.
    pub(crate) fn replace_last_node(&mut self, tokens: Tokens) {
        let last = self.ring.size() - 1;
        self.ring.replace(last, tokens);
        self.create_pod(last);
    }

    /// Decommissions the last node, which streams its rows to the others, and deletes its pod.
    pub(crate) fn decommission_last_node(&mut self) {
        let last = self.ring.size() - 1;
        // Without the flag it fails: system_distributed has three replicas.
        self.ring.nodetool(last, &["decommission", "--force"]);
        self.ring.pop();
        self.delete_pod(last);
        self.restarts.truncate(last);
    }

    /// Returns the host id of a node.
    pub(crate) fn host_id(&self, node: usize) -> String {
        let info = self.ring.nodetool(node, &["info"]);
        let id = info.lines().find_map(|line| line.strip_prefix("ID"));
        id.unwrap().trim_start_matches([' ', ':']).trim().to_owned()
    }

    /// Returns the pod name of a node.
    pub(crate) fn pod(&self, node: usize) -> String {
        pods::name_in(self.cluster, node)
    }

    fn delete_pod(&self, node: usize) {
        self.stage
            .kubectl
            .run(&["delete", "pod", &self.pod(node), "--grace-period=0", "--force"])
            .succeeds();
    }

    /// Reports a pod's status, as a kubelet does.
    fn report(&self, node: usize) {
        let (address, restarts) = (self.ring.address(node).into(), self.restarts[node]);
        pods::report_in(&self.stage.kubectl, self.cluster, node, address, restarts);
    }

    /// Kills the sidecar of a node, and starts it again as a kubelet does.
    pub(crate) fn kill_sidecar(&mut self, node: usize) {
        self.ring.node(node).kill_sidecar();
        self.restart_sidecar(node);
    }

    /// Starts the sidecar of a node again, as a kubelet does.
    pub(crate) fn restart_sidecar(&mut self, node: usize) {
        self.ring.node(node).start_sidecar();
        self.restarts[node].1 += 1;
        self.report(node);
    }

    /// Kills Cassandra on a node, and starts it again as a kubelet does.
    pub(crate) fn kill_cassandra(&mut self, node: usize) {
        self.ring.node(node).kill_cassandra();
        self.ring.node(node).start_cassandra();
        self.restarts[node].0 += 1;
        self.report(node);
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

    /// Creates a restore whose annotation confirms this rule.
    pub(crate) fn confirmed_restore(&self, name: &str, backup: &str, rule: &str, more: &str) {
        let annotations = format!("cassgate.db.orange.com/confirm: {rule}");
        let spec = format!("  cassandraBackup: {backup}\n{more}");
        self.apply_annotated("CassandraRestore", name, &annotations, &spec);
    }

    /// Applies an object with these lines in its spec.
    pub(crate) fn apply(&self, kind: &str, name: &str, spec: &str) {
        self.apply_annotated(kind, name, "", spec);
    }

    /// Applies an object with these annotations, separated by commas, and these lines in its spec.
    pub(crate) fn apply_annotated(&self, kind: &str, name: &str, annotations: &str, spec: &str) {
        let manifest = format!(
            "apiVersion: db.orange.com/v2\nkind: {kind}\nmetadata: {{name: {name}, annotations: {{{annotations}}}}}\n\
             spec:\n  cassandraCluster: {}\n{spec}",
            self.cluster
        );
        self.stage.kubectl.apply(&manifest).succeeds();
    }

    /// Waits until an object satisfies `holds`.
    pub(crate) fn waits(&self, kind: &str, name: &str, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        let api = self.connect();
        loop {
            let object = self.read(&api, kind, name);
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
        self.read(&self.connect(), kind, name)
    }

    /// Connects for many reads: a kubectl process for each would use more CPU than all nodes. The API server closes a
    /// connection that nothing was read from for a while.
    fn connect(&self) -> Api {
        self.runtime.block_on(Api::of(self.stage.servers))
    }

    fn read(&self, api: &Api, kind: &str, name: &str) -> Value {
        let namespace = &self.stage.namespace;
        let path = format!("/apis/db.orange.com/v2/namespaces/{namespace}/{kind}s/{name}");
        let object = self.runtime.block_on(api.get(&path));
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

    /// Waits until an object has failed, and returns the reason and the message.
    pub(crate) fn fails(&self, kind: &str, name: &str) -> (String, String) {
        let object = self.waits(kind, name, "FAILED", |status| {
            let state = &status["condition"]["type"];
            assert!(state != "COMPLETED", "{kind} {name}: {status:#}");
            state == "FAILED"
        });
        let failed = condition(&object["status"], "Failed");
        let text = |field: &str| failed[field].as_str().unwrap().to_owned();
        assert_eq!(failed["status"], "True", "{:#}", object["status"]);
        (text("reason"), text("message"))
    }

    /// Waits until a condition of an object is `True` with this reason, and returns its message.
    pub(crate) fn says(&self, kind: &str, name: &str, of: &str, reason: &str) -> String {
        let object = self.waits(kind, name, reason, |status| {
            let condition = condition(status, of);
            condition["status"] == "True" && condition["reason"] == reason
        });
        condition(&object["status"], of)["message"]
            .as_str()
            .unwrap()
            .to_owned()
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

/// Returns a condition.
fn condition<'a>(status: &'a Value, of: &str) -> &'a Value {
    let conditions = status["conditions"].as_array();
    let found = conditions.and_then(|all| all.iter().find(|condition| condition["type"] == of));
    found.unwrap_or(&Value::Null)
}

/// Returns the status of a node.
pub(crate) fn node_of(status: &Value, node: usize) -> &Value {
    let name = pods::name_in("c1", node);
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
