//! A removal whose operation makes no progress.

use jiff::Timestamp;

use super::PrunePlanner;
use crate::api::conditions::STALLED;
use crate::api::{NodeStatus, Reason, RetentionStatus};
use crate::reconcile::plan::conditions::{self, Progress};
use crate::reconcile::plan::timing::{add, whole_seconds};
use crate::reconcile::plan::wait::Wait;
use crate::reconcile::plan::{no_progress, node, readiness};

/// Replaces the times of a removal that are in the future by now.
pub(super) fn correct_times(retention: &mut RetentionStatus, now: Timestamp) {
    no_progress::correct_node_times(&mut retention.nodes, now);
    if let Some(time) = &mut retention.no_progress_since {
        no_progress::correct_time(time, now);
    }
}

impl PrunePlanner<'_> {
    /// Records since when the operation under way makes no progress.
    pub(super) fn record_progress(&mut self) {
        if !self.retention.is_in_flight() {
            self.retention.no_progress_since = None;
            return;
        }
        let stored = self.backup.status.as_ref();
        let stored = stored.and_then(|status| status.retention.as_deref());
        let has_advanced =
            stored.is_none_or(|stored| no_progress::nodes_advanced(&stored.nodes, &self.retention.nodes));
        let since = self.retention.no_progress_since.take();
        let now = self.plan.observation.now;
        let since = since.filter(|_| !has_advanced);
        self.retention.no_progress_since = Some(since.unwrap_or_else(|| whole_seconds(now)));
    }

    /// Returns the wait of a removal whose operation has not advanced for as long as it may; `None` if it has.
    pub(super) fn stalled(&self) -> Option<Wait> {
        let observation = self.plan.observation;
        let since = self.retention.no_progress_since.as_ref()?;
        if add(since, observation.no_progress_timeout) > observation.now {
            return None;
        }
        let node = self
            .retention
            .nodes
            .iter()
            .find(|node| NodeStatus::is_active(node))?;
        let pod = node::name(node);
        let operation = node.operation.as_deref().unwrap_or("unknown");
        let message = format!(
            "neither the state nor the progress of the removal has changed since {}: REMOVE on {pod} at {} (operation \
             {operation}); nothing else begins on the cluster, not even the next run of this schedule, because an upload beside \
             a removal could lose files that both share; read the log of the container backrest-sidecar of {pod}; if the \
             operation hangs, restart that container, which ends the operation: the removal and the schedule then continue",
            since.0,
            node.progress.as_deref().unwrap_or("0%")
        );
        Some(Wait::stalled(Reason::NoProgress, message))
    }

    /// Reports the schedule as stalled while a removal makes no progress, and as armed again afterwards.
    pub(super) fn report_stalled(&mut self, stalled: Option<&Wait>) {
        let common = &mut self.status.common;
        let reported = common.true_condition(STALLED);
        let was_stalled = reported.is_some_and(|reported| Reason::NoProgress == *reported.reason);
        let next = self.status.next_schedule_time.as_ref().map(|next| next.0);
        let progress = match (stalled, next) {
            (Some(stalled), _) => {
                if !was_stalled {
                    self.plan.warn(Reason::NotReady, stalled.message.clone());
                }
                Progress::Armed {
                    ready: false,
                    stalled: true,
                    reason: stalled.reason,
                    message: stalled.message.clone(),
                }
            }
            (None, _) if !was_stalled => return,
            (None, Some(next)) => readiness::armed(self.backup, &mut self.plan, common, next),
            (None, None) => readiness::suspended(),
        };
        let generation = common.observed_generation;
        conditions::set_progress(common, generation, &progress, self.plan.observation);
    }
}
