//! The conditions of a backup that waits or is under way.

use jiff::SignedDuration;

use super::BackupPlanner;
use crate::api::{BackupStatus, Reason};
use crate::reconcile::plan::actions::Plan;
use crate::reconcile::plan::conditions::{self, Progress};
use crate::reconcile::plan::wait::Wait;
use crate::reconcile::plan::{history, no_progress, node, readiness};

impl BackupPlanner<'_> {
    /// Writes the conditions and builds the plan.
    pub(super) fn finish(mut self) -> Plan<BackupStatus> {
        if !self.plan.questions.is_empty() {
            return self.plan.build(self.status);
        }
        self.record_progress();
        let common = &self.status.common;
        let begun = common.has_started() || !common.nodes.is_empty();
        let runs = begun && !common.is_terminal();
        let scheduled = self.backup.spec.is_scheduled();
        if runs || (!scheduled && !common.is_terminal()) {
            self.report_run();
        } else if scheduled && !self.is_deleted() {
            self.report_schedule();
        }
        history::fit(&mut self.status);
        self.plan.build(self.status)
    }

    /// Records since when the run under way, or the one that is due, makes no progress.
    fn record_progress(&mut self) {
        let stored = self.backup.status.as_ref();
        let moved = stored.is_some_and(|stored| stored.snapshot_tag != self.status.snapshot_tag);
        no_progress::record(
            stored.map(|stored| &stored.common),
            &mut self.status.common,
            self.plan.wait.as_ref(),
            moved,
            self.plan.observation.now,
        );
    }

    /// Reports that no run is under way: the next one waits for its turn, or for its time.
    fn report_schedule(&mut self) {
        let now = self.plan.observation.now;
        let next = self.status.next_schedule_time.as_ref().map(|next| next.0);
        // A run that is due and waits is requeued as its wait asks for.
        if let Some(next) = next.filter(|next| *next > now || self.plan.wait.is_none()) {
            let after = next.duration_since(now).max(SignedDuration::ZERO);
            self.plan.requeue(after);
        }
        let progress = match (self.plan.wait.take(), next) {
            (Some(wait), _) => Progress::Waiting(wait),
            (None, _) if self.backup.spec.suspend == Some(true) => readiness::suspended(),
            (None, Some(next)) => {
                readiness::armed(self.backup, &mut self.plan, &mut self.status.common, next)
            }
            (None, None) => {
                let message = "spec.schedule has no time in the next five years; correct it";
                Progress::Waiting(Wait::stalled(Reason::NeverDue, message))
            }
        };
        let generation = self.backup.metadata.generation;
        conditions::set_progress(
            &mut self.status.common,
            generation,
            &progress,
            self.plan.observation,
        );
    }

    /// Reports the wait or the progress of a run.
    fn report_run(&mut self) {
        let now = self.plan.observation.now;
        let generation = self.backup.metadata.generation;
        let wait = self.plan.wait.take();
        let common = &mut self.status.common;
        if common.nodes.is_empty() {
            if let Some(wait) = wait {
                conditions::set_progress(
                    common,
                    generation,
                    &Progress::Waiting(wait),
                    self.plan.observation,
                );
            }
            return;
        }
        conditions::set_running(common, now);
        common.progress = Some(node::percent(node::mean_progress(common.nodes.iter())));
        let done = common.nodes.iter().filter(|node| node.is_completed()).count();
        let progress = wait.map_or_else(
            || Progress::Running {
                reason: Reason::Uploading,
                message: format!("{done} of {} nodes are done", common.nodes.len()),
            },
            Progress::Waiting,
        );
        conditions::set_progress(common, generation, &progress, self.plan.observation);
    }
}
