//! The surroundings of an object in the Kubernetes cluster, read live for each reconcile.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::api::ListParams;
use kube::core::DeserializeGuard;
use kube::{Api, Client, ResourceExt};

use crate::api::{CassandraBackup, CassandraCluster, CassandraRestore, NodeContainers, Reason};
use crate::domain::object_name::is_label_value;
use crate::domain::sidecar::Sidecar;
use crate::evaluate::Judge;
use crate::reconcile::object::{Guarded, Plannable, UndecodableObject};
use crate::reconcile::plan::needs::Needs;
use crate::reconcile::plan::prune::PruneInputs;
use crate::reconcile::plan::prune::retention::snapshots_in_use;
use crate::reconcile::plan::restore::RestoreInputs;
use crate::reconcile::plan::restore::copies::restores_with_copies;
use crate::reconcile::plan::restore::part_sizes::part_sizes;
use crate::reconcile::plan::restore::source::source;
use crate::reconcile::plan::{PodMember, UnprovenPart, Wait};
use crate::reconcile::queue::OperationQueue;
use crate::reconcile::queue::order::Queued;

/// The containers of CassKop's pods.
const CASSANDRA: &str = "cassandra";
const SIDECAR: &str = "backrest-sidecar";

/// The consistency of a list of pods, in the words of the Kubernetes API.
#[derive(Debug, Clone, Copy)]
enum Consistency {
    /// As old as the watch cache of the API server. This is for a run that has not started: every sidecar is asked for its
    /// host id before it gets a request, and a container that has been replaced since only makes a later look more
    /// careful. A list that is as new as etcd took 45 ms longer (Kubernetes 1.35), because the API server first waits until
    /// its cache has caught up.
    Any,
    /// As new as etcd. This is for a run under way: a container that was replaced must not pass for the one that got the
    /// request.
    MostRecent,
}

/// The state of the Kubernetes cluster around an object.
#[derive(Default)]
pub(in crate::reconcile) struct ClusterObservation {
    /// The pods of the Cassandra cluster.
    pub(in crate::reconcile) members: Vec<PodMember>,
    /// The sidecar that these pods run.
    pub(in crate::reconcile) sidecar: Sidecar,
    /// True if the `CassandraCluster` does not exist.
    pub(in crate::reconcile) cluster_gone: bool,
    /// A reference of the object that does not exist.
    pub(in crate::reconcile) missing: Option<Wait>,
    /// Another reason why the object may not start: a finding of the rules, or the queue.
    pub(in crate::reconcile) wait: Option<Wait>,
    /// The findings of the rules; `None` if they were not asked.
    pub(in crate::reconcile) needs: Option<Needs>,
    /// The inputs of a restore plan.
    pub(in crate::reconcile) restore_inputs: RestoreInputs,
    /// The parts of other backups of the cluster that may have left a file cut short; empty for a restore.
    pub(in crate::reconcile) unproven_elsewhere: Vec<UnprovenPart>,
    /// The inputs of a prune plan.
    pub(in crate::reconcile) prune_inputs: PruneInputs,
    /// The time of this observation if it leaves out the nodes. The plan is then made for exactly this time: at a later
    /// one a run could be due, which must not start without nodes.
    pub(in crate::reconcile) without_nodes_at: Option<Timestamp>,
}

