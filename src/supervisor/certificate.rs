//! The certificate of the webhook: from files at the start, or from the API server in mode `self`.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use jiff::Timestamp;
use kube::Client;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::telemetry::metrics::Metrics;
use crate::tls::{
    CertificateSource, CertificateState, Reloader, SelfOptions, SelfRotator, ServedPair, StartError,
};

use super::ca_store::KubernetesStore;

/// The source of the certificate.
pub(super) enum Certificate {
    /// A pair that exists at the start; files are read again at this interval.
    Pair(Reloader, Duration),
    /// A certificate authority in a Secret. There is a certificate once the API server has answered.
    SelfSigned(SelfOptions),
}

/// The certificate, and the task that renews it.
pub(super) struct CertificateTask {
    /// The pair for TLS handshakes.
    pub(super) served: Arc<ServedPair>,
    /// The state of the certificate, for readiness.
    pub(super) state: watch::Receiver<CertificateState>,
    /// The task that renews the certificate.
    pub(super) renewal: BoxFuture<'static, ()>,
}

impl Certificate {
    /// Opens the source. Files are read at once, so that an unusable certificate prevents the start.
    ///
    /// # Errors
    /// Returns an error if the files contain no usable certificate.
    pub(super) fn open(
        source: CertificateSource,
        reload_interval: Duration,
        metrics: &Metrics,
    ) -> Result<Self, StartError> {
        Ok(match source {
            CertificateSource::Pair(source) => {
                let reloader = Reloader::start(source, metrics.clone(), Timestamp::now())?;
                Self::Pair(reloader, reload_interval)
            }
            CertificateSource::SelfSigned(options) => Self::SelfSigned(options),
        })
    }

    /// Returns the certificate, and the task that renews it until `stop`.
    pub(super) fn task(self, client: &Client, metrics: &Metrics, stop: CancellationToken) -> CertificateTask {
        match self {
            Self::Pair(reloader, interval) => CertificateTask {
                served: reloader.served(),
                state: reloader.state(),
                renewal: Box::pin(reloader.run(interval, Timestamp::now, stop)),
            },
            Self::SelfSigned(options) => {
                let namespace = options
                    .namespace
                    .as_deref()
                    .unwrap_or_else(|| client.default_namespace());
                let store =
                    KubernetesStore::new(client.clone(), namespace, &options.secret, &options.webhooks);
                let rotator = SelfRotator::new(&options, namespace, store, metrics.clone());
                CertificateTask {
                    served: rotator.served(),
                    state: rotator.state(),
                    renewal: Box::pin(rotator.run(Timestamp::now, stop)),
                }
            }
        }
    }
}
