//! What a plan sends, in the words of a sidecar. Pure.
//!
//! Every value is parsed by the type that the rules construct, so what was admitted can be sent. What a restore took
//! over from its backup comes out of its own status.

use std::num::NonZeroU32;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::api::{BackRestStatus, BackupRun, CassandraBackup, CassandraRestore, NodeStatus};
use crate::domain::bandwidth::Bandwidth;
use crate::domain::cassandra_directory::CassandraDirectory;
use crate::domain::entities::{Entities, Table};
use crate::domain::go_duration::GoDuration;
use crate::domain::host_id::HostId;
use crate::domain::node_location::{NodeLocation, Segment};
use crate::domain::rename::Rename;
use crate::domain::resolved_tag::ResolvedTag;
use crate::domain::schema_version::SchemaVersion;
use crate::domain::sidecar::Sidecar;
use crate::domain::snapshot_tag::SnapshotTag;
use crate::domain::source_directory::SourceDirectory;
use crate::domain::storage::{Provider, StorageLocation};
use crate::icarus::{
    BackupRequest, ListRequest, OperationRequest, RemoveBackupRequest, RestorePhase, RestoreRequest,
    SchemaChoice, SecretReference, Snapshot, Store, Strategy,
};
use crate::reconcile::plan::{Phase, Task};

/// Where CassKop's clusters have Cassandra.
const CASSANDRA_DIRECTORY: &str = "/var/lib/cassandra";

/// A field that cannot be sent. The rules refuse such a value, so it came in past them, or somebody edited a status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} cannot be sent to a sidecar: {why}")]
pub struct Unsendable {
    /// Where it stands.
    pub field: &'static str,
    /// What is wrong with it.
    pub why: String,
}

/// A node's part of a backup.
///
/// # Errors
/// The first field that cannot be sent.
pub fn backup(
    backup: &CassandraBackup,
    node: &NodeStatus,
    with_topology: bool,
    sidecar: &Sidecar,
) -> Result<OperationRequest, Unsendable> {
    let began = began(backup);
    // A sidecar of the first generation refuses every duration, and with it the request (seen).
    let takes_durations = sidecar.version().is_some_and(|version| version.major >= 2);
    let duration = began.duration.as_deref().filter(|_| takes_durations);
    Ok(OperationRequest::Backup(BackupRequest {
        store: backup_store(backup, node)?,
        snapshot: tag(backup
            .status
            .as_ref()
            .and_then(|status| status.snapshot_tag.as_deref()))?,
        entities: entities(began.entities.as_deref())?,
        directory: directory(None)?,
        concurrent_connections: connections(began.concurrent_connections),
        bandwidth: optional("spec.bandwidth", began.bandwidth.as_deref(), Bandwidth::parse)?,
        duration: optional("spec.duration", duration, GoDuration::parse)?,
        upload_topology: with_topology,
    }))
}

/// What a node's share holds.
///
/// # Errors
/// The first field that cannot be sent.
pub fn list(backup: &CassandraBackup, node: &NodeStatus) -> Result<OperationRequest, Unsendable> {
    let store = backup_store(backup, node)?;
    Ok(OperationRequest::List(ListRequest { store }))
}

/// What takes the snapshot out of a node's share that the status says is being removed.
///
/// # Errors
/// The first field that cannot be sent.
pub fn remove(backup: &CassandraBackup, node: &NodeStatus) -> Result<OperationRequest, Unsendable> {
    let retention = backup
        .status
        .as_ref()
        .and_then(|status| status.retention.as_ref());
    let run = retention.and_then(|retention| retention.removing.as_ref());
    let name = run.map(|run| run.snapshot.as_str()).unwrap_or_default();
    Ok(OperationRequest::RemoveBackup(RemoveBackupRequest {
        store: backup_store(backup, node)?,
        snapshot: ResolvedTag::parse(name).map_err(unsendable("status.retention.removing.snapshot"))?,
    }))
}

