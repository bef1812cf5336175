//! The begin of a restore: its nodes, and what it takes over from the backup.

use super::RestorePlanner;
use crate::api::{NodeStatus, Phase, Reason, RestoreSource};
use crate::reconcile::plan::conflict;
use crate::reconcile::plan::finalizer::Finalizer;
use crate::reconcile::plan::wait::Wait;

impl RestorePlanner<'_> {
    /// Begins when everything exists that the restore needs and every node is idle.
    pub(super) fn begin(&mut self) {
        if self.is_deleted() {
            self.release();
            return;
        }
        let generation = self.restore.metadata.generation;
        if !self.plan.may_begin(&mut self.status.common, generation) {
            return;
        }
        let Some(source) = self.inputs.source.clone() else {
            let message = "the backup could not be read; it is read again";
            self.plan.wait_for(Wait::new(Reason::BackupNotFound, message));
            return;
        };
        let datacenter = self.restore.spec.datacenter.as_deref();
        if let Some(nodes) = self.plan.participants(datacenter) {
            self.begin_on(nodes, source);
        }
    }

    fn begin_on(&mut self, nodes: Vec<NodeStatus>, source: RestoreSource) {
        if !self.has_finalizer() {
            self.plan.finalizer = Finalizer::Add;
        }
        let tag = source.snapshot_tag.clone().unwrap_or_default();
        let spec = &self.restore.spec;
        let message = format!(
            "Restore of backup {} into cluster {} under snapshot {tag} begins on {} nodes.",
            spec.cassandra_backup,
            spec.cassandra_cluster,
            nodes.len()
        );
        self.plan.notify(Reason::RestoreInitiated, message);
        self.plan.take_over = conflict::is_written_by_others(&self.restore.metadata);
        self.status.source = Some(source);
        let ring = self.plan.ring();
        self.status.common.cluster_name = ring.map(|ring| ring.cluster.as_str().to_owned());
        self.status.common.time_created = Some(self.observation.now.to_string());
        self.status.common.nodes = nodes;
        self.enter(Phase::Init);
        self.run_phases();
    }
}
