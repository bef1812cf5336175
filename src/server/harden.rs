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
};

use axum::{
    Router,
    body::Body,
    extract::{DefaultBodyLimit, Request},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use tokio::time::timeout;
use tower::{Service, ServiceBuilder, layer::layer_fn};
use tower_http::{catch_panic::CatchPanicLayer, limit::RequestBodyLimitLayer};

use super::{
    bodies::{BodyLimits, TrackedBody},
    frames::{Arrival, report_frames},
    limits::RequestLimits,
};
use crate::telemetry::metrics::Metrics;

/// Adds limits to every route of `router`. Each failure has a `Status` as its body:
///
/// - a panic of the handler: 500, and a counter;
/// - a body that is too large: 413;
/// - a body that does not arrive in time: 408;
/// - a request that takes too long: 504;
/// - too many requests, or bodies that are too large together: 503. It goes to the oldest request whose body has not
///   arrived, or to the one with the largest body.
///
/// axum's own limit of 2 MB for a body is lifted.
pub fn harden(router: Router, metrics: Metrics, limits: RequestLimits) -> Router {
    let bodies = BodyLimits::new(limits);
    let layers = ServiceBuilder::new()
        .layer(CatchPanicLayer::custom(move |panic: Box<dyn Any + Send>| {
            panic_response(&metrics, &panic)
        }))
        .layer(layer_fn(move |inner| Bounded {
            inner,
            limits,
            bodies: bodies.clone(),
        }))
        .layer(RequestBodyLimitLayer::new(limits.body_size))
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

/// Enforces the timeouts and the limits of all requests together. It is a service of its own, because
/// `axum::middleware::from_fn` moves the request three times and boxes the inner service once more.
#[derive(Debug, Clone)]
struct Bounded<S> {
    inner: S,
    limits: RequestLimits,
    bodies: BodyLimits,
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
        let limits = self.limits;
        let Some(tracked) = self.bodies.track() else {
            return Box::pin(async move { Ok(overloaded(&limits)) });
        };
        let tracked = Arc::new(tracked);
        let response = self.inner.call(request.map(|body| track_frames(body, &tracked)));
        Box::pin(async move { Ok(bounded(&limits, &tracked, response).await) })
    }
}

async fn bounded<R: IntoResponse>(
    limits: &RequestLimits,
    tracked: &TrackedBody,
    response: impl Future<Output = Result<R, Infallible>>,
) -> Response {
    let outcome = tokio::select! {
        biased;
        () = tracked.cancelled().cancelled() => return overloaded(limits),
        outcome = timeout(limits.timeout, response) => outcome,
        () = tracked.is_late() => return failure(
            StatusCode::REQUEST_TIMEOUT,
            "Timeout",
            &format!(
                "the body did not arrive within {:?}, or a part of it within {:?}",
                limits.body_timeout, limits.body_idle_timeout
            ),
        ),
    };
    let Ok(Ok(response)) = outcome else {
        return failure(
            StatusCode::GATEWAY_TIMEOUT,
            "Timeout",
            &format!(
                "cassgate cancelled this request after {:?}, the time for its body included",
                limits.timeout
            ),
        );
    };
    let response = response.into_response();
    // The layer (by the announced length) and axum (by the received length) both respond in plain text.
    if response.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return failure(
            StatusCode::PAYLOAD_TOO_LARGE,
            "RequestEntityTooLarge",
            &format!(
                "the body is longer than {} bytes, the most that cassgate reads",
                limits.body_size
            ),
        );
    }
    response
}

/// Returns the body, which reports each received frame to `tracked`.
fn track_frames(body: Body, tracked: &Arc<TrackedBody>) -> Body {
    let tracked = Arc::clone(tracked);
    report_frames(body, move |arrival| match arrival {
        Arrival::Frame(bytes) => tracked.add(bytes),
        Arrival::End => tracked.finish(),
    })
}

/// Returns the response to a request that exceeds the limits of all requests together.
fn overloaded(limits: &RequestLimits) -> Response {
    let mut response = failure(
        StatusCode::SERVICE_UNAVAILABLE,
        "ServiceUnavailable",
        &format!(
            "cassgate is overloaded: it serves {} requests at a time, with bodies of {} bytes together",
            limits.requests, limits.total_body_size
        ),
    );
    response
        .headers_mut()
        .insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
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
