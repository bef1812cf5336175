//! The records of runs in the status.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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

    /// The final state of the run: `COMPLETED`, `FAILED` or `CANCELLED`.
    pub outcome: String,

    /// The start of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started: Option<Time>,

    /// The end of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed: Option<Time>,

    /// The size of the snapshot on all nodes together, in bytes, if the sidecar reports it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub size: Option<i64>,
}

/// The values that a restore copied from its backup when it started.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct RestoreSource {
    /// The `metadata.uid` of the backup, which differs from that of another object with the same name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup_uid: Option<String>,

    /// The storage location of the snapshot, from the backup's `spec.storageLocation`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_location: Option<String>,

    /// The full name of the restored snapshot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot_tag: Option<String>,

    /// The restored entities: the restore's own `spec.entities`, or else the backup's. If absent, everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entities: Option<String>,

    /// The Secret whose credentials are used: the restore's own `spec.secret`, or else the backup's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,

    /// The tables whose data goes into other tables, from the restore's `spec.rename`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rename: Option<BTreeMap<String, String>>,
}
