//! Adds and releases the finalizer, and records a restore on its backup before that.

use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use crate::api::{CassandraBackup, LAST_RESTORE_ANNOTATION};
use crate::reconcile::object::ReconciledObject;
use crate::reconcile::plan::Finalizer;
use crate::reconcile::plan::conflict::FIELD_MANAGER;

/// Adds or releases our finalizer, keeps all others, and returns the object as it is stored afterwards.
///
/// # Errors
/// [`kube::Error`].
pub(super) async fn write<K: ReconciledObject>(
    api: &Api<K>,
    object: K,
    change: Finalizer,
) -> Result<K, kube::Error> {
    let mut finalizers = object.finalizers().to_vec();
    match change {
        Finalizer::Keep => return Ok(object),
        Finalizer::Add => finalizers.push(K::FINALIZER.to_owned()),
        Finalizer::Release => finalizers.retain(|finalizer| finalizer != K::FINALIZER),
    }
    let patch: Value = json!({
        "metadata": {
            "uid": object.uid(),
            "resourceVersion": object.resource_version(),
            "finalizers": finalizers,
        },
    });
    let written = api
        .patch(&object.name_any(), &PatchParams::default(), &Patch::Merge(patch))
        .await;
    match written {
        // The object is already gone, for example because another client removed the finalizer.
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(object),
        written => written,
    }
}

/// Records on a backup, given by name and uid, the last restore of it.
///
/// A backup that is gone or was created anew needs no record. An error that the API server returns is only logged, so that
/// it does not block the deletion of the restore; the record is then missing.
///
/// # Errors
/// [`kube::Error`] if the API server does not respond.
pub(super) async fn annotate_last_restore(
    backups: &Api<CassandraBackup>,
    (backup, uid): (&str, &str),
    restore: &str,
) -> Result<(), kube::Error> {
    let patch: Value = json!({
        "metadata": { "uid": uid, "annotations": { LAST_RESTORE_ANNOTATION: restore } },
    });
    let parameters = PatchParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    };
    match backups.patch(backup, &parameters, &Patch::Merge(patch)).await {
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
        Err(error @ kube::Error::Api(_)) => {
            tracing::warn!(%error, backup, restore, "failed to record the last restore on the backup");
            Ok(())
        }
        written => written.map(drop),
    }
}
