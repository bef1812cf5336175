//! What a run began with and how it ended, as the status keeps it.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a run of a backup began with.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct BackupRun {
    /// `spec.cassandraCluster` as it was.
    pub cassandra_cluster: String,

    /// `spec.storageLocation` as it was.
    pub storage_location: String,

    /// `spec.entities` as it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entities: Option<String>,

    /// `spec.secret` as it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,

    /// `spec.duration` as it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<String>,

    /// `spec.bandwidth` as it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bandwidth: Option<String>,

    /// `spec.concurrentConnections` as it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrent_connections: Option<i32>,
}

/// A run of a backup that is over.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct PastRun {
    /// The full name of the snapshot: the tag, the schema version and the time in milliseconds. A restore
    /// names it in `spec.snapshot` to go back to this run.
    pub snapshot: String,

    /// Where the snapshot is, as `spec.storageLocation` was when the run began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_location: Option<String>,

    /// How the run ended: `COMPLETED`, `FAILED` or `CANCELLED`.
    pub outcome: String,

    /// When the run began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started: Option<Time>,

    /// When the run was over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed: Option<Time>,

    /// How many bytes the snapshot has in all nodes together, where the sidecar can tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub size: Option<i64>,
}

/// What a restore took over from its backup when it began.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct RestoreSource {
    /// The `metadata.uid` of the backup: another object of the same name is another backup.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup_uid: Option<String>,

    /// Where the snapshot is, as in the backup's `spec.storageLocation`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_location: Option<String>,

    /// The full name of the snapshot that is restored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot_tag: Option<String>,

    /// What is restored: the restore's own `spec.entities`, or else the backup's. Absent: everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entities: Option<String>,

    /// The Secret whose credentials are used: the restore's own `spec.secret`, or else the backup's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,

    /// Which table's data goes into which other table, as in the restore's `spec.rename`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rename: Option<BTreeMap<String, String>>,
}
