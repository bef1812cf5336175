//! Why there is no answer, or none that can be used.

use std::time::Duration;

use crate::telemetry::metrics::SidecarOutcome;

/// How much of a text from a sidecar is kept, in characters.
pub const EXCERPT: usize = 200;

/// Why a sidecar gave no answer that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SidecarError {
    /// No connection: nothing was sent.
    #[error("no connection to the sidecar: {0}")]
    Unreachable(String),
    /// The time was over before there was a connection: nothing was sent.
    #[error("no connection to the sidecar after {0:?}")]
    ConnectTimedOut(Duration),
    /// The time was over before the answer was whole.
    #[error("no answer from the sidecar after {0:?}")]
    TimedOut(Duration),
    /// The connection ended before the answer was whole.
    #[error("the connection to the sidecar broke: {0}")]
    Broken(String),
    /// An answer of more bytes than are read.
    #[error("the sidecar's answer has more than {0} bytes")]
    TooLarge(usize),
    /// It does not know the operation: it has restarted since, or the operation ended more than an hour ago. A 404,
    /// or a 500 that says so (seen).
    #[error("the sidecar does not know the operation")]
    UnknownOperation,
    /// It does not take the request. It has not begun anything.
    #[error("the sidecar refuses the request ({0:?}): {1}")]
    Refused(Refusal, String),
    /// It cannot reach its own Cassandra by JMX.
    #[error("the sidecar cannot reach its Cassandra: {0}")]
    CassandraUnavailable(String),
    /// An answer that no Icarus gives.
    #[error("the sidecar's answer (status {status}) is not understood: {excerpt}")]
    Garbage {
        /// The HTTP status.
        status: u16,
        /// The first 200 characters of the body.
        excerpt: String,
    },
}

/// Why a sidecar does not take a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It has no operation of this type: an older version.
    UnknownType,
    /// A field cannot be read: another version, or a mistake of ours.
    Field,
    /// A filter that it does not know: an older version.
    Filter,
    /// No such resource, method or content type: something else listens there.
    Resource,
}

impl SidecarError {
    /// Whether the request may have had an effect. `false` is certain.
    ///
    /// Where it is `true` the operation may run: look for it before it is sent again.
    #[must_use]
    pub const fn may_have_arrived(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::ConnectTimedOut(_) | Self::Refused(..) => false,
            Self::TimedOut(_)
            | Self::Broken(_)
            | Self::TooLarge(_)
            | Self::UnknownOperation
            | Self::CassandraUnavailable(_)
            | Self::Garbage { .. } => true,
        }
    }

    /// What a metric calls it.
    #[must_use]
    pub const fn label(&self) -> SidecarOutcome {
        match self {
            Self::Unreachable(_) => SidecarOutcome::Unreachable,
            Self::ConnectTimedOut(_) | Self::TimedOut(_) => SidecarOutcome::TimedOut,
            Self::Broken(_) => SidecarOutcome::Broken,
            Self::TooLarge(_) => SidecarOutcome::TooLarge,
            Self::UnknownOperation => SidecarOutcome::UnknownOperation,
            Self::Refused(..) => SidecarOutcome::Refused,
            Self::CassandraUnavailable(_) => SidecarOutcome::CassandraUnavailable,
            Self::Garbage { .. } => SidecarOutcome::Garbage,
        }
    }
}

/// The first [`EXCERPT`] characters of a text that somebody else wrote, on one line.
pub(super) fn excerpt(bytes: &[u8]) -> String {
    // A character has at most four bytes, and what is cut in the middle becomes one more.
    let head = bytes.get(..EXCERPT * 4).unwrap_or(bytes);
    String::from_utf8_lossy(head)
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(EXCERPT)
        .collect::<String>()
        .trim()
        .to_owned()
}
