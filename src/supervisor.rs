//! Background tasks of `cassgate run`: start order, supervision and shutdown order.
//!
//! Start: the certificate (an unusable one prevents the start), the two ports, the connection to the API server, the
//! caches, with the executor `cassgate` the reconciler, then the two servers. Every task beside the servers is a named
//! member of one set. A task that ends before the shutdown starts the shutdown, and the process exits with 1.
//!
//! Shutdown: the webhook drains first, then the background tasks end, because requests in flight still need the caches.
//! The admin port answers probes until the end.

mod background;
mod ca_store;
mod caches;
mod certificate;
mod reconciler;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

use crate::admission::{self, Admission};
use crate::kubernetes::{self, ConnectError};
use crate::reconcile::lease::LeaseOptionsError;
use crate::rules::policy::{Executor, Policy};
use crate::server::accept::{Drained, Server};
use crate::server::harden::harden;
use crate::server::limits::Limits;
use crate::server::listen::{BindError, bind};
use crate::server::readiness::Readiness;
use crate::server::shutdown::{ExitNow, Shutdown, SignalError, Signals};
use crate::server::{admin, https};
use crate::telemetry::log::LogControl;
use crate::telemetry::metrics::{Listener, Metrics};
use crate::tls::{self, CertificateSource, CertificateState, ConfigError, StartError};

use background::Background;
use caches::watch_cluster;
use certificate::Certificate;

pub use ca_store::AUTHORITY_LABEL;

/// The drain timeout of the admin port, for the last probe.
pub const ADMIN_DRAIN: Duration = Duration::from_secs(1);

/// The configuration of one process, as the command line gives it.
#[derive(Debug)]
pub struct Options {
    /// The address of the webhook, over TLS.
    pub listen: SocketAddr,
    /// The address of the admin server, over plain HTTP.
    pub admin_listen: SocketAddr,
    /// The time between SIGTERM and the end of the accept loop, in which the API server learns of the shutdown.
    pub shutdown_delay: Duration,
    /// The time that requests in flight then have to finish.
    pub drain_timeout: Duration,
    /// The source of the certificate.
    pub tls: CertificateSource,
    /// The interval at which certificate files are read again.
    pub tls_reload_interval: Duration,
    /// The policy of the rules.
    pub policy: Policy,
    /// The time without progress after which a run of the executor is reported as stalled.
    pub no_progress_timeout: SignedDuration,
}

/// The way in which a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "an unclean end is worth an exit code"]
pub enum Ended {
    /// After a shutdown in which every request was answered.
    Cleanly,
    /// A task ended by itself, requests were cut, or a second signal came.
    Uncleanly,
}

/// An error that prevents the start.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// No certificate can be served.
    #[error(transparent)]
    Certificate(#[from] StartError),
    /// rustls accepts the certificate, but not the settings.
    #[error(transparent)]
    Tls(#[from] ConfigError),
    /// A port cannot be bound.
    #[error(transparent)]
    Port(#[from] BindError),
    /// The Kubernetes configuration is missing or unusable.
    #[error(transparent)]
    Kubernetes(#[from] ConnectError),
    /// The durations of the lease contradict each other.
    #[error(transparent)]
    Lease(#[from] LeaseOptionsError),
    /// The signal handlers cannot be installed.
    #[error(transparent)]
    Signals(#[from] SignalError),
}

/// Serves until a signal arrives or a task ends.
///
/// # Errors
/// Returns an error if the process cannot start.
pub async fn run(options: Options, log: LogControl) -> Result<Ended, RunError> {
    let signals = Signals::install()?;
    tls::install_default_provider();
    let (readiness, metrics, shutdown) = (Readiness::new(), Metrics::new(), Shutdown::new());

    let gate = readiness.gate("tls", "no certificate yet");
    let certificate = Certificate::open(options.tls, options.tls_reload_interval, &metrics)?;
    let webhook_port = bind(Listener::Webhook, options.listen).await?;
    let admin_port = bind(Listener::Admin, options.admin_listen).await?;
    let client = kubernetes::connect().await?;

    let mut background = Background::new(shutdown.clone());
    let certificate = certificate.task(&client, &metrics, shutdown.stopping().clone());
    let server_config = tls::server_config(certificate.served)?;
    background.spawn(
        "gate of the certificate",
        gate.follow(certificate.state, CertificateState::unready),
    );
    background.spawn("certificate", certificate.renewal);
    let cluster = watch_cluster(client.clone(), &metrics, &readiness, &mut background);
    let policy = options.policy;
    if policy.executor == Executor::Cassgate {
        let parts = reconciler::Parts {
            client,
            cluster: &cluster,
            policy: policy.clone(),
            no_progress_timeout: options.no_progress_timeout,
            metrics: metrics.clone(),
        };
        parts.start(&readiness, shutdown.stopping().clone(), &mut background)?;
    }

    let admission = Admission {
        facts: cluster.facts.clone(),
        policy,
        metrics: metrics.clone(),
        status_is_subresource: cluster.status_is_subresource(),
        now: Timestamp::now,
    };
    let router = harden(admission::router(Arc::new(admission)), metrics.clone());
    let limits = Limits::default();
    let webhook = https::server(webhook_port, server_config, router, limits, metrics.clone());
    let admin_router = admin::router(readiness.clone(), metrics.clone(), log);
    let admin = admin::server(admin_port, admin_router, Limits::admin(), metrics);
    let process = Process {
        webhook,
        admin,
        background,
        drain_timeout: options.drain_timeout,
    };
    tokio::select! {
        ExitNow = shutdown.clone().run(signals, &readiness, options.shutdown_delay) => Ok(Ended::Uncleanly),
        ended = process.run(&shutdown) => Ok(ended),
    }
}

/// The servers and tasks of a started process.
struct Process {
    webhook: Server,
    admin: Server,
    background: Background,
    drain_timeout: Duration,
}

impl Process {
    /// Runs until everything has ended: the webhook first, then the background tasks, then the admin port.
    async fn run(self, shutdown: &Shutdown) -> Ended {
        let stop_background = self.background.stop_token();
        let stop_admin = CancellationToken::new();
        let webhook = async {
            let drained = self
                .webhook
                .run(shutdown.stopping().clone(), self.drain_timeout)
                .await;
            stop_background.cancel();
            drained
        };
        let background = async {
            let intact = self.background.supervise().await;
            stop_admin.cancel();
            intact
        };
        let admin = self.admin.run(stop_admin.clone(), ADMIN_DRAIN);
        let (drained, intact, _) = tokio::join!(webhook, background, admin);
        match drained {
            Drained::Finished if intact => {
                tracing::info!("shutdown complete");
                Ended::Cleanly
            }
            Drained::Finished => Ended::Uncleanly,
            Drained::Cut { connections } => {
                tracing::warn!(
                    connections,
                    "the drain timeout passed; open connections were closed"
                );
                Ended::Uncleanly
            }
        }
    }
}
