//! An answer's status and bytes to what they mean. Pure: the literal answers of three versions are tested against it.
//!
//! Icarus answers nearly everything that goes wrong with 500 and a bare text, whatever the content type says: an
//! unknown id and an unknown path (`HTTP 404 Not Found`), a body that cannot be bound (Jackson's message), and a
//! Cassandra that does not answer (a serialized exception).

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::domain::schema_version::SchemaVersion;

use super::error::{Refusal, SidecarError, excerpt};
use super::node::{RawSchema, RawTopology, Topology};
use super::operation::{Operation, Raw};

/// What came back: the status and the whole body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

/// What an answer means.
///
/// # Errors
/// Each: what the sidecar says went wrong, or that its answer is not understood.
impl Answer {
    /// Of `POST /operations` and `GET /operations/ID`.
    ///
    /// # Errors
    /// See [`Answer`].
    pub fn operation(&self) -> Result<Operation, SidecarError> {
        self.parse::<Raw, _>(Raw::parse)
    }

    /// Of `GET /operations`. One operation that is not understood spoils the answer: it could be the one that is
    /// looked for.
    ///
    /// # Errors
    /// See [`Answer`].
    pub fn operations(&self) -> Result<Vec<Operation>, SidecarError> {
        self.parse::<Vec<Raw>, _>(|raw| raw.into_iter().map(Raw::parse).collect())
    }

    /// Of `GET /version/schema`.
    ///
    /// # Errors
    /// See [`Answer`].
    pub fn schema_version(&self) -> Result<SchemaVersion, SidecarError> {
        self.parse(RawSchema::parse)
    }

    /// Of `GET /topology`.
    ///
    /// # Errors
    /// See [`Answer`].
    pub fn topology(&self) -> Result<Topology, SidecarError> {
        self.parse(RawTopology::parse)
    }

    fn parse<R: DeserializeOwned, T>(&self, read: impl FnOnce(R) -> Option<T>) -> Result<T, SidecarError> {
        if !matches!(self.status, 200 | 201) {
            return Err(self.error());
        }
        serde_json::from_slice(&self.body)
            .ok()
            .and_then(read)
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

    /// What a serialized exception says; or JMX' own bare text (`/version/cassandra`).
    fn exception(&self) -> Option<String> {
        let text = String::from_utf8_lossy(&self.body);
        if text.starts_with("Failed to retrieve RMIServer stub") {
            return Some(text.into_owned());
        }
        self.serialized_exception()
    }

    /// The message of a serialized exception: under `exception` (`/status`) or bare (`/topology`, `/version/schema`).
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

/// Whether a text is how Icarus refuses a request, and why. What it says of a body it says before anything begins.
fn refusal(status: u16, text: &str) -> Option<Refusal> {
    const FIELD: [&str; 6] = [
        "Cannot construct instance of",
        "Cannot deserialize",
        "Cannot invoke ",
        "Unexpected ",
        "Could not resolve subtype of",
        "Unrecognized ",
    ];
    let begins = |with: &str| text.starts_with(with);
    match status {
        400 if text.contains("\"invalidValue\"") => Some(Refusal::Filter),
        500 if begins("Could not resolve type id") => Some(Refusal::UnknownType),
        500 if begins("HTTP 405") || begins("HTTP 406") || begins("HTTP 415") => Some(Refusal::Resource),
        500 if FIELD.into_iter().any(begins) => Some(Refusal::Field),
        _ => None,
    }
}
