//! The upload: the part of each node, and the attempts at it.

use super::BackupPlanner;
use super::lost::is_lost_and_replaced;
use crate::api::{ConditionType, NodeStatus, Phase, Reason};
use crate::icarus::NodeFailure;
use crate::reconcile::plan::actions::Task;
use crate::reconcile::plan::node::{self, NodeState};
use crate::reconcile::plan::timing::{POLL_INTERVAL, REQUEUE_INTERVAL};

/// Maximum number of attempts at a part that sidecars lose.
pub(super) const MAX_LOST_ATTEMPTS: i32 = 5;

/// Maximum number of attempts at a part with transient failures. The delay between them doubles, so Cassandra may be
/// away for eight minutes: a restart of a pod takes less.
const MAX_FAILED_ATTEMPTS: i32 = 9;

/// The message of a node whose part had not begun when the next run replaced this one.
const NOT_BEGUN: &str = "not begun: the run was given up for the next one";

impl BackupPlanner<'_> {
    /// Advances the part of every node. When all are done, whatever their outcome, the run ends.
    pub(super) fn upload(&mut self) {
        let mut done = true;
        let mut nodes = std::mem::take(&mut self.status.common.nodes);
        for (index, node) in nodes.iter_mut().enumerate() {
            let task = Task::Backup {
                with_topology: index == 0,
            };
            done &= self.advance(node, task);
        }
        self.status.common.nodes = nodes;
        if !done || !self.plan.questions.is_empty() {
            return;
        }
        let nodes = &self.status.common.nodes;
        if nodes
            .iter()
            .any(|node| was_not_begun(node) || is_lost_and_replaced(node))
        {
            self.cancel();
            return;
        }
        let is_unproven = |node: &NodeStatus| node.unproven == Some(true);
        let mut unfinished = nodes.iter().filter(|node| !node.is_completed());
        let failed = unfinished.find(|node| !is_unproven(node));
        let failure = failed.map(|node| {
            let error = node.message.as_deref().unwrap_or(node::NO_REASON);
            format!("{}: {error}; {}", node::name(node), self.remedy())
        });
        match failure {
            Some(message) => {
                self.mark_unfinished();
                self.fail(Reason::BackupFailed, message);
            }
            None if nodes.iter().any(is_unproven) && self.replaced => self.cancel(),
            None if nodes.iter().any(is_unproven) => self.begin_again(),
            None => self.check_listings(),
        }
    }

    /// Marks the parts that did not complete as not proven if the bucket is a directory: they may have left files that are
    /// cut short, so the next parts of their nodes are proven.
    fn mark_unfinished(&mut self) {
        if self.is_directory() {
            let nodes = self.status.common.nodes.iter_mut();
            for node in nodes.filter(|node| !node.is_completed()) {
                node.unproven = Some(true);
            }
        }
    }

    /// Advances the part of a node. Returns true if the node is done, whatever its outcome.
    fn advance(&mut self, node: &mut NodeStatus, task: Task) -> bool {
        let observation = self.plan.observation;
        let state = node::observe(node, observation);
        if let Some(phase) = node.phase().filter(|phase| *phase != Phase::Backup) {
            return self.advance_proof(node, (phase, state), task);
        }
        match state {
            NodeState::Ask(question) => {
                self.plan.questions.insert(question);
            }
            NodeState::UnderWay => {
                node.failing_since = None;
                self.plan.requeue(POLL_INTERVAL);
            }
            NodeState::Unreachable if node::is_out_of_reach(node, observation.now) => {
                let message = node::out_of_reach_message(node);
                node::record_failure(node, &message);
                return true;
            }
            NodeState::Unreachable => self.plan.requeue(REQUEUE_INTERVAL),
            NodeState::Unsent => return self.send_or_fail(node, task),
            NodeState::Lost => return self.handle_lost(node, task),
            NodeState::Completed if node.unproven == Some(true) => {
                let message = "an earlier upload of this node was interrupted";
                return self.handle_interrupted(node, message);
            }
            // A proof that failed ends the part.
            NodeState::Failed(_) if node.proof_error.is_some() => return true,
            NodeState::Failed(failure)
                if is_transient(&failure)
                    && node::attempts(node) < MAX_FAILED_ATTEMPTS
                    && !node::is_out_of_reach(node, observation.now)
                    && !self.replaced =>
            {
                if has_uploaded(node) {
                    let error = node.message.clone().unwrap_or_default();
                    return self
                        .handle_interrupted(node, &format!("{error}; files may be missing in the bucket"));
                }
                self.send_upload(node, task);
            }
            NodeState::Completed | NodeState::Failed(_) => return true,
        }
        false
    }

    /// Sends the part of a node that has not got it, unless all attempts of 15 minutes failed. Returns true if the node is
    /// done.
    fn send_or_fail(&mut self, node: &mut NodeStatus, task: Task) -> bool {
        if let Some(error) = node::unsent_error(node) {
            node::record_failure(node, &error);
            return true;
        }
        self.send_or_cancel(node, task)
    }

    /// Sends the part, or cancels it if the next run replaces this one. Returns true if it was cancelled, or if the node has
    /// had no address for 15 minutes.
    pub(super) fn send_or_cancel(&mut self, node: &mut NodeStatus, task: Task) -> bool {
        if self.replaced {
            node::set_state(node, ConditionType::Cancelled);
            node.message = Some(NOT_BEGUN.to_owned());
            return true;
        }
        let is_located = self.send_upload(node, task);
        let fails = !is_located && node::is_out_of_reach(node, self.plan.observation.now);
        if fails {
            let message = node::out_of_reach_message(node);
            node::record_failure(node, &message);
        }
        fails
    }

    /// Sends the part, and records the containers that get it. Returns false if the node has no known address.
    fn send_upload(&mut self, node: &mut NodeStatus, task: Task) -> bool {
        let sent = self.plan.requests.len();
        let is_located = self.plan.send(node, task);
        if self.plan.requests.len() > sent {
            let pod = node.pod.as_deref().unwrap_or_default();
            node.containers = self.plan.observation.containers(pod).cloned();
        }
        is_located
    }

    pub(super) fn remedy(&self) -> &'static str {
        if self.backup.spec.is_scheduled() {
            "fix the cause; the next run starts at the next time of the schedule"
        } else {
            "fix the cause and create the backup again under another name"
        }
    }
}

/// Returns true if another attempt may succeed: after `SnapshotExists` the failed attempt has removed the snapshot, and
/// after the others Cassandra may only be restarting.
fn is_transient(failure: &NodeFailure) -> bool {
    matches!(
        failure,
        NodeFailure::SnapshotExists | NodeFailure::NodesDown | NodeFailure::CassandraUnreachable
    )
}

/// Returns true if the upload of the node had begun when it failed. Even a failed upload may end with its manifest
/// (observed on 2.0.4), which the same tag does not replace.
fn has_uploaded(node: &NodeStatus) -> bool {
    node.progress.as_deref().is_some_and(|progress| progress != "0%")
}

fn was_not_begun(node: &NodeStatus) -> bool {
    node.message.as_deref() == Some(NOT_BEGUN)
}
