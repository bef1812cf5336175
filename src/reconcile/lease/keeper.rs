//! Takes and renews the lease, and runs the work for as long as this replica holds it.

use std::{future::poll_fn, pin::Pin, sync::Arc, task::Poll, time::Duration};

use futures::{FutureExt, future::BoxFuture};
use tokio::{
    sync::{mpsc, watch},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::client::{HeldLease, LeaseClient, Renewal, RequestError};
use super::clock::Clocks;
use super::leadership::{ConfirmRequest, Leadership, OpenTerm};
use super::protocol::{BootTime, LeaseOptions, LeaseOptionsError, Observed, Step, decide};
use super::state::LeaseState;
use super::store::LeaseStore;
use crate::telemetry::api_error::log_text;
use crate::telemetry::metrics::{LeaseTransition, Metrics};

/// The longest sleep while the lease is held. A timer stops while the machine sleeps, and the lease does not.
const MAX_SLEEP: Duration = Duration::from_secs(1);

/// The delay after a conflict.
const CONFLICT_RETRY_DELAY: Duration = Duration::from_millis(100);

/// The capacity of the channel for confirmation requests. Further callers wait to send theirs.
const CONFIRM_CAPACITY: usize = 64;

/// Keeps the lease, and runs the work of its holder.
#[derive(Debug)]
pub struct LeaseKeeper<S> {
    client: Arc<LeaseClient<S>>,
    observed: Option<Observed>,
    settling: Settling,
    state: watch::Sender<LeaseState>,
}

/// The time that a new holder waits before it acts.
#[derive(Debug, Clone, Copy)]
enum Settling {
    /// This long after the lease was taken.
    For(Duration),
    /// Until this time, which stays the same across gaps in which no other replica held the lease.
    Until(BootTime),
}

/// The reasons why this replica stopped holding the lease.
#[derive(Debug)]
enum HoldEnd {
    /// The process shuts down.
    Stopped,
    /// The work has returned.
    Finished,
    /// The lease was lost, for this reason.
    Lost(String),
}

/// The outcome of one attempt to get the lease.
enum Attempt {
    Held(HeldLease),
    Retry(Duration),
}

impl<S: LeaseStore> LeaseKeeper<S> {
    /// Returns a keeper that is not running yet.
    ///
    /// # Errors
    /// The durations contradict each other.
    pub fn new(
        options: LeaseOptions,
        store: S,
        clocks: Clocks,
        metrics: Metrics,
    ) -> Result<Self, LeaseOptionsError> {
        options.timing.validate()?;
        let settling = Settling::For(options.timing.settle(options.timing.duration));
        Ok(Self {
            client: Arc::new(LeaseClient {
                store,
                options,
                clocks,
                metrics,
            }),
            observed: None,
            settling,
            state: watch::Sender::new(LeaseState::Starting),
        })
    }

    /// Returns the state of this replica, for people.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<LeaseState> {
        self.state.subscribe()
    }

    /// Runs `work` whenever this replica holds the lease. Returns after `stop`, or when the work returns.
    ///
    /// # Guarantees
    /// The work is dropped as soon as the lease is lost, and it is not polled after the end of the lease, even if the
    /// process was suspended meanwhile. Tasks that the work spawns are not ended. Finally the lease is released, which
    /// takes at most [`Timing::answer`](super::Timing::answer). A keeper that is dropped instead releases nothing, and the
    /// next holder has to wait.
    pub async fn run<W, F>(mut self, stop: CancellationToken, mut work: W)
    where
        W: FnMut(Leadership) -> F + Send,
        F: Future<Output = ()> + Send,
    {
        self.client.metrics.leads(false);
        while let Some(held) = self.acquire(&stop).await {
            match self.hold(held, &stop, &mut work).await {
                HoldEnd::Lost(why) => {
                    self.client.metrics.lease_moved(LeaseTransition::Lost);
                    tracing::warn!(reason = why, "lost the lease; the reconciler is stopped");
                    self.set_state(LeaseState::Unknown(why));
                }
                HoldEnd::Stopped | HoldEnd::Finished => {
                    self.release().await;
                    break;
                }
            }
        }
        self.set_state(LeaseState::Ended);
    }

    /// Tries until this replica holds the lease, or until `stop`.
    async fn acquire(&mut self, stop: &CancellationToken) -> Option<HeldLease> {
        loop {
            let observed = tokio::select! {
                biased;
                () = stop.cancelled() => return None,
                result = self.observe() => result,
            };
            // `stop` does not cancel this part: a lease that was written has to be released.
            let attempt = match observed {
                Ok(next) => self.try_step(next).await,
                Err(error) => Err(error),
            };
            let delay = match attempt {
                Ok(Attempt::Held(held)) => return Some(held),
                Ok(Attempt::Retry(delay)) => delay,
                Err(error) => {
                    self.set_state(LeaseState::Unknown(error.to_string()));
                    self.client.options.timing.retry
                }
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => return None,
                () = sleep(delay) => {}
            }
        }
    }

    /// Reads the Lease and decides the next step.
    async fn observe(&mut self) -> Result<Step, RequestError> {
        let stored = self.client.read().await?;
        let now = self.client.now();
        let former = self.observed.take();
        self.observed = stored.map(|stored| Observed::update(former, stored, now));
        let timing = &self.client.options.timing;
        Ok(decide(
            self.client.identity(),
            self.observed.as_ref(),
            timing,
            now,
        ))
    }

    /// Carries out a step.
    async fn try_step(&mut self, step: Step) -> Result<Attempt, RequestError> {
        let timing = self.client.options.timing;
        match step {
            Step::Wait(left) => {
                self.settling = Settling::For(timing.settle(timing.duration));
                let record = self.observed.as_ref().map(|observed| &observed.stored.record);
                let holder = record
                    .and_then(|record| record.holder.clone())
                    .unwrap_or_default();
                self.set_state(LeaseState::Follows { holder });
                return Ok(Attempt::Retry(left.min(timing.retry)));
            }
            Step::Take { settle } => self.settling = Settling::For(settle),
            Step::Renew => {}
        }
        let over = self.observed.as_ref().map(|observed| &observed.stored);
        let held = self.client.claim(over).await?;
        Ok(held.map_or(Attempt::Retry(CONFLICT_RETRY_DELAY), Attempt::Held))
    }

    /// Renews the lease, and runs the work once the requests of a former holder have ended.
    async fn hold<W, F>(&mut self, mut held: HeldLease, stop: &CancellationToken, work: &mut W) -> HoldEnd
    where
        W: FnMut(Leadership) -> F + Send,
        F: Future<Output = ()> + Send,
    {
        let client = Arc::clone(&self.client);
        let timing = client.options.timing;
        let work_start = self.settling.end(client.now());
        let number = held.stored.record.transitions;
        let (request_sender, mut requests) = mpsc::channel(CONFIRM_CAPACITY);
        let term = OpenTerm::new(
            number,
            client.held_until(&held),
            client.clocks.clone(),
            request_sender,
            client.metrics.clone(),
        );
        let mut waiting: Vec<ConfirmRequest> = Vec::new();
        let mut renewal: Option<BoxFuture<'static, Renewal>> = None;
        let mut next_renewal = held.sent_at + timing.renew;
        let mut working = None;
        client.metrics.lease_moved(LeaseTransition::Gained);
        tracing::info!(term = number, "took the lease");
        self.set_state(LeaseState::Settles { term: number });
        loop {
            let (now, until) = (client.now(), client.held_until(&held));
            if now >= until {
                return HoldEnd::Lost("the lease was not renewed in time".to_owned());
            }
            if working.is_none() && now >= work_start {
                self.set_state(LeaseState::Leads { term: number });
                working = Some(Box::pin(work(term.begin())));
            }
            if renewal.is_none() && now >= next_renewal {
                renewal = Some(Arc::clone(&client).renew(held.stored.clone()).boxed());
            }
            let due = [
                renewal.is_none().then_some(next_renewal),
                working.is_none().then_some(work_start),
            ];
            let wake = due
                .into_iter()
                .flatten()
                .fold(until.min(now + MAX_SLEEP), BootTime::min);
            tokio::select! {
                biased;
                () = stop.cancelled() => return HoldEnd::Stopped,
                answer = poll_optional(&mut renewal) => {
                    renewal = None;
                    match answer {
                        Renewal::Renewed(fresh) => {
                            held = fresh;
                            next_renewal = held.sent_at + timing.renew;
                            let until = client.held_until(&held);
                            term.renewed(until);
                            for request in waiting.drain(..) {
                                // An error means that the caller no longer waits.
                                let _ = request.send(until);
                            }
                        }
                        Renewal::Lost(why) => return HoldEnd::Lost(why),
                        Renewal::Failed(why) => {
                            tracing::warn!(reason = why, "failed to renew the lease; it is retried");
                            next_renewal = client.now() + timing.retry;
                        }
                    }
                }
                Some(request) = requests.recv() => {
                    waiting.push(request);
                    next_renewal = client.now();
                }
                () = sleep(wake.since(now)) => {}
                () = poll_while_held(&mut working, || client.now() < until) => return HoldEnd::Finished,
            }
        }
    }

    async fn release(&self) {
        match timeout(self.client.options.timing.answer, self.client.release()).await {
            Ok(Ok(true)) => {
                self.client.metrics.lease_moved(LeaseTransition::Released);
                tracing::info!("released the lease");
            }
            Ok(Ok(false)) => {
                tracing::warn!("the lease was not released: this replica did not hold it any more");
            }
            Ok(Err(error)) => {
                tracing::warn!(
                    error = log_text(&error),
                    "failed to release the lease; the next holder has to wait"
                );
            }
            Err(_) => tracing::warn!("failed to release the lease in time; the next holder has to wait"),
        }
    }

    fn set_state(&self, state: LeaseState) {
        self.state.send_if_modified(|shown| {
            let changed = *shown != state;
            *shown = state;
            changed
        });
    }
}

impl Settling {
    /// Returns the end of the wait for a lease that is held `now`.
    fn end(&mut self, now: BootTime) -> BootTime {
        let until = match *self {
            Self::For(settle) => now + settle,
            Self::Until(until) => until,
        };
        *self = Self::Until(until);
        until
    }
}

/// Returns the output of the future; stays pending if there is none.
async fn poll_optional<T>(future: &mut Option<BoxFuture<'_, T>>) -> T {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

/// Polls the work, but only while `is_held` returns true.
async fn poll_while_held<F: Future<Output = ()>>(work: &mut Option<Pin<Box<F>>>, is_held: impl Fn() -> bool) {
    poll_fn(|context| match work {
        Some(work) if is_held() => work.as_mut().poll(context),
        _ => Poll::Pending,
    })
    .await;
}
