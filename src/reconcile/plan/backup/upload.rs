//! The upload: the part of each node, and the attempts at it.

use super::BackupPlanner;
use crate::api::{ConditionType, NodeStatus, Reason};
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
        if nodes.iter().any(was_not_begun) {
            self.cancel();
            return;
        }
        let failed = nodes.iter().find(|node| !node.is_completed());
        let failure = failed.map(|node| {
            let error = node.message.as_deref().unwrap_or(node::NO_REASON);
            format!("{}: {error}; {}", node::name(node), self.remedy())
        });
        match failure {
            Some(message) => self.fail(Reason::BackupFailed, message),
            None => self.check_listings(),
        }
    }

    /// Advances the part of a node. Returns true if the node is done, whatever its outcome.
    fn advance(&mut self, node: &mut NodeStatus, task: Task) -> bool {
        let observation = self.plan.observation;
        match node::observe(node, observation) {
            NodeState::Ask(question) => {
                self.plan.questions.insert(question);
            }
            NodeState::UnderWay => self.plan.requeue(POLL_INTERVAL),
            NodeState::Unreachable | NodeState::Unsent if node::is_out_of_reach(node, observation.now) => {
                let error = node.message.take();
                let error = error
                    .as_deref()
                    .unwrap_or("the node is not in the ring, or no pod has its address");
                let message = format!("its sidecar did not answer for 15 minutes: {error}");
                node::record_failure(node, &message);
                return true;
            }
            NodeState::Unreachable => self.plan.requeue(REQUEUE_INTERVAL),
            NodeState::Unsent => return self.send_or_cancel(node, task),
            NodeState::Lost => return self.handle_lost(node, task),
            NodeState::Failed(failure)
                if is_transient(&failure)
                    && node::attempts(node) < MAX_FAILED_ATTEMPTS
                    && !node::is_out_of_reach(node, observation.now)
                    && !self.replaced =>
            {
                self.plan.send(node, task);
            }
            NodeState::Completed | NodeState::Failed(_) => return true,
        }
        false
    }

    /// Sends the part, or cancels it if the next run replaces this one. Returns true if it was cancelled.
    pub(super) fn send_or_cancel(&mut self, node: &mut NodeStatus, task: Task) -> bool {
        if self.replaced {
            node::set_state(node, ConditionType::Cancelled);
            node.message = Some(NOT_BEGUN.to_owned());
        } else {
            self.plan.send(node, task);
        }
        self.replaced
    }

    fn remedy(&self) -> &'static str {
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

fn was_not_begun(node: &NodeStatus) -> bool {
    node.message.as_deref() == Some(NOT_BEGUN)
}
