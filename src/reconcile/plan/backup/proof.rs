//! The proof of a part by a download: `CLEANUP`, `INIT`, `DOWNLOAD` and `CLEANUP` on its node.
//!
//! A sidecar that writes to a directory (`file://`) skips every file that exists, even one that a killed sidecar cut
//! short, and reports COMPLETED (observed on 2.0.4). Only `DOWNLOAD` compares the hashes. No table is touched by these
//! phases, and the copies of emptied tables are kept.

use jiff::SignedDuration;

use super::BackupPlanner;
use crate::api::{NodeStatus, Phase};
use crate::icarus::NodeFailure;
use crate::reconcile::plan::actions::Task;
use crate::reconcile::plan::node::{self, NodeState};
use crate::reconcile::plan::timing::{POLL_INTERVAL, REQUEUE_INTERVAL, add, whole_seconds};

/// Maximum number of requests of a proof. An undisturbed proof takes four.
const MAX_PROOF_REQUESTS: i32 = 12;

/// Maximum number of attempts at the last `CLEANUP`.
const MAX_CLEANUP_ATTEMPTS: i32 = 8;

/// The time for which a proof is retried while a node of the ring is down.
const FAILING_TIMEOUT: SignedDuration = SignedDuration::from_mins(15);

impl BackupPlanner<'_> {
    /// Begins the proof of a node's part. Returns false: the node is not done.
    pub(super) fn begin_proof(&mut self, node: &mut NodeStatus) -> bool {
        node.unproven = Some(true);
        node.proof_error = None;
        node.failing_since = None;
        // The count of requests continues, so that a part that never gets a manifest is given up.
        self.enter_proof(node, Phase::Cleanup);
        false
    }

    /// Advances the proof of a node's part, which is in this phase. Returns true if the node is done.
    pub(super) fn advance_proof(
        &mut self,
        node: &mut NodeStatus,
        (phase, state): (Phase, NodeState),
        upload: Task,
    ) -> bool {
        let now = self.plan.observation.now;
        match state {
            NodeState::Ask(question) => {
                self.plan.questions.insert(question);
            }
            NodeState::UnderWay => self.plan.requeue(POLL_INTERVAL),
            NodeState::Unreachable if node::is_out_of_reach(node, now) => {
                let message = node::out_of_reach_message(node);
                return end_failed_proof(node, message);
            }
            NodeState::Unreachable => self.plan.requeue(REQUEUE_INTERVAL),
            NodeState::Unsent => return self.send_unsent_proof(node, phase),
            NodeState::Completed => return self.handle_proof_step(node, phase),
            NodeState::Lost => {
                node.silent_since = None;
                // A file of an interrupted download is not downloaded again.
                return self.repeat_proof(node, node::LOSES_OPERATIONS);
            }
            NodeState::Failed(failure) => return self.handle_proof_failure(node, (phase, &failure), upload),
        }
        false
    }

    /// Handles a completed phase of the proof. Returns true if the node is done.
    fn handle_proof_step(&mut self, node: &mut NodeStatus, phase: Phase) -> bool {
        node.failing_since = None;
        match (phase, node.unproven, node.proof_error.clone()) {
            (Phase::Cleanup, Some(true), None) => self.enter_proof(node, Phase::Init),
            (Phase::Cleanup, _, error) => {
                end_proof(node, error.as_deref().unwrap_or_default());
                return true;
            }
            (Phase::Init, ..) => self.enter_proof(node, Phase::Download),
            _ => {
                node.unproven = None;
                self.enter_last_cleanup(node);
            }
        }
        false
    }

    /// Handles a failed phase of the proof. Returns true if the node is done.
    fn handle_proof_failure(
        &mut self,
        node: &mut NodeStatus,
        (phase, failure): (Phase, &NodeFailure),
        upload: Task,
    ) -> bool {
        let message = node.message.clone().unwrap_or_else(|| node::NO_REASON.to_owned());
        match (phase, failure) {
            (Phase::Cleanup, _) if node::attempts(node) >= MAX_CLEANUP_ATTEMPTS => {
                let error = node.proof_error.take().unwrap_or(message);
                end_proof(node, &error);
                return true;
            }
            (Phase::Cleanup, _) => {
                self.send_proof(node, Phase::Cleanup);
            }
            // The upload ended before its manifest. The same tag is sent again, and then proven.
            (Phase::Init, NodeFailure::NoManifest) if node::attempts(node) < MAX_PROOF_REQUESTS => {
                node::enter_repair(node, Phase::Backup);
                return self.send_or_cancel(node, upload);
            }
            (_, NodeFailure::NodesDown | NodeFailure::TwoRestores | NodeFailure::CassandraUnreachable) => {
                let now = self.plan.observation.now;
                let since = node.failing_since.get_or_insert_with(|| whole_seconds(now));
                if add(since, FAILING_TIMEOUT) <= now {
                    self.fail_proof(node, message);
                } else {
                    self.send_proof(node, phase);
                }
            }
            _ => self.fail_proof(node, message),
        }
        false
    }

    /// Repeats the proof from its first phase, or its last cleanup, unless it has been tried too often. Returns true if the
    /// node is done.
    fn repeat_proof(&mut self, node: &mut NodeStatus, error: &str) -> bool {
        let is_open = node.unproven == Some(true) && node.proof_error.is_none();
        let attempts = node::attempts(node);
        if is_open && attempts >= MAX_PROOF_REQUESTS {
            self.fail_proof(node, error.to_owned());
        } else if !is_open && attempts >= MAX_CLEANUP_ATTEMPTS {
            let error = node.proof_error.take().unwrap_or_default();
            end_proof(node, &error);
            return true;
        } else {
            self.enter_proof(node, Phase::Cleanup);
        }
        false
    }

    /// Enters a phase of the proof. The count of requests continues.
    fn enter_proof(&mut self, node: &mut NodeStatus, phase: Phase) {
        node::enter_repair(node, phase);
        self.send_proof(node, phase);
    }

    /// Ends the proof with this error, after the downloads are deleted.
    fn fail_proof(&mut self, node: &mut NodeStatus, error: String) {
        node.proof_error = Some(error);
        self.enter_last_cleanup(node);
    }

    fn enter_last_cleanup(&mut self, node: &mut NodeStatus) {
        node::enter(node, Phase::Cleanup);
        self.send_proof(node, Phase::Cleanup);
    }

    /// Sends a phase of the proof that the node has not got, unless all attempts of 15 minutes failed. Returns true if the
    /// node is done.
    fn send_unsent_proof(&mut self, node: &mut NodeStatus, phase: Phase) -> bool {
        if let Some(error) = node::unsent_error(node) {
            return end_failed_proof(node, error);
        }
        let is_located = self.send_proof(node, phase);
        if is_located || !node::is_out_of_reach(node, self.plan.observation.now) {
            return false;
        }
        let message = node::out_of_reach_message(node);
        end_failed_proof(node, message)
    }

    /// Sends a phase of the proof. Returns false if the node has no known address.
    fn send_proof(&mut self, node: &mut NodeStatus, phase: Phase) -> bool {
        let task = match phase {
            Phase::Cleanup => Task::Cleanup { keep_truncated: true },
            phase => Task::Phase(phase),
        };
        self.plan.send(node, task)
    }
}

/// Ends a proof with its error, or else with this one. Returns true: the node is done.
fn end_failed_proof(node: &mut NodeStatus, error: String) -> bool {
    let error = node.proof_error.take().unwrap_or(error);
    end_proof(node, &error);
    true
}

/// Records the outcome of the proof: the part is proven, or this is the error.
fn end_proof(node: &mut NodeStatus, error: &str) {
    node.phase = Some(Phase::Backup.as_str().to_owned());
    node.failing_since = None;
    node.proof_error = None;
    if node.unproven == Some(true) {
        node::record_failure(node, error);
        node.proof_error = Some(error.to_owned());
    } else {
        node::record_completed(node);
    }
}
