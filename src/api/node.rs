//! The status of a run on one Cassandra node.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::phase::Phase;

use super::condition_type::ConditionType;
use super::lenient::null_is_default;

/// The state of the last run on a Cassandra node.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct NodeStatus {
    /// The host id of the node in Cassandra, a UUID. It stays the same when the pod moves.
    pub host_id: String,

    /// The pod that the node runs in. Example: `cassandra-demo-dc1-rack1-0`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,

    /// The datacenter of the node in Cassandra, which is the second folder in the bucket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub datacenter: Option<String>,

    /// The phase of the node: `BACKUP`, `REMOVE`, or the phase of a restore, which is `INIT`, `DOWNLOAD`,
    /// `TRUNCATE`, `IMPORT`, `REFRESH` or `CLEANUP`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,

    /// The time just before the request was last sent. If `operation` is absent, it is unknown whether the
    /// request arrived.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sent: Option<Time>,

    /// The number of times the request of this phase was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub attempts: Option<i32>,

    /// The id of the operation in the sidecar of this pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,

    /// The ids of the earlier operations, newest last, which are not the result of the last request. The
    /// oldest are dropped from the list.
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub past_operations: Vec<String>,

    /// The state of the operation: `PENDING`, `RUNNING`, `COMPLETED`, `FAILED` or `CANCELLED`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,

    /// The progress of the operation, `0%` to `100%`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<String>,

    /// The last error, as the sidecar reported it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,

    /// The time since which the sidecar does not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub silent_since: Option<Time>,

    /// The current table of a `REFRESH`, `KEYSPACE.TABLE`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,

    /// The containers of the node when an upload was sent, or when the tables were last emptied. If they differ later, a
    /// container was restarted in between: the upload is not believed, or the tables are emptied and filled again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub containers: Option<NodeContainers>,

    /// The host id of the node whose part of the backup is restored on this node, if it is another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_host_id: Option<String>,

    /// The datacenter in the bucket of the part that is restored on this node, if it is another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_datacenter: Option<String>,

    /// The size of the node's part of the backup in bytes, if the sidecar reports it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub bytes: Option<i64>,

    /// The number of files of the node's part of the backup, if the sidecar reports it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub files: Option<i64>,

    /// `true` if the upload was interrupted or lost, so that files may be missing in the bucket, or cut short, although its
    /// manifest is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unproven: Option<bool>,

    /// The error of the download that should have proven the part of a backup.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proof_error: Option<String>,

    /// The time since which the operation of this phase fails, or since which a run whose part is not proven cannot begin
    /// again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failing_since: Option<Time>,
}

/// The containers of a node, each by its id and, after `#`, its restart count.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct NodeContainers {
    /// The container of Cassandra.
    pub cassandra: String,

    /// The container of the sidecar.
    pub sidecar: String,
}

impl NodeStatus {
    /// Returns the parsed `state`, or `None` if the sidecar has not reported one.
    #[must_use]
    pub fn state(&self) -> Option<ConditionType<'_>> {
        self.state.as_deref().map(ConditionType::parse)
    }

    /// Returns the parsed `phase`, or `None` if it is absent or unknown.
    #[must_use]
    pub fn phase(&self) -> Option<Phase> {
        self.phase.as_deref().and_then(Phase::parse)
    }

    /// Returns the host id of the node whose folder in the bucket is read or written: that of the part which a restore
    /// gives to this node, or else the node's own.
    #[must_use]
    pub fn bucket_host_id(&self) -> &str {
        self.source_host_id.as_deref().unwrap_or(&self.host_id)
    }

    /// Returns the datacenter of that folder.
    #[must_use]
    pub fn bucket_datacenter(&self) -> Option<&str> {
        self.source_datacenter.as_deref().or(self.datacenter.as_deref())
    }

    /// Returns true if its operation completed.
    #[must_use]
    pub fn is_completed(&self) -> bool {
        self.state() == Some(ConditionType::Completed)
    }

    /// Returns true if the recorded state is `PENDING` or `RUNNING`, so that the sidecar may be at work.
    #[must_use]
    pub fn is_active(&self) -> bool {
        matches!(
            self.state(),
            Some(ConditionType::Pending | ConditionType::Running)
        )
    }
}
