//! A minimal HTTP/2 client with a very low cost.
//!
//! The load generator has one core, like the server under load. A full client would be the slower of the two and
//! determine the figures. This one sends requests that differ only in a few bytes of their body, with the header
//! compression and windows of Go's client, which kube-apiserver uses.

use std::collections::VecDeque;
use std::io::{self, Read, Write};

use crate::Result;

const HEADER_LENGTH: usize = 9;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GO_AWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;
const SETTING_PUSH: u16 = 2;
const SETTING_WINDOW: u16 = 4;
const SETTING_FRAME: u16 = 5;
/// The initial window of every connection, by RFC 9113.
const DEFAULT_WINDOW: i64 = 65_535;
const DEFAULT_FRAME: usize = 16_384;
/// The windows of Go's client: a gibibyte for the connection, four mebibytes per stream.
const OUR_CONNECTION_WINDOW: u32 = 1 << 30;
const OUR_STREAM_WINDOW: u32 = 4 << 20;
/// Literal headers with incremental indexing: the indices of their names in the static table.
const AUTHORITY: u8 = 1;
const PATH: u8 = 4;
const ACCEPT_ENCODING: u8 = 16;
const ACCEPT: u8 = 19;
const CONTENT_LENGTH: u8 = 28;
const CONTENT_TYPE: u8 = 31;
const USER_AGENT: u8 = 58;
const METHOD_POST: u8 = 0x83;
const SCHEME_HTTPS: u8 = 0x87;
const STATUS_200: u8 = 0x88;
const FIRST_DYNAMIC: usize = 62;

/// The headers of kube-apiserver's webhook client, compressed: literal at first, then by reference.
#[derive(Debug)]
pub(crate) struct RequestHeaders {
    first: Vec<u8>,
    again: Vec<u8>,
}

impl RequestHeaders {
    /// Returns the headers of a POST of `length` bytes.
    pub(crate) fn post(authority: &str, path: &str, length: usize) -> Self {
        let length = length.to_string();
        let literals = [
            (AUTHORITY, authority),
            (PATH, path),
            (ACCEPT, "application/json, */*"),
            (CONTENT_TYPE, "application/json"),
            (CONTENT_LENGTH, &length),
            (ACCEPT_ENCODING, "gzip"),
            (USER_AGENT, "kube-apiserver-admission"),
        ];
        let mut first = vec![METHOD_POST, SCHEME_HTTPS];
        let mut again = first.clone();
        for (place, (name, value)) in literals.iter().enumerate() {
            first.push(0x40 | name);
            // Seven bits are sufficient for these lengths.
            first.push(u8::try_from(value.len()).unwrap_or(0x7e).min(0x7e));
            first.extend(value.bytes().take(0x7e));
            // The newest entry has the lowest index.
            let index = FIRST_DYNAMIC + literals.len() - 1 - place;
            again.push(0x80 | u8::try_from(index).unwrap_or_default());
        }
        Self { first, again }
    }
}

/// A complete answer.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The caller's identifier of the request.
    pub(crate) ticket: u64,
    /// The body; the status was 200.
    pub(crate) body: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
struct FrameHeader {
    kind: u8,
    flags: u8,
    stream: u32,
}

#[derive(Debug)]
struct Stream {
    id: u32,
    ticket: u64,
    body: Vec<u8>,
}

/// One connection with any number of equally long requests in flight.
#[derive(Debug)]
pub(crate) struct Connection<S> {
    io: S,
    headers: RequestHeaders,
    next_id: u32,
    streams: Vec<Stream>,
    /// Requests that wait for the server's flow-control window.
    waiting: VecDeque<(u64, Vec<u8>)>,
    window: i64,
    stream_window: i64,
    frame: usize,
    received: u32,
    out: Vec<u8>,
    input: Vec<u8>,
}

