//! The choice of the configuration, and a client on real sockets.

use std::io;

use kube::{
    Config,
    config::{InClusterError, KubeconfigError},
};
use tokio::net::TcpListener;

use super::*;
use crate::kubernetes::client::{ConnectError, choose, client};
use crate::rules::facts::{FactSource, Freshness};

fn config(server: &str) -> Config {
    Config::new(server.parse().unwrap())
}

fn no_pod() -> Result<Config, InClusterError> {
    Err(InClusterError::ReadEnvironmentVariable(
        std::env::VarError::NotPresent,
    ))
}

fn missing_file() -> KubeconfigError {
    KubeconfigError::ReadConfig(io::ErrorKind::NotFound.into(), "/home/u/.kube/config".into())
}

#[test]
fn a_kubeconfig_takes_precedence_over_the_pod() {
    let chosen = choose(Ok(config("http://a/")), || Ok(config("http://pod/"))).unwrap();
    assert_eq!(chosen.cluster_url.host(), Some("a"));
}

#[test]
fn without_a_kubeconfig_the_service_account_of_the_pod_is_used() {
    for error in [
        missing_file(),
        KubeconfigError::FindPath,
        KubeconfigError::CurrentContextNotSet,
    ] {
        let chosen = choose(Err(error), || Ok(config("http://pod/"))).unwrap();
        assert_eq!(chosen.cluster_url.host(), Some("pod"));
    }
}

#[test]
fn without_both_the_error_names_the_remedy() {
    let error = choose(Err(missing_file()), no_pod).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no Kubernetes configuration: set KUBECONFIG to a kubeconfig file (~/.kube/config is read too), or run \
         in a pod that has a service account (failed to read an incluster environment variable: environment \
         variable not found)"
    );
}

#[test]
fn a_broken_kubeconfig_is_an_error_even_in_a_pod() {
    let broken = KubeconfigError::MissingClusterUrl;
    let error = choose(Err(broken), || Ok(config("http://pod/"))).unwrap_err();
    assert!(
        matches!(
            error,
            ConnectError::Kubeconfig(KubeconfigError::MissingClusterUrl)
        ),
        "{error:?}"
    );
    assert_eq!(
        error.to_string(),
        "the kubeconfig file (KUBECONFIG, or ~/.kube/config) cannot be used"
    );
}

#[tokio::test]
async fn an_unreachable_server_is_an_error_only_when_a_request_is_made() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let client = client(config(&format!("http://{address}"))).unwrap();
    let world = World::with(&client);
    assert_eq!(
        world.facts.cluster("prod", "c1", Freshness::Live).await,
        unknown("connection refused by the API server")
    );
}

#[tokio::test]
async fn a_server_with_an_untrusted_certificate_is_reported_as_untrusted() {
    let tls = tls();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut servers = JoinSet::new();
    servers.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = tls.accept(stream).await;
        }
    });
    let mut config = config(&format!("https://{address}"));
    config.root_cert = Some(vec![self_signed().0.to_vec()]);
    let world = World::with(&client(config).unwrap());
    assert_eq!(
        world.facts.cluster("prod", "c1", Freshness::Live).await,
        unknown("the API server's certificate is not trusted")
    );
}

#[tokio::test]
async fn a_proxy_in_the_configuration_is_no_error() {
    let mut config = config("https://127.0.0.1:1");
    config.proxy_url = Some("http://proxy.example:3128".parse().unwrap());
    assert!(client(config).is_ok());
}

fn self_signed() -> (rustls::pki_types::CertificateDer<'static>, rcgen::KeyPair) {
    let key = rcgen::KeyPair::generate().unwrap();
    let names = vec!["127.0.0.1".to_owned()];
    let certificate = rcgen::CertificateParams::new(names)
        .unwrap()
        .self_signed(&key)
        .unwrap();
    (certificate.der().clone(), key)
}

fn tls() -> tokio_rustls::TlsAcceptor {
    let (certificate, key) = self_signed();
    let key = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    Arc::new(config).into()
}
