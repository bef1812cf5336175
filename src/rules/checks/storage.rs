//! Where a backup goes.

use crate::domain::sidecar::Sidecar;
use crate::domain::storage::{Provider, StorageLocation, StorageLocationError};

use crate::rules::catalogue::{
    FILE_LOCATION_UNMOUNTED, STORAGE_LOCATION_MALFORMED, STORAGE_PROVIDER_UNSUPPORTED,
};
use crate::rules::facts::{Facts, StoredBackup};
use crate::rules::finding::{Cause, Finding, Findings};
use crate::rules::subject::Backup;

const PATH: &str = "spec.storageLocation";

pub(super) fn judge(backup: &Backup, facts: &Facts, found: &mut Findings) {
    match &backup.location {
        Ok(location) => {
            provider_in_sidecar(location, facts, found);
            found.extend(unmounted(location, facts));
        }
        Err(error) => found.push(malformed(error, &backup.spec.storage_location)),
    }
}

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

fn provider_in_sidecar(location: &StorageLocation, facts: &Facts, found: &mut Findings) {
    found.extend(lost_provider(location, facts).map(|message| {
        Finding::deny(&STORAGE_PROVIDER_UNSUPPORTED, PATH, Cause::NotSupported, message)
            .value(location.as_str())
    }));
}

/// The backup of a restore may be of a time when the cluster had another sidecar.
pub(super) fn of_restored(backup: &StoredBackup, facts: &Facts) -> Option<Finding> {
    let location = StorageLocation::parse(&backup.spec.storage_location).ok()?;
    let message = lost_provider(&location, facts)?;
    let message = format!("it is stored at {}, and {message}", location.as_str());
    Some(
        Finding::deny(
            &STORAGE_PROVIDER_UNSUPPORTED,
            "spec.cassandraBackup",
            Cause::NotSupported,
            message,
        )
        .value(&backup.name)
        .about("CassandraBackup", &backup.name),
    )
}

fn lost_provider(location: &StorageLocation, facts: &Facts) -> Option<String> {
    let Some(Sidecar::Icarus(version)) = facts.found_cluster().map(|cluster| &cluster.sidecar) else {
        return None;
    };
    if version.major < 3 || location.provider().in_icarus_3() {
        return None;
    }
    let message = format!(
        "the cluster's sidecar is Icarus {version}, which has lost {}; use s3, azure, gcp or file, or a sidecar of \
         version 2",
        location.provider()
    );
    Some(message)
}

/// Without a volume of its own a file location is a directory of each pod. CassKop gives the sidecar Cassandra's own
/// volumes and those of `backRestSidecar.volumeMount`.
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
        "no backRestSidecar.volumeMount covers {bucket}: each node writes into its own pod or beside its data, and the \
         backup goes with that; mount a shared volume there"
    );
    Some(Finding::warn(&FILE_LOCATION_UNMOUNTED, PATH, Cause::Invalid, message).value(location.as_str()))
}
