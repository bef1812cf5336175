//! The progress of an object: in 24 hours it ends, says what a person has to do, or advances.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;

use super::history::Subjected;
use crate::api::conditions::{FAILED, READY, RECONCILING, STALLED};
use crate::api::{BackRestStatus, Phase, Reason, ReasonScope, RetentionStatus};
use crate::reconcile::object::ReconciledObject;
use crate::reconcile::plan::conflict::RunStatus;

/// The time in which an object has to end, to advance, or to say what a person has to do. Two reconciles of the model are
/// up to an hour apart.
pub(super) const BOUND: SignedDuration = SignedDuration::from_hours(24 + 2);

/// The progress of one object so far.
#[derive(Debug, Clone)]
pub(super) struct Track {
    /// The states that the object has shown in its run. To show one again is no progress.
    shown: HashSet<u64>,
    /// The last time at which it was not merely waiting.
    since: Timestamp,
    /// The number of reconciles since it showed something new.
    repeats: i32,
}

/// Maximum delay that the model adds between the attempts of an object that tries the same again and again.
const MAX_REPEAT_PAUSE: SignedDuration = SignedDuration::from_mins(10);

/// The number of reconciles without anything new from which on the model adds a delay.
const REPEATS: i32 = 8;

/// The standing of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Its run is over, or it waits for the next time of its schedule.
    AtRest,
    /// It says what a person has to do.
    Stalled,
    /// It waits for its turn behind another object, which has a standing of its own.
    Queued,
    /// It runs or waits.
    UnderWay,
}

impl Track {
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            shown: HashSet::new(),
            since: now,
            repeats: 0,
        }
    }

    /// Returns the minimum delay before the next reconcile. The planner has to cope with late reconciles, and a day of
    /// attempts would take thousands.
    pub(super) fn min_pause(&self) -> SignedDuration {
        let doublings = (self.repeats - REPEATS).clamp(0, 10) / 2;
        let seconds = if self.repeats > REPEATS {
            10 << doublings
        } else {
            0
        };
        SignedDuration::from_secs(seconds).min(MAX_REPEAT_PAUSE)
    }

    /// Records what the object shows now.
    ///
    /// # Errors
    /// Returns what the object has not done for 24 hours, or the remedy that it lacks.
    pub(super) fn observe<K: Subjected>(&mut self, object: &K, now: Timestamp) -> Result<(), String> {
        let advanced = self.shown.insert(shown(object));
        self.repeats = if advanced { 0 } else { self.repeats + 1 };
        if advanced || standing(object)? != Standing::UnderWay {
            self.since = now;
        }
        if now.duration_since(self.since) <= BOUND {
            return Ok(());
        }
        let (reason, message) = reason(object);
        Err(format!(
            "without progress, end or remedy for 24 hours: {reason}: {}: {message}",
            object.name_any()
        ))
    }
}

/// Returns the standing of an object.
///
/// # Errors
/// Returns the remedy that a stalled object lacks.
pub(super) fn standing<K: Subjected>(object: &K) -> Result<Standing, String> {
    let Some(status) = object.status() else {
        return Ok(Standing::UnderWay);
    };
    let common = status.common();
    let reconciling = common.true_condition(RECONCILING);
    let is_removing = object.removal().is_some_and(RetentionStatus::is_in_flight);
    let is_failed = common.true_condition(FAILED).is_some_and(|failed| {
        let stalled = common.true_condition(STALLED);
        stalled.is_none_or(|stalled| stalled.reason == failed.reason)
    });
    if common.is_terminal() && reconciling.is_none() && is_failed && !is_removing {
        return Ok(Standing::AtRest);
    }
    if let Some(stalled) = common.true_condition(STALLED) {
        let is_listed =
            |reason: &&Reason| **reason == *stalled.reason && reason.scope() != ReasonScope::Events;
        if stalled.message.is_empty() || !Reason::ALL.iter().any(|reason| is_listed(&reason)) {
            return Err(format!(
                "stalled without a remedy: {}: {}",
                stalled.reason, stalled.message
            ));
        }
        return Ok(Standing::Stalled);
    }
    // The user asked for it: the object only describes a snapshot.
    if reconciling.is_some_and(|condition| Reason::Suspended == *condition.reason) {
        return Ok(Standing::AtRest);
    }
    if reconciling.is_some_and(|condition| Reason::Queued == *condition.reason) {
        return Ok(Standing::Queued);
    }
    if is_removing {
        return Ok(Standing::UnderWay);
    }
    let has_readiness = common.conditions.iter().any(|condition| condition.type_ == READY);
    let is_at_rest = common.is_terminal() || (has_readiness && reconciling.is_none());
    Ok(if is_at_rest {
        Standing::AtRest
    } else {
        Standing::UnderWay
    })
}

/// Returns the reason and the message of what the object does.
pub(super) fn reason<K: ReconciledObject>(object: &K) -> (String, String) {
    let common = object.status().map(RunStatus::common);
    let condition = common.and_then(|common| common.true_condition(RECONCILING));
    condition.map_or_else(
        || ("no condition".to_owned(), String::new()),
        |condition| (condition.reason.clone(), condition.message.clone()),
    )
}

/// Returns a hash of what a user sees advance: the state, the phases, the progress, and the begin of the run. Attempts and
/// messages are no progress.
fn shown<K: Subjected>(object: &K) -> u64 {
    let mut hasher = DefaultHasher::new();
    if let Some(status) = object.status() {
        let common: &BackRestStatus = status.common();
        common
            .condition
            .as_ref()
            .map(|condition| &condition.type_)
            .hash(&mut hasher);
        common.progress.hash(&mut hasher);
        common.time_created.hash(&mut hasher);
        let nodes = common.nodes.iter();
        let done = nodes.filter(|node| node.is_completed());
        let done: Vec<_> = done
            .map(|node| (node.host_id.clone(), node.phase().map(Phase::as_str)))
            .collect();
        done.hash(&mut hasher);
    }
    if let Some(removal) = object.removal() {
        removal
            .removing
            .as_ref()
            .map(|run| &run.snapshot)
            .hash(&mut hasher);
        let done = removal.nodes.iter().filter(|node| node.is_completed());
        done.count().hash(&mut hasher);
    }
    hasher.finish()
}
