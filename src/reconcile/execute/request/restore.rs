//! The requests of a restore: its phases and the refresh of a table.

use super::Unsendable;
use super::fields::{bucket, connections, directory, entities, first_error, namespace, unsendable};
use crate::api::{CassandraRestore, NodeStatus, RestoreStatus};
use crate::domain::cassandra_directory::CassandraDirectory;
use crate::domain::entities::Table;
use crate::domain::rename::Rename;
use crate::domain::resolved_tag::ResolvedTag;
use crate::domain::schema_version::SchemaVersion;
use crate::domain::snapshot_tag::SnapshotTag;
use crate::domain::source_directory::SourceDirectory;
use crate::icarus::{OperationRequest, RestorePhase, RestoreRequest, SchemaChoice, Snapshot, Strategy};
use crate::reconcile::plan::{Phase, Task};

/// Builds the request for a task of one node.
///
/// # Errors
/// The first field that cannot be sent.
pub fn restore(
    restore: &CassandraRestore,
    node: &NodeStatus,
    task: &Task,
) -> Result<OperationRequest, Unsendable> {
    if let Task::Refresh { table } = task {
        let table = Table::parse(table).map_err(unsendable("status.nodes[].table"))?;
        return Ok(OperationRequest::Refresh(table));
    }
    let RestoreStatus {
        mut common, source, ..
    } = restore.status.clone().unwrap_or_default();
    let source = source.unwrap_or_default();
    // The backup may be one of a cluster with another name.
    common.cluster_name = source.cluster_name.or(common.cluster_name);
    let spec = &restore.spec;
    let directory = directory(spec.cassandra_directory.as_deref())?;
    let rename = source.rename.or_else(|| spec.rename.clone()).unwrap_or_default();
    let location = source.storage_location.as_deref().unwrap_or_default();
    Ok(OperationRequest::Restore(RestoreRequest {
        store: bucket(
            location,
            &common,
            node,
            namespace(&restore.metadata),
            source.secret.as_deref(),
        )?,
        snapshot: snapshot(restore, source.snapshot_tag.as_deref().unwrap_or_default())?,
        entities: entities(source.entities.as_deref())?,
        rename: Rename::parse(&rename).map_err(|errors| first_error("status.source.rename", &errors))?,
        source: source_directory(restore, &directory)?,
        directory,
        phase: phase(task.phase())?,
        strategy: Strategy::Hardlinks,
        keep_truncates: !matches!(
            task,
            Task::Cleanup {
                keep_truncated: false
            }
        ),
        concurrent_connections: connections(spec.concurrent_connection),
    }))
}

/// Returns the directory of a restore's downloads, which identifies its operations.
///
/// # Errors
/// The Cassandra directory or the uid is not valid.
pub fn download_directory(restore: &CassandraRestore) -> Result<SourceDirectory, Unsendable> {
    let directory = directory(restore.spec.cassandra_directory.as_deref())?;
    source_directory(restore, &directory)
}

/// Returns the snapshot with this resolved tag. A backup that another executor took may have recorded only its plain
/// tag: then the newest snapshot of that tag.
///
/// The planner has compared the schema version in a resolved tag with the one that the spec requires. A plain tag can look
/// like a resolved one (`nightly-2024`), but then it has no schema version.
fn snapshot(restore: &CassandraRestore, text: &str) -> Result<Snapshot, Unsendable> {
    let spec = &restore.spec;
    if let Ok(tag) = ResolvedTag::parse(text)
        && (spec.exact_schema_version != Some(true) || tag.schema_version().is_some())
    {
        return Ok(Snapshot::Resolved(tag));
    }
    let schema = match (spec.exact_schema_version, spec.schema_version.as_deref()) {
        (Some(true), Some(version)) if !version.is_empty() => {
            let version = SchemaVersion::parse(version).map_err(unsendable("spec.schemaVersion"))?;
            SchemaChoice::Exactly(version)
        }
        (Some(true), _) => SchemaChoice::Current,
        _ => SchemaChoice::Any,
    };
    let tag = SnapshotTag::parse(text).map_err(unsendable("status.source.snapshotTag"))?;
    Ok(Snapshot::Newest { tag, schema })
}

fn source_directory(
    restore: &CassandraRestore,
    directory: &CassandraDirectory,
) -> Result<SourceDirectory, Unsendable> {
    let uid = restore.metadata.uid.as_deref().unwrap_or_default();
    SourceDirectory::of_restore(directory, uid).map_err(unsendable("metadata.uid"))
}

fn phase(phase: Phase) -> Result<RestorePhase, Unsendable> {
    phase.restore_phase().ok_or_else(|| Unsendable {
        field: "status.phase",
        why: format!("{} is not a phase of a restore", phase.as_str()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{CassandraRestoreSpec, RestoreSource};

    const HOST: &str = "9da86270-7a5c-4a0b-9e9b-0f6d3f0c2a11";
    const OTHER_HOST: &str = "1c3b5d7f-0a2c-4e6f-8b1d-3f5a7c9e0b2d";
    const NAME: &str = "nightly-168d568b-d346-3f61-968f-a2716307a6e4-1795383523776";

    fn sent(snapshot: &str, source: RestoreSource, node: NodeStatus) -> serde_json::Value {
        let spec = CassandraRestoreSpec {
            exact_schema_version: Some(true),
            ..CassandraRestoreSpec::default()
        };
        let mut object = CassandraRestore::new("monday", spec);
        object.metadata.uid = Some("6f2b".to_owned());
        let mut status = RestoreStatus::default();
        status.common.cluster_name = Some("lab-A".to_owned());
        status.source = Some(RestoreSource {
            storage_location: Some("s3://bucket".to_owned()),
            snapshot_tag: Some(snapshot.to_owned()),
            ..source
        });
        object.status = Some(status);
        let node = NodeStatus {
            host_id: HOST.to_owned(),
            datacenter: Some("dc1".to_owned()),
            ..node
        };
        restore(&object, &node, &Task::Phase(Phase::Init))
            .unwrap()
            .to_json()
    }

    #[test]
    fn a_request_names_the_folder_of_the_part_that_the_node_receives() {
        let own = sent(NAME, RestoreSource::default(), NodeStatus::default());
        assert_eq!(own["storageLocation"], format!("s3://bucket/lab-A/dc1/{HOST}"));
        let source = RestoreSource {
            cluster_name: Some("production".to_owned()),
            ..RestoreSource::default()
        };
        let node = NodeStatus {
            source_host_id: Some(OTHER_HOST.to_owned()),
            source_datacenter: Some("east".to_owned()),
            ..NodeStatus::default()
        };
        let other = sent(NAME, source, node);
        assert_eq!(
            other["storageLocation"],
            format!("s3://bucket/production/east/{OTHER_HOST}")
        );
    }

    /// The planner compares the schema version in a whole name. A plain tag can look like a whole name and has none.
    #[test]
    fn the_sidecar_compares_the_schema_version_only_if_the_name_has_none() {
        let sent = |name| sent(name, RestoreSource::default(), NodeStatus::default());
        assert_eq!(sent(NAME)["exactSchemaVersion"], false);
        for tag in ["nightly", "nightly-2024"] {
            assert_eq!(sent(tag)["exactSchemaVersion"], true, "{tag}");
            assert_eq!(sent(tag)["snapshotTag"], tag);
        }
    }
}
