//! The owner of an operation of a sidecar.

use super::report::report;
use crate::domain::resolved_tag::ResolvedTag;
use crate::domain::source_directory::{self, SourceDirectory};
use crate::icarus::{Operation, OperationKind};
use crate::reconcile::plan::{OperationReport, Phase};

/// Identifies the operations of one object among all operations that a sidecar remembers.
#[derive(Debug, Clone)]
pub(in crate::reconcile) enum OperationOwner {
    /// A backup.
    Backup {
        /// The resolved tag of its run; `None` before the first run.
        tag: Option<ResolvedTag>,
        /// The directory of the downloads that prove a part.
        proof: SourceDirectory,
    },
    /// A restore, by the directory of its downloads.
    Restore(SourceDirectory),
}

/// The relation of an operation to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Relation {
    /// The object sent it.
    Own,
    /// Another executor sent it and acts on the same data.
    Conflicting,
    /// It does something else: it is another restore of cassgate's, or a backup with another tag.
    Unrelated,
}

impl OperationOwner {
    /// Returns true if `operation` is the one that the object sends in this phase.
    pub(super) fn owns_phase(&self, operation: &Operation, phase: Phase) -> bool {
        match (self, phase.restore_phase()) {
            (Self::Backup { tag: None, .. }, _) => false,
            // The directory is the same for every run of the backup.
            (
                Self::Backup {
                    tag: Some(tag),
                    proof,
                },
                Some(phase),
            ) => operation.is_phase(proof, phase) && operation.snapshot_tag.as_deref() == Some(tag.as_str()),
            (Self::Backup { tag: Some(tag), .. }, None) => operation.is_backup(tag),
            (Self::Restore(source), Some(phase)) => operation.is_phase(source, phase),
            // A refresh does not name its restore. Taking another refresh for it is harmless.
            (Self::Restore(_), None) => true,
        }
    }

    /// Returns the conflicting operations that are running, or that the sidecar received after the first own operation
    /// that it remembers. Both times are by the clock of the sidecar.
    pub(super) fn conflicting(&self, operations: &[Operation]) -> Vec<OperationReport> {
        let own = operations
            .iter()
            .filter(|operation| self.relation(operation) == Relation::Own);
        let first_own = own.filter_map(|operation| operation.created).min();
        let is_later = |other: &Operation| {
            other
                .created
                .zip(first_own)
                .is_some_and(|(created, first_own)| created > first_own)
        };
        let others = operations
            .iter()
            .filter(|operation| self.relation(operation) == Relation::Conflicting);
        others
            .filter(|other| !other.state.is_terminal() || is_later(other))
            .map(report)
            .collect()
    }

    fn relation(&self, operation: &Operation) -> Relation {
        match self {
            Self::Backup { tag: Some(tag), .. } if operation.is_backup(tag) => Relation::Own,
            Self::Backup { tag: Some(tag), .. } if has_tag(operation, tag.tag()) => Relation::Conflicting,
            Self::Backup { .. } => Relation::Unrelated,
            Self::Restore(source) => match operation.source_directory.as_deref() {
                Some(text) if source.matches(text) && !operation.global => Relation::Own,
                Some(text) if source_directory::is_cassgate_directory(text) => Relation::Unrelated,
                _ => Relation::Conflicting,
            },
        }
    }
}

