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
use crate::telemetry::api_error::log_text;

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
    let Some(stored) = own(backups, (backup, uid)).await? else {
        return Ok(());
    };
    let annotations = stored.annotations();
    let recorded = annotations.get(RESTORES_ANNOTATION);
    let mut restores = recorded.map(|text| PastRestores::parse(text)).unwrap_or_default();
    restores.add(past_restore(restore));
    let (name, restores) = (restore.name_any(), restores.to_string());
    if annotations.get(LAST_RESTORE_ANNOTATION) == Some(&name) && recorded == Some(&restores) {
        return Ok(());
    }
    // One patch, so that no crash leaves a part of the record. It carries the version of the backup, so that no restore that
    // ends at the same time is lost.
    let patch = json!({
        "metadata": {
            "uid": uid,
            "resourceVersion": stored.resource_version(),
            "annotations": { LAST_RESTORE_ANNOTATION: name, RESTORES_ANNOTATION: restores },
        },
    });
    annotate(backups, backup, patch).await
}

/// Reads a backup; `None` if it is gone, was created anew, or may not be read.
async fn own(
    backups: &Api<CassandraBackup>,
    (backup, uid): (&str, &str),
) -> Result<Option<CassandraBackup>, kube::Error> {
    match backups.get_opt(backup).await {
        Ok(stored) => Ok(stored.filter(|stored| stored.metadata.uid.as_deref() == Some(uid))),
        Err(error) => given_up(error, backup).map(|()| None),
    }
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

/// Patches a backup, unless it is gone or the patch is denied.
async fn annotate(backups: &Api<CassandraBackup>, backup: &str, patch: Value) -> Result<(), kube::Error> {
    let parameters = PatchParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    };
    let patched = backups.patch(backup, &parameters, &Patch::Merge(patch)).await;
    patched.map(drop).or_else(|error| given_up(error, backup))
}

/// Returns the error if another attempt may succeed: the API server did not respond, or another client wrote the backup since
/// it was read.
fn given_up(error: kube::Error, backup: &str) -> Result<(), kube::Error> {
    match &error {
        kube::Error::Api(status) if status.code == 404 => Ok(()),
        kube::Error::Api(status) if !is_transient(status.code) => {
            tracing::warn!(
                error = log_text(&error),
                backup,
                "failed to record the last restore on the backup"
            );
            Ok(())
        }
        _ => Err(error),
    }
}

