//! Restores into a ring that is not the one of the backup.

use super::harness::RestoreRun;
use super::world::{Rows, host_id};
use crate::api::{RestoreNode, RunNode};

fn pod(index: usize) -> String {
    format!("c1-dc1-rack1-{index}")
}

/// Returns the part of a node of the backup that ran in the pod of the same number.
fn part(index: usize) -> RunNode {
    RunNode {
        host_id: host_id(index),
        datacenter: Some("dc1".to_owned()),
        pod: Some(pod(index)),
    }
}

/// Returns a restore into a ring of `nodes`, of a backup that has the parts of these nodes.
fn restore_of(parts: &[usize], nodes: usize) -> RestoreRun {
    let mut run = RestoreRun::new(nodes);
    let source = run.inputs.source.as_mut().unwrap();
    source.nodes = parts.iter().map(|index| part(*index)).collect();
    run
}

/// Finishes a restore that must end before it sends anything. Returns reason and message.
fn refused(mut run: RestoreRun) -> (RestoreRun, String, String) {
    run.finish();
    assert_eq!(run.state(), "FAILED");
    assert_eq!(run.world.arrived, [], "nothing was sent");
    assert!(run.rows().iter().all(|rows| *rows == Rows::Users));
    assert_eq!(run.event_reasons(), ["RestoreFailed"]);
    assert_eq!(run.object.metadata.finalizers, None);
    let (reason, message) = run.reason("Failed").unwrap();
    (run, reason, message)
}

#[test]
fn a_node_of_the_backup_that_left_the_ring_ends_the_restore_before_anything_is_sent() {
    let (run, reason, message) = refused(restore_of(&[0, 1, 2], 2));
    assert_eq!(reason, "RingChanged");
    assert_eq!(
        message,
        format!(
            "1 of 3 nodes of the backup is not in the ring, and their rows would not come back: {} (then {}); if another \
             node has the same tokens, name its pod in spec.nodes of a new restore (hostId: the one of the backup, pod: \
             the one of today); an entry without pod leaves the part out, which needs the confirmation \
             restore-incomplete; no table was touched; fix the cause and create the restore again under another name",
            host_id(2),
            pod(2)
        )
    );
    assert_eq!(run.status().proposed_nodes, Vec::<RestoreNode>::new());
    assert_eq!(run.status().source.unwrap().nodes.len(), 3);
}

#[test]
fn a_node_that_is_younger_than_the_backup_ends_the_restore_before_anything_is_sent() {
    let (_, reason, message) = refused(restore_of(&[0, 1], 3));
    assert_eq!(reason, "NodeNotInBackup");
    assert_eq!(
        message,
        format!(
            "the backup has no part for nodes of the ring, which are younger than the backup or were left out of it: {} \
             ({}); decommission them and restore again, or, if one replaced a node of the backup, name its pod in \
             spec.nodes of a new restore; no table was touched; fix the cause and create the restore again under another \
             name",
            pod(2),
            host_id(2)
        )
    );
}