/// Returns true if `operation` is a backup with this tag, resolved or not.
fn has_tag(operation: &Operation, tag: &str) -> bool {
    operation.kind == OperationKind::Backup
        && operation.snapshot_tag.as_deref().is_some_and(|other| {
            other == tag || ResolvedTag::parse(other).is_ok_and(|other| other.tag() == tag)
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::cassandra_directory::CassandraDirectory;
    use crate::icarus::{OperationId, OperationState};

    const TAG: &str = "nightly-168d568b-d346-3f61-968f-a2716307a6e4-1795383523776";
    const OWN: &str = "file:///var/lib/cassandra/cassgate-restore-6f2b/";

    const NUMBERS: [u8; 6] = [1, 2, 3, 4, 5, 6];

    fn id(number: u8) -> String {
        format!("00000000-0000-0000-0000-00000000000{number}")
    }

    /// Returns an operation that was created in this second.
    fn operation(id: &str, second: i64, state: OperationState) -> Operation {
        Operation {
            progress: 1.0,
            created: jiff::Timestamp::from_second(second).ok(),
            ..Operation::new(OperationId::parse(id).unwrap(), OperationKind::Restore, state)
        }
    }

    fn restore(id: &str, second: i64, state: OperationState, directory: &str) -> Operation {
        Operation {
            source_directory: Some(directory.to_owned()),
            ..operation(id, second, state)
        }
    }

    fn backup(id: &str, second: i64, state: OperationState, tag: &str) -> Operation {
        Operation {
            kind: OperationKind::Backup,
            snapshot_tag: Some(tag.to_owned()),
            ..operation(id, second, state)
        }
    }

    fn backup_owner(tag: Option<&str>) -> OperationOwner {
        let directory = CassandraDirectory::parse("/var/lib/cassandra").unwrap();
        OperationOwner::Backup {
            tag: tag.map(|tag| ResolvedTag::parse(tag).unwrap()),
            proof: SourceDirectory::of_restore(&directory, "6f2b").unwrap(),
        }
    }

    #[test]
    fn a_proof_of_another_attempt_is_not_the_own_one() {
        use OperationState::Completed;
        let owner = backup_owner(Some(TAG));
        let [first, ..] = NUMBERS.map(id);
        let download = |tag: &str| Operation {
            phase: Some(crate::icarus::RestorePhase::Download),
            snapshot_tag: Some(tag.to_owned()),
            ..restore(&first, 10, Completed, OWN)
        };
        assert!(owner.owns_phase(&download(TAG), Phase::Download));
        assert!(!owner.owns_phase(&download(TAG), Phase::Init));
        let earlier = TAG.replace("1795383523776", "1795383500000");
        assert!(!owner.owns_phase(&download(&earlier), Phase::Download));
        assert!(!owner.owns_phase(&download(TAG), Phase::Backup));
        assert!(owner.owns_phase(&backup(&first, 10, Completed, TAG), Phase::Backup));
    }

    fn conflicting(owner: &OperationOwner, operations: &[Operation]) -> Vec<String> {
        let reports = owner.conflicting(operations);
        reports.into_iter().map(|report| report.id).collect()
    }

    #[test]
    fn a_restore_conflicts_with_foreign_restores_that_run_or_came_later() {
        use OperationState::{Completed, Running};
        let directory = CassandraDirectory::parse("/var/lib/cassandra").unwrap();
        let owner = OperationOwner::Restore(SourceDirectory::of_restore(&directory, "6f2b").unwrap());
        let foreign = "file:///var/lib/cassandra/downloadedsstables/";
        let of_other_restore = "/var/lib/cassandra/cassgate-restore-77aa";
        let [early, own, later, busy, sibling, bare] = NUMBERS.map(id);
        let operations = [
            restore(&early, 10, Completed, foreign),
            restore(&own, 20, Completed, OWN),
            restore(&later, 30, Completed, foreign),
            restore(&busy, 5, Running, foreign),
            restore(&sibling, 40, Running, of_other_restore),
            operation(&bare, 50, Completed),
        ];
        assert_eq!(
            conflicting(&owner, &operations),
            [later.clone(), busy.clone(), bare]
        );
        // Without an own operation only running ones count.
        assert_eq!(
            conflicting(&owner, &[operations[0].clone(), operations[3].clone()]),
            [busy]
        );
        let global = Operation {
            global: true,
            ..restore(&later, 30, Running, foreign)
        };
        assert_eq!(conflicting(&owner, &[global]), [later]);
    }

    #[test]
    fn a_backup_conflicts_with_other_backups_of_its_tag() {
        use OperationState::{Completed, Running};
        let owner = backup_owner(Some(TAG));
        let [early, own, later, busy, namesake, _] = NUMBERS.map(id);
        let other = TAG.replace("1795383523776", "1795383599999");
        let operations = [
            backup(&early, 10, Completed, &other),
            backup(&own, 20, Running, TAG),
            backup(&later, 30, Completed, &other),
            backup(&busy, 30, Running, "nightly"),
            backup(&namesake, 30, Running, "nightly-prod"),
        ];
        assert_eq!(conflicting(&owner, &operations), [later, busy]);
        assert_eq!(
            conflicting(&backup_owner(None), &operations),
            Vec::<String>::new()
        );
    }
}
