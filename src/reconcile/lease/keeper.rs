//! Looks, takes, renews, and runs the work for as long as the lease is ours.

use std::{future::poll_fn, pin::Pin, sync::Arc, task::Poll, time::Duration};

use futures::{FutureExt, future::BoxFuture};
use tokio::{
    sync::{mpsc, watch},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::clock::Clocks;
use super::leadership::{Ask, Leadership, OpenTerm};
use super::protocol::{BootTime, LeaseOptions, LeaseOptionsError, Observed, Step, decide};
use super::renewal::{Desk, Held, NoAnswer, Renewal};
use super::state::LeaseState;
use super::store::LeaseStore;
use crate::telemetry::metrics::{LeaseTransition, Metrics};

/// The longest sleep while the lease is ours. A timer stands still while the machine sleeps, and the lease does not.
const TICK: Duration = Duration::from_secs(1);

/// The pause after somebody else was quicker.
const AGAIN: Duration = Duration::from_millis(100);

/// How many may wait to ask. The others wait to be let in.
const ASKS: usize = 64;

/// Keeps the lease, and what is done only by its holder.
#[derive(Debug)]
pub struct LeaseKeeper<S> {
    desk: Arc<Desk<S>>,
    observed: Option<Observed>,
    settling: Settling,
    state: watch::Sender<LeaseState>,
}

/// From when on the holder acts.
#[derive(Debug, Clone, Copy)]
enum Settling {
    /// So long after the lease is known to be ours.
    Owed(Duration),
    /// From then on, through every gap in which nobody else had it.
    Until(BootTime),
}

/// How a time of holding ended.
#[derive(Debug)]
enum End {
    /// The process ends.
    Stopped,
    /// The work is done.
    Finished,
    /// The lease is not ours any more: why.
    Lost(String),
}

/// What to do after a look.
enum Looked {
    Held(Held),
    Pause(Duration),
}

impl<S: LeaseStore> LeaseKeeper<S> {
    /// Does nothing yet.
    ///
    /// # Errors
    /// The times do not go together.
    pub fn new(
        options: LeaseOptions,
        store: S,
        clocks: Clocks,
        metrics: Metrics,
    ) -> Result<Self, LeaseOptionsError> {
        options.timing.check()?;
        let settling = Settling::Owed(options.timing.settle(options.timing.duration));
        Ok(Self {
            desk: Arc::new(Desk {
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

    /// How this replica stands, for people.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<LeaseState> {
        self.state.subscribe()
    }

    /// Runs `work` whenever the lease is ours; returns after `stop`, or when the work returns.
    ///
    /// Guarantees: the work is dropped as soon as the lease is lost, and is not polled once more after its end, also
    /// when the process was frozen meanwhile. What the work spawned is its own to end. At the end the lease is
    /// released, which takes one [`Timing::answer`](super::Timing::answer) at most; a keeper that is dropped instead
    /// releases nothing, and the next one waits.
    pub async fn run<W, F>(mut self, stop: CancellationToken, mut work: W)
    where
        W: FnMut(Leadership) -> F + Send,
        F: Future<Output = ()> + Send,
    {
        self.desk.metrics.leads(false);
        while let Some(held) = self.obtain(&stop).await {
            match self.hold(held, &stop, &mut work).await {
                End::Lost(why) => {
                    self.desk.metrics.lease_moved(LeaseTransition::Lost);
                    tracing::warn!(reason = why, "the lease was lost; nothing is done any more");
                    self.show(LeaseState::Unknown(why));
                }
                End::Stopped | End::Finished => {
                    self.release().await;
                    break;
                }
            }
        }
        self.show(LeaseState::Ended);
    }

    /// Looks until the lease is ours, or until `stop`.
    async fn obtain(&mut self, stop: &CancellationToken) -> Option<Held> {
        loop {
            let found = tokio::select! {
                biased;
                () = stop.cancelled() => return None,
                found = self.look() => found,
            };
            // Not dropped by the end: what was written has to be released.
            let looked = match found {
                Ok(next) => self.follow(next).await,
                Err(error) => Err(error),
            };
            let pause = match looked {
                Ok(Looked::Held(held)) => return Some(held),
                Ok(Looked::Pause(pause)) => pause,
                Err(error) => {
                    self.show(LeaseState::Unknown(error.to_string()));
                    self.desk.options.timing.retry
                }
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => return None,
                () = sleep(pause) => {}
            }
        }
    }

    async fn look(&mut self) -> Result<Step, NoAnswer> {
        let found = self.desk.read().await?;
        let now = self.desk.now();
        let former = self.observed.take();
        self.observed = found.map(|found| Observed::note(former, found, now));
        let timing = &self.desk.options.timing;
        Ok(decide(self.desk.me(), self.observed.as_ref(), timing, now))
    }

    async fn follow(&mut self, step: Step) -> Result<Looked, NoAnswer> {
        let timing = self.desk.options.timing;
        match step {
            Step::Wait(left) => {
                self.settling = Settling::Owed(timing.settle(timing.duration));
                let record = self.observed.as_ref().map(|observed| &observed.stored.record);
                let holder = record
                    .and_then(|record| record.holder.clone())
                    .unwrap_or_default();
                self.show(LeaseState::Follows { holder });
                return Ok(Looked::Pause(left.min(timing.retry)));
            }
            Step::Take { settle } => self.settling = Settling::Owed(settle),
            Step::Renew => {}
        }
        let over = self.observed.as_ref().map(|observed| &observed.stored);
        let held = self.desk.claim(over).await?;
        Ok(held.map_or(Looked::Pause(AGAIN), Looked::Held))
    }

    /// Keeps the lease renewed, and the work running once what a former holder began has ended.
    async fn hold<W, F>(&mut self, mut held: Held, stop: &CancellationToken, work: &mut W) -> End
    where
        W: FnMut(Leadership) -> F + Send,
        F: Future<Output = ()> + Send,
    {
        let desk = Arc::clone(&self.desk);
        let timing = desk.options.timing;
        let begin = self.settling.end(desk.now());
        let number = held.stored.record.transitions;
        let (asks, mut asked) = mpsc::channel(ASKS);
        let term = OpenTerm::new(number, desk.clocks.clone(), asks, desk.metrics.clone());
        let mut waiting: Vec<Ask> = Vec::new();
        let mut renewal: Option<BoxFuture<'static, Renewal>> = None;
        let mut next = held.sent + timing.renew;
        let mut working = None;
        desk.metrics.lease_moved(LeaseTransition::Gained);
        tracing::info!(term = number, "the lease is ours");
        self.show(LeaseState::Settles { term: number });
        loop {
            let (now, until) = (desk.now(), desk.until(&held));
            if now >= until {
                return End::Lost("it could not be renewed in time".to_owned());
            }
            if working.is_none() && now >= begin {
                self.show(LeaseState::Leads { term: number });
                working = Some(Box::pin(work(term.begin())));
            }
            if renewal.is_none() && now >= next {
                renewal = Some(Arc::clone(&desk).renew(held.stored.clone()).boxed());
            }
            let due = [
                renewal.is_none().then_some(next),
                working.is_none().then_some(begin),
            ];
            let wake = due
                .into_iter()
                .flatten()
                .fold(until.min(now + TICK), BootTime::min);
            tokio::select! {
                biased;
                () = stop.cancelled() => return End::Stopped,
                answer = running(&mut renewal) => {
                    renewal = None;
                    match answer {
                        Renewal::Renewed(fresh) => {
                            held = fresh;
                            next = held.sent + timing.renew;
                            let until = desk.until(&held);
                            for ask in waiting.drain(..) {
                                // Whoever does not wait any more has no use for it.
                                let _ = ask.send(until);
                            }
                        }
                        Renewal::Lost(why) => return End::Lost(why),
                        Renewal::Failed(why) => {
                            tracing::warn!(reason = why, "the lease could not be renewed; trying again");
                            next = desk.now() + timing.retry;
                        }
                    }
                }
                Some(ask) = asked.recv() => {
                    waiting.push(ask);
                    next = desk.now();
                }
                () = sleep(wake.since(now)) => {}
                () = while_held(&mut working, || desk.now() < until) => return End::Finished,
            }
        }
    }

    async fn release(&self) {
        match timeout(self.desk.options.timing.answer, self.desk.release()).await {
            Ok(Ok(true)) => {
                self.desk.metrics.lease_moved(LeaseTransition::Released);
                tracing::info!("the lease was given away");
            }
            Ok(Ok(false)) => tracing::warn!("the lease was not given away: it was not ours any more"),
            Ok(Err(error)) => {
                tracing::warn!(%error, "the lease could not be given away; the next holder waits");
            }
            Err(_) => tracing::warn!("the lease could not be given away in time; the next holder waits"),
        }
    }

    fn show(&self, state: LeaseState) {
        self.state.send_if_modified(|shown| {
            let changed = *shown != state;
            *shown = state;
            changed
        });
    }
}

impl Settling {
    /// When the wait is over, if the lease is known to be ours `now`.
    fn end(&mut self, now: BootTime) -> BootTime {
        let until = match *self {
            Self::Owed(settle) => now + settle,
            Self::Until(until) => until,
        };
        *self = Self::Until(until);
        until
    }
}

/// The answer of what runs; never, when nothing does.
async fn running<T>(future: &mut Option<BoxFuture<'_, T>>) -> T {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

/// The end of the work, which is asked to go on only while `held` says so.
async fn while_held<F: Future<Output = ()>>(work: &mut Option<Pin<Box<F>>>, held: impl Fn() -> bool) {
    poll_fn(|context| match work {
        Some(work) if held() => work.as_mut().poll(context),
        _ => Poll::Pending,
    })
    .await;
}
