//! How the state is written down: CassKop's one condition, and the standard ones that other programs know.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::{Event, Wait, moment, needs};
use crate::api::conditions::{COMPLETE, FAILED, READY, RECONCILING, REFERENCES_RESOLVED, STALLED};
use crate::api::{BackRestCondition, BackRestStatus, ConditionType, FailureCause, Reason};

/// The longest message of a condition that people read in one piece.
const LONGEST_MESSAGE: usize = 1024;

/// The reasons of `Reconciling` while a run is under way. Every other one is that of a [`Wait`].
pub(super) const UNDER_WAY: [Reason; 7] = [
    Reason::Uploading,
    Reason::Initializing,
    Reason::Downloading,
    Reason::Truncating,
    Reason::Importing,
    Reason::CleaningUp,
    Reason::Following,
];

/// What a run waits for, as its status says; `None`: it is under way, over, or has not been looked at.
#[must_use]
pub fn awaited(common: &BackRestStatus) -> Option<&Condition> {
    common
        .true_condition(RECONCILING)
        .filter(|condition| !UNDER_WAY.iter().any(|reason| *reason == *condition.reason))
}

/// Leaves out what says of an object at rest that all is as it should be. What waits is compared word for word with what
/// it would say now, and keeps all of it.
pub fn condense(common: &mut BackRestStatus) {
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

/// What is told when a run begins to wait, or waits for something else than before. The next look at the same wait
/// says nothing, whatever became of its sentence, and neither does a run that waits for what was told before it was due.
#[must_use]
pub fn newly_awaited(before: Option<&BackRestStatus>, after: &BackRestStatus) -> Option<Event> {
    let wait = awaited(after)?;
    let known = before
        .and_then(awaited)
        .is_some_and(|before| before.reason == wait.reason);
    let told = before
        .and_then(needs::told)
        .is_some_and(|told| told.reason == *wait.reason && told.message == wait.message);
    (!known && !told).then(|| Event {
        warning: after.true_condition(STALLED).is_some(),
        reason: Reason::Waiting,
        message: format!("{}: {}", wait.reason, wait.message),
        repeated: false,
    })
}

/// What is to be told of an object, in one of the states that Kubernetes' own tools tell apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Progress {
    /// It has not begun, or cannot go on.
    Waits(Wait),
    /// It is under way.
    Runs {
        /// In one word.
        reason: Reason,
        /// In a sentence.
        message: String,
    },
    /// It is under way and a human should look.
    Stalls(Wait),
    /// It has a schedule and nothing is under way: the conditions of the last run stay.
    Armed {
        /// Whether the next run will start.
        ready: bool,
        /// Whether a human has to do something for that.
        stalled: bool,
        /// In one word.
        reason: Reason,
        /// In a sentence.
        message: String,
    },
    /// It ended well.
    Complete(String),
    /// It did not.
    Failed {
        /// In one word.
        reason: String,
        /// In a sentence, with what to do next.
        message: String,
    },
}

/// Writes `condition`, as CassKop does. The time changes only with the state.
pub(super) fn stand(
    common: &mut BackRestStatus,
    state: ConditionType<'_>,
    causes: Vec<FailureCause>,
    now: Timestamp,
) {
    let before = common.condition.take();
    let since = before
        .filter(|before| before.type_ == state.as_str())
        .and_then(|before| before.last_transition_time);
    common.condition = Some(BackRestCondition {
        type_: state.as_str().to_owned(),
        last_transition_time: since.or_else(|| Some(casskops_time(now))),
        failure_cause: causes,
    });
}

/// Writes what a run under way looks like: `RUNNING` from the first operation on, and that operation.
pub(super) fn advance(common: &mut BackRestStatus, now: Timestamp) {
    let began = common
        .condition
        .as_ref()
        .is_some_and(|before| before.state() == ConditionType::Running);
    let runs = began || common.nodes.iter().any(|node| node.operation.is_some());
    if runs && common.time_started.is_none() {
        common.time_started = Some(now.to_string());
    }
    let state = if runs {
        ConditionType::Running
    } else {
        ConditionType::Pending
    };
    stand(common, state, Vec::new(), now);
    let first = common
        .nodes
        .first()
        .map(|node| (node.operation.clone(), node.pod.clone()));
    if let Some((operation, pod)) = first {
        common.id = operation.or_else(|| common.id.take());
        common.coordinator_member = pod;
    }
}

