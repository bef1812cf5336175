//! Clients with one connection each.

use std::{io, net::SocketAddr, sync::Arc};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Response, Version,
    body::Incoming,
    client::conn::{http1 as h1, http2 as h2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use rustls_pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_util::task::AbortOnDropHandle;

/// One HTTP connection.
pub(crate) enum Client {
    Http1(h1::SendRequest<Full<Bytes>>, AbortOnDropHandle<()>),
    Http2(h2::SendRequest<Full<Bytes>>, AbortOnDropHandle<()>),
}

/// A complete response.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) version: Version,
    pub(crate) content_type: Option<String>,
    pub(crate) body: String,
}

/// Returns the configuration of a client that trusts `roots` and offers these protocols by ALPN.
pub(crate) fn tls_config(roots: RootCertStore, protocols: &[&str]) -> ClientConfig {
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols
        .iter()
        .map(|protocol| protocol.as_bytes().to_vec())
        .collect();
    config
}

/// Opens a TLS connection.
pub(crate) async fn tls(address: SocketAddr, config: ClientConfig) -> io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::from(address.ip());
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

/// Opens an HTTP/1.1 connection over TLS.
pub(crate) async fn http1(address: SocketAddr, roots: &RootCertStore) -> Client {
    let stream = tls(address, tls_config(roots.clone(), &["http/1.1"]))
        .await
        .unwrap();
    Client::http1(stream).await
}

/// Opens an HTTP/2 connection over TLS.
pub(crate) async fn http2(address: SocketAddr, roots: &RootCertStore) -> Client {
    let stream = tls(address, tls_config(roots.clone(), &["h2"])).await.unwrap();
    Client::http2(stream).await
}

impl Client {
    pub(crate) async fn http1(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Self {
        let (sender, connection) = h1::handshake(TokioIo::new(stream)).await.unwrap();
        // An error of the connection is visible in the requests on it.
        Self::Http1(
            sender,
            AbortOnDropHandle::new(tokio::spawn(async { drop(connection.await) })),
        )
    }

    pub(crate) async fn http2(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Self {
        let (sender, connection) = h2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
        Self::Http2(
            sender,
            AbortOnDropHandle::new(tokio::spawn(async { drop(connection.await) })),
        )
    }

    pub(crate) async fn get(&mut self, path: &str) -> hyper::Result<Answer> {
        let request = Request::get(path)
            .header("host", "localhost")
            .body(Full::default())
            .unwrap();
        self.send(request).await
    }

    pub(crate) async fn post(&mut self, path: &str, body: impl Into<Bytes>) -> hyper::Result<Answer> {
        let request = Request::post(path)
            .header("host", "localhost")
            .body(Full::new(body.into()))
            .unwrap();
        self.send(request).await
    }

    pub(crate) async fn put(&mut self, path: &str, body: impl Into<Bytes>) -> hyper::Result<Answer> {
        let request = Request::put(path)
            .header("host", "localhost")
            .body(Full::new(body.into()))
            .unwrap();
        self.send(request).await
    }

    async fn send(&mut self, request: Request<Full<Bytes>>) -> hyper::Result<Answer> {
        let response = match self {
            Self::Http1(sender, _) => {
                sender.ready().await?;
                sender.send_request(request).await?
            }
            Self::Http2(sender, _) => {
                sender.ready().await?;
                sender.send_request(with_authority(request)).await?
            }
        };
        Answer::read(response).await
    }

    /// Waits until the server has ended the connection.
    pub(crate) async fn closed(self) {
        let (Self::Http1(_, driver) | Self::Http2(_, driver)) = self;
        driver.await.unwrap();
    }
}

/// Moves the host into the URI, as HTTP/2 requires.
fn with_authority(mut request: Request<Full<Bytes>>) -> Request<Full<Bytes>> {
    let uri = format!("https://localhost{}", request.uri());
    *request.uri_mut() = uri.parse().unwrap();
    request.headers_mut().remove("host");
    request
}

impl Answer {
    async fn read(response: Response<Incoming>) -> hyper::Result<Self> {
        let (head, body) = response.into_parts();
        let content_type = head
            .headers
            .get("content-type")
            .map(|value| value.to_str().unwrap().to_owned());
        let body = body.collect().await?.to_bytes();
        Ok(Self {
            status: head.status.as_u16(),
            version: head.version,
            content_type,
            body: String::from_utf8(body.to_vec()).unwrap(),
        })
    }
}
