//! The admin port: probes, metrics and the log level, over plain HTTP so that kubelet and Prometheus need no certificate.

use axum::{
    Router,
    body::Body,
    extract::{RawQuery, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Serialize;

use super::{
    accept::Server,
    harden::harden,
    limits::Limits,
    listen::Bound,
    log_level,
    readiness::{GateState, NoteState, Readiness},
};
use crate::telemetry::{
    log::LogControl,
    metrics::{self, Metrics},
};

/// The path of the liveness probe.
pub const LIVEZ: &str = "/livez";

/// The path of the readiness probe.
pub const READYZ: &str = "/readyz";

/// The path of the metrics.
pub const METRICS: &str = "/metrics";

/// The path of the log level.
pub const LOG_LEVEL: &str = "/loglevel";

/// Returns the router of the admin port, which answers `GET` on four paths and `PUT` on one.
///
/// - [`LIVEZ`]: `ok` while the process answers. It does not depend on readiness, because a restart does not repair a
///   missing cache.
/// - [`READYZ`]: 200 `ok`, or 503 with the closed gates as a JSON list of `{gate, open, reason}`. With `?verbose`, the
///   list of all gates with the same status code, followed by the notes: `{note, text}`.
/// - [`METRICS`]: `OpenMetrics` text.
/// - [`LOG_LEVEL`]: the log level. `PUT` changes it, for clients on this machine.
pub fn router(readiness: Readiness, metrics: Metrics, log: LogControl) -> Router {
    let routes = Router::new()
        .route(LIVEZ, get(async || "ok"))
        .route(READYZ, get(readyz).with_state(readiness))
        .route(METRICS, get(show_metrics).with_state(metrics.clone()))
        .route(LOG_LEVEL, log_level::route(log));
    harden(routes, metrics)
}

/// Returns a server that answers over plain HTTP with `router`. The accept loop is that of the webhook.
#[must_use]
pub fn server(bound: Bound, router: Router, limits: Limits, metrics: Metrics) -> Server {
    Server::new(bound, None, router, limits, metrics)
}

/// An entry of the list at `/readyz`.
#[derive(Serialize)]
#[serde(untagged)]
enum Entry {
    Gate(GateState),
    Note(NoteState),
}

async fn readyz(State(readiness): State<Readiness>, RawQuery(query): RawQuery) -> Response {
    let gates = readiness.gates();
    let ready = gates.iter().all(|gate| gate.open);
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let verbose = query.is_some_and(|query| {
        query
            .split('&')
            .any(|part| part.split('=').next() == Some("verbose"))
    });
    if ready && !verbose {
        return (status, "ok").into_response();
    }
    let notes = if verbose { readiness.notes() } else { Vec::new() };
    let gates = gates.into_iter().filter(|gate| verbose || !gate.open);
    let entries: Vec<Entry> = gates
        .map(Entry::Gate)
        .chain(notes.into_iter().map(Entry::Note))
        .collect();
    let body = serde_json::to_vec(&entries).unwrap_or_default();
    (
        status,
        [(header::CONTENT_TYPE, "application/json")],
        Body::from(body),
    )
        .into_response()
}

async fn show_metrics(State(metrics): State<Metrics>) -> Response {
    ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], metrics.encode()).into_response()
}
