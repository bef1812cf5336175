//! The certificate of the webhook: from files at the start, or from the API server in mode `self`.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use jiff::Timestamp;
use kube::Client;
use tokio_util::sync::CancellationToken;

use crate::server::readiness::Gate;
use crate::telemetry::metrics::Metrics;
use crate::tls::{Keeper, SelfKeeper, SelfOptions, Served, StartError, TlsChoice};

use super::authority::KubernetesStore;

/// The source of the certificate.
pub(super) enum Certificate {
    /// Files, loaded at the start and read again at this interval.
    Files(Keeper, Duration),
    /// A certificate authority in a Secret. There is a certificate once the API server has answered.
    SelfSigned(SelfOptions, Gate),
}

impl Certificate {
    /// Opens the source. Files are read at once, so that an unusable certificate prevents the start.
    ///
    /// # Errors
    /// Returns an error if the files contain no usable certificate.
    pub(super) fn open(
        choice: TlsChoice,
        reload_interval: Duration,
        gate: Gate,
        metrics: &Metrics,
    ) -> Result<Self, StartError> {
        Ok(match choice {
            TlsChoice::Pair(source) => {
                let keeper = Keeper::start(source, gate, metrics.clone(), Timestamp::now())?;
                Self::Files(keeper, reload_interval)
            }
            TlsChoice::SelfSigned(options) => Self::SelfSigned(options, gate),
        })
    }

    /// Returns the certificate for handshakes, and the task that renews it until `stop`.
    pub(super) fn task(
        self,
        client: &Client,
        metrics: &Metrics,
        stop: CancellationToken,
    ) -> (Arc<Served>, BoxFuture<'static, ()>) {
        match self {
            Self::Files(keeper, interval) => (
                keeper.served(),
                Box::pin(keeper.run(interval, Timestamp::now, stop)),
            ),
            Self::SelfSigned(options, gate) => {
                let namespace = options
                    .namespace
                    .as_deref()
                    .unwrap_or_else(|| client.default_namespace());
                let store =
                    KubernetesStore::new(client.clone(), namespace, &options.secret, &options.webhooks);
                let keeper = SelfKeeper::new(&options, namespace, store, gate, metrics.clone());
                (keeper.served(), Box::pin(keeper.run(Timestamp::now, stop)))
            }
        }
    }
}
