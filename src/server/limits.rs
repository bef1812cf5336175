//! What one peer may take.

use std::time::Duration;

/// The bounds of a listener. Every field has a default that is meant for the webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections open at once, handshakes included. For one more, the one that has come to the least goes: no
    /// greeting, no answer yet, nothing asked for long. While each is being answered, more wait in the kernel's queue.
    /// 512: each kube-apiserver keeps a few HTTP/2 connections, so a healthy cluster never comes near.
    pub connections: usize,
    /// From accept to the end of the TLS handshake. 5 s: half of the time that kube-apiserver waits by default.
    pub handshake: Duration,
    /// From the end of the handshake to the end of the first request's headers. 5 s. It bounds port scanners,
    /// slow headers, and peers that agree on HTTP/2 and then say nothing, which no option of hyper does.
    pub first_request: Duration,
    /// How long a connection may be open without a request, and how long later headers may take (HTTP/1.1).
    /// 2 min: longer than the 90 s for which Go's clients keep an idle connection, so that it is the client that
    /// closes. A server that closes first can cross a request on the way, and a POST is not sent again.
    pub idle: Duration,
    /// How long a peer that was told to go (GOAWAY) may stay without a request. 1 s: many round trips.
    pub goodbye: Duration,
    /// Requests at once on one HTTP/2 connection. 256: kube-apiserver multiplexes all its calls over one.
    pub streams: u32,
    /// How much of an HTTP/1.1 connection is read ahead, in bytes; its headers must fit. 16 KiB: kube-apiserver's have
    /// less than one, and hyper's own 400 KiB times 512 connections would be all the memory there is. HTTP/2 has the
    /// same bound for headers from hyper.
    pub buffer: usize,
    /// How much of an HTTP/2 stream may come unread, in bytes. 128 KiB: at a millisecond's distance 128 MB a second.
    pub stream_window: u32,
    /// How much of an HTTP/2 connection may come unread, in bytes. 256 KiB.
    pub connection_window: u32,
    /// An HTTP/2 connection is asked for a sign of life this often. 20 s: below every usual NAT and idle timeout.
    pub ping_every: Duration,
    /// How long that sign of life may take. 10 s.
    pub ping_answer: Duration,
}

impl Limits {
    /// The bounds of the admin port: as the webhook's, but 64 connections. Probes and a few scrapers need
    /// no more, and none of them can take the webhook's.
    #[must_use]
    pub fn admin() -> Self {
        Self {
            connections: 64,
            ..Self::default()
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 512,
            handshake: Duration::from_secs(5),
            first_request: Duration::from_secs(5),
            idle: Duration::from_mins(2),
            goodbye: Duration::from_secs(1),
            streams: 256,
            buffer: 16 * 1024,
            stream_window: 128 * 1024,
            connection_window: 256 * 1024,
            ping_every: Duration::from_secs(20),
            ping_answer: Duration::from_secs(10),
        }
    }
}
