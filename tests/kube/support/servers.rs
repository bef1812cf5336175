//! The real servers: etcd and kube-apiserver, started by `tests/servers/up.sh`, one pair for each set of CRDs.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, OnceLock, PoisonError},
};

use super::{kubectl::Kubectl, manifests, process_guard::GuardedProcess, repository};

/// The owner of the installed CRDs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Crds {
    /// `manifests/crds`: status is a subresource.
    Ours,
    /// CassKop's: status is part of the main resource.
    Casskop,
}

/// One API server with CRDs and with the service account of the shipped manifests.
#[derive(Debug)]
pub(crate) struct Servers {
    crds: Crds,
    directory: PathBuf,
    /// kubectl for the administrator.
    pub(crate) kubectl: Kubectl,
    process: Mutex<Option<GuardedProcess>>,
}

static OURS: OnceLock<Result<Servers, String>> = OnceLock::new();
static CASSKOP: OnceLock<Result<Servers, String>> = OnceLock::new();

/// Returns the servers with these CRDs, started on first use.
pub(crate) fn with(crds: Crds) -> &'static Servers {
    let place = match crds {
        Crds::Ours => &OURS,
        Crds::Casskop => &CASSKOP,
    };
    let name = match crds {
        Crds::Ours => "ours",
        Crds::Casskop => "casskop",
    };
    match place.get_or_init(|| Servers::start(crds, name)) {
        Ok(servers) => servers,
        Err(why) => panic!("{why}"),
    }
}

/// The servers of one test that changes shared state. They stop when this is dropped.
#[derive(Debug)]
pub(crate) struct Alone(pub(crate) &'static Servers);

impl Alone {
    /// Starts a pair of servers in a folder with this name, which must be unique within the run.
    pub(crate) fn start(crds: Crds, name: &str) -> Self {
        let servers = Servers::start(crds, name).unwrap_or_else(|why| panic!("{why}"));
        Self(Box::leak(Box::new(servers)))
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        let mut process = self.0.process.lock().unwrap_or_else(PoisonError::into_inner);
        drop(process.take());
    }
}

/// Returns the folder with etcd, kube-apiserver and kubectl, built if necessary.
///
/// # Errors
/// The output of `build.sh`.
pub(crate) fn binaries() -> Result<PathBuf, String> {
    static BINARIES: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let build = || {
        let script = repository().join("tests/servers/build.sh");
        let built = Command::new(&script)
            .output()
            .map_err(|error| format!("{}: {error}", script.display()))?;
        if !built.status.success() {
            return Err(format!(
                "there is no kube-apiserver to test on:\n{}",
                String::from_utf8_lossy(&built.stderr)
            ));
        }
        Ok(PathBuf::from(String::from_utf8_lossy(&built.stdout).trim()))
    };
    BINARIES.get_or_init(build).clone()
}

/// Returns the folder for the files of this run.
pub(crate) fn scratch() -> &'static Path {
    static SCRATCH: OnceLock<PathBuf> = OnceLock::new();
    SCRATCH.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("kube-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        folder
    })
}

/// Stops all servers and removes the files of this run.
pub(crate) fn stop() {
    for servers in [&OURS, &CASSKOP].into_iter().filter_map(OnceLock::get).flatten() {
        if let Some(process) = &mut *servers.process.lock().unwrap_or_else(PoisonError::into_inner) {
            process.close_stdin();
        }
    }
    for servers in [&OURS, &CASSKOP].into_iter().filter_map(OnceLock::get).flatten() {
        drop(
            servers
                .process
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
    }
    // Remaining files are under the target folder and harmless.
    let _ = fs::remove_dir_all(scratch());
}

impl Servers {
    /// Starts a pair of servers in a folder with this name, which must be unique within the run.
    ///
    /// # Errors
    /// The output of `build.sh` or `up.sh`.
    pub(crate) fn start(crds: Crds, name: &str) -> Result<Self, String> {
        let binaries = binaries()?;
        let directory = scratch().join(name);
        let mut up = Command::new(repository().join("tests/servers/up.sh"));
        up.arg(&directory).env("KUBEBUILDER_ASSETS", &binaries);
        let process = GuardedProcess::spawn(up);
        let kubeconfig = process
            .stdout()
            .first(|line| line.strip_prefix("ready ").map(PathBuf::from))
            .map_err(|_| {
                format!(
                    "the servers did not start:\n{}",
                    process.stderr().so_far().join("\n")
                )
            })?;
        let kubectl = Kubectl::new(&binaries, &kubeconfig);
        let servers = Self {
            crds,
            directory,
            kubectl,
            process: Mutex::new(Some(process)),
        };
        servers.install();
        Ok(servers)
    }

    fn install(&self) {
        let ours = repository().join("manifests/crds");
        let casskop = repository().join("tests/casskop/crds");
        let files = match self.crds {
            Crds::Ours => vec![
                ours.join("cassandrabackups.yaml"),
                ours.join("cassandrarestores.yaml"),
                casskop.join("cassandraclusters.yaml"),
            ],
            Crds::Casskop => vec![casskop],
        };
        for file in files {
            self.kubectl
                .run(&["apply", "--server-side", "-f", &file.display().to_string()])
                .succeeds();
        }
        self.kubectl
            .run(&[
                "wait",
                "--for=condition=Established",
                "crd",
                "--all",
                "--timeout=60s",
            ])
            .succeeds();
        let rights = manifests::base(&self.kubectl)
            .into_iter()
            .filter(|object| {
                matches!(
                    object["kind"].as_str(),
                    Some("Namespace" | "ServiceAccount" | "ClusterRole" | "ClusterRoleBinding")
                )
            })
            .collect();
        self.kubectl
            .apply_server_side(&manifests::list(rights))
            .succeeds();
        self.kubeconfig_of("cassgate-system", "cassgate");
    }

    /// Returns a kubeconfig with the token of a service account.
    pub(crate) fn kubeconfig_of(&self, namespace: &str, account: &str) -> PathBuf {
        let token = self
            .kubectl
            .in_namespace(namespace)
            .run(&["create", "token", account, "--duration=6h"])
            .succeeds()
            .stdout;
        let admin = fs::read_to_string(self.admin_kubeconfig()).unwrap();
        let admin_token = fs::read_to_string(self.directory.join("tokens/admin")).unwrap();
        let file = self.directory.join(format!("{namespace}-{account}.kubeconfig"));
        fs::write(&file, admin.replace(admin_token.trim(), token.trim())).unwrap();
        file
    }

    /// Returns the owner of the installed CRDs.
    pub(crate) fn crds(&self) -> Crds {
        self.crds
    }

    /// Returns the kubeconfig of the administrator.
    pub(crate) fn admin_kubeconfig(&self) -> PathBuf {
        self.directory.join("kubeconfig")
    }

    /// Returns the kubeconfig with the token of the shipped service account.
    pub(crate) fn gate_kubeconfig(&self) -> PathBuf {
        self.directory.join("cassgate-system-cassgate.kubeconfig")
    }

    /// Returns kubectl for a user without any rights.
    pub(crate) fn backup_author(&self) -> Kubectl {
        self.kubectl
            .with_kubeconfig(&self.directory.join("backup-author.kubeconfig"))
    }
}
