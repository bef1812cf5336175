//! One request on one connection, and its answer.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use futures::future::{Either, select};
use http::header::{ACCEPT, CONNECTION, CONTENT_TYPE, HOST, USER_AGENT};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

use super::answer::Answer;
use super::error::SidecarError;

/// How long a connection may take to come about: a network policy that drops packets is told as soon.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// What is sent.
#[derive(Debug)]
pub(super) struct Request<'a> {
    /// Where to.
    pub(super) at: SocketAddr,
    /// The path and the query.
    pub(super) path: &'a str,
    /// JSON to be posted; without it the request is a GET.
    pub(super) body: Option<String>,
    /// The time for all of it.
    pub(super) within: Duration,
    /// The most bytes of the answer's body.
    pub(super) most: usize,
}

/// Connects, sends, reads and closes.
///
/// # Errors
/// Up to the connection: certainly nothing was sent. Behind it: something may have been.
pub(super) async fn exchange(request: Request<'_>) -> Result<Answer, SidecarError> {
    let within = request.within;
    let deadline = Instant::now() + within;
    let connect_within = within.min(CONNECT_WITHIN);
    let stream = timeout(connect_within, TcpStream::connect(request.at))
        .await
        .map_err(|_| SidecarError::ConnectTimedOut(connect_within))?
        .map_err(|error| SidecarError::Unreachable(error.to_string()))?;
    // A request is one packet; waiting to fill another would only delay it.
    drop(stream.set_nodelay(true));
    let (sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| SidecarError::Unreachable(told(&error)))?;
    timeout_at(deadline, beside(connection, send(sender, request)))
        .await
        .map_err(|_| SidecarError::TimedOut(within))?
}

/// Runs `work` while `connection` moves its bytes. No task is left behind: both end here.
async fn beside<T>(connection: impl Future, work: impl Future<Output = T>) -> T {
    match select(pin!(work), pin!(connection)).await {
        Either::Left((done, _)) => done,
        Either::Right((_, work)) => work.await,
    }
}

async fn send(
    mut sender: http1::SendRequest<Full<Bytes>>,
    request: Request<'_>,
) -> Result<Answer, SidecarError> {
    let most = request.most;
    let message = message(request).map_err(|error| SidecarError::Unreachable(error.to_string()))?;
    let broken = |error: &hyper::Error| SidecarError::Broken(told(error));
    let answer = sender
        .send_request(message)
        .await
        .map_err(|error| broken(&error))?;
    let status = answer.status().as_u16();
    match Limited::new(answer.into_body(), most).collect().await {
        Ok(body) => Ok(Answer {
            status,
            body: body.to_bytes().into(),
        }),
        Err(error) if error.is::<LengthLimitError>() => Err(SidecarError::TooLarge(most)),
        Err(error) => Err(SidecarError::Broken(
            error
                .downcast_ref::<hyper::Error>()
                .map_or_else(|| error.to_string(), told),
        )),
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

/// What hyper says, with the reason below it.
fn told(error: &hyper::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
