//! Tables that are restored under another name.
//!
//! The checks repeat those of Esop (`RenamedEntities`, `CassandraData`) in the same order. Esop runs most of them only 15
//! seconds into a restore (observed). Checks that need the disk (both tables exist) are left to Esop.

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

/// Denies a rename map that Esop rejects, and one that writes into Cassandra's own tables.
pub(super) fn check(restore: &Restore, facts: &Facts, findings: &mut Findings) {
    match &restore.rename {
        Err(errors) => findings.extend(errors.iter().map(malformed)),
        Ok(rename) if rename.is_empty() => {}
        Ok(rename) => {
            system_targets(rename, findings);
            findings.extend(rename.pairs().filter_map(target_case));
            against_entities(restore, rename, facts.found_backup(), findings);
        }
    }
}

fn malformed(error: &RenameError) -> Finding {
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

/// Denies a target in a system keyspace: Esop would empty that table, and the cluster may not start again.
fn system_targets(rename: &Rename, findings: &mut Findings) {
    let system = rename.pairs().filter(|(_, into)| into.keyspace.is_system());
    findings.extend(system.map(|(from, into)| {
        let message =
            "belongs to Cassandra itself; the restore would empty it; rename into one of your own tables";
        Finding::deny(
            &RENAME_SYSTEM,
            entry(PATH, &from.to_string()),
            Cause::Invalid,
            message,
        )
        .value(into.to_string())
    }));
}

/// Warns about upper-case letters in a target, which match only names that were created in double quotes. The sources
/// are checked as part of `entities`.
fn target_case((from, into): (&Table, &Table)) -> Option<Finding> {
    let text = into.to_string();
    text.bytes().any(|byte| byte.is_ascii_uppercase()).then(|| {
        let message = format!(
            "upper-case letters are valid only in names that were created in double quotes; otherwise write {}",
            text.to_lowercase()
        );
        let path = entry(PATH, &from.to_string());
        Finding::warn(&ENTITIES_NAME_CASE, path, Cause::Invalid, message).value(&text)
    })
}

/// Checks the rename map against the entities of the restore, or against those of its backup if it names none.
///
/// Esop rejects a rename map unless the restore names tables, each source is one of them, and no target is.
fn against_entities(
    restore: &Restore,
    rename: &Rename,
    backup: Option<&StoredBackup>,
    findings: &mut Findings,
) {
    let Some(entities) = restore.effective_entities(backup) else {
        return;
    };
    let inherited = matches!(restore.entities, Ok(Entities::Everything));
    let origin = match backup {
        Some(backup) if inherited => format!("{} names", restore.coverage(backup)),
        _ => "spec.entities names".to_owned(),
    };
    if !matches!(entities, Entities::Tables(_)) {
        let message = match &entities {
            Entities::Everything => "the restore covers everything".to_owned(),
            keyspaces => format!("{origin} keyspaces ({})", keyspaces.abbreviated()),
        };
        let message = format!(
            "tables can be renamed only if the restore names tables, and {message}; name the tables in spec.entities"
        );
        findings.push(Finding::deny(&RENAME_NEEDS_TABLES, PATH, Cause::Invalid, message));
        return;
    }
    findings.extend(rename.sources_outside(&entities).into_iter().map(|table| {
        let message = format!(
            "is not restored: {origin} {}; add it to spec.entities, or leave the pair out",
            entities.abbreviated()
        );
        let path = entry(PATH, &table.to_string());
        Finding::deny(&RENAME_SOURCE_OUTSIDE_ENTITIES, path, Cause::Invalid, message).value(table.to_string())
    }));
    findings.extend(rename.targets_inside(&entities).into_iter().map(|(from, into)| {
        let message =
            "is restored itself and would get the data of two tables; leave it out of spec.entities, or rename into another table";
        let path = entry(PATH, &from.to_string());
        Finding::deny(&RENAME_TARGET_IN_ENTITIES, path, Cause::Invalid, message).value(into.to_string())
    }));
}
