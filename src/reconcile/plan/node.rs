//! A node's part in a run: what its sidecar reports, and when its request is sent (again).

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::observation::{Answer, Observation, OperationReport, Question};
use super::timing::{ARRIVAL_TIMEOUT, add, whole_seconds};
use crate::api::{ConditionType, FailureCause, NodeContainers, NodeStatus, Phase};
use crate::icarus::{NodeFailure, OperationState};

/// The time for which a sidecar certainly remembers an operation. It forgets one an hour after its end.
const MEMORY: SignedDuration = SignedDuration::from_mins(55);

/// Maximum number of earlier operations that a node's status keeps.
const MAX_PAST_OPERATIONS: usize = 64;

/// Maximum length of a sidecar's error in a status, in characters: some errors have kilobytes.
const MAX_MESSAGE_LENGTH: usize = 500;

/// Maximum number of characters of the tables that a shortened message names. All of them are needed later.
const MAX_TABLES_LENGTH: usize = 4_000;

/// The message of a node whose sidecar loses operations.
pub(super) const LOSES_OPERATIONS: &str =
    "its sidecar lost the operation repeatedly, because the sidecar keeps restarting";

/// The message for an operation that failed without an error.
pub(super) const NO_REASON: &str = "the sidecar gives no reason";

/// The time without an answer after which a sidecar is out of reach. A restart of its pod takes less.
const UNREACHABLE_AFTER: SignedDuration = SignedDuration::from_mins(15);

/// Minimum delay between two attempts.
const MIN_BACKOFF: SignedDuration = SignedDuration::from_secs(2);

/// Maximum delay between two attempts.
const MAX_BACKOFF: SignedDuration = SignedDuration::from_secs(300);

/// Number of attempts with delays of at most [`MAX_BACKOFF`]. They take about two hours.
const MAX_FREQUENT_ATTEMPTS: i32 = 30;

/// Maximum delay between two attempts after them.
const MAX_LATE_BACKOFF: SignedDuration = SignedDuration::from_mins(30);

/// The age of a request from which on it is not sent any more: what is left of [`ARRIVAL_TIMEOUT`] is the timeout of the
/// request itself.
const MAX_AGE_AT_SENDING: SignedDuration = SignedDuration::from_secs(35);

/// The outcome of a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The sidecar accepted it. The operation may already be over.
    Accepted(OperationReport),
    /// The sidecar rejected it, with this error, and has no operation for it.
    Rejected(String),
    /// It certainly did not reach the sidecar, which could not be reached, for this reason.
    NotSent(String),
    /// It was not sent, for this reason, which says nothing about the sidecar.
    Withheld(String),
    /// It was not sent, because the sidecar at the address is not that of the node. The text has what it reports.
    OtherNode(String),
    /// It may have reached the sidecar; the response is missing for this reason. A later question to the sidecar shows whether it arrived.
    Unknown(String),
}

/// Records the outcome of the request to a node in its status.
pub fn record(nodes: &mut [NodeStatus], host_id: &str, outcome: &Outcome) {
    let Some(node) = nodes.iter_mut().find(|node| node.host_id == host_id) else {
        return;
    };
    match outcome {
        Outcome::Accepted(operation) => {
            record_operation(node, operation);
        }
        Outcome::Rejected(error) => {
            node.silent_since = None;
            record_failure(node, error);
        }
        Outcome::NotSent(error) => {
            node.state = None;
            node.silent_since = node.silent_since.take().or_else(|| node.sent.clone());
            node.message = Some(shorten(error));
        }
        Outcome::Withheld(reason) => {
            node.state = None;
            node.message = Some(shorten(reason));
        }
        Outcome::OtherNode(reason) => {
            node.state = None;
            node.silent_since = None;
            node.failing_since = node.failing_since.take().or_else(|| node.sent.clone());
            node.message = Some(shorten(reason));
        }
        Outcome::Unknown(error) => node.message = Some(shorten(error)),
    }
}

/// Returns true if a request with this time in the status may be sent now.
///
/// The next plan counts a request as lost when its time is [`ARRIVAL_TIMEOUT`] ago. One that is sent later, or whose time is
/// in the future because the clock was ahead, could arrive beside its repetition, or hold that back.
#[must_use]
pub fn is_current(sent: &Time, now: Timestamp) -> bool {
    sent.0 <= now && now < add(sent, MAX_AGE_AT_SENDING)
}

