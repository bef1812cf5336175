//! One connection, from accept to its end.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use axum::{
    Router,
    body::Body,
    http::{HeaderValue, header},
    response::Response,
};
use hyper::{
    Request, Version,
    body::{Body as _, Incoming},
    rt::Executor,
    service::service_fn,
};
use hyper_util::{rt::TokioIo, server::conn::auto};
use rustls::{ServerConfig, server::Acceptor};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::{sleep, timeout},
};
use tokio_rustls::{LazyConfigAcceptor, server::TlsStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::Service;

use super::{
    frames::{Arrival, report_frames},
    limits::Limits,
    peers::{Peer, Slot},
};
use crate::telemetry::metrics::{HandshakeFailure, Listener, Metrics};

/// The name of HTTP/1.1 in ALPN.
const HTTP1_PROTOCOL: &[u8] = b"http/1.1";

/// The shared state of the connections of one listener.
#[derive(Debug)]
pub(super) struct ConnectionContext {
    pub(super) listener: Listener,
    pub(super) tls: Option<Arc<ServerConfig>>,
    pub(super) http: auto::Builder<StreamExecutor>,
    pub(super) router: Router,
    pub(super) limits: Limits,
    pub(super) metrics: Metrics,
    /// Cancelled when connections must finish their requests and close.
    pub(super) stop: CancellationToken,
    /// Cancelled when connections must close at once.
    pub(super) abort: CancellationToken,
    /// True if the last handshake ended with a rejected certificate. Consecutive rejections are logged once.
    pub(super) certificate_rejected: AtomicBool,
}

/// Runs the streams of HTTP/2 connections in tasks that the server owns.
#[derive(Debug, Clone)]
pub(super) struct StreamExecutor(pub(super) TaskTracker);

/// The address of the client. Requests of the admin port carry it as an extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ClientAddress(pub(super) SocketAddr);

/// The way in which an idle connection ends.
enum IdleEnd {
    /// At once: it never sent a request, or it is evicted before its first response or while a body arrives slowly.
    Abrupt,
    /// With a graceful shutdown: it was idle for too long, or it is evicted after a response.
    Graceful,
}

impl<F> Executor<F> for StreamExecutor
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        self.0.spawn(stream);
    }
}

/// Serves one connection until it ends or is aborted.
pub(super) async fn serve(context: Arc<ConnectionContext>, stream: TcpStream, slot: Slot) {
    let _open = context.metrics.connection_opened(context.listener);
    tokio::select! {
        biased;
        () = context.abort.cancelled() => {}
        () = serve_stream(&context, stream, slot.peer()) => {}
    }
}

async fn serve_stream(context: &ConnectionContext, stream: TcpStream, peer: &Arc<Peer>) {
    // Responses are small, so delaying them to fill a packet would only cost time.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY could not be set");
    }
    match &context.tls {
        None => {
            let client = stream.peer_addr().ok().map(ClientAddress);
            serve_requests(context, stream, peer, client).await;
        }
        Some(tls) => {
            // No request has been sent yet, so a handshake may be dropped at the stop.
            let stream = tokio::select! {
                () = context.stop.cancelled() => None,
                () = peer.evicted().cancelled() => None,
                stream = handshake(context, tls, stream, peer) => stream,
            };
            if let Some(stream) = stream {
                if stream.get_ref().1.alpn_protocol() == Some(HTTP1_PROTOCOL) {
                    peer.record_http1();
                }
                serve_requests(context, stream, peer, None).await;
            }
        }
    }
}

async fn handshake(
    context: &ConnectionContext,
    tls: &Arc<ServerConfig>,
    stream: TcpStream,
    peer: &Peer,
) -> Option<TlsStream<TcpStream>> {
    let accepted = async {
        peer.record_reading();
        let hello = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
        peer.record_hello();
        hello.into_stream(Arc::clone(tls)).await
    };
    let failure = match timeout(context.limits.handshake_timeout, accepted).await {
        Ok(Ok(stream)) => {
            context.certificate_rejected.store(false, Ordering::Relaxed);
            return Some(stream);
        }
        Ok(Err(error)) => failure(context, &error),
        Err(_) => HandshakeFailure::Timeout,
    };
    context.metrics.handshake_failed(failure);
    None
}

