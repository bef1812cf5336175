//! An operation as a sidecar reports it.

use std::fmt;

use jiff::Timestamp;
use serde::Deserialize;

use crate::domain::phase::RestorePhase;
use crate::domain::resolved_tag::ResolvedTag;
use crate::domain::source_directory::SourceDirectory;

use super::failure::NodeFailure;
use super::listing::Listing;

/// The id that a sidecar gave to an operation. Another sidecar, or this one after a restart, does not know it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperationId(String);

impl OperationId {
    /// Reads an id; `None` for what cannot stand in the path of a request.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let fits = |b: u8| b.is_ascii_hexdigit() || b == b'-';
        let is_id = !text.is_empty() && text.len() <= 36 && text.bytes().all(fits);
        is_id.then(|| Self(text.to_owned()))
    }

    /// The id.
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

/// What an operation does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OperationKind {
    /// A backup.
    Backup,
    /// A phase of a restore.
    Restore,
    /// A refresh of a table.
    Refresh,
    /// A listing of a share.
    List,
    /// The removal of a snapshot.
    RemoveBackup,
    /// Something that cassgate never asks for.
    Other(String),
}

/// How an operation stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OperationState {
    /// Waits for a thread.
    Pending,
    /// Runs. When it has errors already it is lost, and goes on all the same.
    Running,
    /// Ended well.
    Completed,
    /// Ended by a cancellation. Never seen: a cancelled operation fails.
    Cancelled,
    /// Ended badly.
    Failed,
    /// A state that no Icarus we know has: its first 200 characters.
    Unknown(String),
}

impl OperationState {
    /// Whether it is over for good. `Unknown` is not: who knows.
    #[must_use]
    pub const fn is_terminal(&self) -> bool {
        matches!(self, Self::Completed | Self::Cancelled | Self::Failed)
    }

    fn from_text(text: &str) -> Self {
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
    /// The host that it happened on, or that could not be reached.
    pub source: Option<String>,
    /// What happened, whole: kilobytes at times. Absent where Java's exception had no text (seen).
    pub message: Option<String>,
}

impl OperationError {
    /// What the plan makes of it.
    #[must_use]
    pub fn failure(&self) -> NodeFailure {
        NodeFailure::of_message(self.message.as_deref().unwrap_or_default())
    }
}

/// An operation as its sidecar reports it. What the sidecar leaves out is `None`.
#[derive(Debug, Clone, PartialEq)]
pub struct Operation {
    /// Its id.
    pub id: OperationId,
    /// What it does.
    pub kind: OperationKind,
    /// How it stands.
    pub state: OperationState,
    /// What went wrong; also while it runs.
    pub errors: Vec<OperationError>,
    /// From 0 to 1. A failed one ends at 1 too, and a running one can be at 1 (seen).
    pub progress: f64,
    /// When it was taken up.
    pub created: Option<Timestamp>,
    /// When it began to run.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub completed: Option<Timestamp>,
    /// The share that it works on.
    pub storage_location: Option<String>,
    /// The tag, as it was sent or as the sidecar resolved it.
    pub snapshot_tag: Option<String>,
    /// The phase of a restore. `None` for a phase that cassgate never sends.
    pub phase: Option<RestorePhase>,
    /// The directory of the downloads, as the sidecar writes it; compare it with [`SourceDirectory::is`].
    pub source_directory: Option<String>,
    /// Whether it speaks for the whole cluster: somebody else's, cassgate sends none.
    pub global: bool,
    /// The keyspace of a refresh.
    pub keyspace: Option<String>,
    /// The table of a refresh.
    pub table: Option<String>,
    /// What a `list` found.
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

    /// The gravest of its errors; `None` when it has none. An operation that failed without a word gives
    /// [`NodeFailure::Other`] with nothing in it.
    #[must_use]
    pub fn failure(&self) -> Option<NodeFailure> {
        let gravest = self
            .errors
            .iter()
            .map(OperationError::failure)
            .max_by_key(NodeFailure::gravity);
        match (&self.state, gravest) {
            (OperationState::Failed | OperationState::Cancelled, None) => {
                Some(NodeFailure::Other(String::new()))
            }
            (_, gravest) => gravest,
        }
    }

    /// Whether it is the backup of this node that was asked for under this name.
    #[must_use]
    pub fn is_backup(&self, snapshot: &ResolvedTag) -> bool {
        self.kind == OperationKind::Backup
            && !self.global
            && self.snapshot_tag.as_deref() == Some(snapshot.as_str())
    }

    /// Whether it is this phase of the restore that downloads into this directory.
    #[must_use]
    pub fn is_phase(&self, source: &SourceDirectory, phase: RestorePhase) -> bool {
        self.kind == OperationKind::Restore
            && !self.global
            && self.phase == Some(phase)
            && self
                .source_directory
                .as_deref()
                .is_some_and(|text| source.is(text))
    }
}

/// An operation as it stands in an answer. Unknown fields are left alone.
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
    /// `None` when the id is none: then it can never be asked for.
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
            state: OperationState::from_text(&self.state),
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
