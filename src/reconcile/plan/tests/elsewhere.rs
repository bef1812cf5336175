//! Files that another backup to the same directory may have left cut short.

use super::harness::BackupRun;
use crate::api::{BackRestCondition, BackupStatus, CassandraBackup, CassandraBackupSpec, NodeStatus};
use crate::reconcile::plan::backup::elsewhere::unproven_parts;
use crate::reconcile::plan::{Phase, UnprovenPart};

const LOCATION: &str = "file:///backups/bucket/c/d/n";

fn part(location: &str, host_id: Option<&str>) -> UnprovenPart {
    UnprovenPart {
        storage_location: location.to_owned(),
        host_id: host_id.map(ToOwned::to_owned),
    }
}

#[test]
fn a_backup_proves_the_parts_that_another_backup_to_its_directory_may_have_left_cut_short() {
    let first = BackupRun::new(2).world.nodes[0].host.clone();
    for (location, found, proofs) in [
        (LOCATION, vec![], 0),
        (LOCATION, vec![part(LOCATION, Some(&first))], 1),
        (LOCATION, vec![part(LOCATION, None)], 2),
        (LOCATION, vec![part("file:///backups/other/c/d/n", None)], 0),
        (LOCATION, vec![part(LOCATION, Some("another node"))], 0),
        ("s3://bucket", vec![part("s3://bucket", None)], 0),
    ] {
        let mut run = BackupRun::new(2);
        run.object.spec.storage_location = location.to_owned();
        run.world.unproven_elsewhere = found;
        run.finish();
        assert_eq!(run.state(), "COMPLETED");
        let downloads = run.world.counts().get(&Phase::Download).copied();
        assert_eq!(
            downloads.unwrap_or(0),
            proofs,
            "{:?}",
            run.world.unproven_elsewhere
        );
    }
}

/// Returns a backup of cluster `c1` with a status of this type and these nodes: host id, state, and `unproven`.
fn backup(name: &str, state: Option<&str>, nodes: &[(&str, Option<&str>, Option<bool>)]) -> CassandraBackup {
    let spec = CassandraBackupSpec {
        cassandra_cluster: "c1".to_owned(),
        storage_location: LOCATION.to_owned(),
        ..CassandraBackupSpec::default()
    };
    let mut backup = CassandraBackup::new(name, spec);
    let mut status = BackupStatus::default();
    status.common.condition = state.map(|state| BackRestCondition {
        type_: state.to_owned(),
        ..BackRestCondition::default()
    });
    status.common.nodes = nodes
        .iter()
        .map(|(host_id, state, unproven)| NodeStatus {
            host_id: (*host_id).to_owned(),
            state: state.map(ToOwned::to_owned),
            sent: state.and_then(|_| serde_json::from_str("\"2028-02-29T10:00:00Z\"").ok()),
            unproven: *unproven,
            ..NodeStatus::default()
        })
        .collect();
    backup.status = Some(status);
    backup
}

#[test]
fn only_parts_of_runs_that_did_not_complete_may_be_cut_short() {
    let mut of_casskop = backup("of-casskop", Some("FAILED"), &[]);
    if let Some(status) = &mut of_casskop.status {
        status.common.id = Some("id".to_owned());
    }
    let backups = [
        backup("new", None, &[]),
        backup("waiting", Some("PENDING"), &[]),
        backup("good", Some("COMPLETED"), &[("a", Some("COMPLETED"), None)]),
        backup(
            "interrupted",
            Some("FAILED"),
            &[
                ("b", Some("COMPLETED"), None),
                ("c", Some("COMPLETED"), Some(true)),
                ("d", Some("RUNNING"), None),
                ("e", None, None),
            ],
        ),
        of_casskop,
        backup("own", Some("FAILED"), &[("f", Some("FAILED"), None)]),
    ];
    assert_eq!(
        unproven_parts(&backups, &backups[5]),
        [
            part(LOCATION, Some("c")),
            part(LOCATION, Some("d")),
            part(LOCATION, None)
        ]
    );
    let mut other_cluster = backups[5].clone();
    other_cluster.spec.cassandra_cluster = "c2".to_owned();
    assert_eq!(unproven_parts(&backups, &other_cluster), []);
}