/// Observes the surroundings of an object that runs or may start.
///
/// # Errors
/// The API server does not respond or denies a request. Nothing may be concluded then.
pub(in crate::reconcile) async fn observe_cluster<K: Plannable + Queued>(
    client: &Client,
    judge: &dyn Judge,
    queue: &OperationQueue,
    object: &K,
    now: Timestamp,
) -> Result<ClusterObservation, kube::Error> {
    let namespace = object.namespace().unwrap_or_default();
    let has_started = object.run_has_started();
    // An object that waits for its turn needs no nodes. The watches may lag behind, and then it waits a little longer.
    let queued = (!has_started)
        .then(|| queue.cached_reason_to_wait(object))
        .flatten();
    let nodes = async {
        if !object.needs_nodes(now) {
            return Ok(ClusterObservation {
                without_nodes_at: Some(now),
                ..ClusterObservation::default()
            });
        }
        if queued.is_some() {
            return Ok(ClusterObservation::default());
        }
        let consistency = if has_started {
            Consistency::MostRecent
        } else {
            Consistency::Any
        };
        ClusterObservation::of_nodes(client, &namespace, object.cluster(), consistency).await
    };
    let restores = async {
        if object.needs_restores(now) {
            // Data is deleted on the strength of this list, so it is a live read.
            Ok(Some(restores(client, &namespace).await?))
        } else {
            Ok(None)
        }
    };
    let source = async {
        match object.as_restore().filter(|_| !has_started) {
            Some(restore) => Ok(Some((restore, read_backup(client, restore).await?))),
            None => Ok(None),
        }
    };
    let needs = async {
        if has_started {
            return Ok(None);
        }
        let value = serde_json::to_value(object).unwrap_or_default();
        let findings = judge.judge(K::KIND, &value).await;
        Ok::<_, kube::Error>(Some(Needs::from_findings(&findings)))
    };
    let (mut observation, restores, source, needs) = tokio::try_join!(nodes, restores, source, needs)?;
    if object.as_restore().is_some() {
        observation.restore_inputs.restores_with_copies =
            queue.restores_with_copies(&namespace, object.cluster(), &object.name_any());
    }
    if let Some(backup) = object.as_backup() {
        observation.unproven_elsewhere = queue.unproven_elsewhere(backup);
    }
    if let Some((restores, undecodable)) = restores {
        let in_use = restores.iter().flat_map(snapshots_in_use);
        let in_use = in_use.chain(undecodable.iter().flat_map(UndecodableObject::snapshots_in_use));
        observation.prune_inputs.in_use = in_use.collect();
    }
    if let Some(needs) = needs {
        observation.missing = needs.missing_or_unchecked();
        observation.wait = needs.refused.clone();
        observation.needs = Some(needs);
        if observation.wait.is_none() && observation.without_nodes_at.is_none() {
            observation.wait = match queued {
                Some(queued) => Some(queued),
                None => queue.reason_to_wait(client, object).await?,
            };
        }
    }
    if let Some((restore, backup)) = source {
        observation.record_source(restore, backup);
    }
    Ok(observation)
}

impl ClusterObservation {
    /// Observes the pods of a cluster and the version of their sidecars.
    async fn of_nodes(
        client: &Client,
        namespace: &str,
        cluster: &str,
        consistency: Consistency,
    ) -> Result<Self, kube::Error> {
        // A cluster that cannot be decoded has an unknown sidecar; its pods tell the rest.
        let clusters: Api<DeserializeGuard<CassandraCluster>> = Api::namespaced(client.clone(), namespace);
        // The pods of a cluster may outlive its object (`cascade=orphan`). The name of a cluster that does not exist may
        // not even be valid as a label.
        let (found, early_members) = tokio::try_join!(clusters.get_opt(cluster), async {
            if is_label_value(cluster) {
                members(client, namespace, cluster, consistency).await.map(Some)
            } else {
                Ok(None)
            }
        })?;
        let found = found.map(|found| found.0.map_err(|invalid| invalid.error));
        let decoded = found.as_ref().and_then(|found| found.as_ref().ok());
        let image = decoded.and_then(CassandraCluster::running_sidecar_image);
        let members = match early_members {
            Some(members) => members,
            None if found.is_some() => members(client, namespace, cluster, consistency).await?,
            None => Vec::new(),
        };
        let mut observation = Self {
            members,
            sidecar: image.map_or(Sidecar::Unknown, Sidecar::from_image),
            cluster_gone: found.is_none(),
            ..Self::default()
        };
        observation.prune_inputs.unsupported = observation.sidecar.supports_list_and_remove() == Some(false);
        Ok(observation)
    }

    /// Reads live which restores need their copies of emptied tables, because the plan would delete the copies of all.
    ///
    /// # Errors
    /// The API server does not respond or denies the request.
    pub(in crate::reconcile) async fn read_copies<K: Plannable>(
        &mut self,
        client: &Client,
        object: &K,
    ) -> Result<(), kube::Error> {
        let namespace = object.namespace().unwrap_or_default();
        let (restores, undecodable) = restores(client, &namespace).await?;
        let mut with_copies = restores_with_copies(&restores, object.cluster(), &object.name_any());
        with_copies.extend(undecodable_with_copies(&undecodable, object.cluster()));
        self.restore_inputs.restores_with_copies = with_copies;
        Ok(())
    }

