//! The requests to a sidecar. They are built from parsed values, so what was admitted can be sent.
//!
//! Requests contain the directory in both forms, because 1.x reads `cassandraDirectory`, 2.x and 3.x require `dataDirs`,
//! and both check that the other field exists (observed). They contain a timeout of 30 days, because a sidecar reports
//! success when its timeout expires (observed).

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use serde::Serialize;

use crate::domain::bandwidth::Bandwidth;
use crate::domain::cassandra_directory::CassandraDirectory;
use crate::domain::entities::{Entities, Table};
use crate::domain::go_duration::GoDuration;
use crate::domain::node_location::NodeLocation;
use crate::domain::object_name::is_object_name;
use crate::domain::phase::RestorePhase;
use crate::domain::rename::Rename;
use crate::domain::resolved_tag::ResolvedTag;
use crate::domain::schema_version::SchemaVersion;
use crate::domain::snapshot_tag::SnapshotTag;
use crate::domain::source_directory::SourceDirectory;
use crate::telemetry::metrics::SidecarRequest;

/// The timeout of an operation, in hours. The sidecar then abandons the operation and reports COMPLETED.
const TIMEOUT_HOURS: u32 = 720;

/// The beginning of the directories in which `list` and `remove-backup` store the manifests that they read. Their default
/// is in the home directory, which a container may not have.
const MANIFEST_CACHE: &str = "/tmp/cassgate-manifests";

/// The namespace and the name of a Secret. The sidecar reads its values; cassgate never sends them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretReference {
    namespace: String,
    name: String,
}

impl SecretReference {
    /// Refers to a Secret. Returns `None` for names that no object can have.
    #[must_use]
    pub fn new(namespace: &str, name: &str) -> Option<Self> {
        (is_object_name(namespace) && is_object_name(name)).then(|| Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        })
    }
}

/// One node's folder of a bucket, with the credentials for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// The node's folder.
    pub location: NodeLocation,
    /// The Secret that sidecars before 3.0 read; later ones ignore it. Without a Secret, the sidecar uses its environment
    /// or the role of its machine.
    pub secret: Option<SecretReference>,
}

/// A backup of one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupRequest {
    /// The destination.
    pub store: Store,
    /// The name of the run, the same on every node.
    pub snapshot: ResolvedTag,
    /// The entities to back up.
    pub entities: Entities,
    /// Cassandra's directory.
    pub directory: CassandraDirectory,
    /// The number of files that are transferred at the same time. The sidecar's default is 10.
    pub concurrent_connections: Option<NonZeroU32>,
    /// The upload limit of the node.
    pub bandwidth: Option<Bandwidth>,
    /// The time over which the sidecar spreads the upload. Every 1.x rejects a request with this field (observed), so it
    /// must be `None` there.
    pub duration: Option<GoDuration>,
    /// True if this node also uploads the description of the ring. One node of the ring does, because it takes seven
    /// seconds (observed). No restore needs the description, but other tools read it.
    pub upload_topology: bool,
}

/// The way in which downloaded files are loaded into the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// Hard links in the data directory and a refresh. Works with every sidecar and every Cassandra.
    Hardlinks,
    /// Cassandra imports the files itself, so it must see the directory under the same path. Works with sidecars from 3.0
    /// and Cassandra from 4.0 on; others fail after the tables were emptied (observed).
    Import,
}

impl Strategy {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Hardlinks => "HARDLINKS",
            Self::Import => "IMPORT",
        }
    }
}

/// The snapshot to restore.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Snapshot {
    /// The snapshot with this name.
    Resolved(ResolvedTag),
    /// The newest snapshot whose name starts with the tag, which each node selects by itself.
    Newest {
        /// The prefix of the name. `a` also matches `ab`, unless the schema version narrows the selection.
        tag: SnapshotTag,
        /// The schema version after the tag.
        schema: SchemaChoice,
    },
}

/// The schema versions with which the snapshot may have been taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SchemaChoice {
    /// Any version.
    Any,
    /// The current version of the node.
    Current,
    /// This version.
    Exactly(SchemaVersion),
}

/// One phase of a restore on one node. The requests of the phases differ only in `phase`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreRequest {
    /// The source.
    pub store: Store,
    /// The snapshot.
    pub snapshot: Snapshot,
    /// The entities to restore. [`Entities::Everything`] empties every table that is not a system table.
    pub entities: Entities,
    /// The tables whose data goes into other tables.
    pub rename: Rename,
    /// Cassandra's directory.
    pub directory: CassandraDirectory,
    /// The directory of the downloads, which identifies the operations of this restore in answers.
    pub source: SourceDirectory,
    /// The phase.
    pub phase: RestorePhase,
    /// The way in which the downloads are loaded into the tables.
    pub strategy: Strategy,
    /// True if CLEANUP keeps the safety copies (`truncated-…`) of every restore.
    pub keep_truncates: bool,
    /// The number of files that are transferred at the same time. The sidecar's default is 10.
    pub concurrent_connections: Option<NonZeroU32>,
}

