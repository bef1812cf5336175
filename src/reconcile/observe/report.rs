//! The operations of a sidecar in the form that a plan reads.

use jiff::Timestamp;

use crate::domain::source_directory;
use crate::icarus::{Operation, OperationKind, SidecarError};
use crate::reconcile::plan::{OperationReport, Outcome};

/// Returns the outcome of a request.
pub(in crate::reconcile) fn outcome(result: Result<Operation, SidecarError>) -> Outcome {
    match result {
        Ok(operation) => Outcome::Accepted(report(&operation)),
        Err(SidecarError::Refused(_, message)) => Outcome::Rejected(message),
        Err(SidecarError::Withheld(reason)) => Outcome::Withheld(reason),
        Err(error) if error.may_have_arrived() => Outcome::Unknown(error.to_string()),
        Err(error) => Outcome::NotSent(error.to_string()),
    }
}

/// Returns the parts of an operation that a plan reads.
pub(super) fn report(operation: &Operation) -> OperationReport {
    OperationReport {
        id: operation.id.as_str().to_owned(),
        description: describe(operation),
        state: operation.state.clone(),
        progress: operation.progress,
        created: operation.created.unwrap_or(Timestamp::MIN),
        errors: operation.errors.clone(),
    }
}

/// Maximum number of characters that a description takes from a text of another client.
const MAX_FOREIGN_LENGTH: usize = 100;

/// Returns what an operation does, and what is known of its sender.
fn describe(operation: &Operation) -> String {
    let mut description = match &operation.kind {
        OperationKind::Backup => "backup".to_owned(),
        OperationKind::Restore => "restore".to_owned(),
        OperationKind::Refresh => "refresh".to_owned(),
        OperationKind::List => "listing".to_owned(),
        OperationKind::RemoveBackup => "removal".to_owned(),
        OperationKind::Other(kind) => foreign_text(kind),
    };
    if let Some(phase) = operation.phase {
        description = format!("{description}, phase {}", phase.as_str());
    }
    if let Some(tag) = operation.snapshot_tag.as_deref().filter(|tag| !tag.is_empty()) {
        description = format!("{description}, snapshot {}", foreign_text(tag));
    }
    let directory = operation.source_directory.as_deref();
    if operation.global {
        description.push_str(", of the whole cluster, which cassgate never sends and CassKop does");
    } else if directory.is_some_and(source_directory::is_cassgate_directory) {
        description.push_str(", of cassgate");
    }
    description
}

/// Returns the start of a text of another client on one line.
fn foreign_text(text: &str) -> String {
    let printable = text.chars().filter(|character| !character.is_control());
    printable.take(MAX_FOREIGN_LENGTH).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::icarus::{OperationId, OperationState, RestorePhase};

    #[test]
    fn a_description_says_what_an_operation_does_and_who_may_have_sent_it() {
        let id = OperationId::parse("00000000-0000-0000-0000-000000000001").unwrap();
        let of = |kind| Operation::new(id.clone(), kind, OperationState::Running);
        let backup = Operation {
            snapshot_tag: Some("nightly".to_owned()),
            ..of(OperationKind::Backup)
        };
        let restore = Operation {
            phase: Some(RestorePhase::Truncate),
            source_directory: Some("file:///var/lib/cassandra/cassgate-restore-6f2b/".to_owned()),
            ..of(OperationKind::Restore)
        };
        let long = format!("a\n{}", "b".repeat(300));
        for (operation, description) in [
            (backup.clone(), "backup, snapshot nightly".to_owned()),
            (
                Operation {
                    global: true,
                    ..backup.clone()
                },
                "backup, snapshot nightly, of the whole cluster, which cassgate never sends and CassKop does"
                    .to_owned(),
            ),
            (restore.clone(), "restore, phase TRUNCATE, of cassgate".to_owned()),
            (
                Operation {
                    source_directory: Some("/var/lib/cassandra/downloadedsstables".to_owned()),
                    ..restore
                },
                "restore, phase TRUNCATE".to_owned(),
            ),
            (of(OperationKind::List), "listing".to_owned()),
            (of(OperationKind::RemoveBackup), "removal".to_owned()),
            (of(OperationKind::Refresh), "refresh".to_owned()),
            (
                of(OperationKind::Other("truncate".to_owned())),
                "truncate".to_owned(),
            ),
            (
                Operation {
                    snapshot_tag: Some(long),
                    ..backup
                },
                format!("backup, snapshot a{}", "b".repeat(MAX_FOREIGN_LENGTH - 1)),
            ),
        ] {
            assert_eq!(describe(&operation), description);
        }
    }
}
