//! The parts that deleted backups may have left cut short in a directory.
//!
//! The sidecars skip every file that exists, so the next backup to the directory has to prove them. Only this leader knows
//! them: the object that had them does not exist any more.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use kube::ResourceExt;

use super::ClusterKey;
use crate::api::{CassandraBackup, ConditionType};
use crate::reconcile::plan::UnprovenPart;
use crate::reconcile::plan::backup::elsewhere::parts_in_directory;

/// Maximum number of parts of a cluster. More of them count as the parts of all nodes.
const MAX_PARTS: usize = 1_000;

/// The parts of deleted backups, by cluster.
#[derive(Default)]
pub(super) struct DeletedBackups(Mutex<HashMap<ClusterKey, Vec<UnprovenPart>>>);

impl DeletedBackups {
    /// Remembers the parts of a backup that was deleted.
    pub(super) fn remember(&self, backup: &CassandraBackup) {
        let found = parts_in_directory(backup);
        if found.is_empty() {
            return;
        }
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let parts = all.entry(cluster_of(backup)).or_default();
        for part in found {
            if !parts.contains(&part) {
                parts.push(part);
            }
        }
        if parts.len() > MAX_PARTS {
            for part in parts.iter_mut() {
                part.host_id = None;
            }
            parts.sort_by(|one, other| one.storage_location.cmp(&other.storage_location));
            parts.dedup();
            parts.truncate(MAX_PARTS);
        }
    }

    /// Forgets the parts that a completed run has proven.
    pub(super) fn forget_proven(&self, backup: &CassandraBackup) {
        let Some(status) = &backup.status else { return };
        let Some(run) = status
            .run
            .as_ref()
            .filter(|_| status.common.state() == Some(ConditionType::Completed))
        else {
            return;
        };
        let covers_all = run.left_out.is_empty() && run.datacenter.as_deref().unwrap_or_default().is_empty();
        let is_proven = |part: &UnprovenPart| {
            let mut nodes = status.common.nodes.iter();
            let covers = match &part.host_id {
                Some(host_id) => nodes.any(|node| node.host_id == *host_id),
                None => covers_all,
            };
            covers && part.storage_location == run.storage_location
        };
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(parts) = all.get_mut(&cluster_of(backup)) {
            parts.retain(|part| !is_proven(part));
        }
        all.retain(|_, parts| !parts.is_empty());
    }

    /// Returns the parts of the deleted backups of the cluster of a backup.
    pub(super) fn of_cluster(&self, backup: &CassandraBackup) -> Vec<UnprovenPart> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(&cluster_of(backup)).cloned().unwrap_or_default()
    }
}

fn cluster_of(backup: &CassandraBackup) -> ClusterKey {
    (
        backup.namespace().unwrap_or_default(),
        backup.spec.cassandra_cluster.clone(),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const LOCATION: &str = "file:///backups/bucket/c/d/n";

    /// Returns a backup with a status of this state, and a node `a` that sent its part.
    fn backup(location: &str, state: &str, node: &str) -> CassandraBackup {
        serde_json::from_value(json!({
            "apiVersion": "db.orange.com/v2", "kind": "CassandraBackup",
            "metadata": { "name": "b", "namespace": "team" },
            "spec": { "cassandraCluster": "c1", "storageLocation": location, "snapshotTag": "b" },
            "status": {
                "condition": { "type": state },
                "run": { "cassandraCluster": "c1", "storageLocation": location },
                "nodes": [{ "hostId": "a", "state": node, "sent": "2028-02-29T10:00:00Z" }],
            },
        }))
        .unwrap()
    }

    fn hosts(deleted: &DeletedBackups) -> Vec<Option<String>> {
        let parts = deleted.of_cluster(&backup(LOCATION, "COMPLETED", "COMPLETED"));
        parts.into_iter().map(|part| part.host_id).collect()
    }

    #[test]
    fn the_parts_of_a_deleted_backup_are_kept_until_a_run_has_proven_them() {
        let deleted = DeletedBackups::default();
        deleted.remember(&backup(LOCATION, "COMPLETED", "COMPLETED"));
        deleted.remember(&backup("s3://bucket", "FAILED", "RUNNING"));
        assert_eq!(hosts(&deleted), [] as [Option<String>; 0]);
        for _ in 0..2 {
            deleted.remember(&backup(LOCATION, "FAILED", "RUNNING"));
        }
        assert_eq!(hosts(&deleted), [Some("a".to_owned())]);
        let mut of_casskop = backup(LOCATION, "FAILED", "RUNNING");
        if let Some(status) = &mut of_casskop.status {
            status.common.nodes.clear();
            status.common.id = Some("id".to_owned());
        }
        deleted.remember(&of_casskop);
        assert_eq!(hosts(&deleted), [Some("a".to_owned()), None]);
        // Runs that prove nothing of it.
        deleted.forget_proven(&backup(LOCATION, "RUNNING", "COMPLETED"));
        deleted.forget_proven(&backup("file:///other/bucket/c/d/n", "COMPLETED", "COMPLETED"));
        let mut other_cluster = backup(LOCATION, "COMPLETED", "COMPLETED");
        other_cluster.spec.cassandra_cluster = "c2".to_owned();
        deleted.forget_proven(&other_cluster);
        assert_eq!(hosts(&deleted).len(), 2);
        let mut partial = backup(LOCATION, "COMPLETED", "COMPLETED");
        if let Some(run) = partial.status.as_mut().and_then(|status| status.run.as_mut()) {
            run.datacenter = Some("dc1".to_owned());
        }
        deleted.forget_proven(&partial);
        assert_eq!(hosts(&deleted), [None], "a datacenter is not every node");
        deleted.forget_proven(&backup(LOCATION, "COMPLETED", "COMPLETED"));
        assert_eq!(hosts(&deleted), [] as [Option<String>; 0]);
        assert!(deleted.0.lock().unwrap().is_empty());
    }

    #[test]
    fn the_number_of_parts_is_bounded_and_no_location_is_forgotten() {
        let deleted = DeletedBackups::default();
        for number in 0..MAX_PARTS + 10 {
            let mut one = backup(LOCATION, "FAILED", "RUNNING");
            if let Some(status) = &mut one.status {
                status.common.nodes[0].host_id = format!("node-{number}");
            }
            deleted.remember(&one);
        }
        assert!(hosts(&deleted).len() < 20);
        assert_eq!(hosts(&deleted)[0], None);
    }
}
