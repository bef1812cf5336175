//! What the work has in its hands while the lease is ours.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio::sync::{mpsc, oneshot};

use super::clock::Clocks;
use super::protocol::BootTime;
use crate::telemetry::metrics::Metrics;

/// The lease is ours, as far as was known when this was made. A clone is the same.
#[derive(Debug, Clone)]
pub struct Leadership {
    term: Arc<Term>,
    asks: mpsc::Sender<Ask>,
}

/// The lease was ours when this was made, and for how long it surely is.
#[derive(Debug, Clone)]
#[must_use = "it has to be asked, as the last act before a request"]
pub struct Confirmation {
    term: Arc<Term>,
    until: BootTime,
}

/// The lease is no longer ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the lease is no longer held by this replica")]
pub struct LeaseLost;

/// Wants to know until when the lease is ours, by a renewal that is still to come.
pub(super) type Ask = oneshot::Sender<BootTime>;

/// One time of leading.
#[derive(Debug)]
struct Term {
    number: u32,
    over: AtomicBool,
    clocks: Clocks,
}

/// Holds a term open. Dropped, for whatever reason, it is over.
#[derive(Debug)]
pub(super) struct OpenTerm {
    term: Arc<Term>,
    asks: mpsc::Sender<Ask>,
    metrics: Metrics,
}

impl Leadership {
    /// How often the lease went to another holder before this time. It grows with every holder, unless somebody
    /// deletes the Lease.
    #[must_use]
    pub fn term(&self) -> u32 {
        self.term.number
    }

    /// Renews the lease now and reads what the API server has stored.
    ///
    /// While the API server does not answer this waits: until it does, or until the lease is lost, which ends the
    /// work. Whoever asks while a renewal is under way shares that one.
    ///
    /// # Errors
    /// The lease was lost. Only what outlives the work ever sees this.
    pub async fn confirm(&self) -> Result<Confirmation, LeaseLost> {
        let (ask, until) = oneshot::channel();
        self.asks.send(ask).await.map_err(|_| LeaseLost)?;
        Ok(Confirmation {
            term: Arc::clone(&self.term),
            until: until.await.map_err(|_| LeaseLost)?,
        })
    }
}

impl Confirmation {
    /// Whether the lease is still ours: not known to be lost, and the renewal was sent less than its duration, less a
    /// margin, ago.
    ///
    /// Nothing may come between this and the request. What does (the process is stopped between two instructions)
    /// has the margin and the time for which the next holder waits.
    #[must_use]
    pub fn holds(&self) -> bool {
        !self.term.over.load(Ordering::Acquire) && (self.term.clocks.boot)() < self.until
    }
}

impl OpenTerm {
    pub(super) fn new(number: u32, clocks: Clocks, asks: mpsc::Sender<Ask>, metrics: Metrics) -> Self {
        let over = AtomicBool::new(false);
        Self {
            term: Arc::new(Term { number, over, clocks }),
            asks,
            metrics,
        }
    }

    /// Leads from now on.
    pub(super) fn begin(&self) -> Leadership {
        self.metrics.leads(true);
        Leadership {
            term: Arc::clone(&self.term),
            asks: self.asks.clone(),
        }
    }
}

impl Drop for OpenTerm {
    fn drop(&mut self) {
        self.term.over.store(true, Ordering::Release);
        self.metrics.leads(false);
    }
}
