//! The Cassandra directory of a restore.

use crate::rules::catalogue::CASSANDRA_DIRECTORY_MALFORMED;
use crate::rules::finding::{Cause, Finding};
use crate::rules::subject::Restore;

/// Denies a directory that cannot be the parent of Cassandra's `data` directory.
///
/// Esop appends `/data` to it and fails if the result does not exist.
pub(super) fn check(restore: &Restore) -> Option<Finding> {
    let Some(Err(error)) = &restore.directory else {
        return None;
    };
    let message = format!("{error}; write /var/lib/cassandra, or leave the field out");
    let text = restore.spec.cassandra_directory.as_deref().unwrap_or_default();
    let path = "spec.cassandraDirectory";
    Some(Finding::deny(&CASSANDRA_DIRECTORY_MALFORMED, path, Cause::Invalid, message).value(text))
}
