//! Parses the answers of a sidecar. The tests use recorded answers of three versions.
//!
//! Icarus answers nearly every error with 500 and a bare text, whatever the content type says: an unknown id and an
//! unknown path (`HTTP 404 Not Found`), a body that cannot be parsed (Jackson's message), and a Cassandra that does not
//! answer (a serialized exception).

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::domain::schema_version::SchemaVersion;

use super::error::{Refusal, SidecarError, excerpt};
use super::node::{NodeMode, RawSchema, RawStatus, RawTopology, Topology};
use super::operation::{Operation, Raw};

/// The status and the body of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

/// # Errors
/// Every method returns the error that the sidecar reports, or an error if the answer is not understood.
impl Answer {
    /// Parses the answer of `POST /operations` or `GET /operations/ID`.
    ///
    /// # Errors
    /// Returns the error that the sidecar reports, or an error if the answer is not understood.
    pub fn operation(&self) -> Result<Operation, SidecarError> {
        self.parse::<Raw, _>(Raw::parse)
    }

    /// Parses the answer of `GET /operations`.
    ///
    /// One operation that is not understood makes the whole answer an error, because it could be the one that the caller
    /// needs.
    ///
    /// # Errors
    /// Returns the error that the sidecar reports, or an error if the answer is not understood.
    pub fn operations(&self) -> Result<Vec<Operation>, SidecarError> {
        self.parse::<Vec<Raw>, _>(|raw| raw.into_iter().map(Raw::parse).collect())
    }

    /// Parses the answer of `GET /version/schema`.
    ///
    /// # Errors
    /// Returns the error that the sidecar reports, or an error if the answer is not understood.
    pub fn schema_version(&self) -> Result<SchemaVersion, SidecarError> {
        self.parse(RawSchema::parse)
    }

    /// Parses the answer of `GET /status`.
    ///
    /// # Errors
    /// Returns the error that the sidecar reports, or an error if the answer is not understood.
    pub fn mode(&self) -> Result<NodeMode, SidecarError> {
        self.parse(RawStatus::parse)
    }

    /// Parses the answer of `GET /topology`.
    ///
    /// # Errors
    /// Returns the error that the sidecar reports, or an error if the answer is not understood.
    pub fn topology(&self) -> Result<Topology, SidecarError> {
        self.parse(RawTopology::parse)
    }

    fn parse<R: DeserializeOwned, T>(&self, convert: impl FnOnce(R) -> Option<T>) -> Result<T, SidecarError> {
        if !matches!(self.status, 200 | 201) {
            return Err(self.error());
        }
        serde_json::from_slice(&self.body)
            .ok()
            .and_then(convert)
            .ok_or_else(|| self.garbage())
    }

    fn garbage(&self) -> SidecarError {
        SidecarError::Garbage {
            status: self.status,
            excerpt: excerpt(&self.body),
        }
    }

    fn error(&self) -> SidecarError {
        let text = excerpt(&self.body);
        if self.status == 404 || (self.status == 500 && text.starts_with("HTTP 404")) {
            return SidecarError::UnknownOperation;
        }
        match (self.status, refusal(self.status, &text)) {
            (_, Some(refusal)) => SidecarError::Refused(refusal, text),
            (500, None) => self.exception().map_or_else(
                || self.garbage(),
                |message| SidecarError::CassandraUnavailable(excerpt(message.as_bytes())),
            ),
            _ => self.garbage(),
        }
    }

    /// Returns the message of an exception: a serialized one, or the bare text of JMX (as from `/version/cassandra`).
    fn exception(&self) -> Option<String> {
        let text = String::from_utf8_lossy(&self.body);
        if text.starts_with("Failed to retrieve RMIServer stub") {
            return Some(text.into_owned());
        }
        self.serialized_exception()
    }

    /// Returns the message of a serialized exception, which is the whole body (as from `/topology` and `/version/schema`) or
    /// below `exception` (as from `/status`).
    fn serialized_exception(&self) -> Option<String> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Exception {
            Wrapped { exception: Throwable },
            Bare(Throwable),
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Throwable {
            #[serde(rename = "stackTrace")]
            _stack_trace: Vec<serde::de::IgnoredAny>,
            message: Option<String>,
        }
        match serde_json::from_slice(&self.body).ok()? {
            Exception::Wrapped { exception: throwable } | Exception::Bare(throwable) => {
                Some(throwable.message.unwrap_or_default())
            }
        }
    }
}

/// Returns the reason if `text` is an error with which Icarus rejects a request. Icarus rejects a body before it starts
/// an operation.
fn refusal(status: u16, text: &str) -> Option<Refusal> {
    const FIELD: [&str; 6] = [
        "Cannot construct instance of",
        "Cannot deserialize",
        "Cannot invoke ",
        "Unexpected ",
        "Could not resolve subtype of",
        "Unrecognized ",
    ];
    let starts_with = |prefix: &str| text.starts_with(prefix);
    match status {
        400 if text.contains("\"invalidValue\"") => Some(Refusal::Filter),
        500 if starts_with("Could not resolve type id") => Some(Refusal::UnknownType),
        500 if starts_with("HTTP 405") || starts_with("HTTP 406") || starts_with("HTTP 415") => {
            Some(Refusal::Resource)
        }
        500 if FIELD.into_iter().any(starts_with) => Some(Refusal::Field),
        _ => None,
    }
}
