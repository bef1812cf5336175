//! The acts of a user: restores and backups are created, abandoned, deleted and suspended.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use super::history::{History, Subject};
use crate::api::{ABANDON_ANNOTATION, CassandraRestore, CassandraRestoreSpec, RestoreNode};
use crate::reconcile::object::ReconciledObject;

/// Maximum number of restores of a history.
const MAX_RESTORES: usize = 3;

impl History {
    pub(super) fn create_restore(&mut self, leaves_out: bool) {
        if self.restores.len() >= MAX_RESTORES {
            return;
        }
        let ring: Vec<_> = self.world.ring_members().map(|node| node.host.clone()).collect();
        let newest = self.good_runs.last();
        let record = newest.and_then(|snapshot| self.backup.object.run_record(snapshot));
        let parts = record.map(|record| record.nodes.to_vec()).unwrap_or_default();
        let absent = parts
            .into_iter()
            .filter(|part| leaves_out && !ring.contains(&part.host_id));
        let spec = CassandraRestoreSpec {
            cassandra_backup: "nightly".to_owned(),
            cassandra_cluster: "c1".to_owned(),
            nodes: absent
                .map(|part| RestoreNode {
                    host_id: part.host_id,
                    pod: None,
                })
                .collect(),
            ..CassandraRestoreSpec::default()
        };
        let name = format!("restore-{}", self.restores.len());
        let mut restore = CassandraRestore::new(&name, spec);
        identify(&mut restore, self.world.now);
        self.restores.push(Subject::new(restore, self.world.now));
    }

    pub(super) fn abandon(&mut self) {
        if let Some(restore) = self.restores.last_mut() {
            abandon(restore);
        }
    }

    /// Ends a restore as a user does: one that has begun is abandoned, any other is deleted.
    pub(super) fn abandon_or_delete(&mut self, index: usize) {
        let now = self.world.now;
        let restore = &mut self.restores[index];
        if restore.object.run_has_started() {
            abandon(restore);
        } else {
            delete(restore, now);
        }
    }

    pub(super) fn delete_restore(&mut self) {
        let now = self.world.now;
        if let Some(restore) = self.restores.last_mut() {
            delete(restore, now);
        }
    }

    pub(super) fn delete_backup(&mut self) {
        let now = self.world.now;
        delete(&mut self.backup, now);
    }

    pub(super) fn suspend(&mut self, suspend: bool) {
        // A one-shot backup that is suspended describes a snapshot.
        if self.backup.object.spec.is_scheduled() {
            self.backup.object.spec.suspend = Some(suspend);
            let generation = &mut self.backup.object.metadata.generation;
            *generation = generation.map(|generation| generation + 1);
        }
    }
}

fn abandon(restore: &mut Subject<CassandraRestore>) {
    let annotations = restore.object.metadata.annotations.get_or_insert_default();
    annotations.insert(ABANDON_ANNOTATION.to_owned(), "yes".to_owned());
}

/// Deletes an object. It exists until its finalizers are released.
fn delete<K: ResourceExt>(subject: &mut Subject<K>, now: Timestamp) {
    let meta = subject.object.meta_mut();
    meta.deletion_timestamp.get_or_insert(Time(now));
    subject.is_gone |= subject.object.finalizers().is_empty();
}

pub(super) fn identify<K: ResourceExt>(object: &mut K, created: Timestamp) {
    let name = object.name_any();
    let meta = object.meta_mut();
    meta.uid = Some(format!("uid-{name}"));
    meta.namespace = Some("prod".to_owned());
    meta.generation = Some(1);
    meta.creation_timestamp = Some(Time(created));
}
