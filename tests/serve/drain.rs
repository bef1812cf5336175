//! The end: what is under way is answered, nothing new comes in, and it does end.

use std::{io::ErrorKind, net::SocketAddr, sync::Arc};

use axum::{Router, routing::get};
use cassgate::{
    server::{accept::Drained, limits::Limits},
    telemetry::metrics::Metrics,
};
use tokio::{net::TcpStream, sync::Semaphore};

use crate::support::{NEVER, SOON, Secured, http1, http2, tls, tls_config, until, value};

/// A handler that answers when it is told to.
#[derive(Clone)]
struct Held {
    begun: Arc<Semaphore>,
    answer: Arc<Semaphore>,
    /// Dropped when the handler is.
    alive: Arc<()>,
}

impl Held {
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

    /// Two hold on while no handler runs: this test, and the router.
    fn handlers_are_gone(&self) -> bool {
        Arc::strong_count(&self.alive) <= 2
    }

    async fn has_begun(&self, requests: u32) {
        self.begun.acquire_many(requests).await.unwrap().forget();
    }
}

#[tokio::test]
async fn requests_under_way_are_answered_though_a_handshake_hangs_and_others_rest() {
    let held = Held::new();
    let served = Secured::new(held.router(), Limits::default()).await;
    let (address, roots) = (served.address(), &served.roots);
    let (mut old, mut new) = (http1(address, roots).await, http2(address, roots).await);
    let mut resting = [http1(address, roots).await, http2(address, roots).await];
    for client in &mut resting {
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
    held.has_begun(2).await;

    served.server.stop.cancel();
    refused(address).await;
    for client in resting {
        client.closed().await;
    }
    held.answer.add_permits(2);
    assert_eq!(old.await.unwrap().unwrap().body, "answered");
    assert_eq!(new.await.unwrap().unwrap().body, "answered");
    assert_eq!(served.server.ended().await, Drained::Finished);
    drop((hanging, silent));
}

#[tokio::test]
async fn a_server_without_connections_ends_at_once() {
    let served = Secured::new(Held::new().router(), Limits::default()).await;
    assert_eq!(served.server.stopped().await, Drained::Finished);
}

#[tokio::test]
async fn what_is_left_at_the_deadline_is_cut_and_counted() {
    let held = Held::new();
    let served = Secured::with(held.router(), Limits::default(), Metrics::new(), SOON).await;
    let (address, roots) = (served.address(), &served.roots);
    let (mut old, mut new) = (http1(address, roots).await, http2(address, roots).await);
    let old = tokio::spawn(async move { old.get("/").await });
    let new = tokio::spawn(async move { new.get("/").await });
    held.has_begun(2).await;

    assert_eq!(served.server.stopped().await, Drained::Cut { connections: 2 });
    old.await.unwrap().unwrap_err();
    new.await.unwrap().unwrap_err();
    assert!(held.handlers_are_gone());
}

#[tokio::test]
async fn a_server_that_is_dropped_takes_its_connections_along() {
    let held = Held::new();
    let served = Secured::with(held.router(), Limits::default(), Metrics::new(), NEVER).await;
    let (address, roots) = (served.address(), &served.roots);
    let (mut old, mut new) = (http1(address, roots).await, http2(address, roots).await);
    let old = tokio::spawn(async move { old.get("/").await });
    let new = tokio::spawn(async move { new.get("/").await });
    held.has_begun(2).await;

    drop(served);
    old.await.unwrap().unwrap_err();
    new.await.unwrap().unwrap_err();
    until(|| held.handlers_are_gone()).await;
}

/// Waits until the port is closed.
async fn refused(address: SocketAddr) {
    loop {
        match TcpStream::connect(address).await {
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => return,
            _ => tokio::task::yield_now().await,
        }
    }
}
