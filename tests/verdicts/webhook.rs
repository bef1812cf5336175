//! The two webhooks in this process, called in sequence as by the API server.

use std::sync::{Arc, LazyLock};

use axum::body::{Body, to_bytes};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cassgate::admission::{Admission, router};
use cassgate::rules::policy::Policy;
use cassgate::telemetry::metrics::Metrics;
use http::Request;
use jiff::Timestamp;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::case::ReportedFinding;
use crate::world::World;

/// The time of every request, so that two answers to the same request are equal.
static NOW: LazyLock<Timestamp> = LazyLock::new(Timestamp::now);

/// The outcome of a request.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// The causes of the denial; empty if the request was admitted.
    pub(crate) denied: Vec<ReportedFinding>,
    /// The warnings of both webhooks.
    pub(crate) warned: Vec<ReportedFinding>,
    /// The status code of the denial.
    pub(crate) code: Option<u16>,
    /// The object as it would be stored.
    pub(crate) object: Value,
}

/// A request to the API server.
#[derive(Debug, Clone)]
pub(crate) struct AdmissionRequest {
    /// CREATE, UPDATE or DELETE.
    pub(crate) operation: &'static str,
    /// The new object; null for a DELETE.
    pub(crate) object: Value,
    /// The stored object; null for a CREATE.
    pub(crate) old: Value,
    /// True if the request is a dry run.
    pub(crate) dry_run: bool,
    /// True if status is a subresource.
    pub(crate) status_is_subresource: bool,
    /// True if the objects of a collection are deleted, one of which this is. Such a request has no name.
    pub(crate) collection: bool,
}

/// Sends a review to the mutating webhook and then to the validating webhook.
pub(crate) fn send(world: World, policy: Policy, request: &AdmissionRequest) -> Outcome {
    let is_subresource = request.status_is_subresource;
    let admission = Arc::new(Admission {
        facts: Arc::new(world),
        policy,
        metrics: Metrics::new(),
        status_is_subresource: Box::new(move |_| Some(is_subresource)),
        now: || *NOW,
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let mut outcome = Outcome {
        object: request.object.clone(),
        ..Outcome::default()
    };
    if is_subresource {
        keep_stored_status(&mut outcome.object, &request.old);
    }
    if request.operation != "DELETE" {
        let answer = runtime.block_on(post(&admission, "/mutate", &review(request, &outcome.object)));
        assert_eq!(answer["allowed"], true, "the mutating webhook never denies");
        if let Some(patch) = answer["patch"].as_str() {
            let patch: json_patch::Patch = serde_json::from_slice(&STANDARD.decode(patch).unwrap()).unwrap();
            json_patch::patch(&mut outcome.object, &patch).unwrap();
        }
        outcome.warned.extend(warnings(&answer));
    }
    let answer = runtime.block_on(post(&admission, "/validate", &review(request, &outcome.object)));
    outcome.warned.extend(warnings(&answer));
    if answer["allowed"] == false {
        let causes = answer["status"]["details"]["causes"].as_array().unwrap();
        outcome.denied = causes.iter().map(cause).collect();
        outcome.code = answer["status"]["code"]
            .as_u64()
            .and_then(|code| u16::try_from(code).ok());
    }
    outcome
}

/// Keeps the stored status, as the API server does on the main resource if status is a subresource.
fn keep_stored_status(object: &mut Value, old: &Value) {
    if let Some(fields) = object.as_object_mut() {
        match old.get("status") {
            Some(status) => drop(fields.insert("status".to_owned(), status.clone())),
            None => drop(fields.remove("status")),
        }
    }
}

fn review(request: &AdmissionRequest, object: &Value) -> Value {
    let subject = if request.operation == "DELETE" {
        &request.old
    } else {
        object
    };
    let metadata = &subject["metadata"];
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "u-1",
        "kind": {"group": "db.orange.com", "version": "v2", "kind": subject["kind"]},
        "name": if request.collection { &Value::Null } else { &metadata["name"] }, "namespace": metadata["namespace"],
        "operation": request.operation, "dryRun": request.dry_run, "userInfo": {"username": "jane"},
        "object": if request.operation == "DELETE" { &Value::Null } else { object },
        "oldObject": request.old,
    }})
}

async fn post(admission: &Arc<Admission>, path: &str, review: &Value) -> Value {
    let request = Request::post(path).body(Body::from(review.to_string())).unwrap();
    let response = router(Arc::clone(admission)).oneshot(request).await.unwrap();
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    let answer: Value = serde_json::from_slice(&body).unwrap();
    assert!(answer.get("response").is_some(), "{answer}");
    answer["response"].clone()
}

fn cause(cause: &Value) -> ReportedFinding {
    let text = |name: &str| cause[name].as_str().unwrap();
    ReportedFinding {
        cause: text("reason").to_owned(),
        text: format!("{}: {}", text("field"), text("message")),
    }
}

fn warnings(answer: &Value) -> impl Iterator<Item = ReportedFinding> {
    let warnings = answer["warnings"].as_array().cloned().unwrap_or_default();
    warnings.into_iter().map(|text| ReportedFinding {
        cause: String::new(),
        text: text.as_str().unwrap().to_owned(),
    })
}
