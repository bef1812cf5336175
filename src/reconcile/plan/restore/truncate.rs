//! `TRUNCATE`: one node empties the tables on all nodes.

use super::ring::RingComparison;
use super::{RestorePlanner, STALLED_AFTER_ATTEMPTS, tables};
use crate::api::{ABANDON_ANNOTATION, Phase, Reason, Truncation, TruncationState};
use crate::icarus::NodeFailure;
use crate::reconcile::plan::node::{self, NodeState};
use crate::reconcile::plan::timing::whole_seconds;
use crate::reconcile::plan::wait::Wait;

impl RestorePlanner<'_> {
    /// Runs `TRUNCATE`. Returns true if the restore entered another phase.
    pub(super) fn truncate(&mut self) -> bool {
        let Some(host_id) = self.truncating_node() else {
            let message = "status.phase is TRUNCATE, and status.truncation or the node that it names is gone: nothing is \
                           sent until it is back";
            self.plan
                .wait_for(Wait::stalled(Reason::StatusUnreadable, message));
            return false;
        };
        let Some(state) = self.observe_truncation(&host_id) else {
            return false;
        };
        if self.ends_in_truncate(&state) {
            return true;
        }
        self.report_repeated_rounds();
        self.report_kept_tables(&host_id);
        if !self.advance_all(std::slice::from_ref(&host_id)) {
            return self.is_skipped(&host_id) && self.continue_without_truncating_node();
        }
        let next = if self.status.giving_up.is_some() {
            Phase::Cleanup
        } else {
            Phase::Import
        };
        self.enter(next);
        true
    }

    /// Returns the node that empties the tables, if the status has it.
    fn truncating_node(&mut self) -> Option<String> {
        let host_id = self.status.truncation.as_ref()?.host_id.clone();
        self.node_mut(&host_id).map(|node| node.host_id.clone())
    }

    /// Ends `TRUNCATE` for a restore that is given up, or was deleted, and needs no other `TRUNCATE`. Returns true if the
    /// restore entered another phase.
    ///
    /// Only an import leaves files that a restart of Cassandra would load into emptied tables, so the first round needs
    /// no second `TRUNCATE`. A table that could not be emptied would keep any later round from its end.
    fn ends_in_truncate(&mut self, state: &NodeState) -> bool {
        if self.is_deleted() && self.status.giving_up.is_none() && !self.may_have_emptied() {
            self.give_up_deleted();
            return true;
        }
        let may_run = matches!(
            state,
            NodeState::UnderWay | NodeState::Unreachable | NodeState::Completed
        );
        let is_partly_done = *state == NodeState::Failed(NodeFailure::TablesNotTruncated);
        let ends = self.status.giving_up.is_some() && !may_run && (self.rounds() == 1 || is_partly_done);
        if ends {
            self.enter(Phase::Cleanup);
        }
        ends
    }

    /// Continues a restore that is given up and whose truncating node left the ring: another node empties the tables, if
    /// they have to be emptied.
    fn continue_without_truncating_node(&mut self) -> bool {
        if self.rounds() == 1 {
            self.enter(Phase::Cleanup);
            return true;
        }
        self.enter_truncate()
    }

    /// Returns true if a `TRUNCATE` that is due may be sent. Before the first one that may empty a table, and after one
    /// that kept tables, the containers are recorded again, and before the first one the ring must still fit the
    /// parts that were downloaded; otherwise the restore is given up.
    pub(super) fn may_send_truncate(&mut self, host_id: &str) -> bool {
        let now = self.observation.now;
        let is_due = self
            .node_mut(host_id)
            .is_some_and(|node| node::next_attempt(node) <= now);
        if !is_due {
            return true;
        }
        if !self.may_have_emptied() && self.compare_ring() != RingComparison::Same {
            return false;
        }
        let state = self.status.truncation.as_ref().map(Truncation::state);
        let keeps_record = !matches!(
            state,
            Some(TruncationState::FailedUntouched | TruncationState::PartlyEmptied)
        );
        keeps_record || self.record_containers(&[])
    }

    /// Returns how many times the tables were emptied, or are being emptied.
    pub(super) fn rounds(&self) -> i32 {
        self.status
            .truncation
            .as_ref()
            .map_or(0, |truncation| truncation.rounds)
    }

    /// Begins `TRUNCATE`, for the first or for another round. Returns false if it has to wait.
    ///
    /// Records the containers of every node first: a comparison with them shows later if the import can be trusted.
    pub(super) fn enter_truncate(&mut self) -> bool {
        let left_behind = self.skipped_nodes();
        if !self.record_containers(&left_behind) {
            return false;
        }
        let before = self.status.truncation.take();
        let usual = before.as_ref().map(|before| before.host_id.clone());
        let usual = usual.filter(|host_id| !left_behind.contains(host_id));
        let mut others = self
            .host_ids()
            .into_iter()
            .filter(|host_id| !left_behind.contains(host_id) && !self.is_out_of_reach(host_id));
        let Some(host_id) = usual.or_else(|| others.next()) else {
            self.status.truncation = before;
            return self.end_without_nodes(&left_behind);
        };
        let now = whole_seconds(self.observation.now);
        let rounds = before
            .as_ref()
            .map_or(1, |before| before.rounds.saturating_add(1));
        if let Some(node) = self.node_mut(&host_id) {
            node::enter(node, Phase::Truncate);
            // Rounds count as attempts, so that the delay between them grows.
            node.attempts = (rounds > 1).then(|| rounds.saturating_sub(1));
            node.sent = (rounds > 1).then(|| now.clone());
        }
        if rounds > 1 {
            let message = format!("the tables are emptied again (round {rounds})");
            self.plan.notify(Reason::RestoreRepeats, message);
        }
        // Nothing was sent in the first round.
        let state = before
            .as_ref()
            .map_or(TruncationState::FailedUntouched, Truncation::state);
        let failed_tables = before
            .as_ref()
            .map(|before| before.failed_tables.clone())
            .unwrap_or_default();
        let sent_again = before.as_ref().and_then(|before| before.sent_again);
        let other_nodes = match &before {
            Some(before) => before.other_nodes.clone(),
            None => self.nodes_without_part().unwrap_or_default(),
        };
        self.status.truncation = Some(Truncation {
            sent_again,
            other_nodes,
            joined_nodes: Vec::new(),
            begun: before.map_or(now, |before| before.begun),
            host_id,
            rounds,
            state: Some(state.as_str().to_owned()),
            failed_tables,
        });
        self.status.phase = Some(Phase::Truncate.as_str().to_owned());
        true
    }

    /// Ends a restore that is given up if every node has left the ring, so that none can empty the tables. Returns false and
    /// waits if a node of the ring is out of reach.
    fn end_without_nodes(&mut self, left_behind: &[String]) -> bool {
        let host_ids = self.host_ids();
        let Some(away) = host_ids.iter().find(|host_id| !left_behind.contains(host_id)) else {
            self.enter(Phase::Cleanup);
            return true;
        };
        self.report_node_away(away);
        false
    }

    fn skipped_nodes(&mut self) -> Vec<String> {
        let mut host_ids = self.host_ids();
        host_ids.retain(|host_id| self.is_skipped(host_id));
        host_ids
    }

    /// Records the containers of every node that is not left behind. Returns false and waits if those of a node are
    /// unknown.
    fn record_containers(&mut self, left_behind: &[String]) -> bool {
        let mut all_known = true;
        for host_id in self.host_ids() {
            if left_behind.contains(&host_id) {
                continue;
            }
            let containers = self.observe_containers(&host_id);
            all_known &= containers.is_some();
            if let Some(node) = self.node_mut(&host_id).filter(|_| containers.is_some()) {
                node.containers = containers;
            }
        }
        all_known
    }

    /// Reports the restore as stalled after many rounds: each leaves another copy of the tables on every node.
    pub(super) fn report_repeated_rounds(&mut self) {
        let rounds = self.rounds();
        if rounds <= STALLED_AFTER_ATTEMPTS || self.status.giving_up.is_some() {
            return;
        }
        let message = format!(
            "the tables were emptied {rounds} times, and each import failed, or a container restarted during it: read the \
             events and the logs of the sidecars; the restore retries until the annotation {ABANDON_ANNOTATION} is set"
        );
        self.plan.wait_for(Wait::stalled(Reason::RestoreRepeats, message));
    }

    /// Reports the restore as stalled because tables could not be emptied. Nothing is imported until they are.
    fn report_kept_tables(&mut self, host_id: &str) {
        let Some(truncation) = &self.status.truncation else {
            return;
        };
        if truncation.state() != TruncationState::PartlyEmptied || self.status.giving_up.is_some() {
            return;
        }
        let kept = tables::names(&truncation.failed_tables);
        let (pod, error) = self.name_and_message(host_id);
        let error = error.unwrap_or_else(|| node::NO_REASON.to_owned());
        let message = format!(
            "TRUNCATE on {pod} could not empty {kept}, and the other tables are empty: {error}; if a table was dropped, make it \
             again, or move its folder out of the data directory on every node (its snapshot dropped-… may be the last copy \
             of its rows); TRUNCATE is retried, \
             nothing is imported before it succeeds, and the annotation {ABANDON_ANNOTATION} ends \
             the restore"
        );
        self.plan
            .wait_for(Wait::stalled(Reason::TablesNotTruncated, message));
    }
}
