//! The planning side of an object: its plan, what has to be observed for it, and its next wake-up.

use jiff::{SignedDuration, Timestamp};

use super::reconciled::ReconciledObject;
use crate::api::{BackupStatus, CassandraBackup, CassandraRestore, RestoreStatus};
use crate::reconcile::plan::conflict::RunStatus;
use crate::reconcile::plan::prune::{self, PruneInputs};
use crate::reconcile::plan::restore::RestoreInputs;
use crate::reconcile::plan::schedule::{self, NextRun};
use crate::reconcile::plan::{self, Observation, Plan, readiness};

/// The time after which a scheduled run that is due reports that it waits for its turn.
const QUEUE_REPORT_DELAY: SignedDuration = SignedDuration::from_secs(30);

/// An object whose next step can be planned.
pub(in crate::reconcile) trait Plannable: ReconciledObject {
    /// Plans the next step. Each kind reads its own inputs and ignores those of the other kind.
    fn plan(
        &self,
        observation: &Observation<'_>,
        restore_inputs: &RestoreInputs,
        prune_inputs: &PruneInputs,
    ) -> Plan<Self::Status>;

    /// Returns when the object has to be reconciled next if it does not change.
    fn next_wake(&self, _now: Timestamp) -> NextRun {
        let is_over = self.status().is_some_and(|status| status.common().is_terminal());
        let has_finalizer = plan::has_finalizer(Self::FINALIZER, self.meta());
        if is_over && !has_finalizer && !self.is_contested() {
            NextRun::Never
        } else {
            NextRun::Now
        }
    }

    /// Returns the time until which a wait for the turn in the queue needs no report; `None` if it is reported at once.
    fn queue_report_due(&self, _now: Timestamp) -> Option<Timestamp> {
        None
    }

    /// Returns true if the plan needs the nodes of the cluster. A backup that waits for the next time of its schedule
    /// does not, and there may be ten thousand of those.
    fn needs_nodes(&self, _now: Timestamp) -> bool {
        true
    }

    /// Returns true if the plan needs a live list of the restores of the namespace: they decide which snapshots have to
    /// stay.
    fn needs_restores(&self, _now: Timestamp) -> bool {
        false
    }
}

impl Plannable for CassandraBackup {
    fn plan(
        &self,
        observation: &Observation<'_>,
        _: &RestoreInputs,
        prune_inputs: &PruneInputs,
    ) -> Plan<BackupStatus> {
        let prune_plan = if readiness::is_news(self, observation) {
            None
        } else {
            prune::plan(self, observation, prune_inputs)
        };
        prune_plan.unwrap_or_else(|| plan::backup::plan(self, observation))
    }

    fn next_wake(&self, now: Timestamp) -> NextRun {
        if self.is_contested() || prune::is_needed(self, now) {
            return NextRun::Now;
        }
        if self.spec.is_scheduled() {
            return schedule::next_run(self, now);
        }
        let is_deleted = self.metadata.deletion_timestamp.is_some();
        if self.is_terminal() && !(is_deleted && schedule::has_schedule_finalizer(self)) {
            NextRun::Never
        } else {
            NextRun::Now
        }
    }

    /// Many scheduled backups are due at one instant and wait for each other for seconds. Two writes for each of them
    /// would make all of them later, and be out of date when a person reads them.
    fn queue_report_due(&self, now: Timestamp) -> Option<Timestamp> {
        let is_deleted = self.metadata.deletion_timestamp.is_some();
        let due = schedule::due(self, now).filter(|_| !is_deleted)?;
        due.checked_add(QUEUE_REPORT_DELAY).ok()
    }

    fn needs_nodes(&self, now: Timestamp) -> bool {
        let waits_for_schedule = self.spec.is_scheduled() && schedule::due(self, now).is_none();
        !waits_for_schedule || self.run_has_started() || self.is_contested() || prune::is_needed(self, now)
    }

    fn needs_restores(&self, now: Timestamp) -> bool {
        !self.run_has_started() && prune::is_needed(self, now)
    }
}

impl Plannable for CassandraRestore {
    fn plan(
        &self,
        observation: &Observation<'_>,
        restore_inputs: &RestoreInputs,
        _: &PruneInputs,
    ) -> Plan<RestoreStatus> {
        plan::restore::plan(self, observation, restore_inputs)
    }
}
