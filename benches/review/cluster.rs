//! The real API server that the webhooks read from, and its stored objects.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use futures::{StreamExt, TryStreamExt, stream};
use kube::api::{Api, ApiResource, DynamicObject, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::GroupVersionKind;
use kube::{Client, Config};
use serde_json::{Value, json};

use crate::Result;
use crate::process::Running;
use crate::servers::Pair;

const NAMESPACE: &str = "cassandra";
/// Concurrent requests while objects are stored.
const PARALLEL: usize = 64;

/// etcd and kube-apiserver with `CassKop`'s CRDs in their own folder; dropping this stops and removes them.
#[derive(Debug)]
pub(crate) struct Cluster {
    // Dropped before the folder: a stopping server still writes to it.
    _servers: Running,
    folder: Folder,
    kubeconfig: PathBuf,
    kubectl: PathBuf,
}

#[derive(Debug)]
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("could not remove {}: {error}", self.0.display());
        }
    }
}

impl Cluster {
    /// # Errors
    /// An error if the servers do not start or reject the objects.
    pub(crate) fn start() -> Result<Self> {
        let cluster = Self::up(|_| Ok(String::new()))?;
        cluster.install(Path::new(env!("CARGO_MANIFEST_DIR")))?;
        Ok(cluster)
    }

    /// Starts empty servers, the API server with the additional flags that `flags` returns for the folder.
    ///
    /// # Errors
    /// An error if the servers do not start.
    pub(crate) fn up(flags: impl FnOnce(&Path) -> Result<String>) -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("cassgate-bench-{}-{number}", std::process::id()));
        fs::create_dir(&path)?;
        let folder = Folder(path);
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut up = Command::new(root.join("tests/servers/up.sh"));
        up.arg(folder.0.join("servers"))
            .env("APISERVER_FLAGS", flags(&folder.0)?)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut servers = Running::start(&mut up)?;
        let mut line = String::new();
        let output = servers.child().stdout.take().ok_or("no output of up.sh")?;
        BufReader::new(output).read_line(&mut line)?;
        let kubeconfig = line
            .trim()
            .strip_prefix("ready ")
            .ok_or("the servers did not start")?;
        let kubeconfig = PathBuf::from(kubeconfig);
        let assets = Command::new(root.join("tests/servers/build.sh"))
            .stderr(Stdio::inherit())
            .output()?;
        let kubectl = PathBuf::from(String::from_utf8(assets.stdout)?.trim()).join("kubectl");
        Ok(Self {
            _servers: servers,
            folder,
            kubeconfig,
            kubectl,
        })
    }

    /// Returns the value for the environment variable `KUBECONFIG`.
    pub(crate) fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Creates a folder that is removed with the cluster.
    ///
    /// # Errors
    /// An error if it cannot be created.
    pub(crate) fn folder(&self, name: &str) -> Result<PathBuf> {
        let path = self.folder.0.join(name);
        fs::create_dir(&path)?;
        Ok(path)
    }

    fn install(&self, root: &Path) -> Result<()> {
        let crds = root.join("tests/casskop/crds");
        let objects = root.join("benches/review/objects.yaml");
        self.kubectl(&["apply", "--server-side", "--filename"], &crds)?;
        self.kubectl(&["wait", "--for=condition=Established", "--filename"], &crds)?;
        self.kubectl(&["apply", "--filename"], &objects)
    }

    fn kubectl(&self, arguments: &[&str], file: &Path) -> Result<()> {
        let file = file.to_str().ok_or("a path that is no text")?;
        self.run_kubectl(&[arguments, &[file]].concat()).map(drop)
    }

    /// Runs kubectl and returns its output.
    ///
    /// # Errors
    /// The output on stderr.
    pub(crate) fn run_kubectl(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(&self.kubectl);
        // HOME: kubectl keeps a discovery cache there, by server address.
        command
            .env("KUBECONFIG", &self.kubeconfig)
            .env("HOME", &self.folder.0);
        let output = command.args(arguments).output()?;
        if !output.status.success() {
            return Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)).into());
        }
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Applies or deletes objects through a file.
    ///
    /// # Errors
    /// The output of kubectl.
    pub(crate) fn with_objects(&self, arguments: &[&str], objects: &[Value]) -> Result<()> {
        let file = self.folder.0.join("objects.json");
        fs::write(
            &file,
            json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string(),
        )?;
        self.kubectl(arguments, &file)
    }

    /// Stores Secrets `secret-0` and so on, each with the keys for S3.
    ///
    /// # Errors
    /// The error of the API server.
    pub(crate) fn store_secrets(&self, count: u32) -> Result<()> {
        let secrets: Vec<Value> = (0..count)
            .map(|number| {
                json!({
                    "apiVersion": "v1", "kind": "Secret",
                    "metadata": {"name": format!("secret-{number}"), "namespace": NAMESPACE},
                    "stringData": {"awsaccesskeyid": "AKIAEXAMPLE", "awssecretaccesskey": "not-a-real-key", "awsregion": "eu-west-1"},
                })
            })
            .collect();
        self.with_objects(&["apply", "--filename"], &secrets)
    }

    /// Registers the shipped webhooks at this address, and waits until the API server calls them.
    ///
    /// # Errors
    /// The output of kubectl, or an error if they are not called.
    pub(crate) fn register(&self, pair: &Pair, address: SocketAddr) -> Result<()> {
        let webhooks = webhooks(pair, address)?;
        self.with_objects(&["apply", "--server-side", "--filename"], &webhooks)?;
        // A backup that only the webhook denies.
        let mixed = json!({
            "apiVersion": "db.orange.com/v2", "kind": "CassandraBackup",
            "metadata": {"name": "mixed", "namespace": NAMESPACE},
            "spec": {"cassandraCluster": "cassandra-demo", "storageLocation": "s3://b", "snapshotTag": "t", "entities": "k1,k2.t1"},
        });
        for _ in 0..100 {
            let asked = self.with_objects(
                &["create", "--dry-run=server", "--filename"],
                std::slice::from_ref(&mixed),
            );
            if asked.is_err_and(|error| error.to_string().contains("[cassgate entities-mixed]")) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Err("the webhooks are not called".into())
    }

    /// Removes the webhooks.
    ///
    /// # Errors
    /// The output of kubectl.
    pub(crate) fn unregister(&self) -> Result<()> {
        let names = ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"].map(|kind| {
            json!({
                "apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": "cassgate"},
            })
        });
        self.with_objects(&["delete", "--filename"], &names)?;
        // The API server calls them for another moment.
        std::thread::sleep(Duration::from_secs(2));
        Ok(())
    }

    /// Returns the address of the API server and the administrator's token.
    ///
    /// # Errors
    /// An error if the kubeconfig lacks them.
    pub(crate) fn address_and_token(&self) -> Result<(String, String)> {
        let file = Kubeconfig::read_from(&self.kubeconfig)?;
        let server = file
            .clusters
            .first()
            .and_then(|named| named.cluster.as_ref()?.server.clone());
        let token = fs::read_to_string(self.folder.0.join("servers/tokens/admin"))?;
        Ok((
            server.ok_or("a kubeconfig without a server")?,
            token.trim().to_owned(),
        ))
    }

    /// Stores `count` backups as after a year of use: applied by kubectl, run by `CassKop`.
    ///
    /// # Errors
    /// The error of the API server.
    pub(crate) fn store_backups(&self, count: u32) -> Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            let file = Kubeconfig::read_from(&self.kubeconfig)?;
            let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
            let kind =
                ApiResource::from_gvk(&GroupVersionKind::gvk("db.orange.com", "v2", "CassandraBackup"));
            let api = Api::<DynamicObject>::namespaced_with(Client::try_from(config)?, NAMESPACE, &kind);
            let parameters = PostParams::default();
            let creations = stream::iter(0..count).map(|number| {
                let (api, kind, parameters) = (&api, &kind, &parameters);
                async move { api.create(parameters, &stored_backup(number, kind)).await }
            });
            creations
                .buffer_unordered(PARALLEL)
                .try_for_each(|_| async { Ok(()) })
                .await?;
            Ok(())
        })
    }
}

