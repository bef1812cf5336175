//! A client that trusts exactly what is published, as every API server does.

use std::{net::SocketAddr, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{http::runtime, kubectl::Kubectl};

/// The webhook configurations of one name.
pub(crate) struct Watched<'a> {
    kubectl: &'a Kubectl,
    name: &'a str,
}

impl<'a> Watched<'a> {
    pub(crate) fn new(kubectl: &'a Kubectl, name: &'a str) -> Self {
        Self { kubectl, name }
    }

    /// Every `caBundle` as PEM, in the order of the webhooks.
    pub(crate) fn bundles(&self) -> Vec<String> {
        let mut bundles = Vec::new();
        for kind in ["mutatingwebhookconfiguration", "validatingwebhookconfiguration"] {
            for webhook in self.kubectl.get(kind, self.name)["webhooks"].as_array().unwrap() {
                let bundle = webhook["clientConfig"]["caBundle"].as_str().unwrap_or_default();
                bundles.push(String::from_utf8(STANDARD.decode(bundle).unwrap()).unwrap());
            }
        }
        bundles
    }

    /// Reads every `caBundle`, and then makes a new connection to each replica with each of them.
    ///
    /// # Errors
    /// Which certificate was not taken.
    pub(crate) fn check(&self, replicas: &[SocketAddr]) -> Result<(), String> {
        for (place, bundle) in self.bundles().iter().enumerate() {
            for replica in replicas {
                trusts(*replica, bundle).map_err(|why| format!("webhook {place}: {replica}: {why}"))?;
            }
        }
        Ok(())
    }
}

/// A handshake of a client that trusts this bundle.
///
/// # Errors
/// Why it came to nothing.
pub(crate) fn trusts(replica: SocketAddr, bundle: &str) -> Result<(), String> {
    let config = ClientConfig::builder()
        .with_root_certificates(roots(bundle))
        .with_no_client_auth();
    runtime().block_on(async {
        let connection = TcpStream::connect(replica)
            .await
            .map_err(|error| error.to_string())?;
        let connector = TlsConnector::from(Arc::new(config));
        let shaken = connector
            .connect(ServerName::from(replica.ip()), connection)
            .await;
        shaken.map(drop).map_err(|error| error.to_string())
    })
}

fn roots(bundle: &str) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(bundle.as_bytes()) {
        roots.add(certificate.unwrap()).unwrap();
    }
    roots
}
