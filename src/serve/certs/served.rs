//! The pair that handshakes get.

use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::{
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

/// The pair that handshakes get. It is replaced under way: handshakes that have begun keep theirs.
#[derive(Debug)]
pub struct Served(ArcSwap<CertifiedKey>);

impl Served {
    pub(super) fn new(key: Arc<CertifiedKey>) -> Self {
        Self(ArcSwap::new(key))
    }

    pub(super) fn replace(&self, key: Arc<CertifiedKey>) {
        self.0.store(key);
    }
}

impl ResolvesServerCert for Served {
    /// One pair for every name, and for none: kube-apiserver sends no SNI to an address.
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}
