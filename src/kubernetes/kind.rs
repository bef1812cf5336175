//! The watched kinds and the facts that are kept of their objects.

use std::{borrow::Cow, fmt};

use k8s_openapi::api::core::v1 as core;
use kube::{
    Resource,
    core::{DeserializeGuard, ObjectMeta},
};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};

use crate::api::{CassandraBackup, CassandraCluster, CassandraRestore, MISSING_REFERENCES_LABEL};
use crate::rules::facts::{
    BackupIndex, Cluster, Namespace, NeighbourIndex, RestoreIndex, StoredBackup, StoredRestore,
};
use crate::rules::policy::MissingReferences;
use crate::telemetry::metrics::{CacheKind, ReadKind};

/// A watched kind.
pub trait WatchedKind:
    Resource<DynamicType = ()> + DeserializeOwned + Clone + fmt::Debug + Send + Sync + 'static
{
    /// The part of an object that rules read.
    type Fact: Clone + PartialEq + fmt::Debug + Send + Sync + 'static;

    /// The index that finds neighbours of this kind.
    type Index: NeighbourIndex<Self::Fact>;

    /// The label of the cache in metrics.
    const CACHE: CacheKind;

    /// The label of a live read in metrics.
    const READ: ReadKind;

    /// Returns the part of this object that rules read.
    fn fact(&self) -> Self::Fact;
}

impl WatchedKind for CassandraCluster {
    type Fact = Cluster;
    type Index = ();

    const CACHE: CacheKind = CacheKind::Cluster;
    const READ: ReadKind = ReadKind::Cluster;

    fn fact(&self) -> Cluster {
        Cluster::from(self)
    }
}

impl WatchedKind for CassandraBackup {
    type Fact = StoredBackup;
    type Index = BackupIndex;

    const CACHE: CacheKind = CacheKind::Backup;
    const READ: ReadKind = ReadKind::Backup;

    fn fact(&self) -> StoredBackup {
        StoredBackup::from(self)
    }
}

impl WatchedKind for CassandraRestore {
    type Fact = StoredRestore;
    type Index = RestoreIndex;

    const CACHE: CacheKind = CacheKind::Restore;
    const READ: ReadKind = ReadKind::Restore;

    fn fact(&self) -> StoredRestore {
        StoredRestore::from(self)
    }
}

impl WatchedKind for core::Namespace {
    type Fact = Namespace;
    type Index = ();

    const CACHE: CacheKind = CacheKind::Namespace;
    const READ: ReadKind = ReadKind::Namespace;

    fn fact(&self) -> Namespace {
        let labels = self.metadata.labels.as_ref();
        let word = labels.and_then(|labels| labels.get(MISSING_REFERENCES_LABEL));
        Namespace {
            terminating: self.metadata.deletion_timestamp.is_some(),
            missing_references: word.and_then(|word| MissingReferences::parse(word)),
        }
    }
}

/// The name and the fact of an object, built while a watch decodes it.
///
/// The object itself, with its managed fields and its status, is dropped before the next one of a page is decoded.
#[derive(Debug, Clone)]
pub(super) struct Pruned<K: WatchedKind> {
    /// Only namespace, name and resource version.
    metadata: ObjectMeta,
    /// The fact, or the reason why the object cannot be decoded. Such an object must not stop the watch of all others.
    fact: Result<K::Fact, String>,
}

impl<K: WatchedKind> Pruned<K> {
    /// Returns the namespace, the name, and the fact or the reason why there is none.
    pub(super) fn into_parts(self) -> (String, String, Result<K::Fact, String>) {
        let ObjectMeta { namespace, name, .. } = self.metadata;
        (namespace.unwrap_or_default(), name.unwrap_or_default(), self.fact)
    }
}

impl<'de, K: WatchedKind> Deserialize<'de> for Pruned<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let object = DeserializeGuard::<K>::deserialize(deserializer)?;
        let meta = object.meta();
        let metadata = ObjectMeta {
            namespace: meta.namespace.clone(),
            name: meta.name.clone(),
            resource_version: meta.resource_version.clone(),
            ..ObjectMeta::default()
        };
        let fact = object
            .0
            .map(|object| object.fact())
            .map_err(|invalid| invalid.error);
        Ok(Self { metadata, fact })
    }
}

impl<K: WatchedKind> Resource for Pruned<K> {
    type DynamicType = ();
    type Scope = K::Scope;

    fn kind((): &()) -> Cow<'_, str> {
        K::kind(&())
    }

    fn group((): &()) -> Cow<'_, str> {
        K::group(&())
    }

    fn version((): &()) -> Cow<'_, str> {
        K::version(&())
    }

    fn plural((): &()) -> Cow<'_, str> {
        K::plural(&())
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}
