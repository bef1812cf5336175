//! A tree of manifests over the API server, for `check --live`.

use crate::domain::credentials::Credentials;
use crate::rules::facts::{
    Caller, Cluster, FactSource, Freshness, LabelsWithoutPod, Namespace, NeighbourQuery, Neighbours, Pending,
    PodQuery, Reference, Run, StoredBackup, StoredRestore,
};

use super::tree::Tree;

/// A source of facts that answers from the manifests, and from the API server for objects that no manifest describes.
#[derive(Clone, Copy)]
pub(super) struct Layered<'a> {
    pub(super) tree: &'a Tree,
    pub(super) live: &'a dyn FactSource,
}

impl FactSource for Layered<'_> {
    fn cluster<'a>(
        &'a self,
        namespace: &'a str,
        name: &'a str,
        freshness: Freshness,
    ) -> Pending<'a, Cluster> {
        self.tree
            .find_cluster(namespace, name)
            .map_or_else(|| self.live.cluster(namespace, name, freshness), Pending::known)
    }

    /// Returns the backup of the manifests. If its manifest has no status, its runs are those of the stored backup.
    fn backup<'a>(
        &'a self,
        namespace: &'a str,
        name: &'a str,
        freshness: Freshness,
    ) -> Pending<'a, StoredBackup> {
        match self.tree.find_backup(namespace, name) {
            Some(Reference::Found(mut own)) if own.run == Run::Unknown => Pending::asked(async move {
                if let Reference::Found(stored) = self.live.backup(namespace, name, freshness).await {
                    own.run = stored.run;
                    own.history = stored.history;
                    own.last_run = stored.last_run;
                    own.last_restore = own.last_restore.or(stored.last_restore);
                    own.past_restores = stored.past_restores;
                }
                Reference::Found(own)
            }),
            Some(known) => Pending::known(known),
            None => self.live.backup(namespace, name, freshness),
        }
    }

    fn secret<'a>(
        &'a self,
        namespace: &'a str,
        name: &'a str,
        freshness: Freshness,
    ) -> Pending<'a, Credentials> {
        self.tree
            .find_secret(namespace, name)
            .map_or_else(|| self.live.secret(namespace, name, freshness), Pending::known)
    }

    fn namespace<'a>(&'a self, name: &'a str, freshness: Freshness) -> Pending<'a, Namespace> {
        self.tree
            .find_namespace(name)
            .map_or_else(|| self.live.namespace(name, freshness), Pending::known)
    }

    fn restore<'a>(&'a self, namespace: &'a str, name: &'a str) -> Pending<'a, StoredRestore> {
        match self.tree.find_restore(namespace, name) {
            Some(Reference::Found(own)) if own.run == Run::Unknown => self.live.restore(namespace, name),
            Some(known) => Pending::known(known),
            None => self.live.restore(namespace, name),
        }
    }

    /// Returns the neighbours in the Kubernetes cluster and the backups of the manifests.
    ///
    /// A manifest says what its backup will be, so it takes the place of the stored backup of the same name. What is
    /// running is known by the API server only.
    fn neighbours(&self, query: NeighbourQuery<'_>) -> Neighbours {
        let mut own = self.tree.neighbours(query);
        let mut stored = self.live.neighbours(query);
        stored
            .overlapping_backups
            .retain(|other| !self.tree.has_backup(query.namespace, &other.name));
        stored.overlapping_backups.append(&mut own.overlapping_backups);
        stored
    }

    fn labels_without_pod<'a>(&'a self, query: PodQuery<'a>) -> Pending<'a, LabelsWithoutPod> {
        self.live.labels_without_pod(query)
    }

    fn may_read_secret<'a>(
        &'a self,
        caller: &'a Caller,
        namespace: &'a str,
        name: &'a str,
    ) -> Pending<'a, bool> {
        self.live.may_read_secret(caller, namespace, name)
    }
}
