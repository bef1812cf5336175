//! How the process ends: readiness goes off, requests are served on for a while, then everything drains.
//!
//! kube-apiserver learns from the endpoints that a replica ends, and that takes a moment: whoever closes the port
//! at once fails the requests of that moment.

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

/// The two phases of the end. A clone is another handle to the same end.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    draining: CancellationToken,
    stopping: CancellationToken,
}

/// The signals that end the process, caught from the moment of [`Signals::install`].
#[derive(Debug)]
pub struct Signals {
    terminate: unix::Signal,
    interrupt: unix::Signal,
}

/// A signal that ends the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM, as kubelet sends it.
    Terminate,
    /// SIGINT, as Ctrl-C sends it.
    Interrupt,
}

/// A second signal came: whoever sent it wants the process to be gone now, with exit code 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExitNow;

/// Why no signal can be caught.
#[derive(Debug, thiserror::Error)]
#[error("{signal} cannot be caught: {reason}")]
pub struct SignalError {
    signal: Signal,
    reason: io::Error,
}

impl Shutdown {
    /// No end in sight.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins the end, as a signal does; for a part that ended without being asked. Again and again is harmless.
    pub fn begin(&self) {
        self.draining.cancel();
    }

    /// Cancelled when the end begins: no new work, but requests are still answered.
    #[must_use]
    pub fn draining(&self) -> &CancellationToken {
        &self.draining
    }

    /// Cancelled when the delay is over: close the ports, finish what is under way.
    #[must_use]
    pub fn stopping(&self) -> &CancellationToken {
        &self.stopping
    }

    /// Walks through the end: waits for a signal (or [`Shutdown::begin`]), closes the gate `shutdown`, waits
    /// `delay`, stops.
    ///
    /// Returns only at the second signal. Whoever runs it drops it when everything has ended.
    pub async fn conduct(
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
        self.end(signals, &gate, delay).await
    }

    async fn end(
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
                tracing::warn!(%signal, "second signal: exiting now");
                ExitNow
            }
            never = delayed => never,
        }
    }
}

/// The next signal. A stream that has ended has none, ever.
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
    /// When the system refuses.
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
        let conducted = shutdown.clone().conduct(
            stream::iter([Signal::Terminate]).chain(stream::pending()),
            &readiness,
            Duration::ZERO,
        );
        tokio::select! {
            ExitNow = conducted => panic!("no second signal was sent"),
            () = async {
                shutdown.draining().cancelled().await;
                assert_eq!(readiness.closed(), [("shutdown", "shutting down".to_owned())]);
                shutdown.stopping().cancelled().await;
            } => {}
        }
    }

    #[tokio::test]
    async fn requests_are_served_on_for_the_delay_and_a_second_signal_ends_it() {
        let (readiness, shutdown) = (Readiness::new(), Shutdown::new());
        let (send, signals) = mpsc::unbounded();
        let an_hour = Duration::from_hours(1);
        let conducted = tokio::spawn({
            let (readiness, shutdown) = (readiness.clone(), shutdown.clone());
            async move { shutdown.conduct(signals, &readiness, an_hour).await }
        });
        send.unbounded_send(Signal::Terminate).unwrap();
        shutdown.draining().cancelled().await;
        assert!(!shutdown.stopping().is_cancelled());
        send.unbounded_send(Signal::Interrupt).unwrap();
        assert_eq!(conducted.await.unwrap(), ExitNow);
        assert!(!shutdown.stopping().is_cancelled());
    }

    #[tokio::test]
    async fn a_part_that_ended_begins_the_same_end() {
        let (readiness, shutdown) = (Readiness::new(), Shutdown::new());
        shutdown.begin();
        let conducted = shutdown
            .clone()
            .conduct(stream::pending(), &readiness, Duration::ZERO);
        tokio::select! {
            ExitNow = conducted => panic!("no signal was sent"),
            () = shutdown.stopping().cancelled() => {
                assert_eq!(readiness.closed(), [("shutdown", "shutting down".to_owned())]);
            }
        }
    }

    #[tokio::test]
    async fn a_signal_can_be_caught() {
        Signals::install().unwrap();
    }
}
