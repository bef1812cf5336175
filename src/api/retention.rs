//! The status of the removal of old snapshots.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::lenient::null_is_default;
use super::node::NodeStatus;
use super::run::PastRun;

/// The progress of the removal of old snapshots.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct RetentionStatus {
    /// The snapshots that would be removed, oldest first. Present only with the annotation
    /// `cassgate.db.orange.com/retention: report`, with which no snapshot is removed.
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub reported: Vec<String>,

    /// The run whose snapshot is being removed. It is no longer in `history`, so that a restore cannot use it. If the
    /// removal fails, it is put back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub removing: Option<PastRun>,

    /// The progress of the removal on each node. `COMPLETED` means that the node's folder in the bucket no longer
    /// has the snapshot.
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["hostId"]))]
    pub nodes: Vec<NodeStatus>,

    /// The time since which the removal under way makes no progress: neither the state nor the progress of its operation has
    /// changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_progress_since: Option<Time>,
}

impl RetentionStatus {
    /// Returns true if a sidecar may be removing a snapshot.
    #[must_use]
    pub fn is_in_flight(&self) -> bool {
        self.nodes.iter().any(NodeStatus::is_active)
    }
}