    /// Records what a restore copies from its backup before it starts.
    fn record_source(&mut self, restore: &CassandraRestore, backup: Option<Result<CassandraBackup, String>>) {
        let name = &restore.spec.cassandra_backup;
        let backup = match backup.transpose() {
            Ok(backup) => backup,
            Err(error) => {
                self.missing = Some(undecodable_backup(name, &error));
                return;
            }
        };
        let sourced = backup.as_ref().map(|backup| source(restore, backup));
        match sourced {
            Some(Ok(source)) => {
                let snapshot = source.snapshot_tag.as_deref().unwrap_or_default();
                let sizes = backup.as_ref().map(|backup| part_sizes(backup, snapshot));
                self.restore_inputs.part_sizes = sizes.unwrap_or_default();
                self.restore_inputs.source = Some(source);
            }
            Some(Err(wait)) => {
                self.missing.get_or_insert(wait);
            }
            None => {
                let message =
                    format!("there is no CassandraBackup {name:?} in the namespace; the lookup is retried");
                self.missing
                    .get_or_insert_with(|| Wait::new(Reason::BackupNotFound, message));
            }
        }
    }
}

/// Reads the backup of a restore; `None` if it does not exist.
async fn read_backup(
    client: &Client,
    restore: &CassandraRestore,
) -> Result<Option<Result<CassandraBackup, String>>, kube::Error> {
    let name = &restore.spec.cassandra_backup;
    // A GET with an empty name is a list.
    if name.is_empty() {
        return Ok(None);
    }
    let namespace = restore.namespace().unwrap_or_default();
    let backups: Api<DeserializeGuard<CassandraBackup>> = Api::namespaced(client.clone(), &namespace);
    let backup = backups.get_opt(name).await?;
    Ok(backup.map(|backup| backup.0.map_err(|invalid| invalid.error)))
}

/// Returns the reason to wait for a backup that cannot be decoded.
fn undecodable_backup(name: &str, error: &str) -> Wait {
    let message = format!(
        "CassandraBackup {name:?} cannot be decoded ({error}), so it is not known what to restore; correct it, and the \
         restore begins"
    );
    Wait::stalled(Reason::BackupNotFound, message)
}

/// Returns every restore of the namespace, those that can be decoded and the others.
async fn restores(
    client: &Client,
    namespace: &str,
) -> Result<(Vec<CassandraRestore>, Vec<UndecodableObject>), kube::Error> {
    let api: Api<Guarded<CassandraRestore>> = Api::namespaced(client.clone(), namespace);
    let (mut restores, mut undecodable) = (Vec::new(), Vec::new());
    for restore in api.list(&ListParams::default()).await?.items {
        match restore.into_result() {
            Ok(restore) => restores.push(restore),
            Err(restore) => undecodable.push(*restore),
        }
    }
    Ok((restores, undecodable))
}

/// Returns the names of restores that cannot be decoded and may need the copies of the tables that they emptied.
fn undecodable_with_copies(restores: &[UndecodableObject], cluster: &str) -> Vec<String> {
    let may_need = |restore: &&UndecodableObject| {
        restore.has_begun() && restore.cluster().is_none_or(|of| of == cluster)
    };
    let restores = restores.iter().filter(may_need);
    restores.map(|restore| restore.name().to_owned()).collect()
}

/// Returns the pods of a cluster. Only these two labels are safe to select by: into all others `CassKop` merges the
/// labels of the cluster object.
async fn members(
    client: &Client,
    namespace: &str,
    cluster: &str,
    consistency: Consistency,
) -> Result<Vec<PodMember>, kube::Error> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let labels = format!("app=cassandracluster,cassandracluster={cluster}");
    let parameters = ListParams::default().labels(&labels);
    let parameters = match consistency {
        Consistency::Any => parameters.match_any(),
        Consistency::MostRecent => parameters,
    };
    let pods = pods.list(&parameters).await?;
    Ok(pods.items.iter().map(member).collect())
}

fn member(pod: &Pod) -> PodMember {
    let status = pod.status.clone().unwrap_or_default();
    let containers = status.container_statuses.unwrap_or_default();
    let running = |name: &str| {
        containers
            .iter()
            .find(|container| container.name == name)
            .and_then(identity)
    };
    PodMember {
        pod: pod.name_any(),
        address: status.pod_ip.filter(|address| !address.is_empty()),
        containers: running(CASSANDRA)
            .zip(running(SIDECAR))
            .map(|(cassandra, sidecar)| NodeContainers { cassandra, sidecar }),
    }
}

/// Identifies the process in a running container by container id and restart count; `None` if it does not run.
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