impl<S: Read + Write> Connection<S> {
    /// Sends the preface.
    ///
    /// # Errors
    /// The error of the stream.
    pub(crate) fn start(io: S, headers: RequestHeaders) -> Result<Self> {
        let mut connection = Self {
            io,
            headers,
            next_id: 1,
            streams: Vec::new(),
            waiting: VecDeque::new(),
            window: DEFAULT_WINDOW,
            stream_window: DEFAULT_WINDOW,
            frame: DEFAULT_FRAME,
            received: 0,
            out: Vec::with_capacity(1 << 18),
            input: Vec::with_capacity(1 << 16),
        };
        connection.out.extend(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        let mut settings = Vec::new();
        for (setting, value) in [(SETTING_PUSH, 0), (SETTING_WINDOW, OUR_STREAM_WINDOW)] {
            settings.extend(setting.to_be_bytes());
            settings.extend(value.to_be_bytes());
        }
        write_frame(&mut connection.out, SETTINGS, 0, 0, &settings);
        let more = OUR_CONNECTION_WINDOW.to_be_bytes();
        write_frame(&mut connection.out, WINDOW_UPDATE, 0, 0, &more);
        connection.flush()?;
        Ok(connection)
    }

    /// Returns the number of requests in flight or waiting for the window.
    pub(crate) fn pending(&self) -> usize {
        self.streams.len() + self.waiting.len()
    }

    /// Queues a request; [`Connection::answers`] sends queued requests.
    pub(crate) fn request(&mut self, ticket: u64, body: Vec<u8>) {
        self.waiting.push_back((ticket, body));
    }

    /// Sends queued requests, then waits for answers: at least one, unless none is pending.
    ///
    /// # Errors
    /// An error if the connection ends, a stream is reset, or a status is not 200.
    pub(crate) fn answers(&mut self) -> Result<Vec<Answer>> {
        let mut answers = Vec::new();
        while answers.is_empty() && self.pending() > 0 {
            self.send_waiting();
            self.flush()?;
            self.receive(&mut answers)?;
        }
        Ok(answers)
    }

    /// Closes the connection with GOAWAY.
    ///
    /// # Errors
    /// The error of the stream.
    pub(crate) fn finish(&mut self) -> Result<()> {
        write_frame(&mut self.out, GO_AWAY, 0, 0, &[0; 8]);
        self.flush()
    }

    fn send_waiting(&mut self) {
        while let Some((_, body)) = self.waiting.front() {
            let length = i64::try_from(body.len()).unwrap_or(i64::MAX);
            if length > self.window.min(self.stream_window) {
                return;
            }
            self.window -= length;
            let Some((ticket, body)) = self.waiting.pop_front() else {
                return;
            };
            self.send(ticket, &body);
        }
    }

    fn send(&mut self, ticket: u64, body: &[u8]) {
        let id = self.next_id;
        self.next_id += 2;
        let headers = if id == 1 {
            &self.headers.first
        } else {
            &self.headers.again
        };
        write_frame(&mut self.out, HEADERS, END_HEADERS, id, headers);
        let mut pieces = body.chunks(self.frame).peekable();
        while let Some(piece) = pieces.next() {
            let flags = if pieces.peek().is_none() { END_STREAM } else { 0 };
            write_frame(&mut self.out, DATA, flags, id, piece);
        }
        let body = Vec::with_capacity(512);
        self.streams.push(Stream { id, ticket, body });
    }

    fn flush(&mut self) -> Result<()> {
        if !self.out.is_empty() {
            self.io.write_all(&self.out)?;
            self.io.flush()?;
            self.out.clear();
        }
        Ok(())
    }

    fn receive(&mut self, answers: &mut Vec<Answer>) -> Result<()> {
        let mut chunk = vec![0; 1 << 15];
        let count = self.io.read(&mut chunk)?;
        if count == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        let mut input = std::mem::take(&mut self.input);
        input.extend(chunk.iter().take(count));
        let mut rest = input.as_slice();
        while let Some((header, payload, after)) = split_frame(rest) {
            self.take_frame(header, payload, answers)?;
            rest = after;
        }
        let consumed = input.len() - rest.len();
        input.drain(..consumed);
        self.input = input;
        Ok(())
    }

    fn take_frame(&mut self, header: FrameHeader, payload: &[u8], answers: &mut Vec<Answer>) -> Result<()> {
        let FrameHeader { kind, flags, stream } = header;
        match kind {
            DATA => self.take_data(flags, stream, payload)?,
            HEADERS => check_headers(flags, payload)?,
            SETTINGS if flags & ACK == 0 => self.take_settings(payload)?,
            PING if flags & ACK == 0 => write_frame(&mut self.out, PING, ACK, 0, payload),
            WINDOW_UPDATE if stream == 0 => self.window += i64::from(number(payload)?),
            GO_AWAY => return Err(format!("the server says GOAWAY: {}", payload.escape_ascii()).into()),
            RESET => return Err(format!("the server reset a stream with error {}", number(payload)?).into()),
            _ => {}
        }
        if matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0 {
            let place = self.place(stream)?;
            let Stream { ticket, body, .. } = self.streams.swap_remove(place);
            answers.push(Answer { ticket, body });
        }
        Ok(())
    }

    fn place(&self, stream: u32) -> Result<usize> {
        let place = self.streams.iter().position(|open| open.id == stream);
        Ok(place.ok_or_else(|| format!("an answer on stream {stream}, which is not open"))?)
    }

    fn take_data(&mut self, flags: u8, stream: u32, payload: &[u8]) -> Result<()> {
        if flags & PADDED != 0 {
            return Err("padded DATA: not expected of these servers".into());
        }
        let place = self.place(stream)?;
        if let Some(open) = self.streams.get_mut(place) {
            open.body.extend(payload);
        }
        self.received += u32::try_from(payload.len())?;
        if self.received > OUR_CONNECTION_WINDOW / 2 {
            let received = std::mem::take(&mut self.received).to_be_bytes();
            write_frame(&mut self.out, WINDOW_UPDATE, 0, 0, &received);
        }
        Ok(())
    }

    fn take_settings(&mut self, payload: &[u8]) -> Result<()> {
        for setting in payload.chunks_exact(6) {
            let (name, value) = setting.split_at(2);
            let value = number(value)?;
            if name == SETTING_WINDOW.to_be_bytes() {
                self.stream_window = i64::from(value);
            } else if name == SETTING_FRAME.to_be_bytes() {
                self.frame = usize::try_from(value)?;
            }
        }
        write_frame(&mut self.out, SETTINGS, ACK, 0, &[]);
        Ok(())
    }
}

fn write_frame(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    // A frame's length has three bytes; no frame here exceeds the server's limit.
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
    out.extend(length.iter().skip(1));
    out.extend([kind, flags]);
    out.extend(stream.to_be_bytes());
    out.extend(payload);
}

/// Splits off the first complete frame of `input`.
fn split_frame(input: &[u8]) -> Option<(FrameHeader, &[u8], &[u8])> {
    let ([a, b, c, kind, flags, stream @ ..], rest) = input.split_first_chunk::<HEADER_LENGTH>()?;
    let length = usize::try_from(u32::from_be_bytes([0, *a, *b, *c])).ok()?;
    let (payload, rest) = rest.split_at_checked(length)?;
    let stream = u32::from_be_bytes(*stream) & 0x7fff_ffff;
    let header = FrameHeader {
        kind: *kind,
        flags: *flags,
        stream,
    };
    Some((header, payload, rest))
}

fn number(payload: &[u8]) -> Result<u32> {
    let bytes = payload.first_chunk().ok_or("a frame that is too short")?;
    Ok(u32::from_be_bytes(*bytes))
}

/// Status 200 is one byte of the static table, first in its block except for a table size update.
fn check_headers(flags: u8, block: &[u8]) -> Result<()> {
    if flags & END_HEADERS == 0 || flags & PADDED != 0 {
        return Err("HEADERS in parts or padded: not expected of these servers".into());
    }
    let is_size_update = |byte: &&u8| **byte & 0xe0 == 0x20;
    match block.iter().find(|byte| !is_size_update(byte)) {
        Some(&STATUS_200) => Ok(()),
        _ => Err(format!("the status is not 200: {}", block.escape_ascii()).into()),
    }
}
