//! A client of kube-apiserver for many requests on one connection, without a kubectl process for each.

use std::{fs, net::SocketAddr, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, client::conn::http2::SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{authority::roots, http::Reply, servers::Servers};

/// The address of a kube-apiserver and the administrator's credentials.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    /// The address.
    pub(crate) address: SocketAddr,
    /// The certificate authority of the server, as PEM.
    pub(crate) certificate_authority: String,
    token: String,
}

/// The administrator on one HTTP/2 connection. Clones share the connection.
#[derive(Clone)]
pub(crate) struct Api {
    endpoint: Arc<Endpoint>,
    requests: SendRequest<Full<Bytes>>,
}

impl Endpoint {
    /// Reads the administrator's kubeconfig.
    pub(crate) fn of(servers: &Servers) -> Self {
        let text = fs::read_to_string(servers.admin_kubeconfig()).unwrap();
        let config: Value = serde_saphyr::from_str(&text).unwrap();
        let cluster = &config["clusters"][0]["cluster"];
        let server = cluster["server"].as_str().unwrap();
        let authority = cluster["certificate-authority-data"].as_str().unwrap();
        Self {
            address: server.strip_prefix("https://").unwrap().parse().unwrap(),
            certificate_authority: String::from_utf8(STANDARD.decode(authority).unwrap()).unwrap(),
            token: config["users"][0]["user"]["token"].as_str().unwrap().to_owned(),
        }
    }
}

impl Api {
    /// Connects to the API server.
    pub(crate) async fn of(servers: &Servers) -> Self {
        let endpoint = Endpoint::of(servers);
        let stream = tls(endpoint.address, &endpoint.certificate_authority, &["h2"])
            .await
            .unwrap();
        let (requests, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
                .await
                .unwrap();
        // The connection ends with the last handle; errors appear in the requests.
        tokio::spawn(async { drop(connection.await) });
        Self {
            endpoint: Arc::new(endpoint),
            requests,
        }
    }

    /// Returns the object at this path.
    pub(crate) async fn get(&self, path: &str) -> Option<Value> {
        let reply = self.request("GET", path, Bytes::new()).await.unwrap();
        (reply.status == 200).then(|| serde_json::from_str(&reply.body).unwrap())
    }

    /// Posts JSON.
    ///
    /// # Errors
    /// The reason why no answer arrived.
    pub(crate) async fn post(&self, path: &str, body: Bytes) -> Result<Reply, String> {
        self.request("POST", path, body).await
    }

    async fn request(&self, method: &str, path: &str, body: Bytes) -> Result<Reply, String> {
        let Endpoint { address, token, .. } = &*self.endpoint;
        let request = Request::builder()
            .method(method)
            .uri(format!("https://{address}{path}"))
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json")
            .body(Full::new(body))
            .unwrap();
        let mut requests = self.requests.clone();
        requests.ready().await.map_err(|error| error.to_string())?;
        let (head, body) = requests
            .send_request(request)
            .await
            .map_err(|error| error.to_string())?
            .into_parts();
        let body = body.collect().await.map_err(|error| error.to_string())?;
        Ok(Reply {
            status: head.status.as_u16(),
            body: String::from_utf8_lossy(&body.to_bytes()).into_owned(),
        })
    }
}

/// Opens a TLS connection that trusts these certificates and offers these protocols.
///
/// # Errors
/// The reason why the connection failed.
pub(crate) async fn tls(
    address: SocketAddr,
    bundle: &str,
    protocols: &[&str],
) -> Result<TlsStream<TcpStream>, String> {
    let mut config = ClientConfig::builder()
        .with_root_certificates(roots(bundle))
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    let stream = TcpStream::connect(address)
        .await
        .map_err(|error| format!("{address}: {error}"))?;
    TlsConnector::from(Arc::new(config))
        .connect(ServerName::from(address.ip()), stream)
        .await
        .map_err(|error| format!("{address}: {error}"))
}
