//! The requests of a backup: upload, list and remove.

use super::Unsendable;
use super::fields::{bucket, connections, directory, entities, namespace, optional, unsendable};
use crate::api::{BackupRun, CassandraBackup, NodeStatus};
use crate::domain::bandwidth::Bandwidth;
use crate::domain::go_duration::GoDuration;
use crate::domain::rename::Rename;
use crate::domain::resolved_tag::ResolvedTag;
use crate::domain::sidecar::Sidecar;
use crate::domain::source_directory::SourceDirectory;
use crate::icarus::{
    BackupRequest, ListPurpose, ListRequest, OperationRequest, RemoveBackupRequest, RestoreRequest, Snapshot,
    Store, Strategy,
};
use crate::reconcile::plan::Phase;

/// Builds the request that uploads the data of one node.
///
/// # Errors
/// The first field that cannot be sent.
pub fn backup(
    backup: &CassandraBackup,
    node: &NodeStatus,
    with_topology: bool,
    sidecar: &Sidecar,
) -> Result<OperationRequest, Unsendable> {
    let run = current_run(backup);
    // Icarus 1 rejects every duration, and the whole request with it (observed).
    let accepts_durations = sidecar.version().is_some_and(|version| version.major >= 2);
    let duration = run.duration.as_deref().filter(|_| accepts_durations);
    let tag = backup
        .status
        .as_ref()
        .and_then(|status| status.snapshot_tag.as_deref());
    Ok(OperationRequest::Backup(BackupRequest {
        store: store(backup, node)?,
        snapshot: resolved_tag(tag.unwrap_or_default())?,
        entities: entities(run.entities.as_deref())?,
        directory: directory(None)?,
        concurrent_connections: connections(run.concurrent_connections),
        bandwidth: optional("spec.bandwidth", run.bandwidth.as_deref(), Bandwidth::parse)?,
        duration: optional("spec.duration", duration, GoDuration::parse)?,
        upload_topology: with_topology,
    }))
}

/// Builds the request for a phase of the proof of one node's part: a download of the part, beside Cassandra's own files.
///
/// # Errors
/// The first field that cannot be sent, or a phase that changes tables.
pub fn proof(
    backup: &CassandraBackup,
    node: &NodeStatus,
    phase: Phase,
) -> Result<OperationRequest, Unsendable> {
    let changes_no_table = matches!(phase, Phase::Init | Phase::Download | Phase::Cleanup);
    let Some(phase) = phase.restore_phase().filter(|_| changes_no_table) else {
        return Err(Unsendable {
            field: "status.nodes[].phase",
            why: format!("{} is not a phase of a proof", phase.as_str()),
        });
    };
    let run = current_run(backup);
    let tag = backup
        .status
        .as_ref()
        .and_then(|status| status.snapshot_tag.as_deref());
    Ok(OperationRequest::Restore(RestoreRequest {
        store: store(backup, node)?,
        snapshot: Snapshot::Resolved(resolved_tag(tag.unwrap_or_default())?),
        entities: entities(run.entities.as_deref())?,
        rename: Rename::default(),
        directory: directory(None)?,
        source: proof_directory(backup)?,
        phase,
        strategy: Strategy::Hardlinks,
        keep_truncates: true,
        concurrent_connections: connections(run.concurrent_connections),
    }))
}

/// Returns the directory of a backup's downloads, which identifies the operations of a proof.
///
/// # Errors
/// The uid is not valid.
pub fn proof_directory(backup: &CassandraBackup) -> Result<SourceDirectory, Unsendable> {
    let uid = backup.metadata.uid.as_deref().unwrap_or_default();
    SourceDirectory::of_restore(&directory(None)?, uid).map_err(unsendable("metadata.uid"))
}

/// Builds the request that lists the folder of one node in the bucket, to measure the backup.
///
/// # Errors
/// The first field that cannot be sent.
pub fn list(backup: &CassandraBackup, node: &NodeStatus) -> Result<OperationRequest, Unsendable> {
    Ok(OperationRequest::List(ListRequest {
        store: store(backup, node)?,
        purpose: ListPurpose::Measurement,
    }))
}

