//! One request: its size, its time, and a handler with a bug.

use axum::{Router, body::Bytes as Body, routing::post};
use bytes::Bytes;
use cassgate::{
    server::{
        harden::{BODY_LIMIT, harden, harden_within},
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

use crate::support::{NEVER, SOON, Secured, http1, http2, tls, tls_config, value};

fn routes() -> Router {
    Router::new()
        .route("/length", post(async |body: Body| body.len().to_string()))
        .route(
            "/bug",
            post(async |body: Body| -> String { panic!("a bug met {} bytes", body.len()) }),
        )
}

async fn hardened() -> Secured {
    let metrics = Metrics::new();
    let router = harden(routes(), metrics.clone());
    Secured::with(router, Limits::default(), metrics, NEVER).await
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
async fn a_body_of_8_mib_is_read_and_one_byte_more_answers_413() {
    let served = hardened().await;
    for mut client in [
        http1(served.address(), &served.roots).await,
        http2(served.address(), &served.roots).await,
    ] {
        for length in [0, 3 * 1024 * 1024, BODY_LIMIT] {
            let answer = client.post("/length", zeros(length)).await.unwrap();
            assert_eq!((answer.status, answer.body), (200, length.to_string()));
        }
    }
    let mut client = http2(served.address(), &served.roots).await;
    let answer = client.post("/length", zeros(BODY_LIMIT + 1)).await.unwrap();
    assert_eq!(answer.status, 413);
    assert_eq!(answer.content_type.as_deref(), Some("application/json"));
    assert_eq!(serde_json::from_str::<Value>(&answer.body).unwrap(), too_large());
    // The connection is as good as before.
    assert_eq!(client.post("/length", "abc").await.unwrap().body, "3");
}

#[tokio::test]
async fn a_body_that_is_announced_too_large_answers_413_before_it_comes() {
    let served = hardened().await;
    let answer = raw(&served, "content-length: 8388609\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    assert_eq!(serde_json::from_str::<Value>(body).unwrap(), too_large());
}

#[tokio::test]
async fn a_body_that_does_not_announce_its_length_answers_413_too() {
    let served = hardened().await;
    // A chunk of 8 MiB and a byte, without the end of the body: the answer comes before it, and what a server
    // has not read when it closes can cost the client the answer.
    let request = format!(
        "transfer-encoding: chunked\r\n\r\n800001\r\n{}",
        "0".repeat(BODY_LIMIT + 1)
    );
    let answer = raw(&served, &request).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    assert_eq!(serde_json::from_str::<Value>(body).unwrap(), too_large());
}

#[tokio::test]
async fn a_handler_that_panics_answers_500_and_counts_and_the_connection_lives() {
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
            "cassgate failed on this request; this is a bug in cassgate, its log says where",
        );
        assert_eq!(serde_json::from_str::<Value>(&answer.body).unwrap(), expected);
        assert_eq!(value(&served.server.metrics, "cassgate_panics_total"), count);
        assert_eq!(client.post("/length", "abc").await.unwrap().body, "3");
    }
}

#[tokio::test]
async fn a_body_that_never_ends_answers_504() {
    let metrics = Metrics::new();
    let router = harden_within(routes(), metrics.clone(), SOON);
    let served = Secured::with(router, Limits::default(), metrics, NEVER).await;
    let answer = raw(&served, "content-length: 10\r\n\r\nabc").await;
    assert!(answer.starts_with("HTTP/1.1 504 "), "{answer}");
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let expected = status(
        504,
        "Timeout",
        "cassgate gave this request up after 20ms, its body included",
    );
    assert_eq!(serde_json::from_str::<Value>(body).unwrap(), expected);
}

#[tokio::test]
async fn when_all_bodies_together_are_too_much_the_largest_answers_503() {
    let served = hardened().await;
    let mut coming = Vec::new();
    // Each of them lacks its end.
    for megabytes in [7, 6, 6] {
        coming.push(begun(&served, megabytes * 1024 * 1024).await);
    }
    let mut small = http1(served.address(), &served.roots).await;
    assert_eq!(small.post("/length", "abc").await.unwrap().body, "3");
    let _last = begun(&served, 6 * 1024 * 1024).await;
    let mut answer = String::new();
    coming[0].read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let expected = status(
        503,
        "ServiceUnavailable",
        "all bodies that come now are over 25165824 bytes together, and this one is the largest",
    );
    assert_eq!(serde_json::from_str::<Value>(body).unwrap(), expected);
    // The others can still come to their end.
    coming[1].write_all(b"0").await.unwrap();
    coming[1].read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("\r\n\r\n6291457"), "{answer}");
    assert_eq!(small.post("/length", "abc").await.unwrap().body, "3");
}

/// A request whose body lacks its last byte.
async fn begun(served: &Secured, sent: usize) -> TlsStream<TcpStream> {
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

/// Sends a request as it is written here and answers with all that comes back until the server closes.
async fn raw(served: &Secured, rest: &str) -> String {
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
