//! The schedule, and the begin of a run.

use jiff::Timestamp;

use super::BackupPlanner;
use super::lost::is_directory;
use crate::api::{BackRestStatus, BackupRun, NodeStatus, Phase, Reason};
use crate::domain::resolved_tag::ResolvedTag;
use crate::domain::schema_version::SchemaVersion;
use crate::domain::snapshot_tag::SnapshotTag;
use crate::reconcile::plan::observation::UnprovenPart;
use crate::reconcile::plan::ring::{RingCheck, RingScope};
use crate::reconcile::plan::schedule::{self, Slot};
use crate::reconcile::plan::wait::Wait;
use crate::reconcile::plan::{conflict, node};

/// An attempt at a run that can start.
pub(super) struct Attempt {
    run: BackupRun,
    nodes: Vec<NodeStatus>,
    /// The full name of its snapshot.
    pub(super) tag: String,
    /// The name of the cluster in Cassandra.
    cluster: String,
}

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
        self.warn_of_corrected_clock(&slot);
        self.warn_of_missed_runs(slot.missed);
        self.replaced = slot.replaces;
        if runs {
            self.reconcile_run();
        } else if let Some(due) = slot.due {
            self.begin_due(due);
        }
    }

    fn warn_of_corrected_clock(&mut self, slot: &Slot) {
        let next = self.status.next_schedule_time.as_ref().map(|next| next.0);
        if let (Some(late), Some(next)) = (slot.corrected, next) {
            let now = self.plan.observation.now;
            let message = format!(
                "status.nextScheduleTime was {late} although the schedule has an earlier time, so a clock was ahead; at \
                 {now} it was set to {next}; synchronize the clocks of the nodes that run cassgate"
            );
            self.plan.warn(Reason::ScheduleCorrected, message);
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
            // What the next time of the schedule finds is another case of an unsettled ring.
            self.status.common.ring_unsettled_since = None;
            return false;
        }
        let spec = &self.backup.spec;
        let tag = spec.snapshot_tag.as_deref().unwrap_or_default();
        let Some(attempt) = self.prepare(spec.run(), tag) else {
            return false;
        };
        self.start(attempt);
        true
    }

    /// Prepares an attempt at a run with this spec. `None` if it cannot begin now; then the run waits, or questions are
    /// open.
    pub(super) fn prepare(&mut self, mut run: BackupRun, tag: &str) -> Option<Attempt> {
        run.left_out = self.nodes_left_out(&run)?;
        let mut nodes = self.plan.participants(run.datacenter.as_deref())?;
        // A pod whose sidecar was silent, or whose node was known under an old address, may have come back.
        let takes_part = |name: &String| {
            let is_named = |node: &NodeStatus| {
                node.pod.as_ref() == Some(name) || *name == format!("node {}", node.host_id)
            };
            nodes.iter().any(is_named)
        };
        run.left_out.retain(|name| !takes_part(name));
        let ring = self.plan.ring()?;
        let tag = resolve_tag(tag, ring.schema.as_ref(), self.plan.observation.now);
        let tag = tag.map_err(|wait| self.plan.wait_for(wait)).ok()?;
        for node in &mut nodes {
            node::enter(node, Phase::Backup);
            node.unproven = self
                .carried_over(&run, &node.host_id)
                .or_else(|| self.left_elsewhere(&run, &node.host_id));
        }
        let cluster = ring.cluster.as_str().to_owned();
        Some(Attempt {
            run,
            nodes,
            tag,
            cluster,
        })
    }

    /// Returns `Some(true)` if an earlier part of the node in this directory may have left a file that is cut short: its
    /// next part is proven too, because sidecars skip every file that exists.
    fn carried_over(&self, run: &BackupRun, host_id: &str) -> Option<bool> {
        let before = self.status.run.as_ref()?;
        if before.storage_location != run.storage_location || !is_directory(&run.storage_location) {
            return None;
        }
        let mut nodes = self.status.common.nodes.iter();
        nodes.find(|node| node.host_id == host_id)?.unproven
    }

    /// Returns `Some(true)` if another backup may have left a file cut short in the directory of the node.
    fn left_elsewhere(&self, run: &BackupRun, host_id: &str) -> Option<bool> {
        let mut parts = self.plan.observation.unproven_elsewhere.iter();
        let is_shared = |part: &UnprovenPart| {
            part.storage_location == run.storage_location
                && part.host_id.as_deref().is_none_or(|other| other == host_id)
        };
        (is_directory(&run.storage_location) && parts.any(is_shared)).then_some(true)
    }

    /// Starts an attempt at a run.
    pub(super) fn start(&mut self, attempt: Attempt) {
        let Attempt {
            run,
            nodes,
            tag,
            cluster,
        } = attempt;
        let without = if run.left_out.is_empty() {
            String::new()
        } else {
            format!(", without {} (not in the ring)", run.left_out.join(", "))
        };
        let message = format!(
            "Task initiated to backup cluster {} to {} under snapshot {tag} on {} nodes{without}",
            run.cassandra_cluster,
            run.storage_location,
            nodes.len()
        );
        self.plan.notify(Reason::BackupInitiated, message);
        self.plan.take_over = conflict::is_written_by_others(&self.backup.metadata);
        self.status.snapshot_tag = Some(tag);
        self.status.run = Some(Box::new(run));
        // Nothing of the previous run stays here; its outcome is in the history.
        self.status.common = BackRestStatus {
            cluster_name: Some(cluster),
            time_created: Some(self.plan.observation.now.to_string()),
            observed_generation: self.status.common.observed_generation,
            conditions: std::mem::take(&mut self.status.common.conditions),
            nodes,
            ..BackRestStatus::default()
        };
        self.upload();
    }

    /// Returns the pods and nodes that a run leaves out; none of them once the ring is settled. `None` if the run has to
    /// wait.
    ///
    /// A scheduled run begins after 15 minutes without them: a cluster with a node that never joins would have no backup
    /// at all.
    fn nodes_left_out(&mut self, run: &BackupRun) -> Option<Vec<String>> {
        let spec = &self.backup.spec;
        let scope = RingScope {
            cluster: &run.cassandra_cluster,
            datacenter: run.datacenter.as_deref(),
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
fn resolve_tag(text: &str, schema: Option<&SchemaVersion>, now: Timestamp) -> Result<String, Wait> {
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
