//! `status`: the fields that CassKop writes, and the additional fields of cassgate.
//!
//! States and phases are strings, as in CassKop's CRD, so that an object with an unknown word in its status can still be
//! deserialized. [`ConditionType`] and [`Phase`] are the parsed values.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::phase::Phase;

use super::condition_type::ConditionType;
use super::lenient::null_is_default;
use super::node::NodeStatus;
use super::restore::RestoreNode;
use super::retention::RetentionStatus;
use super::run::{BackupRun, EntityList, PastRun, RestoreSource, RunRing};
use super::truncation::Truncation;

/// The state of a backup.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct BackupStatus {
    /// The fields that backups and restores share.
    #[serde(flatten)]
    pub common: BackRestStatus,

    /// The full name of the snapshot of the last run: the tag, the schema version and the time in
    /// milliseconds. A restore may name it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot_tag: Option<String>,

    /// The time at which the last run was due.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_schedule_time: Option<Time>,

    /// The time at which the next run is due.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_schedule_time: Option<Time>,

    /// The schedule from which `nextScheduleTime` was computed, with `timeZone` before it. If the spec differs,
    /// the times are computed again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,

    /// The spec with which the last run started. Later changes of the spec do not affect the run.
    // Boxed, like `retention`, to save memory: of ten thousand cached backups, those that wait for their first run have
    // neither.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<Box<BackupRun>>,

    /// The number of due runs that did not take place since the last change of the schedule.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub missed_runs: Option<i64>,

    /// The runs that have ended, newest first. The oldest are dropped from the list.
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub history: Vec<PastRun>,

    /// The nodes of the runs in `history`.
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["id"]))]
    pub rings: Vec<RunRing>,

    /// The long lists of entities of the runs in `history`.
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["id"]))]
    pub entity_lists: Vec<EntityList>,

    /// The progress of the removal of snapshots by `spec.retention`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention: Option<Box<RetentionStatus>>,
}

/// The state of a restore.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct RestoreStatus {
    /// The fields that backups and restores share.
    #[serde(flatten)]
    pub common: BackRestStatus,

    /// The values that the restore copied from its backup when it started. From then on, a change or deletion
    /// of the backup does not affect the restore.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<RestoreSource>,

    /// The phase of the restore: `INIT`, `DOWNLOAD`, `TRUNCATE`, `IMPORT` or `CLEANUP`. The tables are
    /// unchanged until `TRUNCATE`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,

    /// The record of the emptying of the tables. If absent, the tables are unchanged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub truncation: Option<Truncation>,

    /// The reason for which the restore is being ended. It ends when its nodes are cleaned up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub giving_up: Option<GivingUp>,

    /// The time since which neither the `CassandraCluster` nor a pod of it exists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_gone_since: Option<Time>,

    /// A proposal for `spec.nodes` of a new restore: nodes of the backup that are no longer in the ring, with the nodes
    /// that run in their pods today.
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub proposed_nodes: Vec<RestoreNode>,
}

/// The reason for which a restore is being ended.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct GivingUp {
    /// The reason in one word, for programs. Example: `RingChanged`.
    pub reason: String,

    /// The reason in a sentence, for people.
    pub message: String,

    /// The pod whose sidecar reported the reason, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,

    /// The time at which the restore began to end.
    pub since: Time,
}

/// The part of the status that backups and restores share.
///
/// The first seven fields are CassKop's, with the same meaning and values. The others are cassgate's, and absent if
/// CassKop is the executor.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct BackRestStatus {
    /// The time at which the sidecar accepted the operation, in RFC 3339; with cassgate the time at which the run began.
    /// Example: `2026-11-22T21:38:38.725Z`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_created: Option<String>,

    /// The time at which the sidecar started the operation, in RFC 3339; with cassgate the time at which the first operation
    /// of a node was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_started: Option<String>,

    /// The time at which the operation ended, well or not, in RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_completed: Option<String>,

    /// The progress of the operation, `0%` to `100%`. An operation that failed ends at `100%` too: see
    /// `condition.type`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<String>,

    /// The id of the operation in the sidecar of `coordinatorMember`. A GET of `/operations/ID` there returns
    /// its details for about an hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,

    /// The pod whose sidecar has the operation. With cassgate as executor every node has an operation of its
    /// own (`nodes`), and this is the pod of the first node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coordinator_member: Option<String>,

    /// The state of the last run. Absent before the first run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub condition: Option<BackRestCondition>,

    /// The name of the cluster in Cassandra, which is the first folder in the bucket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_name: Option<String>,

    /// The time since which a run is due and does not begin, because running pods of the cluster are not in the ring, or
    /// because two sidecars report different rings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ring_unsettled_since: Option<Time>,

    /// The time since which the run under way, or the one that is due, makes no progress: no state, phase or progress of a
    /// node has changed. It limits every wait and every operation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_progress_since: Option<Time>,

    /// The time since which the run waits for something that is limited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting_since: Option<Time>,

    /// The time since which cassgate continues a run whose end another executor wrote, because a user asked for it.
    /// `condition` keeps that end until cassgate ends the run: a run that is recorded as ended never becomes one that is
    /// under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resumed_since: Option<Time>,

    /// The `metadata.generation` of the spec that this status describes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// The conditions for `kubectl wait`, Argo CD and Flux: `Ready`, `Reconciling`, `Stalled`
    /// (a human is needed), `Complete`, `Failed`, `ReferencesResolved`, `RetentionBlocked`.
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    #[schemars(
        schema_with = "conditions_schema",
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"])
    )]
    pub conditions: Vec<Condition>,

    /// The state of the last run on each Cassandra node.
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["hostId"]))]
    pub nodes: Vec<NodeStatus>,
}

