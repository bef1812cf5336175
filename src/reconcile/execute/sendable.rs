//! Requests to sidecars that are built from an object.

use super::request::{self, Unsendable};
use crate::api::{CassandraBackup, CassandraRestore, NodeStatus};
use crate::domain::sidecar::Sidecar;
use crate::icarus::OperationRequest;
use crate::reconcile::object::ReconciledObject;
use crate::reconcile::observe::OperationOwner;
use crate::reconcile::plan::Task;

/// An object whose requests can be sent to sidecars.
pub(in crate::reconcile) trait Sendable: ReconciledObject {
    /// Returns the value that identifies the operations of this object on a sidecar.
    ///
    /// # Errors
    /// A field of the object or of its status is not valid.
    fn operation_owner(&self) -> Result<OperationOwner, Unsendable>;

    /// Builds the request for a task of one node.
    ///
    /// # Errors
    /// The first field that cannot be sent.
    fn request(
        &self,
        node: &NodeStatus,
        task: &Task,
        sidecar: &Sidecar,
    ) -> Result<OperationRequest, Unsendable>;

    /// Builds the request that lists a node's folder in the bucket. Without `datacenter`, the datacenter is that of the
    /// node in the last run. `None` if there is nothing to list or a field is not valid.
    fn listing_request(&self, host_id: &str, datacenter: Option<&str>) -> Option<OperationRequest>;
}

impl Sendable for CassandraBackup {
    fn operation_owner(&self) -> Result<OperationOwner, Unsendable> {
        let tag = self
            .status
            .as_ref()
            .and_then(|status| status.snapshot_tag.as_deref());
        Ok(OperationOwner::Backup {
            tag: tag.map(request::resolved_tag).transpose()?,
            proof: request::proof_directory(self)?,
        })
    }

    fn request(
        &self,
        node: &NodeStatus,
        task: &Task,
        sidecar: &Sidecar,
    ) -> Result<OperationRequest, Unsendable> {
        match task {
            Task::Remove => request::remove(self, node),
            Task::Backup { with_topology } => request::backup(self, node, *with_topology, sidecar),
            Task::Phase(_) | Task::Cleanup { .. } | Task::Refresh { .. } => {
                request::proof(self, node, task.phase())
            }
        }
    }

    fn listing_request(&self, host_id: &str, datacenter: Option<&str>) -> Option<OperationRequest> {
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

impl Sendable for CassandraRestore {
    fn operation_owner(&self) -> Result<OperationOwner, Unsendable> {
        request::download_directory(self).map(OperationOwner::Restore)
    }

    fn request(&self, node: &NodeStatus, task: &Task, _: &Sidecar) -> Result<OperationRequest, Unsendable> {
        request::restore(self, node, task)
    }

    fn listing_request(&self, _: &str, _: Option<&str>) -> Option<OperationRequest> {
        None
    }
}
