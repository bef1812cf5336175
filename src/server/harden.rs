//! What stands around every handler: a bug answers 500, a body is bounded, nothing takes for ever.
//!
//! kube-apiserver reads a `Status` out of an answer that is no review; `failurePolicy` then decides.

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

use super::bodies::{Bodies, Share};
use crate::telemetry::metrics::Metrics;

/// The largest body that is read, in bytes: 8 MiB. A review carries the object and the old one; kube-apiserver takes
/// requests of up to 3 MiB, and JSON may be longer than what was sent.
pub const BODY_LIMIT: usize = 8 * 1024 * 1024;

/// What the bodies of all requests under way may take together, in bytes: 24 MiB. Three of the largest, or some
/// thousands of usual size.
pub const BODIES_LIMIT: usize = 3 * BODY_LIMIT;

/// The longest that a request may take, its body included. 30 s: `timeoutSeconds` of a webhook can be no more.
pub const REQUEST_DEADLINE: Duration = Duration::from_secs(30);

/// Puts the bounds around every route that `router` has: a panic answers 500 and counts, a body over
/// [`BODY_LIMIT`] answers 413, a request over [`REQUEST_DEADLINE`] answers 504, and when all bodies together are over
/// [`BODIES_LIMIT`] the largest answers 503; each with a `Status`.
///
/// Handlers may read a body whole: axum's own limit of 2 MB is lifted.
pub fn harden(router: Router, metrics: Metrics) -> Router {
    harden_within(router, metrics, REQUEST_DEADLINE)
}

/// [`harden`] with another deadline.
pub fn harden_within(router: Router, metrics: Metrics, deadline: Duration) -> Router {
    let bodies = Bodies::new(BODIES_LIMIT);
    let layers = ServiceBuilder::new()
        .layer(CatchPanicLayer::custom(move |panic: Box<dyn Any + Send>| {
            panicked(&metrics, &panic)
        }))
        .layer(layer_fn(move |inner| Bounded {
            inner,
            deadline,
            bodies: bodies.clone(),
        }))
        .layer(RequestBodyLimitLayer::new(BODY_LIMIT))
        .layer(DefaultBodyLimit::disable());
    router.layer(layers)
}

/// What the panic said is in the log already: the hook of [`telemetry::log`](crate::telemetry::log) wrote it.
fn panicked(metrics: &Metrics, _panic: &Box<dyn Any + Send>) -> Response {
    metrics.panicked();
    failure(
        StatusCode::INTERNAL_SERVER_ERROR,
        "InternalError",
        "cassgate failed on this request; this is a bug in cassgate, its log says where",
    )
}

/// A service of its own: `axum::middleware::from_fn` carries the request three times and boxes what is behind it once
/// more.
#[derive(Debug, Clone)]
struct Bounded<S> {
    inner: S,
    deadline: Duration,
    bodies: Bodies,
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
        let share = Arc::new(self.bodies.share());
        let answer = self.inner.call(request.map(|body| counted(body, &share)));
        let deadline = self.deadline;
        Box::pin(async move { Ok(bounded(deadline, &share, answer).await) })
    }
}

async fn bounded<R: IntoResponse>(
    deadline: Duration,
    share: &Share,
    answer: impl Future<Output = Result<R, Infallible>>,
) -> Response {
    let answered = tokio::select! {
        () = share.given_up().cancelled() => return failure(
            StatusCode::SERVICE_UNAVAILABLE,
            "ServiceUnavailable",
            &format!("all bodies that come now are over {BODIES_LIMIT} bytes together, and this one is the largest"),
        ),
        answered = timeout(deadline, answer) => answered,
    };
    let Ok(Ok(response)) = answered else {
        return failure(
            StatusCode::GATEWAY_TIMEOUT,
            "Timeout",
            &format!("cassgate gave this request up after {deadline:?}, its body included"),
        );
    };
    let response = response.into_response();
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

/// The body, each part of it counted as it comes.
fn counted(body: Body, share: &Arc<Share>) -> Body {
    let share = Arc::clone(share);
    Body::new(body.map_frame(move |frame| {
        share.grow(frame.data_ref().map_or(0, Bytes::len));
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
