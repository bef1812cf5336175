//! `TRUNCATE`: one node empties the tables on all nodes.

use super::{RestorePlanner, STALLED_AFTER_ATTEMPTS};
use crate::api::{ABANDON_ANNOTATION, Phase, Reason, Truncation};
use crate::reconcile::plan::node;
use crate::reconcile::plan::timing::whole_seconds;
use crate::reconcile::plan::wait::Wait;

impl RestorePlanner<'_> {
    /// Runs `TRUNCATE`. Returns true if the restore entered another phase.
    pub(super) fn truncate(&mut self) -> bool {
        let Some(host_id) = self
            .status
            .truncation
            .as_ref()
            .map(|truncation| truncation.host_id.clone())
        else {
            let message =
                "status.phase is TRUNCATE and status.truncation is gone: nothing is sent until it is back";
            self.plan
                .wait_for(Wait::stalled(Reason::StatusUnreadable, message));
            return false;
        };
        self.report_repeated_rounds();
        if !self.advance_all(std::slice::from_ref(&host_id)) {
            // The chosen node left the ring, so another round has to choose another node.
            return self.is_skipped(&host_id) && self.enter_truncate();
        }
        let next = if self.status.giving_up.is_some() {
            Phase::Cleanup
        } else {
            Phase::Import
        };
        self.enter(next);
        true
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
            return false;
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
        self.status.truncation = Some(Truncation {
            begun: before.map_or(now, |before| before.begun),
            host_id,
            rounds,
            state: None,
            failed_tables: Vec::new(),
        });
        self.status.phase = Some(Phase::Truncate.as_str().to_owned());
        true
    }

    fn skipped_nodes(&mut self) -> Vec<String> {
        let mut host_ids = self.host_ids();
        host_ids.retain(|host_id| self.is_skipped(host_id));
        host_ids
    }

    /// Records the containers of every node that is not left behind. Returns false and waits if those of a node are
    /// unknown.
    fn record_containers(&mut self, left_behind: &[String]) -> bool {
        let observation = self.observation;
        let mut unknown = None;
        for node in &mut self.status.common.nodes {
            if left_behind.contains(&node.host_id) {
                continue;
            }
            let pod = node.pod.clone().unwrap_or_default();
            match observation.containers(&pod) {
                Some(containers) => node.containers = Some(containers.clone()),
                None => unknown = Some(pod),
            }
        }
        if let Some(pod) = &unknown {
            let message = format!(
                "the containers of {pod} are not known, so a restart of one could not be noticed; \
                 the restore continues when the pod is running"
            );
            self.plan.wait_for(Wait::new(Reason::PodNotRunning, message));
        }
        unknown.is_none()
    }

    /// Reports the restore as stalled after many rounds: each leaves another copy of the tables on every node.
    pub(super) fn report_repeated_rounds(&mut self) {
        let truncation = self.status.truncation.as_ref();
        let rounds = truncation.map_or(0, |truncation| truncation.rounds);
        if rounds <= STALLED_AFTER_ATTEMPTS || self.status.giving_up.is_some() {
            return;
        }
        let message = format!(
            "the tables were emptied {rounds} times, and each import failed, or a container restarted during it: read the \
             events and the logs of the sidecars; the restore retries until the annotation {ABANDON_ANNOTATION} is set"
        );
        self.plan.wait_for(Wait::stalled(Reason::RestoreRepeats, message));
    }
}
