//! The accept loop: connections come in one by one, each bounded, and all of them end.

use std::{
    io,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use axum::Router;
use hyper_util::{rt::TokioTimer, server::conn::auto};
use rustls::ServerConfig;
use tokio::{
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    connection::{self, Streams},
    limits::Limits,
    listen::Bound,
    peers::{Peers, Place},
};
use crate::telemetry::metrics::{Listener, Metrics};

/// After an accept that failed. Out of file descriptors, the loop would otherwise spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What a connection that was cut may take to let go of its tasks: they only have to be polled once more.
pub const CUT_GRACE: Duration = Duration::from_secs(1);

/// A port with everything that answers on it.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    limits: Limits,
    shared: Shared,
    /// HTTP/2 runs each request in a task of its own; these are they.
    streams: TaskTracker,
}

/// How the drain ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "requests that were cut are worth an exit code"]
pub enum Drained {
    /// Every request was answered and every peer is gone.
    Finished,
    /// The deadline passed; this many connections were cut.
    Cut {
        /// Connections, not requests.
        connections: usize,
    },
}

/// What the connections of one listener have in common.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) role: Listener,
    pub(super) tls: Option<Arc<ServerConfig>>,
    pub(super) http: auto::Builder<Streams>,
    pub(super) router: Router,
    pub(super) limits: Limits,
    pub(super) metrics: Metrics,
    /// No new requests: finish and go.
    pub(super) stop: CancellationToken,
    /// Go.
    pub(super) cut: CancellationToken,
    /// Whether the last client refused our certificate: said once in a row.
    pub(super) refused: AtomicBool,
}

impl Server {
    /// Answers with `router` on the port; over TLS when `tls` is given.
    pub(super) fn new(
        bound: Bound,
        tls: Option<Arc<ServerConfig>>,
        router: Router,
        limits: Limits,
        metrics: Metrics,
    ) -> Self {
        let streams = TaskTracker::new();
        let shared = Shared {
            role: bound.role,
            tls,
            http: http(&limits, &streams),
            // With its state given, axum builds every route once instead of at each request.
            router: router.with_state(()),
            limits,
            metrics,
            stop: CancellationToken::new(),
            cut: CancellationToken::new(),
            refused: AtomicBool::new(false),
        };
        Self {
            listener: bound.listener,
            limits,
            shared,
            streams,
        }
    }

    /// Serves until `stop`, then closes the port, lets requests under way end for at most `drain`, and cuts
    /// what is left.
    ///
    /// Guarantees: when it returns, or is dropped, no connection goes on. A handshake under way is given up at once.
    pub async fn run(self, stop: CancellationToken, drain: Duration) -> Drained {
        let Self {
            listener,
            limits,
            mut shared,
            streams,
        } = self;
        shared.stop = stop;
        let shared = Arc::new(shared);
        let _cut_when_dropped = shared.cut.clone().drop_guard();
        let connections = TaskTracker::new();

        accept(&listener, &shared, &connections, limits.connections).await;
        drop(listener);
        connections.close();
        streams.close();

        let all_gone = async {
            connections.wait().await;
            streams.wait().await;
        };
        if timeout(drain, all_gone).await.is_ok() {
            return Drained::Finished;
        }
        let left = connections.len();
        shared.cut.cancel();
        let released = async {
            connections.wait().await;
            streams.wait().await;
        };
        if timeout(CUT_GRACE, released).await.is_err() {
            tracing::warn!(
                listener = shared.role.as_str(),
                "a request holds its thread and cannot be cut"
            );
        }
        Drained::Cut { connections: left }
    }
}

/// Takes connections until the stop; each one holds a place for as long as it lives.
async fn accept(listener: &TcpListener, shared: &Arc<Shared>, connections: &TaskTracker, places: usize) {
    let peers = Peers::new(places);
    let mut failing = false;
    loop {
        let next = tokio::select! {
            biased;
            () = shared.stop.cancelled() => return,
            next = next(listener, &peers) => next,
        };
        match next {
            Ok((stream, place)) => {
                failing = false;
                connections.spawn(connection::serve(Arc::clone(shared), stream, place));
            }
            // The peer gave up while it waited in the queue: no fault of ours.
            Err(error) if is_of_the_peer(&error) => {}
            Err(error) => {
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!(%error, listener = shared.role.as_str(), "no connection can be accepted");
                }
                tokio::select! {
                    () = shared.stop.cancelled() => return,
                    () = sleep(ACCEPT_PAUSE) => {}
                }
            }
        }
    }
}

/// One connection may wait here for its place; those behind it stay in the kernel's queue and cost us nothing.
async fn next(listener: &TcpListener, peers: &Peers) -> io::Result<(TcpStream, Place)> {
    let (stream, _) = listener.accept().await?;
    Ok((stream, peers.place().await))
}

fn is_of_the_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    )
}

fn http(limits: &Limits, streams: &TaskTracker) -> auto::Builder<Streams> {
    let mut http = auto::Builder::new(Streams(streams.clone()));
    http.http1()
        .timer(TokioTimer::new())
        // It also bounds the pause between two requests; the first one has a shorter bound of its own.
        .header_read_timeout(limits.idle)
        .max_buf_size(limits.buffer);
    http.http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams)
        .initial_stream_window_size(limits.stream_window)
        .initial_connection_window_size(limits.connection_window)
        .keep_alive_interval(limits.ping_every)
        .keep_alive_timeout(limits.ping_answer);
    http
}
