//! `IMPORT`: every node imports its files into the emptied tables.

use super::RestorePlanner;
use crate::api::{Phase, Reason};
use crate::reconcile::plan::observation::{Answer, OperationReport, Question};
use crate::reconcile::plan::timing::POLL_INTERVAL;
use crate::reconcile::plan::wait::Wait;

/// Maximum number of attempts at an import of a restore that is given up.
pub(super) const MAX_IMPORTS_WHEN_GIVEN_UP: i32 = 3;

impl RestorePlanner<'_> {
    /// Runs `IMPORT`. Returns true if the restore entered another phase.
    pub(super) fn import(&mut self) -> bool {
        self.report_repeated_rounds();
        if !self.advance_all(&self.host_ids()) {
            return false;
        }
        let mut nodes = self.status.common.nodes.iter();
        let refreshed = nodes.any(|node| node.phase() == Some(Phase::Refresh));
        if refreshed || self.status.giving_up.is_some() {
            return self.enter_truncate();
        }
        match self.is_undisturbed() {
            Some(true) => {
                let is_known = self.record_joined_nodes();
                if is_known {
                    self.enter(Phase::Cleanup);
                }
                is_known
            }
            Some(false) => self.enter_truncate(),
            None => false,
        }
    }

    /// Returns true if nothing between `TRUNCATE` and the end of the import can have cost rows: no container restarted,
    /// and no late `TRUNCATE` ran. `None`: that is not known yet.
    fn is_undisturbed(&mut self) -> Option<bool> {
        let mut restarted = false;
        for host_id in self.host_ids() {
            let containers = self.observe_containers(&host_id)?;
            let recorded = self.node_mut(&host_id).and_then(|node| node.containers.clone());
            restarted |= recorded != Some(containers);
        }
        if restarted {
            return Some(false);
        }
        self.has_no_stray_truncation()
    }

    /// Returns true if the sidecar of the truncating node reports no `TRUNCATE` beside those in `past_operations`. One
    /// that was counted as lost may have run late and emptied imported tables.
    fn has_no_stray_truncation(&mut self) -> Option<bool> {
        let host_id = self.status.truncation.as_ref()?.host_id.clone();
        let pod = self.node_mut(&host_id)?.pod.clone()?;
        let question = Question::Sent {
            pod: pod.clone(),
            phase: Phase::Truncate,
        };
        match self.observation.answer(&question) {
            None => {
                self.plan.questions.insert(question);
                None
            }
            Some(Answer::Operations(operations)) => {
                let node = self.node_mut(&host_id)?;
                let strays = operations
                    .iter()
                    .filter(|operation| !node.past_operations.contains(&operation.id));
                let strays: Vec<_> = strays.cloned().collect();
                if strays.iter().any(OperationReport::is_active) {
                    self.plan.requeue(POLL_INTERVAL);
                    return None;
                }
                let undisturbed = strays.is_empty();
                node.past_operations
                    .extend(strays.into_iter().map(|stray| stray.id));
                Some(undisturbed)
            }
            Some(_) => {
                let message = format!("the sidecar of {pod} does not list its operations; it is asked again");
                self.plan.wait_for(Wait::new(Reason::SidecarUnreachable, message));
                None
            }
        }
    }
}
