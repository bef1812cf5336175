//! The object under review, with its string fields parsed once.

use jiff::tz::TimeZone;

use crate::api::{
    ALLOW_ANNOTATION, CONFIRM_ANNOTATION, CassandraBackupSpec, CassandraRestoreSpec, GO_ON_ANNOTATION,
    NOT_AFTER_ANNOTATION, REQUIRES_ANNOTATION,
};
use crate::domain::bandwidth::{Bandwidth, BandwidthError};
use crate::domain::cassandra_directory::{CassandraDirectory, CassandraDirectoryError};
use crate::domain::entities::{Entities, EntitiesError};
use crate::domain::go_duration::{GoDuration, GoDurationError};
use crate::domain::rename::{Rename, RenameError};
use crate::domain::schedule::{Schedule, ScheduleError, UnknownTimeZone, time_zone};
use crate::domain::schema_version::{SchemaVersion, SchemaVersionError};
use crate::domain::snapshot_tag::{SnapshotTag, SnapshotTagError};
use crate::domain::storage::{Provider, StorageLocation, StorageLocationError};

use super::catalogue::Rule;
use super::facts::{Coverage, NeighbourQuery, StoredBackup};
use super::tool::{RECREATING_ANNOTATIONS, RECREATING_LABELS, TRACKING_ANNOTATIONS, TRACKING_LABELS, Tool};
use crate::api::Kind;

/// The part of an object's metadata that rules use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    /// The namespace.
    pub namespace: String,
    /// The name; empty while the API server has not generated one from `generateName`.
    pub name: String,
    /// The value of [`CONFIRM_ANNOTATION`]: rule ids, separated by commas.
    pub confirms: Option<String>,
    /// The value of [`ALLOW_ANNOTATION`]: rule ids, separated by commas.
    pub allows: Option<String>,
    /// The value of [`REQUIRES_ANNOTATION`].
    pub requires: Option<String>,
    /// The value of [`GO_ON_ANNOTATION`].
    pub go_on: Option<String>,
    /// The value of [`NOT_AFTER_ANNOTATION`].
    pub not_after: Option<String>,
    /// The value of the label that Velero puts on objects that it restores.
    pub velero_restore: Option<String>,
    /// The annotations that make a tool create the object again: see [`RECREATING_ANNOTATIONS`].
    pub recreating_annotations: Vec<(&'static str, String)>,
    /// The labels that do the same: see [`RECREATING_LABELS`].
    pub recreating_labels: Vec<(&'static str, String)>,
    /// The tool that applies the object from a repository, if the metadata or the request names one.
    pub tool: Option<Tool>,
}

/// The label that Velero sets on the objects that it restores.
pub const VELERO_RESTORE_LABEL: &str = "velero.io/restore-name";

impl Metadata {
    /// Returns the metadata of an object, with the annotations and labels that rules read.
    ///
    /// `annotation` and `label` return the value of a key.
    #[must_use]
    pub fn new(
        namespace: String,
        name: String,
        mut annotation: impl FnMut(&str) -> Option<String>,
        mut label: impl FnMut(&str) -> Option<String>,
    ) -> Self {
        Self {
            namespace,
            name,
            confirms: annotation(CONFIRM_ANNOTATION),
            allows: annotation(ALLOW_ANNOTATION),
            requires: annotation(REQUIRES_ANNOTATION),
            go_on: annotation(GO_ON_ANNOTATION),
            not_after: annotation(NOT_AFTER_ANNOTATION),
            velero_restore: label(VELERO_RESTORE_LABEL),
            recreating_annotations: RECREATING_ANNOTATIONS
                .into_iter()
                .filter_map(|key| Some((key, annotation(key)?)))
                .collect(),
            recreating_labels: RECREATING_LABELS
                .into_iter()
                .filter_map(|key| Some((key, label(key)?)))
                .collect(),
            tool: tracked(&TRACKING_ANNOTATIONS, annotation).or_else(|| tracked(&TRACKING_LABELS, label)),
        }
    }

    /// Returns true if the author confirms the denials of `rule`.
    #[must_use]
    pub fn confirms(&self, rule: &Rule) -> bool {
        lists_rule(self.confirms.as_deref(), rule)
    }

    /// Returns true if the author suppresses the warnings of `rule`.
    #[must_use]
    pub fn allows(&self, rule: &Rule) -> bool {
        lists_rule(self.allows.as_deref(), rule)
    }
}

/// Returns the tool of the first key that the object has.
fn tracked(keys: &[(&str, Tool)], mut value: impl FnMut(&str) -> Option<String>) -> Option<Tool> {
    let mut keys = keys.iter();
    keys.find(|(key, _)| value(key).is_some()).map(|(_, tool)| *tool)
}

/// Returns the annotation or label `key` if a rule reads it.
#[must_use]
pub fn read_key(key: &str) -> Option<&'static str> {
    const OWN: [&str; 6] = [
        GO_ON_ANNOTATION,
        CONFIRM_ANNOTATION,
        ALLOW_ANNOTATION,
        REQUIRES_ANNOTATION,
        NOT_AFTER_ANNOTATION,
        VELERO_RESTORE_LABEL,
    ];
    let tracking = TRACKING_ANNOTATIONS.iter().chain(&TRACKING_LABELS);
    let mut read = OWN
        .into_iter()
        .chain(RECREATING_ANNOTATIONS)
        .chain(RECREATING_LABELS)
        .chain(tracking.map(|(own, _)| *own));
    read.find(|own| *own == key)
}

