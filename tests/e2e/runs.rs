//! What users do, with everything real but the kubelet: kube-apiserver, cassgate, Cassandra, the engine of Icarus.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::kube::gate::Gate;
use crate::kube::objects::{cluster_with, documents};
use crate::kube::servers::Crds;
use crate::kube::stage::Stage;
use crate::support::{cql, ring::Ring};

/// How long a run may take before it hangs.
const PATIENCE: Duration = Duration::from_mins(6);

const TABLES: [&str; 4] = ["k1.t1", "k1.t2", "k2.t1", "k2.t2"];

/// A ring whose nodes are pods of a Kubernetes cluster in which cassgate acts.
struct Lab {
    ring: Ring,
    stage: Stage,
    gate: Gate,
}

impl Lab {
    fn new(nodes: u8) -> Self {
        let ring = Ring::start(nodes);
        let stage = Stage::new(Crds::Ours);
        let cluster = cluster_with("c1", &["dc1"]).replace("icarus:1.1.3", "icarus:2.0.4");
        stage.kubectl.apply(&documents(&[cluster])).succeeds();
        let gate = Self::cassgate(&stage);
        let lab = Self { ring, stage, gate };
        for node in 0..nodes {
            lab.create_pod(usize::from(node));
        }
        lab
    }

    fn cassgate(stage: &Stage) -> Gate {
        let kubeconfig = stage.servers.admin_kubeconfig().display().to_string();
        let gate = Gate::start_with_kubeconfig(&kubeconfig, &["--executor=cassgate"]);
        gate.wait_until_ready();
        gate
    }

    fn pod(node: usize) -> String {
        format!("c1-dc1-rack1-{node}")
    }

