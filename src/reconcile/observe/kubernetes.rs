//! What a run needs to know of the Kubernetes cluster beside the object itself: read anew for each look.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};

use crate::api::{
    CassandraBackup, CassandraCluster, CassandraRestore, ConditionType, NodeContainers, Reason,
};
use crate::domain::sidecar::Sidecar;
use crate::evaluate::Judge;
use crate::reconcile::plan::needs::Needs;
use crate::reconcile::plan::prune::PruneInputs;
use crate::reconcile::plan::prune::retention::held;
use crate::reconcile::plan::restore::RestoreInputs;
use crate::reconcile::plan::restore::source::source;
use crate::reconcile::plan::{PodMember, Wait};
use crate::reconcile::queue::Neighbours;
use crate::reconcile::work::Work;

/// The containers of CassKop's pods.
const CASSANDRA: &str = "cassandra";
const SIDECAR: &str = "backrest-sidecar";

/// What surrounds an object.
#[derive(Default)]
pub(in crate::reconcile) struct ClusterObservation {
    pub(in crate::reconcile) members: Vec<PodMember>,
    pub(in crate::reconcile) sidecar: Sidecar,
    pub(in crate::reconcile) cluster_gone: bool,
    pub(in crate::reconcile) missing: Option<Wait>,
    pub(in crate::reconcile) wait: Option<Wait>,
    /// `None`: the rules were not asked.
    pub(in crate::reconcile) needs: Option<Needs>,
    pub(in crate::reconcile) means: RestoreInputs,
    pub(in crate::reconcile) room: PruneInputs,
    /// For what only keeps time: when it was looked at. Its nodes were not, so it must not begin by this look.
    pub(in crate::reconcile) only_at: Option<Timestamp>,
}

/// Looks around for an object that runs or would begin.
///
/// # Errors
/// The API server does not answer, or refuses: nothing may be concluded.
pub(in crate::reconcile) async fn surroundings<K: Work>(
    client: &Client,
    judge: &dyn Judge,
    neighbours: &Neighbours,
    object: &K,
    now: Timestamp,
) -> Result<ClusterObservation, kube::Error> {
    let namespace = object.namespace().unwrap_or_default();
    let mut around = if object.is_after_nodes(now) {
        ClusterObservation::of_nodes(client, &namespace, object.cluster()).await?
    } else {
        ClusterObservation {
            only_at: Some(now),
            ..ClusterObservation::default()
        }
    };
    if object.asks_for_restores(now) {
        // What is deleted for good rests on this, so it is read, not remembered.
        let restores = restores(client, &namespace).await?;
        around.means.keep_truncated =
            failed_after_truncation(&restores, object.cluster(), &object.name_any());
        around.room.in_use = restores.iter().flat_map(held).collect();
    }
    if !object.has_begun() {
        let value = serde_json::to_value(object).unwrap_or_default();
        let findings = judge.judge(K::KIND, &value).await;
        let needs = Needs::of(&findings);
        around.missing = needs.absent();
        around.wait = needs.refused.clone();
        around.needs = Some(needs);
        if around.wait.is_none() && around.only_at.is_none() {
            around.wait = neighbours.turn(client, object).await?;
        }
        if let Some(restore) = object.as_restore() {
            around.look_for_source(client, restore).await?;
        }
    }
    Ok(around)
}

impl ClusterObservation {
    /// The nodes of a cluster, and which sidecar they have.
    async fn of_nodes(client: &Client, namespace: &str, cluster: &str) -> Result<Self, kube::Error> {
        let clusters: Api<CassandraCluster> = Api::namespaced(client.clone(), namespace);
        let found = clusters.get_opt(cluster).await?;
        let image = found.as_ref().and_then(CassandraCluster::running_sidecar_image);
        // Without a cluster its pods are nobody's, and a name that no cluster can have may be no label either.
        let members = match &found {
            Some(_) => members(client, namespace, cluster).await?,
            None => Vec::new(),
        };
        let mut around = Self {
            members,
            sidecar: image.map_or(Sidecar::Unknown, Sidecar::from_image),
            cluster_gone: found.is_none(),
            ..Self::default()
        };
        around.room.too_old = around.sidecar.lists_and_removes() == Some(false);
        Ok(around)
    }

    /// What a restore that has not begun takes over from its backup.
    async fn look_for_source(
        &mut self,
        client: &Client,
        restore: &CassandraRestore,
    ) -> Result<(), kube::Error> {
        let namespace = restore.namespace().unwrap_or_default();
        let name = &restore.spec.cassandra_backup;
        let backups: Api<CassandraBackup> = Api::namespaced(client.clone(), &namespace);
        // An empty name is none, and the API server would answer with the list.
        let backup = if name.is_empty() {
            None
        } else {
            backups.get_opt(name).await?
        };
        match backup.map(|backup| source(restore, &backup)) {
            Some(Ok(source)) => self.means.source = Some(source),
            Some(Err(wait)) => {
                self.missing.get_or_insert(wait);
            }
            None => {
                let message =
                    format!("there is no CassandraBackup {name:?} in the namespace; it is looked for again");
                self.missing
                    .get_or_insert_with(|| Wait::new(Reason::BackupNotFound, message));
            }
        }
        Ok(())
    }
}

/// Every restore of the namespace.
async fn restores(client: &Client, namespace: &str) -> Result<Vec<CassandraRestore>, kube::Error> {
    let api: Api<CassandraRestore> = Api::namespaced(client.clone(), namespace);
    Ok(api.list(&ListParams::default()).await?.items)
}

/// Whether another restore of the cluster failed after it had emptied tables: the copies are all that is left.
fn failed_after_truncation(restores: &[CassandraRestore], cluster: &str, own: &str) -> bool {
    let others = restores.iter().filter(|restore| restore.name_any() != own);
    let mut statuses = others
        .filter(|restore| restore.spec.cassandra_cluster == cluster)
        .filter_map(|restore| restore.status.as_ref());
    statuses.any(|status| {
        let failed = status
            .common
            .condition
            .as_ref()
            .is_some_and(|condition| condition.state() == ConditionType::Failed);
        failed && status.truncation.is_some()
    })
}

/// The pods of a cluster, by the labels that CassKop sets for good: it merges the labels of the cluster object into
/// the others.
async fn members(client: &Client, namespace: &str, cluster: &str) -> Result<Vec<PodMember>, kube::Error> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let labels = format!("app=cassandracluster,cassandracluster={cluster}");
    let pods = pods.list(&ListParams::default().labels(&labels)).await?;
    Ok(pods.items.iter().map(member).collect())
}

fn member(pod: &Pod) -> PodMember {
    let status = pod.status.clone().unwrap_or_default();
    let containers = status.container_statuses.unwrap_or_default();
    let which = |name: &str| {
        containers
            .iter()
            .find(|container| container.name == name)
            .and_then(identity)
    };
    PodMember {
        pod: pod.name_any(),
        address: status.pod_ip.filter(|address| !address.is_empty()),
        containers: which(CASSANDRA)
            .zip(which(SIDECAR))
            .map(|(cassandra, sidecar)| NodeContainers { cassandra, sidecar }),
    }
}

/// A container that runs: another id or another count is another process. One that does not run has none.
fn identity(container: &ContainerStatus) -> Option<String> {
    let runs = container
        .state
        .as_ref()
        .is_some_and(|state| state.running.is_some());
    let id = container
        .container_id
        .as_deref()
        .filter(|id| !id.is_empty() && runs)?;
    Some(format!("{id}#{}", container.restart_count))
}
