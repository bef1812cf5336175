//! The kinds that are watched, and what is kept of their objects.

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

/// A kind that rules have facts about.
pub trait WatchedKind:
    Resource<DynamicType = ()> + DeserializeOwned + Clone + fmt::Debug + Send + Sync + 'static
{
    /// What the rules need of an object.
    type Fact: Clone + PartialEq + fmt::Debug + Send + Sync + 'static;

    /// The index that finds neighbours of this kind.
    type Index: NeighbourIndex<Self::Fact>;

    /// How metrics call the cache.
    const CACHE: CacheKind;

    /// How metrics call a live read.
    const READ: ReadKind;

    /// What the rules need of this object.
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

/// What a watch makes of an object while it decodes it: names and facts. The object itself, with its managed fields
/// and its status, is gone before the next one of a page is decoded.
#[derive(Debug, Clone)]
pub(super) struct Pruned<K: WatchedKind> {
    /// Namespace, name and resource version; nothing else.
    metadata: ObjectMeta,
    /// The facts, or why the object cannot be read: one that cannot must not stop the watch of all others.
    fact: Result<K::Fact, String>,
}

impl<K: WatchedKind> Pruned<K> {
    /// Namespace, name, and the facts or why there are none.
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
