//! The two kinds as the reconciler sees them: one way for both, and what differs.

use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::ask::Mark;
use super::plan::restore::Means;
use super::plan::{self, Look, Plan, Task};
use super::request::{self, Unsendable};
use super::turn::Contender;
use crate::api::{
    BackRestStatus, BackupStatus, CassandraBackup, CassandraRestore, NodeStatus, RESTORE_FINALIZER,
    RestoreStatus,
};
use crate::domain::sidecar::Sidecar;
use crate::icarus::OperationRequest;
use crate::rules::catalogue::Kinds;

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
    type Status: Clone + Debug + Default + PartialEq + Serialize + Send + Sync;

    /// Its kind.
    const KIND: Kinds;

    fn status(&self) -> Option<&Self::Status>;

    fn common(status: &Self::Status) -> &BackRestStatus;

    fn nodes(status: &mut Self::Status) -> &mut Vec<NodeStatus>;

    /// The cluster that it is about.
    fn cluster(&self) -> &str;

    /// Whether nothing of it is run by this part: a schedule is another's.
    fn is_another_s(&self) -> bool;

    fn contender(&self) -> Contender;

    fn plan(&self, look: &Look<'_>, means: &Means) -> Plan<Self::Status>;

    /// By what its operations are known.
    fn mark(&self) -> Result<Mark, Unsendable>;

    fn request(
        &self,
        node: &NodeStatus,
        task: &Task,
        sidecar: &Sidecar,
    ) -> Result<OperationRequest, Unsendable>;

    /// What lists a node's share.
    fn listing(&self, host_id: &str) -> Option<OperationRequest>;

    /// Whether nothing will ever be done for it again.
    fn is_at_rest(&self) -> bool {
        let over = self
            .status()
            .is_some_and(|status| Self::common(status).is_terminal());
        let finalizers = self.meta().finalizers.as_deref().unwrap_or_default();
        let held = finalizers.iter().any(|finalizer| finalizer == RESTORE_FINALIZER);
        self.is_another_s() || (over && !held)
    }
}

impl Work for CassandraBackup {
    type Status = BackupStatus;

    const KIND: Kinds = Kinds::Backup;

    fn status(&self) -> Option<&BackupStatus> {
        self.status.as_ref()
    }

    fn common(status: &BackupStatus) -> &BackRestStatus {
        &status.common
    }

    fn nodes(status: &mut BackupStatus) -> &mut Vec<NodeStatus> {
        &mut status.common.nodes
    }

    fn cluster(&self) -> &str {
        &self.spec.cassandra_cluster
    }

    fn is_another_s(&self) -> bool {
        self.spec.is_scheduled()
    }

    fn contender(&self) -> Contender {
        self.into()
    }

    fn plan(&self, look: &Look<'_>, _: &Means) -> Plan<BackupStatus> {
        plan::backup::plan(self, look)
    }

    fn mark(&self) -> Result<Mark, Unsendable> {
        let tag = self
            .status
            .as_ref()
            .and_then(|status| status.snapshot_tag.as_deref());
        tag.map(|tag| request::tag(Some(tag)))
            .transpose()
            .map(Mark::Backup)
    }

    fn request(
        &self,
        node: &NodeStatus,
        task: &Task,
        sidecar: &Sidecar,
    ) -> Result<OperationRequest, Unsendable> {
        let with_topology = matches!(task, Task::Backup { with_topology: true });
        request::backup(self, node, with_topology, sidecar)
    }

    fn listing(&self, host_id: &str) -> Option<OperationRequest> {
        let nodes = &self.status.as_ref()?.common.nodes;
        let node = nodes.iter().find(|node| node.host_id == host_id)?;
        request::list(self, node).ok()
    }
}

impl Work for CassandraRestore {
    type Status = RestoreStatus;

    const KIND: Kinds = Kinds::Restore;

    fn status(&self) -> Option<&RestoreStatus> {
        self.status.as_ref()
    }

    fn common(status: &RestoreStatus) -> &BackRestStatus {
        &status.common
    }

    fn nodes(status: &mut RestoreStatus) -> &mut Vec<NodeStatus> {
        &mut status.common.nodes
    }

    fn cluster(&self) -> &str {
        &self.spec.cassandra_cluster
    }

    fn is_another_s(&self) -> bool {
        false
    }

    fn contender(&self) -> Contender {
        self.into()
    }

    fn plan(&self, look: &Look<'_>, means: &Means) -> Plan<RestoreStatus> {
        plan::restore::plan(self, look, means)
    }

    fn mark(&self) -> Result<Mark, Unsendable> {
        request::downloads(self).map(Mark::Restore)
    }

    fn request(&self, node: &NodeStatus, task: &Task, _: &Sidecar) -> Result<OperationRequest, Unsendable> {
        request::restore(self, node, task)
    }

    fn listing(&self, _: &str) -> Option<OperationRequest> {
        None
    }
}
