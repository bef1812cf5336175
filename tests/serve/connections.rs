//! One connection: what is agreed, and what a peer that does nothing gets.

use axum::{Router, routing::get};
use cassgate::server::limits::Limits;
use hyper::Version;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{Authority, Client, NEVER, SOON, Secured, http1, http2, tls, tls_config, until, value};

/// No deadline passes unless a test says so.
fn patient() -> Limits {
    Limits {
        handshake: NEVER,
        first_request: NEVER,
        idle: NEVER,
        goodbye: NEVER,
        ping_every: NEVER,
        ping_answer: NEVER,
        ..Limits::default()
    }
}

fn hello() -> Router {
    Router::new().route("/", get(async || "hello"))
}

#[tokio::test]
async fn the_protocol_is_the_one_that_was_agreed() {
    let served = Secured::new(hello(), patient()).await;
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
async fn a_client_of_tls_1_2_is_served() {
    let served = Secured::new(hello(), patient()).await;
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
async fn a_handshake_that_goes_nowhere_is_cut() {
    let served = Secured::new(
        hello(),
        Limits {
            handshake: SOON,
            ..patient()
        },
    )
    .await;
    let mut silent = TcpStream::connect(served.address()).await.unwrap();
    assert_eq!(silent.read(&mut [0; 16]).await.unwrap(), 0);

    // The beginning of a ClientHello: a record of 512 bytes of which five come.
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
async fn a_peer_that_speaks_no_tls_is_told_apart_from_one_that_only_knocks() {
    let served = Secured::new(hello(), patient()).await;
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
async fn a_client_that_does_not_trust_the_authority_counts_as_protocol() {
    let served = Secured::new(hello(), patient()).await;
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
async fn a_peer_that_never_asks_is_cut_whatever_it_agreed_to() {
    let served = Secured::new(
        hello(),
        Limits {
            first_request: SOON,
            ..patient()
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
async fn headers_that_never_end_are_cut() {
    let served = Secured::new(
        hello(),
        Limits {
            first_request: SOON,
            ..patient()
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
async fn a_connection_without_requests_is_ended() {
    let served = Secured::new(
        hello(),
        Limits {
            first_request: SOON,
            idle: SOON,
            ..patient()
        },
    )
    .await;
    let mut old = http1(served.address(), &served.roots).await;
    let mut new = http2(served.address(), &served.roots).await;
    // On a slow machine the time for the first request may have passed already.
    let _ = old.get("/").await;
    let _ = new.get("/").await;
    old.closed().await;
    new.closed().await;
}

#[tokio::test]
async fn a_connection_beyond_the_bound_waits_for_one_to_end() {
    let served = Secured::new(
        hello(),
        Limits {
            connections: 1,
            ..patient()
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
async fn for_one_that_comes_a_silent_one_goes() {
    let served = Secured::new(
        hello(),
        Limits {
            connections: 2,
            ..patient()
        },
    )
    .await;
    let mut asking = http2(served.address(), &served.roots).await;
    assert_eq!(asking.get("/").await.unwrap().body, "hello");
    let mut silent = TcpStream::connect(served.address()).await.unwrap();
    until(|| {
        value(
            &served.server.metrics,
            r#"cassgate_connections{listener="webhook"}"#,
        ) == 2
    })
    .await;

    let mut coming = http1(served.address(), &served.roots).await;
    assert_eq!(coming.get("/").await.unwrap().body, "hello");
    assert_ended(&mut silent).await;
    assert_eq!(asking.get("/").await.unwrap().body, "hello");
}

#[tokio::test]
async fn headers_of_more_than_16_kib_are_refused() {
    let served = Secured::new(hello(), patient()).await;
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
async fn a_connection_leaves_nothing_behind() {
    let served = Secured::new(hello(), patient()).await;
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    for _ in 0..10 {
        let mut client = http2(served.address(), &served.roots).await;
        assert_eq!(client.get("/").await.unwrap().status, 200);
    }
    until(|| tasks() == before).await;
}

/// The server ends the connection, in whatever way: it may still say what it would have said.
async fn assert_ended(stream: &mut (impl tokio::io::AsyncRead + Unpin)) {
    let mut said = Vec::new();
    let _ = stream.read_to_end(&mut said).await;
}
