//! Tables whose data goes into other tables.
//!
//! Source: the order of Esop's own checks (`RenamedEntities`, `CassandraData`), most of which come 15 seconds into a
//! restore (seen); what needs the disk (both tables exist) is left to it.

use crate::domain::entities::{Entities, Table};
use crate::domain::rename::{Rename, RenameError};

use crate::rules::catalogue::{
    ENTITIES_NAME_CASE, RENAME_CHAIN, RENAME_DUPLICATE_TARGET, RENAME_MALFORMED, RENAME_NEEDS_TABLES,
    RENAME_SELF, RENAME_SOURCE_OUTSIDE_ENTITIES, RENAME_SYSTEM, RENAME_TARGET_IN_ENTITIES,
};
use crate::rules::facts::{Facts, StoredBackup};
use crate::rules::finding::{Cause, Finding, Findings, entry};
use crate::rules::subject::Restore;

const PATH: &str = "spec.rename";

pub(super) fn judge(restore: &Restore, facts: &Facts, found: &mut Findings) {
    match &restore.rename {
        Err(errors) => found.extend(errors.iter().map(unparsed)),
        Ok(rename) if rename.is_empty() => {}
        Ok(rename) => {
            no_system_target(rename, found);
            found.extend(rename.pairs().filter_map(target_case));
            goes_with_entities(restore, rename, facts.found_backup(), found);
        }
    }
}

fn unparsed(error: &RenameError) -> Finding {
    let (rule, value) = match error {
        RenameError::TooMany(_) => (&RENAME_MALFORMED, None),
        RenameError::Side { side, .. } => (&RENAME_MALFORMED, Some(side.clone())),
        RenameError::Twice { key, .. } => (&RENAME_MALFORMED, Some(key.clone())),
        RenameError::Itself { table, .. } => (&RENAME_SELF, Some(table.to_string())),
        RenameError::SharedTarget { target, .. } => (&RENAME_DUPLICATE_TARGET, Some(target.to_string())),
        RenameError::Chain { target, .. } => (&RENAME_CHAIN, Some(target.to_string())),
    };
    let cause = match error {
        RenameError::SharedTarget { .. } | RenameError::Twice { .. } => Cause::Duplicate,
        _ => Cause::Invalid,
    };
    let path = error
        .key()
        .map_or_else(|| PATH.to_owned(), |key| entry(PATH, key));
    let finding = Finding::deny(rule, path, cause, error.to_string());
    match value {
        Some(value) => finding.value(value),
        None => finding,
    }
}

fn no_system_target(rename: &Rename, found: &mut Findings) {
    let system = rename.pairs().filter(|(_, into)| into.keyspace.is_system());
    found.extend(system.map(|(from, into)| {
        let message =
            "belongs to Cassandra itself, and the restore would empty it; rename into a table of your own";
        Finding::deny(
            &RENAME_SYSTEM,
            entry(PATH, &from.to_string()),
            Cause::Invalid,
            message,
        )
        .value(into.to_string())
    }));
}

/// A target with upper-case letters is right only where it was created in double quotes. The sources are in `entities`.
fn target_case((from, into): (&Table, &Table)) -> Option<Finding> {
    let text = into.to_string();
    text.bytes().any(|byte| byte.is_ascii_uppercase()).then(|| {
        let message = format!(
            "upper-case letters are right only for names that were created in double quotes; else write {}",
            text.to_lowercase()
        );
        let path = entry(PATH, &from.to_string());
        Finding::warn(&ENTITIES_NAME_CASE, path, Cause::Invalid, message).value(&text)
    })
}

/// A restore that names no entities has those of its backup.
fn goes_with_entities(
    restore: &Restore,
    rename: &Rename,
    backup: Option<&StoredBackup>,
    found: &mut Findings,
) {
    let Some(entities) = restore.effective_entities(backup) else {
        return;
    };
    let inherited = matches!(restore.entities, Ok(Entities::Everything));
    let whose = match backup {
        Some(backup) if inherited => format!("backup {} gives it", backup.name),
        _ => "spec.entities names".to_owned(),
    };
    if !matches!(entities, Entities::Tables(_)) {
        let message = match &entities {
            Entities::Everything => "the restore covers everything".to_owned(),
            keyspaces => format!("{whose} keyspaces ({})", keyspaces.abbreviated()),
        };
        let message = format!(
            "tables can be renamed only where the restore names tables, and {message}; write the tables in spec.entities"
        );
        found.push(Finding::deny(&RENAME_NEEDS_TABLES, PATH, Cause::Invalid, message));
        return;
    }
    found.extend(rename.sources_outside(&entities).into_iter().map(|table| {
        let message = format!(
            "is not restored, {whose} {}; add it to spec.entities, or leave the pair out",
            entities.abbreviated()
        );
        let path = entry(PATH, &table.to_string());
        Finding::deny(&RENAME_SOURCE_OUTSIDE_ENTITIES, path, Cause::Invalid, message).value(table.to_string())
    }));
    found.extend(rename.targets_inside(&entities).into_iter().map(|(from, into)| {
        let message =
            "is restored itself and would get two contents; leave it out of spec.entities, or rename into another table";
        let path = entry(PATH, &from.to_string());
        Finding::deny(&RENAME_TARGET_IN_ENTITIES, path, Cause::Invalid, message).value(into.to_string())
    }));
}
