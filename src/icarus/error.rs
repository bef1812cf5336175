//! The errors of requests to a sidecar.

use std::time::Duration;

use crate::telemetry::metrics::SidecarOutcome;

/// The maximum length of a kept text from a sidecar, in characters.
pub const MAX_EXCERPT_LENGTH: usize = 200;

/// The error of a request to a sidecar.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SidecarError {
    /// The connection failed. The request was not sent.
    #[error("no connection to the sidecar: {0}")]
    Unreachable(String),
    /// The timeout expired before the connection was established. The request was not sent.
    #[error("no connection to the sidecar after {0:?}")]
    ConnectTimedOut(Duration),
    /// The caller withheld the request after the connection was established, for this reason. The request was not sent.
    #[error("{0}")]
    Withheld(String),
    /// The timeout expired before the answer was complete.
    #[error("no answer from the sidecar after {0:?}")]
    TimedOut(Duration),
    /// The answer began, and no more of it arrived in this time.
    #[error("the sidecar's answer stalled for {0:?}")]
    Stalled(Duration),
    /// The connection ended before the answer was complete.
    #[error("the connection to the sidecar broke: {0}")]
    Broken(String),
    /// The answer exceeds the size limit.
    #[error("the sidecar's answer has more than {0} bytes")]
    TooLarge(usize),
    /// The sidecar does not know the operation: it has restarted since, or the operation ended more than an hour ago.
    /// The answer is a 404, or a 500 with this text (observed).
    #[error("the sidecar does not know the operation")]
    UnknownOperation,
    /// The sidecar rejects the request and has not started an operation.
    #[error("the sidecar refuses the request ({0:?}): {1}")]
    Refused(Refusal, String),
    /// The sidecar cannot reach its own Cassandra over JMX.
    #[error("the sidecar cannot reach its Cassandra: {0}")]
    CassandraUnavailable(String),
    /// The answer is not one of Icarus.
    #[error("the sidecar's answer (status {status}) is not understood: {excerpt}")]
    Garbage {
        /// The HTTP status.
        status: u16,
        /// The first 200 characters of the body.
        excerpt: String,
    },
}

/// The reason why a sidecar rejects a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The sidecar has no operation of this type, because it is too old.
    UnknownType,
    /// The sidecar cannot parse a field, because its version differs or cassgate has a bug.
    Field,
    /// The sidecar does not know the filter, because it is too old.
    Filter,
    /// The resource, method or content type does not exist: another program listens at this address.
    Resource,
}

impl SidecarError {
    /// Returns true if the request may have had an effect, and false only if it certainly had none.
    ///
    /// If true, the operation may be running: search for it before the request is sent again.
    #[must_use]
    pub const fn may_have_arrived(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::ConnectTimedOut(_) | Self::Withheld(_) | Self::Refused(..) => false,
            Self::TimedOut(_)
            | Self::Stalled(_)
            | Self::Broken(_)
            | Self::TooLarge(_)
            | Self::UnknownOperation
            | Self::CassandraUnavailable(_)
            | Self::Garbage { .. } => true,
        }
    }

    /// Returns the label of the error in metrics.
    #[must_use]
    pub const fn label(&self) -> SidecarOutcome {
        match self {
            Self::Unreachable(_) => SidecarOutcome::Unreachable,
            Self::Withheld(_) => SidecarOutcome::Withheld,
            Self::ConnectTimedOut(_) | Self::TimedOut(_) | Self::Stalled(_) => SidecarOutcome::TimedOut,
            Self::Broken(_) => SidecarOutcome::Broken,
            Self::TooLarge(_) => SidecarOutcome::TooLarge,
            Self::UnknownOperation => SidecarOutcome::UnknownOperation,
            Self::Refused(..) => SidecarOutcome::Refused,
            Self::CassandraUnavailable(_) => SidecarOutcome::CassandraUnavailable,
            Self::Garbage { .. } => SidecarOutcome::Garbage,
        }
    }
}

/// Returns the first [`MAX_EXCERPT_LENGTH`] characters of a foreign text, without control characters.
pub(super) fn excerpt(bytes: &[u8]) -> String {
    // A character has at most four bytes. A character that is cut off becomes a replacement character.
    let head = bytes.get(..MAX_EXCERPT_LENGTH * 4).unwrap_or(bytes);
    String::from_utf8_lossy(head)
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MAX_EXCERPT_LENGTH)
        .collect::<String>()
        .trim()
        .to_owned()
}
