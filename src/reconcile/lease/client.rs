//! Requests about the lease, each with a timeout, and the outcome of a renewal.

use std::sync::Arc;

use tokio::time::timeout;

use super::clock::Clocks;
use super::protocol::{BootTime, LeaseOptions, Record, Stored};
use super::store::{LeaseStore, LeaseStoreError, Written};
use crate::telemetry::metrics::{LeaseRenewal, Metrics};

/// The limit of attempts in a row that end in a conflict.
const MAX_ATTEMPTS: usize = 4;

/// Reads, takes, renews and releases the lease.
#[derive(Debug)]
pub(super) struct LeaseClient<S> {
    pub(super) store: S,
    pub(super) options: LeaseOptions,
    pub(super) clocks: Clocks,
    pub(super) metrics: Metrics,
}

/// The lease while this replica holds it.
#[derive(Debug, Clone)]
pub(super) struct HeldLease {
    /// The Lease as this replica wrote it last.
    pub(super) stored: Stored,
    /// The time before that request was sent. Other replicas count from a later time.
    pub(super) sent_at: BootTime,
}

/// The outcome of a renewal.
#[derive(Debug)]
pub(super) enum Renewal {
    /// This replica holds the lease from this write on.
    Renewed(HeldLease),
    /// This replica has lost the lease, for this reason.
    Lost(String),
    /// The renewal failed, for this reason. The lease may still be held.
    Failed(String),
}

/// The reasons why a request has no response.
#[derive(Debug, thiserror::Error)]
pub(super) enum RequestError {
    #[error("the API server does not answer in time")]
    TimedOut,
    #[error(transparent)]
    Store(#[from] LeaseStoreError),
}

impl RequestError {
    fn label(&self) -> LeaseRenewal {
        match self {
            Self::TimedOut => LeaseRenewal::TimedOut,
            Self::Store(_) => LeaseRenewal::Failed,
        }
    }
}

impl<S: LeaseStore> LeaseClient<S> {
    /// Returns the time of the boot clock.
    pub(super) fn now(&self) -> BootTime {
        (self.clocks.boot)()
    }

    /// Returns the identity of this replica.
    pub(super) fn identity(&self) -> &str {
        &self.options.identity
    }

    /// Returns the time at which the holder itself considers its lease over.
    pub(super) fn held_until(&self, held: &HeldLease) -> BootTime {
        held.sent_at + self.options.timing.holder_duration()
    }

    /// Reads the Lease.
    pub(super) async fn read(&self) -> Result<Option<Stored>, RequestError> {
        self.with_timeout(self.store.read()).await
    }

    /// Replaces `over`, the Lease as it was read. Returns the outcome and the time before the request was sent.
    async fn write(
        &self,
        record: &Record,
        over: Option<&Stored>,
    ) -> Result<(Written, BootTime), RequestError> {
        let sent_at = self.now();
        let over = over.map(|over| over.version.as_str());
        let written = self.with_timeout(self.store.write(record, over)).await?;
        Ok((written, sent_at))
    }

    async fn with_timeout<T>(
        &self,
        request: impl Future<Output = Result<T, LeaseStoreError>>,
    ) -> Result<T, RequestError> {
        match timeout(self.options.timing.answer, request).await {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(RequestError::TimedOut),
        }
    }

    /// Takes the lease, or renews it if this replica holds it already, with one write. The response has to contain what
    /// was written. Returns `None` on a conflict.
    pub(super) async fn claim(&self, over: Option<&Stored>) -> Result<Option<HeldLease>, RequestError> {
        let duration = self.options.timing.duration;
        let wall = (self.clocks.wall)();
        let record = match over {
            Some(over) if over.record.is_held_by(self.identity()) => over.record.renewed(duration, wall),
            over => Record::taken(self.identity(), over.map(|over| &over.record), duration, wall),
        };
        let (written, sent_at) = self.write(&record, over).await?;
        match written {
            Written::Conflict => Ok(None),
            Written::Stored(stored) if stored.record == record => Ok(Some(HeldLease { stored, sent_at })),
            Written::Stored(_) => Err(RequestError::Store(LeaseStoreError(
                "the API server stored a different Lease than was written".to_owned(),
            ))),
        }
    }

    /// Renews the lease. After a conflict the Lease is read again: a label may have changed, or an earlier renewal may
    /// have been stored although its response was lost.
    pub(super) async fn renew(self: Arc<Self>, mut over: Stored) -> Renewal {
        for _ in 0..MAX_ATTEMPTS {
            match self.claim(Some(&over)).await {
                Ok(Some(held)) => {
                    self.metrics.lease_renewed(LeaseRenewal::Renewed);
                    return Renewal::Renewed(held);
                }
                Ok(None) => self.metrics.lease_renewed(LeaseRenewal::Conflict),
                Err(error) => return self.failed(&error),
            }
            match self.read().await {
                Ok(Some(current)) if current.record.is_held_by(self.identity()) => over = current,
                Ok(current) => return self.lost(current),
                Err(error) => return self.failed(&error),
            }
        }
        Renewal::Failed("another client keeps changing the Lease".to_owned())
    }

    fn lost(&self, current: Option<Stored>) -> Renewal {
        self.metrics.lease_renewed(LeaseRenewal::Lost);
        Renewal::Lost(match current {
            None => "the Lease was deleted".to_owned(),
            Some(current) => match current.record.holder {
                None => "the holder was removed from the Lease".to_owned(),
                Some(holder) => format!("{holder} took the lease"),
            },
        })
    }

    fn failed(&self, error: &RequestError) -> Renewal {
        self.metrics.lease_renewed(error.label());
        Renewal::Failed(error.to_string())
    }

    /// Releases the lease. Returns false if this replica did not hold it any more.
    pub(super) async fn release(&self) -> Result<bool, RequestError> {
        for _ in 0..MAX_ATTEMPTS {
            let Some(current) = self
                .read()
                .await?
                .filter(|current| current.record.is_held_by(self.identity()))
            else {
                return Ok(false);
            };
            let record = current.record.released((self.clocks.wall)());
            if let (Written::Stored(_), _) = self.write(&record, Some(&current)).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