/// Returns the shipped configurations for this address.
fn webhooks(pair: &Pair, address: SocketAddr) -> Result<Vec<Value>> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests/base/webhooks.yaml");
    let mut webhooks: Vec<Value> = serde_saphyr::from_multiple(&fs::read_to_string(file)?)?;
    let authority = STANDARD.encode(fs::read(pair.authority())?);
    let all = webhooks
        .iter_mut()
        .filter_map(|configuration| configuration.get_mut("webhooks")?.as_array_mut());
    for webhook in all.flatten() {
        let path = webhook
            .pointer("/clientConfig/service/path")
            .and_then(Value::as_str)
            .ok_or("a webhook without a path")?;
        let client = json!({"url": format!("https://{address}{path}"), "caBundle": authority});
        if let Some(place) = webhook.get_mut("clientConfig") {
            *place = client;
        }
    }
    Ok(webhooks)
}

/// Returns a backup; every other one has the cluster and bucket of the reviewed object, so that rules must compare
/// it.
fn stored_backup(number: u32, kind: &ApiResource) -> DynamicObject {
    let name = format!("backup-{number:05}");
    let (cluster, location) = if number.is_multiple_of(2) {
        ("cassandra-demo".to_owned(), "s3://cassandra-backups".to_owned())
    } else {
        let other = number % 100;
        (
            format!("cassandra-{other:03}"),
            format!("s3://cassandra-backups-{other:03}"),
        )
    };
    let spec = json!({
        "bandwidth": "10M",
        "cassandraCluster": cluster,
        "concurrentConnections": 10,
        "datacenter": "dc1",
        "entities": format!("orders_{}.items,orders_{0}.customers", number % 7),
        "schedule": format!("{} {} * * *", number % 60, number % 24),
        "secret": "cloud-backup-secrets",
        "snapshotTag": format!("tag-{number:05}"),
        "storageLocation": location,
    });
    let status = json!({
        "condition": {"type": "COMPLETED", "lastTransitionTime": "Mon, 23 Nov 2026 02:30:41 GMT"},
        "coordinatorMember": format!("cassandra-{:03}-dc1-rack1-0", number % 100),
        "id": format!("c2c8a4d5-8f0c-4a5f-9a55-0000000{number:05}"),
        "progress": "100%",
        "timeCreated": "2026-11-23T02:30:00.113Z",
        "timeStarted": "2026-11-23T02:30:00.215Z",
        "timeCompleted": "2026-11-23T02:30:40.902Z",
    });
    let applied = json!({"apiVersion": "db.orange.com/v2", "kind": "CassandraBackup", "metadata":
        {"annotations": {}, "name": &name, "namespace": NAMESPACE}, "spec": &spec});
    let mut backup = DynamicObject::new(&name, kind).data(json!({"spec": spec, "status": status}));
    backup.metadata.annotations = Some(
        [(
            "kubectl.kubernetes.io/last-applied-configuration".to_owned(),
            format!("{applied}\n"),
        )]
        .into(),
    );
    backup.metadata.labels = Some([("app.kubernetes.io/part-of".to_owned(), "cassandra".to_owned())].into());
    backup
}
