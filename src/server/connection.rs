//! One connection, from accept to its end.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    pin::pin,
    sync::{Arc, atomic::Ordering},
};

use axum::{body::Body, response::Response};
use hyper::{Request, body::Incoming, rt::Executor, service::service_fn};
use hyper_util::rt::TokioIo;
use rustls::{ServerConfig, server::Acceptor};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::{sleep, timeout},
};
use tokio_rustls::{LazyConfigAcceptor, server::TlsStream};
use tokio_util::task::TaskTracker;
use tower::Service;

use super::{
    accept::Shared,
    limits::Limits,
    peers::{Peer, Place},
};
use crate::telemetry::metrics::HandshakeFailure;

/// Runs the requests of HTTP/2 connections in tasks that the server owns.
#[derive(Debug, Clone)]
pub(super) struct Streams(pub(super) TaskTracker);

/// Where a request comes from. Those of the admin port carry it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Origin(pub(super) SocketAddr);

/// Why a quiet connection should end.
enum Quiet {
    /// No request ever came.
    Never,
    /// None came for a while, or the place is needed.
    Since,
}

impl<F> Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        self.0.spawn(stream);
    }
}

/// Serves one connection to its end, or until it is cut.
pub(super) async fn serve(shared: Arc<Shared>, stream: TcpStream, place: Place) {
    let _open = shared.metrics.connection_opened(shared.role);
    tokio::select! {
        biased;
        () = shared.cut.cancelled() => {}
        () = talk(&shared, stream, place.peer()) => {}
    }
}

async fn talk(shared: &Shared, stream: TcpStream, peer: &Arc<Peer>) {
    // Answers are small: waiting for more of them to fill a packet only costs time.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY could not be set");
    }
    match &shared.tls {
        None => {
            let origin = stream.peer_addr().ok().map(Origin);
            requests(shared, stream, peer, origin).await;
        }
        Some(tls) => {
            // Nothing has been asked yet, so a handshake need not survive the stop.
            let stream = tokio::select! {
                () = shared.stop.cancelled() => None,
                () = peer.leave().cancelled() => None,
                stream = handshake(shared, tls, stream, peer) => stream,
            };
            if let Some(stream) = stream {
                requests(shared, stream, peer, None).await;
            }
        }
    }
}

async fn handshake(
    shared: &Shared,
    tls: &Arc<ServerConfig>,
    stream: TcpStream,
    peer: &Peer,
) -> Option<TlsStream<TcpStream>> {
    let accepted = async {
        peer.heard();
        let greeting = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
        peer.greeted();
        greeting.into_stream(Arc::clone(tls)).await
    };
    let failure = match timeout(shared.limits.handshake, accepted).await {
        Ok(Ok(stream)) => {
            shared.refused.store(false, Ordering::Relaxed);
            return Some(stream);
        }
        Ok(Err(error)) => failure(shared, &error),
        Err(_) => HandshakeFailure::Timeout,
    };
    shared.metrics.handshake_failed(failure);
    None
}

/// Sorts the error. A refused certificate is told: nothing else says that the caBundle is wrong on our side.
fn failure(shared: &Shared, error: &io::Error) -> HandshakeFailure {
    let Some(tls) = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>())
    else {
        tracing::debug!(%error, "TLS handshake broken off");
        return HandshakeFailure::Io;
    };
    if !matches!(tls, rustls::Error::AlertReceived(_)) || shared.refused.swap(true, Ordering::Relaxed) {
        tracing::debug!(%error, "TLS handshake failed");
    } else {
        tracing::warn!(
            %error,
            "a client refused the certificate; if it is kube-apiserver, compare the caBundle of the webhook configurations"
        );
    }
    HandshakeFailure::Protocol
}

/// Answers requests until the peer goes, is quiet for too long, or the server stops.
async fn requests(
    shared: &Shared,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: &Arc<Peer>,
    origin: Option<Origin>,
) {
    // Without TLS there is no other greeting.
    peer.heard();
    peer.greeted();
    let service = service_fn(|request| answer(shared, peer, origin, request));
    let mut connection = pin!(shared.http.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        _ = connection.as_mut() => return,
        () = shared.stop.cancelled() => {}
        quiet = quiet(peer, &shared.limits) => match quiet {
            Quiet::Never => return,
            Quiet::Since => {}
        },
    }
    connection.as_mut().graceful_shutdown();
    loop {
        tokio::select! {
            _ = connection.as_mut() => return,
            () = sleep(shared.limits.goodbye) => {}
        }
        // A request that crossed the goodbye on its way has begun by now and is answered.
        if peer.is_resting() {
            return;
        }
    }
}

fn answer(
    shared: &Shared,
    peer: &Arc<Peer>,
    origin: Option<Origin>,
    mut request: Request<Incoming>,
) -> impl Future<Output = Result<Response, Infallible>> + use<> {
    let running = peer.begin();
    if let Some(origin) = origin {
        request.extensions_mut().insert(origin);
    }
    let answer = shared.router.clone().call(request.map(Body::new));
    async move {
        let answer = answer.await;
        drop(running);
        answer
    }
}

/// Ends when no request came in time, or when somebody else needs the place. It looks once per period, so a connection
/// rests up to twice as long.
async fn quiet(peer: &Peer, limits: &Limits) -> Quiet {
    let idle = async {
        sleep(limits.first_request).await;
        let mut seen = peer.begun();
        if seen == 0 {
            return Quiet::Never;
        }
        loop {
            sleep(limits.idle).await;
            let begun = peer.begun();
            if begun == seen && peer.is_resting() {
                return Quiet::Since;
            }
            seen = begun;
        }
    };
    tokio::select! {
        quiet = idle => quiet,
        // Whoever was answered may have a request on its way; the others have kept the place for nothing.
        () = peer.leave().cancelled() => if peer.is_answered() { Quiet::Since } else { Quiet::Never },
    }
}
