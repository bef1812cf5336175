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
/// A backup that is gone or was created anew needs no record. A denial is only logged, so that it does not block the
/// deletion of the restore; the record is then missing.
///
/// # Errors
/// [`kube::Error`] if the API server does not respond, or responds with an error that passes. The restore keeps its
/// finalizer then, and the record is retried: once the finalizer is released, no reconcile writes it any more.
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
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(error @ kube::Error::Api(_)) if has_code(&error, |code| code == 409) => {
            // The uid differs, or other clients kept changing the backup meanwhile.
            let current = backups.get_metadata_opt(backup).await?;
            let is_same = current.is_some_and(|current| current.metadata.uid.as_deref() == Some(uid));
            if is_same { Err(error) } else { Ok(()) }
        }
        Err(error @ kube::Error::Api(_)) if !has_code(&error, is_transient) => {
            tracing::warn!(%error, backup, restore, "failed to record the last restore on the backup");
            Ok(())
        }
        written => written.map(drop),
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
        let outcome = annotate_last_restore(&backups, ("b", "own"), "monday").await;
        let outcome = outcome.map_err(|error| match error {
            kube::Error::Api(status) => status.code,
            other => panic!("{other}"),
        });
        let requests = requests.lock().unwrap().clone();
        (outcome, requests)
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