/// Returns true if `list`, in the form `RULE[,RULE]`, contains `rule`.
fn lists_rule(list: Option<&str>, rule: &Rule) -> bool {
    let mut ids = list.iter().flat_map(|text| text.split(','));
    ids.any(|id| id.trim() == rule.id)
}

/// A backup under review.
#[derive(Debug, Clone)]
pub struct Backup {
    /// Its metadata.
    pub meta: Metadata,
    /// Its spec as written by the user.
    pub spec: CassandraBackupSpec,
    /// `spec.storageLocation`.
    pub location: Result<StorageLocation, StorageLocationError>,
    /// `spec.snapshotTag`; `None` if absent, so that the defaults fill it in.
    pub tag: Option<Result<SnapshotTag, SnapshotTagError>>,
    /// `spec.entities`.
    pub entities: Result<Entities, Vec<EntitiesError>>,
    /// `spec.schedule`; `None` for a one-shot backup. CassKop treats an empty string as absent.
    pub schedule: Option<Result<Schedule, ScheduleError>>,
    /// `spec.timeZone`.
    pub time_zone: Option<Result<TimeZone, UnknownTimeZone>>,
    /// `spec.duration`; CassKop treats an empty string as absent.
    pub duration: Option<Result<GoDuration, GoDurationError>>,
    /// `spec.bandwidth`; CassKop treats an empty string as absent.
    pub bandwidth: Option<Result<Bandwidth, BandwidthError>>,
}

impl Backup {
    /// Parses the spec of a backup.
    #[must_use]
    pub fn new(meta: Metadata, spec: CassandraBackupSpec) -> Self {
        Self {
            location: StorageLocation::parse(&spec.storage_location),
            tag: spec.snapshot_tag.as_deref().map(SnapshotTag::parse),
            entities: Entities::parse(spec.entities.as_deref().unwrap_or_default()),
            schedule: non_empty(spec.schedule.as_deref()).map(Schedule::parse),
            time_zone: spec.time_zone.as_deref().map(time_zone),
            duration: non_empty(spec.duration.as_deref()).map(GoDuration::parse),
            bandwidth: non_empty(spec.bandwidth.as_deref()).map(Bandwidth::parse),
            meta,
            spec,
        }
    }
}

/// A restore under review.
#[derive(Debug, Clone)]
pub struct Restore {
    /// Its metadata.
    pub meta: Metadata,
    /// Its spec as written by the user.
    pub spec: CassandraRestoreSpec,
    /// `spec.entities` of the restore itself: empty means the entities of its backup.
    pub entities: Result<Entities, Vec<EntitiesError>>,
    /// `spec.rename`; an absent map is empty.
    pub rename: Result<Rename, Vec<RenameError>>,
    /// `spec.schemaVersion`; Icarus treats an empty string as absent.
    pub schema_version: Option<Result<SchemaVersion, SchemaVersionError>>,
    /// `spec.cassandraDirectory`; CassKop treats an empty string as absent.
    pub directory: Option<Result<CassandraDirectory, CassandraDirectoryError>>,
}

impl Restore {
    /// Parses the spec of a restore.
    #[must_use]
    pub fn new(meta: Metadata, spec: CassandraRestoreSpec) -> Self {
        Self {
            entities: Entities::parse(spec.entities.as_deref().unwrap_or_default()),
            rename: spec
                .rename
                .as_ref()
                .map_or_else(|| Ok(Rename::default()), Rename::parse),
            schema_version: non_empty(spec.schema_version.as_deref()).map(SchemaVersion::parse),
            directory: non_empty(spec.cassandra_directory.as_deref()).map(CassandraDirectory::parse),
            meta,
            spec,
        }
    }

    /// Returns the run that the restore names. An empty text counts as absent.
    #[must_use]
    pub fn snapshot(&self) -> Option<&str> {
        non_empty(self.spec.snapshot.as_deref())
    }

