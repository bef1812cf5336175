//! The two webhooks in this process, one after the other, as the API server calls them.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cassgate::admission::{Admission, router};
use cassgate::rules::policy::Policy;
use cassgate::telemetry::metrics::Metrics;
use http::Request;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::case::Told;
use crate::world::World;

/// What came of a request.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// The causes of the refusal; none: it passed.
    pub(crate) denied: Vec<Told>,
    /// The warnings of both sides.
    pub(crate) warned: Vec<Told>,
    /// The code of the refusal.
    pub(crate) code: Option<u16>,
    /// The object as it would be stored.
    pub(crate) object: Value,
}

/// One request, as the API server sees it.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// CREATE, UPDATE or DELETE.
    pub(crate) operation: &'static str,
    /// The new object; null where one goes.
    pub(crate) object: Value,
    /// The stored object; null where one comes.
    pub(crate) old: Value,
    /// Whether nothing is stored.
    pub(crate) dry_run: bool,
    /// Whether status is a subresource.
    pub(crate) status_apart: bool,
}

/// Asks the mutating side and then the validating side.
pub(crate) fn ask(world: World, policy: Policy, asked: &Asked) -> Outcome {
    let apart = asked.status_apart;
    let admission = Arc::new(Admission {
        facts: Arc::new(world),
        policy,
        metrics: Metrics::new(),
        status_is_subresource: Box::new(move |_| Some(apart)),
        now: jiff::Timestamp::now,
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let mut outcome = Outcome {
        object: asked.object.clone(),
        ..Outcome::default()
    };
    if apart {
        keep_status_apart(&mut outcome.object, &asked.old);
    }
    if asked.operation != "DELETE" {
        let answer = runtime.block_on(post(&admission, "/mutate", &review(asked, &outcome.object)));
        assert_eq!(answer["allowed"], true, "the mutating side never refuses");
        if let Some(patch) = answer["patch"].as_str() {
            let patch: json_patch::Patch = serde_json::from_slice(&STANDARD.decode(patch).unwrap()).unwrap();
            json_patch::patch(&mut outcome.object, &patch).unwrap();
        }
        outcome.warned.extend(warnings(&answer));
    }
    let answer = runtime.block_on(post(&admission, "/validate", &review(asked, &outcome.object)));
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

/// A subresource that the main resource cannot write: the API server keeps what is stored.
fn keep_status_apart(object: &mut Value, old: &Value) {
    if let Some(fields) = object.as_object_mut() {
        match old.get("status") {
            Some(status) => drop(fields.insert("status".to_owned(), status.clone())),
            None => drop(fields.remove("status")),
        }
    }
}

fn review(asked: &Asked, object: &Value) -> Value {
    let subject = if asked.operation == "DELETE" {
        &asked.old
    } else {
        object
    };
    let metadata = &subject["metadata"];
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "u-1",
        "kind": {"group": "db.orange.com", "version": "v2", "kind": subject["kind"]},
        "name": metadata["name"], "namespace": metadata["namespace"],
        "operation": asked.operation, "dryRun": asked.dry_run, "userInfo": {"username": "jane"},
        "object": if asked.operation == "DELETE" { &Value::Null } else { object },
        "oldObject": asked.old,
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

fn cause(cause: &Value) -> Told {
    let text = |name: &str| cause[name].as_str().unwrap();
    Told {
        cause: text("reason").to_owned(),
        text: format!("{}: {}", text("field"), text("message")),
    }
}

fn warnings(answer: &Value) -> impl Iterator<Item = Told> {
    let warnings = answer["warnings"].as_array().cloned().unwrap_or_default();
    warnings.into_iter().map(|text| Told {
        cause: String::new(),
        text: text.as_str().unwrap().to_owned(),
    })
}