/// The state of a node's part in the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NodeState {
    /// The answer to this question is needed first.
    Ask(Question),
    /// Nothing was sent yet.
    Unsent,
    /// The operation is under way, or its request may still arrive.
    UnderWay,
    /// The operation completed.
    Completed,
    /// The operation failed with an error of this kind. The node's `message` has the error.
    Failed(NodeFailure),
    /// The sidecar does not know the operation, and its request can no longer arrive.
    Lost,
    /// The sidecar does not answer.
    Unreachable,
}

/// Returns the state of a node's part, and records it in the node's status.
pub(super) fn observe(node: &mut NodeStatus, observation: &Observation<'_>) -> NodeState {
    match node.state() {
        Some(ConditionType::Completed) => return NodeState::Completed,
        Some(ConditionType::Failed | ConditionType::Cancelled) => {
            return NodeState::Failed(NodeFailure::of_message(
                node.message.as_deref().unwrap_or_default(),
            ));
        }
        // Nothing was sent since the phase began, or the request did not reach the sidecar.
        None => return NodeState::Unsent,
        Some(_) => {}
    }
    let (Some(sent), Some(pod)) = (node.sent.clone(), node.pod.clone()) else {
        return NodeState::Unsent;
    };
    let question = match (&node.operation, node.phase()) {
        (Some(id), _) => Question::Operation { pod, id: id.clone() },
        (None, Some(phase)) => Question::Sent { pod, phase },
        (None, None) => return NodeState::Unsent,
    };
    match observation.answer(&question) {
        None => NodeState::Ask(question),
        Some(Answer::Operations(operations)) => match newest(node, operations).cloned() {
            Some(operation) => record_operation(node, &operation),
            None if node.operation.is_none() && observation.now < add(&sent, ARRIVAL_TIMEOUT) => {
                node.silent_since = None;
                NodeState::UnderWay
            }
            None => NodeState::Lost,
        },
        Some(Answer::Unavailable(error)) => {
            record_silence(node, error, observation.now);
            NodeState::Unreachable
        }
        Some(_) => NodeState::Unreachable,
    }
}

/// Records that the node's sidecar does not answer, with the error.
pub(super) fn record_silence(node: &mut NodeStatus, error: &str, now: Timestamp) {
    node.message = Some(shorten(error));
    record_unreachable(node, now);
}

/// Records that the node cannot be reached. The first such time is kept.
pub(super) fn record_unreachable(node: &mut NodeStatus, now: Timestamp) {
    node.silent_since.get_or_insert_with(|| whole_seconds(now));
}

/// Returns true if the node's sidecar has not been reached for longer than a restart of its pod takes.
pub(super) fn is_out_of_reach(node: &NodeStatus, now: Timestamp) -> bool {
    node.silent_since
        .as_ref()
        .is_some_and(|since| add(since, UNREACHABLE_AFTER) <= now)
}

/// Returns true if the address of the node has been that of another node for longer than a restart of its pod takes.
fn is_misaddressed(node: &NodeStatus, now: Timestamp) -> bool {
    let since = node.failing_since.as_ref();
    since.is_some_and(|since| add(since, UNREACHABLE_AFTER) <= now)
}

/// Returns the error of a node that gets no request although the last attempt was made after 15 minutes of failed ones.
/// Without such an attempt, cassgate itself may have been away since the first one failed.
pub(super) fn unsent_error(node: &mut NodeStatus) -> Option<String> {
    let attempt = node.sent.as_ref()?.0;
    if is_out_of_reach(node, attempt) {
        return Some(out_of_reach_message(node));
    }
    is_misaddressed(node, attempt).then(|| {
        let reason = node.message.take().unwrap_or_default();
        format!("its address was that of another node for 15 minutes: {reason}")
    })
}

/// Returns the message for a node that is out of reach, and takes its last error.
pub(super) fn out_of_reach_message(node: &mut NodeStatus) -> String {
    let error = node.message.take();
    let error = error
        .as_deref()
        .unwrap_or("the node is not in the ring, or no pod has its address");
    format!("its sidecar did not answer for 15 minutes: {error}")
}

