//! The conditions of a restore that waits or is under way.

use super::RestorePlanner;
use crate::api::{ABANDON_ANNOTATION, NodeStatus, Phase, Reason, RestoreStatus};
use crate::reconcile::plan::actions::Plan;
use crate::reconcile::plan::conditions::{self, Progress};
use crate::reconcile::plan::wait::Wait;
use crate::reconcile::plan::{no_progress, node};

impl RestorePlanner<'_> {
    /// Writes the conditions and builds the plan.
    pub(super) fn finish(mut self) -> Plan<RestoreStatus> {
        if self.plan.questions.is_empty() && !self.status.common.is_terminal() {
            self.record_progress();
            self.report();
        }
        self.plan.build(self.status)
    }

    /// Records since when the restore makes no progress.
    fn record_progress(&mut self) {
        let stored = self.restore.status.as_ref();
        let moved = stored.is_some_and(|stored| {
            stored.phase != self.status.phase || stored.giving_up.is_some() != self.status.giving_up.is_some()
        });
        no_progress::record(
            stored.map(|stored| &stored.common),
            &mut self.status.common,
            self.plan.wait.as_ref(),
            moved,
            self.observation.now,
        );
    }

    fn report(&mut self) {
        let now = self.observation.now;
        let observation = self.observation;
        let generation = self.restore.metadata.generation;
        if self.status.phase.is_none() {
            if let Some(wait) = self.plan.wait.take() {
                let progress = Progress::Waiting(wait);
                conditions::set_progress(&mut self.status.common, generation, &progress, observation);
            }
            return;
        }
        conditions::set_running(&mut self.status.common, now);
        self.status.common.progress = Some(self.percent());
        let wait = self.plan.wait.take().map(|wait| self.with_remedy(wait));
        let progress = match wait {
            Some(wait) if wait.stalled => Progress::Stalled(wait),
            Some(wait) => Progress::Waiting(wait),
            None => Progress::Running {
                reason: self.reason(),
                message: self.message(),
            },
        };
        conditions::set_progress(&mut self.status.common, generation, &progress, observation);
    }

    /// Returns the wait with the remedy for a restore that may have emptied tables, if it has reached its limit: to delete
    /// such a restore does not end it.
    fn with_remedy(&self, wait: Wait) -> Wait {
        let remedy = match wait.reason {
            Reason::NodeNotFound => format!(
                "start the Cassandra of that node; if it left the ring for good, set the annotation {ABANDON_ANNOTATION}, which \
                 ends the restore"
            ),
            Reason::ClusterNotFound => "create the CassandraCluster again".to_owned(),
            _ => return wait,
        };
        if self.may_have_emptied() {
            wait.bounded_with(&remedy, &self.status.common, self.observation)
        } else {
            wait
        }
    }

    fn reason(&self) -> Reason {
        match self.status.phase() {
            Some(Phase::Init) => Reason::Initializing,
            Some(Phase::Download) => Reason::Downloading,
            Some(Phase::Truncate) => Reason::Truncating,
            Some(Phase::Import | Phase::Refresh) => Reason::Importing,
            _ => Reason::CleaningUp,
        }
    }

    /// Returns how many nodes are done with the phase, and the errors of the others.
    fn message(&self) -> String {
        let nodes = &self.status.common.nodes;
        let phase = self.status.phase.as_deref().unwrap_or_default();
        let is_in_phase = |node: &NodeStatus| node.phase.as_deref() == Some(phase);
        // Only one node truncates.
        let participants = nodes
            .iter()
            .filter(|node| phase != Phase::Truncate.as_str() || is_in_phase(node));
        let (mut all, mut done, mut errors) = (0_usize, 0_usize, Vec::new());
        for node in participants {
            all += 1;
            if is_in_phase(node) && node.is_completed() {
                done += 1;
            } else if let Some(error) = &node.message {
                errors.push(format!("{}: {error}", node::name(node)));
            }
        }
        let mut message = format!("{phase}: {done} of {all} nodes are done");
        if let Some(giving_up) = &self.status.giving_up {
            message = format!("given up ({}); {message}", giving_up.message);
        }
        for error in errors {
            message.push_str("; ");
            message.push_str(&error);
        }
        message
    }

    /// Returns the progress of the restore. Each phase has a share, by the time that it takes for small tables.
    fn percent(&self) -> String {
        let (from, share) = match self.status.phase() {
            Some(Phase::Download) => (0.05, 0.55),
            Some(Phase::Truncate) => (0.60, 0.10),
            Some(Phase::Import) => (0.70, 0.25),
            Some(Phase::Cleanup) => (0.95, 0.04),
            _ => (0.0, 0.05),
        };
        let phase = self.status.phase.as_deref();
        let nodes = self.status.common.nodes.iter();
        let in_phase = nodes.filter(|node| node.phase.as_deref() == phase);
        node::percent(from + share * node::mean_progress(in_phase))
    }
}
