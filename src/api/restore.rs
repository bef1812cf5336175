//! `CassandraRestore`: which part of which backup comes back.

use std::collections::BTreeMap;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::status::RestoreStatus;

/// Which backup comes back, which part of it, and how. The tables that are restored are emptied first, in
/// every datacenter of the ring: what was written since the backup is gone. A restore runs once.
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
    doc = "A restore of a CassandraBackup, whole or in part, into the Cassandra cluster it was taken from. It runs once, right after it was created.",
    printcolumn(
        name = "Cluster",
        type_ = "string",
        json_path = ".spec.cassandraCluster",
        description = "The CassandraCluster that gets the data."
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
        description = "The datacenter that gets the data; empty: all of them.",
        priority = "1"
    ),
    printcolumn(
        name = "State",
        type_ = "string",
        json_path = ".status.condition.type",
        description = "How the restore stands; empty: it has not begun."
    ),
    printcolumn(
        name = "Progress",
        type_ = "string",
        json_path = ".status.progress",
        description = "How far the restore came. A failed one ends at 100% too: see State."
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp",
        description = "How long ago the object was created."
    )
)]
#[serde(rename_all = "camelCase")]
pub struct CassandraRestoreSpec {
    /// Name of the `CassandraBackup` to restore, in the namespace of this object. It has to be one of
    /// `cassandraCluster`, and a run of it must have ended well. Example: `nightly`.
    pub cassandra_backup: String,

    /// Name of the `CassandraCluster` that gets the data, in the namespace of this object: the one that the
    /// backup was taken from. Example: `cassandra-demo`.
    pub cassandra_cluster: String,

    /// Name of the one datacenter whose nodes get the data back. The tables are emptied in all datacenters
    /// all the same: the replicas of the others stay empty until they are repaired. Default: every
    /// datacenter. Example: `dc1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub datacenter: Option<String>,

    /// How many files a node downloads at the same time. At least 1. Default: 10. In a `CassandraBackup` the
    /// same field is written `concurrentConnections`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrent_connection: Option<i32>,

    /// The directory of Cassandra on its nodes, which holds the directory `data`. Default:
    /// `/var/lib/cassandra`, where CassKop's clusters have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cassandra_directory: Option<String>,

    /// `true` keeps the copies that Cassandra makes of the tables before they are emptied (the snapshots
    /// `truncated-…`). They are a way back, and they take disk space until somebody removes them. Default:
    /// `false`, they are deleted at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_delete_truncates: Option<bool>,

    /// The schema version that the snapshot was taken with, a UUID: it tells snapshots apart whose tags begin
    /// alike. It counts only together with `exactSchemaVersion: true`. Default: the version that the nodes
    /// have now. Example: `168d568b-d346-3f61-968f-a2716307a6e4`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema_version: Option<String>,

    /// `true` takes only a snapshot of the schema version given in `schemaVersion`, or else of the one that
    /// the nodes have now. Default: `false`, the newest snapshot whose name begins with the tag of the backup.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exact_schema_version: Option<bool>,

    /// What to restore: keyspaces (`k1,k2`) or tables (`k1.t1,k2.t3`), separated by commas, never both kinds
    /// in one list, and no more than the backup holds. Default: everything that the backup holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entities: Option<String>,

    /// Restores a table into another one: `KEYSPACE.TABLE: KEYSPACE.TABLE`, from the table of the backup to
    /// the one that gets its data. The target must exist, have the same columns, and not be restored itself;
    /// the table on the left must stand in `entities`. Default: every table gets its own data. Example:
    /// `k1.users: k1.users_old`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rename: Option<BTreeMap<String, String>>,

    /// Name of the Secret, in the namespace of this object, with the credentials for the backup's storage
    /// location. Its keys are those of the backup's Secret. Default: the backup's own Secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,

    /// The one run of a scheduled backup to go back to: a `snapshot` out of the backup's `status.history`.
    /// Default: the newest that ended well. Only cassgate as executor knows this field. Example:
    /// `nightly-168d568b-d346-3f61-968f-a2716307a6e4-1795383523776`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub snapshot: Option<String>,
}

impl CassandraRestore {
    /// Whether the restore has begun: see [`BackRestStatus::has_started`](super::BackRestStatus::has_started).
    #[must_use]
    pub fn has_started(&self) -> bool {
        self.status
            .as_ref()
            .is_some_and(|status| status.common.has_started())
    }

    /// Whether the restore is over: see [`BackRestStatus::is_terminal`](super::BackRestStatus::is_terminal).
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        self.status
            .as_ref()
            .is_some_and(|status| status.common.is_terminal())
    }
}