/// Classifies the error. A rejected certificate is logged as a warning, because no other line of the log shows that the
/// `caBundle` is wrong. It is logged once until a handshake succeeds.
fn failure(context: &ConnectionContext, error: &io::Error) -> HandshakeFailure {
    let Some(tls) = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>())
    else {
        tracing::debug!(%error, "TLS handshake broken off");
        return HandshakeFailure::Io;
    };
    if !matches!(tls, rustls::Error::AlertReceived(_))
        || context.certificate_rejected.swap(true, Ordering::Relaxed)
    {
        tracing::debug!(%error, "TLS handshake failed");
    } else {
        tracing::warn!(
            %error,
            "a client rejected the certificate; if it is kube-apiserver, compare the caBundle of the webhook configurations"
        );
    }
    HandshakeFailure::Protocol
}

/// Answers requests until the client disconnects, is idle for too long or is evicted, or the server stops.
///
/// # Guarantees
/// A request that the client sends before it learns of the end is answered. HTTP/2 announces the end with GOAWAY. In
/// HTTP/1.1 only a response can announce it, so an idle connection stays open at the stop until it has sent one more
/// request, or until it is aborted: kube-apiserver would not repeat a POST that crosses the close. It speaks HTTP/1.1
/// with every webhook that is named by a Service.
async fn serve_requests(
    context: &ConnectionContext,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: &Arc<Peer>,
    client: Option<ClientAddress>,
) {
    // Without TLS there is no ClientHello, so the connection itself counts as one.
    peer.record_reading();
    peer.record_hello();
    let service = service_fn(|request| answer(context, peer, client, request));
    let mut connection = pin!(context.http.serve_connection(TokioIo::new(stream), service));
    let stopped = async {
        context.stop.cancelled().await;
        if peer.speaks_http1() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        _ = connection.as_mut() => return,
        () = stopped => {}
        end = idle_end(peer, &context.limits) => match end {
            IdleEnd::Abrupt => return,
            IdleEnd::Graceful => {}
        },
    }
    connection.as_mut().graceful_shutdown();
    loop {
        tokio::select! {
            _ = connection.as_mut() => return,
            () = sleep(context.limits.goaway_grace) => {}
        }
        // A request that the client sent before it received GOAWAY has started by now and is answered.
        if peer.is_idle() {
            return;
        }
    }
}

fn answer(
    context: &ConnectionContext,
    peer: &Arc<Peer>,
    client: Option<ClientAddress>,
    mut request: Request<Incoming>,
) -> impl Future<Output = Result<Response, Infallible>> + use<> {
    let in_flight = peer.start_request();
    let is_http1 = request.version() < Version::HTTP_2;
    if is_http1 {
        peer.record_http1();
    }
    if let Some(client) = client {
        request.extensions_mut().insert(client);
    }
    let answer = context
        .router
        .clone()
        .call(request.map(|body| arriving(body, peer)));
    let stop = context.stop.clone();
    async move {
        let mut answer = answer.await;
        if let Ok(answer) = &mut answer
            && is_http1
            && stop.is_cancelled()
        {
            let close = HeaderValue::from_static("close");
            answer.headers_mut().insert(header::CONNECTION, close);
        }
        drop(in_flight);
        answer
    }
}

/// Returns the body, which counts as arriving until its end.
fn arriving(body: Incoming, peer: &Arc<Peer>) -> Body {
    if body.is_end_stream() {
        return Body::new(body);
    }
    let mut arriving = Some(peer.start_body());
    report_frames(body, move |arrival| {
        if arrival == Arrival::End {
            arriving.take();
        }
    })
}

/// Returns when the connection has been idle for too long or is evicted.
///
/// It checks once per idle timeout, so a connection may be idle for up to twice as long.
async fn idle_end(peer: &Peer, limits: &Limits) -> IdleEnd {
    let idle = async {
        sleep(limits.first_request_timeout).await;
        let mut last_started = peer.requests_started();
        if last_started == 0 {
            return IdleEnd::Abrupt;
        }
        loop {
            sleep(limits.idle_timeout).await;
            let started = peer.requests_started();
            if started == last_started && peer.is_idle() {
                return IdleEnd::Graceful;
            }
            last_started = started;
        }
    };
    tokio::select! {
        end = idle => end,
        // A client that was answered may have sent another request already, so it gets a graceful end.
        () = peer.evicted().cancelled() => if peer.has_been_answered() && !peer.has_arriving_body() {
            IdleEnd::Graceful
        } else {
            IdleEnd::Abrupt
        },
    }
}
