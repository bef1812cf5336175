//! The client against slow, broken and malicious servers. Each test has its own listener.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::icarus::client::{HttpSidecars, MAX_LARGE_ANSWERS, MAX_QUESTIONS};
use crate::icarus::wire::{SMALL_ANSWER_BYTES, STALL_TIMEOUT, collect};
use crate::icarus::{
    OperationFilter, OperationId, OperationRequest, OperationState, REQUEST_TIMEOUT, RestorePhase,
    SidecarApi, SidecarError,
};
use crate::telemetry::metrics::Metrics;

use super::{json, restore};

/// The reaction of a server to a request.
#[derive(Clone)]
enum Reaction {
    Answer(Vec<u8>),
    /// Reads the request and does not answer.
    Silence,
    /// Resets the connection without reading the request.
    Reset,
}

struct Server {
    at: SocketAddr,
    connections: Arc<AtomicUsize>,
    requests: tokio::sync::mpsc::UnboundedReceiver<String>,
    _tasks: JoinSet<()>,
}

async fn server(reaction: Reaction) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let (sender, requests) = tokio::sync::mpsc::unbounded_channel();
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut open = Vec::new();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            count.fetch_add(1, Ordering::SeqCst);
            if matches!(reaction, Reaction::Reset) {
                stream.set_zero_linger().unwrap();
                continue;
            }
            sender.send(request(&mut stream).await).unwrap();
            if let Reaction::Answer(bytes) = &reaction {
                // The client may hang up in the middle of a huge one.
                drop(stream.write_all(bytes).await);
            } else {
                open.push(stream);
            }
        }
    });
    Server {
        at,
        connections,
        requests,
        _tasks: tasks,
    }
}

/// Reads the head and the body of one request.
async fn request(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    let mut buffer = [0; 4096];
    loop {
        let read = stream.read(&mut buffer).await.unwrap();
        text.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok())
                .unwrap_or(0);
            if body.len() >= length {
                return text;
            }
        }
        assert_ne!(read, 0, "{text}");
    }
}

fn http(status: &str, body: &str) -> Reaction {
    Reaction::Answer(
        format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes(),
    )
}

const RUNNING: &str = r#"{"id":"d8bbb89e-1b2a-404d-b4b2-7a44f62eaf6c","type":"restore","state":"RUNNING","errors":[],"progress":0.0}"#;

fn truncate() -> OperationRequest {
    OperationRequest::Restore(restore(RestorePhase::Truncate))
}

/// A timeout that is long enough to connect on a busy machine, and short enough for a test that waits for it.
const SHORT_TIMEOUT: Duration = Duration::from_secs(2);

#[tokio::test]
async fn a_request_is_sent_once_on_a_connection_of_its_own() {
    let mut server = server(http("201 Created", RUNNING)).await;
    let metrics = Metrics::new();
    let client = HttpSidecars::new(metrics.clone());
    for _ in 0..2 {
        let operation = client
            .submit(server.at, &truncate(), REQUEST_TIMEOUT)
            .await
            .unwrap();
        assert_eq!(operation.state, OperationState::Running);
        let sent = server.requests.recv().await.unwrap();
        let (head, body) = sent.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("POST /operations HTTP/1.1\r\n"), "{head}");
        let lower = head.to_lowercase();
        for line in [
            "content-type: application/json",
            "accept: application/json",
            "connection: close",
        ] {
            assert!(lower.contains(line), "{line} is not in {head}");
        }
        assert!(lower.contains(&format!("host: {}", server.at)), "{head}");
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(body).unwrap(),
            json(&truncate())
        );
    }
    assert_eq!(server.connections.load(Ordering::SeqCst), 2);
    let line = r#"cassgate_sidecar_requests_total{request="truncate",outcome="answered"} 2"#;
    assert!(metrics.encode().lines().any(|found| found == line));
}

