//! A node's part: what its sidecar says of the operation, and when something is sent to it (again).

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{Answer, IN_FLIGHT, Observation, OperationReport, Phase, Question, State, moment};
use crate::api::{ConditionType, FailureCause, NodeStatus};
use crate::icarus::NodeFailure;

/// How many earlier operations of a node are remembered.
const MOST_PAST: usize = 64;

/// How much of a sidecar's words is kept, in characters: some of its errors have kilobytes.
const LONGEST_MESSAGE: usize = 500;

/// What a node suffers from whose operations its sidecar forgets.
pub(super) const LOST_AGAIN: &str = "its sidecar lost the operation again and again: it is being restarted";

/// How long a sidecar may be silent before nobody thinks that its pod is being restarted.
const LONGEST_SILENCE: SignedDuration = SignedDuration::from_mins(15);

/// The shortest and the longest time between two tries.
const BACKOFF: (SignedDuration, SignedDuration) =
    (SignedDuration::from_secs(2), SignedDuration::from_secs(300));

/// What became of a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The sidecar took it; the operation may be over already.
    Taken(OperationReport),
    /// The sidecar refused it, in these words. It does not know of it.
    Refused(String),
    /// It certainly did not reach the sidecar, for this reason.
    NotSent(String),
    /// Nobody knows, for this reason. Later questions find it out.
    Unknown(String),
}

/// Writes down what became of the request that this node was sent.
pub fn record(nodes: &mut [NodeStatus], host_id: &str, outcome: &Outcome) {
    let Some(node) = nodes.iter_mut().find(|node| node.host_id == host_id) else {
        return;
    };
    match outcome {
        Outcome::Taken(said) => {
            heard(node, said);
        }
        Outcome::Refused(words) => {
            node.silent_since = None;
            failed(node, words);
        }
        Outcome::NotSent(why) => {
            node.state = None;
            node.silent_since = node.silent_since.take().or_else(|| node.sent.clone());
            node.message = Some(shortened(why));
        }
        Outcome::Unknown(why) => node.message = Some(shortened(why)),
    }
}

/// How a node's part stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum View {
    /// That has to be asked first.
    Ask(Question),
    /// Nothing was sent yet.
    Unsent,
    /// It goes on, or may yet arrive.
    UnderWay,
    /// It ended well.
    Completed,
    /// It ended with an error of this kind; the words stand in the node's `message`.
    Failed(NodeFailure),
    /// The sidecar does not know of it, and it can no longer arrive.
    Lost,
    /// The sidecar does not answer.
    Silent,
}

/// How this node's part stands, and what is now known of it written into its status.
pub(super) fn view(node: &mut NodeStatus, look: &Observation<'_>) -> View {
    match node.state() {
        Some(ConditionType::Completed) => return View::Completed,
        Some(ConditionType::Failed | ConditionType::Cancelled) => {
            return View::Failed(NodeFailure::of_message(
                node.message.as_deref().unwrap_or_default(),
            ));
        }
        // Nothing was sent since the phase began, or it did not get through.
        None => return View::Unsent,
        Some(_) => {}
    }
    let (Some(sent), Some(pod)) = (node.sent.clone(), node.pod.clone()) else {
        return View::Unsent;
    };
    let question = match (&node.operation, phase(node)) {
        (Some(id), _) => Question::Operation { pod, id: id.clone() },
        (None, Some(phase)) => Question::Sent { pod, phase },
        (None, None) => return View::Unsent,
    };
    match look.answer(&question) {
        None => View::Ask(question),
        Some(Answer::Operations(known)) => match newest(node, known).cloned() {
            Some(said) => heard(node, &said),
            None if node.operation.is_none() && look.now < later(&sent, IN_FLIGHT) => {
                node.silent_since = None;
                View::UnderWay
            }
            None => View::Lost,
        },
        Some(Answer::Silence(why)) => {
            silent(node, why, look.now);
            View::Silent
        }
        Some(_) => View::Silent,
    }
}

/// The node's sidecar does not tell what became of its part.
pub(super) fn silent(node: &mut NodeStatus, why: &str, now: Timestamp) {
    node.message = Some(shortened(why));
    unreachable(node, now);
}

/// Nobody knows where to send to.
pub(super) fn unreachable(node: &mut NodeStatus, now: Timestamp) {
    node.silent_since.get_or_insert_with(|| moment(now));
}

/// Whether the node's sidecar has been silent, or out of reach, for longer than a restart of a pod takes.
pub(super) fn is_out_of_reach(node: &NodeStatus, now: Timestamp) -> bool {
    node.silent_since
        .as_ref()
        .is_some_and(|since| later(since, LONGEST_SILENCE) <= now)
}

/// The node's part failed, for a reason that no sidecar gave.
pub(super) fn failed(node: &mut NodeStatus, why: &str) {
    set_state(node, ConditionType::Failed);
    node.message = Some(shortened(why));
}

/// The node is through, by what lies in the bucket: its sidecar need not remember that.
pub(super) fn through(node: &mut NodeStatus) {
    set_state(node, ConditionType::Completed);
    node.progress = Some(percent(1.0));
    node.message = None;
    node.silent_since = None;
}

/// What the nodes complain of, as CassKop writes it: who, and what.
pub(super) fn causes(nodes: &[NodeStatus]) -> Vec<FailureCause> {
    let complaints = nodes
        .iter()
        .filter_map(|node| Some((node, node.message.clone()?)));
    complaints
        .map(|(node, message)| FailureCause {
            source: Some(name(node).to_owned()),
            message: Some(message),
        })
        .collect()
}

