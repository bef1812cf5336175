//! What dies in the middle of a restore costs no row.

use std::fs;

use crate::kube::until;
use crate::lab::Lab;

/// A lab with a backup of the keys 0 to 99, and 50 rows more in every table.
fn lab() -> Lab {
    let lab = Lab::new();
    lab.backup("nightly", "  entities: k1,k2\n");
    lab.is("cassandrabackup", "nightly", "COMPLETED");
    lab.insert(100..150);
    lab
}

/// The restore comes to its end, has emptied the tables more than once, and every row is back.
#[track_caller]
fn ends_after_another_emptying(lab: &Lab) {
    let done = lab.is("cassandrarestore", "monday", "COMPLETED");
    let rounds = done["status"]["truncation"]["rounds"].as_i64().unwrap();
    assert!(rounds > 1, "{:#}", done["status"]);
    lab.holds(0..100);
}

#[test]
fn the_death_of_cassgate_after_the_emptying_and_of_a_sidecar_in_the_import_costs_no_row() {
    let mut lab = lab();
    lab.restore("monday", "nightly", "");
    lab.is_in("monday", "TRUNCATE");
    lab.kill_cassgate();
    lab.is_in("monday", "IMPORT");
    lab.ring.node(1).kill_sidecar();
    lab.ring.node(1).start_sidecar();
    lab.report(1, (0, 1));
    ends_after_another_emptying(&lab);
}

#[test]
fn the_death_of_a_sidecar_in_the_download_and_of_cassandra_after_the_emptying_costs_no_row() {
    let mut lab = lab();
    lab.restore("monday", "nightly", "");
    lab.is_in("monday", "DOWNLOAD");
    let uid = lab.stage.kubectl.get("cassandrarestore", "monday")["metadata"]["uid"].clone();
    let source = format!("/var/lib/cassandra/cassgate-restore-{}", uid.as_str().unwrap());
    let downloads = lab.ring.node(1).path(&source);
    until("a file is there", || {
        fs::read_dir(&downloads).map_or(0, Iterator::count) > 0
    });
    lab.ring.node(1).kill_sidecar();
    let struck = lab.stage.kubectl.get("cassandrarestore", "monday");
    assert_eq!(struck["status"]["phase"], "DOWNLOAD");
    lab.holds(0..150);
    lab.ring.node(1).start_sidecar();
    lab.report(1, (0, 1));

    // The tables are empty, and nothing is in them yet.
    lab.is_in("monday", "IMPORT");
    lab.ring.node(1).kill_cassandra();
    lab.ring.node(1).start_cassandra();
    lab.report(1, (1, 1));
    ends_after_another_emptying(&lab);
}
