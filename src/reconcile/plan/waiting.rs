//! The wait that a status reports, and the event for a new one.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::actions::Event;
use super::conditions::IN_PROGRESS;
use super::needs;
use crate::api::conditions::{RECONCILING, STALLED};
use crate::api::{BackRestStatus, Reason};

/// Returns the condition that says what a run waits for; `None` if it is under way, over, or not yet reconciled.
#[must_use]
pub fn waiting_condition(common: &BackRestStatus) -> Option<&Condition> {
    common
        .true_condition(RECONCILING)
        .filter(|condition| !IN_PROGRESS.iter().any(|reason| *reason == *condition.reason))
}

/// Returns the event for a run that begins to wait, or that waits for another reason than before.
///
/// A later reconcile with the same reason publishes nothing, even if the message changed, until the wait is stalled. Neither does a due
/// scheduled run whose reason was published before.
#[must_use]
pub fn wait_event(before: Option<&BackRestStatus>, after: &BackRestStatus) -> Option<Event> {
    let wait = waiting_condition(after)?;
    let is_stalled = |common: &BackRestStatus| common.true_condition(STALLED).is_some();
    let same_reason = before.is_some_and(|before| {
        let same = waiting_condition(before).is_some_and(|before| before.reason == wait.reason);
        same && (is_stalled(before) || !is_stalled(after))
    });
    let published = before
        .and_then(needs::recorded)
        .is_some_and(|recorded| recorded.reason == *wait.reason && recorded.message == wait.message);
    (!same_reason && !published).then(|| Event {
        warning: is_stalled(after),
        reason: Reason::Waiting,
        message: format!("{}: {}", wait.reason, wait.message),
        repeated: false,
    })
}
