//! A client that trusts exactly what is published, as every API server does.

use std::net::SocketAddr;

use base64::{Engine, engine::general_purpose::STANDARD};
use rustls::RootCertStore;
use rustls_pki_types::{CertificateDer, pem::PemObject};

use super::{
    api::{Api, tls},
    http::runtime,
    kubectl::Kubectl,
};

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

    /// Reads every `caBundle`, and then makes a new connection to each replica with each of them. Returns the
    /// certificates that were served.
    ///
    /// # Errors
    /// Which certificate was not taken.
    pub(crate) fn check(&self, replicas: &[SocketAddr]) -> Result<Vec<Vec<u8>>, String> {
        let mut served = Vec::new();
        for (place, bundle) in self.bundles().iter().enumerate() {
            for replica in replicas {
                let chain = shown(*replica, bundle).map_err(|why| format!("webhook {place}: {why}"))?;
                served.extend(chain.first().map(|certificate| certificate.to_vec()));
            }
        }
        Ok(served)
    }
}

/// The chain that a client is shown who trusts this bundle.
///
/// # Errors
/// Why the handshake came to nothing.
pub(crate) fn shown(replica: SocketAddr, bundle: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let stream = runtime().block_on(tls(replica, bundle, &[]))?;
    let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
    Ok(chain
        .iter()
        .map(|certificate| certificate.clone().into_owned())
        .collect())
}

/// The `caBundle` of the mutating and that of the validating side, as PEM; empty where there is none.
pub(crate) async fn published(api: &Api, configuration: &str) -> [String; 2] {
    let mut bundles = [String::new(), String::new()];
    for (place, kind) in ["mutatingwebhookconfigurations", "validatingwebhookconfigurations"]
        .iter()
        .enumerate()
    {
        let path = format!("/apis/admissionregistration.k8s.io/v1/{kind}/{configuration}");
        let found = api.get(&path).await.unwrap_or_default();
        let bundle = found["webhooks"][0]["clientConfig"]["caBundle"]
            .as_str()
            .unwrap_or_default();
        bundles[place] = String::from_utf8(STANDARD.decode(bundle).unwrap()).unwrap();
    }
    bundles
}

/// A store with every certificate of a bundle.
pub(crate) fn roots(bundle: &str) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(bundle.as_bytes()) {
        roots.add(certificate.unwrap()).unwrap();
    }
    roots
}