    /// Returns the content of its backup: that of the run which the restore names, or else would take.
    #[must_use]
    pub fn coverage<'a>(&self, backup: &'a StoredBackup) -> Coverage<'a> {
        backup.coverage(self.snapshot())
    }

    /// Returns the entities that the restore covers: its own, or those of its backup if it names none.
    ///
    /// CassKop's `PerformRestore` resolves them in the same way, and cassgate from the run. Returns `None` if they are malformed or the backup is
    /// not known.
    #[must_use]
    pub fn effective_entities(&self, backup: Option<&StoredBackup>) -> Option<Entities> {
        match self.entities.as_ref().ok()? {
            Entities::Everything => Entities::parse(self.coverage(backup?).entities()).ok(),
            own => Some(own.clone()),
        }
    }
}

/// The object of a request.
#[derive(Debug, Clone)]
pub enum Subject {
    /// A backup.
    Backup(Box<Backup>),
    /// A restore.
    Restore(Box<Restore>),
}

impl Subject {
    /// Returns its kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Backup(_) => Kind::Backup,
            Self::Restore(_) => Kind::Restore,
        }
    }

    /// Returns its metadata.
    #[must_use]
    pub fn meta(&self) -> &Metadata {
        match self {
            Self::Backup(backup) => &backup.meta,
            Self::Restore(restore) => &restore.meta,
        }
    }

    /// Returns the noun for messages: `backup` or `restore`.
    #[must_use]
    pub fn noun(&self) -> &'static str {
        self.kind().noun()
    }

    /// Returns the name of its cluster.
    #[must_use]
    pub fn cluster(&self) -> &str {
        match self {
            Self::Backup(backup) => &backup.spec.cassandra_cluster,
            Self::Restore(restore) => &restore.spec.cassandra_cluster,
        }
    }

    /// Returns its datacenter. An empty string counts as absent: CassKop does not send it.
    #[must_use]
    pub fn datacenter(&self) -> Option<&str> {
        non_empty(match self {
            Self::Backup(backup) => backup.spec.datacenter.as_deref(),
            Self::Restore(restore) => restore.spec.datacenter.as_deref(),
        })
    }

    /// Returns the datacenter by which CassKop selects pods: that of the backup, also for a restore.
    #[must_use]
    pub fn datacenter_of_pods<'a>(&'a self, backup: Option<&'a StoredBackup>) -> Option<&'a str> {
        match self {
            Self::Backup(_) => self.datacenter(),
            Self::Restore(_) => non_empty(backup?.spec.datacenter.as_deref()),
        }
    }

    /// Returns the name of the backup of a restore.
    #[must_use]
    pub fn backup(&self) -> Option<&str> {
        match self {
            Self::Backup(_) => None,
            Self::Restore(restore) => Some(&restore.spec.cassandra_backup),
        }
    }

    /// Returns the name of its Secret. A restore without one uses the Secret of its backup.
    #[must_use]
    pub fn secret<'a>(&'a self, backup: Option<&'a StoredBackup>) -> Option<&'a str> {
        match self {
            Self::Backup(own) => non_empty(own.spec.secret.as_deref()),
            Self::Restore(own) => non_empty(own.spec.secret.as_deref())
                .or_else(|| non_empty(backup.and_then(|backup| backup.spec.secret.as_deref()))),
        }
    }

    /// Returns the storage provider; for a restore, that of its backup. Returns `None` if the location is malformed.
    #[must_use]
    pub fn provider(&self, backup: Option<&StoredBackup>) -> Option<Provider> {
        match self {
            Self::Backup(own) => own.location.as_ref().ok().map(StorageLocation::provider),
            Self::Restore(own) => {
                let location = StorageLocation::parse(own.coverage(backup?).location()).ok()?;
                Some(location.provider())
            }
        }
    }

    /// Returns the query for its neighbours. `backup` is the backup of a restore, if it is known.
    #[must_use]
    pub fn neighbour_query<'a>(&'a self, backup: Option<&'a StoredBackup>) -> NeighbourQuery<'a> {
        let meta = self.meta();
        let (restore, name, spec) = match self {
            Self::Backup(own) => (false, &meta.name, Some(&own.spec)),
            Self::Restore(own) => (
                true,
                &own.spec.cassandra_backup,
                backup.map(|backup| &backup.spec),
            ),
        };
        NeighbourQuery {
            namespace: &meta.namespace,
            name: &meta.name,
            restore,
            cluster: self.cluster(),
            backup: name,
            location: spec.map_or("", |spec| spec.storage_location.as_str()),
            tag: spec
                .and_then(|spec| spec.snapshot_tag.as_deref())
                .unwrap_or_default(),
        }
    }
}

/// Returns `text` unless it is empty. CassKop and Icarus treat an empty string as absent.
pub(super) fn non_empty(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}
