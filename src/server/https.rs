//! The webhook's port: HTTP/1.1 and HTTP/2 over TLS.

use std::sync::Arc;

use axum::Router;
use rustls::ServerConfig;

use super::{accept::Server, limits::Limits, listen::Bound};
use crate::telemetry::metrics::Metrics;

/// Returns a server that answers over TLS with `router`, which should come from [`harden`](super::harden::harden).
///
/// The first bytes decide between HTTP/1.1 and HTTP/2, so that a client without ALPN is served too.
#[must_use]
pub fn server(
    bound: Bound,
    tls: Arc<ServerConfig>,
    router: Router,
    limits: Limits,
    metrics: Metrics,
) -> Server {
    Server::new(bound, Some(tls), router, limits, metrics)
}