#[tokio::test]
async fn each_request_has_its_path() {
    let mut server = server(http("200 OK", "{}")).await;
    let client = HttpSidecars::new(Metrics::new());
    let (at, within) = (server.at, REQUEST_TIMEOUT);
    let id = OperationId::parse("d8bbb89e-1b2a-404d-b4b2-7a44f62eaf6c").unwrap();
    drop(client.operation(at, &id, within).await);
    for filter in [
        OperationFilter::Backups,
        OperationFilter::Restores,
        OperationFilter::Refreshes,
        OperationFilter::Removals,
        OperationFilter::ActiveListingsAndRemovals,
        OperationFilter::Active,
    ] {
        drop(client.operations(at, filter, within).await);
    }
    drop(client.schema_version(at, within).await);
    drop(client.mode(at, within).await);
    drop(client.topology(at, within).await);
    for path in [
        "/operations/d8bbb89e-1b2a-404d-b4b2-7a44f62eaf6c",
        "/operations?type=backup",
        "/operations?type=restore",
        "/operations?type=refresh",
        "/operations?type=remove-backup",
        "/operations?type=list&type=remove-backup&state=PENDING&state=RUNNING",
        "/operations?state=PENDING&state=RUNNING",
        "/version/schema",
        "/status",
        "/topology",
    ] {
        let sent = server.requests.recv().await.unwrap();
        assert!(sent.starts_with(&format!("GET {path} HTTP/1.1\r\n")), "{sent}");
    }
}

#[tokio::test]
async fn an_answer_in_chunks_is_complete() {
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n\
                   9\r\n{\"schemaV\r\n31\r\nersion\" : \"168d568b-d346-3f61-968f-a2716307a6e4\"}\r\n0\r\n\r\n";
    let server = server(Reaction::Answer(chunked.into())).await;
    let schema = HttpSidecars::new(Metrics::new())
        .schema_version(server.at, REQUEST_TIMEOUT)
        .await;
    assert_eq!(schema.unwrap().as_str(), "168d568b-d346-3f61-968f-a2716307a6e4");
}

#[tokio::test]
async fn a_refused_connection_has_certainly_sent_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    drop(listener);
    let metrics = Metrics::new();
    let error = HttpSidecars::new(metrics.clone())
        .submit(at, &truncate(), REQUEST_TIMEOUT)
        .await
        .unwrap_err();
    assert!(matches!(error, SidecarError::Unreachable(_)), "{error:?}");
    assert!(error.to_string().contains("refused"), "{error}");
    assert!(!error.may_have_arrived());
    let line = r#"cassgate_sidecar_requests_total{request="truncate",outcome="unreachable"} 1"#;
    assert!(metrics.encode().lines().any(|found| found == line));
}

#[tokio::test]
async fn a_request_without_an_answer_may_have_arrived() {
    let mut server = server(Reaction::Silence).await;
    let error = HttpSidecars::new(Metrics::new())
        .submit(server.at, &truncate(), SHORT_TIMEOUT)
        .await
        .unwrap_err();
    assert_eq!(error, SidecarError::TimedOut(SHORT_TIMEOUT));
    assert!(error.may_have_arrived());
    assert!(
        server.requests.recv().await.unwrap().starts_with("POST"),
        "the request arrived"
    );
}

#[tokio::test]
async fn an_answer_that_never_ends_times_out() {
    let half = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{".to_vec();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        request(&mut stream).await;
        stream.write_all(&half).await.unwrap();
        std::future::pending::<()>().await;
    });
    let error = HttpSidecars::new(Metrics::new())
        .schema_version(at, SHORT_TIMEOUT)
        .await
        .unwrap_err();
    assert_eq!(error, SidecarError::TimedOut(SHORT_TIMEOUT));
}

