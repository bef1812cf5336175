//! What stands around every handler: a bug answers 500, a body is bounded, nothing takes for ever.
//!
//! kube-apiserver reads a `Status` out of an answer that is no review; `failurePolicy` then decides.

use std::{any::Any, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{DefaultBodyLimit, Request},
    http::{StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use tokio::time::timeout;
use tower::ServiceBuilder;
use tower_http::{catch_panic::CatchPanicLayer, limit::RequestBodyLimitLayer};

use crate::observe::metrics::Metrics;

/// The largest body that is read, in bytes: 8 MiB. A review carries the object and the old one; kube-apiserver takes
/// requests of up to 3 MiB, and JSON may be longer than what was sent.
pub const BODY_LIMIT: usize = 8 * 1024 * 1024;

/// The longest that a request may take, its body included. 30 s: `timeoutSeconds` of a webhook can be no more.
pub const REQUEST_DEADLINE: Duration = Duration::from_secs(30);

/// Puts the bounds around every route that `router` has: a panic answers 500 and counts, a body over
/// [`BODY_LIMIT`] answers 413, a request over [`REQUEST_DEADLINE`] answers 504, each with a `Status`.
///
/// Handlers may read a body whole: axum's own limit of 2 MB is lifted.
pub fn harden(router: Router, metrics: Metrics) -> Router {
    harden_within(router, metrics, REQUEST_DEADLINE)
}

/// [`harden`] with another deadline.
pub fn harden_within(router: Router, metrics: Metrics, deadline: Duration) -> Router {
    let layers = ServiceBuilder::new()
        .layer(CatchPanicLayer::custom(move |panic: Box<dyn Any + Send>| {
            panicked(&metrics, &panic)
        }))
        .layer(middleware::from_fn(move |request, next| {
            bounded(deadline, request, next)
        }))
        .layer(RequestBodyLimitLayer::new(BODY_LIMIT))
        .layer(DefaultBodyLimit::disable());
    router.layer(layers)
}

/// What the panic said is in the log already: the hook of [`observe::log`](crate::observe::log) wrote it.
fn panicked(metrics: &Metrics, _panic: &Box<dyn Any + Send>) -> Response {
    metrics.panicked();
    failure(
        StatusCode::INTERNAL_SERVER_ERROR,
        "InternalError",
        "cassgate failed on this request; this is a bug in cassgate, its log says where",
    )
}

async fn bounded(deadline: Duration, request: Request, next: Next) -> Response {
    let Ok(response) = timeout(deadline, next.run(request)).await else {
        return failure(
            StatusCode::GATEWAY_TIMEOUT,
            "Timeout",
            &format!("cassgate gave this request up after {deadline:?}, its body included"),
        );
    };
    // Both the layer, by the announced length, and axum, by what came, answer in plain text.
    if response.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return failure(
            StatusCode::PAYLOAD_TOO_LARGE,
            "RequestEntityTooLarge",
            &format!("the body is longer than {BODY_LIMIT} bytes, the most that cassgate reads"),
        );
    }
    response
}

fn failure(code: StatusCode, reason: &str, message: &str) -> Response {
    let status = Status {
        code: Some(code.as_u16().into()),
        message: Some(message.to_owned()),
        reason: Some(reason.to_owned()),
        status: Some("Failure".to_owned()),
        ..Status::default()
    };
    let body = serde_json::to_vec(&status).unwrap_or_default();
    (
        code,
        [(header::CONTENT_TYPE, "application/json")],
        Body::from(body),
    )
        .into_response()
}