/// What people call the node: its pod, where that is known.
pub(super) fn name(node: &NodeStatus) -> &str {
    node.pod.as_deref().unwrap_or(&node.host_id)
}

/// How much of its part a node has done, 0 to 1.
fn part_done(node: &NodeStatus) -> f64 {
    let percent = node.progress.as_deref().and_then(|text| text.strip_suffix('%'));
    percent.and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0) / 100.0
}

/// How much these nodes have done of their parts in the mean, 0 to 1.
pub(super) fn mean_done<'a>(nodes: impl Iterator<Item = &'a NodeStatus>) -> f64 {
    let (count, sum) = nodes.fold((0.0, 0.0), |(count, sum), node| {
        (count + 1.0, sum + part_done(node))
    });
    if count > 0.0 { sum / count } else { 0.0 }
}

/// The operation that answers the newest request: the recorded one, else the youngest that is not an earlier one.
fn newest<'a>(node: &NodeStatus, known: &'a [OperationReport]) -> Option<&'a OperationReport> {
    if let Some(id) = &node.operation {
        return known.iter().find(|said| said.id == *id);
    }
    known
        .iter()
        .filter(|said| !node.past_operations.contains(&said.id))
        .max_by_key(|said| said.created)
}

/// Writes down what a sidecar says of an operation.
pub(super) fn heard(node: &mut NodeStatus, said: &OperationReport) -> View {
    node.operation = Some(said.id.clone());
    node.silent_since = None;
    node.progress = Some(percent(said.progress));
    set_state(node, condition_type(said.state));
    let words = said.errors.iter().find_map(|(_, message)| message.as_deref());
    match said.state {
        State::Pending | State::Running => {
            node.message = None;
            View::UnderWay
        }
        State::Completed => {
            node.message = None;
            node.progress = Some(percent(1.0));
            View::Completed
        }
        State::Failed | State::Cancelled => {
            let words = words.unwrap_or("the sidecar gives no reason");
            node.message = Some(shortened(words));
            View::Failed(NodeFailure::of_message(words))
        }
    }
}

/// What the node does now, where its status says so in our words.
pub(super) fn phase(node: &NodeStatus) -> Option<Phase> {
    node.phase.as_deref().and_then(Phase::read)
}

/// The node begins with a phase: nothing of it was sent.
pub(super) fn enter(node: &mut NodeStatus, phase: Phase) {
    put_away(node);
    node.phase = Some(phase.as_str().to_owned());
    node.attempts = None;
    node.sent = None;
    node.state = None;
    node.progress = None;
    node.message = None;
    node.silent_since = None;
    node.table = None;
}

/// The node turns to another phase for a while; its tries are counted on, and their pauses go on to grow.
pub(super) fn turn_to(node: &mut NodeStatus, phase: Phase) {
    let (attempts, sent) = (node.attempts, node.sent.take());
    enter(node, phase);
    node.attempts = attempts;
    node.sent = sent;
}

/// Writes down that the request is about to be sent, before it is.
pub(super) fn about_to_send(node: &mut NodeStatus, now: Timestamp) {
    put_away(node);
    node.sent = Some(moment(now));
    node.attempts = Some(attempts(node).saturating_add(1));
    set_state(node, ConditionType::Pending);
    node.progress = None;
}

/// How often this phase was sent.
pub(super) fn attempts(node: &NodeStatus) -> i32 {
    node.attempts.unwrap_or(0)
}

/// When the next try is due, after one that went wrong. The pauses double.
pub(super) fn due(node: &NodeStatus) -> Timestamp {
    let tries = u32::try_from(attempts(node).saturating_sub(1))
        .unwrap_or(0)
        .min(8);
    let pause = BACKOFF
        .0
        .saturating_mul(2_i32.saturating_pow(tries))
        .min(BACKOFF.1);
    node.sent
        .as_ref()
        .map_or(Timestamp::MIN, |sent| later(sent, pause))
}

/// A time that lies so much after another one.
fn later(time: &Time, by: SignedDuration) -> Timestamp {
    time.0.checked_add(by).unwrap_or(Timestamp::MAX)
}

fn put_away(node: &mut NodeStatus) {
    if let Some(id) = node.operation.take()
        && !node.past_operations.contains(&id)
    {
        node.past_operations.push(id);
    }
    let surplus = node.past_operations.len().saturating_sub(MOST_PAST);
    node.past_operations.drain(..surplus);
}

/// 0 to 1 as CassKop writes it. What is no number is nothing.
pub(super) fn percent(progress: f64) -> String {
    format!("{:.0}%", (progress.clamp(0.0, 1.0) * 100.0).floor())
}

/// Records the state of the node's operation.
pub(super) fn set_state(node: &mut NodeStatus, state: ConditionType<'_>) {
    node.state = Some(state.as_str().to_owned());
}

/// Returns the state as a status has it.
pub(super) fn condition_type(state: State) -> ConditionType<'static> {
    match state {
        State::Pending => ConditionType::Pending,
        State::Running => ConditionType::Running,
        State::Completed => ConditionType::Completed,
        State::Failed => ConditionType::Failed,
        State::Cancelled => ConditionType::Cancelled,
    }
}

fn shortened(words: &str) -> String {
    words.chars().take(LONGEST_MESSAGE).collect()
}
