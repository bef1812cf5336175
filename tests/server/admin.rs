//! The admin port: probes, metrics and the log level.

use axum::Router;
use cassgate::{
    server::{accept::Drained, admin, readiness::Readiness},
    telemetry::{log::LogControl, metrics::Metrics},
};
use tokio::net::TcpStream;

use crate::support::{Client, RunningServer};

/// Returns the router of the admin port, and the layer that keeps the handle of its log usable.
fn router(readiness: Readiness, metrics: Metrics) -> (impl Sized, Router) {
    let (layer, log) = LogControl::new("info".parse().unwrap());
    (layer, admin::router(readiness, metrics, log))
}

async fn client(served: &RunningServer) -> Client {
    Client::http1(TcpStream::connect(served.address).await.unwrap()).await
}

#[tokio::test]
async fn readyz_lists_the_closed_gates_and_livez_does_not_depend_on_them() {
    let (readiness, metrics) = (Readiness::new(), Metrics::new());
    let tls = readiness.gate("tls", "no certificate loaded yet");
    let cache = readiness.gate("cache:backup", "not listed yet");
    let (_layer, router) = router(readiness, metrics.clone());
    let served = RunningServer::plain(router, metrics).await;
    let mut client = client(&served).await;

    let closed = r#"[{"gate":"tls","open":false,"reason":"no certificate loaded yet"},{"gate":"cache:backup","open":false,"reason":"not listed yet"}]"#;
    let answer = client.get("/readyz").await.unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (503, closed));
    assert_eq!(answer.content_type.as_deref(), Some("application/json"));
    let answer = client.get("/livez").await.unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (200, "ok"));

    tls.open();
    let half = r#"[{"gate":"cache:backup","open":false,"reason":"not listed yet"}]"#;
    let answer = client.get("/readyz").await.unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (503, half));
    let half =
        r#"[{"gate":"tls","open":true},{"gate":"cache:backup","open":false,"reason":"not listed yet"}]"#;
    let answer = client.get("/readyz?verbose").await.unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (503, half));

    cache.open();
    let answer = client.get("/readyz").await.unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (200, "ok"));
    let all = r#"[{"gate":"tls","open":true},{"gate":"cache:backup","open":true}]"#;
    for query in ["/readyz?verbose", "/readyz?timeout=1s&verbose=true"] {
        let answer = client.get(query).await.unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (200, all));
    }
    drop(client);
    assert_eq!(served.stopped().await, Drained::Finished);
}

#[tokio::test]
async fn verbose_readyz_lists_the_notes_and_a_note_does_not_affect_readiness() {
    let (readiness, metrics) = (Readiness::new(), Metrics::new());
    let tls = readiness.gate("tls", "no certificate loaded yet");
    let lease = readiness.note("lease", "not looked at yet");
    let (_layer, router) = router(readiness, metrics.clone());
    let served = RunningServer::plain(router, metrics).await;
    let mut client = client(&served).await;
    let closed = r#"[{"gate":"tls","open":false,"reason":"no certificate loaded yet"}]"#;
    let answer = client.get("/readyz").await.unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (503, closed));
    tls.open();
    lease.set("held by cassgate-1");
    let answer = client.get("/readyz").await.unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (200, "ok"));
    let all = r#"[{"gate":"tls","open":true},{"note":"lease","text":"held by cassgate-1"}]"#;
    let answer = client.get("/readyz?verbose").await.unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (200, all));
    drop(client);
    assert_eq!(served.stopped().await, Drained::Finished);
}

#[tokio::test]
async fn metrics_are_in_the_open_metrics_text_format() {
    let metrics = Metrics::new();
    metrics.panicked();
    let (_layer, router) = router(Readiness::new(), metrics.clone());
    let served = RunningServer::plain(router, metrics).await;
    let answer = client(&served).await.get("/metrics").await.unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.content_type.as_deref(),
        Some("application/openmetrics-text; version=1.0.0; charset=utf-8")
    );
    for line in [
        "# HELP cassgate_panics Panics of request handlers; each is a bug in cassgate.",
        "# TYPE cassgate_panics counter",
        "cassgate_panics_total 1",
        r#"cassgate_connections{listener="admin"} 1"#,
    ] {
        assert!(
            answer.body.lines().any(|found| found == line),
            "{line} is not in\n{}",
            answer.body
        );
    }
    assert!(answer.body.ends_with("# EOF\n"));
}

#[tokio::test]
async fn the_log_level_can_be_read_and_changed() {
    let metrics = Metrics::new();
    let (_layer, router) = router(Readiness::new(), metrics.clone());
    let served = RunningServer::plain(router, metrics).await;
    let mut client = client(&served).await;
    assert_eq!(client.get("/loglevel").await.unwrap().body, "info\n");
    let answer = client.put("/loglevel", "info,kube=debug").await.unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (200, "info,kube=debug\n"));
    assert_eq!(client.get("/loglevel").await.unwrap().body, "info,kube=debug\n");
    let answer = client.put("/loglevel", "warning").await.unwrap();
    assert_eq!(answer.status, 400);
    assert!(
        answer
            .body
            .starts_with("\"warning\" is not a level; write off, error"),
        "{}",
        answer.body
    );
    assert_eq!(client.get("/loglevel").await.unwrap().body, "info,kube=debug\n");
}

#[tokio::test]
async fn other_paths_and_methods_are_rejected() {
    let metrics = Metrics::new();
    let (_layer, router) = router(Readiness::new(), metrics.clone());
    let served = RunningServer::plain(router, metrics).await;
    let mut client = client(&served).await;
    assert_eq!(client.post("/livez", "").await.unwrap().status, 405);
    assert_eq!(client.post("/loglevel", "debug").await.unwrap().status, 405);
    assert_eq!(client.get("/").await.unwrap().status, 404);
}
