//! Which snapshot a restore finds, and where on the nodes it looks: schema version and directory.

use crate::rules::catalogue::{
    CASSANDRA_DIRECTORY_MALFORMED, SCHEMA_VERSION_IGNORED, SCHEMA_VERSION_MALFORMED,
};
use crate::rules::finding::{Cause, Finding, Findings};
use crate::rules::subject::Restore;

const SCHEMA_VERSION: &str = "spec.schemaVersion";

pub(super) fn judge(restore: &Restore, found: &mut Findings) {
    let spec = &restore.spec;
    match &restore.schema_version {
        Some(Err(error)) => {
            let message =
                format!("{error}; the sidecar answers 500 to it; write the one in the snapshot's name");
            let text = spec.schema_version.as_deref().unwrap_or_default();
            found.push(
                Finding::deny(&SCHEMA_VERSION_MALFORMED, SCHEMA_VERSION, Cause::Invalid, message).value(text),
            );
        }
        Some(Ok(version)) if spec.exact_schema_version != Some(true) => {
            let message = "counts only with exactSchemaVersion: true; without it the newest snapshot of the tag is taken";
            found.push(
                Finding::warn(&SCHEMA_VERSION_IGNORED, SCHEMA_VERSION, Cause::Invalid, message)
                    .value(version.as_str())
                    .rests_on(&["spec.exactSchemaVersion"]),
            );
        }
        _ => {}
    }
    if let Some(Err(error)) = &restore.directory {
        let message = format!("{error}; write /var/lib/cassandra, or leave the field out");
        let text = spec.cassandra_directory.as_deref().unwrap_or_default();
        found.push(
            Finding::deny(
                &CASSANDRA_DIRECTORY_MALFORMED,
                "spec.cassandraDirectory",
                Cause::Invalid,
                message,
            )
            .value(text),
        );
    }
}
