//! The pair that handshakes get.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use rustls::{
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

/// The pair that handshakes get. It is replaced under way: handshakes that have begun keep theirs.
#[derive(Debug)]
pub struct Served(ArcSwapOption<CertifiedKey>);

impl Served {
    pub(super) fn new(key: Arc<CertifiedKey>) -> Self {
        Self(ArcSwapOption::new(Some(key)))
    }

    /// Without a pair every handshake fails.
    pub(super) fn empty() -> Self {
        Self(ArcSwapOption::empty())
    }

    pub(super) fn replace(&self, key: Arc<CertifiedKey>) {
        self.0.store(Some(key));
    }
}

impl ResolvesServerCert for Served {
    /// One pair for every name, and for none: kube-apiserver sends no SNI to an address.
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.load_full()
    }
}
