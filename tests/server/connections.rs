//! Connections: the negotiated protocol, the deadlines and the limits.

use axum::{Router, routing::get};
use cassgate::server::limits::Limits;
use hyper::Version;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{
    Authority, Client, NEVER, SOON, TlsServer, http1, http2, tls, tls_config, until, value,
};

/// Returns limits whose deadlines never pass.
fn without_deadlines() -> Limits {
    Limits {
        handshake_timeout: NEVER,
        first_request_timeout: NEVER,
        idle_timeout: NEVER,
        goaway_grace: NEVER,
        ping_interval: NEVER,
        ping_timeout: NEVER,
        ..Limits::default()
    }
}

fn hello() -> Router {
    Router::new().route("/", get(async || "hello"))
}

#[tokio::test]
async fn the_protocol_is_the_negotiated_one() {
    let served = TlsServer::new(hello(), without_deadlines()).await;
    for (offered, agreed, version) in [
        (&["h2", "http/1.1"][..], Some("h2"), Version::HTTP_2),
        (&["http/1.1"], Some("http/1.1"), Version::HTTP_11),
        (&[], None, Version::HTTP_11),
        (&[], None, Version::HTTP_2),
    ] {
        let stream = tls(served.address(), tls_config(served.roots.clone(), offered))
            .await
            .unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), agreed.map(str::as_bytes));
        let mut client = match version {
            Version::HTTP_2 => Client::http2(stream).await,
            _ => Client::http1(stream).await,
        };
        let answer = client.get("/").await.unwrap();
        assert_eq!(
            (answer.version, answer.status, answer.body.as_str()),
            (version, 200, "hello")
        );
    }
}

#[tokio::test]
async fn a_client_with_tls_1_2_is_served() {
    let served = TlsServer::new(hello(), without_deadlines()).await;
    let mut config = tls_config(served.roots.clone(), &["h2"]);
    let provider = config.crypto_provider().clone();
    config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_root_certificates(served.roots.clone())
        .with_no_client_auth();
    let stream = tls(served.address(), config).await.unwrap();
    assert_eq!(
        stream.get_ref().1.protocol_version(),
        Some(rustls::ProtocolVersion::TLSv1_2)
    );
    assert_eq!(Client::http1(stream).await.get("/").await.unwrap().body, "hello");
}

#[tokio::test]
async fn an_unfinished_handshake_is_cut_at_its_deadline() {
    let served = TlsServer::new(
        hello(),
        Limits {
            handshake_timeout: SOON,
            ..without_deadlines()
        },
    )
    .await;
    let mut silent = TcpStream::connect(served.address()).await.unwrap();
    assert_eq!(silent.read(&mut [0; 16]).await.unwrap(), 0);

    // The beginning of a ClientHello: a record of 512 bytes, of which five are sent.
    let mut half = TcpStream::connect(served.address()).await.unwrap();
    half.write_all(&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03])
        .await
        .unwrap();
    assert_eq!(half.read(&mut [0; 16]).await.unwrap(), 0);

    let metrics = &served.server.metrics;
    until(|| {
        value(
            metrics,
            r#"cassgate_tls_handshake_failures_total{reason="timeout"}"#,
        ) == 2
    })
    .await;
}

