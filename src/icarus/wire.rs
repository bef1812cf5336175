//! One HTTP exchange on a connection of its own.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use futures::future::{Either, select};
use http::header::{ACCEPT, CONNECTION, CONTENT_TYPE, HOST, USER_AGENT};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Body;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout, timeout_at};

use super::Permission;
use super::answer::Answer;
use super::error::SidecarError;

/// The timeout of the connection. A network policy that drops packets is reported after this time.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The time in which the next part of a large answer has to arrive. A sidecar that stalls would keep its permit, without
/// which no other large answer is read.
pub(super) const STALL_TIMEOUT: Duration = Duration::from_secs(2);

/// The size up to which an answer needs no permit, in bytes. Nearly all answers are smaller.
pub(super) const SMALL_ANSWER_BYTES: usize = 64 << 10;

/// A request.
#[derive(Debug)]
pub(super) struct Request<'a> {
    /// The address of the sidecar.
    pub(super) at: SocketAddr,
    /// The path and the query.
    pub(super) path: &'a str,
    /// The JSON body of a POST. Without a body the request is a GET.
    pub(super) body: Option<String>,
    /// The timeout of the whole exchange.
    pub(super) timeout: Duration,
    /// The maximum size of the body of the answer, in bytes.
    pub(super) max_bytes: usize,
}

/// Connects, calls `permitted`, sends the request, reads the answer and closes the connection.
///
/// Returns a large answer together with a permit of `large_answers`, which the caller keeps until the answer is dropped.
///
/// # Errors
/// Returns an error that tells whether the request may have arrived: before the connection is established it cannot have.
pub(super) async fn exchange<'p>(
    request: Request<'_>,
    permitted: Permission<'_>,
    large_answers: &'p Semaphore,
) -> Result<(Answer, Option<SemaphorePermit<'p>>), SidecarError> {
    let deadline = Instant::now() + request.timeout;
    let total = request.timeout;
    let connect_timeout = total.min(CONNECT_TIMEOUT);
    let stream = timeout(connect_timeout, TcpStream::connect(request.at))
        .await
        .map_err(|_| SidecarError::ConnectTimedOut(connect_timeout))?
        .map_err(|error| SidecarError::Unreachable(error.to_string()))?;
    // A request fits into one packet, so the delay of Nagle's algorithm gains nothing.
    drop(stream.set_nodelay(true));
    let (sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| SidecarError::Unreachable(error_chain(&error)))?;
    permitted().map_err(SidecarError::Withheld)?;
    timeout_at(
        deadline,
        with_connection(connection, send(sender, request, large_answers)),
    )
    .await
    .map_err(|_| SidecarError::TimedOut(total))?
}

/// Runs `work` while `connection` transfers its bytes, without a task that could outlive the exchange.
async fn with_connection<T>(connection: impl Future, work: impl Future<Output = T>) -> T {
    match select(pin!(work), pin!(connection)).await {
        Either::Left((done, _)) => done,
        Either::Right((_, work)) => work.await,
    }
}

async fn send<'p>(
    mut sender: http1::SendRequest<Full<Bytes>>,
    request: Request<'_>,
    large_answers: &'p Semaphore,
) -> Result<(Answer, Option<SemaphorePermit<'p>>), SidecarError> {
    let max_bytes = request.max_bytes;
    let message = message(request).map_err(|error| SidecarError::Unreachable(error.to_string()))?;
    let answer = sender
        .send_request(message)
        .await
        .map_err(|error| SidecarError::Broken(error_chain(&error)))?;
    let status = answer.status().as_u16();
    let (body, permit) = collect(answer.into_body(), max_bytes, large_answers).await?;
    Ok((Answer { status, body }, permit))
}

/// Reads a body of at most `max_bytes`. A body of more than [`SMALL_ANSWER_BYTES`] is read on with a permit of
/// `large_answers` only, and as long as it does not stall.
pub(super) async fn collect<B>(
    body: B,
    max_bytes: usize,
    large_answers: &Semaphore,
) -> Result<(Vec<u8>, Option<SemaphorePermit<'_>>), SidecarError>
where
    B: Body<Data = Bytes, Error = hyper::Error>,
{
    let mut body = pin!(body);
    let (mut bytes, mut permit) = (Vec::new(), None);
    loop {
        let next = body.frame();
        let next = match permit {
            Some(_) => timeout(STALL_TIMEOUT, next)
                .await
                .map_err(|_| SidecarError::Stalled(STALL_TIMEOUT))?,
            None => next.await,
        };
        let Some(frame) = next else {
            return Ok((bytes, permit));
        };
        let frame = frame.map_err(|error| SidecarError::Broken(error_chain(&error)))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        let length = bytes.len().saturating_add(data.len());
        if length > max_bytes {
            return Err(SidecarError::TooLarge(max_bytes));
        }
        if length > SMALL_ANSWER_BYTES && permit.is_none() {
            // The semaphore is never closed.
            permit = large_answers.acquire().await.ok();
        }
        bytes.extend_from_slice(&data);
    }
}

fn message(request: Request<'_>) -> Result<http::Request<Full<Bytes>>, http::Error> {
    let builder = http::Request::builder()
        .uri(request.path)
        .header(HOST, request.at.to_string())
        .header(USER_AGENT, concat!("cassgate/", env!("CARGO_PKG_VERSION")))
        .header(ACCEPT, "application/json")
        .header(CONNECTION, "close");
    match request.body {
        Some(body) => builder
            .method(http::Method::POST)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::from(body)),
        None => builder.body(Full::default()),
    }
}

/// Returns the text of an error of hyper with the texts of its sources.
fn error_chain(error: &hyper::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
