//! The schedule, and the begin of a run.

use jiff::Timestamp;

use super::BackupPlanner;
use crate::api::{BackRestStatus, BackupRun, CassandraBackupSpec, Phase, Reason};
use crate::domain::resolved_tag::ResolvedTag;
use crate::domain::schema_version::SchemaVersion;
use crate::domain::snapshot_tag::SnapshotTag;
use crate::reconcile::plan::ring::{RingCheck, RingScope};
use crate::reconcile::plan::schedule::{self, Slot};
use crate::reconcile::plan::wait::Wait;
use crate::reconcile::plan::{conflict, node};

impl BackupPlanner<'_> {
    /// Advances the schedule, and then the run under way, or begins the due one.
    pub(super) fn reconcile_schedule(&mut self) {
        let runs = schedule::is_under_way(&self.status.common);
        let slot = if self.is_deleted() {
            Ok(Slot::default())
        } else {
            schedule::advance(self.backup, &mut self.status, self.plan.observation.now)
        };
        let slot = slot.unwrap_or_else(|wait| {
            // A run under way keeps the spec that it began with.
            self.plan.wait = Some(wait).filter(|_| !runs);
            Slot::default()
        });
        self.warn_of_missed_runs(slot.missed);
        self.replaced = slot.replaces;
        if runs {
            self.reconcile_run();
        } else if let Some(due) = slot.due {
            self.begin_due(due);
        }
    }

    fn warn_of_missed_runs(&mut self, missed: i64) {
        if missed > 0 {
            let all = self.status.missed_runs.unwrap_or_default();
            let message = format!(
                "{missed} runs were due and did not take place, {all} since the schedule was last changed"
            );
            self.plan.warn(Reason::RunMissed, message);
        }
    }

    fn begin_due(&mut self, due: Timestamp) {
        if let Some(stop) = &self.plan.observation.stop {
            self.plan.wait_for(stop.clone());
        } else if self.begin() {
            schedule::record_begin(self.backup, &mut self.status, due);
        }
    }

    /// Begins a run if nothing keeps it from beginning. Returns true if it begins.
    pub(super) fn begin(&mut self) -> bool {
        let generation = self.backup.metadata.generation;
        if !self.plan.may_begin(&mut self.status.common, generation) {
            return false;
        }
        let spec = &self.backup.spec;
        let Some(left_out) = self.nodes_left_out() else {
            return false;
        };
        let Some(mut nodes) = self.plan.participants(spec.datacenter.as_deref()) else {
            return false;
        };
        let Some(ring) = self.plan.ring() else {
            return false;
        };
        let now = self.plan.observation.now;
        let tag = match resolve_tag(spec, ring.schema.as_ref(), now) {
            Ok(tag) => tag,
            Err(wait) => {
                self.plan.wait_for(wait);
                return false;
            }
        };
        let without = if left_out.is_empty() {
            String::new()
        } else {
            format!(", without {} (not in the ring)", left_out.join(", "))
        };
        let message = format!(
            "Task initiated to backup cluster {} to {} under snapshot {tag} on {} nodes{without}",
            spec.cassandra_cluster,
            spec.storage_location,
            nodes.len()
        );
        for node in &mut nodes {
            node::enter(node, Phase::Backup);
        }
        self.plan.notify(Reason::BackupInitiated, message);
        self.plan.take_over = conflict::is_written_by_others(&self.backup.metadata);
        self.status.snapshot_tag = Some(tag);
        self.status.run = Some(Box::new(BackupRun {
            left_out,
            ..spec.run()
        }));
        // Nothing of the previous run stays here; its outcome is in the history.
        self.status.common = BackRestStatus {
            cluster_name: Some(ring.cluster.as_str().to_owned()),
            time_created: Some(now.to_string()),
            observed_generation: self.status.common.observed_generation,
            conditions: std::mem::take(&mut self.status.common.conditions),
            nodes,
            ..BackRestStatus::default()
        };
        self.upload();
        true
    }

    /// Returns the pods and nodes that a run leaves out; none of them once the ring is settled. `None` if the run has to
    /// wait.
    ///
    /// A scheduled run begins after 15 minutes without them: a cluster with a node that never joins would have no backup
    /// at all.
    fn nodes_left_out(&mut self) -> Option<Vec<String>> {
        let spec = &self.backup.spec;
        let scope = RingScope {
            cluster: &spec.cassandra_cluster,
            datacenter: spec.datacenter.as_deref(),
        };
        match self.plan.check_ring(&mut self.status.common, scope)? {
            RingCheck::Settled => Some(Vec::new()),
            RingCheck::Unsettled { missing, wait } if wait.stalled && spec.is_scheduled() => Some(missing),
            RingCheck::Unsettled { wait, .. } => {
                self.plan.wait_for(wait);
                None
            }
        }
    }
}

/// Returns the name of the snapshot of a run that begins now.
fn resolve_tag(
    spec: &CassandraBackupSpec,
    schema: Option<&SchemaVersion>,
    now: Timestamp,
) -> Result<String, Wait> {
    let text = spec.snapshot_tag.as_deref().unwrap_or_default();
    let tag = SnapshotTag::parse(text).map_err(|error| {
        let message = format!("spec.snapshotTag {text:?} {error}; correct it");
        Wait::stalled(Reason::TagInvalid, message)
    })?;
    let schema = schema.ok_or_else(|| {
        let message = "the ring reports no schema version; the run begins when it does";
        Wait::new(Reason::SchemaUnknown, message)
    })?;
    Ok(ResolvedTag::new(&tag, schema, now).as_str().to_owned())
}
