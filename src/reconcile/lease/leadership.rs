//! The proof of leadership that the work gets.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use tokio::sync::{mpsc, oneshot};

use super::clock::Clocks;
use super::protocol::BootTime;
use crate::telemetry::metrics::Metrics;

/// The leadership of this replica, as known when this value was made. A clone stands for the same term.
#[derive(Debug, Clone)]
pub struct Leadership {
    term: Arc<Term>,
    requests: mpsc::Sender<ConfirmRequest>,
}

/// A proof that this replica held the lease, with the time until which that is certain.
#[derive(Debug, Clone)]
#[must_use = "call `holds` as the last step before a request"]
pub struct Confirmation {
    term: Arc<Term>,
    until: BootTime,
}

/// This replica has lost the lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the lease is no longer held by this replica")]
pub struct LeaseLost;

/// Receives the time until which the lease is held, after the next renewal.
pub(super) type ConfirmRequest = oneshot::Sender<BootTime>;

/// One period of leadership.
#[derive(Debug)]
struct Term {
    number: u32,
    is_over: AtomicBool,
    /// The time until which the newest renewal is valid.
    until: Mutex<BootTime>,
    clocks: Clocks,
}

/// Keeps a term open. The term is over when this is dropped.
#[derive(Debug)]
pub(super) struct OpenTerm {
    term: Arc<Term>,
    requests: mpsc::Sender<ConfirmRequest>,
    metrics: Metrics,
}

impl Leadership {
    /// Returns the number of times that the lease had changed its holder before this term. It grows with every holder
    /// unless the Lease is deleted.
    #[must_use]
    pub fn term(&self) -> u32 {
        self.term.number
    }

    /// Checks, without a request, that this replica holds the lease by its newest renewal.
    ///
    /// The work is dropped when the lease is lost, but a task that it spawned may run on until its next pause.
    ///
    /// # Errors
    /// The lease was lost, or it was not renewed in time.
    pub fn check(&self) -> Result<(), LeaseLost> {
        let until = *self.term.until.lock().unwrap_or_else(PoisonError::into_inner);
        self.term.holds(until).then_some(()).ok_or(LeaseLost)
    }

    /// Renews the lease now and checks that the API server has stored the renewal.
    ///
    /// While the API server does not respond this waits: until it responds, or until the lease is lost, which ends the
    /// work. Concurrent callers share one renewal.
    ///
    /// # Errors
    /// The lease was lost. Only a caller that outlives the work gets this error.
    pub async fn confirm(&self) -> Result<Confirmation, LeaseLost> {
        let (request, until) = oneshot::channel();
        self.requests.send(request).await.map_err(|_| LeaseLost)?;
        Ok(Confirmation {
            term: Arc::clone(&self.term),
            until: until.await.map_err(|_| LeaseLost)?,
        })
    }
}

impl Confirmation {
    /// Returns true if the lease is still held: it is not known to be lost, and the renewal was sent less than its
    /// duration minus the margin ago.
    ///
    /// The request has to follow at once. If the process is suspended in between, the margin and the time for which the
    /// next holder waits make up for it.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.term.holds(self.until)
    }
}

impl Term {
    fn holds(&self, until: BootTime) -> bool {
        !self.is_over.load(Ordering::Acquire) && (self.clocks.boot)() < until
    }
}

impl OpenTerm {
    pub(super) fn new(
        number: u32,
        until: BootTime,
        clocks: Clocks,
        requests: mpsc::Sender<ConfirmRequest>,
        metrics: Metrics,
    ) -> Self {
        let is_over = AtomicBool::new(false);
        Self {
            term: Arc::new(Term {
                number,
                is_over,
                until: Mutex::new(until),
                clocks,
            }),
            requests,
            metrics,
        }
    }

    /// Records the time until which a renewal is valid.
    pub(super) fn renewed(&self, until: BootTime) {
        *self.term.until.lock().unwrap_or_else(PoisonError::into_inner) = until;
    }

    /// Starts to lead.
    pub(super) fn begin(&self) -> Leadership {
        self.metrics.leads(true);
        Leadership {
            term: Arc::clone(&self.term),
            requests: self.requests.clone(),
        }
    }
}

impl Drop for OpenTerm {
    fn drop(&mut self) {
        self.term.is_over.store(true, Ordering::Release);
        self.metrics.leads(false);
    }
}
