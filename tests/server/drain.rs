//! The drain: requests in flight are answered, no new connection is accepted, and the drain ends in time.

use std::{io::ErrorKind, net::SocketAddr, sync::Arc};

use axum::{Router, routing::get};
use cassgate::{
    server::{accept::Drained, limits::Limits},
    telemetry::metrics::Metrics,
};
use tokio::{net::TcpStream, sync::Semaphore};

use crate::support::{NEVER, SOON, TlsServer, http1, http2, tls, tls_config, until, value};

/// A handler that answers when the test permits it.
#[derive(Clone)]
struct BlockedHandler {
    begun: Arc<Semaphore>,
    answer: Arc<Semaphore>,
    /// Dropped with the handler.
    alive: Arc<()>,
}

impl BlockedHandler {
    fn new() -> Self {
        Self {
            begun: Arc::new(Semaphore::new(0)),
            answer: Arc::new(Semaphore::new(0)),
            alive: Arc::default(),
        }
    }

    fn router(&self) -> Router {
        let Self { begun, answer, alive } = self.clone();
        let handler = async move || {
            let _alive = Arc::clone(&alive);
            begun.add_permits(1);
            answer.acquire().await.unwrap().forget();
            "answered"
        };
        Router::new()
            .route("/", get(handler))
            .route("/quick", get(async || "quick"))
    }

    /// Returns true if no handler runs. The test and the router hold one reference each.
    fn handlers_are_gone(&self) -> bool {
        Arc::strong_count(&self.alive) <= 2
    }

    async fn has_begun(&self, requests: u32) {
        self.begun.acquire_many(requests).await.unwrap().forget();
    }
}

#[tokio::test]
async fn requests_in_flight_are_answered_despite_hanging_handshakes_and_idle_connections() {
    let blocked = BlockedHandler::new();
    let served = TlsServer::new(blocked.router(), Limits::default()).await;
    let (address, roots) = (served.address(), &served.roots);
    let (mut old, mut new) = (http1(address, roots).await, http2(address, roots).await);
    let mut idle = [http1(address, roots).await, http2(address, roots).await];
    for client in &mut idle {
        assert_eq!(client.get("/quick").await.unwrap().body, "quick");
    }
    let hanging = TcpStream::connect(address).await.unwrap();
    let silent = tls(address, tls_config(roots.clone(), &["h2"])).await.unwrap();
    until(|| {
        value(
            &served.server.metrics,
            r#"cassgate_connections{listener="webhook"}"#,
        ) == 6
    })
    .await;
    let old = tokio::spawn(async move { old.get("/").await });
    let new = tokio::spawn(async move { new.get("/").await });
    blocked.has_begun(2).await;

    served.server.stop.cancel();
    wait_until_closed(address).await;
    for client in idle {
        client.closed().await;
    }
    blocked.answer.add_permits(2);
    assert_eq!(old.await.unwrap().unwrap().body, "answered");
    assert_eq!(new.await.unwrap().unwrap().body, "answered");
    assert_eq!(served.server.ended().await, Drained::Finished);
    drop((hanging, silent));
}

#[tokio::test]
async fn a_server_without_connections_stops_at_once() {
    let served = TlsServer::new(BlockedHandler::new().router(), Limits::default()).await;
    assert_eq!(served.server.stopped().await, Drained::Finished);
}

#[tokio::test]
async fn connections_that_remain_at_the_deadline_are_cut_and_counted() {
    let blocked = BlockedHandler::new();
    let served = TlsServer::with(blocked.router(), Limits::default(), Metrics::new(), SOON).await;
    let (address, roots) = (served.address(), &served.roots);
    let (mut old, mut new) = (http1(address, roots).await, http2(address, roots).await);
    let old = tokio::spawn(async move { old.get("/").await });
    let new = tokio::spawn(async move { new.get("/").await });
    blocked.has_begun(2).await;

    assert_eq!(served.server.stopped().await, Drained::Cut { connections: 2 });
    old.await.unwrap().unwrap_err();
    new.await.unwrap().unwrap_err();
    assert!(blocked.handlers_are_gone());
}

#[tokio::test]
async fn a_dropped_server_ends_its_connections() {
    let blocked = BlockedHandler::new();
    let served = TlsServer::with(blocked.router(), Limits::default(), Metrics::new(), NEVER).await;
    let (address, roots) = (served.address(), &served.roots);
    let (mut old, mut new) = (http1(address, roots).await, http2(address, roots).await);
    let old = tokio::spawn(async move { old.get("/").await });
    let new = tokio::spawn(async move { new.get("/").await });
    blocked.has_begun(2).await;

    drop(served);
    old.await.unwrap().unwrap_err();
    new.await.unwrap().unwrap_err();
    until(|| blocked.handlers_are_gone()).await;
}

/// Waits until the port is closed.
async fn wait_until_closed(address: SocketAddr) {
    loop {
        match TcpStream::connect(address).await {
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => return,
            _ => tokio::task::yield_now().await,
        }
    }
}