/// The state of the last run, as CassKop writes it.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct BackRestCondition {
    /// `REQUIRED` (a restore that no sidecar has received yet), `PENDING`, `RUNNING`, `COMPLETED`, `FAILED` or
    /// `CANCELLED`. The last three are final.
    #[serde(rename = "type")]
    pub type_: String,

    /// The time of the last change of the state, in CassKop's format. Example: `Sun, 22 Nov 2026 21:38:38 GMT`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_transition_time: Option<String>,

    /// The errors of a failed run: one entry for each node that reported an error.
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub failure_cause: Vec<FailureCause>,
}

/// An error that a node reported.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct FailureCause {
    /// The node that reported the error: with cassgate its pod or its host id, with CassKop its host name or address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,

    /// The message of the sidecar. The sidecar omits it for some errors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

impl BackRestCondition {
    /// Returns the parsed `type`.
    #[must_use]
    pub fn state(&self) -> ConditionType<'_> {
        ConditionType::parse(&self.type_)
    }
}

impl BackRestStatus {
    /// Returns the state of the last run, or `None` before the first one: the parsed `condition.type`, or `RUNNING` if the
    /// run continues although another executor wrote its end.
    #[must_use]
    pub fn state(&self) -> Option<ConditionType<'_>> {
        let state = self.condition.as_ref().map(BackRestCondition::state)?;
        let is_resumed = state.is_terminal() && self.resumed_since.is_some();
        Some(if is_resumed { ConditionType::Running } else { state })
    }

    /// Returns the entry of `conditions` with this type (see [`conditions`](super::conditions)) if its status is `True`.
    #[must_use]
    pub fn true_condition(&self, type_: &str) -> Option<&Condition> {
        let mut conditions = self.conditions.iter();
        conditions.find(|condition| condition.type_ == type_ && condition.status == "True")
    }

    /// Returns true if any run has started. As in CassKop, any condition means that.
    #[must_use]
    pub fn has_started(&self) -> bool {
        self.condition.is_some()
    }

    /// Returns true if the last run has ended, well or not.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        self.state().is_some_and(ConditionType::is_terminal)
    }
}

impl PastRun {
    /// The outcome of a run that left some nodes of the cluster out.
    pub const PARTIAL: &str = "PARTIAL";

    /// Returns true if some nodes of the cluster were left out. A restore has to name such a run.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.outcome == Self::PARTIAL
    }

    /// Returns true if the run completed, so that a restore may take its snapshot.
    #[must_use]
    pub fn is_completed(&self) -> bool {
        ConditionType::parse(&self.outcome) == ConditionType::Completed
    }
}

/// Returns the schema of `metav1.Condition`, with its limits.
///
/// The descriptions replace the upstream ones, which contain markup of another documentation tool.
fn conditions_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "array",
        "items": {
            "type": "object",
            "description": "One aspect of the state.",
            "required": ["lastTransitionTime", "message", "reason", "status", "type"],
            "properties": {
                "type": {
                    "type": "string",
                    "description": "The aspect. Example: `Ready`.",
                    "maxLength": 316,
                },
                "status": {
                    "type": "string",
                    "description": "The status of the aspect: `True`, `False` or `Unknown`.",
                    "enum": ["True", "False", "Unknown"],
                },
                "reason": {
                    "type": "string",
                    "description": "The reason in one word, for programs. Example: `BackupCompleted`.",
                    "minLength": 1,
                    "maxLength": 1024,
                },
                "message": {
                    "type": "string",
                    "description": "The reason in a sentence, for people.",
                    "maxLength": 32768,
                },
                "lastTransitionTime": {
                    "type": "string",
                    "format": "date-time",
                    "description": "The time of the last change of `status`.",
                },
                "observedGeneration": {
                    "type": "integer",
                    "format": "int64",
                    "description": "The `metadata.generation` of the spec that this condition describes.",
                    "minimum": 0,
                },
            },
        },
    })
}

impl RestoreStatus {
    /// Returns true if the restore may have emptied a table: see [`Truncation::may_have_emptied`].
    #[must_use]
    pub fn may_have_emptied(&self) -> bool {
        self.truncation.as_ref().is_some_and(Truncation::may_have_emptied)
    }

    /// Returns the parsed `phase`, or `None` if it is absent or unknown.
    #[must_use]
    pub fn phase(&self) -> Option<Phase> {
        self.phase.as_deref().and_then(Phase::parse)
    }
}
