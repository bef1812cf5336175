//! How a restore begins: who takes part, and what is taken over from the backup.

use super::super::conflict;
use super::{Finalizer, Phase, RestorePlanner, Wait};
use crate::api::{NodeStatus, Reason, RestoreSource};

impl RestorePlanner<'_> {
    /// Begins when everything is there and nobody else is at work in the ring.
    pub(super) fn begin(&mut self) {
        if self.is_deleted() {
            self.let_go();
            return;
        }
        let generation = self.restore.metadata.generation;
        if !self.making.may_begin(&mut self.status.common, generation) {
            return;
        }
        let Some(source) = self.means.source.clone() else {
            self.making.hold(Wait::new(
                Reason::BackupNotFound,
                "the backup could not be read; it is looked for again",
            ));
            return;
        };
        let datacenter = self.restore.spec.datacenter.as_deref();
        if let Some(nodes) = self.making.taking_part(datacenter) {
            self.set_out(source, nodes);
        }
    }

    fn set_out(&mut self, source: RestoreSource, nodes: Vec<NodeStatus>) {
        if !self.has_finalizer() {
            self.making.finalizer = Finalizer::Add;
        }
        let tag = source.snapshot_tag.clone().unwrap_or_default();
        let spec = &self.restore.spec;
        let message = format!(
            "Restore of backup {} into cluster {} under snapshot {tag} begins on {} nodes.",
            spec.cassandra_backup,
            spec.cassandra_cluster,
            nodes.len()
        );
        self.making.say(false, Reason::RestoreInitiated, message);
        self.making.take_over = conflict::is_shared(&self.restore.metadata);
        self.status.source = Some(source);
        self.status.common.cluster_name = self.making.ring().map(|ring| ring.cluster_name.clone());
        self.status.common.time_created = Some(self.look.now.to_string());
        self.status.common.nodes = nodes;
        self.enter(Phase::Init);
        self.pass_phases();
    }
}
