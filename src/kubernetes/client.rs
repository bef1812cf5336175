//! The way to the API server.

use std::{io, time::Duration};

use http::header::{HeaderValue, USER_AGENT};
use kube::{
    Client, Config,
    config::{InClusterError, KubeConfigOptions, KubeconfigError},
};

/// A TCP and TLS connection comes about within this time, or the API server counts as unreachable.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection on which nothing was read for so long is dead. It is longer than a watch stays open without an event.
const READ_TIMEOUT: Duration = Duration::from_secs(150);

/// A connection that takes nothing for so long is dead.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// How the API server's audit log calls us.
const AGENT: &str = concat!("cassgate/", env!("CARGO_PKG_VERSION"));

/// Why there is no client. An API server that does not answer is no reason.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Neither a kubeconfig file nor a service account.
    #[error(
        "no Kubernetes configuration: set KUBECONFIG to a kubeconfig file (~/.kube/config is looked at too), or \
         run in a pod that has a service account ({in_cluster})"
    )]
    NoConfiguration {
        /// What the look at the pod's environment said.
        in_cluster: InClusterError,
    },
    /// There is a kubeconfig file, and it is of no use.
    #[error("the kubeconfig file (KUBECONFIG, or ~/.kube/config) cannot be used")]
    Kubeconfig(#[source] KubeconfigError),
    /// Certificates, credentials or proxy of the configuration are of no use.
    #[error("the Kubernetes configuration cannot be used")]
    Unusable(#[source] kube::Error),
}

/// A client by `KUBECONFIG` or `~/.kube/config`, else by the pod's service account: the order of kubectl. No request
/// is made. It has to be called within a runtime.
///
/// # Errors
/// There is no configuration, or it cannot be used.
pub async fn connect() -> Result<Client, ConnectError> {
    let kubeconfig = Config::from_kubeconfig(&KubeConfigOptions::default()).await;
    client(choose(kubeconfig, Config::incluster)?)
}

/// A client as [`connect`] makes it, or by this context of the kubeconfig file.
///
/// # Errors
/// There is no configuration or no such context, or it cannot be used.
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

/// A client with the timeouts that suit us. It has to be called within a runtime.
///
/// # Errors
/// Certificates, credentials or proxy of the configuration cannot be used.
pub fn client(mut config: Config) -> Result<Client, ConnectError> {
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    config.read_timeout = Some(READ_TIMEOUT);
    // Else the time that a connection was idle would count.
    config.reset_reader_on_write = true;
    config.write_timeout = Some(WRITE_TIMEOUT);
    // kube would try up to fifteen times behind our back: longer than a review lasts, and a watch would not tell why.
    config.default_retry = false;
    config.headers.push((USER_AGENT, HeaderValue::from_static(AGENT)));
    Client::try_from(config).map_err(ConnectError::Unusable)
}

/// As kubectl, a kubeconfig that is not there or chooses no cluster leaves the choice to the pod; a broken one does
/// not, since it was meant to be used.
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
