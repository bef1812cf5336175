//! The configuration of rustls.

use std::sync::Arc;

use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    server::ResolvesServerCert,
    version::{TLS12, TLS13},
};

/// The cryptography provider does not support TLS 1.2 and 1.3.
#[derive(Debug, thiserror::Error)]
#[error("TLS cannot be set up: {0}")]
pub struct ConfigError(rustls::Error);

/// Returns a configuration for TLS 1.2 and 1.3 by aws-lc-rs, with ALPN for HTTP/2 (preferred) and HTTP/1.1 and without
/// client certificates.
///
/// # Errors
/// Returns an error if the provider lacks the cipher suites of a version, which would be a mistake of the build.
pub fn server_config(certificates: Arc<dyn ResolvesServerCert>) -> Result<Arc<ServerConfig>, ConfigError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(ConfigError)?
        .with_no_client_auth()
        .with_cert_resolver(certificates);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Makes aws-lc-rs the default provider of the process. kube's client uses the default. May be called repeatedly.
pub fn install_default_provider() {
    if CryptoProvider::get_default().is_none() {
        // The call fails if another thread has installed a provider meanwhile. It is the same one: no other is compiled in.
        let _ = aws_lc_rs::default_provider().install_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_provider_can_be_installed_repeatedly() {
        install_default_provider();
        install_default_provider();
        assert!(CryptoProvider::get_default().is_some());
    }
}
