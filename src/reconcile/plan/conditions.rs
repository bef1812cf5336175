//! The state in the status: CassKop's one condition, and the standard conditions that other programs know.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::no_progress;
use super::observation::Observation;
use super::timing::whole_seconds;
use super::wait::Wait;
use crate::api::conditions::{
    COMPLETE, FAILED, READY, RECONCILING, REFERENCES_RESOLVED, RETENTION_BLOCKED, STALLED,
};
use crate::api::{BackRestCondition, BackRestStatus, ConditionType, FailureCause, Reason};

/// Maximum length of a condition's message, in characters: people read it in one piece.
const MAX_MESSAGE_LENGTH: usize = 1024;

/// The reasons of `Reconciling` while a run is under way. Every other reason is that of a [`Wait`].
pub(super) const IN_PROGRESS: [Reason; 7] = [
    Reason::Uploading,
    Reason::Initializing,
    Reason::Downloading,
    Reason::Truncating,
    Reason::Importing,
    Reason::CleaningUp,
    Reason::Following,
];

/// Drops the conditions with their usual value from a cached status, to save memory. Keeps all of them while a run waits
/// or is under way, because the next wait is compared with the stored one.
pub(super) fn condense(common: &mut BackRestStatus) {
    if common.true_condition(RECONCILING).is_some() {
        return;
    }
    common.conditions.retain(|condition| {
        let usual = match condition.type_.as_str() {
            READY | REFERENCES_RESOLVED => "True",
            _ => "False",
        };
        condition.status != usual
    });
    common.conditions.shrink_to_fit();
}

/// The progress of an object, in the states that Kubernetes' own tools distinguish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Progress {
    /// The run has not begun, or cannot continue.
    Waiting(Wait),
    /// The run is under way.
    Running {
        /// The reason of the conditions.
        reason: Reason,
        /// A sentence for people.
        message: String,
    },
    /// The run is under way and a person should act.
    Stalled(Wait),
    /// The object has a schedule and no run is under way. The conditions of the last run stay.
    Armed {
        /// True if the next run will begin.
        ready: bool,
        /// True if a person has to act before the next run begins.
        stalled: bool,
        /// The reason of the conditions.
        reason: Reason,
        /// A sentence for people.
        message: String,
    },
    /// The run completed.
    Complete(String),
    /// The run failed.
    Failed {
        /// The reason of the conditions. A restore that is given up has it from its status, so it is text.
        reason: String,
        /// A sentence for people, with the remedy.
        message: String,
    },
}

/// Writes `condition` as CassKop does. The time changes only with the state.
///
/// A run that continues although another executor wrote its end keeps that end until cassgate ends the run.
pub(super) fn set_state(
    common: &mut BackRestStatus,
    state: ConditionType<'_>,
    causes: Vec<FailureCause>,
    now: Timestamp,
) {
    if common.resumed_since.is_some() && !state.is_terminal() {
        return;
    }
    let is_resumed = common.resumed_since.take().is_some();
    let before = common.condition.take();
    let since = before
        .filter(|before| before.type_ == state.as_str() && !is_resumed)
        .and_then(|before| before.last_transition_time);
    common.condition = Some(BackRestCondition {
        type_: state.as_str().to_owned(),
        last_transition_time: since.or_else(|| Some(casskop_time(now))),
        failure_cause: causes,
    });
}

/// Writes the state of a run under way: `RUNNING` from the first operation on, and copies the operation and the pod of the first
/// node to `id` and `coordinatorMember`.
pub(super) fn set_running(common: &mut BackRestStatus, now: Timestamp) {
    let began = common.state() == Some(ConditionType::Running);
    let runs = began || common.nodes.iter().any(|node| node.operation.is_some());
    if runs && common.time_started.is_none() {
        common.time_started = Some(now.to_string());
    }
    let state = if runs {
        ConditionType::Running
    } else {
        ConditionType::Pending
    };
    set_state(common, state, Vec::new(), now);
    let first = common
        .nodes
        .first()
        .map(|node| (node.operation.clone(), node.pod.clone()));
    if let Some((operation, pod)) = first {
        common.id = operation.or_else(|| common.id.take());
        // A status without them would count as reset.
        common.coordinator_member = pod.or_else(|| common.coordinator_member.take());
    }
}

