//! The caches of the API server, and the facts that admission and reconciler take from them.

use std::sync::Arc;

use kube::Client;
use tokio::sync::watch;

use crate::api::Kind;
use crate::kubernetes::{self, CacheState, ClusterFacts, StatusSubresources};
use crate::server::readiness::Readiness;
use crate::telemetry::metrics::Metrics;

use super::background::Background;

/// The current state of the Kubernetes cluster.
pub(super) struct ClusterState {
    /// The facts for the rules.
    pub(super) facts: Arc<ClusterFacts>,
    subresources: watch::Receiver<StatusSubresources>,
}

impl ClusterState {
    /// Returns a function that returns true if the CRD of a kind has a status subresource, and `None` while that is unknown.
    pub(super) fn status_is_subresource(&self) -> Box<dyn Fn(Kind) -> Option<bool> + Send + Sync> {
        let subresources = self.subresources.clone();
        Box::new(move |kind| match kind {
            Kind::Restore => subresources.borrow().restores,
            Kind::Backup => subresources.borrow().backups,
        })
    }
}

/// Starts the caches and the discovery of status subresources. Each cache has a readiness gate, and a note about the
/// objects that cannot be decoded.
pub(super) fn watch_cluster(
    client: Client,
    metrics: &Metrics,
    readiness: &Readiness,
    background: &mut Background,
) -> ClusterState {
    let (facts, caches) = kubernetes::cached_facts(&client, metrics);
    for cache in caches {
        let gate = readiness.gate(cache.name, "not listed yet");
        background.spawn("gate of a cache", gate.follow(cache.state, CacheState::unready));
        let note = readiness.note(cache.undecodable_note, cache.undecodable.borrow().to_string());
        background.spawn("note of undecodable objects", note.follow(cache.undecodable));
        background.spawn(cache.name, cache.run);
    }
    let facts = Arc::new(facts);
    let (discovered, subresources) = watch::channel(StatusSubresources::default());
    background.spawn(
        "discovery",
        kubernetes::follow_status_subresources(client, discovered),
    );
    ClusterState { facts, subresources }
}
