//! The real API server that the webhooks read from, and what is stored in it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use futures::{StreamExt, TryStreamExt, stream};
use kube::api::{Api, ApiResource, DynamicObject, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::GroupVersionKind;
use kube::{Client, Config};
use serde_json::json;

use crate::Result;
use crate::process::Running;

const NAMESPACE: &str = "cassandra";
/// Requests in flight while objects are stored.
const PARALLEL: usize = 64;

/// etcd and kube-apiserver with `CassKop`'s CRDs, in a folder of their own; stopped and removed with this.
#[derive(Debug)]
pub(crate) struct Cluster {
    // Before the folder: a server that is being stopped still writes to it.
    _servers: Running,
    folder: Folder,
    kubeconfig: PathBuf,
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
    /// When the servers do not start, or refuse the objects.
    pub(crate) fn start() -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("cassgate-bench-{}-{number}", std::process::id()));
        fs::create_dir(&path)?;
        let folder = Folder(path);
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut up = Command::new(root.join("tests/servers/up.sh"));
        up.arg(folder.0.join("servers"))
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
        let cluster = Self {
            _servers: servers,
            folder,
            kubeconfig,
        };
        cluster.install(root)?;
        Ok(cluster)
    }

    /// For the environment variable `KUBECONFIG`.
    pub(crate) fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// A new folder that goes with the cluster.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn folder(&self, name: &str) -> Result<PathBuf> {
        let path = self.folder.0.join(name);
        fs::create_dir(&path)?;
        Ok(path)
    }

    fn install(&self, root: &Path) -> Result<()> {
        let assets = Command::new(root.join("tests/servers/build.sh"))
            .stderr(Stdio::inherit())
            .output()?;
        let kubectl = PathBuf::from(String::from_utf8(assets.stdout)?.trim()).join("kubectl");
        let crds = root.join("tests/casskop/crds");
        let objects = root.join("benches/review/objects.yaml");
        self.kubectl(&kubectl, &["apply", "--server-side", "--filename"], &crds)?;
        self.kubectl(
            &kubectl,
            &["wait", "--for=condition=Established", "--filename"],
            &crds,
        )?;
        self.kubectl(&kubectl, &["apply", "--filename"], &objects)
    }

    fn kubectl(&self, kubectl: &Path, arguments: &[&str], file: &Path) -> Result<()> {
        let mut command = Command::new(kubectl);
        // HOME: kubectl keeps what it discovered of a server there, by its address.
        command
            .env("KUBECONFIG", &self.kubeconfig)
            .env("HOME", &self.folder.0);
        let output = command.args(arguments).arg(file).output()?;
        if !output.status.success() {
            return Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)).into());
        }
        Ok(())
    }

    /// Stores `count` backups as a year of use leaves them: applied by kubectl, run by `CassKop`.
    ///
    /// # Errors
    /// What the API server says.
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

/// Every other one is of the cluster and the bucket that the review is about, so that it has to be told apart from it.
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