/// Writes `conditions`.
pub(super) fn tell(common: &mut BackRestStatus, generation: Option<i64>, story: &Progress, now: Timestamp) {
    common.observed_generation = generation;
    let (ready, reconciling, stalled) = match story {
        Progress::Waits(wait) | Progress::Stalls(wait) => ("False", true, wait.stalled),
        Progress::Runs { .. } => ("False", true, false),
        Progress::Armed { ready, stalled, .. } => (if *ready { "True" } else { "False" }, false, *stalled),
        Progress::Complete(_) => ("True", false, false),
        Progress::Failed { .. } => ("False", false, true),
    };
    let (reason, message) = story.words();
    let mut writer = Writer {
        conditions: &mut common.conditions,
        generation,
        reason,
        message,
        now,
    };
    writer.set(READY, ready);
    writer.set_or_drop(RECONCILING, reconciling);
    writer.set_or_drop(STALLED, stalled);
    if matches!(story, Progress::Armed { .. }) {
        return;
    }
    writer.set_or_drop(COMPLETE, matches!(story, Progress::Complete(_)));
    writer.set_or_drop(FAILED, matches!(story, Progress::Failed { .. }));
}

/// Writes `ReferencesResolved`: whether everything that the object names was there when it was last needed.
pub(super) fn resolved(
    common: &mut BackRestStatus,
    generation: Option<i64>,
    missing: Option<&Wait>,
    now: Timestamp,
) {
    let there = Wait::new(Reason::Resolved, "everything it names is there");
    let status = if missing.is_some() { "False" } else { "True" };
    references(common, generation, status, missing.unwrap_or(&there), now);
}

/// Writes `ReferencesResolved` when nobody can say, for this reason.
pub(super) fn unresolved(common: &mut BackRestStatus, generation: Option<i64>, why: &Wait, now: Timestamp) {
    references(common, generation, "Unknown", why, now);
}

fn references(
    common: &mut BackRestStatus,
    generation: Option<i64>,
    status: &str,
    words: &Wait,
    now: Timestamp,
) {
    let mut writer = Writer {
        conditions: &mut common.conditions,
        generation,
        reason: words.reason.as_str(),
        message: &words.message,
        now,
    };
    writer.set(REFERENCES_RESOLVED, status);
}

impl Progress {
    fn words(&self) -> (&str, &str) {
        match self {
            Self::Waits(wait) | Self::Stalls(wait) => (wait.reason.as_str(), &wait.message),
            Self::Runs { reason, message } | Self::Armed { reason, message, .. } => {
                (reason.as_str(), message)
            }
            Self::Complete(message) => (Reason::Completed.as_str(), message),
            Self::Failed { reason, message } => (reason, message),
        }
    }
}

/// The part of a message that a condition keeps.
pub(super) fn cut(message: &str) -> String {
    message.chars().take(LONGEST_MESSAGE).collect()
}

struct Writer<'a> {
    conditions: &'a mut Vec<Condition>,
    generation: Option<i64>,
    reason: &'a str,
    message: &'a str,
    now: Timestamp,
}

impl Writer<'_> {
    fn set(&mut self, type_: &str, status: &str) {
        let message = cut(self.message);
        let since = self
            .conditions
            .iter()
            .find(|condition| condition.type_ == type_ && condition.status == status)
            .map_or_else(
                || moment(self.now),
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

    /// A condition that is told only while it holds, as kstatus wants `Reconciling` and `Stalled`.
    fn set_or_drop(&mut self, type_: &str, holds: bool) {
        if holds {
            self.set(type_, "True");
        } else {
            self.conditions.retain(|condition| condition.type_ != type_);
        }
    }
}

/// A time in the form that CassKop writes. Its clock shows local time and says GMT; ours shows what it says.
fn casskops_time(time: Timestamp) -> String {
    time.to_zoned(TimeZone::UTC)
        .strftime("%a, %-d %b %Y %H:%M:%S GMT")
        .to_string()
}
