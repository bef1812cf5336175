//! Single requests about the lease, each with a deadline, and what a renewal comes to.

use std::sync::Arc;

use tokio::time::timeout;

use super::clock::Clocks;
use super::protocol::{BootTime, LeaseOptions, Record, Stored};
use super::store::{LeaseStore, LeaseStoreError, Written};
use crate::telemetry::metrics::{LeaseRenewal, Metrics};

/// The most looks in a row after somebody else was quicker.
pub(super) const LOOKS: usize = 4;

/// What every request about the lease needs.
#[derive(Debug)]
pub(super) struct Desk<S> {
    pub(super) store: S,
    pub(super) options: LeaseOptions,
    pub(super) clocks: Clocks,
    pub(super) metrics: Metrics,
}

/// The lease is ours.
#[derive(Debug, Clone)]
pub(super) struct Held {
    /// As we wrote it last.
    pub(super) stored: Stored,
    /// When that was sent. Others count from a later moment.
    pub(super) sent: BootTime,
}

/// What an attempt to renew came to.
#[derive(Debug)]
pub(super) enum Renewal {
    /// It is ours, from then on.
    Renewed(Held),
    /// It is not ours any more: why.
    Lost(String),
    /// Neither can be said: why.
    Failed(String),
}

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoAnswer {
    #[error("the API server does not answer in time")]
    TimedOut,
    #[error(transparent)]
    Store(#[from] LeaseStoreError),
}

impl NoAnswer {
    pub(super) fn label(&self) -> LeaseRenewal {
        match self {
            Self::TimedOut => LeaseRenewal::TimedOut,
            Self::Store(_) => LeaseRenewal::Failed,
        }
    }
}

impl<S: LeaseStore> Desk<S> {
    pub(super) fn now(&self) -> BootTime {
        (self.clocks.boot)()
    }

    pub(super) fn me(&self) -> &str {
        &self.options.identity
    }

    /// Until when the holder itself takes its lease to last.
    pub(super) fn until(&self, held: &Held) -> BootTime {
        held.sent + self.options.timing.own()
    }

    pub(super) async fn read(&self) -> Result<Option<Stored>, NoAnswer> {
        self.in_time(self.store.read()).await
    }

    /// Writes it over what was read. The moment is that before the request was sent.
    pub(super) async fn write(
        &self,
        record: &Record,
        over: Option<&Stored>,
    ) -> Result<(Written, BootTime), NoAnswer> {
        let sent = self.now();
        let over = over.map(|over| over.version.as_str());
        let written = self.in_time(self.store.write(record, over)).await?;
        Ok((written, sent))
    }

    async fn in_time<T>(
        &self,
        request: impl Future<Output = Result<T, LeaseStoreError>>,
    ) -> Result<T, NoAnswer> {
        match timeout(self.options.timing.answer, request).await {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(NoAnswer::TimedOut),
        }
    }

    /// Takes it, or renews it where it is ours already: one write, and what is stored after it has to be what was
    /// written. `None`: somebody else was quicker.
    pub(super) async fn claim(&self, over: Option<&Stored>) -> Result<Option<Held>, NoAnswer> {
        let duration = self.options.timing.duration;
        let wall = (self.clocks.wall)();
        let record = match over {
            Some(over) if over.record.is_held_by(self.me()) => over.record.renewed(duration, wall),
            over => Record::taken(self.me(), over.map(|over| &over.record), duration, wall),
        };
        let (written, sent) = self.write(&record, over).await?;
        match written {
            Written::Conflict => Ok(None),
            Written::Stored(stored) if stored.record == record => Ok(Some(Held { stored, sent })),
            Written::Stored(_) => Err(NoAnswer::Store(LeaseStoreError(
                "the API server has stored another lease than was written".to_owned(),
            ))),
        }
    }

    /// Renews it. A conflict is a look again: a label may have been changed, or a renewal whose answer was lost.
    pub(super) async fn renew(self: Arc<Self>, mut over: Stored) -> Renewal {
        for _ in 0..LOOKS {
            match self.claim(Some(&over)).await {
                Ok(Some(held)) => {
                    self.metrics.lease_renewed(LeaseRenewal::Renewed);
                    return Renewal::Renewed(held);
                }
                Ok(None) => self.metrics.lease_renewed(LeaseRenewal::Conflict),
                Err(error) => return self.failed(&error),
            }
            match self.read().await {
                Ok(Some(found)) if found.record.is_held_by(self.me()) => over = found,
                Ok(found) => return self.lost(found),
                Err(error) => return self.failed(&error),
            }
        }
        Renewal::Failed("somebody else changes the Lease all the time".to_owned())
    }

    fn lost(&self, found: Option<Stored>) -> Renewal {
        self.metrics.lease_renewed(LeaseRenewal::Lost);
        Renewal::Lost(match found {
            None => "somebody deleted the Lease".to_owned(),
            Some(found) => match found.record.holder {
                None => "somebody removed its holder".to_owned(),
                Some(holder) => format!("{holder} has taken it"),
            },
        })
    }

    fn failed(&self, error: &NoAnswer) -> Renewal {
        self.metrics.lease_renewed(error.label());
        Renewal::Failed(error.to_string())
    }

    /// Gives it away; false when it was not ours any more.
    pub(super) async fn release(&self) -> Result<bool, NoAnswer> {
        for _ in 0..LOOKS {
            let Some(found) = self
                .read()
                .await?
                .filter(|found| found.record.is_held_by(self.me()))
            else {
                return Ok(false);
            };
            let record = found.record.released((self.clocks.wall)());
            if let (Written::Stored(_), _) = self.write(&record, Some(&found)).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
