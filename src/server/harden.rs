//! The layers around every handler: a panic becomes a 500, and bodies and time are limited.
//!
//! Failures have a `Status` as their body, which kube-apiserver reads if the response is not a review; its
//! `failurePolicy` then decides.

use std::{
    any::Any,
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, Request},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use http_body_util::BodyExt;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use tokio::time::timeout;
use tower::{Service, ServiceBuilder, layer::layer_fn};
use tower_http::{catch_panic::CatchPanicLayer, limit::RequestBodyLimitLayer};

use super::bodies::{BodyLimit, TrackedBody};
use crate::telemetry::metrics::Metrics;

/// The largest body that is read, in bytes: 8 MiB. A review contains the object and the old one; kube-apiserver accepts
/// requests of up to 3 MiB, and the JSON of a review may be longer than the user's request.
pub const MAX_BODY_SIZE: usize = 8 * 1024 * 1024;

/// The largest total of the bodies of all requests, in bytes: 16 MiB, which is two of the largest or thousands of
/// usual size.
pub const MAX_TOTAL_BODY_SIZE: usize = 2 * MAX_BODY_SIZE;

/// The timeout of a request, the time for its body included. 30 s: the maximum of `timeoutSeconds` of a webhook.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Adds the limits to every route of `router`. Each failure has a `Status` as its body:
///
/// - a panic of the handler: 500, and a counter;
/// - a body over [`MAX_BODY_SIZE`]: 413;
/// - a request over [`REQUEST_TIMEOUT`]: 504;
/// - the largest body while all bodies together exceed [`MAX_TOTAL_BODY_SIZE`]: 503.
///
/// axum's own limit of 2 MB for a body is lifted.
pub fn harden(router: Router, metrics: Metrics) -> Router {
    harden_with_timeout(router, metrics, REQUEST_TIMEOUT)
}

/// Does the same as [`harden`], with another timeout.
pub fn harden_with_timeout(router: Router, metrics: Metrics, timeout: Duration) -> Router {
    let body_limit = BodyLimit::new(MAX_TOTAL_BODY_SIZE);
    let layers = ServiceBuilder::new()
        .layer(CatchPanicLayer::custom(move |panic: Box<dyn Any + Send>| {
            panic_response(&metrics, &panic)
        }))
        .layer(layer_fn(move |inner| Bounded {
            inner,
            timeout,
            body_limit: body_limit.clone(),
        }))
        .layer(RequestBodyLimitLayer::new(MAX_BODY_SIZE))
        .layer(DefaultBodyLimit::disable());
    router.layer(layers)
}

/// Returns the response after a panic. The panic hook of [`telemetry::log`](crate::telemetry::log) has logged the
/// message.
fn panic_response(metrics: &Metrics, _panic: &Box<dyn Any + Send>) -> Response {
    metrics.panicked();
    failure(
        StatusCode::INTERNAL_SERVER_ERROR,
        "InternalError",
        "cassgate failed on this request; this is a bug in cassgate, and its log names the place",
    )
}

/// Enforces the timeout and the limit of all bodies. It is a service of its own, because `axum::middleware::from_fn`
/// moves the request three times and boxes the inner service once more.
#[derive(Debug, Clone)]
struct Bounded<S> {
    inner: S,
    timeout: Duration,
    body_limit: BodyLimit,
}

impl<S> Service<Request> for Bounded<S>
where
    S: Service<Request, Error = Infallible>,
    S::Response: IntoResponse,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let tracked = Arc::new(self.body_limit.track());
        let response = self.inner.call(request.map(|body| track_frames(body, &tracked)));
        let timeout = self.timeout;
        Box::pin(async move { Ok(bounded(timeout, &tracked, response).await) })
    }
}

async fn bounded<R: IntoResponse>(
    limit: Duration,
    tracked: &TrackedBody,
    response: impl Future<Output = Result<R, Infallible>>,
) -> Response {
    let outcome = tokio::select! {
        () = tracked.cancelled().cancelled() => return failure(
            StatusCode::SERVICE_UNAVAILABLE,
            "ServiceUnavailable",
            &format!("the bodies of all requests exceed {MAX_TOTAL_BODY_SIZE} bytes, and this one is the largest"),
        ),
        outcome = timeout(limit, response) => outcome,
    };
    let Ok(Ok(response)) = outcome else {
        return failure(
            StatusCode::GATEWAY_TIMEOUT,
            "Timeout",
            &format!("cassgate cancelled this request after {limit:?}, the time for its body included"),
        );
    };
    let response = response.into_response();
    // The layer (by the announced length) and axum (by the received length) both respond in plain text.
    if response.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return failure(
            StatusCode::PAYLOAD_TOO_LARGE,
            "RequestEntityTooLarge",
            &format!("the body is longer than {MAX_BODY_SIZE} bytes, the most that cassgate reads"),
        );
    }
    response
}

/// Returns the body, which adds each received frame to `tracked`.
fn track_frames(body: Body, tracked: &Arc<TrackedBody>) -> Body {
    let tracked = Arc::clone(tracked);
    Body::new(body.map_frame(move |frame| {
        tracked.add(frame.data_ref().map_or(0, Bytes::len));
        frame
    }))
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
