//! The records of ended runs, and the bounds of the history.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use proptest::prelude::*;

use super::harness::BackupRun;
use crate::api::{
    BackupStatus, CassandraBackup, CassandraBackupSpec, NodeStatus, PastRun, RetentionStatus, RunNode,
    RunRing,
};
use crate::domain::resolved_tag::ResolvedTag;
use crate::reconcile::plan::history::{drop_unused, record_end};

const SCHEMA: &str = "168d568b-d346-3f61-968f-a2716307a6e4";

/// Returns the first `count` nodes of ring `ring`: each ring has another first node.
pub(super) fn nodes(count: usize, ring: usize) -> Vec<RunNode> {
    let node = |index: usize| {
        let host = if index == 0 { 1_000_000 + ring } else { index };
        RunNode {
            host_id: format!("6f2b0c4e-93d1-4a7e-8f10-{host:012}"),
            datacenter: Some("europe-west1".to_owned()),
            pod: Some(format!("cassandra-production-europe-west1-rack1-{index}")),
        }
    };
    let mut nodes: Vec<_> = (0..count).map(node).collect();
    nodes.sort();
    nodes
}

fn past(number: usize, outcome: &str) -> PastRun {
    PastRun {
        snapshot: format!(
            "nightly-{SCHEMA}-{}",
            1_795_383_523_776_i64 + i64::try_from(number).unwrap()
        ),
        outcome: outcome.to_owned(),
        storage_location: Some("s3://company-cassandra-production-backups".to_owned()),
        started: Some(Time("2028-02-29T10:00:00Z".parse().unwrap())),
        completed: Some(Time("2028-02-29T11:00:00Z".parse().unwrap())),
        size: Some(1_234_567_890_123),
        cassandra_cluster: Some("cassandra-production".to_owned()),
        cluster_name: Some("cassandra-production".to_owned()),
        schema_version: Some(SCHEMA.to_owned()),
        ..PastRun::default()
    }
}

#[test]
fn the_history_is_bounded_and_keeps_the_newest_completed_run() {
    let mut status = BackupStatus::default();
    for number in 0..100 {
        let outcome = if number == 3 || number == 5 {
            "COMPLETED"
        } else {
            "FAILED"
        };
        let run = PastRun {
            snapshot: number.to_string(),
            outcome: outcome.to_owned(),
            ..PastRun::default()
        };
        record_end(&mut status, run, Vec::new(), false);
        assert_eq!(status.history[0].snapshot, number.to_string());
        assert!(status.history.len() <= 20);
    }
    assert_eq!(status.history.len(), 20);
    assert_eq!(
        (
            status.history[18].snapshot.as_str(),
            status.history[19].snapshot.as_str()
        ),
        ("81", "5")
    );
}

#[test]
fn with_retention_the_history_keeps_every_run_that_may_still_be_removed() {
    let mut status = BackupStatus::default();
    for number in 0..1000 {
        let run = PastRun {
            snapshot: number.to_string(),
            outcome: "COMPLETED".to_owned(),
            ..PastRun::default()
        };
        record_end(&mut status, run, Vec::new(), true);
    }
    assert_eq!(
        (status.history.len(), status.history[399].snapshot.as_str()),
        (400, "600")
    );
    record_end(&mut status, PastRun::default(), Vec::new(), false);
    assert_eq!(
        status.history.len(),
        20,
        "who no longer asks has the short one again"
    );
}

#[test]
fn a_run_records_what_it_covered() {
    let mut run = BackupRun::new(2);
    run.object.spec.entities = Some("k1.t1".to_owned());
    run.object.spec.datacenter = Some("dc1".to_owned());
    run.until(|run| !run.status().common.nodes.is_empty());
    // An edit of the spec belongs to the next run.
    run.object.spec.entities = None;
    run.object.spec.cassandra_cluster = "c2".to_owned();
    run.finish();
    let status = run.status();
    let past = &status.history[0];
    assert_eq!(past.cassandra_cluster.as_deref(), Some("c1"));
    assert_eq!(past.cluster_name, status.common.cluster_name);
    assert!(past.cluster_name.is_some());
    assert_eq!(past.datacenter.as_deref(), Some("dc1"));
    assert_eq!(past.entities.as_deref(), Some("k1.t1"));
    assert_eq!(past.schema_version.as_deref(), Some(SCHEMA));
    let time = ResolvedTag::parse(&past.snapshot).unwrap().time().unwrap();
    assert_eq!(past.ring, Some(time.as_millisecond()));
    let [ring] = status.rings.as_slice() else {
        panic!("one ring: {:?}", status.rings)
    };
    assert_eq!(Some(ring.id), past.ring);
    let nodes: Vec<_> = ring
        .nodes
        .iter()
        .map(|node| {
            (
                node.host_id.as_str(),
                node.datacenter.as_deref(),
                node.pod.as_deref(),
            )
        })
        .collect();
    let expected = [
        (
            "9da86270-7a5c-4a0b-9e9b-000000000000",
            Some("dc1"),
            Some("c1-dc1-rack1-0"),
        ),
        (
            "9da86270-7a5c-4a0b-9e9b-000000000001",
            Some("dc1"),
            Some("c1-dc1-rack1-1"),
        ),
    ];
    assert_eq!(nodes, expected);
    assert_eq!(past.size, Some(past.node_bytes.iter().sum()));
    assert_eq!((past.node_bytes.len(), past.node_files.len()), (2, 2));
    assert!(past.node_files.iter().all(|files| *files > 0));
}

