//! The time until an object is reconciled again.

use std::time::Duration;

use jiff::SignedDuration;
use kube::runtime::controller::Action;

use crate::reconcile::queue::wake::MAX_TIMER;

/// The requeue delay while a cache lags behind.
pub(super) const STALE_CACHE_REQUEUE_DELAY: Duration = Duration::from_secs(1);

/// The shortest delay after a reconcile that took longer than the delay that it asked for, so that a slow API server is
/// not polled in a loop.
const MIN_REQUEUE_DELAY: SignedDuration = SignedDuration::from_secs(1);

/// Requeues after a delay; a negative one means now. Beyond [`MAX_TIMER`] the queue wakes the object in time, so it gets
/// no timer.
pub(super) fn requeue_after(delay: SignedDuration) -> Action {
    if delay > MAX_TIMER {
        return Action::await_change();
    }
    Action::requeue(Duration::try_from(delay.max(SignedDuration::ZERO)).unwrap_or(STALE_CACHE_REQUEUE_DELAY))
}

/// Returns what is left of a delay that is counted from an observation `elapsed` ago. An event that is due meanwhile
/// must not wait for the writes of this reconcile as well.
pub(super) fn remaining(delay: SignedDuration, elapsed: Duration) -> SignedDuration {
    let elapsed = SignedDuration::try_from(elapsed).unwrap_or(SignedDuration::MAX);
    delay.saturating_sub(elapsed).max(delay.min(MIN_REQUEUE_DELAY))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_delays_of_up_to_an_hour_get_a_timer() {
        let timer = |seconds| Action::requeue(Duration::from_secs(seconds));
        let table = [
            (-5, timer(0)),
            (10, timer(10)),
            (3_600, timer(3_600)),
            (3_601, Action::await_change()),
        ];
        for (delay, expected) in table {
            assert_eq!(
                requeue_after(SignedDuration::from_secs(delay)),
                expected,
                "{delay}"
            );
        }
    }

    #[test]
    fn a_delay_counts_from_the_observation() {
        let table = [
            (3_600_000, 0, 3_600_000),
            (3_600_000, 250, 3_599_750),
            (10_000, 6_000, 4_000),
            // A reconcile that took longer than its delay is still followed by a pause.
            (10_000, 12_000, 1_000),
            (500, 12_000, 500),
            (0, 12_000, 0),
        ];
        for (delay, elapsed, expected) in table {
            let left = remaining(SignedDuration::from_millis(delay), Duration::from_millis(elapsed));
            assert_eq!(left, SignedDuration::from_millis(expected), "{delay} {elapsed}");
        }
    }
}