#[tokio::test]
async fn a_request_with_a_truncated_answer_may_have_arrived() {
    let half = b"HTTP/1.1 201 Created\r\ncontent-length: 100\r\n\r\n{\"id\":".to_vec();
    for reaction in [
        Reaction::Answer(half),
        Reaction::Answer(Vec::new()),
        Reaction::Reset,
    ] {
        let server = server(reaction).await;
        let error = HttpSidecars::new(Metrics::new())
            .submit(server.at, &truncate(), REQUEST_TIMEOUT)
            .await
            .unwrap_err();
        assert!(matches!(error, SidecarError::Broken(_)), "{error:?}");
        assert!(error.may_have_arrived());
        assert_eq!(
            server.connections.load(Ordering::SeqCst),
            1,
            "nothing was sent again"
        );
    }
}

#[tokio::test]
async fn a_server_without_http_is_a_broken_connection() {
    let server = server(Reaction::Answer(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec())).await;
    let error = HttpSidecars::new(Metrics::new())
        .schema_version(server.at, REQUEST_TIMEOUT)
        .await
        .unwrap_err();
    assert!(matches!(error, SidecarError::Broken(_)), "{error:?}");
}

#[tokio::test]
async fn an_answer_over_the_size_limit_is_rejected() {
    let huge = http("200 OK", &"x".repeat(33 << 20));
    let server = server(huge).await;
    let error = HttpSidecars::new(Metrics::new())
        .submit(server.at, &truncate(), REQUEST_TIMEOUT)
        .await
        .unwrap_err();
    assert_eq!(error, SidecarError::TooLarge(32 << 20));
    assert!(error.may_have_arrived());
}

#[tokio::test]
async fn a_rejected_body_has_started_nothing_and_an_unknown_answer_may_have() {
    for (status, body, arrived) in [
        (
            "500 Internal Server Error",
            "Cannot deserialize value of type `x`",
            false,
        ),
        (
            "500 Internal Server Error",
            "Could not resolve type id 'list' as a subtype of `x`",
            false,
        ),
        (
            "500 Internal Server Error",
            "java.lang.OutOfMemoryError: Java heap space",
            true,
        ),
        ("503 Service Unavailable", "no healthy upstream", true),
        ("201 Created", "<html>", true),
    ] {
        let server = server(http(status, body)).await;
        let error = HttpSidecars::new(Metrics::new())
            .submit(server.at, &truncate(), REQUEST_TIMEOUT)
            .await
            .unwrap_err();
        assert_eq!(error.may_have_arrived(), arrived, "{body}: {error:?}");
        assert!(error.to_string().contains(body), "{error}");
    }
}

#[tokio::test]
async fn a_request_is_withheld_if_the_permission_is_lost_while_the_connection_is_opened() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let accepted = std::sync::Mutex::new(None);
    let lost = || {
        *accepted.lock().unwrap() = listener.accept().ok();
        Err("the lease was lost".to_owned())
    };
    let metrics = Metrics::new();
    let error = HttpSidecars::new(metrics.clone())
        .submit_if(
            listener.local_addr().unwrap(),
            &truncate(),
            REQUEST_TIMEOUT,
            &lost,
        )
        .await
        .unwrap_err();
    assert_eq!(error, SidecarError::Withheld("the lease was lost".to_owned()));
    assert!(!error.may_have_arrived());
    let (mut stream, _) = accepted.into_inner().unwrap().unwrap();
    stream.set_nonblocking(false).unwrap();
    let mut sent = Vec::new();
    std::io::Read::read_to_end(&mut stream, &mut sent).unwrap();
    assert_eq!(
        sent, b"",
        "the connection was established and ends without a byte"
    );
    let line = r#"cassgate_sidecar_requests_total{request="truncate",outcome="withheld"} 1"#;
    assert!(metrics.encode().lines().any(|found| found == line));
}

