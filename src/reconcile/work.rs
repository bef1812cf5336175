//! The two kinds as the reconciler sees them: one way for both, and what differs.

use std::fmt::Debug;

use jiff::Timestamp;
use k8s_openapi::NamespaceResourceScope;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::api::Kind;
use crate::api::{
    BackupStatus, CassandraBackup, CassandraRestore, NodeStatus, RESTORE_FINALIZER, RestoreStatus,
    UNSCHEDULE_FINALIZER,
};
use crate::domain::sidecar::Sidecar;
use crate::icarus::OperationRequest;
use crate::reconcile::execute::request::{self, Unsendable};
use crate::reconcile::observe::OperationOwner;
use crate::reconcile::plan::conflict::{self, RunStatus};
use crate::reconcile::plan::needs;
use crate::reconcile::plan::prune::{self, PruneInputs};
use crate::reconcile::plan::restore::RestoreInputs;
use crate::reconcile::plan::schedule::{self, NextRun};
use crate::reconcile::plan::{self, Observation, Plan, Task};
use crate::reconcile::queue::turn::{self, QueueEntry};

/// What kubectl applied, once more as text.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// A kind whose objects are run.
pub(super) trait Work:
    kube::Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Clone
    + Debug
    + DeserializeOwned
    + Serialize
    + Send
    + Sync
    + 'static
{
    /// Its status.
    type Status: RunStatus + Clone + Debug + Default + PartialEq + Serialize + Send + Sync;

    /// Its kind.
    const KIND: Kind;

    /// The finalizer that is released when nothing more is to be done for it.
    const FINALIZER: &'static str;

    fn status(&self) -> Option<&Self::Status>;

    fn status_mut(&mut self) -> Option<&mut Self::Status>;

    fn nodes(status: &mut Self::Status) -> &mut Vec<NodeStatus>;

    /// The cluster that it is about.
    fn cluster(&self) -> &str;

    /// Whether it has begun; what is scheduled begins again with each run.
    fn has_begun(&self) -> bool {
        self.status().is_some_and(|status| status.common().has_started())
    }

    fn contender(&self, now: Timestamp) -> QueueEntry;

    fn plan(&self, look: &Observation<'_>, means: &RestoreInputs, room: &PruneInputs) -> Plan<Self::Status>;

    /// By what its operations are known.
    fn mark(&self) -> Result<OperationOwner, Unsendable>;

    fn request(
        &self,
        node: &NodeStatus,
        task: &Task,
        sidecar: &Sidecar,
    ) -> Result<OperationRequest, Unsendable>;

    /// Of what backup this was a restore, by name and uid, once it is over.
    fn restored(&self) -> Option<(&str, &str)>;

    /// Whether what comes next depends on the restores of the namespace: whose copies a cleanup may delete, and which
    /// snapshots have to stay. A plan goes on from `IMPORT` to `CLEANUP` in one look.
    fn asks_for_restores(&self, now: Timestamp) -> bool;

    /// Whether it has anything to do with the nodes of its cluster now. A backup that waits for the next time of its
    /// schedule has not, and there may be ten thousand of them.
    fn is_after_nodes(&self, _now: Timestamp) -> bool {
        true
    }

    /// Itself, where it is a restore.
    fn as_restore(&self) -> Option<&CassandraRestore>;

    /// The same object with this status.
    fn with_status(&self, status: Self::Status) -> Self;

    /// What lists a node's share; without a datacenter, that of a node of the last run.
    fn listing(&self, host_id: &str, datacenter: Option<&str>) -> Option<OperationRequest>;

    /// When there is something to do for it, if nobody changes it.
    fn rest(&self, _now: Timestamp) -> NextRun {
        let over = self.status().is_some_and(|status| status.common().is_terminal());
        let held = plan::is_held_by(Self::FINALIZER, self.meta());
        if over && !held && !self.is_contested() {
            NextRun::ForEver
        } else {
            NextRun::None
        }
    }

    /// Leaves out what only whoever reads the object anew looks at. Two looks lie far apart, and ten thousand objects
    /// are kept in between.
    fn condense(&mut self) {
        let noted = self
            .status()
            .is_some_and(|status| !status.common().nodes.is_empty());
        if let Some(status) = self.status_mut() {
            // Whatever was done to the nodes is over, and nobody's act on them is a sign any more.
            if status.is_ended() {
                status.common_mut().nodes = Vec::new();
            }
            plan::condense(status.common_mut());
        }
        let meta = self.meta_mut();
        conflict::condense(meta, noted);
        meta.labels = None;
        if let Some(annotations) = &mut meta.annotations {
            annotations.remove(LAST_APPLIED);
        }
    }

    /// Whether somebody else acts on it, so that its state is not to be believed.
    fn is_contested(&self) -> bool {
        conflict::is_contested(self.meta(), self.status())
    }
}

impl Work for CassandraBackup {
    type Status = BackupStatus;

    const KIND: Kind = Kind::Backup;

    const FINALIZER: &'static str = UNSCHEDULE_FINALIZER;

    fn status(&self) -> Option<&BackupStatus> {
        self.status.as_ref()
    }

    fn status_mut(&mut self) -> Option<&mut BackupStatus> {
        self.status.as_mut()
    }

    fn nodes(status: &mut BackupStatus) -> &mut Vec<NodeStatus> {
        let removal = status
            .retention
            .as_mut()
            .filter(|retention| retention.is_in_flight());
        removal.map_or(&mut status.common.nodes, |retention| &mut retention.nodes)
    }

    fn cluster(&self) -> &str {
        turn::cluster(self)
    }

    fn has_begun(&self) -> bool {
        let Some(status) = &self.status else {
            return false;
        };
        let common = &status.common;
        let rests = self.spec.is_scheduled() && common.is_terminal() && !prune::in_flight(status);
        common.has_started() && !rests
    }

    fn rest(&self, now: Timestamp) -> NextRun {
        if self.is_contested() || prune::is_wanted(self, now) {
            return NextRun::None;
        }
        if self.spec.is_scheduled() {
            return schedule::rest(self, now);
        }
        let deleted = self.metadata.deletion_timestamp.is_some();
        if self.is_terminal() && !(deleted && schedule::is_held(self)) {
            NextRun::ForEver
        } else {
            NextRun::None
        }
    }

    fn contender(&self, now: Timestamp) -> QueueEntry {
        QueueEntry::of_backup(self, now)
    }

    fn plan(&self, look: &Observation<'_>, _: &RestoreInputs, room: &PruneInputs) -> Plan<BackupStatus> {
        let removal = if needs::are_news(self, look) {
            None
        } else {
            prune::plan(self, look, room)
        };
        removal.unwrap_or_else(|| plan::backup::plan(self, look))
    }

    fn mark(&self) -> Result<OperationOwner, Unsendable> {
        let tag = self
            .status
            .as_ref()
            .and_then(|status| status.snapshot_tag.as_deref());
        tag.map(|tag| request::tag(Some(tag)))
            .transpose()
            .map(OperationOwner::Backup)
    }

    fn request(
        &self,
        node: &NodeStatus,
        task: &Task,
        sidecar: &Sidecar,
    ) -> Result<OperationRequest, Unsendable> {
        if *task == Task::Remove {
            return request::remove(self, node);
        }
        let with_topology = matches!(task, Task::Backup { with_topology: true });
        request::backup(self, node, with_topology, sidecar)
    }

    fn restored(&self) -> Option<(&str, &str)> {
        None
    }

    fn asks_for_restores(&self, now: Timestamp) -> bool {
        !self.has_begun() && prune::is_wanted(self, now)
    }

    fn is_after_nodes(&self, now: Timestamp) -> bool {
        let keeps_time = self.spec.is_scheduled() && schedule::due(self, now).is_none();
        !keeps_time || self.has_begun() || self.is_contested() || prune::is_wanted(self, now)
    }

    fn as_restore(&self) -> Option<&CassandraRestore> {
        None
    }

    fn with_status(&self, status: BackupStatus) -> Self {
        Self {
            status: Some(status),
            ..self.clone()
        }
    }

    fn listing(&self, host_id: &str, datacenter: Option<&str>) -> Option<OperationRequest> {
        let nodes = &self.status.as_ref()?.common.nodes;
        let named = datacenter.map(|datacenter| NodeStatus {
            host_id: host_id.to_owned(),
            datacenter: Some(datacenter.to_owned()),
            ..NodeStatus::default()
        });
        let node = named.or_else(|| nodes.iter().find(|node| node.host_id == host_id).cloned())?;
        request::list(self, &node).ok()
    }
}

impl Work for CassandraRestore {
    type Status = RestoreStatus;

    const KIND: Kind = Kind::Restore;

    const FINALIZER: &'static str = RESTORE_FINALIZER;

    fn status(&self) -> Option<&RestoreStatus> {
        self.status.as_ref()
    }

    fn status_mut(&mut self) -> Option<&mut RestoreStatus> {
        self.status.as_mut()
    }

    fn nodes(status: &mut RestoreStatus) -> &mut Vec<NodeStatus> {
        &mut status.common.nodes
    }

    fn cluster(&self) -> &str {
        &self.spec.cassandra_cluster
    }

    fn contender(&self, _: Timestamp) -> QueueEntry {
        self.into()
    }

    fn plan(&self, look: &Observation<'_>, means: &RestoreInputs, _: &PruneInputs) -> Plan<RestoreStatus> {
        plan::restore::plan(self, look, means)
    }

    fn mark(&self) -> Result<OperationOwner, Unsendable> {
        request::downloads(self).map(OperationOwner::Restore)
    }

    fn request(&self, node: &NodeStatus, task: &Task, _: &Sidecar) -> Result<OperationRequest, Unsendable> {
        request::restore(self, node, task)
    }

    fn restored(&self) -> Option<(&str, &str)> {
        let status = self
            .status
            .as_ref()
            .filter(|status| status.common.is_terminal())?;
        let uid = status.source.as_ref()?.backup_uid.as_deref()?;
        Some((&self.spec.cassandra_backup, uid))
    }

    fn asks_for_restores(&self, _: Timestamp) -> bool {
        let phase = self.status.as_ref().and_then(|status| status.phase.as_deref());
        !self.has_begun() || matches!(phase, Some("IMPORT" | "CLEANUP"))
    }

    fn as_restore(&self) -> Option<&CassandraRestore> {
        Some(self)
    }

    fn with_status(&self, status: RestoreStatus) -> Self {
        Self {
            status: Some(status),
            ..self.clone()
        }
    }

    fn listing(&self, _: &str, _: Option<&str>) -> Option<OperationRequest> {
        None
    }
}

#[cfg(test)]
mod tests;
