//! The webhooks in this process.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::DefaultBodyLimit;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cassgate::admission::{Admission, router};
use cassgate::rules::policy::{Executor, Policy};
use cassgate::telemetry::metrics::Metrics;
use http::{Request, StatusCode};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::world::World;

/// An answer of a webhook.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Its size in bytes.
    pub(crate) bytes: usize,
    /// The `response` of the review.
    pub(crate) response: Value,
}

impl Answer {
    /// Returns true if the object is admitted.
    pub(crate) fn allowed(&self) -> bool {
        self.response["allowed"] == true
    }

    /// Returns the causes of a denial.
    pub(crate) fn causes(&self) -> Vec<Value> {
        let causes = &self.response["status"]["details"]["causes"];
        causes.as_array().cloned().unwrap_or_default()
    }

    /// Returns the operations of the patch.
    pub(crate) fn patch(&self) -> Vec<Value> {
        let Some(patch) = self.response["patch"].as_str() else {
            return Vec::new();
        };
        serde_json::from_slice(&STANDARD.decode(patch).unwrap()).unwrap()
    }

    /// Applies the patch to `object`.
    pub(crate) fn applied(&self, object: &Value) -> Value {
        let patch: json_patch::Patch = serde_json::from_value(Value::Array(self.patch())).unwrap();
        let mut object = object.clone();
        json_patch::patch(&mut object, &patch).unwrap();
        object
    }
}

/// The webhooks in front of a Kubernetes cluster.
pub(crate) struct Gate {
    admission: Arc<Admission>,
    runtime: tokio::runtime::Runtime,
}

impl Gate {
    /// Creates the webhooks in front of `world`, with this executor.
    pub(crate) fn new(world: World, executor: Executor) -> Self {
        let policy = Policy {
            executor,
            ..Policy::default()
        };
        let apart = executor != Executor::Casskop;
        let admission = Admission {
            facts: Arc::new(world),
            policy,
            metrics: Metrics::new(),
            status_is_subresource: Box::new(move |_| Some(apart)),
            now: || jiff::Timestamp::constant(1_795_000_000, 0),
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        Self {
            admission: Arc::new(admission),
            runtime,
        }
    }

    /// Sends a review to one webhook.
    pub(crate) fn ask(&self, path: &str, operation: &str, object: &Value, old: &Value) -> Answer {
        let subject = if object.is_null() { old } else { object };
        let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
            "uid": "u-1", "operation": operation, "userInfo": {"username": "jane"},
            "kind": {"group": "db.orange.com", "version": "v2", "kind": subject["kind"]},
            "name": subject["metadata"]["name"], "namespace": "prod",
            "object": object, "oldObject": old,
        }});
        let body = Body::from(review.to_string());
        let request = Request::post(path).body(body).unwrap();
        // cassgate::server disables axum's limit too, and has its own limit of 8 MiB.
        let router = router(Arc::clone(&self.admission)).layer(DefaultBodyLimit::disable());
        let body = self.runtime.block_on(async {
            let response = router.oneshot(request).await.unwrap();
            assert_eq!(response.status(), StatusCode::OK);
            to_bytes(response.into_body(), usize::MAX).await.unwrap()
        });
        let mut answer: Value = serde_json::from_slice(&body).unwrap();
        Answer {
            bytes: body.len(),
            response: answer["response"].take(),
        }
    }

    /// Sends the object to both webhooks, as the API server does. Returns the mutated object and the answer of the
    /// validating webhook.
    pub(crate) fn pass(&self, operation: &str, object: &Value, old: &Value) -> (Value, Answer) {
        let mutated = self.ask("/mutate", operation, object, old);
        assert!(mutated.allowed(), "the mutating webhook never denies");
        let object = mutated.applied(object);
        let answer = self.ask("/validate", operation, &object, old);
        (object, answer)
    }
}

/// Returns an object in the namespace `prod`.
pub(crate) fn object(kind: &str, name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "db.orange.com/v2", "kind": kind, "metadata": {"name": name, "namespace": "prod"},
           "spec": spec})
}
