//! Adds and releases the finalizer, and records a restore on its backup before that.

use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use crate::api::{
    CassandraBackup, CassandraRestore, LAST_RESTORE_ANNOTATION, PastRestore, PastRestores,
    RESTORES_ANNOTATION, entities_digest, spec_digest,
};
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
/// A backup that is gone or was created anew needs no record. A denial is only logged, so that it does not block the
/// deletion of the restore; the record is then missing.
///
/// # Errors
/// [`kube::Error`] if the API server does not respond, or responds with an error that passes. The restore keeps its
/// finalizer then, and the record is retried: once the finalizer is released, no reconcile writes it any more.
pub(super) async fn record_restore(
    backups: &Api<CassandraBackup>,
    (backup, uid): (&str, &str),
    restore: &CassandraRestore,
) -> Result<(), kube::Error> {
    let last = json!({
        "metadata": { "uid": uid, "annotations": { LAST_RESTORE_ANNOTATION: restore.name_any() } },
    });
    let Some(stored) = annotate(backups, (backup, uid), last).await? else {
        return Ok(());
    };
    let recorded = stored.annotations().get(RESTORES_ANNOTATION);
    let mut restores = recorded.map(|text| PastRestores::parse(text)).unwrap_or_default();
    restores.add(past_restore(restore));
    if recorded == Some(&restores.to_string()) {
        return Ok(());
    }
    // The version of the backup, so that no restore that ends at the same time is lost.
    let all = json!({
        "metadata": {
            "uid": uid,
            "resourceVersion": stored.resource_version(),
            "annotations": { RESTORES_ANNOTATION: restores.to_string() },
        },
    });
    annotate(backups, (backup, uid), all).await.map(drop)
}

/// Returns the record of a restore that has ended.
fn past_restore(restore: &CassandraRestore) -> PastRestore {
    let common = restore.status.as_ref().map(|status| &status.common);
    let transition = common
        .and_then(|common| common.condition.as_ref())
        .and_then(|condition| condition.last_transition_time.clone());
    PastRestore {
        name: restore.name_any(),
        spec: spec_digest(&restore.spec),
        entities: entities_digest(restore.spec.entities.as_deref().unwrap_or_default()),
        ended: common
            .and_then(|common| common.time_completed.clone())
            .or(transition)
            .unwrap_or_default(),
    }
}

/// Patches a backup and returns it; `None` if it is gone, was created anew, or the patch is denied.
async fn annotate(
    backups: &Api<CassandraBackup>,
    (backup, uid): (&str, &str),
    patch: Value,
) -> Result<Option<CassandraBackup>, kube::Error> {
    let parameters = PatchParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    };
    match backups.patch(backup, &parameters, &Patch::Merge(patch)).await {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
        Err(error @ kube::Error::Api(_)) if has_code(&error, |code| code == 409) => {
            // The uid differs, or other clients kept changing the backup meanwhile.
            let current = backups.get_metadata_opt(backup).await?;
            let is_same = current.is_some_and(|current| current.metadata.uid.as_deref() == Some(uid));
            if is_same { Err(error) } else { Ok(None) }
        }
        Err(error @ kube::Error::Api(_)) if !has_code(&error, is_transient) => {
            tracing::warn!(%error, backup, "failed to record the last restore on the backup");
            Ok(None)
        }
        written => written.map(Some),
    }
}

fn has_code(error: &kube::Error, is: impl FnOnce(u16) -> bool) -> bool {
    matches!(error, kube::Error::Api(status) if is(status.code))
}

/// Returns true for a response that says nothing about the request: a timeout, throttling, or a failure of the API
/// server or of a webhook.
fn is_transient(code: u16) -> bool {
    matches!(code, 408 | 429 | 500..)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::{Arc, Mutex};

    use http::{Method, Request, Response};
    use kube::Client;
    use kube::client::Body;
    use tower::service_fn;

    use super::*;
    use crate::api::{CassandraRestoreSpec, RestoreStatus};

    /// Records a restore on an API server that answers the patch with `code`, and a read with an object of this uid.
    async fn record(code: u16, uid: Option<&'static str>) -> (Result<(), u16>, Vec<Method>) {
        let requests = Arc::new(Mutex::new(Vec::new()));
        let received = Arc::clone(&requests);
        let answer = move |request: Request<Body>| {
            received.lock().unwrap().push(request.method().clone());
            let (code, body) = match (request.method(), uid) {
                (&Method::GET, Some(uid)) => (200, json!({ "metadata": { "name": "b", "uid": uid } })),
                (&Method::GET, None) => (404, json!({})),
                _ if code == 200 => {
                    let spec = json!({ "cassandraCluster": "c1", "storageLocation": "s3://b" });
                    let object = json!({ "metadata": { "name": "b" }, "spec": spec });
                    (200, object)
                }
                _ => (code, json!({})),
            };
            let reason = if code == 404 { "NotFound" } else { "Other" };
            let mut body = body;
            if code != 200 {
                body = json!({ "kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": "m" });
            }
            let answer = Response::builder()
                .status(code)
                .body(Body::from(body.to_string().into_bytes()));
            async move { Ok::<_, Infallible>(answer.unwrap()) }
        };
        let backups = Api::namespaced(Client::new(service_fn(answer), "team"), "team");
        let restore = CassandraRestore::new("monday", CassandraRestoreSpec::default());
        let outcome = record_restore(&backups, ("b", "own"), &restore).await;
        let outcome = outcome.map_err(|error| match error {
            kube::Error::Api(status) => status.code,
            other => panic!("{other}"),
        });
        let requests = requests.lock().unwrap().clone();
        (outcome, requests)
    }

    #[tokio::test]
    async fn a_restore_is_recorded_with_its_name_and_its_spec() {
        let (outcome, requests) = record(200, None).await;
        assert_eq!((outcome, requests), (Ok(()), vec![Method::PATCH, Method::PATCH]));
        let mut restore = CassandraRestore::new("monday", CassandraRestoreSpec::default());
        let mut status = RestoreStatus::default();
        status.common.time_completed = Some("2026-11-30T12:00:00Z".to_owned());
        restore.status = Some(status);
        let past = past_restore(&restore);
        assert_eq!(
            (past.name.as_str(), past.ended.as_str()),
            ("monday", "2026-11-30T12:00:00Z")
        );
        assert_eq!(past.spec, spec_digest(&restore.spec));
    }

    #[tokio::test]
    async fn a_record_is_given_up_only_if_it_is_not_needed_or_denied() {
        for code in [408, 429, 500, 503, 504] {
            assert_eq!(record(code, None).await.0, Err(code));
        }
        for code in [200, 404, 403, 422] {
            assert_eq!(record(code, None).await.0, Ok(()), "{code}");
        }
        let read = vec![Method::PATCH, Method::GET];
        assert_eq!(
            record(409, Some("own")).await,
            (Err(409), read.clone()),
            "another client wrote"
        );
        assert_eq!(
            record(409, Some("new")).await,
            (Ok(()), read.clone()),
            "created anew"
        );
        assert_eq!(record(409, None).await, (Ok(()), read));
    }
}
