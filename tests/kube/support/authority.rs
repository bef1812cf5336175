//! A client that trusts exactly the published bundle, as every API server does.

use std::net::SocketAddr;

use base64::{Engine, engine::general_purpose::STANDARD};
use rustls::RootCertStore;
use rustls_pki_types::{CertificateDer, pem::PemObject};

use super::{
    api::{Api, tls},
    http::runtime,
    kubectl::Kubectl,
};

/// The webhook configurations with one name.
pub(crate) struct Watched<'a> {
    kubectl: &'a Kubectl,
    name: &'a str,
}

impl<'a> Watched<'a> {
    pub(crate) fn new(kubectl: &'a Kubectl, name: &'a str) -> Self {
        Self { kubectl, name }
    }

    /// Returns every `caBundle` as PEM, in the order of the webhooks.
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

    /// Reads every `caBundle`, opens a new connection to each replica with each of them, and returns the served
    /// certificates.
    ///
    /// # Errors
    /// The certificate that was rejected.
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

/// Returns the chain that the replica presents to a client with this bundle.
///
/// # Errors
/// The reason why the handshake failed.
pub(crate) fn shown(replica: SocketAddr, bundle: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let stream = runtime().block_on(tls(replica, bundle, &[]))?;
    let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
    Ok(chain
        .iter()
        .map(|certificate| certificate.clone().into_owned())
        .collect())
}

/// Returns the `caBundle` of the mutating and of the validating configuration as PEM; empty if there is none.
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

/// Returns a root store with every certificate of a bundle.
pub(crate) fn roots(bundle: &str) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(bundle.as_bytes()) {
        roots.add(certificate.unwrap()).unwrap();
    }
    roots
}
