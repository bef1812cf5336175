//! The size of a whole status, however many nodes report errors.

use proptest::prelude::*;

use super::harness::BackupRun;
use super::history::{nodes, sized};
use crate::api::{
    BackRestCondition, BackupStatus, CassandraBackupSpec, FailureCause, NodeStatus, RestoreStatus,
    RetentionStatus,
};
use crate::reconcile::plan::Phase;
use crate::reconcile::plan::conflict::RunStatus;
use crate::reconcile::plan::history::record_end;

const MAX_BYTES: usize = 400 * 1024;

fn size(status: &impl serde::Serialize) -> usize {
    serde_json::to_vec(status).unwrap().len()
}

fn id(node: usize, number: usize) -> String {
    format!("d8bbb89e-1b2a-404d-b4b2-{node:06}{number:06}")
}

/// Returns the status of a node after many failures with this error.
fn failing(index: usize, error: &str, operations: usize) -> NodeStatus {
    NodeStatus {
        host_id: format!("6f2b0c4e-93d1-4a7e-8f10-{index:012}"),
        pod: Some(format!("cassandra-production-europe-west1-rack1-{index}")),
        datacenter: Some("europe-west1".to_owned()),
        phase: Some("BACKUP".to_owned()),
        operation: Some(id(index, operations)),
        past_operations: (0..operations).map(|number| id(index, number)).collect(),
        state: Some("FAILED".to_owned()),
        progress: Some("100%".to_owned()),
        message: Some(error.to_owned()),
        proof_error: Some(error.to_owned()),
        attempts: Some(65),
        bytes: Some(1_234_567_890_123),
        files: Some(12_345),
        ..NodeStatus::default()
    }
}

/// Returns a status with this many runs, of which every other node reports the error.
fn full(runs: usize, count: usize, error: &str, operations: usize) -> BackupStatus {
    let mut status = BackupStatus::default();
    let entities = "keyspace_one.table_0001,".repeat(250);
    for number in 0..runs {
        let run = sized(number, "COMPLETED", count, &entities);
        record_end(&mut status, run, nodes(count, number / 200), true);
    }
    let spec = CassandraBackupSpec {
        entities: Some(entities),
        ..CassandraBackupSpec::default()
    };
    status.run = Some(Box::new(spec.run()));
    status.common.nodes = (0..count)
        .map(|index| failing(index, error, operations))
        .collect();
    let causes = status.common.nodes.iter().map(|node| FailureCause {
        source: node.pod.clone(),
        message: node.message.clone(),
    });
    status.common.condition = Some(BackRestCondition {
        type_: "FAILED".to_owned(),
        failure_cause: causes.collect(),
        ..BackRestCondition::default()
    });
    // A removal has reached its last node.
    let removed = |node: &NodeStatus| NodeStatus {
        host_id: node.host_id.clone(),
        pod: node.pod.clone(),
        datacenter: node.datacenter.clone(),
        phase: Some("REMOVE".to_owned()),
        state: Some("COMPLETED".to_owned()),
        progress: Some("100%".to_owned()),
        attempts: Some(1),
        operation: Some(id(0, 0)),
        ..NodeStatus::default()
    };
    let mut removal: Vec<_> = status.common.nodes.iter().map(removed).collect();
    removal[count - 1] = failing(count - 1, error, operations);
    status.retention = Some(Box::new(RetentionStatus {
        nodes: removal,
        ..RetentionStatus::default()
    }));
    status
}

#[test]
fn two_hundred_failing_nodes_and_four_hundred_runs_fit() {
    let mut status = full(400, 200, &"é".repeat(500), 64);
    assert!(size(&status) > 2 * MAX_BYTES);
    status.fit();
    assert!(size(&status) <= MAX_BYTES, "{}", size(&status));
    // Runs are worth more than the ends of errors.
    assert!(status.history.len() > 250, "{}", status.history.len());
    let newest = &status.history[0];
    let ring = status.rings.iter().find(|ring| Some(ring.id) == newest.ring);
    assert_eq!(ring.unwrap().nodes.len(), 200);
    for (index, node) in status.common.nodes.iter().enumerate() {
        assert!(node.message.as_ref().unwrap().starts_with("ééééé"));
        assert_eq!(
            node.past_operations.last(),
            Some(&id(index, 63)),
            "the newest stays"
        );
    }
    let fitted = status.clone();
    status.fit();
    assert_eq!(status, fitted, "a status that fits does not change");
}

#[test]
fn the_errors_of_a_few_nodes_stay_whole() {
    let mut status = full(3, 200, "", 0);
    let error = "Unable to upload some files successfully: ".repeat(12);
    for node in status.common.nodes.iter_mut().take(20) {
        node.message = Some(error.clone());
    }
    let before = status.clone();
    status.fit();
    assert_eq!(status.common, before.common);
}

#[test]
fn every_status_of_a_run_that_fails_on_two_hundred_nodes_fits() {
    let error: &'static str = "Unable to upload some files successfully: ".repeat(20).leak();
    let mut run = BackupRun::new(200);
    let filled = full(400, 200, "", 0);
    run.object.status = Some(BackupStatus {
        history: filled.history,
        rings: filled.rings,
        entity_lists: filled.entity_lists,
        ..BackupStatus::default()
    });
    run.world.failing = Some((Phase::Backup, error, 100_000));
    for _ in 0..200 {
        let actions = run.step();
        assert!(size(&actions.status) <= MAX_BYTES, "{}", size(&actions.status));
        assert!(size(&run.status()) <= MAX_BYTES, "{}", size(&run.status()));
        if run.status().common.is_terminal() {
            break;
        }
        let after = actions.requeue_after.unwrap_or_default();
        run.world.advance(after.max(jiff::SignedDuration::from_secs(1)));
    }
    assert_eq!(run.state(), "FAILED");
}

#[test]
fn the_status_of_a_restore_fits() {
    let mut status = RestoreStatus::default();
    status.common.nodes = (0..200)
        .map(|index| failing(index, &"é".repeat(500), 64))
        .collect();
    status.fit();
    assert!(size(&status) <= MAX_BYTES, "{}", size(&status));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn every_status_fits(
        runs in 1_usize..60,
        count in 1_usize..=200,
        error in ".{0,500}",
        operations in 0_usize..65,
    ) {
        let mut status = full(runs, count, &error, operations);
        status.fit();
        prop_assert!(size(&status) <= MAX_BYTES, "{}", size(&status));
        prop_assert!(status.history[0].ring.is_some());
    }
}