#[test]
fn runs_on_the_same_nodes_share_one_ring_whose_id_is_not_reused() {
    let mut status = BackupStatus::default();
    let mut rings_seen = Vec::new();
    for (number, ring) in [1, 1, 2, 1, 3].into_iter().enumerate() {
        record_end(&mut status, past(number, "COMPLETED"), nodes(3, ring), false);
        rings_seen.push(status.history[0].ring.unwrap());
    }
    assert_eq!(status.rings.len(), 3);
    assert_eq!(rings_seen[0], rings_seen[1]);
    assert_eq!(rings_seen[0], rings_seen[3]);
    assert!(rings_seen[0] < rings_seen[2] && rings_seen[2] < rings_seen[4]);
    // The runs on the last two rings are removed.
    status.history.retain(|run| run.ring == Some(rings_seen[0]));
    drop_unused(&mut status);
    assert_eq!(status.rings.len(), 1);
    record_end(&mut status, past(9, "COMPLETED"), nodes(3, 4), false);
    assert!(
        status.history[0].ring.unwrap() > rings_seen[4],
        "the id is a new one"
    );
}

#[test]
fn the_ring_of_a_run_that_is_being_removed_stays_until_the_removal_is_over() {
    let mut status = BackupStatus::default();
    record_end(&mut status, past(0, "COMPLETED"), nodes(3, 0), true);
    record_end(&mut status, past(1, "COMPLETED"), nodes(3, 1), true);
    let removing = status.history.pop();
    status.retention = Some(Box::new(RetentionStatus {
        removing,
        ..RetentionStatus::default()
    }));
    record_end(&mut status, past(2, "COMPLETED"), nodes(3, 1), true);
    assert_eq!(status.rings.len(), 2);
    status.retention = None;
    drop_unused(&mut status);
    assert_eq!(status.rings.len(), 1);
    assert_eq!(Some(status.rings[0].id), status.history[0].ring);
}

#[test]
fn a_long_list_of_entities_stands_once() {
    let long: Vec<_> = (0..300)
        .map(|table| format!("keyspace_one.table_{table}"))
        .collect();
    let long = long.join(",");
    let mut status = BackupStatus::default();
    for number in 0..4 {
        let mut run = past(number, "COMPLETED");
        run.entities = Some(if number == 2 {
            "k1".to_owned()
        } else {
            long.clone()
        });
        record_end(&mut status, run, nodes(3, 0), false);
    }
    assert_eq!(status.entity_lists.len(), 1);
    let entities: Vec<_> = status
        .history
        .iter()
        .map(|run| status.record_of(run).unwrap().entities)
        .collect();
    assert_eq!(entities, [&long, "k1", &long, &long]);
    // A list that is lost is unknown. It is not everything.
    let mut lost = status.clone();
    lost.entity_lists = Vec::new();
    assert_eq!(lost.record_of(&lost.history[0]), None);
}

/// Returns the size of a whole object around this status, in bytes of JSON: a spec with a list of tables that kubectl
/// stores a second time, and the nodes of the last run and of a removal.
fn object_size(status: &BackupStatus, entities: &str, nodes: usize) -> usize {
    let mut status = status.clone();
    let node = |index: usize| NodeStatus {
        host_id: format!("6f2b0c4e-93d1-4a7e-8f10-{index:012}"),
        pod: Some(format!("cassandra-production-europe-west1-rack1-{index}")),
        datacenter: Some("europe-west1".to_owned()),
        phase: Some("BACKUP".to_owned()),
        operation: Some("d8bbb89e-1b2a-404d-b4b2-7a44f62eaf6c".to_owned()),
        state: Some("COMPLETED".to_owned()),
        progress: Some("100%".to_owned()),
        message: Some(
            "Failure detector of this node reports that 1 node(s) in a cluster are down!".to_owned(),
        ),
        bytes: Some(1_234_567_890_123),
        files: Some(12_345),
        ..NodeStatus::default()
    };
    status.common.nodes = (0..nodes).map(node).collect();
    status.retention = Some(Box::new(RetentionStatus {
        nodes: (0..nodes).map(node).collect(),
        ..RetentionStatus::default()
    }));
    let spec = CassandraBackupSpec {
        entities: Some(entities.to_owned()),
        ..CassandraBackupSpec::default()
    };
    status.run = Some(Box::new(spec.run()));
    let mut object = CassandraBackup::new("nightly", spec);
    object.status = Some(status);
    serde_json::to_vec(&object).unwrap().len() + entities.len()
}

