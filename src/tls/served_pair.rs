//! The pair that TLS handshakes receive.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use rustls::{
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

/// The pair that TLS handshakes receive. It can be replaced at any time: a handshake that has begun keeps its pair.
#[derive(Debug)]
pub struct ServedPair(ArcSwapOption<CertifiedKey>);

impl ServedPair {
    pub(super) fn new(key: Arc<CertifiedKey>) -> Self {
        Self(ArcSwapOption::new(Some(key)))
    }

    /// Returns a resolver without a pair: every handshake fails until [`replace`](Self::replace) is called.
    pub(super) fn empty() -> Self {
        Self(ArcSwapOption::empty())
    }

    pub(super) fn replace(&self, key: Arc<CertifiedKey>) {
        self.0.store(Some(key));
    }
}

impl ResolvesServerCert for ServedPair {
    /// Returns the one pair for every server name, also for a client that sends none: kube-apiserver sends no SNI to an
    /// IP address.
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.load_full()
    }
}