/// A large answer that arrives in two parts, and counts how many of its kind are read on beyond the first.
fn large_body(
    reading: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
) -> impl hyper::body::Body<Data = bytes::Bytes, Error = hyper::Error> {
    use futures::StreamExt as _;
    let part = || {
        Ok(hyper::body::Frame::data(bytes::Bytes::from(
            vec![b' '; SMALL_ANSWER_BYTES],
        )))
    };
    let rest = futures::stream::once(async move {
        // The second part is asked for while the permit for the first is held.
        let now = reading.fetch_add(1, Ordering::SeqCst) + 1;
        most.fetch_max(now, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_secs(1)).await;
        reading.fetch_sub(1, Ordering::SeqCst);
        part()
    });
    let first = futures::stream::iter([part(), part()]);
    http_body_util::StreamBody::new(first.chain(rest))
}

#[tokio::test(start_paused = true)]
async fn the_large_answers_in_memory_are_few_whatever_the_number_of_nodes() {
    let permits = tokio::sync::Semaphore::new(MAX_LARGE_ANSWERS);
    let (reading, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let answers = (0..200).map(|_| {
        let body = large_body(Arc::clone(&reading), Arc::clone(&most));
        let permits = &permits;
        async move {
            let (bytes, permit) = collect(body, 1 << 20, permits).await.unwrap();
            assert!(
                permit.is_some(),
                "the caller keeps the permit as long as the answer"
            );
            bytes.len()
        }
    });
    let lengths = futures::future::join_all(answers).await;
    assert_eq!(lengths, vec![3 * SMALL_ANSWER_BYTES; 200]);
    assert_eq!(most.load(Ordering::SeqCst), MAX_LARGE_ANSWERS);
    let small = http_body_util::StreamBody::new(futures::stream::iter([Ok(hyper::body::Frame::data(
        bytes::Bytes::from_static(b"[]"),
    ))]));
    let (bytes, permit) = collect(small, 1 << 20, &permits).await.unwrap();
    assert!(bytes == b"[]" && permit.is_none());
}

#[tokio::test(start_paused = true)]
async fn large_answers_that_stall_give_their_permits_back() {
    let permits = tokio::sync::Semaphore::new(MAX_LARGE_ANSWERS);
    let stalling = || {
        use futures::StreamExt as _;
        let part = Ok(hyper::body::Frame::data(bytes::Bytes::from(vec![
            b' ';
            SMALL_ANSWER_BYTES
                + 1
        ])));
        let never = futures::stream::pending();
        http_body_util::StreamBody::new(futures::stream::iter([part]).chain(never))
    };
    let stalled =
        futures::future::join_all((0..MAX_LARGE_ANSWERS).map(|_| collect(stalling(), 1 << 20, &permits)));
    let (reading, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let other = collect(large_body(reading, most), 1 << 20, &permits);
    let (stalled, other) = tokio::join!(stalled, tokio::time::timeout(REQUEST_TIMEOUT, other));
    for answer in stalled {
        assert_eq!(answer.unwrap_err(), SidecarError::Stalled(STALL_TIMEOUT));
    }
    let (bytes, _permit) = other.expect("it is read on").unwrap();
    assert_eq!(bytes.len(), 3 * SMALL_ANSWER_BYTES);
}

/// Questions to sidecars that do not answer must not keep a task of another cluster from being sent.
#[tokio::test]
async fn the_connections_for_questions_are_limited_and_a_task_has_connections_of_its_own() {
    let mut silent = server(Reaction::Silence).await;
    let client = HttpSidecars::new(Metrics::new());
    let mut questions = JoinSet::new();
    for _ in 0..MAX_QUESTIONS + 8 {
        let (client, at) = (client.clone(), silent.at);
        questions.spawn(async move { client.topology(at, Duration::from_mins(10)).await.map(drop) });
    }
    for _ in 0..MAX_QUESTIONS {
        silent.requests.recv().await.unwrap();
    }
    assert_eq!(silent.connections.load(Ordering::SeqCst), MAX_QUESTIONS);
    let rejecting = server(http("500 Internal Server Error", "no")).await;
    let sent = client.submit(rejecting.at, &truncate(), REQUEST_TIMEOUT).await;
    assert!(sent.is_err(), "{sent:?}");
    assert_eq!(rejecting.connections.load(Ordering::SeqCst), 1);
    questions.abort_all();
}
