//! The storage location of a backup.

use crate::domain::sidecar::Sidecar;
use crate::domain::storage::{Provider, StorageLocation, StorageLocationError};

use crate::rules::catalogue::{
    FILE_LOCATION_UNMOUNTED, STORAGE_LOCATION_MALFORMED, STORAGE_PROVIDER_UNSUPPORTED,
};
use crate::rules::facts::{Facts, StoredBackup};
use crate::rules::finding::{Cause, Finding, Findings};
use crate::rules::subject::{Backup, Restore};

const PATH: &str = "spec.storageLocation";

/// Denies a location that no sidecar accepts or that the cluster's sidecar does not support.
pub(super) fn check(backup: &Backup, facts: &Facts, findings: &mut Findings) {
    match &backup.location {
        Ok(location) => {
            findings.extend(lost_provider(location, facts));
            findings.extend(unmounted(location, facts));
        }
        Err(error) => findings.push(malformed(error, &backup.spec.storage_location)),
    }
}

/// Denies a malformed location. Esop writes cluster, datacenter and node below the bucket, so a prefix fails or ends up in
/// a bucket of another name.
fn malformed(error: &StorageLocationError, text: &str) -> Finding {
    match error {
        StorageLocationError::UnknownProvider { .. } => {
            let schemes = Provider::ALL.map(Provider::scheme).join(", ");
            let message = format!("{error} (supported, in lower case: {schemes})");
            Finding::deny(&STORAGE_PROVIDER_UNSUPPORTED, PATH, Cause::NotSupported, message).value(text)
        }
        StorageLocationError::Empty => Finding::deny(
            &STORAGE_LOCATION_MALFORMED,
            PATH,
            Cause::Required,
            error.to_string(),
        ),
        _ => Finding::deny(
            &STORAGE_LOCATION_MALFORMED,
            PATH,
            Cause::Invalid,
            error.to_string(),
        )
        .value(text),
    }
}

/// Denies a provider that the cluster's sidecar no longer has.
fn lost_provider(location: &StorageLocation, facts: &Facts) -> Option<Finding> {
    let message = lost_provider_message(location, facts)?;
    let finding = Finding::deny(&STORAGE_PROVIDER_UNSUPPORTED, PATH, Cause::NotSupported, message);
    Some(finding.value(location.as_str()))
}

/// Denies a restore whose backup is stored at a provider that the cluster's sidecar no longer has. The cluster may have
/// had another sidecar when the backup was taken.
pub(super) fn lost_provider_of_backup(
    restore: &Restore,
    backup: &StoredBackup,
    facts: &Facts,
) -> Option<Finding> {
    let location = StorageLocation::parse(restore.coverage(backup).location()).ok()?;
    let message = lost_provider_message(&location, facts)?;
    let message = format!("this backup is stored at {}, and {message}", location.as_str());
    Some(
        Finding::deny(
            &STORAGE_PROVIDER_UNSUPPORTED,
            "spec.cassandraBackup",
            Cause::NotSupported,
            message,
        )
        .value(&backup.name)
        .related_object("CassandraBackup", &backup.name),
    )
}

/// Icarus from 3.0 on supports only s3, azure, gcp and file.
fn lost_provider_message(location: &StorageLocation, facts: &Facts) -> Option<String> {
    let Some(Sidecar::Icarus(version)) = facts.found_cluster().map(|cluster| &cluster.sidecar) else {
        return None;
    };
    if version.major < 3 || location.provider().in_icarus_3() {
        return None;
    }
    let message = format!(
        "the cluster's sidecar is Icarus {version}, which no longer supports {}; use s3, azure, gcp or file, or a sidecar \
         of version 2",
        location.provider()
    );
    Some(message)
}

/// Warns about a file location outside the sidecar's volumes, which is a directory of each pod.
///
/// CassKop mounts Cassandra's own volumes and those of `backRestSidecar.volumeMount` into the sidecar.
fn unmounted(location: &StorageLocation, facts: &Facts) -> Option<Finding> {
    let directory = location.directory()?;
    let cluster = facts.found_cluster()?;
    let bucket = format!("{directory}/{}", location.bucket());
    let covers = |mount: &String| {
        let mount = mount.trim_end_matches('/');
        bucket
            .strip_prefix(mount)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    if cluster.mounts.iter().any(covers) {
        return None;
    }
    let message = format!(
        "no backRestSidecar.volumeMount covers {bucket}: each node writes into its own pod or data volume, and the backup \
         is lost with it; mount a shared volume there"
    );
    Some(Finding::warn(&FILE_LOCATION_UNMOUNTED, PATH, Cause::Invalid, message).value(location.as_str()))
}
