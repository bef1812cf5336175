//! `CassandraRestore`: a restore of a backup or a part of it.

use std::collections::BTreeMap;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::lenient::null_is_default;
use super::status::RestoreStatus;

/// The backup to restore, the part of it, and the options. The restored tables are emptied first, in every
/// datacenter of the ring: data written since the backup is lost. A restore runs once.
#[expect(clippy::duplicated_attributes, reason = "each printer column names its type")]
#[derive(CustomResource, Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[kube(
    group = "db.orange.com",
    version = "v2",
    kind = "CassandraRestore",
    plural = "cassandrarestores",
    namespaced,
    status = "RestoreStatus",
    derive = "PartialEq",
    shortname = "cassr",
    shortname = "cassrs",
    category = "cassandra",
    doc = "A restore of a CassandraBackup, whole or in part, into the Cassandra cluster it was taken from. It runs once, right after it is created.",
    printcolumn(
        name = "Cluster",
        type_ = "string",
        json_path = ".spec.cassandraCluster",
        description = "The CassandraCluster that receives the data."
    ),
    printcolumn(
        name = "Backup",
        type_ = "string",
        json_path = ".spec.cassandraBackup",
        description = "The CassandraBackup that the data comes from."
    ),
    printcolumn(
        name = "Datacenter",
        type_ = "string",
        json_path = ".spec.datacenter",
        description = "The datacenter that receives the data. Empty means all of them.",
        priority = "1"
    ),
    printcolumn(
        name = "State",
        type_ = "string",
        json_path = ".status.condition.type",
        description = "The state of the restore. Empty means that it has not started."
    ),
    printcolumn(
        name = "Progress",
        type_ = "string",
        json_path = ".status.progress",
        description = "The progress of the restore. A failed one ends at 100% too: see State."
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp",
        description = "The time since the object was created."
    )
)]
#[serde(rename_all = "camelCase")]
pub struct CassandraRestoreSpec {
    /// Name of the `CassandraBackup` to restore, in the namespace of this object. It must be a backup of
    /// `cassandraCluster` with at least one completed run, or describe a bucket. Example: `nightly`.
    pub cassandra_backup: String,

    /// Name of the `CassandraCluster` that receives the data, in the namespace of this object. It must be the
    /// cluster that the backup was taken from, or, if the backup describes a bucket, a cluster with the same
    /// tokens. Example: `cassandra-demo`.
    pub cassandra_cluster: String,

    /// Name of the one datacenter whose nodes receive the data. The tables are nevertheless emptied in all
    /// datacenters: the replicas in the others stay empty until they are repaired. Default: every datacenter.
    /// Example: `dc1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub datacenter: Option<String>,

    /// The number of files that a node downloads at the same time. At least 1. Default: 10. In a
    /// `CassandraBackup` the same field is named `concurrentConnections`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrent_connection: Option<i32>,

    /// The directory of Cassandra on its nodes, which contains the directory `data`. Default:
    /// `/var/lib/cassandra`, as in CassKop's clusters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cassandra_directory: Option<String>,

    /// `true` keeps the copies that Cassandra makes of the tables before they are emptied (the snapshots
    /// `truncated-…`). The former rows can be copied back from them. They use disk space until they are removed. Default: `false`,
    /// they are deleted at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_delete_truncates: Option<bool>,

    /// The schema version with which the snapshot was taken, a UUID. It distinguishes snapshots whose tags have
    /// the same prefix. It is used only together with `exactSchemaVersion: true`. Default: the current version
    /// of the nodes. Example: `168d568b-d346-3f61-968f-a2716307a6e4`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema_version: Option<String>,

    /// `true` selects only a snapshot of the schema version in `schemaVersion`, or else of the current version
    /// of the nodes. Default: `false`, the newest snapshot whose name starts with the tag of the backup.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exact_schema_version: Option<bool>,

    /// The keyspaces (`k1,k2`) or tables (`k1.t1,k2.t3`) to restore, separated by commas. A list cannot have
    /// both, and the backup must contain all of them. Default: everything that the backup contains.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entities: Option<String>,

    /// Restores tables into other tables: `KEYSPACE.TABLE: KEYSPACE.TABLE`, the table of the backup and the
    /// table that receives its data. The target must exist, have the same columns, and not be restored itself.
    /// The table of the backup must be in `entities`. Default: every table receives its own data. Example:
    /// `k1.users: k1.users_old`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rename: Option<BTreeMap<String, String>>,

    /// Name of the Secret, in the namespace of this object, with the credentials for the backup's storage
    /// location. It has the same keys as the backup's Secret. Default: the backup's own Secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,

    /// The run of a scheduled backup to restore: a `snapshot` from the backup's `status.history`. Default: the
    /// newest completed run. Requires cassgate as executor. Example:
    /// `nightly-168d568b-d346-3f61-968f-a2716307a6e4-1795383523776`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub snapshot: Option<String>,

    /// The nodes that receive the parts of nodes of the backup that are no longer in the ring: a node that was replaced
    /// and kept its tokens, or the nodes of another cluster with the same tokens. Every other part is restored on its own
    /// node. Different tokens end the restore before any table is emptied. Requires cassgate as executor.
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["hostId"]))]
    pub nodes: Vec<RestoreNode>,
}

/// The part of one node of a backup, and the pod that receives it.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct RestoreNode {
    /// The host id of the node in the backup. Example: `9da86270-7a5c-4a0b-9e9b-0f6d3f0c2a11`.
    pub host_id: String,

    /// The pod whose Cassandra node receives the part. It must have the same tokens. Without it, the part is left out,
    /// and rows whose replicas were all in such parts are lost: that needs the confirmation of the rule
    /// `restore-incomplete`. Example: `cassandra-demo-dc1-rack1-0`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,
}

impl RestoreNode {
    /// Returns the pod that receives the part; `None` if the part is left out. An empty name counts as absent.
    #[must_use]
    pub fn receiver(&self) -> Option<&str> {
        self.pod.as_deref().filter(|pod| !pod.is_empty())
    }
}

impl CassandraRestore {
    /// Returns true if the restore has started: see [`BackRestStatus::has_started`](super::BackRestStatus::has_started).
    #[must_use]
    pub fn has_started(&self) -> bool {
        self.status
            .as_ref()
            .is_some_and(|status| status.common.has_started())
    }

    /// Returns true if the restore has ended: see [`BackRestStatus::is_terminal`](super::BackRestStatus::is_terminal).
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        self.status
            .as_ref()
            .is_some_and(|status| status.common.is_terminal())
    }
}
