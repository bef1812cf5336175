//! The finished runs of a backup, and what they covered.

use std::fmt;
use std::sync::Arc;

use super::objects::StoredBackup;
use crate::api::{BackupStatus, CassandraBackup, ConditionType, PastRun, RunNode, RunRecord};

/// A finished run of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PastSnapshot {
    /// The full name of its snapshot.
    pub name: Box<str>,
    /// True if it was COMPLETED.
    pub good: bool,
    /// True if it was PARTIAL: some nodes of the cluster were left out.
    pub partial: bool,
    /// The coverage of the run; `None` if an earlier version of cassgate recorded the run.
    pub record: Option<Arc<RecordedRun>>,
}

/// The coverage of a run of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RecordedRun {
    /// The `CassandraCluster` that it backed up.
    pub cluster: Box<str>,
    /// The name of the cluster in Cassandra, if it is known.
    pub cluster_name: Option<Box<str>>,
    /// The one datacenter that it covered; `None` if it covered every datacenter.
    pub datacenter: Option<Box<str>>,
    /// The entities that it covered; empty if it covered every keyspace.
    pub entities: Box<str>,
    /// The storage location of its snapshot, if it is known.
    pub location: Option<Box<str>>,
    /// Its nodes, ordered by host id; empty if they are unknown.
    pub nodes: Arc<[RunNode]>,
}

/// Returns the finished runs of the history, the newest first.
///
/// Most runs cover the same as the one before. They share one record in memory.
pub(super) fn history(backup: &CassandraBackup) -> Vec<PastSnapshot> {
    let Some(status) = &backup.status else {
        return Vec::new();
    };
    let mut previous: Option<Arc<RecordedRun>> = None;
    let history = status.history.iter().map(|run| {
        let record = status.record_of(run).or_else(|| last_record(backup, status, run));
        let record = record.map(|record| shared(&record, previous.as_ref()));
        previous = record.clone().or_else(|| previous.take());
        PastSnapshot {
            name: run.snapshot.as_str().into(),
            good: run.is_completed(),
            partial: run.is_partial(),
            record,
        }
    });
    history.collect()
}

/// Returns the last run if the history does not have it.
pub(super) fn last_run(backup: &CassandraBackup) -> Option<PastSnapshot> {
    let status = backup.status.as_ref()?;
    let name = status.snapshot_tag.as_deref()?;
    if status.history.iter().any(|run| run.snapshot == name) {
        return None;
    }
    let record = backup.run_record(name)?;
    Some(PastSnapshot {
        name: name.into(),
        good: status.common.state() == Some(ConditionType::Completed),
        partial: false,
        record: Some(shared(&record, None)),
    })
}

/// Returns the record of a run of the history that `status.run` describes.
fn last_record<'a>(
    backup: &'a CassandraBackup,
    status: &BackupStatus,
    run: &PastRun,
) -> Option<RunRecord<'a>> {
    let is_last = status.snapshot_tag.as_deref() == Some(&run.snapshot);
    is_last.then(|| backup.run_record(&run.snapshot)).flatten()
}

/// Returns a record, in the memory of `previous` as far as both are equal.
fn shared(record: &RunRecord<'_>, previous: Option<&Arc<RecordedRun>>) -> Arc<RecordedRun> {
    let known_nodes = previous.filter(|previous| *previous.nodes == *record.nodes);
    let nodes = known_nodes.map_or_else(
        || Arc::from(&*record.nodes),
        |previous| Arc::clone(&previous.nodes),
    );
    let record = RecordedRun {
        cluster: record.cassandra_cluster.into(),
        cluster_name: record.cluster_name.map(Into::into),
        datacenter: record.datacenter.map(Into::into),
        entities: record.entities.into(),
        location: record.storage_location.map(Into::into),
        nodes,
    };
    match previous {
        Some(previous) if **previous == record => Arc::clone(previous),
        _ => Arc::new(record),
    }
}

/// The content of a backup for a restore: that of the run which the restore takes, if it is recorded, and else that of
/// the backup's spec.
#[derive(Debug, Clone, Copy)]
pub struct Coverage<'a> {
    backup: &'a StoredBackup,
    /// The run that the restore takes, if it is known.
    pub run: Option<&'a PastSnapshot>,
}

impl StoredBackup {
    /// Returns the content of the backup for a restore that names the run `requested`, or else takes the newest completed
    /// one.
    #[must_use]
    pub fn coverage(&self, requested: Option<&str>) -> Coverage<'_> {
        let mut runs = self.history.iter().chain(&self.last_run);
        let run = match requested {
            Some(requested) => runs.find(|run| *run.name == *requested),
            None => runs.find(|run| run.good),
        };
        Coverage { backup: self, run }
    }
}

