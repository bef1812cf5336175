//! The sizes of the parts of a run. Pure.

use std::collections::BTreeMap;

use crate::api::CassandraBackup;

/// Returns the size in bytes of each part of a run, by host id. Empty if the backup has not recorded the sizes of the run.
#[must_use]
pub fn part_sizes(backup: &CassandraBackup, snapshot: &str) -> BTreeMap<String, i64> {
    let recorded = || {
        let status = backup.status.as_ref()?;
        let run = status.history.iter().find(|run| run.snapshot == snapshot)?;
        let ring = status.rings.iter().find(|ring| Some(ring.id) == run.ring)?;
        // A list of another length is not about these nodes.
        (run.node_bytes.len() == ring.nodes.len()).then(|| {
            let nodes = ring.nodes.iter().map(|node| node.host_id.clone());
            nodes.zip(run.node_bytes.iter().copied()).collect()
        })
    };
    recorded().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{BackupStatus, CassandraBackupSpec, PastRun, RunNode, RunRing};

    #[test]
    fn the_sizes_of_a_run_belong_to_the_nodes_of_its_ring() {
        let node = |host_id: &str| RunNode {
            host_id: host_id.to_owned(),
            ..RunNode::default()
        };
        let run = |snapshot: &str, ring: Option<i64>, node_bytes: &[i64]| PastRun {
            snapshot: snapshot.to_owned(),
            ring,
            node_bytes: node_bytes.to_vec(),
            ..PastRun::default()
        };
        let mut backup = CassandraBackup::new("nightly", CassandraBackupSpec::default());
        assert_eq!(part_sizes(&backup, "a"), BTreeMap::new());
        backup.status = Some(BackupStatus {
            history: vec![
                run("a", Some(2), &[10, 20]),
                run("b", Some(2), &[10]),
                run("c", None, &[10, 20]),
                run("d", Some(1), &[5]),
            ],
            rings: vec![
                RunRing {
                    id: 2,
                    nodes: vec![node("h1"), node("h2")],
                },
                RunRing {
                    id: 1,
                    nodes: vec![node("h3")],
                },
            ],
            ..BackupStatus::default()
        });
        let sizes = |snapshot: &str| part_sizes(&backup, snapshot).into_iter().collect::<Vec<_>>();
        assert_eq!(sizes("a"), [("h1".to_owned(), 10), ("h2".to_owned(), 20)]);
        assert_eq!(sizes("d"), [("h3".to_owned(), 5)]);
        for snapshot in ["b", "c", "unknown"] {
            assert_eq!(sizes(snapshot), [], "{snapshot}");
        }
    }
}
