//! The records of runs in the status.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::lenient::null_is_default;

/// The spec with which a run of a backup started.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct BackupRun {
    /// `spec.cassandraCluster` at the start of the run.
    pub cassandra_cluster: String,

    /// `spec.storageLocation` at the start of the run.
    pub storage_location: String,

    /// `spec.entities` at the start of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entities: Option<String>,

    /// `spec.secret` at the start of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,

    /// `spec.duration` at the start of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<String>,

    /// `spec.bandwidth` at the start of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bandwidth: Option<String>,

    /// `spec.concurrentConnections` at the start of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrent_connections: Option<i32>,

    /// `spec.datacenter` at the start of the run. If absent, the run covers every datacenter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub datacenter: Option<String>,

    /// The number of times that the run began again under another name, because a part of it was not proven. Each earlier
    /// attempt is in `history`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub restarts: Option<i32>,

    /// The running pods and the nodes that the run leaves out, because they were not in the ring for 15 minutes.
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub left_out: Vec<String>,
}

/// A Cassandra node of a run.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "camelCase")]
pub struct RunNode {
    /// The host id of the node in Cassandra, a UUID, which is the third folder in the bucket.
    pub host_id: String,

    /// The datacenter of the node in Cassandra, which is the second folder in the bucket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub datacenter: Option<String>,

    /// The pod of the node at the time of the run. Absent if only the bucket was described.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,
}

/// The nodes of one or more runs. Runs on the same nodes share one record.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct RunRing {
    /// The number by which `history[].ring` refers to this ring. A number is never reused.
    pub id: i64,

    /// The nodes, ordered by host id.
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub nodes: Vec<RunNode>,
}

/// The entities of one or more runs. Runs with the same long list share one record.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct EntityList {
    /// The number by which `history[].entityList` refers to this list. A number is never reused.
    pub id: i64,

    /// The entities, as `spec.entities` had them at the start of the run.
    pub entities: String,
}

/// The failure to remove the snapshot of a run.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct RemovalFailure {
    /// The number of times that the removal was given up.
    #[schemars(range(min = 0))]
    pub count: i32,

    /// The time at which it was last given up.
    pub last: Time,

    /// The node and its error, for people.
    pub message: String,
}

/// A run of a backup that has ended.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct PastRun {
    /// The full name of the snapshot: the tag, the schema version and the time in milliseconds. A restore
    /// with this name in `spec.snapshot` restores this run.
    pub snapshot: String,

    /// The storage location of the snapshot: `spec.storageLocation` at the start of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_location: Option<String>,

    /// The final state of the run: `COMPLETED`, `PARTIAL` (some nodes of the cluster were left out, or their parts were
    /// removed from the bucket), `FAILED` or `CANCELLED`.
    pub outcome: String,

    /// The start of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started: Option<Time>,

    /// The end of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed: Option<Time>,

    /// The failure of `spec.retention` to remove the snapshot. It is tried again, less and less often.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub removal_failure: Option<RemovalFailure>,

    /// The size of the snapshot on all nodes together, in bytes, if the sidecar reports it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub size: Option<i64>,

    /// The `CassandraCluster` that the run backed up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cassandra_cluster: Option<String>,

    /// The name of the cluster in Cassandra, which is the first folder in the bucket. Absent in runs that an earlier
    /// version of cassgate recorded, like the fields below.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_name: Option<String>,

    /// The one datacenter that the run covered. If absent while `clusterName` is present, the run covered every
    /// datacenter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub datacenter: Option<String>,

    /// The entities that the run covered. If absent while `clusterName` is present and `entityList` is not, the run
    /// covered every keyspace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entities: Option<String>,

    /// The entities that the run covered, if the list is long: the `id` of an entry of `status.entityLists`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entity_list: Option<i64>,

    /// The schema version of the ring at the start of the run, a UUID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema_version: Option<String>,

    /// The nodes of the run: the `id` of an entry of `status.rings`. Absent if the nodes are unknown: the rings of the
    /// oldest runs are dropped when the status becomes too large.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ring: Option<i64>,

    /// The size of each node's part in bytes, in the order of the nodes of the ring, if the sidecars report it. Kept for
    /// the newest runs only.
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub node_bytes: Vec<i64>,

    /// The number of files of each node's part, in the order of the nodes of the ring, if the sidecars report it. Kept
    /// for the newest runs only.
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub node_files: Vec<i64>,
}

/// The values that a restore copied from its backup when it started.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct RestoreSource {
    /// The `metadata.uid` of the backup, which differs from that of another object with the same name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup_uid: Option<String>,

    /// The storage location of the snapshot: that of the run, or else the backup's `spec.storageLocation`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_location: Option<String>,

    /// The full name of the restored snapshot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot_tag: Option<String>,

    /// The restored entities: the restore's own `spec.entities`, or else those of the run. If absent, everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entities: Option<String>,

    /// The Secret whose credentials are used: the restore's own `spec.secret`, or else the backup's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,

    /// The tables whose data goes into other tables, from the restore's `spec.rename`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rename: Option<BTreeMap<String, String>>,

    /// The name of the cluster in Cassandra at the time of the run, which is the first folder in the bucket. If absent,
    /// it is unknown and taken from the ring of the restore.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_name: Option<String>,

    /// The one datacenter that the run covered. If absent, the run covered every datacenter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub datacenter: Option<String>,

    /// The nodes of the run, or those that the description of the bucket names. If absent, they are unknown.
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub nodes: Vec<RunNode>,
}
