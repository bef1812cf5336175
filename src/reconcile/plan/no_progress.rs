//! The time since which a run makes no progress. It limits every wait and every operation.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::conditions::Progress;
use super::node;
use super::observation::Observation;
use super::timing::{add, whole_seconds};
use super::wait::{Wait, WaitLimit, limit};
use super::waiting::waiting_condition;
use crate::api::{BackRestStatus, ConditionType, NodeStatus, Reason};

/// Maximum number of attempts that count as progress. From then on the attempts themselves are reported.
const MAX_COUNTED_ATTEMPTS: i32 = 8;

/// Maximum number of operations that a message names.
const MAX_NAMED_OPERATIONS: usize = 3;

/// Records whether the run has made progress since the stored status: keeps the stored time, or sets it to now.
///
/// `moved`: the run did something that its nodes do not show, such as a change of the phase. Nothing is recorded while a
/// run waits for its turn, or for what the user asked for: the limit of another run, or the user, ends that wait.
pub(super) fn record(
    stored: Option<&BackRestStatus>,
    common: &mut BackRestStatus,
    wait: Option<&Wait>,
    moved: bool,
    now: Timestamp,
) {
    let is_limited = |wait: &Wait| !matches!(limit(wait.reason), WaitLimit::OtherRun | WaitLimit::User);
    let has_begun = common.has_started() || !common.nodes.is_empty();
    let is_open = wait.map_or_else(|| has_begun && !common.is_terminal(), is_limited);
    if !is_open {
        common.no_progress_since = None;
        common.waiting_since = None;
        return;
    }
    let begun = stored.filter(|stored| continues_wait(stored, wait));
    let begun = begun.and_then(|stored| stored.waiting_since.clone());
    common.waiting_since = wait.map(|_| begun.unwrap_or_else(|| whole_seconds(now)));
    let since = stored.and_then(|stored| stored.no_progress_since.clone());
    let since = since.filter(|_| {
        let stands_still = |stored| {
            let has_lost_pod = common.nodes.is_empty() && has_lost_pod(stored, wait);
            !(advanced(stored, common) || has_found_references(stored, wait) || has_lost_pod)
        };
        !moved && stored.is_some_and(stands_still)
    });
    common.no_progress_since = Some(since.unwrap_or_else(|| whole_seconds(now)));
}

/// Returns true if the wait began before this reconcile. A wait for a `CassandraCluster` is one of its own, because it ends
/// the run.
fn continues_wait(stored: &BackRestStatus, wait: Option<&Wait>) -> bool {
    let cluster = Reason::ClusterNotFound;
    let waited = waiting_condition(stored).is_some_and(|condition| cluster == *condition.reason);
    wait.is_some_and(|wait| (wait.reason == cluster) == waited)
}

/// Returns true if the operations of the run have advanced.
fn advanced(stored: &BackRestStatus, common: &BackRestStatus) -> bool {
    if common.nodes.is_empty() {
        // Another executor began the run, or it has not begun.
        return stored.progress != common.progress || stored.state() != common.state();
    }
    nodes_advanced(&stored.nodes, &common.nodes)
}

/// Returns true if the operation of a node has advanced.
pub(super) fn nodes_advanced(stored: &[NodeStatus], nodes: &[NodeStatus]) -> bool {
    nodes.iter().any(|node| {
        let stored = stored.iter().find(|stored| stored.host_id == node.host_id);
        stored.is_none_or(|stored| node_advanced(stored, node))
    })
}

fn node_advanced(stored: &NodeStatus, node: &NodeStatus) -> bool {
    let began = |state: ConditionType<'_>| node.state() == Some(state) && stored.state() != Some(state);
    let is_counted = node::attempts(node) <= MAX_COUNTED_ATTEMPTS;
    let is_tried = stored.phase != node.phase || stored.sent != node.sent || began(ConditionType::Running);
    is_tried && is_counted || began(ConditionType::Completed) || node::progress(node) > node::progress(stored)
}

/// Returns true if a run that waited for objects that it names does so no longer.
fn has_found_references(stored: &BackRestStatus, wait: Option<&Wait>) -> bool {
    let is_reference = |reason: &str| {
        let reason = Reason::parse(reason);
        matches!(
            reason,
            Some(
                Reason::BackupNotFound
                    | Reason::BackupNotReady
                    | Reason::ClusterNotFound
                    | Reason::SecretNotFound
                    | Reason::Refused
            )
        )
    };
    let waited = waiting_condition(stored).is_some_and(|condition| is_reference(&condition.reason));
    waited && !wait.is_some_and(|wait| is_reference(wait.reason.as_str()))
}