impl<'a> Coverage<'a> {
    /// Returns the record of the run, if there is one.
    #[must_use]
    pub fn record(&self) -> Option<&'a RecordedRun> {
        self.run.and_then(|run| run.record.as_deref())
    }

    /// Returns the `CassandraCluster` that was backed up.
    #[must_use]
    pub fn cluster(&self) -> &'a str {
        self.record()
            .map_or(&self.backup.spec.cassandra_cluster, |record| &record.cluster)
    }

    /// Returns the one datacenter that is covered; `None` if every datacenter is.
    #[must_use]
    pub fn datacenter(&self) -> Option<&'a str> {
        let datacenter = match self.record() {
            Some(record) => record.datacenter.as_deref(),
            None => self.backup.spec.datacenter.as_deref(),
        };
        datacenter.filter(|datacenter| !datacenter.is_empty())
    }

    /// Returns the entities that are covered, as text; empty for every keyspace.
    #[must_use]
    pub fn entities(&self) -> &'a str {
        self.record().map_or_else(
            || self.backup.spec.entities.as_deref().unwrap_or_default(),
            |record| &record.entities,
        )
    }

    /// Returns the storage location of the snapshot, as text.
    #[must_use]
    pub fn location(&self) -> &'a str {
        self.record()
            .and_then(|record| record.location.as_deref())
            .unwrap_or(&self.backup.spec.storage_location)
    }

    /// Returns the nodes of the run, ordered by host id; `None` if they are unknown.
    #[must_use]
    pub fn nodes(&self) -> Option<&'a [RunNode]> {
        let record = self.record()?;
        (!record.nodes.is_empty()).then_some(&*record.nodes)
    }
}

/// Writes `backup NAME`, or `run SNAPSHOT of backup NAME` for a recorded run of a schedule.
impl fmt::Display for Coverage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.backup.name;
        match self.run {
            Some(run) if self.backup.spec.is_scheduled() && run.record.is_some() => {
                write!(f, "run {} of backup {name}", run.name)
            }
            _ => write!(f, "backup {name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn stored(status: &Value) -> StoredBackup {
        let backup = json!({
            "metadata": { "name": "nightly" }, "status": status,
            "spec": { "cassandraCluster": "today", "storageLocation": "s3://today", "entities": "k9", "schedule": "@daily" },
        });
        StoredBackup::from(&serde_json::from_value::<CassandraBackup>(backup).unwrap())
    }

    fn recorded(snapshot: &str, outcome: &str, entities: &str) -> Value {
        json!({
            "snapshot": snapshot, "outcome": outcome, "cassandraCluster": "c1", "clusterName": "lab-A", "ring": 1,
            "entities": entities, "storageLocation": "s3://then", "datacenter": "dc1",
        })
    }

    fn status(history: &[Value]) -> Value {
        json!({
            "history": history, "rings": [{ "id": 1, "nodes": [{ "hostId": "a", "pod": "c1-dc1-rack1-0" }] }],
        })
    }

    #[test]
    fn a_restore_takes_the_content_of_its_run() {
        let backup = stored(&status(&[
            recorded("partial", "PARTIAL", "k1"),
            recorded("good", "COMPLETED", "k2"),
            json!({ "snapshot": "earlier", "outcome": "COMPLETED", "storageLocation": "s3://then" }),
        ]));
        let newest = backup.coverage(None);
        assert_eq!((newest.entities(), newest.cluster()), ("k2", "c1"));
        assert_eq!(
            (newest.datacenter(), newest.location()),
            (Some("dc1"), "s3://then")
        );
        assert_eq!(newest.nodes().unwrap()[0].host_id, "a");
        assert_eq!(newest.to_string(), "run good of backup nightly");
        assert_eq!(backup.coverage(Some("partial")).entities(), "k1");
        for unknown in ["earlier", "other"] {
            let coverage = backup.coverage(Some(unknown));
            assert_eq!((coverage.entities(), coverage.cluster()), ("k9", "today"));
            assert_eq!((coverage.datacenter(), coverage.nodes()), (None, None));
            assert_eq!(coverage.to_string(), "backup nightly");
        }
    }

    #[test]
    fn the_last_run_is_known_although_the_history_lacks_it() {
        let mut last = status(&[]);
        last["snapshotTag"] = json!("last");
        last["clusterName"] = json!("lab-A");
        last["condition"] = json!({ "type": "COMPLETED" });
        last["nodes"] = json!([{ "hostId": "b" }]);
        last["run"] = json!({ "cassandraCluster": "c1", "storageLocation": "s3://then", "entities": "k3" });
        let backup = stored(&last);
        assert_eq!(backup.coverage(None).entities(), "k3");
        assert_eq!(backup.coverage(Some("last")).nodes().unwrap()[0].host_id, "b");
        // An earlier version wrote the entry of the history, without a record.
        last["history"] = json!([{ "snapshot": "last", "outcome": "COMPLETED" }]);
        let backup = stored(&last);
        assert_eq!(backup.last_run, None);
        assert_eq!(backup.coverage(None).entities(), "k3");
        last["condition"] = json!({ "type": "RUNNING" });
        last["history"] = json!([]);
        assert_eq!(
            stored(&last).coverage(None).entities(),
            "k9",
            "a run under way is not taken"
        );
    }

    #[test]
    fn runs_that_cover_the_same_share_one_record() {
        let runs = [
            recorded("c", "COMPLETED", "k1"),
            recorded("b", "FAILED", "k1"),
            recorded("a", "COMPLETED", "k2"),
        ];
        let backup = stored(&status(&runs));
        let records: Vec<_> = backup
            .history
            .iter()
            .filter_map(|run| run.record.clone())
            .collect();
        assert!(Arc::ptr_eq(&records[0], &records[1]));
        assert!(!Arc::ptr_eq(&records[1], &records[2]));
        assert!(Arc::ptr_eq(&records[1].nodes, &records[2].nodes));
    }
}
