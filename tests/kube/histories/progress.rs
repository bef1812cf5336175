//! The progress of an object: in 24 hours it ends, says what a person has to do, or advances.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use cassgate::api::conditions::{FAILED, READY, RECONCILING, STALLED};
use cassgate::api::{BackRestStatus, Phase, Reason, ReasonScope};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

/// The time in which an object has to end, to advance, or to say what a person has to do. cassgate may be away for a part of it,
/// and reconciles late.
pub(super) const BOUND: SignedDuration = SignedDuration::from_hours(24 + 2);

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

/// The progress of one object so far.
#[derive(Debug, Clone)]
pub(super) struct Track {
    /// The states that the object has shown in its run. To show one again is no progress.
    shown: HashSet<u64>,
    /// The last time at which it was not merely waiting.
    since: Timestamp,
}

impl Track {
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            shown: HashSet::new(),
            since: now,
        }
    }

    /// Records what the object shows now. Returns true if it has not shown that before.
    pub(super) fn observe(&mut self, object: &Value, now: Timestamp) -> bool {
        let advanced = self.shown.insert(shown(object));
        if advanced {
            self.since = now;
        }
        advanced
    }

    /// Checks the object at this time.
    ///
    /// # Errors
    /// Returns what the object has not done for 24 hours, or the remedy that it lacks.
    pub(super) fn check(&mut self, object: &Value, now: Timestamp) -> Result<(), String> {
        if standing(object)? != Standing::UnderWay {
            self.since = now;
        }
        if now.duration_since(self.since) <= BOUND {
            return Ok(());
        }
        Err(format!(
            "without progress, end or remedy for 24 hours: {}",
            reason(object)
        ))
    }
}

/// Returns the status that backups and restores share; `None` if there is none yet.
pub(super) fn common(object: &Value) -> Option<BackRestStatus> {
    let status = &object["status"];
    (!status.is_null()).then(|| serde_json::from_value(status.clone()).unwrap())
}

/// Returns the standing of an object.
///
/// # Errors
/// Returns the remedy that a stalled object lacks.
pub(super) fn standing(object: &Value) -> Result<Standing, String> {
    let Some(common) = common(object) else {
        return Ok(Standing::UnderWay);
    };
    let reconciling = common.true_condition(RECONCILING);
    if common.is_terminal() && reconciling.is_none() && common.true_condition(FAILED).is_some() {
        return Ok(Standing::AtRest);
    }
    if let Some(stalled) = common.true_condition(STALLED) {
        let is_listed =
            |reason: &&Reason| stalled.reason == reason.as_str() && reason.scope() != ReasonScope::Events;
        if stalled.message.is_empty() || !Reason::ALL.iter().any(|reason| is_listed(&reason)) {
            return Err(format!(
                "stalled without a remedy: {}: {}",
                stalled.reason, stalled.message
            ));
        }
        return Ok(Standing::Stalled);
    }
    if reconciling.is_some_and(|condition| condition.reason == Reason::Queued.as_str()) {
        return Ok(Standing::Queued);
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
pub(super) fn reason(object: &Value) -> String {
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let common = common(object);
    let condition = common
        .as_ref()
        .and_then(|common| common.true_condition(RECONCILING));
    condition.map_or_else(
        || format!("no condition: {name}"),
        |condition| format!("{}: {name}: {}", condition.reason, condition.message),
    )
}

/// Returns the status of an object for people.
pub(super) fn summary(object: &Value) -> String {
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let Some(common) = common(object) else {
        return format!("{name} has no status");
    };
    let state = common.condition.as_ref().map(|condition| condition.type_.clone());
    let mut lines = vec![format!("{name}: {}", state.unwrap_or_default())];
    let conditions = common
        .conditions
        .iter()
        .filter(|condition| condition.status == "True");
    for condition in conditions {
        let (type_, reason, message) = (&condition.type_, &condition.reason, &condition.message);
        lines.push(format!("  {type_}: {reason}: {message}"));
    }
    for node in &common.nodes {
        lines.push(format!("  {}", serde_json::to_string(node).unwrap()));
    }
    lines.join("\n")
}

/// Returns a hash of what a user sees advance: the state, the phases, the progress, and the begin of the run. Attempts and
/// messages are no progress.
fn shown(object: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    if let Some(common) = common(object) {
        let state = common.condition.as_ref().map(|condition| &condition.type_);
        state.hash(&mut hasher);
        common.progress.hash(&mut hasher);
        common.time_created.hash(&mut hasher);
        let done = common.nodes.iter().filter(|node| node.is_completed());
        let done: Vec<_> = done
            .map(|node| (node.host_id.clone(), node.phase().map(Phase::as_str)))
            .collect();
        done.hash(&mut hasher);
    }
    hasher.finish()
}
