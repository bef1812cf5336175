//! The port of probes and metrics: plain HTTP, so that kubelet and Prometheus need no certificate.

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

/// Whether the process answers.
pub const LIVEZ: &str = "/livez";

/// Whether reviews should be sent here.
pub const READYZ: &str = "/readyz";

/// What is counted.
pub const METRICS: &str = "/metrics";

/// What is logged.
pub const LOG_LEVEL: &str = "/loglevel";

/// Answers `GET` on four paths, and `PUT` on one.
///
/// - [`LIVEZ`]: `ok`. The process answers, nothing more: a restart mends no missing cache.
/// - [`READYZ`]: 200 `ok`, or 503 with the closed gates as a JSON list of `{gate, open, reason}`;
///   with `?verbose` the list of all gates, under the same status, and after them the notes: `{note, text}`.
/// - [`METRICS`]: `OpenMetrics` text.
/// - [`LOG_LEVEL`]: what is logged; `PUT` changes it, for clients of this machine.
pub fn router(readiness: Readiness, metrics: Metrics, log: LogControl) -> Router {
    let routes = Router::new()
        .route(LIVEZ, get(async || "ok"))
        .route(READYZ, get(readyz).with_state(readiness))
        .route(METRICS, get(show_metrics).with_state(metrics.clone()))
        .route(LOG_LEVEL, log_level::route(log));
    harden(routes, metrics)
}

/// Answers over plain HTTP with `router`. The accept loop and its bounds are those of the webhook.
#[must_use]
pub fn server(bound: Bound, router: Router, limits: Limits, metrics: Metrics) -> Server {
    Server::new(bound, None, router, limits, metrics)
}

/// An entry of the list.
#[derive(Serialize)]
#[serde(untagged)]
enum Shown {
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
    let shown: Vec<Shown> = gates
        .map(Shown::Gate)
        .chain(notes.into_iter().map(Shown::Note))
        .collect();
    let body = serde_json::to_vec(&shown).unwrap_or_default();
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