/// Records that the node's part failed.
pub(super) fn record_failure(node: &mut NodeStatus, error: &str) {
    set_state(node, ConditionType::Failed);
    node.message = Some(shorten(error));
}

/// Records that the node's part completed, because the bucket contains its files, even if the sidecar has forgotten the operation.
pub(super) fn record_completed(node: &mut NodeStatus) {
    set_state(node, ConditionType::Completed);
    node.progress = Some(percent(1.0));
    node.message = None;
    node.silent_since = None;
}

/// Returns the errors of the nodes in CassKop's form.
pub(super) fn causes(nodes: &[NodeStatus]) -> Vec<FailureCause> {
    let errors = nodes
        .iter()
        .filter_map(|node| Some((node, node.message.clone()?)));
    errors
        .map(|(node, message)| FailureCause {
            source: Some(name(node).to_owned()),
            message: Some(message),
        })
        .collect()
}

/// Returns true if the sidecar would still remember an operation of the request, if it has not been restarted since. The
/// containers are those before the sidecar answered, so a restart in between is not excluded.
pub(super) fn would_be_remembered(node: &NodeStatus, observation: &Observation<'_>) -> bool {
    let remembers = node
        .sent
        .as_ref()
        .is_some_and(|sent| observation.now < add(sent, MEMORY));
    node.operation.is_none() && has_same_sidecar(node, observation) && remembers
}

/// Returns true if the sidecar runs in the container that got the request.
pub(super) fn has_same_sidecar(node: &NodeStatus, observation: &Observation<'_>) -> bool {
    let sidecar = |containers: &NodeContainers| containers.sidecar.clone();
    let then = node.containers.as_ref().map(sidecar);
    let now = node
        .pod
        .as_deref()
        .and_then(|pod| observation.containers(pod))
        .map(sidecar);
    then.is_some() && then == now
}

/// Returns the node's name for people: its pod, or its host id while the pod is unknown.
pub(super) fn name(node: &NodeStatus) -> &str {
    node.pod.as_deref().unwrap_or(&node.host_id)
}

/// Returns the node's progress, 0 to 1.
pub(super) fn progress(node: &NodeStatus) -> f64 {
    let percent = node.progress.as_deref().and_then(|text| text.strip_suffix('%'));
    percent.and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0) / 100.0
}

/// Returns the mean progress of these nodes, 0 to 1; 0 if there are none.
pub(super) fn mean_progress<'a>(nodes: impl Iterator<Item = &'a NodeStatus>) -> f64 {
    let (count, sum) = nodes.fold((0.0, 0.0), |(count, sum), node| {
        (count + 1.0, sum + progress(node))
    });
    if count > 0.0 { sum / count } else { 0.0 }
}

/// Returns the operation of the newest request: the recorded one, else the youngest that is no past operation.
fn newest<'a>(node: &NodeStatus, operations: &'a [OperationReport]) -> Option<&'a OperationReport> {
    if let Some(id) = &node.operation {
        return operations.iter().find(|operation| operation.id == *id);
    }
    operations
        .iter()
        .filter(|operation| !node.past_operations.contains(&operation.id))
        .max_by_key(|operation| operation.created)
}

/// Records an operation that the sidecar reports.
fn record_operation(node: &mut NodeStatus, operation: &OperationReport) -> NodeState {
    node.operation = Some(operation.id.clone());
    node.silent_since = None;
    set_state(node, state_of(&operation.state));
    match &operation.state {
        OperationState::Pending | OperationState::Running | OperationState::Unknown(_) => {
            node.progress = Some(percent(operation.progress));
            // Another try of what fails is reported with the last error, until it succeeds.
            if node.failing_since.is_none() {
                node.message = None;
            }
            NodeState::UnderWay
        }
        OperationState::Completed => {
            node.message = None;
            node.progress = Some(percent(1.0));
            NodeState::Completed
        }
        OperationState::Failed | OperationState::Cancelled => {
            // The progress stays what it was before the failure: a sidecar reports 1.0 for every operation that failed.
            let mut messages = operation
                .errors
                .iter()
                .filter_map(|error| error.message.as_deref());
            let message = messages.next().unwrap_or(NO_REASON);
            node.message = Some(shorten(message));
            NodeState::Failed(NodeFailure::of_message(message))
        }
    }
}

