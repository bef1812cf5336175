//! `CassKop` as its controllers of backups and restores behave (release 2.3.4, 40f5dfa9, read and run).
//!
//! It keeps its schedules in memory, ignores every update of a backup, looks at each object when it starts, and at a restore
//! every 20 seconds. It knows neither `suspend` nor `timeZone`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use kube::ResourceExt;

use super::history::History;
use crate::api::{
    BackRestCondition, BackRestStatus, BackupStatus, CASSKOP_LAST_APPLIED_ANNOTATION, CassandraBackup,
    CassandraBackupSpec, CassandraRestoreSpec, RestoreStatus, UNSCHEDULE_FINALIZER,
};
use crate::icarus::OperationState;
use crate::reconcile::plan::schedule::next_two;
use crate::reconcile::plan::{Answer, Phase, Question, Task};

/// The access of `CassKop` to the sidecars.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Access {
    /// Every connection is let through.
    #[default]
    Open,
    /// An enforced `NetworkPolicy` closes the sidecars to new connections.
    Closed,
}

/// The operator, with what its installation lets it do.
#[derive(Debug, Default)]
pub(super) struct CassKop {
    /// True while its Role lets it write backups and restores.
    pub(super) may_write: bool,
    /// True while the status is a subresource: the API server then drops what it writes there.
    pub(super) has_subresource: bool,
    /// The access to the sidecars.
    pub(super) access: Access,
    /// The runs that it began: the time and the object.
    pub(super) begun: Vec<(Timestamp, String)>,
    /// True while it keeps a connection to a sidecar open. A policy does not cut that.
    is_connected: bool,
    /// The next time of each schedule.
    schedules: BTreeMap<String, Timestamp>,
    /// The operations that it polls, by object.
    polled: BTreeMap<String, (String, String)>,
}

impl CassKop {
    /// Returns an operator that its chart has installed.
    pub(super) fn installed() -> Self {
        Self {
            may_write: true,
            ..Self::default()
        }
    }

    /// Ends the process and starts it again: it forgets its schedules and what it polls, and looks at every object.
    pub(super) fn restart(&mut self, history: &mut History) {
        self.schedules.clear();
        self.polled.clear();
        self.is_connected = false;
        for name in names(history) {
            self.reconcile_backup(history, &name);
        }
    }

    /// Begins the runs that are due, polls those under way, and looks at the restores.
    pub(super) fn act(&mut self, history: &mut History) {
        let now = history.world.now;
        let due: Vec<_> = self.schedules.iter().filter(|(_, next)| **next <= now).collect();
        let due: Vec<String> = due.into_iter().map(|(name, _)| name.clone()).collect();
        for name in due {
            let Some(backup) = backup(history, &name) else {
                continue;
            };
            // It starts each run with a patch that clears the status. The request follows even if the patch is refused.
            if self.writes_status() {
                backup.status = None;
            }
            let next = next_time(&backup.spec, now);
            self.schedules.insert(name.clone(), next);
            self.send_backup(history, &name);
        }
        self.poll(history);
        self.reconcile_restores(history);
    }

    /// Handles the creation of a backup, or its first event after a start.
    pub(super) fn reconcile_backup(&mut self, history: &mut History, name: &str) {
        let now = history.world.now;
        let duplicates: Vec<_> = backups(history)
            .filter(|other| other.name_any() != name && other.spec.schedule.is_none() && other.has_started())
            .map(|other| identity(&other.spec))
            .collect();
        let Some(backup) = backup(history, name) else {
            return;
        };
        if self.may_write {
            let annotations = backup.metadata.annotations.get_or_insert_default();
            annotations.insert(CASSKOP_LAST_APPLIED_ANNOTATION.to_owned(), "{}".to_owned());
        }
        if backup.spec.schedule.is_none() && backup.has_started()
            || duplicates.contains(&identity(&backup.spec))
        {
            return;
        }
        if backup.spec.schedule.is_none() {
            self.send_backup(history, name);
            return;
        }
        let finalizers = backup.metadata.finalizers.get_or_insert_default();
        if self.may_write && finalizers.is_empty() {
            finalizers.push(UNSCHEDULE_FINALIZER.to_owned());
        }
        let next = next_time(&backup.spec, now);
        self.schedules.insert(name.to_owned(), next);
    }

    /// A restore without a coordinator is new, whatever its condition. Its first write has to succeed before it is sent.
    fn reconcile_restores(&mut self, history: &mut History) {
        for index in 0..history.restores.len() {
            let restore = &history.restores[index];
            let common = restore.object.status.as_ref().map(|status| &status.common);
            let is_new = common.is_none_or(|common| common.coordinator_member.is_none());
            if restore.is_gone || !is_new || !self.may_write {
                continue;
            }
            let name = restore.object.name_any();
            if let Some(common) = self.send(history, &name, Task::Phase(Phase::Init)) {
                let status = RestoreStatus {
                    common,
                    ..RestoreStatus::default()
                };
                history.restores[index].object.status = Some(status);
            }
        }
    }