/// Builds the request that removes the snapshot in `status.retention.removing` from the folder of one node.
///
/// # Errors
/// The first field that cannot be sent.
pub fn remove(backup: &CassandraBackup, node: &NodeStatus) -> Result<OperationRequest, Unsendable> {
    let retention = backup
        .status
        .as_ref()
        .and_then(|status| status.retention.as_ref());
    let run = retention.and_then(|retention| retention.removing.as_ref());
    let name = run.map(|run| run.snapshot.as_str()).unwrap_or_default();
    Ok(OperationRequest::RemoveBackup(RemoveBackupRequest {
        store: store(backup, node)?,
        snapshot: ResolvedTag::parse(name).map_err(unsendable("status.retention.removing.snapshot"))?,
    }))
}

/// Parses `status.snapshotTag`.
///
/// # Errors
/// The text is not a resolved tag.
pub fn resolved_tag(text: &str) -> Result<ResolvedTag, Unsendable> {
    ResolvedTag::parse(text).map_err(unsendable("status.snapshotTag"))
}

/// Returns what the run covers. For a run that started before cassgate recorded that, the spec has not changed since.
fn current_run(backup: &CassandraBackup) -> BackupRun {
    let run = backup.status.as_ref().and_then(|status| status.run.as_deref());
    run.cloned().unwrap_or_else(|| backup.spec.run())
}

fn store(backup: &CassandraBackup, node: &NodeStatus) -> Result<Store, Unsendable> {
    let common = backup
        .status
        .as_ref()
        .map(|status| status.common.clone())
        .unwrap_or_default();
    let run = current_run(backup);
    bucket(
        &run.storage_location,
        &common,
        node,
        namespace(&backup.metadata),
        run.secret.as_deref(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{BackupStatus, CassandraBackupSpec};

    const HOST: &str = "9da86270-7a5c-4a0b-9e9b-0f6d3f0c2a11";
    const NAME: &str = "nightly-168d568b-d346-3f61-968f-a2716307a6e4-1795383523776";

    fn proven(phase: Phase) -> Result<serde_json::Value, Unsendable> {
        let mut object = CassandraBackup::new("nightly", CassandraBackupSpec::default());
        object.metadata.uid = Some("6f2b".to_owned());
        let run = BackupRun {
            storage_location: "file:///backups/bucket/c/d/n".to_owned(),
            entities: Some("k1.t1".to_owned()),
            ..BackupRun::default()
        };
        let mut status = BackupStatus {
            snapshot_tag: Some(NAME.to_owned()),
            run: Some(Box::new(run)),
            ..BackupStatus::default()
        };
        status.common.cluster_name = Some("lab-A".to_owned());
        object.status = Some(status);
        let node = NodeStatus {
            host_id: HOST.to_owned(),
            datacenter: Some("dc1".to_owned()),
            ..NodeStatus::default()
        };
        proof(&object, &node, phase).map(|request| request.to_json())
    }

    #[test]
    fn a_proof_downloads_the_part_of_the_run_into_a_directory_of_its_own_and_keeps_every_copy() {
        for phase in [Phase::Init, Phase::Download, Phase::Cleanup] {
            let sent = proven(phase).unwrap();
            assert_eq!(sent["restorationPhase"], phase.as_str());
            assert_eq!(
                sent["storageLocation"],
                format!("file:///backups/bucket/lab-A/dc1/{HOST}")
            );
            assert_eq!(
                (&sent["snapshotTag"], &sent["entities"]),
                (&NAME.into(), &"k1.t1".into())
            );
            assert_eq!(
                sent["import"]["sourceDir"],
                "/var/lib/cassandra/cassgate-restore-6f2b"
            );
            assert_eq!(sent["noDeleteTruncates"], true);
            assert_eq!(sent["globalRequest"], false);
        }
    }

    #[test]
    fn a_proof_has_no_phase_that_changes_a_table() {
        for phase in [
            Phase::Truncate,
            Phase::Import,
            Phase::Refresh,
            Phase::Backup,
            Phase::Remove,
        ] {
            let refused = proven(phase).unwrap_err();
            assert_eq!(refused.field, "status.nodes[].phase");
            assert!(
                refused.why.ends_with("is not a phase of a proof"),
                "{}",
                refused.why
            );
        }
    }
}
