//! The facts that rules ask for.

use std::{fmt, sync::Arc};

use kube::Client;
use tokio::time::Instant;

use k8s_openapi::api::core::v1 as core;

use crate::api::{CassandraBackup, CassandraCluster, CassandraRestore};
use crate::domain::credentials::Credentials;
use crate::rules::facts::{
    Around, Caller, Cluster, FactSource, Freshness, Namespace, Neighbours, Pending, Reference, StoredBackup,
    StoredRestore,
};
use crate::telemetry::metrics::Metrics;

use super::cache::Cached;
use super::flights::Flights;
use super::kind::WatchedKind;
use super::live::LiveReads;
use super::recent::RecentSecrets;

/// What a Kubernetes cluster knows.
///
/// | asked for | [`Freshness::Cached`] | [`Freshness::Live`] |
/// |---|---|---|
/// | a cluster, a backup, a namespace | the cache's, when it has it; else a read | a read |
/// | a Secret | what was found within the last five seconds; else a read | a read |
///
/// Guarantees:
/// - `Absent` is never concluded from a cache: the API server was asked and said so.
/// - The read behind a `Live` answer began after the question. Reads for `Cached` questions about the same object are
///   shared.
/// - A read ends within five seconds; what it does not learn by then is `Unknown`.
/// - The value of a Secret is neither kept nor told. What is kept is which keys it has and what is wrong with them.
///
/// A cached or remembered answer can be wrong by now. It never refuses anything wrongly: admission asks again, live,
/// before it refuses. It may let something pass that has been wrong for a moment. Neighbours are what the caches have,
/// nothing while they are not to be trusted.
pub struct ClusterFacts {
    clusters: Watched<CassandraCluster>,
    backups: Watched<CassandraBackup>,
    restores: Cached<CassandraRestore>,
    namespaces: Watched<core::Namespace>,
    secrets: Flights<Credentials>,
    recent: Arc<RecentSecrets>,
    live: LiveReads,
}

/// A kind with a cache.
struct Watched<K: WatchedKind> {
    cached: Cached<K>,
    flights: Flights<K::Fact>,
}

/// The reading ends of all caches.
pub struct Readers {
    /// Of clusters.
    pub clusters: Cached<CassandraCluster>,
    /// Of backups.
    pub backups: Cached<CassandraBackup>,
    /// Of restores.
    pub restores: Cached<CassandraRestore>,
    /// Of namespaces.
    pub namespaces: Cached<core::Namespace>,
}

impl ClusterFacts {
    /// Facts out of these caches, and by reads of this client.
    #[must_use]
    pub fn new(client: Client, readers: Readers, metrics: Metrics) -> Self {
        Self {
            clusters: Watched::new(readers.clusters),
            backups: Watched::new(readers.backups),
            restores: readers.restores,
            namespaces: Watched::new(readers.namespaces),
            secrets: Flights::new(),
            recent: Arc::default(),
            live: LiveReads::new(client, metrics),
        }
    }

    /// Reads the Secret and remembers what was found.
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
            recent.note(&namespace, &name, &found, begun);
            found
        }
    }
}

impl<K: WatchedKind> Watched<K> {
    fn new(cached: Cached<K>) -> Self {
        Self {
            cached,
            flights: Flights::new(),
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
        Pending::asked(self.flights.join(namespace, name, || {
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
        if let Some(credentials) = self.recent.recall(namespace, name, Instant::now()) {
            return Pending::known(Reference::Found(credentials));
        }
        let read = || self.read_secret(namespace, name);
        Pending::asked(self.secrets.join(namespace, name, read))
    }

    fn namespace<'a>(&'a self, name: &'a str, freshness: Freshness) -> Pending<'a, Namespace> {
        self.namespaces.find(&self.live, "", name, freshness)
    }

    fn restore<'a>(&'a self, namespace: &'a str, name: &'a str) -> Pending<'a, StoredRestore> {
        Pending::asked(self.live.object::<CassandraRestore>(namespace, name))
    }

    fn neighbours(&self, around: Around<'_>) -> Neighbours {
        let now = Instant::now();
        let mut found = Neighbours::default();
        self.backups
            .cached
            .ask(now, |backups| backups.find(&around, &mut found));
        self.restores
            .ask(now, |restores| restores.find(&around, &mut found));
        found
    }

    fn may_read_secret<'a>(
        &'a self,
        caller: &'a Caller,
        namespace: &'a str,
        name: &'a str,
    ) -> Pending<'a, bool> {
        Pending::asked(self.live.may_read_secret(caller, namespace, name))
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