/// A node's part of a restore.
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
    let status = restore.status.clone().unwrap_or_default();
    let source = status.source.unwrap_or_default();
    let spec = &restore.spec;
    let directory = directory(spec.cassandra_directory.as_deref())?;
    let rename = source.rename.or_else(|| spec.rename.clone()).unwrap_or_default();
    let location = source.storage_location.as_deref().unwrap_or_default();
    Ok(OperationRequest::Restore(RestoreRequest {
        store: store(
            location,
            &status.common,
            node,
            namespace(&restore.metadata),
            source.secret.as_deref(),
        )?,
        snapshot: snapshot(restore, source.snapshot_tag.as_deref().unwrap_or_default())?,
        entities: entities(source.entities.as_deref())?,
        rename: Rename::parse(&rename).map_err(|errors| first("status.source.rename", &errors))?,
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

/// A run by its name; or, where the backup was taken by somebody who left no name, the newest run of its tag.
fn snapshot(restore: &CassandraRestore, text: &str) -> Result<Snapshot, Unsendable> {
    if let Ok(tag) = ResolvedTag::parse(text) {
        return Ok(Snapshot::Resolved(tag));
    }
    let spec = &restore.spec;
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

/// Where this restore's downloads go, by which its operations are known.
///
/// # Errors
/// The directory or the uid cannot be used.
pub fn downloads(restore: &CassandraRestore) -> Result<SourceDirectory, Unsendable> {
    let directory = directory(restore.spec.cassandra_directory.as_deref())?;
    source_directory(restore, &directory)
}

/// The run's name, as it stands in a status.
///
/// # Errors
/// It is none.
pub fn tag(text: Option<&str>) -> Result<ResolvedTag, Unsendable> {
    ResolvedTag::parse(text.unwrap_or_default()).map_err(unsendable("status.snapshotTag"))
}

fn source_directory(
    restore: &CassandraRestore,
    directory: &CassandraDirectory,
) -> Result<SourceDirectory, Unsendable> {
    let uid = restore.metadata.uid.as_deref().unwrap_or_default();
    SourceDirectory::of_restore(directory, uid).map_err(unsendable("metadata.uid"))
}

/// What the run began with. One that was begun before cassgate wrote that down has an unchanged spec.
fn began(backup: &CassandraBackup) -> BackupRun {
    let run = backup.status.as_ref().and_then(|status| status.run.as_deref());
    run.cloned().unwrap_or_else(|| backup.spec.run())
}

fn backup_store(backup: &CassandraBackup, node: &NodeStatus) -> Result<Store, Unsendable> {
    let common = backup
        .status
        .as_ref()
        .map(|status| status.common.clone())
        .unwrap_or_default();
    let began = began(backup);
    store(
        &began.storage_location,
        &common,
        node,
        namespace(&backup.metadata),
        began.secret.as_deref(),
    )
}

fn store(
    location: &str,
    common: &BackRestStatus,
    node: &NodeStatus,
    namespace: &str,
    secret: Option<&str>,
) -> Result<Store, Unsendable> {
    let location = StorageLocation::parse(location).map_err(unsendable("storageLocation"))?;
    let cluster = common.cluster_name.as_deref().unwrap_or_default();
    let cluster = Segment::parse(cluster).map_err(unsendable("status.clusterName"))?;
    let datacenter = node.datacenter.as_deref().unwrap_or_default();
    let datacenter = Segment::parse(datacenter).map_err(unsendable("status.nodes[].datacenter"))?;
    let host = HostId::parse(&node.host_id).map_err(unsendable("status.nodes[].hostId"))?;
    let secret = secret.filter(|name| !name.is_empty() && location.provider() != Provider::File);
    let secret = secret.map(|name| {
        SecretReference::new(namespace, name).ok_or_else(|| Unsendable {
            field: "secret",
            why: format!("{name:?} is no name of an object"),
        })
    });
    Ok(Store {
        location: NodeLocation::new(&location, &cluster, &datacenter, &host),
        secret: secret.transpose()?,
    })
}

fn namespace(meta: &ObjectMeta) -> &str {
    meta.namespace.as_deref().unwrap_or_default()
}

fn phase(phase: Phase) -> Result<RestorePhase, Unsendable> {
    RestorePhase::parse(phase.as_str()).ok_or_else(|| Unsendable {
        field: "status.phase",
        why: format!("{} is no phase of a restore", phase.as_str()),
    })
}

fn directory(text: Option<&str>) -> Result<CassandraDirectory, Unsendable> {
    let text = text
        .filter(|text| !text.is_empty())
        .unwrap_or(CASSANDRA_DIRECTORY);
    CassandraDirectory::parse(text).map_err(unsendable("spec.cassandraDirectory"))
}

fn entities(text: Option<&str>) -> Result<Entities, Unsendable> {
    Entities::parse(text.unwrap_or_default()).map_err(|errors| first("entities", &errors))
}

/// 0 is the sidecar's own choice; less is refused by the rules.
fn connections(count: Option<i32>) -> Option<NonZeroU32> {
    count
        .and_then(|count| u32::try_from(count).ok())
        .and_then(NonZeroU32::new)
}

fn optional<T, E: std::fmt::Display>(
    field: &'static str,
    text: Option<&str>,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Result<Option<T>, Unsendable> {
    let text = text.filter(|text| !text.is_empty());
    text.map(|text| parse(text).map_err(unsendable(field)))
        .transpose()
}

fn unsendable<E: std::fmt::Display>(field: &'static str) -> impl Fn(E) -> Unsendable {
    move |error| Unsendable {
        field,
        why: error.to_string(),
    }
}

fn first<E: std::fmt::Display>(field: &'static str, errors: &[E]) -> Unsendable {
    Unsendable {
        field,
        why: errors.first().map(ToString::to_string).unwrap_or_default(),
    }
}
