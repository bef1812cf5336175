//! The retention of a backup.

use crate::rules::catalogue::RETENTION_UNSUPPORTED;
use crate::rules::facts::Facts;
use crate::rules::finding::{Cause, Finding};
use crate::rules::policy::Context;
use crate::rules::subject::Backup;

/// Warns about a retention that the cluster's sidecar cannot apply.
///
/// cassgate removes old backups with the operations `list` and `remove-backup`, which came with Icarus 2.0.2.
pub(super) fn check(backup: &Backup, facts: &Facts, context: &Context) -> Option<Finding> {
    backup
        .spec
        .retention
        .as_ref()
        .filter(|_| context.cassgate_acts())?;
    let sidecar = &facts.found_cluster()?.sidecar;
    let version = sidecar
        .version()
        .filter(|_| sidecar.supports_list_and_remove() == Some(false))?;
    let message = format!(
        "the cluster's sidecar is Icarus {version}, which cannot list and remove backups, so all of them stay; use Icarus \
         2.0.4, or lifecycle rules of the bucket"
    );
    Some(Finding::warn(
        &RETENTION_UNSUPPORTED,
        "spec.retention",
        Cause::NotSupported,
        message,
    ))
}
