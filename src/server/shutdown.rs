//! The shutdown of the process: readiness goes off, requests are served for a delay, then the servers drain.
//!
//! kube-apiserver learns from the endpoints that a replica ends, which takes a moment. If the port closed at once, the
//! requests of that moment would fail.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use futures::{Stream, StreamExt};
use tokio::{
    signal::unix::{self, SignalKind},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use super::readiness::{Gate, Readiness};

/// The two phases of the shutdown. A clone is another handle to the same shutdown.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    draining: CancellationToken,
    stopping: CancellationToken,
}

/// The signals that end the process, caught from [`Signals::install`] on.
#[derive(Debug)]
pub struct Signals {
    terminate: unix::Signal,
    interrupt: unix::Signal,
}

/// A signal that ends the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM, which kubelet sends.
    Terminate,
    /// SIGINT, which Ctrl-C sends.
    Interrupt,
}

/// A second signal was received: the process must exit at once, with code 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExitNow;

/// The reason why a signal cannot be caught.
#[derive(Debug, thiserror::Error)]
#[error("{signal} cannot be caught: {reason}")]
pub struct SignalError {
    signal: Signal,
    reason: io::Error,
}

impl Shutdown {
    /// Returns a shutdown that has not begun.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins the shutdown as a signal does, for a part of the process that ended by itself. May be called repeatedly.
    pub fn begin(&self) {
        self.draining.cancel();
    }

    /// Returns a token that is cancelled when the shutdown begins. Requests are still answered then.
    #[must_use]
    pub fn draining(&self) -> &CancellationToken {
        &self.draining
    }

    /// Returns a token that is cancelled after the delay, when the ports close and requests in flight are finished.
    #[must_use]
    pub fn stopping(&self) -> &CancellationToken {
        &self.stopping
    }

    /// Runs the shutdown: waits for a signal or [`Shutdown::begin`], closes the gate `shutdown`, waits for `delay`, and
    /// cancels [`stopping`](Self::stopping).
    ///
    /// Returns only at the second signal. The caller drops it when all servers have ended.
    pub async fn run(
        self,
        mut signals: impl Stream<Item = Signal> + Unpin,
        readiness: &Readiness,
        delay: Duration,
    ) -> ExitNow {
        let gate = readiness.gate("shutdown", "starting");
        gate.open();
        tokio::select! {
            () = self.draining.cancelled() => {}
            signal = next(&mut signals) => tracing::info!(%signal, "shutting down"),
        }
        self.drain(signals, &gate, delay).await
    }

    async fn drain(
        self,
        mut signals: impl Stream<Item = Signal> + Unpin,
        gate: &Gate,
        delay: Duration,
    ) -> ExitNow {
        gate.close("shutting down");
        self.draining.cancel();
        let delayed = async {
            sleep(delay).await;
            tracing::info!("draining");
            self.stopping.cancel();
            std::future::pending().await
        };
        tokio::select! {
            signal = next(&mut signals) => {
                tracing::warn!(%signal, "second signal, exiting now");
                ExitNow
            }
            never = delayed => never,
        }
    }
}

/// Returns the next signal. Never returns if the stream has ended.
async fn next(signals: &mut (impl Stream<Item = Signal> + Unpin)) -> Signal {
    match signals.next().await {
        Some(signal) => signal,
        None => std::future::pending().await,
    }
}

impl Signals {
    /// Catches SIGTERM and SIGINT from now on.
    ///
    /// # Errors
    /// Returns an error of the operating system.
    pub fn install() -> Result<Self, SignalError> {
        let catch =
            |signal: Signal, kind| unix::signal(kind).map_err(|reason| SignalError { signal, reason });
        Ok(Self {
            terminate: catch(Signal::Terminate, SignalKind::terminate())?,
            interrupt: catch(Signal::Interrupt, SignalKind::interrupt())?,
        })
    }
}

impl Stream for Signals {
    type Item = Signal;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Signal>> {
        if self.terminate.poll_recv(context).is_ready() {
            return Poll::Ready(Some(Signal::Terminate));
        }
        self.interrupt.poll_recv(context).map(|_| Some(Signal::Interrupt))
    }
}

impl std::fmt::Display for Signal {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Terminate => "SIGTERM",
            Self::Interrupt => "SIGINT",
        })
    }
}

#[cfg(test)]
mod tests {
    use futures::{channel::mpsc, stream};

    use super::*;

    #[tokio::test]
    async fn a_signal_turns_readiness_off_and_stops_after_the_delay() {
        let (readiness, shutdown) = (Readiness::new(), Shutdown::new());
        let running = shutdown.clone().run(
            stream::iter([Signal::Terminate]).chain(stream::pending()),
            &readiness,
            Duration::ZERO,
        );
        tokio::select! {
            ExitNow = running => panic!("no second signal was sent"),
            () = async {
                shutdown.draining().cancelled().await;
                assert_eq!(readiness.closed(), [("shutdown", "shutting down".to_owned())]);
                shutdown.stopping().cancelled().await;
            } => {}
        }
    }

    #[tokio::test]
    async fn requests_are_served_during_the_delay_and_a_second_signal_ends_it() {
        let (readiness, shutdown) = (Readiness::new(), Shutdown::new());
        let (send, signals) = mpsc::unbounded();
        let an_hour = Duration::from_hours(1);
        let running = tokio::spawn({
            let (readiness, shutdown) = (readiness.clone(), shutdown.clone());
            async move { shutdown.run(signals, &readiness, an_hour).await }
        });
        send.unbounded_send(Signal::Terminate).unwrap();
        shutdown.draining().cancelled().await;
        assert!(!shutdown.stopping().is_cancelled());
        send.unbounded_send(Signal::Interrupt).unwrap();
        assert_eq!(running.await.unwrap(), ExitNow);
        assert!(!shutdown.stopping().is_cancelled());
    }

    #[tokio::test]
    async fn a_part_that_ended_by_itself_begins_the_same_shutdown() {
        let (readiness, shutdown) = (Readiness::new(), Shutdown::new());
        shutdown.begin();
        let running = shutdown
            .clone()
            .run(stream::pending(), &readiness, Duration::ZERO);
        tokio::select! {
            ExitNow = running => panic!("no signal was sent"),
            () = shutdown.stopping().cancelled() => {
                assert_eq!(readiness.closed(), [("shutdown", "shutting down".to_owned())]);
            }
        }
    }

    #[tokio::test]
    async fn signals_can_be_caught() {
        Signals::install().unwrap();
    }
}
