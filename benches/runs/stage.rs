//! The Kubernetes cluster of a measurement: a real API server with our CRDs, Cassandra clusters, and their pods as
//! objects.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use cassgate::api::{CassandraBackup, CassandraCluster, CassandraRestore};
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::{Namespace, Pod, Secret};
use kube::api::{Api, ApiResource, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::NamespaceResourceScope;
use kube::{Client, Config, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::Result;
use crate::audit::Audit;
use crate::cluster::Cluster;
use crate::servers::Pair;
use crate::sidecars::Sidecars;

/// Concurrent requests while objects are stored.
const PARALLEL: usize = 32;

/// Polling interval of waits on the API server.
const POLL: Duration = Duration::from_millis(100);

/// A Cassandra cluster: its namespace, its name, the number of its ring.
#[derive(Debug, Clone)]
pub(crate) struct Ring {
    pub(crate) namespace: String,
    pub(crate) name: String,
}

/// The whole environment; dropping it stops and removes everything.
pub(crate) struct Stage {
    // Dropped first: its connections must end before the server does.
    client: Client,
    _cluster: Cluster,
    pub(crate) sidecars: Sidecars,
    pub(crate) audit: Audit,
    pub(crate) pair: Pair,
    /// The kubeconfig of cassgate's service account.
    pub(crate) kubeconfig: PathBuf,
    logs: PathBuf,
}

impl Stage {
    /// Starts the servers; a backup takes a sidecar `lasts`.
    ///
    /// # Errors
    /// An error if the servers do not start or reject the shipped manifests.
    pub(crate) async fn start(lasts: Duration) -> Result<Self> {
        let cluster = Cluster::up(Audit::flags)?;
        let logs = cluster.folder("logs")?;
        let audit = Audit::of(logs.parent().ok_or("a folder without a parent")?);
        let pair = Pair::make(cluster.folder("tls")?)?;
        install(&cluster)?;
        let kubeconfig = kubeconfig(&cluster, &logs)?;
        let file = Kubeconfig::read_from(cluster.kubeconfig())?;
        let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
        Ok(Self {
            client: Client::try_from(config)?,
            _cluster: cluster,
            sidecars: Sidecars::new(lasts),
            audit,
            pair,
            kubeconfig,
            logs,
        })
    }

    /// Returns a new file for the log of a cassgate.
    pub(crate) fn log(&self) -> PathBuf {
        let count = fs::read_dir(&self.logs).map_or(0, Iterator::count);
        self.logs.join(format!("cassgate-{count}.log"))
    }

    pub(crate) fn api<K>(&self, namespace: &str) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// Creates a namespace with the Secret of its backups.
    ///
    /// # Errors
    /// The error of the API server.
    pub(crate) async fn namespace(&self, name: &str) -> Result<()> {
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        let api: Api<Namespace> = Api::all(self.client.clone());
        api.create(&PostParams::default(), &serde_json::from_value(namespace)?)
            .await?;
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "cloud-backup-secrets"},
            "stringData": {"awsaccesskeyid": "AKIAEXAMPLE", "awssecretaccesskey": "not-a-real-key",
                           "awsregion": "eu-west-1"},
        });
        self.create::<Secret>(name, secret).await
    }

    /// Creates a Cassandra cluster with this many nodes and listening sidecars; without nodes only the object.
    ///
    /// # Errors
    /// The error of the API server, or of an address that cannot be bound.
    pub(crate) async fn ring(&self, namespace: &str, name: &str, nodes: u8) -> Result<Ring> {
        let cluster = json!({
            "apiVersion": "db.orange.com/v2", "kind": "CassandraCluster", "metadata": {"name": name},
            "spec": {
                "nodesPerRacks": nodes.max(1), "cassandraImage": "cassandra:4.1.9", "dataCapacity": "20Gi",
                "topology": {"dc": [{"name": "dc1", "rack": [{"name": "rack1"}]}]},
                "backRestSidecar": {"enabled": true, "image": "ghcr.io/cscetbon/instaclustr-icarus:2.0.4"},
            },
        });
        self.create::<CassandraCluster>(namespace, cluster).await?;
        if nodes > 0 {
            let addresses = self.sidecars.ring(nodes).await?;
            for (number, address) in addresses.into_iter().enumerate() {
                self.pod(namespace, name, number, address).await?;
            }
        }
        Ok(Ring {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        })
    }

    /// Creates the pod of a node with the status that a kubelet reports.
    async fn pod(&self, namespace: &str, cluster: &str, number: usize, address: IpAddr) -> Result<()> {
        let name = format!("{cluster}-dc1-rack1-{number}");
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": &name, "labels": {"app": "cassandracluster", "cassandracluster": cluster}},
            "spec": {"containers": [
                {"name": "cassandra", "image": "cassandra"}, {"name": "backrest-sidecar", "image": "icarus"},
            ]},
        });
        self.create::<Pod>(namespace, pod).await?;
        let container = |container: &str| {
            json!({
                "name": container, "image": "x", "imageID": "x", "ready": true, "restartCount": 0,
                "containerID": format!("containerd://{container}-{name}"),
                "state": {"running": {"startedAt": "2026-11-22T00:00:00Z"}},
            })
        };
        let status = json!({"status": {
            "phase": "Running", "podIP": address, "podIPs": [{"ip": address}],
            "containerStatuses": [container("cassandra"), container("backrest-sidecar")],
        }});
        let pods = self.api::<Pod>(namespace);
        pods.patch_status(&name, &PatchParams::default(), &Patch::Merge(status))
            .await?;
        Ok(())
    }

    async fn create<K: Resource<DynamicType = ()>>(&self, namespace: &str, object: Value) -> Result<()> {
        let object: DynamicObject = serde_json::from_value(object)?;
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), namespace, &ApiResource::erase::<K>(&()));
        api.create(&PostParams::default(), &object).await?;
        Ok(())
    }

    /// Creates a backup of a cluster as kubectl applies it, with its name as the tag.
    ///
    /// # Errors
    /// The error of the API server.
    pub(crate) async fn back_up(&self, ring: &Ring, name: &str, schedule: Option<&str>) -> Result<()> {
        let mut spec = json!({
            "bandwidth": "10M", "cassandraCluster": &ring.name, "concurrentConnections": 10,
            "entities": "orders.items,orders.customers", "secret": "cloud-backup-secrets",
            "snapshotTag": name, "storageLocation": "s3://cassandra-backups",
        });
        if let (Some(schedule), Some(spec)) = (schedule, spec.as_object_mut()) {
            spec.insert("schedule".to_owned(), json!(schedule));
        }
        let mut object = json!({
            "apiVersion": "db.orange.com/v2", "kind": "CassandraBackup",
            "metadata": {"name": name, "namespace": &ring.namespace, "annotations": {}}, "spec": spec,
        });
        let applied = json!({"kubectl.kubernetes.io/last-applied-configuration": format!("{object}\n")});
        if let Some(annotations) = object.pointer_mut("/metadata/annotations") {
            *annotations = applied;
        }
        self.create::<CassandraBackup>(&ring.namespace, object).await
    }

    /// Creates a restore of a backup.
    ///
    /// # Errors
    /// The error of the API server.
    pub(crate) async fn restore(&self, ring: &Ring, name: &str, backup: &str) -> Result<()> {
        let object = json!({
            "apiVersion": "db.orange.com/v2", "kind": "CassandraRestore", "metadata": {"name": name},
            "spec": {"cassandraCluster": &ring.name, "cassandraBackup": backup},
        });
        self.create::<CassandraRestore>(&ring.namespace, object).await
    }

    /// Runs many futures with bounded concurrency.
    ///
    /// # Errors
    /// The first error.
    pub(crate) async fn all<T, F: Future<Output = Result<()>>>(
        &self,
        all: impl IntoIterator<Item = T>,
        store: impl Fn(T) -> F,
    ) -> Result<()> {
        stream::iter(all.into_iter().map(store))
            .buffer_unordered(PARALLEL)
            .try_for_each(|()| std::future::ready(Ok(())))
            .await
    }

    /// Returns every backup.
    ///
    /// # Errors
    /// The error of the API server.
    pub(crate) async fn backups(&self) -> Result<Vec<CassandraBackup>> {
        let api: Api<CassandraBackup> = Api::all(self.client.clone());
        Ok(api.list(&ListParams::default()).await?.items)
    }

    /// Waits until an object satisfies `so`, and returns it.
    ///
    /// # Errors
    /// The error of the API server, or a timeout.
    pub(crate) async fn until<K>(
        &self,
        (namespace, name): (&str, &str),
        within: Duration,
        so: impl Fn(&K) -> bool,
    ) -> Result<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + DeserializeOwned + Serialize + Clone,
        K: std::fmt::Debug,
    {
        let (api, begun) = (self.api::<K>(namespace), Instant::now());
        loop {
            let object = api.get(name).await?;
            if so(&object) {
                return Ok(object);
            }
            if begun.elapsed() > within {
                let object = serde_json::to_value(&object)?;
                let status = object.get("status").unwrap_or(&Value::Null);
                return Err(format!("{namespace}/{name} is not as it should be: {status:#}").into());
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

/// Installs CRDs and rights as shipped.
fn install(cluster: &Cluster) -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = |path: &str| root.join(path).display().to_string();
    let crds = [
        path("manifests/crds/cassandrabackups.yaml"),
        path("manifests/crds/cassandrarestores.yaml"),
        path("tests/casskop/crds/cassandraclusters.yaml"),
    ];
    for crd in &crds {
        cluster.run_kubectl(&["apply", "--server-side", "--filename", crd])?;
        cluster.run_kubectl(&["wait", "--for=condition=Established", "--filename", crd])?;
    }
    let built = cluster.run_kubectl(&["kustomize", &path("manifests/overlays/executor")])?;
    let mut rights: Vec<Value> = serde_saphyr::from_multiple(&built)?;
    rights.retain(|object| {
        let kind = object.get("kind").and_then(Value::as_str).unwrap_or_default();
        kind == "Namespace" || kind == "ServiceAccount" || kind.contains("Role")
    });
    cluster.with_objects(&["apply", "--server-side", "--filename"], &rights)
}

/// Returns the administrator's kubeconfig with the token of cassgate's service account in its namespace.
fn kubeconfig(cluster: &Cluster, folder: &Path) -> Result<PathBuf> {
    let arguments = [
        "create",
        "token",
        "cassgate",
        "--namespace=cassgate-system",
        "--duration=6h",
    ];
    let token = cluster.run_kubectl(&arguments)?;
    let (_, admin) = cluster.address_and_token()?;
    let text = fs::read_to_string(cluster.kubeconfig())?;
    let text = text
        .replace(&admin, token.trim())
        .replace("namespace: default", "namespace: cassgate-system");
    let file = folder.join("kubeconfig");
    fs::write(&file, text)?;
    Ok(file)
}
