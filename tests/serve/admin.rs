//! The port of probes and metrics.

use axum::Router;
use cassgate::{
    server::{accept::Drained, admin, readiness::Readiness},
    telemetry::{log::LogControl, metrics::Metrics},
};
use tokio::net::TcpStream;

use crate::support::{Client, Served};

/// The port with what it tells of. The layer keeps the log's handle usable.
fn router(readiness: Readiness, metrics: Metrics) -> (impl Sized, Router) {
    let (layer, log) = LogControl::new("info".parse().unwrap());
    (layer, admin::router(readiness, metrics, log))
}

async fn client(served: &Served) -> Client {
    Client::http1(TcpStream::connect(served.address).await.unwrap()).await
}

#[tokio::test]
async fn readiness_is_told_gate_by_gate_and_liveness_does_not_depend_on_it() {
    let (readiness, metrics) = (Readiness::new(), Metrics::new());
    let tls = readiness.gate("tls", "no certificate loaded yet");
    let cache = readiness.gate("cache:backup", "not listed yet");
    let (_layer, router) = router(readiness, metrics.clone());
    let served = Served::plain(router, metrics).await;
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
async fn notes_are_shown_to_who_asks_and_a_follower_is_as_ready_as_its_leader() {
    let (readiness, metrics) = (Readiness::new(), Metrics::new());
    let tls = readiness.gate("tls", "no certificate loaded yet");
    let lease = readiness.note("lease", "not looked at yet");
    let (_layer, router) = router(readiness, metrics.clone());
    let served = Served::plain(router, metrics).await;
    let mut client = client(&served).await;
    let closed = r#"[{"gate":"tls","open":false,"reason":"no certificate loaded yet"}]"#;
    let answer = client.get("/readyz").await.unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (503, closed));
    tls.open();
    lease.say("held by cassgate-1");
    let answer = client.get("/readyz").await.unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (200, "ok"));
    let all = r#"[{"gate":"tls","open":true},{"note":"lease","text":"held by cassgate-1"}]"#;
    let answer = client.get("/readyz?verbose").await.unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (200, all));
    drop(client);
    assert_eq!(served.stopped().await, Drained::Finished);
}

#[tokio::test]
async fn metrics_are_open_metrics_text() {
    let metrics = Metrics::new();
    metrics.panicked();
    let (_layer, router) = router(Readiness::new(), metrics.clone());
    let served = Served::plain(router, metrics).await;
    let answer = client(&served).await.get("/metrics").await.unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.content_type.as_deref(),
        Some("application/openmetrics-text; version=1.0.0; charset=utf-8")
    );
    for line in [
        "# HELP cassgate_panics Handlers that panicked, each a bug.",
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
async fn the_log_level_is_shown_and_changed() {
    let metrics = Metrics::new();
    let (_layer, router) = router(Readiness::new(), metrics.clone());
    let served = Served::plain(router, metrics).await;
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
            .starts_with("\"warning\" is no level; write off, error"),
        "{}",
        answer.body
    );
    assert_eq!(client.get("/loglevel").await.unwrap().body, "info,kube=debug\n");
}

#[tokio::test]
async fn nothing_else_is_answered() {
    let metrics = Metrics::new();
    let (_layer, router) = router(Readiness::new(), metrics.clone());
    let served = Served::plain(router, metrics).await;
    let mut client = client(&served).await;
    assert_eq!(client.post("/livez", "").await.unwrap().status, 405);
    assert_eq!(client.post("/loglevel", "debug").await.unwrap().status, 405);
    assert_eq!(client.get("/").await.unwrap().status, 404);
}