/// The purpose of a listing. Each has a manifest cache of its own for each node.
///
/// A listing empties its cache and downloads the manifests into it. On S3, a removal downloads none: it takes those that
/// the last listing left, and deletes every file that none of them names (read in the source of Esop 2.0.4). So a removal
/// shares its cache with the listing before it, and with no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListPurpose {
    /// To measure a backup.
    Measurement,
    /// To remove a snapshot.
    Removal,
}

impl ListPurpose {
    /// Returns the directory of the manifests of a node.
    fn cache(self, store: &Store) -> String {
        let purpose = match self {
            Self::Measurement => "measurement",
            Self::Removal => "removal",
        };
        format!("{MANIFEST_CACHE}-{purpose}-{}", store.location.host_id())
    }
}

/// Lists a node's folder of the bucket. Sidecars have this operation from 2.0.1 on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListRequest {
    /// The folder. A sidecar can list the folder of any node.
    pub store: Store,
    /// The purpose.
    pub purpose: ListPurpose,
}

/// Removes one snapshot from a node's folder of the bucket. Sidecars have this operation from 2.0.2 on. A snapshot that
/// does not exist is not an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoveBackupRequest {
    /// The folder.
    pub store: Store,
    /// The snapshot.
    pub snapshot: ResolvedTag,
}

/// A request to start an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OperationRequest {
    /// Back up one node.
    Backup(BackupRequest),
    /// One phase of a restore.
    Restore(RestoreRequest),
    /// Load the files in the directory of a table.
    Refresh(Table),
    /// List a node's folder of the bucket.
    List(ListRequest),
    /// Remove a snapshot.
    RemoveBackup(RemoveBackupRequest),
}

/// The kind of operations that a request returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OperationFilter {
    /// Backups.
    Backups,
    /// Phases of restores.
    Restores,
    /// Refreshes.
    Refreshes,
    /// Removals of snapshots. 1.x does not have them and rejects the filter.
    Removals,
    /// Listings and removals that have not ended. 1.x does not have them and rejects the filter. Listings that ended are
    /// left out, because each names every file in the bucket.
    ActiveListingsAndRemovals,
    /// Operations of every kind that have not ended, whichever client sent them.
    Active,
}

impl OperationFilter {
    /// Returns the query of the request, without the `?`.
    pub(super) const fn query(self) -> &'static str {
        match self {
            Self::Backups => "type=backup",
            Self::Restores => "type=restore",
            Self::Refreshes => "type=refresh",
            Self::Removals => "type=remove-backup",
            Self::ActiveListingsAndRemovals => "type=list&type=remove-backup&state=PENDING&state=RUNNING",
            Self::Active => "state=PENDING&state=RUNNING",
        }
    }
}

impl OperationRequest {
    /// Returns the request with another purpose, if it is a listing: the removal of a snapshot.
    #[must_use]
    pub fn for_removal(self) -> Self {
        match self {
            Self::List(list) => Self::List(ListRequest {
                purpose: ListPurpose::Removal,
                ..list
            }),
            other => other,
        }
    }

    /// Returns the label of the request in metrics.
    #[must_use]
    pub const fn label(&self) -> SidecarRequest {
        match self {
            Self::Backup(_) => SidecarRequest::Backup,
            Self::Restore(restore) => match restore.phase {
                RestorePhase::Init => SidecarRequest::Init,
                RestorePhase::Download => SidecarRequest::Download,
                RestorePhase::Truncate => SidecarRequest::Truncate,
                RestorePhase::Import => SidecarRequest::Import,
                RestorePhase::Cleanup => SidecarRequest::Cleanup,
            },
            Self::Refresh(_) => SidecarRequest::Refresh,
            Self::List(_) => SidecarRequest::List,
            Self::RemoveBackup(_) => SidecarRequest::RemoveBackup,
        }
    }

