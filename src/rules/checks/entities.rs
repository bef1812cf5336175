//! What a backup or a restore covers.

use crate::domain::entities::{Entities, EntitiesError, Outside};

use crate::rules::catalogue::{
    ENTITIES_MALFORMED, ENTITIES_MIXED, ENTITIES_NAME_CASE, ENTITIES_OUTSIDE_BACKUP, ENTITIES_SYSTEM,
    ENTITIES_WIDER_THAN_BACKUP,
};
use crate::rules::facts::{Facts, StoredBackup};
use crate::rules::finding::{Cause, Finding, Findings};
use crate::rules::subject::Restore;

const PATH: &str = "spec.entities";

/// Every item is a keyspace or a table, and all are of one form.
pub(super) fn well_formed(
    entities: &Result<Entities, Vec<EntitiesError>>,
    text: Option<&str>,
    found: &mut Findings,
) {
    let Err(errors) = entities else { return };
    let text = text.unwrap_or_default();
    found.extend(errors.iter().map(|error| match error {
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

/// A name with upper-case letters is right only where the table was created in double quotes. What the backup of a
/// restore names alike was asked about then.
pub(super) fn name_case(
    entities: &Result<Entities, Vec<EntitiesError>>,
    known: Option<&str>,
) -> Option<Finding> {
    let odd = entities.as_ref().ok()?.with_upper_case();
    if odd.is_empty() {
        return None;
    }
    let known = Entities::parse(known.unwrap_or_default()).map(|known| known.with_upper_case());
    let known = known.unwrap_or_default();
    let asked: Vec<String> = odd.into_iter().filter(|item| !known.contains(item)).collect();
    let first = asked.first()?;
    let message = format!(
        "upper-case letters are right only for names that were created in double quotes; else write {}",
        first.to_lowercase()
    );
    Some(Finding::warn(&ENTITIES_NAME_CASE, PATH, Cause::Invalid, message).value(asked.join(",")))
}

/// A restore names a part of its backup, and nothing of Cassandra's own.
///
/// A keyspace out of a backup of tables is more than a part: Icarus empties every table of that keyspace and refills
/// only those that were backed up (seen on 2.0.4). A restore that names nothing takes what its backup names
/// (CassKop's `PerformRestore`), so what the backup names is judged then.
pub(super) fn within_backup(restore: &Restore, facts: &Facts, found: &mut Findings) {
    let Ok(asked) = &restore.entities else { return };
    let backup = facts.found_backup();
    let held = backup.map(|backup| Entities::parse(backup.spec.entities.as_deref().unwrap_or_default()));
    match (asked, backup, held) {
        (Entities::Everything, Some(backup), Some(Ok(held))) => no_system(&held, Some(backup), found),
        (Entities::Everything, Some(backup), Some(Err(_))) => found.push(inherits_malformed(backup)),
        (_, Some(backup), Some(Ok(held))) => {
            no_system(asked, None, found);
            found.extend(
                asked
                    .outside(&held)
                    .iter()
                    .map(|part| outside(part, &held, backup)),
            );
        }
        _ => no_system(asked, None, found),
    }
}

fn no_system(entities: &Entities, inherited_from: Option<&StoredBackup>, found: &mut Findings) {
    let origin = inherited_from
        .map(|backup| format!("inherited from backup {}: ", backup.name))
        .unwrap_or_default();
    found.extend(entities.system().into_iter().map(|name| {
        let effect = if name.contains('.') {
            "the table would be emptied and not filled again"
        } else {
            "the sidecar restores nothing of it"
        };
        let message =
            format!("{origin}belongs to Cassandra itself, {effect}; name keyspaces or tables of your own");
        Finding::deny(&ENTITIES_SYSTEM, PATH, Cause::Invalid, message).value(name)
    }));
}

fn inherits_malformed(backup: &StoredBackup) -> Finding {
    let name = &backup.name;
    let message = format!(
        "the restore names no entities and those of backup {name} cannot be read, so the sidecar would restore \
         everything; name the keyspaces or tables to restore"
    );
    Finding::deny(&ENTITIES_MALFORMED, PATH, Cause::Required, message).about("CassandraBackup", name)
}

fn outside(part: &Outside<'_>, held: &Entities, backup: &StoredBackup) -> Finding {
    let name = &backup.name;
    let finding = match part {
        Outside::Keyspace(keyspace) => not_held(keyspace.as_str(), held, name),
        Outside::Table(table) => not_held(&table.to_string(), held, name),
        Outside::Wider { keyspace, held } => {
            let tables = Entities::Tables(held.iter().map(|table| (*table).clone()).collect()).abbreviated();
            let message = format!(
                "backup {name} holds only {tables} of it; restoring the keyspace would empty its other tables; name \
                 the tables: {tables}"
            );
            Finding::deny(&ENTITIES_WIDER_THAN_BACKUP, PATH, Cause::Invalid, message).value(keyspace.as_str())
        }
    };
    finding.about("CassandraBackup", name)
}

fn not_held(part: &str, held: &Entities, backup: &str) -> Finding {
    let message = format!(
        "backup {backup} does not hold it; it holds {}; name a part of that, in the same letter case",
        held.abbreviated()
    );
    Finding::deny(&ENTITIES_OUTSIDE_BACKUP, PATH, Cause::Invalid, message).value(part)
}
