//! The parts of the nodes in a phase: lost and failed operations, and their repair.

use super::cleanup::MAX_CLEANUP_ATTEMPTS;
use super::download::{MAX_DOWNLOAD_ATTEMPTS, MAX_LOST_ATTEMPTS};
use super::import::MAX_IMPORTS_WHEN_GIVEN_UP;
use super::{RestorePlanner, STALLED_AFTER_ATTEMPTS};
use crate::api::Phase;
use crate::icarus::NodeFailure;
use crate::reconcile::plan::actions::Task;
use crate::reconcile::plan::node::{self, NodeState};
use crate::reconcile::plan::timing::{POLL_INTERVAL, REQUEUE_INTERVAL, add, whole_seconds};

impl RestorePlanner<'_> {
    /// Advances the parts of these nodes. Returns true if all are done and the restore is still in the same phase.
    pub(super) fn advance_all(&mut self, host_ids: &[String]) -> bool {
        let phase = self.status.phase.clone();
        let mut all_done = true;
        for host_id in host_ids {
            let done = self.advance(host_id);
            if self.status.phase != phase {
                return false;
            }
            all_done &= done;
        }
        all_done
    }

    /// Advances the part of a node. Returns true if the node is done with the restore's phase.
    fn advance(&mut self, host_id: &str) -> bool {
        let observation = self.observation;
        let Some(node) = self.node_mut(host_id) else {
            return true;
        };
        let state = node::observe(node, observation);
        let Some(phase) = node.phase() else {
            return true;
        };
        match &state {
            NodeState::Completed => node.failing_since = None,
            NodeState::Failed(_) => {
                let now = whole_seconds(observation.now);
                node.failing_since.get_or_insert(now);
            }
            _ => {}
        }
        self.report_nodes_down(host_id, phase);
        match state {
            NodeState::Ask(question) => {
                self.plan.questions.insert(question);
                return false;
            }
            NodeState::Completed => return self.handle_completed(host_id, phase),
            NodeState::UnderWay => {
                self.report_next_attempt(host_id, phase);
                self.plan.requeue(POLL_INTERVAL);
            }
            NodeState::Unreachable => self.plan.requeue(REQUEUE_INTERVAL),
            NodeState::Lost => {
                if self.handle_lost(host_id, phase) {
                    return true;
                }
            }
            NodeState::Unsent => {
                if self.handle_unsent(host_id, phase) {
                    return true;
                }
            }
            NodeState::Failed(failure) => {
                let before = self.status.giving_up.clone();
                let done = self.handle_failed(host_id, phase, &failure);
                if done || self.status.giving_up != before {
                    return done;
                }
            }
        }
        // No restore waits for ever for the cleanup of a node.
        (phase == Phase::Cleanup && self.cleanup_timed_out())
            || self.is_hanging_in_cleanup(host_id)
            || self.continues_without(host_id)
    }

    /// Returns true if the last cleanup of a node is under way for longer than an operation may take without progress. No
    /// row depends on it, and what begins next on the cluster waits until its sidecar is idle.
    fn is_hanging_in_cleanup(&mut self, host_id: &str) -> bool {
        let (now, timeout) = (self.observation.now, self.observation.no_progress_timeout);
        let is_last = self.status.phase() == Some(Phase::Cleanup);
        let node = self.node_mut(host_id).filter(|node| is_last && node.is_active());
        let sent = node.and_then(|node| node.sent.as_ref());
        sent.is_some_and(|sent| add(sent, timeout) <= now)
    }

    /// Sends the task of a phase that the node has not got. Reports addresses that stay those of other nodes. Returns true if
    /// the node counts as done all the same.
    fn handle_unsent(&mut self, host_id: &str, phase: Phase) -> bool {
        let node = self.node_mut(host_id);
        let failing = node.filter(|node| node.failing_since.is_some() && node.silent_since.is_none());
        let attempts = failing.map_or(0, |node| node::attempts(node));
        if self.ends_without_success(attempts) {
            return true;
        }
        if attempts >= STALLED_AFTER_ATTEMPTS {
            self.report_failing_node(host_id, phase);
        }
        self.send_task(host_id, phase);
        false
    }

    /// Handles an operation that the sidecar does not know any more. Returns true if the node counts as done all the same.
    fn handle_lost(&mut self, host_id: &str, phase: Phase) -> bool {
        let untouched = !self.may_have_emptied();
        let now = self.observation.now;
        let (mut attempts, mut silent_since) = (0, None);
        if let Some(node) = self.node_mut(host_id) {
            silent_since = node.silent_since.take();
            attempts = node::attempts(node);
            if attempts >= STALLED_AFTER_ATTEMPTS {
                node.message = Some(node::LOSES_OPERATIONS.to_owned());
                node.failing_since.get_or_insert_with(|| whole_seconds(now));
            }
        }
        if self.ends_without_success(attempts) {
            return true;
        }
        if untouched && self.status.giving_up.is_none() && attempts >= MAX_LOST_ATTEMPTS {
            let failure = NodeFailure::Other(node::LOSES_OPERATIONS.to_owned());
            self.give_up_because_of(host_id, &failure);
            return false;
        }
        if attempts >= STALLED_AFTER_ATTEMPTS {
            self.report_failing_node(host_id, phase);
        }
        if phase == Phase::Download {
            self.restart_download(host_id);
        } else {
            self.send_task(host_id, phase);
        }
        // The sidecar that answers may be that of another node, which runs in the pod now.
        if let Some(node) = self.node_mut(host_id)
            && node.silent_since.is_some()
        {
            node.silent_since = silent_since.or_else(|| node.silent_since.take());
        }
        false
    }

    /// Returns true if a node with this many attempts counts as done although its operation did not succeed: in the last
    /// cleanup, on which no row depends, and in the import of a restore that is given up.
    fn ends_without_success(&self, attempts: i32) -> bool {
        match self.status.phase() {
            Some(Phase::Cleanup) => attempts >= MAX_CLEANUP_ATTEMPTS || self.cleanup_timed_out(),
            Some(Phase::Import) => self.status.giving_up.is_some() && attempts >= MAX_IMPORTS_WHEN_GIVEN_UP,
            _ => false,
        }
    }

    /// Handles a completed operation. Returns true if it was the one of the restore's phase, and not a repair.
    fn handle_completed(&mut self, host_id: &str, phase: Phase) -> bool {
        match (self.status.phase(), phase) {
            (Some(Phase::Download | Phase::Import), Phase::Cleanup) => {
                self.enter_repair(host_id, Phase::Download);
            }
            (Some(Phase::Import), Phase::Download) => self.enter_repair(host_id, Phase::Import),
            (Some(Phase::Import), Phase::Refresh) => return self.refresh_next_table(host_id),
            _ => return true,
        }
        false
    }

    /// Handles a failed operation. Returns true if the node counts as done all the same.
    fn handle_failed(&mut self, host_id: &str, phase: Phase, failure: &NodeFailure) -> bool {
        let untouched = !self.may_have_emptied();
        let given_up = self.status.giving_up.is_some();
        let attempts = self.node_mut(host_id).map_or(0, |node| node::attempts(node));
        if attempts >= STALLED_AFTER_ATTEMPTS && !untouched && !given_up {
            self.report_failing_node(host_id, phase);
        }
        let is_down = *failure == NodeFailure::NodesDown;
        if !is_down && self.ends_without_success(attempts) {
            return true;
        }
        match (phase, failure) {
            (_, NodeFailure::NodesDown) => self.retry_while_nodes_are_down(host_id, phase),
            (_, NodeFailure::TwoRestores) | (Phase::Truncate, NodeFailure::TablesNotTruncated) => {
                if attempts >= STALLED_AFTER_ATTEMPTS {
                    self.report_failing_node(host_id, phase);
                }
                self.send_task(host_id, phase);
            }
            (Phase::Init, _)
            | (
                Phase::Download,
                NodeFailure::NoManifest | NodeFailure::TokensDiffer | NodeFailure::TableMissing,
            ) if untouched => self.give_up_because_of(host_id, failure),
            (Phase::Download | Phase::Cleanup, _)
                if untouched && !given_up && attempts >= MAX_DOWNLOAD_ATTEMPTS =>
            {
                self.give_up_because_of(host_id, failure);
            }
            (Phase::Download, NodeFailure::DownloadCorrupt) => self.restart_download(host_id),
            (Phase::Import, NodeFailure::FilesMissing) => self.enter_repair(host_id, Phase::Download),
            (Phase::Import, NodeFailure::HardlinkingFailed) => self.refresh(host_id),
            (Phase::Import | Phase::Refresh, NodeFailure::CorruptCannotImport) => {
                self.report_failing_node(host_id, phase);
                if phase == Phase::Refresh {
                    self.return_to_import(host_id);
                }
                self.send_task(host_id, Phase::Import);
            }
            (_, _) => {
                if attempts >= STALLED_AFTER_ATTEMPTS {
                    self.report_failing_node(host_id, phase);
                }
                self.send_task(host_id, phase);
            }
        }
        false
    }

    /// Sends the task of a phase to a node if its next attempt is due.
    pub(super) fn send_task(&mut self, host_id: &str, phase: Phase) {
        if phase == Phase::Truncate && !self.may_send_truncate(host_id) {
            return;
        }
        let keep_truncated = !self.may_delete_copies();
        let nodes = &mut self.status.common.nodes;
        let Some(node) = nodes.iter_mut().find(|node| node.host_id == host_id) else {
            return;
        };
        let task = match phase {
            Phase::Cleanup => Task::Cleanup { keep_truncated },
            Phase::Refresh => Task::Refresh {
                table: node.table.clone().unwrap_or_default(),
            },
            phase => Task::Phase(phase),
        };
        self.plan.send(node, task);
        if phase == Phase::Truncate {
            self.record_truncate_request(host_id);
        }
    }

    /// Begins another phase on one node for a repair.
    pub(super) fn enter_repair(&mut self, host_id: &str, phase: Phase) {
        if let Some(node) = self.node_mut(host_id) {
            node::enter_repair(node, phase);
        }
        self.send_task(host_id, phase);
    }

    /// Returns from a refresh to the import. Keeps the error message and the retry delay.
    fn return_to_import(&mut self, host_id: &str) {
        if let Some(node) = self.node_mut(host_id) {
            node.phase = Some(Phase::Import.as_str().to_owned());
        }
    }
}