/// Returns true if the pod is gone that has the operation of another executor, and was there before. The wait for it begins
/// now, because the operation may have been under way for hours.
fn has_lost_pod(stored: &BackRestStatus, wait: Option<&Wait>) -> bool {
    let waited = waiting_condition(stored).is_some_and(|condition| Reason::PodNotFound == *condition.reason);
    stored.has_started() && !waited && wait.is_some_and(|wait| wait.reason == Reason::PodNotFound)
}

/// Returns the progress as the conditions report it: a wait as stalled at its limit, and a run as stalled whose operations
/// have not advanced for as long as they may.
pub(super) fn bounded(
    progress: &Progress,
    common: &BackRestStatus,
    observation: &Observation<'_>,
) -> Progress {
    match progress {
        Progress::Waiting(wait) => Progress::Waiting(wait.clone().bounded(common, observation)),
        Progress::Stalled(wait) => Progress::Stalled(wait.clone().bounded(common, observation)),
        Progress::Running { .. } => {
            stalled(common, observation).map_or_else(|| progress.clone(), Progress::Stalled)
        }
        Progress::Armed { .. } | Progress::Complete(_) | Progress::Failed { .. } => progress.clone(),
    }
}

/// Returns the wait of a run whose operations have not advanced for as long as they may; `None` if they have.
fn stalled(common: &BackRestStatus, observation: &Observation<'_>) -> Option<Wait> {
    let since = common.no_progress_since.as_ref()?;
    if add(since, observation.no_progress_timeout) > observation.now {
        return None;
    }
    let mut operations = operations(common);
    let more = operations.len().saturating_sub(MAX_NAMED_OPERATIONS);
    operations.truncate(MAX_NAMED_OPERATIONS);
    if more > 0 {
        operations.push(format!("{more} more operations"));
    }
    let operations = if operations.is_empty() {
        "the run".to_owned()
    } else {
        operations.join(", ")
    };
    let message = format!(
        "neither the state nor the progress has changed since {}: {operations}; nothing else begins on the cluster, because \
         the operation may still write; read the log of the container backrest-sidecar of that pod; if the operation hangs, \
         restart that container, which ends the operation: the run then continues, or ends",
        since.0
    );
    Some(Wait::stalled(Reason::NoProgress, message))
}

/// Names the operations that may be under way.
fn operations(common: &BackRestStatus) -> Vec<String> {
    if common.nodes.is_empty() {
        let operation = common.id.as_ref().zip(common.coordinator_member.as_ref());
        let progress = common.progress.as_deref().unwrap_or("0%");
        let named = operation.map(|(id, pod)| format!("operation {id} on {pod} at {progress}"));
        return named.into_iter().collect();
    }
    let nodes = common.nodes.iter().filter(|node| node.is_active());
    let named = nodes.map(|node| {
        let phase = node.phase.as_deref().unwrap_or_default();
        let (pod, progress) = (node::name(node), node.progress.as_deref().unwrap_or("0%"));
        match &node.operation {
            Some(id) => format!("{phase} on {pod} at {progress} (operation {id})"),
            None => format!("{phase} on {pod} (the response to its request was lost)"),
        }
    });
    named.collect()
}

/// Replaces the times of a status that are in the future by now: the clock was ahead when they were written. Otherwise a
/// limit would be reached as much later.
pub(super) fn correct_times(common: &mut BackRestStatus, now: Timestamp) {
    let shared = [
        &mut common.ring_unsettled_since,
        &mut common.no_progress_since,
        &mut common.waiting_since,
    ];
    for time in shared.into_iter().flatten() {
        correct_time(time, now);
    }
    correct_node_times(&mut common.nodes, now);
}

/// Replaces the times of nodes that are in the future by now.
pub(super) fn correct_node_times(nodes: &mut [NodeStatus], now: Timestamp) {
    for node in nodes {
        let times = [&mut node.sent, &mut node.silent_since, &mut node.failing_since];
        for time in times.into_iter().flatten() {
            correct_time(time, now);
        }
    }
}

/// Replaces a time in the future by now.
pub(super) fn correct_time(time: &mut Time, now: Timestamp) {
    if time.0 > now {
        *time = whole_seconds(now);
    }
}
