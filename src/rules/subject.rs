//! The object that is judged, with its texts parsed once.

use jiff::tz::TimeZone;

use crate::api::{ALLOW_ANNOTATION, CONFIRM_ANNOTATION, CassandraBackupSpec, CassandraRestoreSpec};
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
use super::facts::{Around, StoredBackup};
use crate::api::Kind;

/// What rules look at of an object's metadata.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Where it is.
    pub namespace: String,
    /// Its name; empty as long as the API server has made none of `generateName`.
    pub name: String,
    /// The value of [`CONFIRM_ANNOTATION`](crate::api::CONFIRM_ANNOTATION): ids of rules, separated by commas.
    pub confirms: Option<String>,
    /// The value of [`ALLOW_ANNOTATION`](crate::api::ALLOW_ANNOTATION): ids of rules, separated by commas.
    pub allows: Option<String>,
    /// The value of Velero's label on what it brings back.
    pub velero_restore: Option<String>,
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
            velero_restore: label(VELERO_RESTORE_LABEL),
        }
    }

    /// Whether the author has read and accepts what this rule says.
    #[must_use]
    pub fn confirms(&self, rule: &Rule) -> bool {
        names(self.confirms.as_deref(), rule)
    }

    /// Whether the author has had enough of this rule's warnings.
    #[must_use]
    pub fn allows(&self, rule: &Rule) -> bool {
        names(self.allows.as_deref(), rule)
    }
}

/// Whether a list of rules, `RULE[,RULE]`, names this one.
fn names(list: Option<&str>, rule: &Rule) -> bool {
    let mut ids = list.iter().flat_map(|text| text.split(','));
    ids.any(|id| id.trim() == rule.id)
}

/// A backup under judgement.
#[derive(Debug, Clone)]
pub struct Backup {
    /// Who it is.
    pub meta: Metadata,
    /// What the user wrote.
    pub spec: CassandraBackupSpec,
    /// `spec.storageLocation`.
    pub location: Result<StorageLocation, StorageLocationError>,
    /// `spec.snapshotTag`; `None` where it is left to us.
    pub tag: Option<Result<SnapshotTag, SnapshotTagError>>,
    /// `spec.entities`.
    pub entities: Result<Entities, Vec<EntitiesError>>,
    /// `spec.schedule`; `None` for a one-shot. CassKop takes an empty text for none.
    pub schedule: Option<Result<Schedule, ScheduleError>>,
    /// `spec.timeZone`.
    pub time_zone: Option<Result<TimeZone, UnknownTimeZone>>,
    /// `spec.duration`; CassKop takes an empty text for none.
    pub duration: Option<Result<GoDuration, GoDurationError>>,
    /// `spec.bandwidth`; CassKop takes an empty text for none.
    pub bandwidth: Option<Result<Bandwidth, BandwidthError>>,
}

impl Backup {
    /// A backup of this spec.
    #[must_use]
    pub fn new(meta: Metadata, spec: CassandraBackupSpec) -> Self {
        Self {
            location: StorageLocation::parse(&spec.storage_location),
            tag: spec.snapshot_tag.as_deref().map(SnapshotTag::parse),
            entities: Entities::parse(spec.entities.as_deref().unwrap_or_default()),
            schedule: written(spec.schedule.as_deref()).map(Schedule::parse),
            time_zone: spec.time_zone.as_deref().map(time_zone),
            duration: written(spec.duration.as_deref()).map(GoDuration::parse),
            bandwidth: written(spec.bandwidth.as_deref()).map(Bandwidth::parse),
            meta,
            spec,
        }
    }
}

/// A restore under judgement.
#[derive(Debug, Clone)]
pub struct Restore {
    /// Who it is.
    pub meta: Metadata,
    /// What the user wrote.
    pub spec: CassandraRestoreSpec,
    /// `spec.entities` as it stands: empty means what the backup names.
    pub entities: Result<Entities, Vec<EntitiesError>>,
    /// `spec.rename`; none is an empty one.
    pub rename: Result<Rename, Vec<RenameError>>,
    /// `spec.schemaVersion`; Icarus takes an empty text for none.
    pub schema_version: Option<Result<SchemaVersion, SchemaVersionError>>,
    /// `spec.cassandraDirectory`; CassKop takes an empty text for none.
    pub directory: Option<Result<CassandraDirectory, CassandraDirectoryError>>,
}

