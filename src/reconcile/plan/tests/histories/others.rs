//! The other backups of the cluster: one-shots of cassgate's, and runs that `CassKop` began.

use super::history::{History, Subject};
use super::safety;
use super::user::identify;
use crate::api::{BackRestCondition, BackupStatus, CassandraBackup, CassandraBackupSpec, ConditionType};
use crate::reconcile::object::ReconciledObject;
use crate::reconcile::plan::backup::elsewhere::unproven_parts;
use crate::reconcile::plan::{Task, UnprovenPart};

/// Maximum number of other backups of a history.
const MAX_OTHERS: usize = 2;

impl History {
    /// Creates another backup, which runs once.
    pub(super) fn create_backup(&mut self) {
        self.add_other(None);
    }

    /// Begins a backup as `CassKop` does, in the sidecar of one node, if that answers.
    pub(super) fn begin_casskop_run(&mut self, node: usize) {
        if self.others.len() >= MAX_OTHERS {
            return;
        }
        let Some((pod, id)) = self
            .world
            .begin_foreign(node, Task::Backup { with_topology: true })
        else {
            return;
        };
        let mut status = BackupStatus::default();
        status.common.id = Some(id);
        status.common.coordinator_member = Some(pod);
        status.common.condition = Some(BackRestCondition {
            type_: "RUNNING".to_owned(),
            ..BackRestCondition::default()
        });
        self.add_other(Some(status));
    }

    /// Returns the parts of the other backups that may be cut short.
    pub(super) fn unproven_elsewhere<K: ReconciledObject>(&self, object: &K) -> Vec<UnprovenPart> {
        let Some(own) = object.as_backup() else {
            return Vec::new();
        };
        let subjects = self.others.iter().chain([&self.backup]);
        let backups = subjects
            .filter(|subject| !subject.is_gone)
            .map(|subject| &subject.object);
        unproven_parts(backups, own)
    }

    fn add_other(&mut self, status: Option<BackupStatus>) {
        if self.others.len() >= MAX_OTHERS {
            return;
        }
        let name = format!("other-{}", self.others.len());
        let spec = CassandraBackupSpec {
            snapshot_tag: Some(name.clone()),
            schedule: None,
            retention: None,
            suspend: None,
            ..self.backup.object.spec.clone()
        };
        let mut backup = CassandraBackup::new(&name, spec);
        identify(&mut backup, self.world.now);
        backup.status = status;
        self.others.push(Subject::new(backup, self.world.now));
    }
}

/// Checks another backup after a reconcile: one that completed has every file.
pub(super) fn check(history: &History, after: &CassandraBackup) -> Result<(), String> {
    let Some(status) = after
        .status
        .as_ref()
        .filter(|status| status.common.state() == Some(ConditionType::Completed))
    else {
        return Ok(());
    };
    let snapshot = status.snapshot_tag.as_deref().unwrap_or_default();
    safety::check_parts(&history.world, &status.common.nodes, snapshot)
}
