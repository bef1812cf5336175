//! Follows the operations that were just sent for a moment.
//!
//! A phase of a small table is over within a second, and the next look at the object comes two seconds after the request. The
//! sidecars are asked in between without a request to the API server, so that a cluster is not idle until then.

use std::time::Duration;

use futures::{StreamExt, stream};
use tokio::time::{sleep, timeout};

use crate::icarus::{REQUEST_TIMEOUT, SidecarApi};
use crate::reconcile::execute::AcceptedOperation;
use crate::reconcile::observe::MAX_CONCURRENT_REQUESTS;

/// The pauses before each question to the sidecars. Together they take as long as the planner waits before it asks.
const PAUSES: [Duration; 5] = [
    Duration::from_millis(250),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_millis(500),
    Duration::from_millis(500),
];

/// The longest wait. The last answer may come a moment after the pauses.
const MAX_WAIT: Duration = Duration::from_millis(2_500);

/// Waits until every operation has ended, for at most two and a half seconds. An operation whose sidecar does not answer
/// counts as ended: the planner decides what that means.
pub(super) async fn wait<S: SidecarApi>(sidecars: &S, operations: Vec<AcceptedOperation>) {
    // The questions that have no answer by then are dropped.
    drop(timeout(MAX_WAIT, poll(sidecars, operations)).await);
}

/// Asks for the operations after each pause, until all have ended.
async fn poll<S: SidecarApi>(sidecars: &S, mut operations: Vec<AcceptedOperation>) {
    for pause in PAUSES {
        if operations.is_empty() {
            return;
        }
        sleep(pause).await;
        let asked = operations.into_iter().map(async |operation: AcceptedOperation| {
            let answer = sidecars
                .operation(operation.at, &operation.id, REQUEST_TIMEOUT)
                .await;
            answer
                .is_ok_and(|answer| !answer.state.is_terminal())
                .then_some(operation)
        });
        let asked: Vec<_> = asked.collect();
        let running = stream::iter(asked).buffer_unordered(MAX_CONCURRENT_REQUESTS);
        operations = running.filter_map(std::future::ready).collect().await;
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use tokio::time::Instant;

    use super::*;
    use crate::icarus::partial::PartialSidecarApi;
    use crate::icarus::{Operation, OperationId, OperationKind, OperationState, SidecarError};

    /// Sidecars that answer after this time that an operation has this state.
    struct Slow(Duration, OperationState);

    impl PartialSidecarApi for Slow {
        async fn operation(
            &self,
            _: SocketAddr,
            id: &OperationId,
            timeout: Duration,
        ) -> Result<Operation, SidecarError> {
            sleep(self.0.min(timeout)).await;
            Ok(Operation::new(id.clone(), OperationKind::Backup, self.1.clone()))
        }
    }

    /// Returns the milliseconds for which the operations of 200 sidecars are followed.
    async fn followed(sidecars: Slow) -> u128 {
        let operation = |number: u8| AcceptedOperation {
            at: SocketAddr::from(([10, 0, 0, number], 4567)),
            id: OperationId::parse("d8bbb89e-1b2a-404d-b4b2-7a44f62eaf6c").unwrap(),
        };
        let begun = Instant::now();
        wait(&sidecars, (0..200).map(operation).collect()).await;
        begun.elapsed().as_millis()
    }

    #[tokio::test(start_paused = true)]
    async fn operations_are_followed_until_they_end_and_never_longer_than_the_planner_waits() {
        use OperationState::{Completed, Running};
        let milliseconds = Duration::from_millis;
        assert_eq!(followed(Slow(milliseconds(0), Completed)).await, 250);
        assert_eq!(followed(Slow(milliseconds(0), Running)).await, 2_000);
        for slow in [milliseconds(600), Duration::from_secs(30)] {
            assert_eq!(followed(Slow(slow, Running)).await, 2_500, "{slow:?}");
        }
    }
}