    fn send_backup(&mut self, history: &mut History, name: &str) {
        let sent = self.send(history, name, Task::Backup { with_topology: true });
        if let (Some(common), Some(backup)) = (sent, backup(history, name)) {
            backup.status = Some(BackupStatus {
                common,
                ..BackupStatus::default()
            });
        }
    }

    /// Sends the request of an object. Returns the status that it writes; `None` if it writes none.
    fn send(&mut self, history: &mut History, name: &str, task: Task) -> Option<BackRestStatus> {
        if self.access == Access::Closed && !self.is_connected {
            return None;
        }
        let (pod, id) = history.world.begin_foreign(0, task)?;
        self.is_connected = true;
        self.begun.push((history.world.now, name.to_owned()));
        self.polled.insert(name.to_owned(), (pod.clone(), id.clone()));
        self.writes_status().then(|| BackRestStatus {
            condition: Some(condition("RUNNING")),
            coordinator_member: Some(pod),
            id: Some(id),
            ..BackRestStatus::default()
        })
    }

    /// Writes the state of the operations that have ended.
    fn poll(&mut self, history: &mut History) {
        for (name, (pod, id)) in self.polled.clone() {
            let question = Question::Operation { pod, id };
            let Answer::Operations(operations) = history.world.answer(&question) else {
                continue;
            };
            let state = operations.first().map(|operation| operation.state.clone());
            if state != Some(OperationState::Completed) {
                continue;
            }
            self.polled.remove(&name);
            if !self.writes_status() {
                continue;
            }
            let restore = history
                .restores
                .iter_mut()
                .find(|restore| restore.object.name_any() == name);
            let common = match restore.and_then(|restore| restore.object.status.as_mut()) {
                Some(status) => Some(&mut status.common),
                None => backup(history, &name)
                    .and_then(|backup| backup.status.as_mut())
                    .map(|status| &mut status.common),
            };
            if let Some(common) = common {
                common.condition = Some(condition("COMPLETED"));
            }
        }
    }

    fn writes_status(&self) -> bool {
        self.may_write && !self.has_subresource
    }
}

/// Drops the fields that CassKop's CRDs do not have.
pub(super) fn prune(history: &mut History) {
    let subjects = history.others.iter_mut().chain([&mut history.backup]);
    for backup in subjects.map(|subject| &mut subject.object) {
        let spec = std::mem::take(&mut backup.spec);
        backup.spec = CassandraBackupSpec {
            cassandra_cluster: spec.cassandra_cluster,
            datacenter: spec.datacenter,
            storage_location: spec.storage_location,
            schedule: spec.schedule,
            snapshot_tag: spec.snapshot_tag,
            ..CassandraBackupSpec::default()
        };
        backup.status = backup.status.take().map(|status| BackupStatus {
            common: prune_status(status.common),
            ..BackupStatus::default()
        });
    }
    for restore in history.restores.iter_mut().map(|subject| &mut subject.object) {
        let spec = std::mem::take(&mut restore.spec);
        restore.spec = CassandraRestoreSpec {
            cassandra_backup: spec.cassandra_backup,
            cassandra_cluster: spec.cassandra_cluster,
            entities: spec.entities,
            ..CassandraRestoreSpec::default()
        };
        restore.status = restore.status.take().map(|status| RestoreStatus {
            common: prune_status(status.common),
            ..RestoreStatus::default()
        });
    }
}

fn prune_status(common: BackRestStatus) -> BackRestStatus {
    BackRestStatus {
        time_created: common.time_created,
        time_started: common.time_started,
        time_completed: common.time_completed,
        progress: common.progress,
        id: common.id,
        coordinator_member: common.coordinator_member,
        condition: common.condition,
        ..BackRestStatus::default()
    }
}

/// Returns what two backups share that CassKop takes for the same.
fn identity(spec: &CassandraBackupSpec) -> [Option<String>; 3] {
    let location = Some(spec.storage_location.clone());
    [location, spec.snapshot_tag.clone(), spec.datacenter.clone()]
}

/// Returns the next time of a schedule, in the time zone of the operator's pod.
fn next_time(spec: &CassandraBackupSpec, now: Timestamp) -> Timestamp {
    let known = CassandraBackupSpec {
        time_zone: None,
        ..spec.clone()
    };
    next_two(&known, now).unwrap()[0]
}

fn condition(state: &str) -> BackRestCondition {
    BackRestCondition {
        type_: state.to_owned(),
        ..BackRestCondition::default()
    }
}

fn backups(history: &History) -> impl Iterator<Item = &CassandraBackup> {
    let subjects = history.others.iter().chain([&history.backup]);
    subjects
        .filter(|subject| !subject.is_gone)
        .map(|subject| &subject.object)
}

fn names(history: &History) -> Vec<String> {
    backups(history).map(ResourceExt::name_any).collect()
}

fn backup<'a>(history: &'a mut History, name: &str) -> Option<&'a mut CassandraBackup> {
    let mut subjects = history.others.iter_mut().chain([&mut history.backup]);
    let subject = subjects.find(|subject| !subject.is_gone && subject.object.name_any() == name);
    subject.map(|subject| &mut subject.object)
}
