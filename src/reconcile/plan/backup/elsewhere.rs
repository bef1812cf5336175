//! The parts that other backups of the cluster may have left cut short in a directory.
//!
//! A sidecar that writes to a directory (`file://`) skips every file that exists, even one that a killed sidecar cut
//! short. All backups to one location share the files, so a backup has to prove what another one may have cut.

use super::lost::is_directory;
use crate::api::{CassandraBackup, ConditionType, NodeStatus};
use crate::reconcile::plan::observation::UnprovenPart;

/// Returns the parts of the other backups of the cluster that did not complete, from the backups of a namespace.
///
/// A run of another executor records no nodes, so the part of every node counts.
#[must_use]
pub fn unproven_parts<'a>(
    backups: impl IntoIterator<Item = &'a CassandraBackup>,
    own: &CassandraBackup,
) -> Vec<UnprovenPart> {
    let others = backups.into_iter().filter(|backup| {
        backup.spec.cassandra_cluster == own.spec.cassandra_cluster
            && backup.metadata.name != own.metadata.name
    });
    others.flat_map(unproven).collect()
}

/// Returns the parts that a backup may have left cut short in a directory.
#[must_use]
pub fn parts_in_directory(backup: &CassandraBackup) -> Vec<UnprovenPart> {
    let mut parts = unproven(backup);
    parts.retain(|part| is_directory(&part.storage_location));
    parts
}

fn unproven(backup: &CassandraBackup) -> Vec<UnprovenPart> {
    let Some(status) = &backup.status else {
        return Vec::new();
    };
    let state = status.common.state();
    if state.is_none_or(|state| state == ConditionType::Completed) {
        return Vec::new();
    }
    let run = status.run.as_ref();
    let location = run.map_or(&backup.spec.storage_location, |run| &run.storage_location);
    let part = |host_id: Option<String>| UnprovenPart {
        storage_location: location.clone(),
        host_id,
    };
    if status.common.nodes.is_empty() {
        let has_begun = status.common.id.is_some();
        return has_begun.then(|| part(None)).into_iter().collect();
    }
    let may_be_cut =
        |node: &&NodeStatus| node.unproven == Some(true) || node.sent.is_some() && !node.is_completed();
    let nodes = status.common.nodes.iter().filter(may_be_cut);
    nodes.map(|node| part(Some(node.host_id.clone()))).collect()
}
