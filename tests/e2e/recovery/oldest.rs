//! The oldest sidecar, CassKop's default, on the Cassandra that it can read.

use super::even;
use crate::lab::Lab;
use crate::support::cql;
use crate::support::ring::{Generation, RingSettings};

#[test]
fn the_engine_of_icarus_1_restores_all_rows_and_empties_nothing_of_a_ring_that_shrank() {
    let mut lab = Lab::with(RingSettings {
        generation: Generation::Icarus1,
        ..even(2)
    });
    lab.create_tables();
    // The folder of a dropped table stops a TRUNCATE of Icarus 2.0.4.
    let dropped = ["create table k1.old (id int primary key)", "drop table k1.old"];
    cql::run(lab.ring.address(0), &dropped);
    lab.backup("nightly", "  entities: k1,k2\n");
    let backup = lab.is("cassandrabackup", "nightly", "COMPLETED");
    assert_eq!(backup["status"]["nodes"].as_array().unwrap().len(), 2);

    lab.insert(100..150);
    lab.restore("whole", "nightly", "");
    lab.is("cassandrarestore", "whole", "COMPLETED");
    lab.holds(0..100);

    lab.insert(100..150);
    let lost = lab.host_id(1);
    lab.decommission_last_node();
    lab.restore("shrunk", "nightly", "");
    let (reason, message) = lab.fails("cassandrarestore", "shrunk");
    assert_eq!(reason, "RingChanged", "{message}");
    assert!(message.contains(&lost), "{message}");
    // k2 has two replicas, and every read asks all of them.
    lab.hold(&["k1.t1", "k1.t2"], 0..150);
}
