//! The types of the status as an earlier version of cassgate had them, before runs recorded what they covered.
//!
//! They are frozen: the tests of an upgrade and of the way back read and write with them.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use serde::{Deserialize, Serialize};

#[derive(Deserialize, Serialize, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub(super) struct BackupRun {
    pub(super) cassandra_cluster: String,
    pub(super) storage_location: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) entities: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) secret: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) duration: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) bandwidth: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) concurrent_connections: Option<i32>,
}

#[derive(Deserialize, Serialize, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub(super) struct PastRun {
    pub(super) snapshot: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) storage_location: Option<String>,
    pub(super) outcome: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) started: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) completed: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) size: Option<i64>,
}

#[derive(Deserialize, Serialize, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub(super) struct RestoreSource {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) backup_uid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) storage_location: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) snapshot_tag: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) entities: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) secret: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rename: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize, Serialize, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub(super) struct NodeStatus {
    pub(super) host_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pod: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) datacenter: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) phase: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sent: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) attempts: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) operation: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) past_operations: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) state: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) progress: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) silent_since: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) table: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) containers: Option<NodeContainers>,
}

#[derive(Deserialize, Serialize, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub(super) struct NodeContainers {
    pub(super) cassandra: String,
    pub(super) sidecar: String,
}

#[derive(Deserialize, Serialize, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub(super) struct RetentionStatus {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) reported: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) removing: Option<PastRun>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) nodes: Vec<NodeStatus>,
}

#[derive(Deserialize, Serialize, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub(super) struct BackupStatus {
    #[serde(flatten)]
    pub(super) common: BackRestStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) snapshot_tag: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) last_schedule_time: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next_schedule_time: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) schedule: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) run: Option<Box<BackupRun>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) missed_runs: Option<i64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) history: Vec<PastRun>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) retention: Option<Box<RetentionStatus>>,
}

#[derive(Deserialize, Serialize, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub(super) struct RestoreStatus {
    #[serde(flatten)]
    pub(super) common: BackRestStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) source: Option<RestoreSource>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) phase: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) truncation: Option<Truncation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) giving_up: Option<GivingUp>,
}

#[derive(Deserialize, Serialize, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub(super) struct Truncation {
    pub(super) begun: Time,
    pub(super) host_id: String,
    pub(super) rounds: i32,
}

#[derive(Deserialize, Serialize, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub(super) struct GivingUp {
    pub(super) reason: String,
    pub(super) message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) source: Option<String>,
    pub(super) since: Time,
}

#[derive(Deserialize, Serialize, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub(super) struct BackRestStatus {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) time_created: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) time_started: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) time_completed: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) progress: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) coordinator_member: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) condition: Option<BackRestCondition>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cluster_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) observed_generation: Option<i64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) conditions: Vec<Condition>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) nodes: Vec<NodeStatus>,
}

#[derive(Deserialize, Serialize, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub(super) struct BackRestCondition {
    #[serde(rename = "type")]
    pub(super) type_: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) last_transition_time: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) failure_cause: Vec<FailureCause>,
}

#[derive(Deserialize, Serialize, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub(super) struct FailureCause {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) source: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) message: Option<String>,
}
