//! Requests: limits of size and time, and a handler that panics.

use axum::{Router, body::Bytes as Body, routing::post};
use bytes::Bytes;
use cassgate::{
    server::{
        harden::{MAX_BODY_SIZE, harden, harden_with_timeout},
        limits::Limits,
    },
    telemetry::metrics::Metrics,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;

use crate::support::{NEVER, SOON, TlsServer, http1, http2, tls, tls_config, value};

fn routes() -> Router {
    Router::new()
        .route("/length", post(async |body: Body| body.len().to_string()))
        .route(
            "/bug",
            post(async |body: Body| -> String { panic!("a bug with {} bytes", body.len()) }),
        )
}

async fn hardened() -> TlsServer {
    let metrics = Metrics::new();
    let router = harden(routes(), metrics.clone());
    TlsServer::with(router, Limits::default(), metrics, NEVER).await
}

fn zeros(length: usize) -> Bytes {
    Bytes::from(vec![0; length])
}

fn status(code: u16, reason: &str, message: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Failure",
        "code": code, "reason": reason, "message": message,
    })
}

fn too_large() -> Value {
    status(
        413,
        "RequestEntityTooLarge",
        "the body is longer than 8388608 bytes, the most that cassgate reads",
    )
}

#[tokio::test]
async fn a_body_of_8_mib_is_read_and_one_byte_more_gets_413() {
    let served = hardened().await;
    for mut client in [
        http1(served.address(), &served.roots).await,
        http2(served.address(), &served.roots).await,
    ] {
        for length in [0, 3 * 1024 * 1024, MAX_BODY_SIZE] {
            let answer = client.post("/length", zeros(length)).await.unwrap();
            assert_eq!((answer.status, answer.body), (200, length.to_string()));
        }
    }
    let mut client = http2(served.address(), &served.roots).await;
    let answer = client.post("/length", zeros(MAX_BODY_SIZE + 1)).await.unwrap();
    assert_eq!(answer.status, 413);
    assert_eq!(answer.content_type.as_deref(), Some("application/json"));
    assert_eq!(serde_json::from_str::<Value>(&answer.body).unwrap(), too_large());
    // The connection stays usable.
    assert_eq!(client.post("/length", "abc").await.unwrap().body, "3");
}

#[tokio::test]
async fn a_body_that_is_announced_too_large_gets_413_before_it_is_sent() {
    let served = hardened().await;
    let answer = send_raw(&served, "content-length: 8388609\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    assert_eq!(serde_json::from_str::<Value>(body).unwrap(), too_large());
}

#[tokio::test]
async fn a_chunked_body_over_the_limit_gets_413() {
    let served = hardened().await;
    // A chunk of 8 MiB and a byte, without the end of the body. The server answers before the end, and unread bytes at
    // the close of a connection could cost the client the answer.
    let request = format!(
        "transfer-encoding: chunked\r\n\r\n800001\r\n{}",
        "0".repeat(MAX_BODY_SIZE + 1)
    );
    let answer = send_raw(&served, &request).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    assert_eq!(serde_json::from_str::<Value>(body).unwrap(), too_large());
}

#[tokio::test]
async fn a_panic_of_a_handler_gets_500_and_is_counted_and_the_connection_stays_usable() {
    let served = hardened().await;
    for (count, mut client) in [
        (1, http1(served.address(), &served.roots).await),
        (2, http2(served.address(), &served.roots).await),
    ] {
        let answer = client.post("/bug", "the body").await.unwrap();
        assert_eq!(answer.status, 500);
        assert_eq!(answer.content_type.as_deref(), Some("application/json"));
        let expected = status(
            500,
            "InternalError",
            "cassgate failed on this request; this is a bug in cassgate, and its log names the place",
        );
        assert_eq!(serde_json::from_str::<Value>(&answer.body).unwrap(), expected);
        assert_eq!(value(&served.server.metrics, "cassgate_panics_total"), count);
        assert_eq!(client.post("/length", "abc").await.unwrap().body, "3");
    }
}

#[tokio::test]
async fn a_body_that_never_ends_gets_504() {
    let metrics = Metrics::new();
    let router = harden_with_timeout(routes(), metrics.clone(), SOON);
    let served = TlsServer::with(router, Limits::default(), metrics, NEVER).await;
    let answer = send_raw(&served, "content-length: 10\r\n\r\nabc").await;
    assert!(answer.starts_with("HTTP/1.1 504 "), "{answer}");
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let expected = status(
        504,
        "Timeout",
        "cassgate cancelled this request after 20ms, the time for its body included",
    );
    assert_eq!(serde_json::from_str::<Value>(body).unwrap(), expected);
}

#[tokio::test]
async fn when_all_bodies_exceed_the_limit_the_largest_gets_503() {
    let served = hardened().await;
    let mut unfinished = Vec::new();
    // Each body lacks its last byte.
    for megabytes in [6, 4, 4] {
        unfinished.push(send_all_but_last_byte(&served, megabytes * 1024 * 1024).await);
    }
    let mut small = http1(served.address(), &served.roots).await;
    assert_eq!(small.post("/length", "abc").await.unwrap().body, "3");
    let _last = send_all_but_last_byte(&served, 4 * 1024 * 1024).await;
    let mut answer = String::new();
    unfinished[0].read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let expected = status(
        503,
        "ServiceUnavailable",
        "the bodies of all requests exceed 16777216 bytes, and this one is the largest",
    );
    assert_eq!(serde_json::from_str::<Value>(body).unwrap(), expected);
    // The other requests can still finish.
    unfinished[1].write_all(b"0").await.unwrap();
    unfinished[1].read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("\r\n\r\n4194305"), "{answer}");
    assert_eq!(small.post("/length", "abc").await.unwrap().body, "3");
}

/// Sends a request whose body lacks its last byte.
async fn send_all_but_last_byte(served: &TlsServer, sent: usize) -> TlsStream<TcpStream> {
    let config = tls_config(served.roots.clone(), &["http/1.1"]);
    let mut stream = tls(served.address(), config).await.unwrap();
    let length = sent + 1;
    let head = format!(
        "POST /length HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&zeros(sent)).await.unwrap();
    stream.flush().await.unwrap();
    stream
}

/// Sends a request with these headers and body, unchanged. Returns the bytes that the server sends until it closes.
async fn send_raw(served: &TlsServer, rest: &str) -> String {
    let config = tls_config(served.roots.clone(), &["http/1.1"]);
    let mut stream = tls(served.address(), config).await.unwrap();
    let head = "POST /length HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n";
    stream
        .write_all(format!("{head}{rest}").as_bytes())
        .await
        .unwrap();
    stream.flush().await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}
