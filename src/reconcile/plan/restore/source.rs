//! The snapshot that a restore takes over from its backup. Pure.

use crate::api::{CassandraBackup, CassandraRestore, ConditionType, Reason, RestoreSource};
use crate::reconcile::plan::wait::Wait;

/// Returns the snapshot to restore and its place. Fields that the restore does not set come from the backup.
///
/// The run is the one that `spec.snapshot` names, else the newest completed one. A backup without the name of a run
/// (`CassKop` took it, or it describes a snapshot that is in a bucket already) is restored by its tag.
///
/// # Errors
/// Returns a wait if no run of the backup has completed yet.
pub fn source(restore: &CassandraRestore, backup: &CassandraBackup) -> Result<RestoreSource, Wait> {
    let (own, theirs) = (&restore.spec, &backup.spec);
    let given = |own: &Option<String>, theirs: &Option<String>| {
        let given = own.clone().filter(|text| !text.is_empty());
        given.or_else(|| theirs.clone().filter(|text| !text.is_empty()))
    };
    let snapshot = snapshot(restore, backup)?;
    let history = backup.status.as_ref().map(|status| status.history.as_slice());
    let mut history = history.unwrap_or_default().iter();
    // The location of the backup may have changed since the run.
    let past = history.find(|run| run.snapshot == snapshot);
    let location = past.and_then(|run| run.storage_location.clone());
    Ok(RestoreSource {
        backup_uid: backup.metadata.uid.clone(),
        storage_location: Some(location.unwrap_or_else(|| theirs.storage_location.clone())),
        snapshot_tag: Some(snapshot),
        entities: given(&own.entities, &theirs.entities),
        secret: given(&own.secret, &theirs.secret),
        rename: own.rename.clone().filter(|rename| !rename.is_empty()),
        ..RestoreSource::default()
    })
}

fn snapshot(restore: &CassandraRestore, backup: &CassandraBackup) -> Result<String, Wait> {
    if let Some(named) = restore.spec.snapshot.clone().filter(|named| !named.is_empty()) {
        return Ok(named);
    }
    let status = backup.status.clone().unwrap_or_default();
    if let Some(newest) = status.history.iter().find(|run| run.is_completed()) {
        return Ok(newest.snapshot.clone());
    }
    let name = backup.metadata.name.as_deref().unwrap_or_default();
    let tag = backup.spec.snapshot_tag.clone().filter(|tag| !tag.is_empty());
    let described = backup.spec.suspend == Some(true);
    let completed = status
        .common
        .condition
        .as_ref()
        .is_some_and(|condition| condition.state() == ConditionType::Completed);
    if completed && let Some(run) = status.snapshot_tag {
        return Ok(run);
    }
    match tag {
        Some(tag) if described || status.common.has_started() => Ok(tag),
        _ => {
            let message =
                format!("backup {name} has not run yet; the restore begins when a run of it has completed");
            Err(Wait::new(Reason::BackupNotReady, message))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{BackRestCondition, BackupStatus, CassandraBackupSpec, CassandraRestoreSpec, PastRun};

    fn backup(state: Option<&str>, run: Option<&str>, history: &[(&str, &str)]) -> CassandraBackup {
        let spec = CassandraBackupSpec {
            storage_location: "s3://bucket".to_owned(),
            snapshot_tag: Some("nightly".to_owned()),
            entities: Some("k1".to_owned()),
            secret: Some("keys".to_owned()),
            ..CassandraBackupSpec::default()
        };
        let mut status = BackupStatus {
            snapshot_tag: run.map(str::to_owned),
            ..BackupStatus::default()
        };
        status.common.condition = state.map(|state| BackRestCondition {
            type_: state.to_owned(),
            ..BackRestCondition::default()
        });
        let past = |(snapshot, outcome): &(&str, &str)| PastRun {
            snapshot: (*snapshot).to_owned(),
            outcome: (*outcome).to_owned(),
            ..PastRun::default()
        };
        status.history = history.iter().map(past).collect();
        let mut backup = CassandraBackup::new("nightly", spec);
        backup.status = Some(status);
        backup
    }

    fn restore(snapshot: Option<&str>) -> CassandraRestore {
        CassandraRestore::new(
            "monday",
            CassandraRestoreSpec {
                snapshot: snapshot.map(str::to_owned),
                ..CassandraRestoreSpec::default()
            },
        )
    }

    fn tag(restore: &CassandraRestore, backup: &CassandraBackup) -> String {
        source(restore, backup).unwrap().snapshot_tag.unwrap()
    }

    #[test]
    fn the_run_is_the_named_one_else_the_newest_completed_one() {
        let scheduled = backup(
            Some("RUNNING"),
            Some("run-3"),
            &[
                ("run-2", "FAILED"),
                ("run-1", "COMPLETED"),
                ("run-0", "COMPLETED"),
            ],
        );
        assert_eq!(tag(&restore(None), &scheduled), "run-1");
        assert_eq!(tag(&restore(Some("run-0")), &scheduled), "run-0");
        let once = backup(Some("COMPLETED"), Some("nightly-schema-1"), &[]);
        assert_eq!(tag(&restore(None), &once), "nightly-schema-1");
    }

    #[test]
    fn a_backup_without_the_name_of_a_run_is_restored_by_its_tag() {
        assert_eq!(
            tag(&restore(None), &backup(Some("COMPLETED"), None, &[])),
            "nightly"
        );
        // CassKop leaves completed backups at RUNNING; the rules made the author confirm this one.
        assert_eq!(
            tag(&restore(None), &backup(Some("RUNNING"), None, &[])),
            "nightly"
        );
        let mut described = backup(None, None, &[]);
        described.spec.suspend = Some(true);
        assert_eq!(tag(&restore(None), &described), "nightly");
    }

    #[test]
    fn a_restore_waits_for_a_backup_that_has_not_run() {
        let wait = source(&restore(None), &backup(None, None, &[])).unwrap_err();
        assert_eq!(wait.reason, "BackupNotReady");
        assert_eq!(
            wait.message,
            "backup nightly has not run yet; the restore begins when a run of it has completed"
        );
    }

    #[test]
    fn fields_that_the_restore_does_not_set_come_from_the_backup() {
        let mut restore = restore(None);
        let backup = backup(Some("COMPLETED"), Some("r"), &[]);
        let inherited = source(&restore, &backup).unwrap();
        assert_eq!(
            (inherited.entities.as_deref(), inherited.secret.as_deref()),
            (Some("k1"), Some("keys"))
        );
        restore.spec.entities = Some("k1.t1".to_owned());
        restore.spec.secret = Some("other".to_owned());
        let own = source(&restore, &backup).unwrap();
        assert_eq!(
            (own.entities.as_deref(), own.secret.as_deref()),
            (Some("k1.t1"), Some("other"))
        );
    }
}
