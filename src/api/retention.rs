//! What the status of a scheduled backup tells of the snapshots that do not stay.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::lenient::null_is_default;
use super::node::NodeStatus;
use super::run::PastRun;

/// How far the removal of old snapshots is.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct RetentionStatus {
    /// The snapshots that would be removed, the oldest first. Only with the annotation
    /// `cassgate.db.orange.com/retention: report`, which removes none.
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub reported: Vec<String>,

    /// The run whose snapshot is being removed. It stands in `history` no longer, so no restore takes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub removing: Option<PastRun>,

    /// How far each node is with that. `COMPLETED`: the snapshot is no longer in the node's share of the bucket.
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["hostId"]))]
    pub nodes: Vec<NodeStatus>,
}

impl RetentionStatus {
    /// Whether a sidecar may be removing something just now.
    #[must_use]
    pub fn is_in_flight(&self) -> bool {
        self.nodes.iter().any(NodeStatus::is_active)
    }
}
