//! The parts of stored objects that rules read.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::past_runs::{self, PastSnapshot};
use crate::api::{
    BackRestStatus, CassandraBackup, CassandraBackupSpec, CassandraCluster, CassandraRestore, ConditionType,
    LAST_RESTORE_ANNOTATION, PastRestores, RESTORES_ANNOTATION, RunNode,
};
use crate::domain::image::Version;
use crate::domain::sidecar::Sidecar;
use crate::rules::policy::MissingReferences;

/// The part of a `CassandraCluster` that rules read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// The names of its datacenters, in the order of its topology; an empty topology is `dc1`.
    pub datacenters: Arc<[String]>,
    /// True if its pods have the sidecar.
    pub sidecar_enabled: bool,
    /// The sidecar, from the tag of its image.
    pub sidecar: Sidecar,
    /// The version of Cassandra, if the tag of its image has one.
    pub cassandra: Option<Version>,
    /// The mount paths of the sidecar other than Cassandra's data.
    pub mounts: Vec<String>,
    /// True if it is being deleted.
    pub terminating: bool,
    /// The reason why it is not ready, in a few words; `None` if it is ready or CassKop reports nothing.
    pub unready: Option<String>,
    /// The Cassandra nodes as CassKop last saw them; empty if they are unknown.
    pub nodes: Arc<[ClusterNode]>,
    /// The labels of the object. CassKop copies them to the pods that it creates, and selects the pods by them.
    pub labels: Arc<BTreeMap<String, String>>,
}

/// A Cassandra node of a cluster, as CassKop last saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterNode {
    /// Its pod.
    pub pod: Box<str>,
    /// Its host id.
    pub host_id: Box<str>,
    /// Its datacenter.
    pub datacenter: Box<str>,
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
            nodes: nodes(cluster),
            labels: Arc::new(cluster.metadata.labels.clone().unwrap_or_default()),
        }
    }
}

/// Returns the nodes of `status.cassandraNodeStatus`, without those of pods that a scale-down removed: CassKop keeps their
/// entries.
fn nodes(cluster: &CassandraCluster) -> Arc<[ClusterNode]> {
    let entries = cluster.status.cassandra_node_status.iter();
    let nodes = entries.filter_map(|(pod, node)| {
        let datacenter = cluster.datacenter_of_pod(pod)?;
        (!node.host_id.is_empty()).then(|| ClusterNode {
            pod: pod.as_str().into(),
            host_id: node.host_id.as_str().into(),
            datacenter: datacenter.into(),
        })
    });
    nodes.collect()
}

/// Returns the reason why CassKop reports a cluster as not ready: a phase other than Running, or an action in progress.
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

/// The last run of an object, from its status.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Run {
    /// It is unknown: a manifest without a status.
    #[default]
    Unknown,
    /// It has never run.
    Never,
    /// The word of `status.condition.type`.
    State(Box<str>),
}

impl Run {
    fn of(status: Option<&BackRestStatus>) -> Self {
        let condition = status.and_then(|status| status.condition.as_ref());
        let word = condition.map(|condition| condition.type_.as_str());
        let resumed = status.filter(|status| status.resumed_since.is_some());
        let state = resumed.and_then(BackRestStatus::state);
        let word = state.map(ConditionType::as_str).or(word);
        word.filter(|word| !word.is_empty())
            .map_or(Self::Never, |word| Self::State(word.into()))
    }

    /// Returns the state; `None` if it has never run or the run is unknown.
    #[must_use]
    pub fn state(&self) -> Option<ConditionType<'_>> {
        match self {
            Self::State(word) => Some(ConditionType::parse(word)),
            Self::Unknown | Self::Never => None,
        }
    }

    /// Returns true if it is in progress: `REQUIRED` to `RUNNING`.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.state().is_some_and(ConditionType::is_active)
    }

    /// Returns true if it is in progress, or stored and not started. An unknown run is not unfinished.
    #[must_use]
    pub fn is_unfinished(&self) -> bool {
        *self == Self::Never || self.is_active()
    }
}

/// The part of a stored `CassandraBackup` that rules read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StoredBackup {
    /// Its name.
    pub name: String,
    /// Its spec.
    pub spec: CassandraBackupSpec,
    /// Its last run.
    pub run: Run,
    /// The finished runs, the newest first. Only cassgate as executor writes them.
    pub history: Vec<PastSnapshot>,
    /// Its last run, if it is recorded and the history does not have it.
    pub last_run: Option<PastSnapshot>,
    /// The restore that used it last. Only cassgate as executor records it.
    pub last_restore: Option<String>,
    /// The restores that have used it, as far as cassgate as executor remembers them.
    pub past_restores: PastRestores,
}

impl From<&CassandraBackup> for StoredBackup {
    fn from(backup: &CassandraBackup) -> Self {
        let annotations = backup.metadata.annotations.as_ref();
        let annotation = |key: &str| annotations?.get(key);
        Self {
            name: backup.metadata.name.clone().unwrap_or_default(),
            spec: backup.spec.clone(),
            run: Run::of(backup.status.as_ref().map(|status| &status.common)),
            history: past_runs::history(backup),
            last_run: past_runs::last_run(backup),
            last_restore: annotation(LAST_RESTORE_ANNOTATION).cloned(),
            past_restores: annotation(RESTORES_ANNOTATION)
                .map(|text| PastRestores::parse(text))
                .unwrap_or_default(),
        }
    }
}

impl StoredBackup {
    /// Returns the nodes of the run `snapshot`, or of the newest completed one; empty if they are unknown.
    ///
    /// A backup that describes a bucket names the nodes itself.
    #[must_use]
    pub fn nodes_of(&self, snapshot: Option<&str>) -> Cow<'_, [RunNode]> {
        if self.spec.describes_bucket() {
            let nodes = self.spec.nodes.iter().map(|node| RunNode {
                host_id: node.host_id.clone(),
                datacenter: Some(node.datacenter.clone()),
                pod: None,
            });
            return Cow::Owned(nodes.collect());
        }
        Cow::Borrowed(self.coverage(snapshot).nodes().unwrap_or_default())
    }
}

/// The part of a stored `CassandraRestore` that rules read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StoredRestore {
    /// Its name.
    pub name: String,
    /// The cluster into which it restores.
    pub cluster: String,
    /// The backup that it restores.
    pub backup: String,
    /// Its run.
    pub run: Run,
    /// The time of its creation.
    pub created: Option<Timestamp>,
    /// The time of its end, or of its creation if the end is unknown. A later restore is compared with it.
    pub ended: Option<Timestamp>,
    /// True if it has copied everything that it needs from its backup to its status. Only cassgate as executor does that.
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
    /// Returns true if it has not started. CassKop silently abandons such a restore when its operator restarts.
    #[must_use]
    pub fn waits(&self) -> bool {
        self.run == Run::Never || self.run.state() == Some(ConditionType::Required)
    }

    /// Returns the sort key of unfinished restores: first those in progress, then the youngest.
    ///
    /// With this order, the first few of many include one that was not abandoned, if there is one.
    #[must_use]
    pub fn precedence(&self) -> (bool, Reverse<Timestamp>) {
        (self.waits(), Reverse(self.created.unwrap_or(Timestamp::MAX)))
    }
}

/// The part of a Namespace that rules read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Namespace {
    /// True if it is being deleted, with everything in it.
    pub terminating: bool,
    /// The value of its label [`MISSING_REFERENCES_LABEL`](crate::api::MISSING_REFERENCES_LABEL).
    pub missing_references: Option<MissingReferences>,
}