    /// Returns the body of the request.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        // A struct of strings and numbers always serializes; if it did not, the sidecar would reject `null`.
        serde_json::to_value(self.body()).unwrap_or_default()
    }

    fn body(&self) -> Body {
        match self {
            Self::Backup(backup) => Body::Backup(Box::new(backup.body())),
            Self::Restore(restore) => Body::Restore(Box::new(restore.body())),
            Self::Refresh(table) => Body::Refresh {
                keyspace: table.keyspace.to_string(),
                table: table.table.to_string(),
            },
            Self::List(list) => Body::List {
                store: (&list.store).into(),
                to_request: true,
                cache_dir: list.purpose.cache(&list.store),
            },
            Self::RemoveBackup(remove) => Body::RemoveBackup {
                store: (&remove.store).into(),
                backup_name: remove.snapshot.to_string(),
                cache_dir: ListPurpose::Removal.cache(&remove.store),
            },
        }
    }
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "camelCase")]
enum Body {
    Backup(Box<BackupBody>),
    Restore(Box<RestoreBody>),
    Refresh {
        keyspace: String,
        table: String,
    },
    List {
        #[serde(flatten)]
        store: StoreBody,
        to_request: bool,
        cache_dir: String,
    },
    RemoveBackup {
        #[serde(flatten)]
        store: StoreBody,
        backup_name: String,
        cache_dir: String,
    },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StoreBody {
    storage_location: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    k8s_namespace: Option<String>,
    /// Empty instead of absent: without the field, the sidecar looks for a Secret with a default name.
    k8s_secret_name: String,
}

impl From<&Store> for StoreBody {
    fn from(store: &Store) -> Self {
        let secret = store.secret.as_ref();
        Self {
            storage_location: store.location.to_string(),
            k8s_namespace: secret.map(|secret| secret.namespace.clone()),
            k8s_secret_name: secret.map(|secret| secret.name.clone()).unwrap_or_default(),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DirectoryBody {
    cassandra_directory: String,
    data_dirs: [String; 1],
}

impl From<&CassandraDirectory> for DirectoryBody {
    fn from(directory: &CassandraDirectory) -> Self {
        let volume = directory.as_str().trim_end_matches('/');
        Self {
            cassandra_directory: directory.to_string(),
            data_dirs: [format!("{volume}/data")],
        }
    }
}

#[derive(Serialize)]
struct Measure {
    value: u64,
    unit: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BackupBody {
    #[serde(flatten)]
    store: StoreBody,
    snapshot_tag: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    entities: String,
    #[serde(flatten)]
    directory: DirectoryBody,
    #[serde(skip_serializing_if = "Option::is_none")]
    concurrent_connections: Option<NonZeroU32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bandwidth: Option<Measure>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration: Option<Measure>,
    upload_cluster_topology: bool,
    global_request: bool,
    timeout: u32,
}

impl BackupRequest {
    fn body(&self) -> BackupBody {
        BackupBody {
            store: (&self.store).into(),
            snapshot_tag: self.snapshot.to_string(),
            entities: self.entities.to_string(),
            directory: (&self.directory).into(),
            concurrent_connections: self.concurrent_connections,
            bandwidth: self.bandwidth.map(|bandwidth| Measure {
                value: bandwidth.bytes_per_second(),
                unit: "BPS",
            }),
            duration: self.duration.map(|duration| Measure {
                value: whole_seconds(duration),
                unit: "SECONDS",
            }),
            upload_cluster_topology: self.upload_topology,
            global_request: false,
            timeout: TIMEOUT_HOURS,
        }
    }
}

/// Returns the whole seconds of a duration, rounded up and at least 1, because the sidecar divides by them.
fn whole_seconds(duration: GoDuration) -> u64 {
    u64::try_from(duration.nanoseconds())
        .unwrap_or_default()
        .div_ceil(1_000_000_000)
        .max(1)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RestoreBody {
    #[serde(flatten)]
    store: StoreBody,
    snapshot_tag: String,
    exact_schema_version: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    schema_version: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    entities: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    rename: BTreeMap<String, String>,
    #[serde(flatten)]
    directory: DirectoryBody,
    restoration_strategy_type: &'static str,
    restoration_phase: &'static str,
    import: ImportBody,
    no_delete_truncates: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    concurrent_connections: Option<NonZeroU32>,
    global_request: bool,
    timeout: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ImportBody {
    r#type: &'static str,
    source_dir: String,
}

impl RestoreRequest {
    fn body(&self) -> RestoreBody {
        let (tag, exact, schema) = match &self.snapshot {
            Snapshot::Resolved(name) => (name.to_string(), false, None),
            Snapshot::Newest { tag, schema } => match schema {
                SchemaChoice::Any => (tag.to_string(), false, None),
                SchemaChoice::Current => (tag.to_string(), true, None),
                SchemaChoice::Exactly(version) => (tag.to_string(), true, Some(version.to_string())),
            },
        };
        RestoreBody {
            store: (&self.store).into(),
            snapshot_tag: tag,
            exact_schema_version: exact,
            schema_version: schema,
            entities: self.entities.to_string(),
            rename: self
                .rename
                .pairs()
                .map(|(from, into)| (from.to_string(), into.to_string()))
                .collect(),
            directory: (&self.directory).into(),
            restoration_strategy_type: self.strategy.as_str(),
            restoration_phase: self.phase.as_str(),
            import: ImportBody {
                r#type: "import",
                source_dir: self.source.to_string(),
            },
            no_delete_truncates: self.keep_truncates,
            concurrent_connections: self.concurrent_connections,
            global_request: false,
            timeout: TIMEOUT_HOURS,
        }
    }
}
