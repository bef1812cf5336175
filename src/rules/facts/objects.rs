//! Stored objects, as far as rules look at them.

use std::cmp::Reverse;
use std::sync::Arc;

use jiff::Timestamp;

use crate::api::{
    BackRestStatus, CassandraBackup, CassandraBackupSpec, CassandraCluster, CassandraRestore, ConditionType,
    LAST_RESTORE_ANNOTATION,
};
use crate::domain::image::Version;
use crate::domain::sidecar::Sidecar;
use crate::rules::policy::MissingReferences;

/// The part of a `CassandraCluster` that rules look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// The names of its datacenters, in the order of its topology; an empty topology is `dc1`.
    pub datacenters: Arc<[String]>,
    /// Whether its pods have the sidecar.
    pub sidecar_enabled: bool,
    /// Which sidecar.
    pub sidecar: Sidecar,
    /// Which Cassandra, where its image tells.
    pub cassandra: Option<Version>,
    /// The directories that the sidecar has mounted beside Cassandra's own.
    pub mounts: Vec<String>,
    /// Whether it is being deleted.
    pub terminating: bool,
    /// Why it is not ready, in a few words; `None` also where CassKop says nothing.
    pub unready: Option<String>,
}

impl From<&CassandraCluster> for Cluster {
    fn from(cluster: &CassandraCluster) -> Self {
        let image = cluster.spec.cassandra_image.as_deref();
        Self {
            datacenters: cluster.datacenters().into_iter().map(ToOwned::to_owned).collect(),
            sidecar_enabled: cluster.sidecar_enabled(),
            sidecar: cluster
                .running_sidecar_image()
                .map_or(Sidecar::Unknown, Sidecar::from_image),
            cassandra: image.and_then(|image| Version::of_image(image, "cassandra")),
            mounts: cluster.sidecar_mount_paths().map(ToOwned::to_owned).collect(),
            terminating: cluster.metadata.deletion_timestamp.is_some(),
            unready: unready(cluster),
        }
    }
}

/// CassKop's words: a phase that is not Running, or an action that goes on.
fn unready(cluster: &CassandraCluster) -> Option<String> {
    let status = &cluster.status;
    if let Some(phase) = status
        .phase
        .as_deref()
        .filter(|phase| !matches!(*phase, "" | "Running"))
    {
        return Some(format!("its phase is {phase}"));
    }
    let under_way = |state: &&str| {
        matches!(
            *state,
            "Ongoing" | "ToDo" | "Finalizing" | "Continue" | "Configuring"
        )
    };
    status
        .last_cluster_action_status
        .as_deref()
        .filter(under_way)
        .map(|state| {
            let action = status.last_cluster_action.as_deref().unwrap_or("an action");
            format!("{action} is {state}")
        })
}

/// What an object's status says of its last run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Run {
    /// Nobody said: a manifest without a status.
    #[default]
    Unsaid,
    /// It has never run.
    Never,
    /// The word of `status.condition.type`.
    State(Box<str>),
}

impl Run {
    fn of(status: Option<&BackRestStatus>) -> Self {
        let condition = status.and_then(|status| status.condition.as_ref());
        condition
            .filter(|condition| !condition.type_.is_empty())
            .map_or(Self::Never, |condition| {
                Self::State(condition.type_.as_str().into())
            })
    }

    /// The state; `None` where it has never run or nobody said.
    #[must_use]
    pub fn state(&self) -> Option<ConditionType<'_>> {
        match self {
            Self::State(word) => Some(ConditionType::parse(word)),
            Self::Unsaid | Self::Never => None,
        }
    }

    /// Whether it is under way, `REQUIRED` to `RUNNING`.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.state().is_some_and(ConditionType::is_active)
    }

    /// Whether it is not over: under way, or stored and not begun. What nobody said is not known to be.
    #[must_use]
    pub fn is_unfinished(&self) -> bool {
        *self == Self::Never || self.is_active()
    }
}

/// A run of a backup that is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastSnapshot {
    /// Its full name.
    pub name: Box<str>,
    /// Whether it ended well.
    pub good: bool,
}

/// The part of a stored `CassandraBackup` that rules look at.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StoredBackup {
    /// Its name.
    pub name: String,
    /// Its spec.
    pub spec: CassandraBackupSpec,
    /// How its last run stands.
    pub run: Run,
    /// The runs that are over, the newest first; only our executor writes them.
    pub history: Vec<PastSnapshot>,
    /// The restore that used it last, as our executor notes it.
    pub last_restore: Option<String>,
}

impl From<&CassandraBackup> for StoredBackup {
    fn from(backup: &CassandraBackup) -> Self {
        let history = backup.status.iter().flat_map(|status| &status.history);
        Self {
            name: backup.metadata.name.clone().unwrap_or_default(),
            spec: backup.spec.clone(),
            run: Run::of(backup.status.as_ref().map(|status| &status.common)),
            history: history
                .map(|run| PastSnapshot {
                    name: run.snapshot.as_str().into(),
                    good: ConditionType::parse(&run.outcome) == ConditionType::Completed,
                })
                .collect(),
            last_restore: backup
                .metadata
                .annotations
                .as_ref()
                .and_then(|annotations| annotations.get(LAST_RESTORE_ANNOTATION))
                .cloned(),
        }
    }
}

/// The part of a stored `CassandraRestore` that rules look at.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StoredRestore {
    /// Its name.
    pub name: String,
    /// The cluster that it fills.
    pub cluster: String,
    /// The backup that it takes.
    pub backup: String,
    /// How it stands.
    pub run: Run,
    /// When it was created.
    pub created: Option<Timestamp>,
    /// When it was over, or else created: what a later restore is compared with.
    pub ended: Option<Timestamp>,
    /// Whether it has taken over all that it needs from its backup; only our executor does that.
    pub copied: bool,
}

impl From<&CassandraRestore> for StoredRestore {
    fn from(restore: &CassandraRestore) -> Self {
        let common = restore.status.as_ref().map(|status| &status.common);
        let created = restore.metadata.creation_timestamp.as_ref().map(|time| time.0);
        let completed = common.and_then(|status| status.time_completed.as_deref()?.parse().ok());
        Self {
            name: restore.metadata.name.clone().unwrap_or_default(),
            cluster: restore.spec.cassandra_cluster.clone(),
            backup: restore.spec.cassandra_backup.clone(),
            run: Run::of(common),
            created,
            ended: completed.or(created),
            copied: restore
                .status
                .as_ref()
                .is_some_and(|status| status.source.is_some()),
        }
    }
}

impl StoredRestore {
    /// Whether it has not begun. CassKop gives such a one up without a word when its operator starts again.
    #[must_use]
    pub fn waits(&self) -> bool {
        self.run == Run::Never || self.run.state() == Some(ConditionType::Required)
    }

    /// What those that are not over are sorted by: what is under way, then what was created last. So the first few of
    /// many have one that was not given up, where there is one.
    #[must_use]
    pub fn precedence(&self) -> (bool, Reverse<Timestamp>) {
        (self.waits(), Reverse(self.created.unwrap_or(Timestamp::MAX)))
    }
}

/// The part of a Namespace that rules look at.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Namespace {
    /// Whether it is being deleted, with everything in it.
    pub terminating: bool,
    /// What its label [`MISSING_REFERENCES_LABEL`](crate::api::MISSING_REFERENCES_LABEL) says.
    pub missing_references: Option<MissingReferences>,
}
