//! The accept loop: accepts connections up to the limit, and drains them at the end.

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
    connection::{self, ConnectionContext, StreamExecutor},
    limits::Limits,
    listen::Bound,
    peers::{Peers, Slot},
};
use crate::telemetry::metrics::Metrics;

/// The delay after a failed accept. Without it, the loop would spin when the process is out of file descriptors.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(50);

/// The time that the tasks of cut connections have to end. They only have to be polled once more.
pub const CUT_TIMEOUT: Duration = Duration::from_secs(1);

/// A bound port with the router that answers on it.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    limits: Limits,
    context: ConnectionContext,
    /// The tasks of HTTP/2 streams: hyper runs each request in its own task.
    streams: TaskTracker,
}

/// The outcome of the drain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "requests that were cut are worth an exit code"]
pub enum Drained {
    /// Every request was answered and every connection is closed.
    Finished,
    /// The timeout passed, and the remaining connections were cut.
    Cut {
        /// The number of connections (not requests).
        connections: usize,
    },
}

impl Server {
    /// Returns a server that answers with `router` on the port, over TLS if `tls` is given.
    pub(super) fn new(
        bound: Bound,
        tls: Option<Arc<ServerConfig>>,
        router: Router,
        limits: Limits,
        metrics: Metrics,
    ) -> Self {
        let streams = TaskTracker::new();
        let context = ConnectionContext {
            listener: bound.role,
            tls,
            http: http(&limits, &streams),
            // Without this call, axum would build the routes anew for each request.
            router: router.with_state(()),
            limits,
            metrics,
            stop: CancellationToken::new(),
            abort: CancellationToken::new(),
            certificate_rejected: AtomicBool::new(false),
        };
        Self {
            listener: bound.listener,
            limits,
            context,
            streams,
        }
    }

    /// Serves until `stop`, then closes the port, waits up to `drain` for requests in flight, and cuts the remaining
    /// connections.
    ///
    /// # Guarantees
    /// No connection is left when it returns or is dropped. A handshake that is in progress at the stop is dropped.
    pub async fn run(self, stop: CancellationToken, drain: Duration) -> Drained {
        let Self {
            listener,
            limits,
            mut context,
            streams,
        } = self;
        context.stop = stop;
        let context = Arc::new(context);
        let _abort_on_drop = context.abort.clone().drop_guard();
        let connections = TaskTracker::new();

        accept(&listener, &context, &connections, limits.max_connections).await;
        drop(listener);
        connections.close();
        streams.close();

        let all_closed = async {
            connections.wait().await;
            streams.wait().await;
        };
        if timeout(drain, all_closed).await.is_ok() {
            return Drained::Finished;
        }
        let remaining = connections.len();
        context.abort.cancel();
        let all_cut = async {
            connections.wait().await;
            streams.wait().await;
        };
        if timeout(CUT_TIMEOUT, all_cut).await.is_err() {
            tracing::warn!(
                listener = context.listener.as_str(),
                "a request blocks its thread and cannot be cut"
            );
        }
        Drained::Cut {
            connections: remaining,
        }
    }
}

/// Accepts connections until the stop. Each connection holds a slot until it ends.
async fn accept(
    listener: &TcpListener,
    context: &Arc<ConnectionContext>,
    connections: &TaskTracker,
    max_connections: usize,
) {
    let peers = Peers::new(max_connections);
    let mut failing = false;
    loop {
        let next = tokio::select! {
            biased;
            () = context.stop.cancelled() => return,
            next = next_connection(listener, &peers) => next,
        };
        match next {
            Ok((stream, slot)) => {
                failing = false;
                connections.spawn(connection::serve(Arc::clone(context), stream, slot));
            }
            // The client closed the connection while it was in the queue of the kernel.
            Err(error) if is_caused_by_client(&error) => {}
            Err(error) => {
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!(%error, listener = context.listener.as_str(), "connections cannot be accepted");
                }
                tokio::select! {
                    () = context.stop.cancelled() => return,
                    () = sleep(ACCEPT_RETRY_DELAY) => {}
                }
            }
        }
    }
}

/// Accepts one connection and waits for its slot. Further connections wait in the queue of the kernel, where they take no
/// memory of this process.
async fn next_connection(listener: &TcpListener, peers: &Peers) -> io::Result<(TcpStream, Slot)> {
    let (stream, _) = listener.accept().await?;
    Ok((stream, peers.slot().await))
}

fn is_caused_by_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    )
}

fn http(limits: &Limits, streams: &TaskTracker) -> auto::Builder<StreamExecutor> {
    let mut http = auto::Builder::new(StreamExecutor(streams.clone()));
    http.http1()
        .timer(TokioTimer::new())
        // This also bounds the pause between two requests. The first request has a shorter timeout.
        .header_read_timeout(limits.idle_timeout)
        .max_buf_size(limits.read_buffer);
    http.http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.max_streams)
        .initial_stream_window_size(limits.stream_window)
        .initial_connection_window_size(limits.connection_window)
        .keep_alive_interval(limits.ping_interval)
        .keep_alive_timeout(limits.ping_timeout);
    http
}
