//! The facts that rules read, as plain data, and the trait of their sources.

mod index;
mod neighbours;
mod objects;
mod past_runs;
mod pods;

use std::future::{Ready, ready};
use std::pin::Pin;
use std::task::{self, Poll};

use crate::domain::credentials::Credentials;

pub use index::{BackupIndex, NeighbourIndex, RestoreIndex};
pub use neighbours::{MAX_NEIGHBOURS, NeighbourQuery, NeighbourRef, Neighbours};
pub use objects::{Cluster, ClusterNode, Namespace, Run, StoredBackup, StoredRestore};
pub use past_runs::{Coverage, PastSnapshot, RecordedRun};
pub use pods::{LabelsWithoutPod, PodQuery};

/// The referenced object, as far as it is known.
///
/// `Absent` is returned only after a live read: an object that is missing in a cache may exist. `Unknown` never causes a
/// denial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference<T> {
    /// The object exists.
    Found(T),
    /// The object does not exist.
    Absent,
    /// It is unknown whether the object exists, for this reason.
    Unknown(String),
}

impl<T> Reference<T> {
    /// Returns the object if it exists.
    #[must_use]
    pub fn found(&self) -> Option<&T> {
        match self {
            Self::Found(object) => Some(object),
            Self::Absent | Self::Unknown(_) => None,
        }
    }
}

/// The facts about the references and the neighbours of one object.
///
/// A reference is `None` if the object names none or if it was not looked up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// `spec.cassandraCluster`.
    pub cluster: Option<Reference<Cluster>>,
    /// `spec.cassandraBackup`.
    pub backup: Option<Reference<StoredBackup>>,
    /// `spec.secret`, or the one that a restore inherits from its backup.
    pub secret: Option<Reference<Credentials>>,
    /// The labels of the cluster that its pods lack, so that CassKop finds no pod. Looked up with CassKop as executor only.
    pub labels_without_pod: Option<Reference<LabelsWithoutPod>>,
    /// The namespace of the object.
    pub namespace: Option<Reference<Namespace>>,
    /// Other backups and restores that it can conflict with.
    pub neighbours: Neighbours,
}

impl Facts {
    /// Returns the cluster if it exists.
    #[must_use]
    pub fn found_cluster(&self) -> Option<&Cluster> {
        self.cluster.as_ref()?.found()
    }

    /// Returns the backup if it exists.
    #[must_use]
    pub fn found_backup(&self) -> Option<&StoredBackup> {
        self.backup.as_ref()?.found()
    }

    /// Returns the namespace if it could be read.
    #[must_use]
    pub fn found_namespace(&self) -> Option<&Namespace> {
        self.namespace.as_ref()?.found()
    }
}

/// The required freshness of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// A cached answer is enough. `Absent` still needs a live read.
    Cached,
    /// Only a live read, because a denial rests on it.
    Live,
}

/// The user of a request, from the API server's `userInfo`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Caller {
    /// The user's name; empty if the API server names none.
    pub username: String,
    /// The user's id.
    pub uid: String,
    /// The user's groups.
    pub groups: Vec<String>,
    /// Extra attributes from the authenticator.
    pub extra: std::collections::BTreeMap<String, Vec<String>>,
}

/// An answer that is known or still has to be awaited.
///
/// Most answers come from a cache. Taking them with [`at_once`](Self::at_once) needs no task, no timer and no allocation.
#[must_use = "an answer is read only if it is awaited"]
pub enum Pending<'a, T> {
    /// The answer is known.
    Known(Ready<Reference<T>>),
    /// The answer has to be awaited.
    Asked(Pin<Box<dyn Future<Output = Reference<T>> + Send + 'a>>),
}

impl<'a, T> Pending<'a, T> {
    /// Returns an answer that is known.
    pub fn known(answer: Reference<T>) -> Self {
        Self::Known(ready(answer))
    }

    /// Returns the answer of a future.
    pub fn asked(answer: impl Future<Output = Reference<T>> + Send + 'a) -> Self {
        Self::Asked(Box::pin(answer))
    }

    /// Returns the answer if it is known.
    ///
    /// # Errors
    /// Returns `self` if the answer has to be awaited.
    pub fn at_once(self) -> Result<Reference<T>, Self> {
        match self {
            Self::Known(answer) => Ok(answer.into_inner()),
            Self::Asked(_) => Err(self),
        }
    }
}

impl<T> Future for Pending<'_, T> {
    type Output = Reference<T>;

    fn poll(self: Pin<&mut Self>, context: &mut task::Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            Self::Known(answer) => Pin::new(answer).poll(context),
            Self::Asked(answer) => answer.as_mut().poll(context),
        }
    }
}

/// A source of facts.
///
/// The caches of the API server, a tree of manifests, and a tree layered over the API server implement it.
///
/// # Assumptions
/// Names are valid object names; see [`is_object_name`](crate::domain::object_name::is_object_name).
///
/// # Guarantees
/// An answer never fails: an object that cannot be read is [`Reference::Unknown`].
pub trait FactSource: Send + Sync {
    /// Returns the `CassandraCluster` of this name.
    fn cluster<'a>(&'a self, namespace: &'a str, name: &'a str, freshness: Freshness)
    -> Pending<'a, Cluster>;

    /// Returns the `CassandraBackup` of this name.
    fn backup<'a>(
        &'a self,
        namespace: &'a str,
        name: &'a str,
        freshness: Freshness,
    ) -> Pending<'a, StoredBackup>;

    /// Returns the keys of the Secret of this name.
    fn secret<'a>(
        &'a self,
        namespace: &'a str,
        name: &'a str,
        freshness: Freshness,
    ) -> Pending<'a, Credentials>;

    /// Returns the labels by which CassKop finds no pod, as `KEY=VALUE`; an empty list if it finds one, or if the cluster has no pods.
    ///
    /// A source that knows no pods returns [`Reference::Unknown`].
    fn labels_without_pod<'a>(&'a self, query: PodQuery<'a>) -> Pending<'a, LabelsWithoutPod> {
        let PodQuery { cluster, .. } = query;
        Pending::known(Reference::Unknown(format!("the pods of {cluster} are not known")))
    }

    /// Returns the namespace of this name.
    fn namespace<'a>(&'a self, name: &'a str, freshness: Freshness) -> Pending<'a, Namespace>;

    /// Returns the `CassandraRestore` of this name, read live.
    fn restore<'a>(&'a self, namespace: &'a str, name: &'a str) -> Pending<'a, StoredRestore>;

    /// Returns the neighbours of an object from caches. Before a denial, the caller reads the neighbour live.
    fn neighbours(&self, query: NeighbourQuery<'_>) -> Neighbours;

    /// Returns `Found(true)` if this user may read the Secret of this name.
    fn may_read_secret<'a>(
        &'a self,
        caller: &'a Caller,
        namespace: &'a str,
        name: &'a str,
    ) -> Pending<'a, bool>;

    /// Returns true if reads of this namespace wait only because cassgate limits its own reads.
    fn has_no_turn(&self, _namespace: &str) -> bool {
        false
    }
}

/// The reason of an unknown reference that was not read because cassgate limits its own reads.
pub const NO_TURN: &str = "cassgate limits its own reads, and this one had no turn";
