//! The operations that a sidecar reports.

use std::fmt;

use jiff::Timestamp;
use serde::Deserialize;

use crate::domain::phase::RestorePhase;
use crate::domain::resolved_tag::ResolvedTag;
use crate::domain::source_directory::SourceDirectory;

use super::failure::NodeFailure;
use super::listing::Listing;

/// The id of an operation. Only the sidecar that issued it knows it, until it restarts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperationId(String);

impl OperationId {
    /// Parses an id. Returns `None` for a text that is unsafe in the path of a request.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_valid = |b: u8| b.is_ascii_hexdigit() || b == b'-';
        let is_id = !text.is_empty() && text.len() <= 36 && text.bytes().all(is_valid);
        is_id.then(|| Self(text.to_owned()))
    }

    /// Returns the id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The kind of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OperationKind {
    /// A backup.
    Backup,
    /// A phase of a restore.
    Restore,
    /// A refresh of a table.
    Refresh,
    /// A listing of a node's folder of the bucket.
    List,
    /// The removal of a snapshot.
    RemoveBackup,
    /// A kind that cassgate never sends.
    Other(String),
}

/// The state of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OperationState {
    /// The operation waits for a thread.
    Pending,
    /// The operation runs. If it already has errors it will fail, but continues until then.
    Running,
    /// The operation ended well.
    Completed,
    /// The operation was cancelled. Never observed: a cancelled operation fails.
    Cancelled,
    /// The operation failed.
    Failed,
    /// A state that no known version of Icarus has, with its first 200 characters.
    Unknown(String),
}

impl OperationState {
    /// Returns true if the state is final. `Unknown` counts as not final.
    #[must_use]
    pub const fn is_terminal(&self) -> bool {
        matches!(self, Self::Completed | Self::Cancelled | Self::Failed)
    }

    fn parse(text: &str) -> Self {
        match text {
            "PENDING" => Self::Pending,
            "RUNNING" => Self::Running,
            "COMPLETED" => Self::Completed,
            "CANCELLED" | "CANCELED" => Self::Cancelled,
            "FAILED" => Self::Failed,
            other => Self::Unknown(super::error::excerpt(other.as_bytes())),
        }
    }
}

/// One error of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationError {
    /// The host on which the error occurred, or that could not be reached.
    pub source: Option<String>,
    /// The full message, which may be kilobytes long. `None` if the Java exception has no message (observed).
    pub message: Option<String>,
}

impl OperationError {
    /// Returns the failure that the message reports.
    #[must_use]
    pub fn failure(&self) -> NodeFailure {
        NodeFailure::of_message(self.message.as_deref().unwrap_or_default())
    }
}

/// An operation of a sidecar. Fields that the answer omits are `None`.
#[derive(Debug, Clone, PartialEq)]
pub struct Operation {
    /// Its id.
    pub id: OperationId,
    /// Its kind.
    pub kind: OperationKind,
    /// Its state.
    pub state: OperationState,
    /// Its errors, which appear while it still runs.
    pub errors: Vec<OperationError>,
    /// Its progress from 0 to 1. A failed operation ends at 1 too, and a running one can be at 1 (observed).
    pub progress: f64,
    /// The time at which the sidecar accepted it.
    pub created: Option<Timestamp>,
    /// The time at which it started.
    pub started: Option<Timestamp>,
    /// The time at which it ended.
    pub completed: Option<Timestamp>,
    /// The node's folder of the bucket.
    pub storage_location: Option<String>,
    /// The tag as it was sent, or as the sidecar resolved it.
    pub snapshot_tag: Option<String>,
    /// The phase of a restore. `None` for a phase that cassgate never sends.
    pub phase: Option<RestorePhase>,
    /// The directory of the downloads in the sidecar's notation; compare it with [`SourceDirectory::matches`].
    pub source_directory: Option<String>,
    /// True if it covers the whole cluster. cassgate never sends such an operation.
    pub global: bool,
    /// The keyspace of a refresh.
    pub keyspace: Option<String>,
    /// The table of a refresh.
    pub table: Option<String>,
    /// The result of a `list`.
    pub listing: Option<Listing>,
}

