//! The nodes of a history: what happens to them, and what the API server shows of it.

use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use super::event::{Presence, Silence};
use super::objects::without_sidecar;
use super::sidecars::Sidecars;
use crate::stand_in::{Ring, Torn};
use crate::support::pods;

/// The nodes and their pods.
pub(super) struct Nodes {
    pub(super) ring: Ring,
    pub(super) sidecars: Sidecars,
    pub(super) pods: Api<Pod>,
}

impl Nodes {
    pub(super) fn new(ring: Ring, sidecars: Sidecars, client: Client, namespace: &str) -> Self {
        Self {
            ring,
            sidecars,
            pods: Api::namespaced(client, namespace),
        }
    }

    /// Creates the pod of a node if it is absent, and reports its status as a kubelet does.
    pub(super) async fn report(&self, node: usize) {
        let name = pods::name_in("c1", node);
        if self.pods.get_opt(&name).await.unwrap().is_none() {
            let pod = serde_json::from_value(pods::pod("c1", node)).unwrap();
            self.pods.create(&PostParams::default(), &pod).await.unwrap();
        }
        let (sidecar, cassandra) = self.ring.restarts(node);
        let mut status = pods::reported(self.ring.address(node).ip(), (cassandra, sidecar));
        if !self.ring.is_present(node).0 {
            status = without_sidecar(status);
        }
        self.patch(&name, &status).await;
    }

    async fn patch(&self, pod: &str, status: &Value) {
        let patch = Patch::Merge(status);
        let parameters = PatchParams::default();
        self.pods.patch_status(pod, &parameters, &patch).await.unwrap();
    }

    async fn delete_pod(&self, node: usize) {
        let at_once = DeleteParams::default().grace_period(0);
        // The pod may be absent already.
        drop(self.pods.delete(&pods::name_in("c1", node), &at_once).await);
    }

    fn has_pod(presence: Presence) -> bool {
        matches!(presence, Presence::Present | Presence::OutsideRing)
    }

    /// Returns true if the containers of a node run.
    fn runs(&self, node: usize) -> bool {
        self.ring.is_present(node).0
    }

    /// Changes the presence of a node. A pod that is back is a new one.
    pub(super) async fn set_presence(&self, node: usize, presence: Presence) {
        let in_ring = matches!(presence, Presence::Present | Presence::PodGone);
        if Self::has_pod(presence) {
            if !self.runs(node) {
                self.start(node).await;
            }
        } else {
            self.stop(node, Torn::Half);
            self.delete_pod(node).await;
        }
        self.ring.set_in_ring(node, in_ring);
    }

    /// Kills the containers of a node.
    pub(super) fn stop(&self, node: usize, torn: Torn) {
        self.ring.kill_sidecar(node, torn);
        self.ring.kill_cassandra(node);
    }

    /// Starts the containers of a node.
    async fn start(&self, node: usize) {
        self.ring.start_cassandra(node);
        self.ring.start_sidecar(node);
        self.report(node).await;
    }

    /// Kills a sidecar, whose container does not run for a while.
    pub(super) async fn kill_sidecar(&self, node: usize, torn: Torn) {
        self.ring.kill_sidecar(node, torn);
        if self
            .pods
            .get_opt(&pods::name_in("c1", node))
            .await
            .unwrap()
            .is_some()
        {
            self.report(node).await;
        }
    }

    /// Starts a sidecar, unless its node has no pod.
    pub(super) async fn start_sidecar(&self, node: usize) {
        let has_pod = self
            .pods
            .get_opt(&pods::name_in("c1", node))
            .await
            .unwrap()
            .is_some();
        if has_pod && !self.runs(node) {
            self.ring.start_sidecar(node);
            self.report(node).await;
        }
    }

    /// Starts a Cassandra, unless its node has no pod.
    pub(super) async fn start_cassandra(&self, node: usize) {
        if self.runs(node) {
            self.ring.start_cassandra(node);
            self.report(node).await;
        }
    }

    /// Gives the pod of a node another address.
    pub(super) async fn move_node(&self, node: usize) {
        if self.runs(node) {
            self.stop(node, Torn::Nothing);
            self.ring.move_node(node);
            self.start(node).await;
        }
    }

    /// Deletes all pods.
    pub(super) async fn delete_all(&self) {
        for node in 0..self.ring.size() {
            self.stop(node, Torn::Half);
            self.delete_pod(node).await;
        }
    }

    /// Removes the causes of every disruption: all nodes are back, and their operations continue or have ended.
    pub(super) async fn heal(&self) {
        self.ring.fail_none();
        self.sidecars.clear_faults();
        for node in 0..self.ring.size() {
            for other in 0..self.ring.size() {
                self.ring.set_unseen(node, other, false);
            }
            self.sidecars.set_silence(node, Silence::None);
            self.ring.set_hanging(node, false);
            // A hung operation ends with its sidecar.
            self.stop(node, Torn::Nothing);
            self.ring.set_in_ring(node, true);
            self.start(node).await;
        }
    }

    /// Returns the merge patch of an annotation.
    pub(super) fn annotation(name: &str, value: &str) -> Value {
        json!({ "metadata": { "annotations": { name: value } } })
    }
}
