//! What is written to the API server: status by server-side apply, the finalizer, events.
//!
//! Every write carries the uid and the resource version that the plan was made of. Somebody else's write in between,
//! or another object of the same name, makes it fail, and the plan is made again.

use kube::api::{Patch, PatchParams};
use kube::runtime::events::{Event as KubeEvent, EventType, Recorder, Reporter};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};

use crate::api::{CassandraBackup, LAST_RESTORE_ANNOTATION};
use crate::reconcile::plan::{Event, Finalizer, conflict};
use crate::reconcile::work::Work;

/// Who writes the status.
use crate::reconcile::plan::conflict::FIELD_MANAGER;

/// The longest note that the events API takes, in bytes.
const LONGEST_NOTE: usize = 1024;

/// Why something was not written.
#[derive(Debug, thiserror::Error)]
pub(in crate::reconcile) enum StoreError {
    /// The API server refuses, or does not answer.
    #[error(transparent)]
    Kubernetes(#[from] kube::Error),
    /// What came back is not what was written: the CRD does not have our fields.
    #[error("the API server dropped a part of the status: the CRD is not ours (see docs/executor.md)")]
    Dropped,
}

/// Writes the status and answers the object as it is then.
///
/// # Errors
/// [`StoreError`]. Nothing that the status announces may be done.
pub(in crate::reconcile) async fn write_status<K: Work>(
    api: &Api<K>,
    object: &K,
    status: &K::Status,
) -> Result<K, StoreError> {
    let patch = json!({
        "apiVersion": K::api_version(&()),
        "kind": K::kind(&()),
        "metadata": {
            "name": object.name_any(),
            "uid": object.uid(),
            "resourceVersion": object.resource_version(),
        },
        "status": status,
    });
    let parameters = PatchParams::apply(FIELD_MANAGER).force();
    let written = api
        .patch_status(&object.name_any(), &parameters, &Patch::Apply(patch))
        .await?;
    if written.status() == Some(status) {
        Ok(written)
    } else {
        Err(StoreError::Dropped)
    }
}

/// Makes ours what others wrote to the status; answers the object as it is then.
///
/// # Errors
/// [`kube::Error`].
pub(in crate::reconcile) async fn take_over<K: Work>(api: &Api<K>, object: &K) -> Result<K, kube::Error> {
    let patch = json!({
        "metadata": {
            "uid": object.uid(),
            "resourceVersion": object.resource_version(),
            "managedFields": conflict::taken_over(object.meta()),
        },
    });
    api.patch(&object.name_any(), &PatchParams::default(), &Patch::Merge(patch))
        .await
}

/// Adds or removes our finalizer and leaves every other one alone; answers the object as it is then.
///
/// # Errors
/// [`kube::Error`].
pub(in crate::reconcile) async fn write_finalizer<K: Work>(
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
        // The last finalizer of a deleted object: it is gone.
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(object),
        written => written,
    }
}

/// Writes onto a backup which restore of it was the last. A backup that is gone, or another one of the same name, has
/// nothing to remember; one that may not be written to keeps no restore from being deleted, and is only logged.
///
/// # Errors
/// [`kube::Error`] of an API server that does not answer.
pub(in crate::reconcile) async fn remember_restore(
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
            tracing::warn!(%error, backup, restore, "the backup does not say that it was restored");
            Ok(())
        }
        written => written.map(drop),
    }
}

/// Tells what happened. An event that cannot be written is only logged: the status has it all.
///
/// kube's recorder takes a second event of the same reason within six minutes for the first one and drops what it says:
/// of two snapshots that were removed, one would be told. A new recorder remembers none; a plan tells a thing once anyway.
/// Only where no status can be written it tells one thing again and again: that is a `series`.
pub(in crate::reconcile) async fn publish<K: Work>(
    client: &Client,
    series: &Recorder,
    object: &K,
    events: &[Event],
) {
    let reference = object.object_ref(&());
    for event in events {
        let written = KubeEvent {
            type_: if event.warning {
                EventType::Warning
            } else {
                EventType::Normal
            },
            reason: event.reason.as_str().to_owned(),
            note: Some(cut(&event.message)),
            action: "Reconcile".to_owned(),
            secondary: None,
        };
        let recorder = if event.repeated {
            series.clone()
        } else {
            Recorder::new(client.clone(), Reporter::from("cassgate"))
        };
        if let Err(error) = recorder.publish(&written, &reference).await {
            tracing::warn!(%error, reason = event.reason.as_str(), "an event could not be written");
        }
    }
}

fn cut(message: &str) -> String {
    let mut end = message.len().min(LONGEST_NOTE);
    while !message.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    message.get(..end).unwrap_or_default().to_owned()
}
