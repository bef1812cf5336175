//! The storage of the lease, independent of the Kubernetes client.

use super::protocol::{Record, Stored};

/// Stores one Lease. The keeper drops a request that takes too long; the write may still take effect.
pub trait LeaseStore: Send + Sync + 'static {
    /// Reads the Lease; `None` if it does not exist.
    fn read(&self) -> impl Future<Output = Result<Option<Stored>, LeaseStoreError>> + Send;

    /// Writes the Lease if it is still at version `over`; without `over`, if it does not exist yet.
    fn write(
        &self,
        record: &Record,
        over: Option<&str>,
    ) -> impl Future<Output = Result<Written, LeaseStoreError>> + Send;
}

/// The outcome of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// The Lease as it is stored now.
    Stored(Stored),
    /// Another client wrote first. Nothing was written.
    Conflict,
}

/// The reason why the Lease could not be read or written, as one line for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct LeaseStoreError(pub String);