/// Checks what holds for every history.
fn check(status: &BackupStatus) -> Result<(), TestCaseError> {
    for run in &status.history {
        if let Some(id) = run.ring {
            prop_assert!(status.rings.iter().any(|ring| ring.id == id), "ring {id}");
        }
        prop_assert!(status.record_of(run).is_some(), "{}", run.snapshot);
        prop_assert!(run.node_bytes.is_empty() || run.ring.is_some());
    }
    for ring in &status.rings {
        prop_assert!(status.history.iter().any(|run| run.ring == Some(ring.id)));
        prop_assert_eq!(status.rings.iter().filter(|other| other.id == ring.id).count(), 1);
    }
    let sized = status.history.iter().rposition(|run| !run.node_bytes.is_empty());
    prop_assert!(sized.is_none_or(|last| last < 20));
    if let Some(newest) = status.history.iter().find(|run| run.is_completed()) {
        prop_assert!(newest.ring.is_some(), "the newest completed run keeps its ring");
    }
    prop_assert!(status.history.len() <= 400);
    Ok(())
}

pub(super) fn sized(number: usize, outcome: &str, nodes: usize, entities: &str) -> PastRun {
    PastRun {
        entities: (!entities.is_empty()).then(|| entities.to_owned()),
        node_bytes: vec![1_234_567_890_123; nodes],
        node_files: vec![12_345; nodes],
        ..past(number, outcome)
    }
}

#[test]
fn four_hundred_runs_on_two_hundred_changing_nodes_stay_far_below_the_limit_of_etcd() {
    let long: Vec<_> = (0..260)
        .map(|table| format!("keyspace_one.table_{table:04}"))
        .collect();
    let long = long.join(",");
    assert!(long.len() > 6_000, "{}", long.len());
    let other = long.replace("keyspace_one", "keyspace_two");
    // Each run on another ring; on two rings in turn; on one ring. The last column: the runs whose ring is known.
    for (rings, lists, known) in [(usize::MAX, 1, 2..100), (2, 2, 400..401), (1, 1, 400..401)] {
        let mut status = BackupStatus::default();
        let record = |status: &mut BackupStatus, number: usize| {
            let entities = if number.is_multiple_of(lists) {
                &long
            } else {
                &other
            };
            let run = sized(number, "COMPLETED", 200, entities);
            record_end(status, run, nodes(200, number % rings), true);
        };
        record(&mut status, 0);
        record(&mut status, 1);
        // 390 runs as they would be without a bound.
        for number in 2..392 {
            let mut run = status.history[1].clone();
            run.snapshot = past(number, "").snapshot;
            if rings == usize::MAX {
                let id = i64::try_from(number).unwrap();
                status.rings.push(RunRing {
                    id,
                    nodes: nodes(200, number),
                });
                run.ring = Some(id);
            }
            status.history.insert(0, run);
        }
        for number in 392..412 {
            record(&mut status, number);
        }
        check(&status).unwrap();
        assert_eq!(status.history.len(), 400);
        let with_ring = status.history.iter().filter(|run| run.ring.is_some()).count();
        assert!(known.contains(&with_ring), "{with_ring}");
        let size = object_size(&status, &long, 200);
        assert!(size < 700 * 1024, "{size}");
    }
}

#[test]
fn a_new_list_of_entities_in_every_run_costs_the_oldest_runs_and_never_the_newest_completed_one() {
    let mut status = BackupStatus::default();
    for number in 0..40 {
        let outcome = if number == 5 { "COMPLETED" } else { "FAILED" };
        let entities = format!("k.t{number:05},").repeat(3_000);
        record_end(
            &mut status,
            sized(number, outcome, 3, &entities),
            nodes(3, number),
            true,
        );
        check(&status).unwrap();
    }
    assert!(
        status.history.len() > 5 && status.history.len() < 20,
        "{}",
        status.history.len()
    );
    let newest = status.history.last().unwrap();
    assert!(newest.is_completed());
    let record = status.record_of(newest).unwrap();
    assert!(
        record.entities.starts_with("k.t00005"),
        "{}",
        &record.entities[..20]
    );
    assert_eq!(record.nodes.len(), 3);
    assert!(object_size(&status, &"k.t1,".repeat(6_000), 200) < 700 * 1024);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn every_history_is_bounded_and_consistent(
        runs in prop::collection::vec((0_usize..30, 0_usize..6, 0_usize..3, any::<bool>()), 1..40),
        size in 1_usize..200,
        completed in 0_usize..40,
    ) {
        let mut status = BackupStatus::default();
        for (number, (ring, list, outcome, retention)) in runs.into_iter().enumerate() {
            let outcome = if number == completed { "COMPLETED" } else { ["FAILED", "PARTIAL", "CANCELLED"][outcome] };
            let entities = format!("keyspace_{list}.table,").repeat(list * 250);
            record_end(&mut status, sized(number, outcome, size, &entities), nodes(size, ring), retention);
            prop_assert!(number < completed || status.history.iter().any(PastRun::is_completed));
        }
        check(&status)?;
        prop_assert!(object_size(&status, "", size) < 700 * 1024);
    }
}
