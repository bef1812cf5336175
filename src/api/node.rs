//! What the status of a backup or restore records of each Cassandra node.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::phase::Phase;

use super::condition_type::ConditionType;
use super::lenient::null_is_default;

/// A Cassandra node's part in the last run.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct NodeStatus {
    /// Cassandra's id of the node, a UUID. It stays the same when the pod moves.
    pub host_id: String,

    /// The pod that the node runs in. Example: `cassandra-demo-dc1-rack1-0`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,

    /// The datacenter of the node in Cassandra: the second folder below the bucket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub datacenter: Option<String>,

    /// What the node does: `BACKUP`, or the phase of the restore: `INIT`, `DOWNLOAD`, `TRUNCATE`, `IMPORT`,
    /// `REFRESH`, `CLEANUP`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,

    /// When the request was last sent, or was about to be: written before it goes out. Without an `operation`
    /// beside it nobody knows yet whether it arrived.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sent: Option<Time>,

    /// How many times the request of this phase was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub attempts: Option<i32>,

    /// The id of the operation in the sidecar of this pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,

    /// The ids of the operations before it, the newest last: what the sidecar still knows of them is not the
    /// answer to the newest request. The oldest drop out of the list.
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

    /// How far the operation came, `0%` to `100%`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<String>,

    /// What last went wrong, in the words of the sidecar.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,

    /// Since when the sidecar does not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub silent_since: Option<Time>,

    /// The table that a `REFRESH` is at, `KEYSPACE.TABLE`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,

    /// The containers of the node when the tables were last emptied. Others at the end mean that one was
    /// restarted in between, and that the tables are emptied and filled once more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub containers: Option<NodeContainers>,
}

/// Which containers a node had: the id and, after `#`, the count of restarts of each.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct NodeContainers {
    /// That of Cassandra.
    pub cassandra: String,

    /// That of the sidecar.
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
