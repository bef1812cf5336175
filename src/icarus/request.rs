//! What a sidecar is asked. Everything comes from parsed values, so what was admitted can be sent.
//!
//! Requests carry the directory in both forms, because 1.x reads `cassandraDirectory`, 2.x and 3.x demand `dataDirs`,
//! and both check that the other one is there (seen); and a timeout of 30 days, because a sidecar whose timeout has
//! run out reports success (seen).

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

/// The hours after which a sidecar gives an operation up and calls it COMPLETED.
const TIMEOUT_HOURS: u32 = 720;

/// Where `list` and `remove-backup` put the manifests that they read. Their own choice is below the home directory,
/// which a container may not have.
const MANIFEST_CACHE: &str = "/tmp/cassgate-manifests";

/// The name of a Secret and its namespace. The sidecar reads the values; they never come through here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretReference {
    namespace: String,
    name: String,
}

impl SecretReference {
    /// The Secret of this name; `None` for names that no object can have.
    #[must_use]
    pub fn new(namespace: &str, name: &str) -> Option<Self> {
        (is_object_name(namespace) && is_object_name(name)).then(|| Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        })
    }
}

/// One node's share of a bucket, and the key to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// The node's share.
    pub location: NodeLocation,
    /// The Secret that a sidecar before 3.0 reads; later ones ignore it. Without one it uses its environment or the
    /// role of its machine.
    pub secret: Option<SecretReference>,
}

/// A backup of one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupRequest {
    /// Where to.
    pub store: Store,
    /// The name of the run, the same on every node.
    pub snapshot: ResolvedTag,
    /// What is backed up.
    pub entities: Entities,
    /// Where Cassandra is.
    pub directory: CassandraDirectory,
    /// How many files at a time; the sidecar's own choice is 10.
    pub concurrent_connections: Option<NonZeroU32>,
    /// The most that the node uploads in a second.
    pub bandwidth: Option<Bandwidth>,
    /// How long the upload should be stretched to. Every 1.x refuses the whole request because of it (seen): leave it
    /// out there.
    pub duration: Option<GoDuration>,
    /// Whether this node writes the description of the ring beside the backup. One node of the ring does: it costs
    /// seven seconds (seen), no restore needs it, other tools read it.
    pub upload_topology: bool,
}

/// How downloads get into the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// Hard links into the data directory, then a refresh. Every sidecar, every Cassandra.
    Hardlinks,
    /// Cassandra takes the files itself: it has to see the directory under the same path. Only a sidecar from 3.0 on
    /// and a Cassandra from 4 on; others fail after the tables were emptied (seen).
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

/// Which snapshot comes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Snapshot {
    /// Exactly this one.
    Resolved(ResolvedTag),
    /// The newest whose name begins with the tag, on each node by itself: for a bucket that nobody has listed.
    Newest {
        /// What the name begins with. `a` also finds `ab` unless the schema says more.
        tag: SnapshotTag,
        /// What has to stand behind the tag.
        schema: SchemaChoice,
    },
}

/// Which versions of the schema a snapshot may have been taken with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SchemaChoice {
    /// Any.
    Any,
    /// The one that the node has now.
    Current,
    /// This one.
    Exactly(SchemaVersion),
}

/// One phase of a restore on one node. Every phase of a restore on a node says the same but for `phase`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreRequest {
    /// Where from.
    pub store: Store,
    /// Which snapshot.
    pub snapshot: Snapshot,
    /// What comes back. [`Entities::Everything`] empties every table of the users.
    pub entities: Entities,
    /// Which tables go into others.
    pub rename: Rename,
    /// Where Cassandra is.
    pub directory: CassandraDirectory,
    /// Where the downloads go; what the answers are known by.
    pub source: SourceDirectory,
    /// The step.
    pub phase: RestorePhase,
    /// How the downloads get into the tables.
    pub strategy: Strategy,
    /// Whether CLEANUP leaves the safety copies (`truncated-…`) of every restore alone.
    pub keep_truncates: bool,
    /// How many files at a time; the sidecar's own choice is 10.
    pub concurrent_connections: Option<NonZeroU32>,
}

/// What lies in a node's share. From 2.0.1 on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListRequest {
    /// The share; any sidecar can read any node's.
    pub store: Store,
}

/// Removes one snapshot from a node's share. From 2.0.2 on. A name that is not there is no error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoveBackupRequest {
    /// The share.
    pub store: Store,
    /// The snapshot.
    pub snapshot: ResolvedTag,
}

/// An operation that a sidecar can be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OperationRequest {
    /// Back one node up.
    Backup(BackupRequest),
    /// One phase of a restore.
    Restore(RestoreRequest),
    /// Load what lies in the directory of a table.
    Refresh(Table),
    /// List a share.
    List(ListRequest),
    /// Remove a snapshot.
    RemoveBackup(RemoveBackupRequest),
}

/// Which operations are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OperationFilter {
    /// Backups.
    Backups,
    /// Phases of restores.
    Restores,
    /// Refreshes.
    Refreshes,
    /// Removals, which 1.x does not know: it refuses the filter.
    Removals,
}

impl OperationFilter {
    /// The query of the request, behind the `?`.
    pub(super) const fn query(self) -> &'static str {
        match self {
            Self::Backups => "type=backup",
            Self::Restores => "type=restore",
            Self::Refreshes => "type=refresh",
            Self::Removals => "type=remove-backup",
        }
    }
}

impl OperationRequest {
    /// What a metric calls it.
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

    /// The body of the request.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        // A struct of texts and numbers always becomes a value; if it did not, the sidecar would refuse `null`.
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
                cache_dir: MANIFEST_CACHE,
            },
            Self::RemoveBackup(remove) => Body::RemoveBackup {
                store: (&remove.store).into(),
                backup_name: remove.snapshot.to_string(),
                cache_dir: MANIFEST_CACHE,
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
        cache_dir: &'static str,
    },
    RemoveBackup {
        #[serde(flatten)]
        store: StoreBody,
        backup_name: String,
        cache_dir: &'static str,
    },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StoreBody {
    storage_location: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    k8s_namespace: Option<String>,
    /// Empty, not absent: an absent one makes the sidecar look for a Secret of a name of its own.
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

/// Rounded up, at least one: the sidecar divides by it.
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