    fn create_pod(&self, node: usize) {
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "name": Self::pod(node),
                "labels": { "app": "cassandracluster", "cassandracluster": "c1" },
            },
            "spec": { "containers": [
                { "name": "cassandra", "image": "cassandra" },
                { "name": "backrest-sidecar", "image": "icarus" },
            ] },
        });
        self.stage.kubectl.apply(&pod.to_string()).succeeds();
        self.report(node, (0, 0));
    }

    /// What a kubelet reports of a pod whose containers, Cassandra and the sidecar, were restarted so often.
    fn report(&self, node: usize, (cassandra, sidecar): (u32, u32)) {
        let container = |name: &str, restarts: u32| {
            json!({
                "name": name, "image": "x", "imageID": "x", "ready": true, "restartCount": restarts,
                "containerID": format!("containerd://{name}-{node}-{restarts}"),
                "state": { "running": { "startedAt": "2026-11-22T00:00:00Z" } },
            })
        };
        let address = self.ring.address(node).to_string();
        let status = json!({ "status": {
            "phase": "Running", "podIP": address, "podIPs": [{ "ip": address }],
            "containerStatuses": [container("cassandra", cassandra), container("backrest-sidecar", sidecar)],
        } });
        let pod = Self::pod(node);
        let patch = status.to_string();
        let arguments = [
            "patch",
            "pod",
            &pod,
            "--subresource=status",
            "--type=merge",
            "-p",
            &patch,
        ];
        self.stage.kubectl.run(&arguments).succeeds();
    }

    fn backup(&self, name: &str, more: &str) {
        let location = self.ring.store();
        let manifest = format!(
            "apiVersion: db.orange.com/v2\nkind: CassandraBackup\nmetadata: {{name: {name}}}\nspec:\n  \
             cassandraCluster: c1\n  storageLocation: {location}\n  snapshotTag: {name}\n{more}"
        );
        self.stage.kubectl.apply(&manifest).succeeds();
    }

    fn restore(&self, name: &str, backup: &str, more: &str) {
        let manifest = format!(
            "apiVersion: db.orange.com/v2\nkind: CassandraRestore\nmetadata: {{name: {name}}}\nspec:\n  \
             cassandraCluster: c1\n  cassandraBackup: {backup}\n{more}"
        );
        self.stage.kubectl.apply(&manifest).succeeds();
    }

    /// Waits until this holds of an object.
    fn waits(&self, kind: &str, name: &str, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        loop {
            let object = self.stage.kubectl.get(kind, name);
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

    fn is(&self, kind: &str, name: &str, state: &str) -> Value {
        self.waits(kind, name, state, |status| status["condition"]["type"] == state)
    }

    fn is_in(&self, restore: &str, phase: &str) {
        self.waits("cassandrarestore", restore, phase, |status| {
            status["phase"] == phase
        });
    }

    fn keys(&self, table: &str) -> BTreeSet<u32> {
        cql::keys(self.ring.address(0), table)
    }
}

fn keys(range: std::ops::Range<u32>) -> BTreeSet<u32> {
    range.collect()
}

#[test]
fn rows_come_back_whole_in_part_and_under_another_name() {
    let lab = Lab::new(2);
    let cassandra = lab.ring.address(0);
    cql::create(cassandra, &[("k1", 1), ("k2", 2)]);
    cql::insert(cassandra, &TABLES, 0..100);
    lab.backup("nightly", "  entities: k1,k2\n");
    let done = lab.is("cassandrabackup", "nightly", "COMPLETED");
    assert_eq!(done["status"]["nodes"].as_array().unwrap().len(), 2);

    cql::insert(cassandra, &TABLES, 100..150);
    lab.restore("whole", "nightly", "");
    lab.is("cassandrarestore", "whole", "COMPLETED");
    for table in TABLES {
        assert_eq!(lab.keys(table), keys(0..100), "{table}");
    }

    cql::insert(cassandra, &TABLES, 100..150);
    lab.backup("tables", "  entities: k1.t1,k1.t2,k2.t1\n");
    lab.is("cassandrabackup", "tables", "COMPLETED");
    cql::insert(cassandra, &TABLES, 150..160);
    lab.restore("part", "tables", "  entities: k1.t1\n");
    lab.is("cassandrarestore", "part", "COMPLETED");
    assert_eq!(lab.keys("k1.t1"), keys(0..150));
    for table in &TABLES[1..] {
        assert_eq!(lab.keys(table), keys(0..160), "{table}");
    }

    lab.restore(
        "renamed",
        "tables",
        "  entities: k1.t2\n  rename: {k1.t2: k2.t2}\n",
    );
    lab.is("cassandrarestore", "renamed", "COMPLETED");
    assert_eq!(lab.keys("k2.t2"), keys(0..150));
    assert_eq!(lab.keys("k1.t2"), keys(0..160));
}

#[test]
fn the_death_of_cassgate_after_the_emptying_and_of_a_sidecar_in_the_import_costs_no_row() {
    let mut lab = Lab::new(2);
    let cassandra = lab.ring.address(0);
    cql::create(cassandra, &[("k1", 1), ("k2", 2)]);
    cql::insert(cassandra, &TABLES, 0..100);
    lab.backup("nightly", "  entities: k1,k2\n");
    lab.is("cassandrabackup", "nightly", "COMPLETED");
    cql::insert(cassandra, &TABLES, 100..150);

    lab.restore("monday", "nightly", "");
    lab.is_in("monday", "TRUNCATE");
    // Killed: it releases no lease and ends nothing.
    let fresh = Lab::cassgate(&lab.stage);
    drop(std::mem::replace(&mut lab.gate, fresh));
    lab.is_in("monday", "IMPORT");
    lab.ring.node(1).kill_sidecar();
    lab.ring.node(1).start_sidecar();
    lab.report(1, (0, 1));
    let done = lab.is("cassandrarestore", "monday", "COMPLETED");
    assert!(
        done["status"]["truncation"]["rounds"].as_i64().unwrap() > 1,
        "{:#}",
        done["status"]
    );
    for table in TABLES {
        assert_eq!(lab.keys(table), keys(0..100), "{table}");
    }
}
