//! The removal of a snapshot from the folder of a node.

use std::collections::BTreeSet;
use std::mem;

use jiff::SignedDuration;

use super::failure::{self, is_permanent};
use super::{PruneInputs, PrunePlanner, in_flight, non_empty, problem};
use crate::api::{BackupStatus, ConditionType, NodeStatus, PastRun, Reason, RetentionStatus};
use crate::reconcile::plan::actions::{Plan, Task};
use crate::reconcile::plan::builder::find_node;
use crate::reconcile::plan::history;
use crate::reconcile::plan::node::{self, NodeState};
use crate::reconcile::plan::observation::{Answer, Question};
use crate::reconcile::plan::timing::{ARRIVAL_TIMEOUT, POLL_INTERVAL, REQUEUE_INTERVAL, add};

/// Number of attempts on a node after which the run is put back.
const MAX_ATTEMPTS: i32 = 5;

/// The interval between listings of a folder that could not be listed for 15 minutes.
const UNLISTED_INTERVAL: SignedDuration = SignedDuration::from_mins(5);

/// The message of a node that has left the ring, so that nothing is removed from its folder.
const LEFT_RING: &str = "the node has left the ring; its part stays in the bucket";

impl PrunePlanner<'_> {
    /// Advances the removal on a node that is not done.
    pub(super) fn advance_node(&mut self, node: &mut NodeStatus, snapshot: &str) {
        if self.is_under_way(node) || self.refused.is_some() {
            return;
        }
        let question = Question::Stored {
            pod: node.pod.clone().unwrap_or_default(),
            host_id: node.host_id.clone(),
            datacenter: node.datacenter.clone().unwrap_or_default(),
            snapshot: snapshot.to_owned(),
        };
        // A listing deletes what a removal in the same sidecar reads (found in the source of Esop), so the listing waits
        // for the turn of the backup too.
        if self.has_to_wait() {
            return;
        }
        match self.plan.observation.answer(&question) {
            None => {
                self.plan.questions.insert(question);
            }
            Some(Answer::Stored(true)) => {
                node.silent_since = None;
                self.send(node, snapshot);
            }
            Some(Answer::Stored(false)) => self.complete(node),
            Some(Answer::Unsupported) => self.unsupported = true,
            Some(Answer::Unavailable(error)) => self.handle_unlisted(node, snapshot, error),
            Some(_) => self.plan.requeue(REQUEUE_INTERVAL),
        }
    }

    fn complete(&mut self, node: &mut NodeStatus) {
        node::record_completed(node);
        self.plan.requeue(SignedDuration::ZERO);
    }

    /// Completes the removal on a node that has left the ring. Its part stays in the bucket.
    fn skip(&mut self, node: &mut NodeStatus) {
        self.complete(node);
        node.message = Some(LEFT_RING.to_owned());
    }

    /// Returns the message about the end of a removal.
    fn removed_message(&self, snapshot: &str) -> String {
        let left = self.retention.nodes.iter().filter(|node| is_skipped(node));
        let left: Vec<_> = left
            .map(|node| format!("{} ({})", node::name(node), node.host_id))
            .collect();
        if left.is_empty() {
            return format!(
                "Snapshot {snapshot} expired by spec.retention: it was removed from the folder of each node."
            );
        }
        format!(
            "Snapshot {snapshot} expired by spec.retention: it was removed from the folder of each node that is in the ring; \
             the parts of nodes that have left the ring stay in the bucket: {}; delete their folders by hand, or with \
             lifecycle rules of the bucket",
            left.join(", ")
        )
    }

    /// Handles a share that cannot be listed. A node that left the ring is skipped. For another node an event warns
    /// once, and from then on its share is listed less often.
    fn handle_unlisted(&mut self, node: &mut NodeStatus, snapshot: &str, error: &str) {
        let observation = self.plan.observation;
        node::record_silence(node, error, observation.now);
        if !node::is_out_of_reach(node, observation.now) {
            self.plan.requeue(REQUEUE_INTERVAL);
            return;
        }
        match observation.answers.get(&Question::Ring) {
            None => {
                self.plan.questions.insert(Question::Ring);
                return;
            }
            Some(Answer::Ring(ring)) if find_node(ring, &node.host_id).is_none() => {
                self.skip(node);
                return;
            }
            Some(_) => {}
        }
        if node.state() != Some(ConditionType::Failed) {
            let pod = node::name(node).to_owned();
            let message = format!(
                "Snapshot {snapshot} is not removed yet: the folder of {pod} in the bucket could not be listed for 15 \
                 minutes: {error}; the removal is retried every few minutes"
            );
            self.plan.warn(Reason::SnapshotNotRemoved, message);
            node::set_state(node, ConditionType::Failed);
            self.given_up = Some(format!("the folder of {pod} could not be listed: {error}"));
        }
        self.plan.requeue(UNLISTED_INTERVAL);
    }

    /// Returns true if a request may still be under way on the node. Otherwise clears or sets the node's state.
    fn is_under_way(&mut self, node: &mut NodeStatus) -> bool {
        if !node.is_active() {
            return false;
        }
        let observation = self.plan.observation;
        if node.operation.is_none() {
            let may_arrive = node
                .sent
                .as_ref()
                .is_some_and(|sent| observation.now < add(sent, ARRIVAL_TIMEOUT));
            if may_arrive {
                self.plan.requeue(POLL_INTERVAL);
                return true;
            }
            node.state = None;
            return false;
        }
        match node::observe(node, observation) {
            NodeState::Ask(question) => {
                self.plan.questions.insert(question);
                true
            }
            NodeState::UnderWay => {
                self.plan.requeue(POLL_INTERVAL);
                true
            }
            NodeState::Unreachable if !node::is_out_of_reach(node, observation.now) => {
                self.plan.requeue(REQUEUE_INTERVAL);
                true
            }
            NodeState::Failed(_) => false,
            NodeState::Unreachable | NodeState::Completed | NodeState::Lost | NodeState::Unsent => {
                node.state = None;
                false
            }
        }
    }

    fn send(&mut self, node: &mut NodeStatus, snapshot: &str) {
        if in_flight(&self.status) {
            // This reconcile did not ask whose turn it is.
            self.plan.requeue(SignedDuration::ZERO);
            return;
        }
        if !self.plan.is_idle(node) {
            self.plan.requeue(REQUEUE_INTERVAL);
            return;
        }
        let attempts = node::attempts(node);
        let error = node.message.clone().filter(|_| attempts > 0);
        let provider = problem::provider(self.backup, &self.status);
        let sidecar = &self.plan.observation.sidecar;
        let permanent = error
            .as_deref()
            .is_some_and(|error| is_permanent(sidecar, provider, error));
        if attempts >= MAX_ATTEMPTS || permanent {
            self.give_up(node, snapshot, permanent);
        } else {
            self.plan.send(node, Task::Remove);
        }
    }

    /// Gives the removal up, so that its run is put back.
    fn give_up(&mut self, node: &NodeStatus, snapshot: &str, permanent: bool) {
        let pod = node::name(node);
        let error = node.message.as_deref().unwrap_or("the listing still has it");
        let attempts = node::attempts(node);
        let message = if permanent {
            format!(
                "Snapshot {snapshot} is still in the folder of {pod}: it has more than 1 000 objects of its own there, and \
                 this sidecar names all of them in one request, which S3 rejects, so it can never remove the snapshot: \
                 {error}; remove it by hand, or with lifecycle rules of the bucket"
            )
        } else {
            format!(
                "Snapshot {snapshot} is still in the folder of {pod} after {attempts} tries: {error}; the removal is \
                 retried every few minutes"
            )
        };
        self.plan.warn(Reason::SnapshotNotRemoved, message);
        self.given_up = Some(if permanent {
            format!("{pod}: more than 1 000 objects, which this sidecar can never remove")
        } else {
            format!("{pod}: {error}")
        });
        self.plan.requeue(SignedDuration::ZERO);
    }

    /// Builds the plan; `None` if the sidecar is too old, so that every snapshot stays. `acts`: true if there is something
    /// to remove soon.
    pub(super) fn finish(mut self, acts: bool, inputs: &PruneInputs) -> Option<Plan<BackupStatus>> {
        if self.unsupported && self.plan.questions.is_empty() {
            return None;
        }
        let has_begun =
            |node: &NodeStatus| node.state.is_some() || node.sent.is_some() || node.silent_since.is_some();
        let has_begun = self.retention.nodes.iter().any(has_begun);
        self.record_progress();
        let stalled = self.stalled();
        if has_begun {
            self.record();
        }
        self.report_stalled(stalled.as_ref());
        let problem = stalled.or_else(|| self.problem(inputs));
        if acts {
            self.set_problem(problem.as_ref());
            history::fit(&mut self.status);
            Some(self.plan.build(self.status))
        } else {
            self.report_problem(problem.as_ref())
        }
    }

    /// Writes the removal to the status, and its end to the events.
    fn record(&mut self) {
        let Some(run) = self.retention.removing.clone() else {
            return;
        };
        self.status.history.retain(|past| past.snapshot != run.snapshot);
        let removed = self.retention.nodes.iter().any(NodeStatus::is_completed);
        let unlisted = self
            .retention
            .nodes
            .iter()
            .any(|node| node.silent_since.is_some());
        // A run that lost a part is no good one any more, so the removal goes on as soon as its node can be listed.
        if let Some(message) = self.given_up.take().filter(|_| !(removed && unlisted)) {
            self.put_back(run, &message);
            return;
        }
        if self.retention.nodes.iter().all(NodeStatus::is_completed) {
            let message = self.removed_message(&run.snapshot);
            self.plan.notify(Reason::SnapshotRemoved, message);
            *self.retention = RetentionStatus::default();
        }
        self.status.retention = non_empty(mem::take(&mut self.retention));
        history::drop_unused(&mut self.status);
    }

    /// Puts the run of a removal that was given up back to the history.
    fn put_back(&mut self, mut run: PastRun, message: &str) {
        let retention = mem::take(&mut self.retention);
        self.status.retention = None;
        failure::record(&mut run, message, self.plan.observation.now);
        let gone = retention
            .nodes
            .iter()
            .filter(|node| node.is_completed() && !is_skipped(node));
        let gone: BTreeSet<&str> = gone.map(|node| node.host_id.as_str()).collect();
        history::put_back(&mut self.status, run, &gone);
    }
}

fn is_skipped(node: &NodeStatus) -> bool {
    node.message.as_deref() == Some(LEFT_RING)
}
