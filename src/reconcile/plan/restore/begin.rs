//! The begin of a restore: its nodes, and what it takes over from the backup.

use super::RestorePlanner;
use super::pairing::Pairing;
use super::ring::left_out_warning;
use crate::api::{NodeStatus, Phase, Reason, RestoreSource};
use crate::reconcile::plan::conflict;
use crate::reconcile::plan::finalizer::Finalizer;
use crate::reconcile::plan::wait::Wait;

impl RestorePlanner<'_> {
    /// Begins when everything exists that the restore needs and every node is idle. Ends at once if the ring does not fit
    /// the backup.
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
        let scope = self.scope();
        if self.plan.settled_ring(&mut self.status.common, scope).is_none() {
            return;
        }
        let Some(pairing) = self.pair_with_ring(&source) else {
            return;
        };
        let Some(schema) = self.check_schema(&source) else {
            return;
        };
        match schema.and(pairing) {
            Err(mismatch) => {
                self.record_begin(source, Vec::new());
                self.give_up_because_of_ring(mismatch);
            }
            Ok(pairing) if self.plan.are_idle(&pairing.receivers) => self.begin_on(pairing, source),
            Ok(_) => {}
        }
    }

    fn begin_on(&mut self, pairing: Pairing, source: RestoreSource) {
        if !self.has_finalizer() {
            self.plan.finalizer = Finalizer::Add;
        }
        let tag = source.snapshot_tag.as_deref().unwrap_or_default();
        let spec = &self.restore.spec;
        let mut message = format!(
            "Restore of backup {} into cluster {} under snapshot {tag} begins on {} nodes.",
            spec.cassandra_backup,
            spec.cassandra_cluster,
            pairing.receivers.len()
        );
        if source.nodes.is_empty() {
            message.push_str(
                " The backup does not say which nodes it covers: the part of a node that has left the ring since is not \
                 restored.",
            );
        }
        if !pairing.left_out.is_empty() {
            message = format!("{message} {}.", left_out_warning(&pairing.left_out));
        }
        self.plan.notify(Reason::RestoreInitiated, message);
        self.record_begin(source, pairing.receivers);
        self.run_phases();
    }

    /// Records the begin on these nodes, and what the restore takes over from the backup.
    fn record_begin(&mut self, source: RestoreSource, nodes: Vec<NodeStatus>) {
        self.plan.take_over = conflict::is_written_by_others(&self.restore.metadata);
        self.status.source = Some(source);
        let ring = self.plan.ring();
        self.status.common.cluster_name = ring.map(|ring| ring.cluster.as_str().to_owned());
        self.status.common.time_created = Some(self.observation.now.to_string());
        self.status.common.ring_unsettled_since = None;
        self.status.common.nodes = nodes;
        self.enter(Phase::Init);
    }
}
