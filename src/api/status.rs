//! `status`: what CassKop writes, word for word, and what we add.
//!
//! Text stays text here, as CassKop's CRD has it: an object whose status holds a word that nobody expected must
//! still be readable. [`ConditionType`] is the closed reading of such a word.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::phase::Phase;

use super::condition_type::ConditionType;
use super::lenient::null_is_default;
use super::node::NodeStatus;
use super::retention::RetentionStatus;
use super::run::{BackupRun, PastRun, RestoreSource};

/// How a backup stands.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct BackupStatus {
    /// What backups and restores have in common.
    #[serde(flatten)]
    pub common: BackRestStatus,

    /// The full name of the snapshot that the last run made or makes: the tag, the schema version and the
    /// time in milliseconds. A restore may name it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot_tag: Option<String>,

    /// The time of the schedule that the last run was due at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_schedule_time: Option<Time>,

    /// The time that the next run is due at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_schedule_time: Option<Time>,

    /// The schedule that `nextScheduleTime` was reckoned by, with `timeZone` in front of it. When the spec says
    /// something else, the times are reckoned anew from then on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,

    /// What the last run began with: it ends with it, whatever becomes of the spec.
    // In a box, as `retention` is: ten thousand backups that wait for their first run are in memory, and have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<Box<BackupRun>>,

    /// How many runs were due and did not take place, since the schedule was last changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub missed_runs: Option<i64>,

    /// The runs that are over, the newest first; the oldest drop out of the list.
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub history: Vec<PastRun>,

    /// How far the removal of the snapshots is that do not stay by `spec.retention`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention: Option<Box<RetentionStatus>>,
}

/// How a restore stands.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct RestoreStatus {
    /// What backups and restores have in common.
    #[serde(flatten)]
    pub common: BackRestStatus,

    /// What the restore took over from its backup when it began. From then on the backup may be changed or
    /// deleted without harm to the restore.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<RestoreSource>,

    /// What the ring as a whole does: `INIT`, `DOWNLOAD`, `TRUNCATE`, `IMPORT` or `CLEANUP`. Until `TRUNCATE`
    /// nothing has happened to the tables.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,

    /// When and by which node the tables were emptied. Absent: they were not touched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub truncation: Option<Truncation>,

    /// Why the restore is being given up; it ends when its nodes are tidied up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub giving_up: Option<GivingUp>,
}

/// When and by which node the tables of a restore were emptied.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Truncation {
    /// When the first `TRUNCATE` was about to be sent. The copies `truncated-…` that Cassandra made first after
    /// this time hold what the tables had before the restore.
    pub begun: Time,

    /// Cassandra's id of the node that empties the tables, on all nodes.
    pub host_id: String,

    /// How many times the tables were emptied: once more for every restart of a container in between.
    #[schemars(range(min = 1))]
    pub rounds: i32,
}

/// Why a restore is being given up.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct GivingUp {
    /// In one word for programs. Example: `NodesChanged`.
    pub reason: String,

    /// In a sentence for people.
    pub message: String,

    /// The pod whose sidecar gave the reason, where one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,

    /// Since when.
    pub since: Time,
}

/// The part of the status that backups and restores share. The first seven fields are CassKop's, with its
/// meaning and its texts; the others are ours and absent where CassKop acts.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct BackRestStatus {
    /// When the sidecar took the operation, in RFC 3339. Example: `2026-11-22T21:38:38.725Z`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_created: Option<String>,

    /// When the sidecar began with the operation, in RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_started: Option<String>,

    /// When the operation was over, well or not, in RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_completed: Option<String>,

    /// How far the operation came, `0%` to `100%`. One that failed ends at `100%` too: see `condition.type`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<String>,

    /// The id of the operation in the sidecar of `coordinatorMember`: a GET of `/operations/ID` there tells
    /// its details for about an hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,

    /// The pod whose sidecar has the operation; with cassgate as executor every node has one of its own
    /// (`nodes`), and this is the first of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coordinator_member: Option<String>,

    /// The state of the last run. Absent: nothing has run yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub condition: Option<BackRestCondition>,

    /// Cassandra's own name of the cluster: the first folder below the bucket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_name: Option<String>,

    /// The `metadata.generation` of the spec that this status is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// The state in the terms that `kubectl wait`, Argo CD and Flux know: `Ready`, `Reconciling`, `Stalled`
    /// (a human is needed), `Complete`, `Failed`, `ReferencesResolved`.
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

    /// What each Cassandra node has to do with the last run, and how far it is.
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
    /// `REQUIRED` (a restore that no sidecar has yet), `PENDING`, `RUNNING`, `COMPLETED`, `FAILED` or
    /// `CANCELLED`. The last three are final.
    #[serde(rename = "type")]
    pub type_: String,

    /// When the state last changed, as CassKop writes times. Example: `Sun, 22 Nov 2026 21:38:38 GMT`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_transition_time: Option<String>,

    /// Why the run failed: one entry for each node that reported an error.
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
    /// The node that reported the error: its host name or address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,

    /// The error in the sidecar's words. The sidecar leaves it out for some errors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

impl BackRestCondition {
    /// What `type` says.
    #[must_use]
    pub fn state(&self) -> ConditionType<'_> {
        ConditionType::parse(&self.type_)
    }
}

impl BackRestStatus {
    /// What `condition.type` says; `None` as long as nothing has run.
    #[must_use]
    pub fn state(&self) -> Option<ConditionType<'_>> {
        self.condition.as_ref().map(BackRestCondition::state)
    }

    /// Returns the entry of `conditions` with this type (see [`conditions`](super::conditions)) if its status is `True`.
    #[must_use]
    pub fn true_condition(&self, type_: &str) -> Option<&Condition> {
        let mut conditions = self.conditions.iter();
        conditions.find(|condition| condition.type_ == type_ && condition.status == "True")
    }

    /// Whether a run has begun, now or ever: CassKop takes any condition for that, and so do we.
    #[must_use]
    pub fn has_started(&self) -> bool {
        self.condition.is_some()
    }

    /// Whether the last run is over, well or not.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        self.state().is_some_and(ConditionType::is_terminal)
    }
}

impl PastRun {
    /// Returns true if the run completed, so that a restore may take its snapshot.
    #[must_use]
    pub fn is_completed(&self) -> bool {
        ConditionType::parse(&self.outcome) == ConditionType::Completed
    }
}

/// The schema of `metav1.Condition`, with its limits and with descriptions that say more than the upstream
/// ones, which carry the marks of another documentation tool.
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
                    "description": "Whether it holds: `True`, `False` or `Unknown`.",
                    "enum": ["True", "False", "Unknown"],
                },
                "reason": {
                    "type": "string",
                    "description": "Why, in one word for programs. Example: `BackupCompleted`.",
                    "minLength": 1,
                    "maxLength": 1024,
                },
                "message": {
                    "type": "string",
                    "description": "Why, in a sentence for people.",
                    "maxLength": 32768,
                },
                "lastTransitionTime": {
                    "type": "string",
                    "format": "date-time",
                    "description": "When `status` last changed.",
                },
                "observedGeneration": {
                    "type": "integer",
                    "format": "int64",
                    "description": "The `metadata.generation` of the spec that this condition is about.",
                    "minimum": 0,
                },
            },
        },
    })
}

impl RestoreStatus {
    /// Returns the parsed `phase`, or `None` if it is absent or unknown.
    #[must_use]
    pub fn phase(&self) -> Option<Phase> {
        self.phase.as_deref().and_then(Phase::parse)
    }
}
