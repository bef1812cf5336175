//! The load: one connection with a fixed number of reviews in flight, and every answer checked.
//!
//! A separate process, so that it can be pinned to a core that no server uses.

use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::Value;

use crate::Result;
use crate::http2::{Connection, RequestHeaders};
use crate::process::Usage;

/// A CREATE review as kube-apiserver 1.35 sends it for `kubectl apply` of a scheduled backup.
pub(crate) const REVIEW: &str = include_str!("create.json");
/// The uid in [`REVIEW`]; each request replaces it with its own.
pub(crate) const UID: &str = "00000000-0000-4000-8000-000000000000";

/// The server and the load.
#[derive(Debug, clap::Args)]
pub(crate) struct Load {
    #[arg(long)]
    pub(crate) address: SocketAddr,
    /// The CA of the server's certificate.
    #[arg(long)]
    pub(crate) ca: PathBuf,
    /// The server's process, whose CPU time is measured.
    #[arg(long)]
    pub(crate) pid: u32,
    /// Number of reviews in flight.
    #[arg(long)]
    pub(crate) streams: usize,
    #[arg(long)]
    pub(crate) warm_up_ms: u64,
    #[arg(long)]
    pub(crate) measure_ms: u64,
    /// True if the server answers a constant, whose uid differs from the request's.
    #[arg(long)]
    pub(crate) constant: bool,
}

/// The result of one round.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct Round {
    pub(crate) answers: u32,
    pub(crate) seconds: f64,
    /// CPU seconds of the server during the round.
    pub(crate) busy_seconds: f64,
    /// The body of the last answer.
    pub(crate) answer: String,
    pub(crate) cipher: String,
}

/// Loads a server and prints the [`Round`] as JSON.
///
/// # Errors
/// An error if an answer is wrong or missing.
pub(crate) fn run(load: &Load) -> Result<()> {
    let io = connect(load)?;
    let cipher = format!(
        "{:?}",
        io.conn.negotiated_cipher_suite().map(|suite| suite.suite())
    );
    let headers = RequestHeaders::post(&load.address.to_string(), "/validate?timeout=10s", REVIEW.len());
    let mut session = Session {
        connection: Connection::start(io, headers)?,
        review: Review::new()?,
        checker: Checker {
            constant: load.constant,
            last: None,
        },
        next: 0,
    };
    session.fill(load.streams);
    session.run_for(Duration::from_millis(load.warm_up_ms))?;
    let usage = Usage::of(load.pid)?;
    let start = Instant::now();
    let answers = session.run_for(Duration::from_millis(load.measure_ms))?;
    let seconds = start.elapsed().as_secs_f64();
    let busy_seconds = Usage::of(load.pid)?.since(usage);
    session.drain()?;
    let answer = session.checker.last.map(|last| last.text).unwrap_or_default();
    let round = Round {
        answers,
        seconds,
        busy_seconds,
        answer,
        cipher,
    };
    println!("{}", serde_json::to_string(&round)?);
    Ok(())
}

fn connect(load: &Load) -> Result<StreamOwned<ClientConnection, TcpStream>> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(&load.ca)? {
        roots.add(certificate?)?;
    }
    let mut provider = aws_lc_rs::default_provider();
    // Go's order on a machine with AES instructions, which the servers follow.
    provider.cipher_suites.sort_by_key(|suite| match suite.suite() {
        rustls::CipherSuite::TLS13_AES_128_GCM_SHA256 => 0,
        _ => 1,
    });
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let mut socket = TcpStream::connect(load.address)?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut tls = ClientConnection::new(Arc::new(config), ServerName::from(load.address.ip()))?;
    tls.complete_io(&mut socket)?;
    if tls.alpn_protocol() != Some(b"h2") {
        return Err("the server does not speak HTTP/2".into());
    }
    Ok(StreamOwned::new(tls, socket))
}

#[derive(Debug)]
struct Session {
    connection: Connection<StreamOwned<ClientConnection, TcpStream>>,
    review: Review,
    checker: Checker,
    next: u64,
}

impl Session {
    fn fill(&mut self, streams: usize) {
        while self.connection.pending() < streams {
            self.connection
                .request(self.next, self.review.numbered(self.next));
            self.next += 1;
        }
    }

    /// Sends the next request after each answer until the time is over.
    fn run_for(&mut self, duration: Duration) -> Result<u32> {
        let end = Instant::now() + duration;
        let streams = self.connection.pending();
        let mut count: u32 = 0;
        while Instant::now() < end {
            count += self.take_answers()?;
            self.fill(streams);
        }
        Ok(count)
    }

    fn take_answers(&mut self) -> Result<u32> {
        let answers = self.connection.answers()?;
        for answer in &answers {
            self.checker.check(answer.ticket, &answer.body)?;
        }
        Ok(u32::try_from(answers.len())?)
    }

    fn drain(&mut self) -> Result<()> {
        while self.connection.pending() > 0 {
            self.take_answers()?;
        }
        self.connection.finish()
    }
}

/// The review, split at its uid.
#[derive(Debug)]
struct Review {
    before: &'static str,
    after: &'static str,
}

impl Review {
    fn new() -> Result<Self> {
        let (before, after) = REVIEW.split_once(UID).ok_or("the review has no uid to replace")?;
        Ok(Self { before, after })
    }

    fn numbered(&self, number: u64) -> Vec<u8> {
        let mut body = Vec::with_capacity(REVIEW.len());
        body.extend(self.before.bytes());
        body.extend(uid(number).bytes());
        body.extend(self.after.bytes());
        body
    }
}

fn uid(number: u64) -> String {
    format!("00000000-0000-4000-8000-{number:012x}")
}

/// Checks answers.
///
/// An answer that equals the last one except for its uid needs no parsing; every other one is parsed.
#[derive(Debug)]
struct Checker {
    constant: bool,
    last: Option<Accepted>,
}

#[derive(Debug)]
struct Accepted {
    text: String,
    uid: String,
}

impl Checker {
    fn check(&mut self, number: u64, body: &[u8]) -> Result<()> {
        let wanted = if self.constant {
            UID.to_owned()
        } else {
            uid(number)
        };
        if self.last.as_ref().is_some_and(|last| last.is_like(body, &wanted)) {
            return Ok(());
        }
        let review: Value = serde_json::from_slice(body)?;
        let response = review.get("response").ok_or("an answer without a response")?;
        let uid = response.get("uid").and_then(Value::as_str);
        let allowed = response.get("allowed").and_then(Value::as_bool);
        if uid != Some(&wanted) || allowed != Some(true) {
            return Err(format!("not allowed, or not for {wanted}: {}", body.escape_ascii()).into());
        }
        self.last = Some(Accepted {
            text: String::from_utf8(body.to_vec())?,
            uid: wanted,
        });
        Ok(())
    }
}

impl Accepted {
    fn is_like(&self, body: &[u8], uid: &str) -> bool {
        let Some((before, after)) = self.text.split_once(&self.uid) else {
            return false;
        };
        let rest = body.strip_prefix(before.as_bytes());
        let rest = rest.and_then(|rest| rest.strip_prefix(uid.as_bytes()));
        rest == Some(after.as_bytes())
    }
}