impl Restore {
    /// A restore of this spec.
    #[must_use]
    pub fn new(meta: Metadata, spec: CassandraRestoreSpec) -> Self {
        Self {
            entities: Entities::parse(spec.entities.as_deref().unwrap_or_default()),
            rename: spec
                .rename
                .as_ref()
                .map_or_else(|| Ok(Rename::default()), Rename::parse),
            schema_version: written(spec.schema_version.as_deref()).map(SchemaVersion::parse),
            directory: written(spec.cassandra_directory.as_deref()).map(CassandraDirectory::parse),
            meta,
            spec,
        }
    }

    /// What it covers in the end: its own entities, or where it names none those of its backup (CassKop's
    /// `PerformRestore`). `None` where they cannot be read or the backup is not known.
    #[must_use]
    pub fn effective_entities(&self, backup: Option<&StoredBackup>) -> Option<Entities> {
        match self.entities.as_ref().ok()? {
            Entities::Everything => {
                Entities::parse(backup?.spec.entities.as_deref().unwrap_or_default()).ok()
            }
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
    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Backup(_) => Kind::Backup,
            Self::Restore(_) => Kind::Restore,
        }
    }

    /// Who it is.
    #[must_use]
    pub fn meta(&self) -> &Metadata {
        match self {
            Self::Backup(backup) => &backup.meta,
            Self::Restore(restore) => &restore.meta,
        }
    }

    /// The word for it in a sentence.
    #[must_use]
    pub fn noun(&self) -> &'static str {
        match self {
            Self::Backup(_) => "backup",
            Self::Restore(_) => "restore",
        }
    }

    /// The cluster that it names.
    #[must_use]
    pub fn cluster(&self) -> &str {
        match self {
            Self::Backup(backup) => &backup.spec.cassandra_cluster,
            Self::Restore(restore) => &restore.spec.cassandra_cluster,
        }
    }

    /// The datacenter that it names; an empty one is none, as CassKop sends it.
    #[must_use]
    pub fn datacenter(&self) -> Option<&str> {
        written(match self {
            Self::Backup(backup) => backup.spec.datacenter.as_deref(),
            Self::Restore(restore) => restore.spec.datacenter.as_deref(),
        })
    }

    /// The backup that a restore names.
    #[must_use]
    pub fn backup(&self) -> Option<&str> {
        match self {
            Self::Backup(_) => None,
            Self::Restore(restore) => Some(&restore.spec.cassandra_backup),
        }
    }

    /// The Secret that it uses: its own, or for a restore that names none the one of its backup.
    #[must_use]
    pub fn secret<'a>(&'a self, backup: Option<&'a StoredBackup>) -> Option<&'a str> {
        match self {
            Self::Backup(own) => written(own.spec.secret.as_deref()),
            Self::Restore(own) => written(own.spec.secret.as_deref())
                .or_else(|| written(backup.and_then(|backup| backup.spec.secret.as_deref()))),
        }
    }

    /// The storage backend; for a restore the one of its backup. `None` when the location does not say.
    #[must_use]
    pub fn provider(&self, backup: Option<&StoredBackup>) -> Option<Provider> {
        match self {
            Self::Backup(own) => own.location.as_ref().ok().map(StorageLocation::provider),
            Self::Restore(_) => {
                let location = StorageLocation::parse(&backup?.spec.storage_location).ok()?;
                Some(location.provider())
            }
        }
    }

    /// Returns what identifies its neighbours. `backup` is the backup of a restore, if it is known.
    #[must_use]
    pub fn around<'a>(&'a self, backup: Option<&'a StoredBackup>) -> Around<'a> {
        let meta = self.meta();
        let (restore, name, spec) = match self {
            Self::Backup(own) => (false, &meta.name, Some(&own.spec)),
            Self::Restore(own) => (
                true,
                &own.spec.cassandra_backup,
                backup.map(|backup| &backup.spec),
            ),
        };
        Around {
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

/// A text that has something in it.
pub(super) fn written(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}
