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

use axum::{Router, body::Body, response::Response};
use hyper::{Request, body::Incoming, rt::Executor, service::service_fn};
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
    limits::Limits,
    peers::{Peer, Slot},
};
use crate::telemetry::metrics::{HandshakeFailure, Listener, Metrics};

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
    /// At once: it never sent a request, or it is evicted before its first response.
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
    tokio::select! {
        _ = connection.as_mut() => return,
        () = context.stop.cancelled() => {}
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
    if let Some(client) = client {
        request.extensions_mut().insert(client);
    }
    let answer = context.router.clone().call(request.map(Body::new));
    async move {
        let answer = answer.await;
        drop(in_flight);
        answer
    }
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
        () = peer.evicted().cancelled() => if peer.has_been_answered() { IdleEnd::Graceful } else { IdleEnd::Abrupt },
    }
}
