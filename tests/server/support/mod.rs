//! Shared by the tests: authorities, mounted Secrets, servers and clients.

mod client;
mod pairs;
mod server;

use std::time::Duration;

pub(crate) use client::{Client, http1, http2, tls, tls_config};
pub(crate) use pairs::{Authority, PemPair, Volume, roots, write_pair};
pub(crate) use server::{RunningServer, TlsServer, now};

use cassgate::telemetry::metrics::Metrics;

/// A deadline that passes during the test.
pub(crate) const SOON: Duration = Duration::from_millis(20);

/// A deadline that does not pass during the test.
pub(crate) const NEVER: Duration = Duration::from_hours(24);

/// Waits until `condition` holds, without a deadline.
pub(crate) async fn until(mut condition: impl FnMut() -> bool) {
    while !condition() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Returns the value of a series.
pub(crate) fn value(metrics: &Metrics, series: &str) -> i64 {
    let text = metrics.encode();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{series} is not in\n{text}"))
        .parse()
        .unwrap()
}
