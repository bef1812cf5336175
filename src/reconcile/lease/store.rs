//! Where the lease is kept, without a word of Kubernetes' client.

use super::protocol::{Record, Stored};

/// One Lease. The keeper gives up on an answer that takes too long; the write may have taken place then.
pub trait LeaseStore: Send + Sync + 'static {
    /// The Lease; nothing when there is none.
    fn read(&self) -> impl Future<Output = Result<Option<Stored>, LeaseStoreError>> + Send;

    /// Writes it, if it is still at the version `over`; without one, if there is none yet.
    fn write(
        &self,
        record: &Record,
        over: Option<&str>,
    ) -> impl Future<Output = Result<Written, LeaseStoreError>> + Send;
}

/// What became of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// This is stored.
    Stored(Stored),
    /// Somebody else was quicker: look again.
    Conflict,
}

/// Why it could not be read or written: a line for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct LeaseStoreError(pub String);
