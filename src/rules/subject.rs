//! The object that is judged, with its texts parsed once.

use crate::api::{CassandraBackupSpec, CassandraRestoreSpec};
use crate::domain::entities::{Entities, EntitiesError};
use crate::domain::schedule::{Schedule, ScheduleError};
use crate::domain::storage::{Provider, StorageLocation, StorageLocationError};

use super::catalogue::Kinds;
use super::facts::StoredBackup;

/// A backup under judgement.
#[derive(Debug, Clone)]
pub struct Backup {
    /// What the user wrote.
    pub spec: CassandraBackupSpec,
    /// `spec.storageLocation`.
    pub location: Result<StorageLocation, StorageLocationError>,
    /// `spec.entities`.
    pub entities: Result<Entities, Vec<EntitiesError>>,
    /// `spec.schedule`; `None` for a one-shot. CassKop takes an empty text for none.
    pub schedule: Option<Result<Schedule, ScheduleError>>,
}

impl From<CassandraBackupSpec> for Backup {
    fn from(spec: CassandraBackupSpec) -> Self {
        Self {
            location: StorageLocation::parse(&spec.storage_location),
            entities: Entities::parse(spec.entities.as_deref().unwrap_or_default()),
            schedule: spec
                .schedule
                .as_deref()
                .filter(|text| !text.is_empty())
                .map(Schedule::parse),
            spec,
        }
    }
}

/// A restore under judgement.
#[derive(Debug, Clone)]
pub struct Restore {
    /// What the user wrote.
    pub spec: CassandraRestoreSpec,
    /// `spec.entities` as it stands: empty means what the backup names.
    pub entities: Result<Entities, Vec<EntitiesError>>,
}

impl From<CassandraRestoreSpec> for Restore {
    fn from(spec: CassandraRestoreSpec) -> Self {
        Self {
            entities: Entities::parse(spec.entities.as_deref().unwrap_or_default()),
            spec,
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
    pub fn kind(&self) -> Kinds {
        match self {
            Self::Backup(_) => Kinds::Backup,
            Self::Restore(_) => Kinds::Restore,
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
        let location = match self {
            Self::Backup(own) => own.location.clone(),
            Self::Restore(_) => StorageLocation::parse(&backup?.spec.storage_location),
        };
        location.ok().map(|location| location.provider())
    }
}

/// A text that has something in it.
fn written(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}