#[tokio::test]
async fn plain_http_and_a_bare_tcp_connect_are_counted_as_different_failures() {
    let served = TlsServer::new(hello(), without_deadlines()).await;
    let metrics = &served.server.metrics;
    let mut plain = TcpStream::connect(served.address()).await.unwrap();
    plain
        .write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await
        .unwrap();
    until(|| {
        value(
            metrics,
            r#"cassgate_tls_handshake_failures_total{reason="protocol"}"#,
        ) == 1
    })
    .await;

    drop(TcpStream::connect(served.address()).await.unwrap());
    until(|| value(metrics, r#"cassgate_tls_handshake_failures_total{reason="io"}"#) == 1).await;

    let mut client = http2(served.address(), &served.roots).await;
    assert_eq!(client.get("/").await.unwrap().body, "hello");
}

#[tokio::test]
async fn a_client_that_rejects_the_certificate_counts_as_a_protocol_failure() {
    let served = TlsServer::new(hello(), without_deadlines()).await;
    let config = tls_config(Authority::new().roots(), &["h2"]);
    let error = tls(served.address(), config).await.unwrap_err();
    assert!(error.to_string().contains("invalid peer certificate"), "{error}");
    let metrics = &served.server.metrics;
    until(|| {
        value(
            metrics,
            r#"cassgate_tls_handshake_failures_total{reason="protocol"}"#,
        ) == 1
    })
    .await;
}

#[tokio::test]
async fn a_client_that_sends_no_request_is_cut_in_every_protocol() {
    let served = TlsServer::new(
        hello(),
        Limits {
            first_request_timeout: SOON,
            ..without_deadlines()
        },
    )
    .await;
    for protocols in [&["h2"][..], &["http/1.1"], &[]] {
        let mut silent = tls(served.address(), tls_config(served.roots.clone(), protocols))
            .await
            .unwrap();
        assert_ended(&mut silent).await;
    }
}

#[tokio::test]
async fn a_request_whose_headers_never_end_is_cut() {
    let served = TlsServer::new(
        hello(),
        Limits {
            first_request_timeout: SOON,
            ..without_deadlines()
        },
    )
    .await;
    let mut slow = tls(served.address(), tls_config(served.roots.clone(), &["http/1.1"]))
        .await
        .unwrap();
    slow.write_all(b"GET / HTTP/1.1\r\nhost: local").await.unwrap();
    slow.flush().await.unwrap();
    assert_ended(&mut slow).await;
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let served = TlsServer::new(
        hello(),
        Limits {
            first_request_timeout: SOON,
            idle_timeout: SOON,
            ..without_deadlines()
        },
    )
    .await;
    let mut old = http1(served.address(), &served.roots).await;
    let mut new = http2(served.address(), &served.roots).await;
    // On a slow machine the deadline of the first request may have passed already.
    let _ = old.get("/").await;
    let _ = new.get("/").await;
    old.closed().await;
    new.closed().await;
}

#[tokio::test]
async fn a_connection_over_the_limit_waits_until_another_one_ends() {
    let served = TlsServer::new(
        hello(),
        Limits {
            max_connections: 1,
            ..without_deadlines()
        },
    )
    .await;
    let metrics = &served.server.metrics;
    let mut first = http1(served.address(), &served.roots).await;
    assert_eq!(first.get("/").await.unwrap().body, "hello");

    let (address, roots) = (served.address(), served.roots.clone());
    let second = tokio::spawn(async move {
        let mut client = http1(address, &roots).await;
        client.get("/").await.unwrap().body
    });
    for _ in 0..20 {
        assert_eq!(first.get("/").await.unwrap().body, "hello");
        assert!(!second.is_finished());
        assert_eq!(value(metrics, r#"cassgate_connections{listener="webhook"}"#), 1);
    }
    drop(first);
    assert_eq!(second.await.unwrap(), "hello");
    until(|| value(metrics, r#"cassgate_connections{listener="webhook"}"#) == 0).await;
}

#[tokio::test]
async fn a_new_connection_over_the_limit_evicts_a_silent_one() {
    let served = TlsServer::new(
        hello(),
        Limits {
            max_connections: 2,
            ..without_deadlines()
        },
    )
    .await;
    let mut active = http2(served.address(), &served.roots).await;
    assert_eq!(active.get("/").await.unwrap().body, "hello");
    let mut silent = TcpStream::connect(served.address()).await.unwrap();
    until(|| {
        value(
            &served.server.metrics,
            r#"cassgate_connections{listener="webhook"}"#,
        ) == 2
    })
    .await;

    let mut new = http1(served.address(), &served.roots).await;
    assert_eq!(new.get("/").await.unwrap().body, "hello");
    assert_ended(&mut silent).await;
    assert_eq!(active.get("/").await.unwrap().body, "hello");
}

#[tokio::test]
async fn headers_over_16_kib_are_rejected() {
    let served = TlsServer::new(hello(), without_deadlines()).await;
    let mut stream = tls(served.address(), tls_config(served.roots.clone(), &["http/1.1"]))
        .await
        .unwrap();
    let head = format!(
        "GET / HTTP/1.1\r\nhost: localhost\r\nx: {}",
        "x".repeat(17 * 1024)
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(answer.starts_with(b"HTTP/1.1 431 "), "{}", answer.escape_ascii());
}

#[tokio::test]
async fn a_closed_connection_leaves_no_task_behind() {
    let served = TlsServer::new(hello(), without_deadlines()).await;
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    for _ in 0..10 {
        let mut client = http2(served.address(), &served.roots).await;
        assert_eq!(client.get("/").await.unwrap().status, 200);
    }
    until(|| tasks() == before).await;
}

/// Waits until the server ends the connection. Bytes and errors before the end are ignored.
async fn assert_ended(stream: &mut (impl tokio::io::AsyncRead + Unpin)) {
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
}
