//! The client of the API server.

use std::{io, time::Duration};

use http::header::{HeaderValue, USER_AGENT};
use kube::{
    Client, Config,
    config::{InClusterError, KubeConfigOptions, KubeconfigError},
};

/// The timeout for a TCP and TLS connection, after which the API server counts as unreachable.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The time without incoming data after which a connection is dead. It is longer than a watch stays open without an
/// event.
const READ_TIMEOUT: Duration = Duration::from_secs(150);

/// The time after which a connection that accepts no data is dead.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// The user agent, as it appears in the API server's audit log.
const AGENT: &str = concat!("cassgate/", env!("CARGO_PKG_VERSION"));

/// An error that prevents a client. An API server that does not answer is not one.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// There is neither a kubeconfig file nor a service account.
    #[error(
        "no Kubernetes configuration: set KUBECONFIG to a kubeconfig file (~/.kube/config is read too), or \
         run in a pod that has a service account ({in_cluster})"
    )]
    NoConfiguration {
        /// The error from the environment of the pod.
        in_cluster: InClusterError,
    },
    /// The kubeconfig file is unusable.
    #[error("the kubeconfig file (KUBECONFIG, or ~/.kube/config) cannot be used")]
    Kubeconfig(#[source] KubeconfigError),
    /// The certificates, credentials or proxy of the configuration are unusable.
    #[error("the Kubernetes configuration cannot be used")]
    Unusable(#[source] kube::Error),
}

/// Returns a client from `KUBECONFIG` or `~/.kube/config`, else from the pod's service account: the order of kubectl.
///
/// Makes no request. Must be called within a Tokio runtime.
///
/// # Errors
/// Returns an error if there is no configuration or if it cannot be used.
pub async fn connect() -> Result<Client, ConnectError> {
    let kubeconfig = Config::from_kubeconfig(&KubeConfigOptions::default()).await;
    client(choose(kubeconfig, Config::incluster)?)
}

/// Returns a client for this context of the kubeconfig file; without a context, the client of [`connect`].
///
/// # Errors
/// Returns an error if there is no configuration or no such context, or if it cannot be used.
pub async fn connect_to(context: Option<&str>) -> Result<Client, ConnectError> {
    let Some(context) = context else {
        return connect().await;
    };
    let options = KubeConfigOptions {
        context: Some(context.to_owned()),
        ..KubeConfigOptions::default()
    };
    let config = Config::from_kubeconfig(&options).await;
    client(config.map_err(ConnectError::Kubeconfig)?)
}

/// Returns a client with this module's timeouts and user agent. Must be called within a Tokio runtime.
///
/// # Errors
/// Returns an error if the certificates, credentials or proxy of the configuration cannot be used.
pub fn client(mut config: Config) -> Result<Client, ConnectError> {
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    config.read_timeout = Some(READ_TIMEOUT);
    // Otherwise the time that the connection was idle would count.
    config.reset_reader_on_write = true;
    config.write_timeout = Some(WRITE_TIMEOUT);
    // kube would retry up to fifteen times: longer than a review lasts, and a watch would not report the reason.
    config.default_retry = false;
    config.headers.push((USER_AGENT, HeaderValue::from_static(AGENT)));
    Client::try_from(config).map_err(ConnectError::Unusable)
}

/// Chooses between the kubeconfig file and the service account of the pod, as kubectl does.
///
/// The service account is used if there is no kubeconfig file or if it selects no cluster. A broken file is an error:
/// it was meant to be used.
pub(super) fn choose(
    kubeconfig: Result<Config, KubeconfigError>,
    in_cluster: impl FnOnce() -> Result<Config, InClusterError>,
) -> Result<Config, ConnectError> {
    match kubeconfig {
        Ok(config) => Ok(config),
        Err(error) if is_absent(&error) => {
            in_cluster().map_err(|in_cluster| ConnectError::NoConfiguration { in_cluster })
        }
        Err(error) => Err(ConnectError::Kubeconfig(error)),
    }
}

fn is_absent(error: &KubeconfigError) -> bool {
    match error {
        KubeconfigError::FindPath | KubeconfigError::CurrentContextNotSet => true,
        KubeconfigError::ReadConfig(error, _) => error.kind() == io::ErrorKind::NotFound,
        _ => false,
    }
}
