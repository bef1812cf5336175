//! What the tests share: authorities, Secret volumes, servers, clients.

mod client;
mod pairs;
mod server;

use std::time::Duration;

pub(crate) use client::{Client, http1, http2, tls, tls_config};
pub(crate) use pairs::{Authority, PemPair, Volume, roots, write_pair};
pub(crate) use server::{Secured, Served, now};

use cassgate::telemetry::metrics::Metrics;

/// A deadline that is meant to pass.
pub(crate) const SOON: Duration = Duration::from_millis(20);

/// A deadline that no test lives to see.
pub(crate) const NEVER: Duration = Duration::from_hours(24);

/// Waits until something is so. It has no deadline of its own.
pub(crate) async fn until(mut so: impl FnMut() -> bool) {
    while !so() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// The value of one series.
pub(crate) fn value(metrics: &Metrics, series: &str) -> i64 {
    let text = metrics.encode();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{series} is not in\n{text}"))
        .parse()
        .unwrap()
}