impl Operation {
    /// Builds an operation without errors, progress or details, for stand-ins of a sidecar.
    ///
    /// The other fields are set with struct update syntax:
    ///
    /// ```
    /// use cassgate::icarus::{Operation, OperationId, OperationKind, OperationState};
    ///
    /// let id = OperationId::parse("d8bbb89e-1b2a-404d-b4b2-7a44f62eaf6c").unwrap();
    /// let operation = Operation {
    ///     progress: 0.5,
    ///     snapshot_tag: Some("nightly".to_owned()),
    ///     ..Operation::new(id, OperationKind::Backup, OperationState::Running)
    /// };
    /// assert!(operation.errors.is_empty());
    /// ```
    #[must_use]
    pub const fn new(id: OperationId, kind: OperationKind, state: OperationState) -> Self {
        Self {
            id,
            kind,
            state,
            errors: Vec::new(),
            progress: 0.0,
            created: None,
            started: None,
            completed: None,
            storage_location: None,
            snapshot_tag: None,
            phase: None,
            source_directory: None,
            global: false,
            keyspace: None,
            table: None,
            listing: None,
        }
    }

    /// Returns the most severe of its failures, or `None` without errors.
    ///
    /// An operation that failed without an error has an empty [`NodeFailure::Other`].
    #[must_use]
    pub fn failure(&self) -> Option<NodeFailure> {
        let worst = self
            .errors
            .iter()
            .map(OperationError::failure)
            .max_by_key(NodeFailure::severity);
        match (&self.state, worst) {
            (OperationState::Failed | OperationState::Cancelled, None) => {
                Some(NodeFailure::Other(String::new()))
            }
            (_, worst) => worst,
        }
    }

    /// Returns true for the node-level backup with this name.
    #[must_use]
    pub fn is_backup(&self, snapshot: &ResolvedTag) -> bool {
        self.kind == OperationKind::Backup
            && !self.global
            && self.snapshot_tag.as_deref() == Some(snapshot.as_str())
    }

    /// Returns true for this phase of the node-level restore with this source directory.
    #[must_use]
    pub fn is_phase(&self, source: &SourceDirectory, phase: RestorePhase) -> bool {
        self.kind == OperationKind::Restore
            && !self.global
            && self.phase == Some(phase)
            && self
                .source_directory
                .as_deref()
                .is_some_and(|text| source.matches(text))
    }
}

/// An operation in an answer. Unknown fields are ignored.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Raw {
    id: String,
    r#type: String,
    state: String,
    #[serde(default)]
    errors: Option<Vec<RawError>>,
    #[serde(default)]
    progress: Option<f64>,
    creation_time: Option<String>,
    start_time: Option<String>,
    completion_time: Option<String>,
    storage_location: Option<String>,
    snapshot_tag: Option<String>,
    restoration_phase: Option<String>,
    import: Option<RawImport>,
    #[serde(default)]
    global_request: bool,
    keyspace: Option<String>,
    table: Option<String>,
    response: Option<Listing>,
}

#[derive(Deserialize)]
struct RawError {
    source: Option<String>,
    message: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawImport {
    source_dir: Option<String>,
}

impl Raw {
    /// Returns `None` if the id is invalid, because such an operation cannot be requested.
    pub(super) fn parse(self) -> Option<Operation> {
        let time = |text: Option<String>| text.and_then(|text| text.parse::<Timestamp>().ok());
        Some(Operation {
            id: OperationId::parse(&self.id)?,
            kind: match &*self.r#type {
                "backup" => OperationKind::Backup,
                "restore" => OperationKind::Restore,
                "refresh" => OperationKind::Refresh,
                "list" => OperationKind::List,
                "remove-backup" => OperationKind::RemoveBackup,
                other => OperationKind::Other(super::error::excerpt(other.as_bytes())),
            },
            state: OperationState::parse(&self.state),
            errors: self
                .errors
                .unwrap_or_default()
                .into_iter()
                .map(|error| OperationError {
                    source: error.source,
                    message: error.message,
                })
                .collect(),
            progress: self.progress.unwrap_or_default().clamp(0.0, 1.0),
            created: time(self.creation_time),
            started: time(self.start_time),
            completed: time(self.completion_time),
            storage_location: self.storage_location,
            snapshot_tag: self.snapshot_tag,
            phase: self.restoration_phase.as_deref().and_then(RestorePhase::parse),
            source_directory: self.import.and_then(|import| import.source_dir),
            global: self.global_request,
            keyspace: self.keyspace,
            table: self.table,
            listing: self.response,
        })
    }
}
