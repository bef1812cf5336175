//! The kinds that the reconciler runs: their status, cluster and finalizer.

use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::api::Kind;
use crate::api::{
    BackupStatus, CassandraBackup, CassandraBackupSpec, CassandraRestore, CassandraRestoreSpec, NodeStatus,
    RESTORE_FINALIZER, RestoreStatus, UNSCHEDULE_FINALIZER,
};
use crate::reconcile::plan::conflict::{self, RunStatus};
use crate::reconcile::plan::{prune, schedule};

/// A backup or a restore.
pub(in crate::reconcile) trait ReconciledObject:
    kube::Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Clone
    + Debug
    + DeserializeOwned
    + Serialize
    + Send
    + Sync
    + 'static
{
    /// The type of `status`.
    type Status: RunStatus + Clone + Debug + Default + PartialEq + Serialize + Send + Sync;

    /// The kind of the object.
    const KIND: Kind;

    /// The finalizer that cassgate releases when it has nothing left to do for the object.
    const FINALIZER: &'static str;

    /// Returns an object without a name and with an empty spec.
    fn unspecified() -> Self;

    /// Returns the status.
    fn status(&self) -> Option<&Self::Status>;

    /// Returns the status for changes.
    fn status_mut(&mut self) -> Option<&mut Self::Status>;

    /// Returns the part of a status that records what was sent to each node.
    fn nodes(status: &mut Self::Status) -> &mut Vec<NodeStatus>;

    /// Returns the object with another status.
    fn with_status(&self, status: Self::Status) -> Self;

    /// Returns the name of the `CassandraCluster` that the object acts on.
    fn cluster(&self) -> &str;

    /// Returns true if the run of the object has started. A schedule starts anew with each run.
    fn run_has_started(&self) -> bool {
        self.status().is_some_and(|status| status.common().has_started())
    }

    /// Returns true if another executor acts on the object, so that its state cannot be trusted.
    fn is_contested(&self) -> bool {
        conflict::is_contested(self.meta(), self.status())
    }

    /// Returns the object if it is a backup.
    fn as_backup(&self) -> Option<&CassandraBackup>;

    /// Returns the object if it is a restore.
    fn as_restore(&self) -> Option<&CassandraRestore>;

    /// Returns name and uid of the backup that a finished restore has restored.
    fn restored_backup(&self) -> Option<(&str, &str)>;
}

impl ReconciledObject for CassandraBackup {
    type Status = BackupStatus;

    const KIND: Kind = Kind::Backup;

    const FINALIZER: &'static str = UNSCHEDULE_FINALIZER;

    fn unspecified() -> Self {
        Self::new("", CassandraBackupSpec::default())
    }

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

    fn with_status(&self, status: BackupStatus) -> Self {
        Self {
            status: Some(status),
            ..self.clone()
        }
    }

    /// A run under way stays with the cluster that it started with, even if the spec names another one by now.
    fn cluster(&self) -> &str {
        let status = self.status.as_ref();
        let running = status.filter(|status| schedule::is_under_way(&status.common));
        let run = running.and_then(|status| status.run.as_ref());
        run.map_or(&self.spec.cassandra_cluster, |run| &run.cassandra_cluster)
    }

    fn run_has_started(&self) -> bool {
        let Some(status) = &self.status else {
            return false;
        };
        let common = &status.common;
        let is_between_runs = self.spec.is_scheduled() && common.is_terminal() && !prune::in_flight(status);
        common.has_started() && !is_between_runs
    }

    fn as_backup(&self) -> Option<&CassandraBackup> {
        Some(self)
    }

    fn as_restore(&self) -> Option<&CassandraRestore> {
        None
    }

    fn restored_backup(&self) -> Option<(&str, &str)> {
        None
    }
}

impl ReconciledObject for CassandraRestore {
    type Status = RestoreStatus;

    const KIND: Kind = Kind::Restore;

    const FINALIZER: &'static str = RESTORE_FINALIZER;

    fn unspecified() -> Self {
        Self::new("", CassandraRestoreSpec::default())
    }

    fn status(&self) -> Option<&RestoreStatus> {
        self.status.as_ref()
    }

    fn status_mut(&mut self) -> Option<&mut RestoreStatus> {
        self.status.as_mut()
    }

    fn nodes(status: &mut RestoreStatus) -> &mut Vec<NodeStatus> {
        &mut status.common.nodes
    }

    fn with_status(&self, status: RestoreStatus) -> Self {
        Self {
            status: Some(status),
            ..self.clone()
        }
    }

    fn cluster(&self) -> &str {
        &self.spec.cassandra_cluster
    }

    fn as_backup(&self) -> Option<&CassandraBackup> {
        None
    }

    fn as_restore(&self) -> Option<&CassandraRestore> {
        Some(self)
    }

    fn restored_backup(&self) -> Option<(&str, &str)> {
        let status = self
            .status
            .as_ref()
            .filter(|status| status.common.is_terminal())?;
        let uid = status.source.as_ref()?.backup_uid.as_deref()?;
        Some((&self.spec.cassandra_backup, uid))
    }
}
