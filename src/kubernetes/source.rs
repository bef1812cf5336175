//! The caches and live reads of the API server as a source of facts.

use std::{fmt, sync::Arc};

use kube::Client;
use serde_json::Value;
use tokio::time::Instant;

use k8s_openapi::api::core::v1 as core;

use crate::api::{CassandraBackup, CassandraCluster, CassandraRestore, Kind};
use crate::domain::credentials::Credentials;
use crate::rules::facts::{
    Caller, Cluster, FactSource, Freshness, LabelsWithoutPod, Namespace, NeighbourQuery, Neighbours, Pending,
    PodQuery, Reference, StoredBackup, StoredRestore,
};
use crate::telemetry::metrics::Metrics;

use super::cache::Cached;
use super::kind::WatchedKind;
use super::live::LiveReads;
use super::recent_secrets::RecentSecrets;
use super::shared_reads::SharedReads;

/// Answers from caches, and from live reads of the API server.
///
/// | object | [`Freshness::Cached`] | [`Freshness::Live`] |
/// |---|---|---|
/// | a cluster, a backup, a namespace | the cached object; a read if there is none | a read |
/// | the labels of pods | a read | a read |
/// | a Secret | what was read within the last five seconds; else a read | a read |
///
/// # Guarantees
/// - `Absent` comes from a live read, never from a cache.
/// - The read behind a `Live` answer begins after the call. `Cached` calls for the same object share a read.
/// - A read takes at most five seconds; after that the answer is `Unknown`.
/// - Values of Secrets are neither kept nor returned, only key names and the defects of values.
///
/// A cached answer can be out of date. It never causes a wrong denial, because [`evaluate`](crate::evaluate) reads live
/// before a denial; it may admit an object that has been wrong for a moment. Neighbours come from the caches only, and
/// there are none while a cache is not trusted.
pub struct ClusterFacts {
    clusters: Watched<CassandraCluster>,
    backups: Watched<CassandraBackup>,
    restores: Cached<CassandraRestore>,
    namespaces: Watched<core::Namespace>,
    secret_reads: SharedReads<Credentials>,
    recent: Arc<RecentSecrets>,
    live: LiveReads,
}

/// The cache of a kind and its reads in flight.
struct Watched<K: WatchedKind> {
    cached: Cached<K>,
    reads: SharedReads<K::Fact>,
}

/// The readers of all caches.
pub struct Readers {
    /// Reads clusters.
    pub clusters: Cached<CassandraCluster>,
    /// Reads backups.
    pub backups: Cached<CassandraBackup>,
    /// Reads restores.
    pub restores: Cached<CassandraRestore>,
    /// Reads namespaces.
    pub namespaces: Cached<core::Namespace>,
}

impl ClusterFacts {
    /// Returns a source that reads these caches and makes live reads with this client.
    #[must_use]
    pub fn new(client: Client, readers: Readers, metrics: Metrics) -> Self {
        Self {
            clusters: Watched::new(readers.clusters),
            backups: Watched::new(readers.backups),
            restores: readers.restores,
            namespaces: Watched::new(readers.namespaces),
            secret_reads: SharedReads::new(),
            recent: Arc::default(),
            live: LiveReads::new(client, metrics),
        }
    }

    /// Reads a stored backup or restore whole, from the API server.
    pub async fn stored_object(&self, kind: Kind, namespace: &str, name: &str) -> Reference<Value> {
        match kind {
            Kind::Backup => self.live.whole::<CassandraBackup>(namespace, name).await,
            Kind::Restore => self.live.whole::<CassandraRestore>(namespace, name).await,
        }
    }

    /// Reads a Secret and remembers the result.
    fn read_secret(
        &self,
        namespace: &str,
        name: &str,
    ) -> impl Future<Output = Reference<Credentials>> + Send + use<> {
        let (live, recent) = (self.live.clone(), Arc::clone(&self.recent));
        let (namespace, name) = (namespace.to_owned(), name.to_owned());
        async move {
            let begun = Instant::now();
            let found = live.secret(&namespace, &name).await;
            recent.record(&namespace, &name, &found, begun);
            found
        }
    }
}

impl<K: WatchedKind> Watched<K> {
    fn new(cached: Cached<K>) -> Self {
        Self {
            cached,
            reads: SharedReads::new(),
        }
    }

    fn find<'a>(
        &'a self,
        live: &'a LiveReads,
        namespace: &'a str,
        name: &'a str,
        freshness: Freshness,
    ) -> Pending<'a, K::Fact> {
        if freshness == Freshness::Live {
            return Pending::asked(live.object::<K>(namespace, name));
        }
        if let Some(fact) = self.cached.get(namespace, name, Instant::now()) {
            return Pending::known(Reference::Found(K::Fact::clone(&fact)));
        }
        Pending::asked(self.reads.join(namespace, name, || {
            let (live, namespace, name) = (live.clone(), namespace.to_owned(), name.to_owned());
            async move { live.object::<K>(&namespace, &name).await }
        }))
    }
}

impl FactSource for ClusterFacts {
    fn cluster<'a>(
        &'a self,
        namespace: &'a str,
        name: &'a str,
        freshness: Freshness,
    ) -> Pending<'a, Cluster> {
        self.clusters.find(&self.live, namespace, name, freshness)
    }

    fn backup<'a>(
        &'a self,
        namespace: &'a str,
        name: &'a str,
        freshness: Freshness,
    ) -> Pending<'a, StoredBackup> {
        self.backups.find(&self.live, namespace, name, freshness)
    }

    fn secret<'a>(
        &'a self,
        namespace: &'a str,
        name: &'a str,
        freshness: Freshness,
    ) -> Pending<'a, Credentials> {
        if freshness == Freshness::Live {
            return Pending::asked(self.read_secret(namespace, name));
        }
        if let Some(credentials) = self.recent.get(namespace, name, Instant::now()) {
            return Pending::known(Reference::Found(credentials));
        }
        let read = || self.read_secret(namespace, name);
        Pending::asked(self.secret_reads.join(namespace, name, read))
    }

    fn namespace<'a>(&'a self, name: &'a str, freshness: Freshness) -> Pending<'a, Namespace> {
        self.namespaces.find(&self.live, "", name, freshness)
    }

    fn restore<'a>(&'a self, namespace: &'a str, name: &'a str) -> Pending<'a, StoredRestore> {
        Pending::asked(self.live.object::<CassandraRestore>(namespace, name))
    }

    fn neighbours(&self, query: NeighbourQuery<'_>) -> Neighbours {
        let now = Instant::now();
        let mut found = Neighbours::default();
        self.backups
            .cached
            .ask(now, |backups| backups.find(&query, &mut found));
        self.restores
            .ask(now, |restores| restores.find(&query, &mut found));
        found
    }

    fn labels_without_pod<'a>(&'a self, query: PodQuery<'a>) -> Pending<'a, LabelsWithoutPod> {
        Pending::asked(self.live.labels_without_pod(query))
    }

    fn may_read_secret<'a>(
        &'a self,
        caller: &'a Caller,
        namespace: &'a str,
        name: &'a str,
    ) -> Pending<'a, bool> {
        Pending::asked(self.live.may_read_secret(caller, namespace, name))
    }

    fn has_no_turn(&self, namespace: &str) -> bool {
        self.live.turns.are_short(namespace)
    }
}

impl fmt::Debug for ClusterFacts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ClusterFacts")
            .field("recent", &self.recent)
            .finish_non_exhaustive()
    }
}
