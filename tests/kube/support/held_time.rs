//! Simulated time that stands still while an answer is pending.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use tokio::task::spawn_blocking;

/// Holds the paused clock of tokio. A blocking task holds it; otherwise it jumps to the next timer as soon as all tasks are
/// idle.
#[derive(Default)]
pub(crate) struct HeldTime {
    /// Dropping it lets time continue. It receives a message with each event.
    brake: Option<Sender<()>>,
}

impl HeldTime {
    /// Holds time while `is_waiting`, and lets it continue otherwise. To be called with each event.
    ///
    /// Without an event for `timeout` of real time, time continues anyway.
    pub(crate) fn update(&mut self, is_waiting: bool, timeout: Duration) {
        match &self.brake {
            _ if !is_waiting => self.brake = None,
            // Its timeout may have passed already.
            Some(brake) => drop(brake.send(())),
            None => {
                let (brake, heard) = channel();
                drop(spawn_blocking(move || {
                    let mut last = Ok(());
                    while last.is_ok() {
                        last = heard.recv_timeout(timeout);
                    }
                    if last == Err(RecvTimeoutError::Timeout) {
                        eprintln!("an answer or a watch event did not come for {timeout:?}");
                    }
                }));
                self.brake = Some(brake);
            }
        }
    }
}
