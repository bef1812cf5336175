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
/// A later reconcile with the same reason publishes nothing, even if the message changed. Neither does a due
/// scheduled run whose reason was published before.
#[must_use]
pub fn wait_event(before: Option<&BackRestStatus>, after: &BackRestStatus) -> Option<Event> {
    let wait = waiting_condition(after)?;
    let same_reason = before
        .and_then(waiting_condition)
        .is_some_and(|before| before.reason == wait.reason);
    let published = before
        .and_then(needs::recorded)
        .is_some_and(|recorded| recorded.reason == *wait.reason && recorded.message == wait.message);
    (!same_reason && !published).then(|| Event {
        warning: after.true_condition(STALLED).is_some(),
        reason: Reason::Waiting,
        message: format!("{}: {}", wait.reason, wait.message),
        repeated: false,
    })
}