/// Writes the standard conditions, all but `ReferencesResolved` and `RetentionBlocked`. Reports a wait, or a run, as stalled
/// that has reached its limit.
pub(super) fn set_progress(
    common: &mut BackRestStatus,
    generation: Option<i64>,
    progress: &Progress,
    observation: &Observation<'_>,
) {
    let now = observation.now;
    let progress = &no_progress::bounded(progress, common, observation);
    common.observed_generation = generation;
    let (ready, reconciling, stalled) = match progress {
        Progress::Waiting(wait) | Progress::Stalled(wait) => ("False", true, wait.stalled),
        Progress::Running { .. } => ("False", true, false),
        Progress::Armed { ready, stalled, .. } => (if *ready { "True" } else { "False" }, false, *stalled),
        Progress::Complete(_) => ("True", false, false),
        Progress::Failed { .. } => ("False", false, true),
    };
    let (reason, message) = progress.reason_and_message();
    let mut writer = ConditionWriter {
        conditions: &mut common.conditions,
        generation,
        reason,
        message,
        now,
    };
    writer.set(READY, ready);
    writer.set_or_remove(RECONCILING, reconciling);
    writer.set_or_remove(STALLED, stalled);
    if matches!(progress, Progress::Armed { .. }) {
        return;
    }
    let complete = matches!(progress, Progress::Complete(_));
    writer.set_or_remove(COMPLETE, complete);
    let failed = matches!(progress, Progress::Failed { .. });
    writer.set_or_remove(FAILED, failed);
}

/// Writes `ReferencesResolved`: `False` with the first missing object, else `True`.
pub(super) fn set_references_resolved(
    common: &mut BackRestStatus,
    generation: Option<i64>,
    missing: Option<&Wait>,
    now: Timestamp,
) {
    let resolved = Wait::new(Reason::Resolved, "every object that it names exists");
    let status = if missing.is_some() { "False" } else { "True" };
    set_references(common, generation, status, missing.unwrap_or(&resolved), now);
}

/// Writes `ReferencesResolved` as `Unknown`, with the reason why a lookup failed.
pub(super) fn set_references_unknown(
    common: &mut BackRestStatus,
    generation: Option<i64>,
    unchecked: &Wait,
    now: Timestamp,
) {
    set_references(common, generation, "Unknown", unchecked, now);
}

/// Writes `RetentionBlocked`, or removes it if there is no problem.
pub(super) fn set_retention_blocked(
    common: &mut BackRestStatus,
    generation: Option<i64>,
    problem: Option<&Wait>,
    now: Timestamp,
) {
    let Some(problem) = problem else {
        common
            .conditions
            .retain(|condition| condition.type_ != RETENTION_BLOCKED);
        return;
    };
    let mut writer = ConditionWriter {
        conditions: &mut common.conditions,
        generation,
        reason: problem.reason.as_str(),
        message: &problem.message,
        now,
    };
    writer.set(RETENTION_BLOCKED, "True");
}

fn set_references(
    common: &mut BackRestStatus,
    generation: Option<i64>,
    status: &str,
    wait: &Wait,
    now: Timestamp,
) {
    let mut writer = ConditionWriter {
        conditions: &mut common.conditions,
        generation,
        reason: wait.reason.as_str(),
        message: &wait.message,
        now,
    };
    writer.set(REFERENCES_RESOLVED, status);
}

impl Progress {
    fn reason_and_message(&self) -> (&str, &str) {
        match self {
            Self::Waiting(wait) | Self::Stalled(wait) => (wait.reason.as_str(), &wait.message),
            Self::Running { reason, message } | Self::Armed { reason, message, .. } => {
                (reason.as_str(), message)
            }
            Self::Complete(message) => (Reason::Completed.as_str(), message),
            Self::Failed { reason, message } => (reason, message),
        }
    }
}

/// Truncates a message to the length that a condition keeps.
pub(super) fn truncate(message: &str) -> String {
    message.chars().take(MAX_MESSAGE_LENGTH).collect()
}

struct ConditionWriter<'a> {
    conditions: &'a mut Vec<Condition>,
    generation: Option<i64>,
    reason: &'a str,
    message: &'a str,
    now: Timestamp,
}

impl ConditionWriter<'_> {
    fn set(&mut self, type_: &str, status: &str) {
        let message = truncate(self.message);
        let since = self
            .conditions
            .iter()
            .find(|condition| condition.type_ == type_ && condition.status == status)
            .map_or_else(
                || whole_seconds(self.now),
                |condition| condition.last_transition_time.clone(),
            );
        let condition = Condition {
            type_: type_.to_owned(),
            status: status.to_owned(),
            reason: self.reason.to_owned(),
            message,
            last_transition_time: since,
            observed_generation: self.generation,
        };
        match self.conditions.iter_mut().find(|known| known.type_ == type_) {
            Some(known) => *known = condition,
            None => self.conditions.push(condition),
        }
    }

    /// Sets the condition to `True`, or removes it: kstatus wants `Reconciling` and `Stalled` only while they hold.
    fn set_or_remove(&mut self, type_: &str, holds: bool) {
        if holds {
            self.set(type_, "True");
        } else {
            self.conditions.retain(|condition| condition.type_ != type_);
        }
    }
}

/// Formats a time as CassKop does. CassKop writes local time and calls it GMT; cassgate writes GMT.
fn casskop_time(time: Timestamp) -> String {
    time.to_zoned(TimeZone::UTC)
        .strftime("%a, %-d %b %Y %H:%M:%S GMT")
        .to_string()
}
