//! The limits of a listener.

use std::time::Duration;

/// The limits of a listener. The defaults are those of the webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The number of open connections, handshakes included. For one more, the connection with the least progress is
    /// evicted: one without a `ClientHello`, then one without a response, then the one that is idle longest. While
    /// every connection is busy, new ones wait in the queue of the kernel. 512: each kube-apiserver keeps a few HTTP/2
    /// connections, so a healthy Kubernetes cluster stays far below.
    pub max_connections: usize,
    /// The time from accept to the end of the TLS handshake. 5 s: half of the time that kube-apiserver waits by default.
    pub handshake_timeout: Duration,
    /// The time from the end of the handshake to the end of the first request's headers. 5 s. It bounds port scanners,
    /// slow headers, and clients that negotiate HTTP/2 and then send nothing, which no option of hyper does.
    pub first_request_timeout: Duration,
    /// The time that a connection may be open without a request, and the time for the headers of later requests
    /// (HTTP/1.1). 2 min: longer than the 90 s for which Go's clients keep an idle connection, so that the client closes
    /// it. If the server closes first, a request may be on its way already, and clients do not repeat a POST.
    pub idle_timeout: Duration,
    /// The time that a connection may stay open without a request after GOAWAY. 1 s: many round trips.
    pub goaway_grace: Duration,
    /// The number of concurrent requests on one HTTP/2 connection. 256: kube-apiserver multiplexes all its calls over
    /// one connection.
    pub max_streams: u32,
    /// The size of the read buffer of an HTTP/1.1 connection, in bytes; the headers must fit in it. 16 KiB: the headers
    /// of kube-apiserver take less than 1 KiB, and hyper's default of 400 KiB would take all memory with 512
    /// connections. hyper has the same limit for the headers of HTTP/2.
    pub read_buffer: usize,
    /// The flow control window of an HTTP/2 stream, in bytes. 128 KiB: 128 MB a second at a round trip of 1 ms.
    pub stream_window: u32,
    /// The flow control window of an HTTP/2 connection, in bytes. 256 KiB.
    pub connection_window: u32,
    /// The interval of HTTP/2 pings. 20 s: below the usual idle timeouts of NAT and load balancers.
    pub ping_interval: Duration,
    /// The time that a client has to answer a ping. 10 s.
    pub ping_timeout: Duration,
}

impl Limits {
    /// Returns the limits of the admin port: those of the webhook, but 64 connections. Probes and a few scrapers need no
    /// more.
    #[must_use]
    pub fn admin() -> Self {
        Self {
            max_connections: 64,
            ..Self::default()
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 512,
            handshake_timeout: Duration::from_secs(5),
            first_request_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_mins(2),
            goaway_grace: Duration::from_secs(1),
            max_streams: 256,
            read_buffer: 16 * 1024,
            stream_window: 128 * 1024,
            connection_window: 256 * 1024,
            ping_interval: Duration::from_secs(20),
            ping_timeout: Duration::from_secs(10),
        }
    }
}
