//! The entities of a backup or restore: the keyspaces or tables that it covers.

use crate::domain::entities::{Entities, EntitiesError, Outside};

use crate::rules::catalogue::{
    ENTITIES_MALFORMED, ENTITIES_MIXED, ENTITIES_NAME_CASE, ENTITIES_OUTSIDE_BACKUP, ENTITIES_SYSTEM,
    ENTITIES_WIDER_THAN_BACKUP,
};
use crate::rules::facts::{Coverage, Facts, StoredBackup};
use crate::rules::finding::{Cause, Finding, Findings};
use crate::rules::subject::Restore;

const PATH: &str = "spec.entities";

/// Denies malformed items and a mixture of keyspaces and tables.
///
/// Esop silently drops an item that it cannot parse, and covers every keyspace if no item is left. It rejects a mixture
/// only after the object was accepted.
pub(super) fn malformed(
    entities: &Result<Entities, Vec<EntitiesError>>,
    text: Option<&str>,
    findings: &mut Findings,
) {
    let Err(errors) = entities else { return };
    let text = text.unwrap_or_default();
    findings.extend(errors.iter().map(|error| match error {
        EntitiesError::Item { item, flaw } => {
            Finding::deny(&ENTITIES_MALFORMED, PATH, Cause::Invalid, flaw.to_string()).value(item)
        }
        EntitiesError::NamesNothing | EntitiesError::TooLong(_) => {
            Finding::deny(&ENTITIES_MALFORMED, PATH, Cause::Invalid, error.to_string()).value(text)
        }
        EntitiesError::Mixed { .. } => {
            Finding::deny(&ENTITIES_MIXED, PATH, Cause::Invalid, error.to_string()).value(text)
        }
    }));
}

/// Warns about upper-case letters in names.
///
/// CQL folds unquoted names to lower case, and the sidecar compares names exactly, so upper-case letters match only
/// names that were created in double quotes. `known` are the entities of a restore's backup: names that it has too were
/// already reported when the backup was created.
pub(super) fn name_case(
    entities: &Result<Entities, Vec<EntitiesError>>,
    known: Option<&str>,
) -> Option<Finding> {
    let own = entities.as_ref().ok()?;
    let known = Entities::parse(known.unwrap_or_default()).unwrap_or(Entities::Everything);
    let new = own.with_upper_case_outside(&known);
    let first = new.first()?;
    let message = format!(
        "upper-case letters are valid only in names that were created in double quotes; otherwise write {}",
        first.to_lowercase()
    );
    Some(Finding::warn(&ENTITIES_NAME_CASE, PATH, Cause::Invalid, message).value(new.join(",")))
}

/// Denies a restore of entities that its backup does not contain, and of Cassandra's own keyspaces.
///
/// The backup may contain only some tables of a requested keyspace: Icarus empties every table of the keyspace and refills only those that
/// were backed up (observed on 2.0.4). A restore without entities covers those of its backup (CassKop's
/// `PerformRestore`; cassgate takes those of the run), so these are checked instead.
pub(super) fn within_backup(restore: &Restore, facts: &Facts, findings: &mut Findings) {
    let Ok(requested) = &restore.entities else { return };
    let Some(backup) = facts.found_backup() else {
        return system_keyspaces(requested, None, findings);
    };
    let coverage = restore.coverage(backup);
    match (requested, Entities::parse(coverage.entities())) {
        (Entities::Everything, Ok(contained)) => system_keyspaces(&contained, Some(coverage), findings),
        (Entities::Everything, Err(_)) => findings.push(inherits_malformed(coverage, backup)),
        (_, Ok(contained)) => {
            system_keyspaces(requested, None, findings);
            let outside = requested.outside(&contained);
            findings.extend(outside.iter().map(|item| {
                let finding = not_within(item, &contained, coverage);
                finding.related_object("CassandraBackup", &backup.name)
            }));
        }
        (_, Err(_)) => system_keyspaces(requested, None, findings),
    }
}

/// Denies Cassandra's own keyspaces and tables.
///
/// Esop empties a table of a system keyspace and then excludes its files from the download, so its data is lost. A system
/// keyspace as a whole is skipped.
fn system_keyspaces(entities: &Entities, inherited_from: Option<Coverage<'_>>, findings: &mut Findings) {
    let origin = inherited_from
        .map(|coverage| format!("inherited from {coverage}: "))
        .unwrap_or_default();
    findings.extend(entities.system().into_iter().map(|name| {
        let consequence = if name.contains('.') {
            "the restore would empty the table and not refill it"
        } else {
            "the sidecar would restore nothing of it"
        };
        let message =
            format!("{origin}belongs to Cassandra itself; {consequence}; name your own keyspaces or tables");
        Finding::deny(&ENTITIES_SYSTEM, PATH, Cause::Invalid, message).value(name)
    }));
}

fn inherits_malformed(coverage: Coverage<'_>, backup: &StoredBackup) -> Finding {
    let message = format!(
        "the restore names no entities and those of {coverage} are malformed, so the sidecar would restore \
         everything; name the keyspaces or tables to restore"
    );
    Finding::deny(&ENTITIES_MALFORMED, PATH, Cause::Required, message)
        .related_object("CassandraBackup", &backup.name)
}

fn not_within(item: &Outside<'_>, contained: &Entities, coverage: Coverage<'_>) -> Finding {
    match item {
        Outside::Keyspace(keyspace) => not_contained(keyspace.as_str(), contained, coverage),
        Outside::Table(table) => not_contained(&table.to_string(), contained, coverage),
        Outside::Wider { keyspace, held } => {
            let tables = Entities::Tables(held.iter().map(|table| (*table).clone()).collect()).abbreviated();
            let message = format!(
                "{coverage} contains only {tables} of it; restoring the keyspace would empty its other tables; name \
                 the tables: {tables}"
            );
            Finding::deny(&ENTITIES_WIDER_THAN_BACKUP, PATH, Cause::Invalid, message).value(keyspace.as_str())
        }
    }
}

fn not_contained(item: &str, contained: &Entities, coverage: Coverage<'_>) -> Finding {
    let message = format!(
        "is not in {coverage}, which contains {}; name a part of that, in the same letter case",
        contained.abbreviated()
    );
    Finding::deny(&ENTITIES_OUTSIDE_BACKUP, PATH, Cause::Invalid, message).value(item)
}
