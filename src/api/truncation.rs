//! The record of `TRUNCATE`, the phase in which a restore empties tables.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::lenient::null_is_default;

/// The record of the emptying of the tables of a restore.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Truncation {
    /// The time just before the first `TRUNCATE` was sent that may have emptied a table. The first copies
    /// `truncated-…` that Cassandra made after this time contain the data of the tables from before the restore.
    pub begun: Time,

    /// Cassandra's id of the node that empties the tables on all nodes.
    pub host_id: String,

    /// The number of times the tables were emptied. A restart of a container in between adds one.
    #[schemars(range(min = 1))]
    pub rounds: i32,

    /// The state of the tables: `INTENDED` (a `TRUNCATE` is about to be sent, or it is unknown whether it arrived),
    /// `ACCEPTED` (a sidecar has accepted it), `FAILED_UNTOUCHED` (none has arrived, or each failed before it emptied
    /// any table), `PARTLY_EMPTIED` (it failed for some tables) or `EMPTIED`. If absent, an earlier version of cassgate
    /// wrote the record, and the tables count as emptied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,

    /// The tables that could not be emptied, `KEYSPACE.TABLE`, if `state` is `PARTLY_EMPTIED`.
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub failed_tables: Vec<String>,

    /// `true` if a `TRUNCATE` was sent again after an earlier one had emptied some tables. The copies also hold what was
    /// written in between.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sent_again: Option<bool>,

    /// The host ids of the nodes that were in the ring before the tables were emptied and receive no part of the backup.
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub other_nodes: Vec<String>,

    /// The host ids of the nodes that joined the ring between `TRUNCATE` and the end of `IMPORT`. Rows whose place they took
    /// may be missing, so the copies of the emptied tables are kept.
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub joined_nodes: Vec<String>,
}

/// The state of the tables of a restore in `TRUNCATE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TruncationState {
    /// A request is about to be sent, or it is unknown whether it arrived.
    Intended,
    /// A sidecar has accepted the request.
    Accepted,
    /// No request has arrived, or each operation failed before it emptied any table.
    FailedUntouched,
    /// The operation failed for some tables.
    PartlyEmptied,
    /// The tables are empty on all nodes.
    Emptied,
}

impl TruncationState {
    const ALL: [Self; 5] = [
        Self::Intended,
        Self::Accepted,
        Self::FailedUntouched,
        Self::PartlyEmptied,
        Self::Emptied,
    ];

    /// Returns the state as the status has it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Intended => "INTENDED",
            Self::Accepted => "ACCEPTED",
            Self::FailedUntouched => "FAILED_UNTOUCHED",
            Self::PartlyEmptied => "PARTLY_EMPTIED",
            Self::Emptied => "EMPTIED",
        }
    }

    /// Parses a state. Absent or unknown text counts as [`TruncationState::Emptied`], the state in which no data is
    /// deleted by mistake.
    #[must_use]
    pub fn parse(text: Option<&str>) -> Self {
        let mut all = Self::ALL.into_iter();
        all.find(|state| Some(state.as_str()) == text)
            .unwrap_or(Self::Emptied)
    }
}

impl Truncation {
    /// Returns the parsed `state`.
    #[must_use]
    pub fn state(&self) -> TruncationState {
        TruncationState::parse(self.state.as_deref())
    }

    /// Records another state.
    pub fn set_state(&mut self, state: TruncationState) {
        self.state = Some(state.as_str().to_owned());
    }

    /// Returns true if tables were emptied more than once, so that the copies also hold what was written in between.
    #[must_use]
    pub fn has_repeated(&self) -> bool {
        self.rounds > 1 || self.sent_again == Some(true)
    }

    /// Returns true if the outcome of the last request is unknown.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(
            self.state(),
            TruncationState::Intended | TruncationState::Accepted
        )
    }

    /// Returns true if a table may have been emptied. An intended request may have arrived.
    #[must_use]
    pub fn may_have_emptied(&self) -> bool {
        self.state() != TruncationState::FailedUntouched
    }
}
