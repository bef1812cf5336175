//! The record of what a run of a backup covered.

use std::borrow::Cow;

use super::backup::CassandraBackup;
use super::node::NodeStatus;
use super::run::{BackupRun, PastRun, RunNode};
use super::status::BackupStatus;

/// The coverage of a run of a backup, as its status records it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunRecord<'a> {
    /// The `CassandraCluster` that the run backed up.
    pub cassandra_cluster: &'a str,
    /// The name of the cluster in Cassandra, which is the first folder in the bucket; `None` if it is unknown.
    pub cluster_name: Option<&'a str>,
    /// The one datacenter that the run covered; `None` if it covered every datacenter.
    pub datacenter: Option<&'a str>,
    /// The entities that the run covered; empty if it covered every keyspace.
    pub entities: &'a str,
    /// The storage location of the snapshot.
    pub storage_location: Option<&'a str>,
    /// The nodes of the run, ordered by host id; empty if they are unknown.
    pub nodes: Cow<'a, [RunNode]>,
}

impl CassandraBackup {
    /// Returns the record of the run with this snapshot; `None` if it is unknown what the run covered.
    ///
    /// A run that an earlier version of cassgate recorded is known only while `status.run` describes it.
    #[must_use]
    pub fn run_record(&self, snapshot: &str) -> Option<RunRecord<'_>> {
        let status = self.status.as_ref()?;
        let mut history = status.history.iter();
        let past = history.find(|run| run.snapshot == snapshot);
        past.and_then(|past| status.record_of(past))
            .or_else(|| self.record_of_last_run(snapshot))
    }

    /// Returns the record of the run that `status.run` describes, if it has this snapshot.
    fn record_of_last_run(&self, snapshot: &str) -> Option<RunRecord<'_>> {
        let status = self.status.as_ref()?;
        let run = status.run.as_deref()?;
        (status.snapshot_tag.as_deref() == Some(snapshot)).then(|| RunRecord {
            cassandra_cluster: &run.cassandra_cluster,
            cluster_name: status.common.cluster_name.as_deref(),
            datacenter: self.datacenter_of(run),
            entities: run.entities.as_deref().unwrap_or_default(),
            storage_location: Some(&run.storage_location),
            nodes: Cow::Owned(run_nodes(&status.common.nodes)),
        })
    }

    /// Returns the one datacenter that the last run covered. An earlier version of cassgate did not record it in
    /// `status.run`: then it is the one of the spec, if every node of the run is in it.
    #[must_use]
    pub fn datacenter_of<'a>(&'a self, run: &'a BackupRun) -> Option<&'a str> {
        let nodes = self.status.iter().flat_map(|status| &status.common.nodes);
        let mut datacenters = nodes.map(|node| node.datacenter.as_deref()).peekable();
        let of_spec = self.spec.datacenter.as_deref().filter(|own| !own.is_empty());
        run.datacenter.as_deref().or_else(|| {
            of_spec.filter(|_| datacenters.peek().is_some() && datacenters.all(|one| one == of_spec))
        })
    }
}

impl BackupStatus {
    /// Returns the record of a run of the history; `None` if an earlier version of cassgate recorded the run.
    #[must_use]
    pub fn record_of<'a>(&'a self, run: &'a PastRun) -> Option<RunRecord<'a>> {
        let ring = self.rings.iter().find(|ring| Some(ring.id) == run.ring);
        let entities = match run.entity_list {
            Some(id) => &self.entity_lists.iter().find(|list| list.id == id)?.entities,
            None => run.entities.as_deref().unwrap_or_default(),
        };
        Some(RunRecord {
            cassandra_cluster: run.cassandra_cluster.as_deref()?,
            cluster_name: Some(run.cluster_name.as_deref()?),
            datacenter: run.datacenter.as_deref(),
            entities,
            storage_location: run.storage_location.as_deref(),
            nodes: ring.map_or(Cow::Borrowed(&[]), |ring| Cow::Borrowed(&ring.nodes)),
        })
    }
}

/// Returns the nodes of a run for its record, ordered by host id.
#[must_use]
pub fn run_nodes(nodes: &[NodeStatus]) -> Vec<RunNode> {
    let mut nodes: Vec<_> = nodes
        .iter()
        .map(|node| RunNode {
            host_id: node.host_id.clone(),
            datacenter: node.datacenter.clone(),
            pod: node.pod.clone(),
        })
        .collect();
    nodes.sort();
    nodes
}
