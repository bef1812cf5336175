//! Plain requests straight to cassgate: one connection each, without retries.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, OnceLock},
};

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    runtime::Runtime,
};
use tokio_rustls::TlsConnector;

/// A response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The body.
    pub(crate) body: String,
}

/// Returns the runtime of all clients of this process.
pub(crate) fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .worker_threads(2)
            .build()
            .unwrap()
    })
}

/// Sends a `GET` in plain HTTP.
pub(crate) fn get(address: SocketAddr, path: &str) -> Reply {
    runtime().block_on(try_get(address, path)).unwrap()
}

/// Sends a `GET` to a server that may be absent.
///
/// # Errors
/// The server is absent or closes the connection.
pub(crate) async fn try_get(address: SocketAddr, path: &str) -> io::Result<Reply> {
    let connection = TcpStream::connect(address).await?;
    let head = format!("GET {path} HTTP/1.1\r\nhost: {address}");
    exchange(connection, &head, &[]).await
}

/// Sends a `PUT` with a text in plain HTTP.
pub(crate) fn put(address: SocketAddr, path: &str, text: &str) -> Reply {
    let head = format!(
        "PUT {path} HTTP/1.1\r\nhost: {address}\r\ncontent-length: {}",
        text.len()
    );
    runtime().block_on(async {
        let connection = TcpStream::connect(address).await.unwrap();
        exchange(connection, &head, text.as_bytes()).await.unwrap()
    })
}

/// Posts JSON over TLS.
pub(crate) fn post(address: SocketAddr, path: &str, certificate_authority: &str, body: &[u8]) -> Reply {
    post_announcing(address, path, certificate_authority, body.len(), body)
}

/// Posts a `content-length` and none of the body.
pub(crate) fn announce(address: SocketAddr, path: &str, certificate_authority: &str, length: usize) -> Reply {
    post_announcing(address, path, certificate_authority, length, &[])
}

fn post_announcing(
    address: SocketAddr,
    path: &str,
    certificate_authority: &str,
    length: usize,
    body: &[u8],
) -> Reply {
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {length}"
    );
    let connector = trusting(certificate_authority);
    runtime().block_on(async {
        let connection = TcpStream::connect(address).await.unwrap();
        let server = ServerName::from(address.ip());
        let connection = connector.connect(server, connection).await.unwrap();
        exchange(connection, &head, body).await.unwrap()
    })
}

fn trusting(certificate_authority: &str) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(certificate_authority.as_bytes()).unwrap())
        .unwrap();
    let config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

async fn exchange(
    mut connection: impl AsyncRead + AsyncWrite + Unpin,
    head: &str,
    body: &[u8],
) -> io::Result<Reply> {
    let request = [head.as_bytes(), b"\r\nconnection: close\r\n\r\n", body].concat();
    connection.write_all(&request).await?;
    let mut reply = Vec::new();
    connection.read_to_end(&mut reply).await?;
    let reply = String::from_utf8(reply).unwrap();
    let (head, body) = reply.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
    assert!(
        head.to_ascii_lowercase().contains("content-length:"),
        "a body in chunks is not read here: {head}"
    );
    Ok(Reply {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        body: body.to_owned(),
    })
}
