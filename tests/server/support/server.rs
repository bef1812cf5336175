//! Servers on free ports.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use axum::Router;
use cassgate::{
    server::{
        accept::{Drained, Server},
        admin, https,
        limits::Limits,
        listen,
    },
    telemetry::metrics::{Listener, Metrics},
    tls,
    tls::{PairFiles, PairSource, Reloader},
};
use jiff::Timestamp;
use rustls::RootCertStore;
use tempfile::TempDir;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{Authority, NEVER, write_pair};

/// A server that runs until it is stopped or dropped.
pub(crate) struct RunningServer {
    pub(crate) address: SocketAddr,
    pub(crate) metrics: Metrics,
    pub(crate) stop: CancellationToken,
    task: AbortOnDropHandle<Drained>,
}

/// A TLS server with a certificate of its own.
pub(crate) struct TlsServer {
    pub(crate) server: RunningServer,
    pub(crate) roots: RootCertStore,
    _reloader: Reloader,
    _files: TempDir,
}

/// Returns the time at which the tests take place.
pub(crate) fn now() -> Timestamp {
    "2026-11-23T12:00:00Z".parse().unwrap()
}

impl RunningServer {
    /// Starts a server for plain HTTP.
    pub(crate) async fn plain(router: Router, metrics: Metrics) -> Self {
        let bound = listen::bind(Listener::Admin, (Ipv4Addr::LOCALHOST, 0).into())
            .await
            .unwrap();
        let address = bound.address();
        let server = admin::server(bound, router, Limits::admin(), metrics.clone());
        Self::start(server, address, metrics, NEVER)
    }

    /// Starts a TLS server with the certificate that the reloader serves.
    pub(crate) async fn https(
        reloader: &Reloader,
        router: Router,
        limits: Limits,
        metrics: Metrics,
        drain: Duration,
    ) -> Self {
        let bound = listen::bind(Listener::Webhook, (Ipv4Addr::LOCALHOST, 0).into())
            .await
            .unwrap();
        let address = bound.address();
        let config = tls::server_config(reloader.served()).unwrap();
        let server = https::server(bound, config, router, limits, metrics.clone());
        Self::start(server, address, metrics, drain)
    }

    fn start(server: Server, address: SocketAddr, metrics: Metrics, drain: Duration) -> Self {
        let stop = CancellationToken::new();
        let task = AbortOnDropHandle::new(tokio::spawn(server.run(stop.clone(), drain)));
        Self {
            address,
            metrics,
            stop,
            task,
        }
    }

    /// Waits for the end of the drain.
    pub(crate) async fn ended(self) -> Drained {
        self.task.await.unwrap()
    }

    /// Stops the server and waits for the end of the drain.
    pub(crate) async fn stopped(self) -> Drained {
        self.stop.cancel();
        self.ended().await
    }
}

impl TlsServer {
    /// Starts a TLS server for this router.
    pub(crate) async fn new(router: Router, limits: Limits) -> Self {
        Self::with(router, limits, Metrics::new(), NEVER).await
    }

    pub(crate) async fn with(router: Router, limits: Limits, metrics: Metrics, drain: Duration) -> Self {
        let authority = Authority::new();
        let files = tempfile::tempdir().unwrap();
        write_pair(files.path(), &authority.issue());
        let source = PairSource::Files(PairFiles::in_directory(files.path()));
        let reloader = Reloader::start(source, metrics.clone(), now()).unwrap();
        let server = RunningServer::https(&reloader, router, limits, metrics, drain).await;
        Self {
            server,
            roots: authority.roots(),
            _reloader: reloader,
            _files: files,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address
    }
}
