//! What the rules know of the world: plain data, and the trait by which it is asked for.

use std::pin::Pin;

use crate::api::{CassandraBackup, CassandraBackupSpec, CassandraCluster};
use crate::domain::credentials::Credentials;
use crate::domain::sidecar::Sidecar;

/// What is known of an object that another one names.
///
/// `Absent` is a claim: somebody looked at the API server and it was not there. A cache that does not have it says
/// nothing. `Unknown` never refuses anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference<T> {
    /// It is there.
    Found(T),
    /// It is not there.
    Absent,
    /// Nobody could say, for this reason.
    Unknown(String),
}

impl<T> Reference<T> {
    /// The object, where it is there.
    #[must_use]
    pub fn found(&self) -> Option<&T> {
        match self {
            Self::Found(object) => Some(object),
            Self::Absent | Self::Unknown(_) => None,
        }
    }
}

/// The part of a `CassandraCluster` that rules look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// The names of its datacenters, in the order of its topology; an empty topology is `dc1`.
    pub datacenters: Vec<String>,
    /// Whether its pods have the sidecar.
    pub sidecar_enabled: bool,
    /// Which sidecar.
    pub sidecar: Sidecar,
}

impl From<&CassandraCluster> for Cluster {
    fn from(cluster: &CassandraCluster) -> Self {
        Self {
            datacenters: cluster.datacenters().into_iter().map(ToOwned::to_owned).collect(),
            sidecar_enabled: cluster.sidecar_enabled(),
            sidecar: cluster
                .running_sidecar_image()
                .map_or(Sidecar::Unknown, Sidecar::from_image),
        }
    }
}

/// The part of a stored `CassandraBackup` that rules look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredBackup {
    /// Its name.
    pub name: String,
    /// Its spec.
    pub spec: CassandraBackupSpec,
}

impl From<&CassandraBackup> for StoredBackup {
    fn from(backup: &CassandraBackup) -> Self {
        Self {
            name: backup.metadata.name.clone().unwrap_or_default(),
            spec: backup.spec.clone(),
        }
    }
}

/// What is known about everything that one object names. `None`: the object names none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// `spec.cassandraCluster`.
    pub cluster: Option<Reference<Cluster>>,
    /// `spec.cassandraBackup`.
    pub backup: Option<Reference<StoredBackup>>,
    /// `spec.secret`, or the one that a restore inherits from its backup.
    pub secret: Option<Reference<Credentials>>,
}

impl Facts {
    /// The cluster, where it is there.
    #[must_use]
    pub fn found_cluster(&self) -> Option<&Cluster> {
        self.cluster.as_ref()?.found()
    }

    /// The backup, where it is there.
    #[must_use]
    pub fn found_backup(&self) -> Option<&StoredBackup> {
        self.backup.as_ref()?.found()
    }
}

/// How fresh an answer has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// What was seen lately will do. `Absent` still needs a look at the API server.
    Cached,
    /// Only what the API server says now: a refusal rests on it.
    Live,
}

/// An answer that is on its way.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = Reference<T>> + Send + 'a>>;

/// Whoever can say what a namespace holds: the Kubernetes cluster, or a tree of manifests.
///
/// Names are names that Kubernetes takes; see [`is_object_name`](crate::domain::object_name::is_object_name).
/// An answer never fails: what cannot be found out is [`Reference::Unknown`].
pub trait FactSource: Send + Sync {
    /// The `CassandraCluster` of this name.
    fn cluster<'a>(&'a self, namespace: &'a str, name: &'a str, freshness: Freshness)
    -> Pending<'a, Cluster>;

    /// The `CassandraBackup` of this name.
    fn backup<'a>(
        &'a self,
        namespace: &'a str,
        name: &'a str,
        freshness: Freshness,
    ) -> Pending<'a, StoredBackup>;

    /// The keys of the Secret of this name.
    fn secret<'a>(
        &'a self,
        namespace: &'a str,
        name: &'a str,
        freshness: Freshness,
    ) -> Pending<'a, Credentials>;
}
