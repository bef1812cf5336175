//! What dies in the middle of a backup or a restore costs no row.

use std::fs;

use serde_json::Value;

use crate::kube::until;
use crate::lab::{Lab, node_of};
use crate::support::ring::Pace;

/// Set to anything: every phase is struck, each in a restore of its own, and the backup as well, as `make soak-nodes`
/// does. Else those that `make e2e` is for, all of a test in one restore.
const ALL: &str = "CASSGATE_TEST_ALL_KILLS";

/// What a restore goes through and takes longer than a look at it.
const PHASES: [&str; 4] = ["DOWNLOAD", "TRUNCATE", "IMPORT", "CLEANUP"];

/// Who dies.
#[derive(Clone, Copy, PartialEq)]
enum Party {
    Cassgate,
    Sidecar,
    Cassandra,
}

struct Siege {
    lab: Lab,
    party: Party,
    /// How often the containers of each node were restarted: Cassandra, the sidecar.
    restarts: [(u32, u32); 2],
}

impl Siege {
    /// Lets the party die in these phases of a restore, which comes to its end all the same.
    fn restore(&mut self, name: &str, phases: &[&str]) {
        self.lab.insert(100..150);
        self.lab.restore(name, "nightly", "");
        for phase in phases {
            let restore = self.comes_to(name, phase);
            if *phase == "DOWNLOAD" {
                self.has_downloaded(&restore["metadata"]["uid"]);
            }
            eprintln!("restore {name}: strikes in {phase}");
            self.strike(victim(&restore["status"]));
            if *phase == "DOWNLOAD" {
                let struck = self.lab.get("cassandrarestore", name);
                assert_eq!(struck["status"]["truncation"], Value::Null, "{struck:#}");
            }
        }
        let done = self.lab.is("cassandrarestore", name, "COMPLETED");
        let rounds = done["status"]["truncation"]["rounds"].as_i64().unwrap();
        let again = phases.iter().any(|phase| ["TRUNCATE", "IMPORT"].contains(phase));
        if again && self.party != Party::Cassgate {
            assert!(rounds > 1, "{:#}", done["status"]);
        }
        self.lab.holds(0..100);
    }

    /// Waits until a request of this phase is on its way on the node that is to be struck.
    fn comes_to(&self, restore: &str, phase: &str) -> Value {
        self.lab.waits("cassandrarestore", restore, phase, |status| {
            let node = node_of(status, victim(status));
            status["phase"] == phase && node["phase"] == phase && !node["operation"].is_null()
        })
    }

    /// Waits until the first file of a restore is on the node that is to be struck.
    fn has_downloaded(&mut self, uid: &Value) {
        let source = format!("/var/lib/cassandra/cassgate-restore-{}", uid.as_str().unwrap());
        let downloads = self.lab.ring.node(1).path(&source);
        until("a file is there", || {
            fs::read_dir(&downloads).map_or(0, Iterator::count) > 0
        });
    }

    fn strike(&mut self, node: usize) {
        let at = self.lab.ring.node(node);
        let (cassandra, sidecar) = &mut self.restarts[node];
        match self.party {
            Party::Cassgate => return self.lab.kill_cassgate(),
            Party::Sidecar => {
                at.kill_sidecar();
                at.start_sidecar();
                *sidecar += 1;
            }
            Party::Cassandra => {
                at.kill_cassandra();
                at.start_cassandra();
                *cassandra += 1;
            }
        }
        self.lab.report(node, self.restarts[node]);
    }
}

/// The node that is struck: where the tables are being emptied the one that does it, else the last one.
fn victim(status: &Value) -> usize {
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

/// A backup and restores in which the party dies.
fn dies(party: Party, phases: &[&str]) {
    let all = std::env::var_os(ALL).is_some();
    let mut siege = Siege {
        lab: Lab::new(Pace::AsIcarus),
        party,
        restarts: [(0, 0); 2],
    };
    siege.lab.backup("nightly", "  entities: k1,k2\n");
    if all {
        siege
            .lab
            .waits("cassandrabackup", "nightly", "under way", |status| {
                !node_of(status, 1)["operation"].is_null()
            });
        eprintln!("backup nightly: strikes");
        siege.strike(1);
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
    dies(Party::Cassgate, &["TRUNCATE"]);
}

#[test]
fn killing_a_sidecar_during_download_and_import_loses_no_row() {
    dies(Party::Sidecar, &["DOWNLOAD", "IMPORT"]);
}

#[test]
fn killing_cassandra_between_truncate_and_import_loses_no_row() {
    dies(Party::Cassandra, &["IMPORT"]);
}