/// Begins a phase on the node. Nothing was sent in it yet.
pub(super) fn enter(node: &mut NodeStatus, phase: Phase) {
    archive_operation(node);
    node.phase = Some(phase.as_str().to_owned());
    node.attempts = None;
    node.sent = None;
    node.state = None;
    node.progress = None;
    node.message = None;
    node.silent_since = None;
    node.failing_since = None;
    node.table = None;
}

/// Enters another phase for a repair. The count of attempts continues, so that the delay between them keeps growing.
pub(super) fn enter_repair(node: &mut NodeStatus, phase: Phase) {
    let (attempts, sent, failing_since) = (node.attempts, node.sent.take(), node.failing_since.take());
    enter(node, phase);
    node.attempts = attempts;
    node.sent = sent;
    node.failing_since = failing_since;
}

/// Records a request before it is sent.
pub(super) fn record_request(node: &mut NodeStatus, now: Timestamp) {
    archive_operation(node);
    node.sent = Some(whole_seconds(now));
    node.attempts = Some(attempts(node).saturating_add(1));
    set_state(node, ConditionType::Pending);
    node.progress = None;
}

/// Returns the number of requests that were sent in this phase.
pub(super) fn attempts(node: &NodeStatus) -> i32 {
    node.attempts.unwrap_or(0)
}

/// Returns the time of the next attempt. The delay doubles with each attempt, up to five minutes, and after two hours up to
/// half an hour, except for removals: what failed for so long does not need a request every few minutes.
pub(super) fn next_attempt(node: &NodeStatus) -> Timestamp {
    let doublings = u32::try_from(attempts(node).saturating_sub(1))
        .unwrap_or(0)
        .min(10);
    let delay = MIN_BACKOFF.saturating_mul(2_i32.saturating_pow(doublings)).min(
        if attempts(node) > MAX_FREQUENT_ATTEMPTS && node.phase() != Some(Phase::Remove) {
            MAX_LATE_BACKOFF
        } else {
            MAX_BACKOFF
        },
    );
    node.sent.as_ref().map_or(Timestamp::MIN, |sent| add(sent, delay))
}

/// Moves the current operation to the past ones.
fn archive_operation(node: &mut NodeStatus) {
    if let Some(id) = node.operation.take()
        && !node.past_operations.contains(&id)
    {
        node.past_operations.push(id);
    }
    let surplus = node.past_operations.len().saturating_sub(MAX_PAST_OPERATIONS);
    node.past_operations.drain(..surplus);
}

/// Formats a progress of 0 to 1 as CassKop does. Anything that is not a number becomes 0.
pub(super) fn percent(progress: f64) -> String {
    format!("{:.0}%", (progress.clamp(0.0, 1.0) * 100.0).floor())
}

/// Sets the state of the node's part.
pub(super) fn set_state(node: &mut NodeStatus, state: ConditionType<'_>) {
    node.state = Some(state.as_str().to_owned());
}

/// Returns the state of an operation as a status has it. An unknown state counts as running, because the operation may
/// not be over.
pub(super) fn state_of(state: &OperationState) -> ConditionType<'static> {
    match state {
        OperationState::Pending => ConditionType::Pending,
        OperationState::Running | OperationState::Unknown(_) => ConditionType::Running,
        OperationState::Completed => ConditionType::Completed,
        OperationState::Failed => ConditionType::Failed,
        OperationState::Cancelled => ConditionType::Cancelled,
    }
}

/// Shortens a sidecar's error. Of one about tables that were not emptied, every table stays.
fn shorten(text: &str) -> String {
    let prefix = |text: &str, length: usize| text.chars().take(length).collect::<String>();
    let shortened = prefix(text, MAX_MESSAGE_LENGTH);
    if shortened.len() == text.len() || NodeFailure::of_message(text) != NodeFailure::TablesNotTruncated {
        return shortened;
    }
    let tables = NodeFailure::tables(text);
    let Some((before, _)) = text.split_once('{').filter(|_| !tables.is_empty()) else {
        return shortened;
    };
    prefix(
        &format!("{before}{{{}=…}}", tables.join("=…, ")),
        MAX_TABLES_LENGTH,
    )
}
