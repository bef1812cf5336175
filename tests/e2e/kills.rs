//! A process that is killed during a backup or a restore loses no row.

use std::fs;

use serde_json::Value;

use crate::kube::until;
use crate::lab::{Lab, node_of};
use crate::support::ring::Pace;

/// Set to any value to kill in every phase, each in its own restore, and during the backup, as `make soak-nodes`
/// does. Otherwise each test kills in a few phases of one restore.
const ALL: &str = "CASSGATE_TEST_ALL_KILLS";

/// The phases that last longer than one observation.
const PHASES: [&str; 4] = ["DOWNLOAD", "TRUNCATE", "IMPORT", "CLEANUP"];

/// The process that is killed.
#[derive(Clone, Copy, PartialEq)]
enum Process {
    Cassgate,
    Sidecar,
    Cassandra,
}

struct KillTest {
    lab: Lab,
    party: Process,
}

impl KillTest {
    /// Kills the process in these phases of a restore, which must complete.
    fn restore(&mut self, name: &str, phases: &[&str]) {
        self.lab.insert(100..150);
        self.lab.restore(name, "nightly", "");
        for phase in phases {
            let restore = self.wait_for_phase(name, phase);
            if *phase == "DOWNLOAD" {
                self.wait_for_download(&restore["metadata"]["uid"]);
            }
            eprintln!("restore {name}: strikes in {phase}");
            self.kill(target(&restore["status"]));
            if *phase == "DOWNLOAD" {
                let struck = self.lab.get("cassandrarestore", name);
                assert_eq!(struck["status"]["truncation"], Value::Null, "{struck:#}");
            }
        }
        let done = self.lab.is("cassandrarestore", name, "COMPLETED");
        let rounds = done["status"]["truncation"]["rounds"].as_i64().unwrap();
        let again = phases.iter().any(|phase| ["TRUNCATE", "IMPORT"].contains(phase));
        if again && self.party != Process::Cassgate {
            assert!(rounds > 1, "{:#}", done["status"]);
        }
        self.lab.holds(0..100);
    }

    /// Waits until a request of this phase is sent to the node that will be hit.
    fn wait_for_phase(&self, restore: &str, phase: &str) -> Value {
        self.lab.waits("cassandrarestore", restore, phase, |status| {
            let node = node_of(status, target(status));
            status["phase"] == phase && node["phase"] == phase && !node["operation"].is_null()
        })
    }

    /// Waits until the first file of a restore is on the node that will be hit.
    fn wait_for_download(&mut self, uid: &Value) {
        let source = format!("/var/lib/cassandra/cassgate-restore-{}", uid.as_str().unwrap());
        let downloads = self.lab.ring.node(1).path(&source);
        until("a file is there", || {
            fs::read_dir(&downloads).map_or(0, Iterator::count) > 0
        });
    }

    fn kill(&mut self, node: usize) {
        match self.party {
            Process::Cassgate => self.lab.kill_cassgate(),
            Process::Sidecar => self.lab.kill_sidecar(node),
            Process::Cassandra => self.lab.kill_cassandra(node),
        }
    }
}

/// Returns the node that is hit: the one that runs TRUNCATE, otherwise the last one.
fn target(status: &Value) -> usize {
    let emptier = &status["truncation"]["hostId"];
    let nodes = status["nodes"].as_array();
    let emptier = nodes
        .filter(|_| status["phase"] == "TRUNCATE")
        .and_then(|nodes| nodes.iter().find(|node| node["hostId"] == *emptier));
    emptier.map_or(1, |node| {
        let pod = node["pod"].as_str().unwrap();
        pod.rsplit('-').next().unwrap().parse().unwrap()
    })
}

/// Runs a backup and restores during which the process is killed.
fn run(party: Process, phases: &[&str]) {
    let all = std::env::var_os(ALL).is_some();
    let mut siege = KillTest {
        lab: Lab::new(Pace::AsIcarus),
        party,
    };
    siege.lab.backup("nightly", "  entities: k1,k2\n");
    if all {
        siege
            .lab
            .waits("cassandrabackup", "nightly", "under way", |status| {
                !node_of(status, 1)["operation"].is_null()
            });
        eprintln!("backup nightly: strikes");
        siege.kill(1);
    }
    siege.lab.is("cassandrabackup", "nightly", "COMPLETED");
    if !all {
        return siege.restore("monday", phases);
    }
    for phase in PHASES {
        siege.restore(&phase.to_lowercase(), &[phase]);
    }
}

#[test]
fn killing_cassgate_after_truncate_loses_no_row() {
    run(Process::Cassgate, &["TRUNCATE"]);
}

#[test]
fn killing_a_sidecar_during_download_and_import_loses_no_row() {
    run(Process::Sidecar, &["DOWNLOAD", "IMPORT"]);
}

#[test]
fn killing_cassandra_between_truncate_and_import_loses_no_row() {
    run(Process::Cassandra, &["IMPORT"]);
}
