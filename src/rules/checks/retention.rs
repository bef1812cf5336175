//! The retention of a backup.

use crate::domain::sidecar::{Removal, Sidecar};
use crate::domain::storage::StorageLocation;
use crate::rules::catalogue::RETENTION_UNSUPPORTED;
use crate::rules::facts::Facts;
use crate::rules::finding::{Cause, Finding};
use crate::rules::policy::Context;
use crate::rules::subject::Backup;

/// Warns about a retention that the cluster's sidecar cannot apply.
///
/// cassgate removes old backups with the operations `list` and `remove-backup`, which came with Icarus 2.0.2. On S3, those
/// of Icarus 3 may delete files that newer snapshots share.
pub(super) fn check(backup: &Backup, facts: &Facts, context: &Context) -> Option<Finding> {
    backup
        .spec
        .retention
        .as_ref()
        .filter(|_| context.cassgate_acts())?;
    let provider = backup.location.as_ref().ok().map(StorageLocation::provider);
    let sidecar = &facts.found_cluster()?.sidecar;
    let message = message(sidecar, sidecar.removal(provider))?;
    Some(Finding::warn(
        &RETENTION_UNSUPPORTED,
        "spec.retention",
        Cause::NotSupported,
        message,
    ))
}

fn message(sidecar: &Sidecar, removal: Removal) -> Option<String> {
    let version = sidecar
        .version()
        .map(|version| version.to_string())
        .unwrap_or_default();
    match removal {
        Removal::Supported | Removal::OneThousandObjects => None,
        Removal::Missing => Some(format!(
            "the cluster's sidecar is Icarus {version}, which cannot list and remove backups, so all of them stay; use \
             Icarus 2.0.4, or lifecycle rules of the bucket"
        )),
        Removal::Unsafe => Some(format!(
            "the cluster's sidecar is Icarus {version}, whose listings of S3 may miss manifests, so that a removal could \
             delete files that newer snapshots share; so all of them stay; use Icarus 2.0.4, or lifecycle rules of the \
             bucket"
        )),
        Removal::Unknown => Some(
            "the image of the cluster's sidecar does not name a version, and a removal by Icarus 3 could delete files \
             that newer snapshots share; so all of them stay; name the version in the tag of the image, such as \
             icarus:2.0.4"
                .to_owned(),
        ),
    }
}
