//! Clusters in many namespaces, as rings in this process and as API objects. They are created through the API: one
//! kubectl call takes as long as fifty requests.

use futures::{StreamExt, stream};
use http::{Method, Request};
use serde_json::{Value, json};

use super::world::World;
use crate::runs::Lab;
use crate::stand_in::Ring;
use crate::support::pods;
use crate::support::servers::Servers;
use crate::support::stage::Stage;

/// Concurrent requests to the API server.
pub(super) const AT_ONCE: usize = 32;

/// Namespaces with the same number of clusters and the same names. A cluster has one node.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fleet {
    pub(super) namespaces: usize,
    /// Clusters per namespace.
    pub(super) clusters: usize,
}

impl Fleet {
    /// Returns the labs of all clusters, ordered by namespace.
    pub(super) fn labs(self, servers: &'static Servers) -> Vec<Lab> {
        let lab = |place: usize| {
            let ring = Ring::new("2.0.4", 1, &[("k1.t1", 1)]).in_network(u16::try_from(place).unwrap());
            ring.write("k1.t1", 0..10);
            let namespace = format!("team-{}", place / self.clusters);
            let stage = Stage {
                servers,
                kubectl: servers.kubectl.in_namespace(&namespace),
                namespace,
            };
            Lab::bare(ring, stage)
        };
        (0..self.namespaces * self.clusters).map(lab).collect()
    }

    /// Returns the name of the cluster of a lab.
    pub(super) fn cluster(self, lab: usize) -> String {
        format!("c{}", lab % self.clusters)
    }

    /// Creates the API objects of all clusters.
    pub(super) async fn create(self, world: &World) {
        let namespaces = world.labs.iter().step_by(self.clusters).map(|lab| {
            let namespace = json!({ "metadata": { "name": lab.stage.namespace } });
            send(world, Method::POST, "/api/v1/namespaces".to_owned(), namespace)
        });
        stream::iter(namespaces)
            .for_each_concurrent(AT_ONCE, |one| one)
            .await;
        let clusters = (0..world.labs.len()).map(|lab| self.create_cluster(world, lab));
        stream::iter(clusters)
            .for_each_concurrent(AT_ONCE, |one| one)
            .await;
    }

    async fn create_cluster(self, world: &World, lab: usize) {
        let (cluster, namespace) = (self.cluster(lab), &world.labs[lab].stage.namespace);
        let object = json!({
            "apiVersion": "db.orange.com/v2", "kind": "CassandraCluster",
            "metadata": { "name": cluster },
            "spec": {
                "nodesPerRacks": 1,
                "dataCapacity": "1Gi",
                "topology": { "dc": [{ "name": "dc1", "rack": [{ "name": "rack1" }] }] },
                "backRestSidecar": { "image": "ghcr.io/cscetbon/instaclustr-icarus:2.0.4" },
            },
        });
        let clusters = format!("/apis/db.orange.com/v2/namespaces/{namespace}/cassandraclusters");
        send(world, Method::POST, clusters, object).await;
        let pods = format!("/api/v1/namespaces/{namespace}/pods");
        send(world, Method::POST, pods.clone(), pods::pod(&cluster, 0)).await;
        let ring = &world.labs[lab].ring;
        let reported = pods::reported(ring.address(0).ip(), ring.restarts(0));
        let status = format!("{pods}/{}/status", pods::name_in(&cluster, 0));
        send(world, Method::PATCH, status, reported).await;
    }
}

/// Sends a request that the API server must accept.
async fn send(world: &World, method: Method, path: String, body: Value) {
    let kind = if method == Method::PATCH {
        "application/merge-patch+json"
    } else {
        "application/json"
    };
    let request = Request::builder()
        .method(method)
        .uri(&path)
        .header(http::header::CONTENT_TYPE, kind)
        .body(body.to_string().into_bytes())
        .unwrap();
    let answer = world.client.request::<Value>(request).await;
    answer.unwrap_or_else(|error| panic!("{path}: {error}"));
}
