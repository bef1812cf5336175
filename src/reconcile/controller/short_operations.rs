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
