//! What the rules know of the world: plain data, and the trait by which it is asked for.

mod index;
mod neighbours;
mod objects;

use std::future::{Ready, ready};
use std::pin::Pin;
use std::task::{self, Poll};

use crate::domain::credentials::Credentials;

pub use index::{BackupIndex, NeighbourIndex, RestoreIndex};
pub use neighbours::{Alike, Around, MAX_NEIGHBOURS, NeighbourRef, Neighbours};
pub use objects::{Cluster, Namespace, PastSnapshot, Run, StoredBackup, StoredRestore};

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

/// What is known about everything that one object names or meets. `None`: nobody asked, or the object names none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// `spec.cassandraCluster`.
    pub cluster: Option<Reference<Cluster>>,
    /// `spec.cassandraBackup`.
    pub backup: Option<Reference<StoredBackup>>,
    /// `spec.secret`, or the one that a restore inherits from its backup.
    pub secret: Option<Reference<Credentials>>,
    /// The namespace of the object.
    pub namespace: Option<Reference<Namespace>>,
    /// Other backups and restores that it may get in the way of.
    pub neighbours: Neighbours,
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

    /// The namespace, where it could be read.
    #[must_use]
    pub fn found_namespace(&self) -> Option<&Namespace> {
        self.namespace.as_ref()?.found()
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

/// Who asks, as the API server says it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Caller {
    /// The user's name; empty where the API server did not say.
    pub username: String,
    /// The user's id.
    pub uid: String,
    /// The user's groups.
    pub groups: Vec<String>,
    /// What the authenticator adds.
    pub extra: std::collections::BTreeMap<String, Vec<String>>,
}

/// An answer that is there, or on its way.
///
/// Most answers come out of a cache. Who takes them [at once](Self::at_once) needs no task, no timer and no box.
#[must_use = "an answer that nobody waits for never comes"]
pub enum Pending<'a, T> {
    /// Nobody has to be waited for.
    Known(Ready<Reference<T>>),
    /// Somebody was asked.
    Asked(Pin<Box<dyn Future<Output = Reference<T>> + Send + 'a>>),
}

impl<'a, T> Pending<'a, T> {
    /// What is known already.
    pub fn known(answer: Reference<T>) -> Self {
        Self::Known(ready(answer))
    }

    /// What will be known when this has ended.
    pub fn asked(answer: impl Future<Output = Reference<T>> + Send + 'a) -> Self {
        Self::Asked(Box::pin(answer))
    }

    /// The answer where it is there.
    ///
    /// # Errors
    /// Itself, when somebody has to be waited for.
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

    /// The namespace of this name.
    fn namespace<'a>(&'a self, name: &'a str, freshness: Freshness) -> Pending<'a, Namespace>;

    /// The `CassandraRestore` of this name, as it is now.
    fn restore<'a>(&'a self, namespace: &'a str, name: &'a str) -> Pending<'a, StoredRestore>;

    /// What was seen around an object lately. Whoever refuses because of a neighbour reads it first.
    fn neighbours(&self, around: Around<'_>) -> Neighbours;

    /// Whether this user may read the Secret of this name.
    fn may_read_secret<'a>(
        &'a self,
        caller: &'a Caller,
        namespace: &'a str,
        name: &'a str,
    ) -> Pending<'a, bool>;
}