/// Returns true for a response that says nothing about the request: a conflict, a timeout, throttling, or a failure of the
/// API server or of a webhook.
fn is_transient(code: u16) -> bool {
    matches!(code, 408 | 409 | 429 | 500..)
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

    /// The requests that an API server received: method and body.
    type Received = Vec<(Method, Value)>;

    /// An API server that has a backup, or a stand-in for it.
    #[derive(Clone)]
    struct Server {
        /// The uid and the annotations of the backup; `None`: there is none.
        backup: Option<(&'static str, Value)>,
        /// The status codes of the answers to a read and to a patch.
        codes: (u16, u16),
    }

    fn server(uid: &'static str, annotations: Value) -> Server {
        Server {
            backup: Some((uid, annotations)),
            codes: (200, 200),
        }
    }

    fn restore() -> CassandraRestore {
        let mut restore = CassandraRestore::new("monday", CassandraRestoreSpec::default());
        let mut status = RestoreStatus::default();
        status.common.time_completed = Some("2026-11-30T12:00:00Z".to_owned());
        restore.status = Some(status);
        restore
    }

    /// Records a restore of the backup with the uid `own`.
    async fn record(server: Server) -> (Result<(), u16>, Received) {
        let requests = Arc::new(Mutex::new(Vec::new()));
        let received = Arc::clone(&requests);
        let answer = move |request: Request<Body>| {
            let (server, received) = (server.clone(), Arc::clone(&received));
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect_bytes().await.unwrap();
                let body = serde_json::from_slice(&body).unwrap_or_default();
                received.lock().unwrap().push((head.method.clone(), body));
                let code = match (&head.method, &server.backup) {
                    (&Method::GET, None) => 404,
                    (&Method::GET, _) => server.codes.0,
                    _ => server.codes.1,
                };
                let body = match &server.backup {
                    Some((uid, annotations)) if code == 200 => {
                        let meta = json!({"name": "b", "uid": uid, "resourceVersion": "7", "annotations": annotations});
                        json!({"metadata": meta, "spec": {"cassandraCluster": "c1", "storageLocation": "s3://b"}})
                    }
                    _ => {
                        let reason = if code == 404 { "NotFound" } else { "Other" };
                        json!({"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": "m"})
                    }
                };
                let answer = Response::builder().status(code);
                Ok::<_, Infallible>(answer.body(Body::from(body.to_string().into_bytes())).unwrap())
            }
        };
        let backups = Api::namespaced(Client::new(service_fn(answer), "team"), "team");
        let outcome = record_restore(&backups, ("b", "own"), &restore()).await;
        let outcome = outcome.map_err(|error| match error {
            kube::Error::Api(status) => status.code,
            other => panic!("{other}"),
        });
        let requests = requests.lock().unwrap().clone();
        (outcome, requests)
    }

    #[tokio::test]
    async fn a_restore_is_recorded_in_one_patch_on_the_version_that_was_read() {
        let past = past_restore(&restore());
        assert_eq!(
            (past.name.as_str(), past.ended.as_str()),
            ("monday", "2026-11-30T12:00:00Z")
        );
        assert_eq!(past.spec, spec_digest(&restore().spec));
        let mut restores = PastRestores::default();
        restores.add(past);
        for annotations in [
            json!({}),
            // A patch of an earlier version may have written a part.
            json!({ LAST_RESTORE_ANNOTATION: "monday" }),
            json!({ RESTORES_ANNOTATION: restores.to_string() }),
        ] {
            let (outcome, requests) = record(server("own", annotations)).await;
            assert_eq!(outcome, Ok(()));
            let [(Method::GET, _), (Method::PATCH, patch)] = &requests[..] else {
                panic!("{requests:?}");
            };
            let written = json!({
                "uid": "own",
                "resourceVersion": "7",
                "annotations": {
                    LAST_RESTORE_ANNOTATION: "monday",
                    RESTORES_ANNOTATION: restores.to_string(),
                },
            });
            assert_eq!(patch, &json!({ "metadata": written }));
        }
        let all = json!({
            LAST_RESTORE_ANNOTATION: "monday",
            RESTORES_ANNOTATION: restores.to_string(),
        });
        let (outcome, requests) = record(server("own", all)).await;
        assert_eq!((outcome, requests.len()), (Ok(()), 1), "nothing changes");
    }

    #[tokio::test]
    async fn a_record_is_given_up_only_if_it_is_not_needed_or_denied() {
        let with = |codes| Server {
            codes,
            ..server("own", json!({}))
        };
        for code in [408, 409, 429, 500, 503, 504] {
            let (outcome, requests) = record(with((200, code))).await;
            assert_eq!((outcome, requests.len()), (Err(code), 2));
        }
        for code in [200, 404, 403, 422] {
            let (outcome, requests) = record(with((200, code))).await;
            assert_eq!((outcome, requests.len()), (Ok(()), 2), "{code}");
        }
        for (code, expected) in [(500, Err(500)), (429, Err(429)), (403, Ok(()))] {
            let (outcome, requests) = record(with((code, 200))).await;
            assert_eq!((outcome, requests.len()), (expected, 1), "{code}");
        }
        for server in [
            server("new", json!({})),
            Server {
                backup: None,
                codes: (200, 200),
            },
        ] {
            let (outcome, requests) = record(server).await;
            assert_eq!((outcome, requests.len()), (Ok(()), 1), "created anew, or gone");
        }
    }
}
