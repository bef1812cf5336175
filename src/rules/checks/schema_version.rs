//! The schema version of a restore.

use crate::rules::catalogue::{SCHEMA_VERSION_IGNORED, SCHEMA_VERSION_MALFORMED};
use crate::rules::finding::{Cause, Finding};
use crate::rules::subject::Restore;

const PATH: &str = "spec.schemaVersion";

/// Denies a schema version that is not a UUID, and warns about one that has no effect.
///
/// Icarus answers 500 to a malformed one, and CassKop then repeats the request every 15 seconds without end. Icarus
/// reads the schema version only if `exactSchemaVersion` is true.
pub(super) fn check(restore: &Restore) -> Option<Finding> {
    let spec = &restore.spec;
    match restore.schema_version.as_ref()? {
        Err(error) => {
            let message = format!(
                "{error}; the sidecar would answer 500; write the schema version in the snapshot's name"
            );
            let text = spec.schema_version.as_deref().unwrap_or_default();
            Some(Finding::deny(&SCHEMA_VERSION_MALFORMED, PATH, Cause::Invalid, message).value(text))
        }
        Ok(version) if spec.exact_schema_version != Some(true) => {
            let message = "is ignored without exactSchemaVersion: true; the newest snapshot of the tag is restored; set \
                           exactSchemaVersion: true, or leave the field out";
            Some(
                Finding::warn(&SCHEMA_VERSION_IGNORED, PATH, Cause::Invalid, message)
                    .value(version.as_str())
                    .related_fields(&["spec.exactSchemaVersion"]),
            )
        }
        Ok(_) => None,
    }
}
