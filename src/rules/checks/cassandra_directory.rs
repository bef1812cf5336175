//! The Cassandra directory of a restore.

use crate::domain::cassandra_directory::CASSANDRA_DIRECTORY;

use crate::rules::catalogue::{CASSANDRA_DIRECTORY_MALFORMED, Severity};
use crate::rules::finding::{Cause, Finding};
use crate::rules::subject::Restore;

/// Denies a directory that cannot be the parent of Cassandra's `data` directory, and warns about one that CassKop's pods do
/// not have.
///
/// Esop appends `/data` to it and fails if the result does not exist. CassKop mounts the volume of each pod at
/// `/var/lib/cassandra`; an image of one's own may have another directory.
pub(super) fn check(restore: &Restore) -> Option<Finding> {
    let (severity, problem) = match restore.directory.as_ref()? {
        Err(error) => (Severity::Deny, error.to_string()),
        Ok(directory) if directory.is_casskops() => return None,
        Ok(_) => (
            Severity::Warn,
            "is not the directory of Cassandra in CassKop's pods, and the restore fails if it does not exist"
                .to_owned(),
        ),
    };
    let message = format!("{problem}; write {CASSANDRA_DIRECTORY}, or leave the field out");
    let text = restore.spec.cassandra_directory.as_deref().unwrap_or_default();
    let path = "spec.cassandraDirectory";
    let finding = Finding::deny(&CASSANDRA_DIRECTORY_MALFORMED, path, Cause::Invalid, message);
    Some(finding.severity(severity).value(text))
}
