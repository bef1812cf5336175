//! The only wiring: which parts exist, in which order they start, and in which they end.
//!
//! Everything that runs beside the two ports is a named task of one set. None of them should end before the
//! shutdown: the first that does begins it, and the exit code tells.

mod authority;
mod check;
mod probe;
mod reconciler;

use std::collections::HashMap;
use std::num::NonZero;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use futures::future::BoxFuture;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use kube::Client;
use tokio::runtime;
use tokio::sync::watch;
use tokio::task::{self, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::admission::{self, Admission};
use crate::api::{CassandraBackup, CassandraCluster, CassandraRestore};
use crate::cli::{self, RunArgs};
use crate::cluster::{
    self, Cache, CacheState, Cached, ClusterFacts, ConnectError, Kind, Readers, StatusSubresources,
};
use crate::icarus::client::HttpSidecars;
use crate::observe::log::{self, LogControl};
use crate::observe::metrics::{Listener, Metrics};
use crate::reconcile::Reconciler;
use crate::reconcile::lease::{LeaseOptionsError, LeaseState};
use crate::rules::catalogue::Kinds;
use crate::rules::policy::{Executor, Policy};
use crate::serve::certs::{
    self, ConfigError, Keeper, SelfKeeper, SelfOptions, Served, StartError, TlsArgs, TlsChoice,
    TlsOptionsError,
};
use crate::serve::harden::harden;
use crate::serve::limits::Limits;
use crate::serve::listen::{BindError, Bound, bind};
use crate::serve::readiness::{Gate, Note, Readiness};
use crate::serve::server::{Drained, Server};
use crate::serve::shutdown::{ExitNow, Shutdown, SignalError, Signals};
use crate::serve::{admin, https};

use authority::KubernetesStore;
pub use authority::MARK as AUTHORITY_LABEL;
pub use check::check;
pub use probe::probe;
pub use reconciler::StoredJudge;

/// How long the admin port may take to answer its last probe.
pub const ADMIN_DRAIN: Duration = Duration::from_secs(1);

/// How long a task that blocks its thread (a certificate on a mount that hangs) may hold the exit.
pub const BLOCKED_GRACE: Duration = Duration::from_secs(1);

/// The most threads that answer. One answers more reviews than a cluster asks for; the second keeps them going while
/// it is busy. The number of processors would be tokio's choice, and each thread brings an arena of the allocator:
/// after the same load 16 of them held 13 MiB more than two.
const MOST_WORKERS: usize = 2;

/// Why the webhook does not start.
#[derive(Debug, thiserror::Error)]
enum AppError {
    /// Flags that contradict each other.
    #[error(transparent)]
    Options(#[from] TlsOptionsError),
    /// No certificate.
    #[error(transparent)]
    Certificate(#[from] StartError),
    /// The library takes the certificate, but not the settings.
    #[error(transparent)]
    Tls(#[from] ConfigError),
    /// A port is taken.
    #[error(transparent)]
    Port(#[from] BindError),
    /// No Kubernetes configuration.
    #[error(transparent)]
    Kubernetes(#[from] ConnectError),
    /// The times of the lease do not go together.
    #[error(transparent)]
    Lease(#[from] LeaseOptionsError),
    /// The system refuses.
    #[error(transparent)]
    Signals(#[from] SignalError),
}

impl AppError {
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Options(_) => ExitCode::from(2),
            _ => ExitCode::FAILURE,
        }
    }
}

/// `cassgate run`: serves until a signal, or until a part of it ends.
///
/// 0 after a shutdown in which every request was answered; 1 when it could not start, when a part ended by itself,
/// when requests were cut, or at a second signal; 2 for flags that cannot be used.
#[must_use]
pub fn run(args: RunArgs) -> ExitCode {
    let log = match log::init(&args.log) {
        Ok(log) => log,
        Err(error) => {
            cli::tell(&error);
            return ExitCode::from(2);
        }
    };
    let runtime = match runtime::Builder::new_multi_thread()
        .worker_threads(workers())
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            cli::tell(&error);
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(serve(args, log)).unwrap_or_else(|error| {
        cli::tell(&error);
        error.exit_code()
    });
    runtime.shutdown_timeout(BLOCKED_GRACE);
    code
}

/// As many as there are processors to run on, up to [`MOST_WORKERS`].
fn workers() -> usize {
    thread::available_parallelism()
        .map_or(1, NonZero::get)
        .min(MOST_WORKERS)
}

async fn serve(args: RunArgs, log: LogControl) -> Result<ExitCode, AppError> {
    let signals = Signals::install()?;
    certs::install_default_provider();
    let (readiness, metrics, shutdown) = (Readiness::new(), Metrics::new(), Shutdown::new());

    let gate = readiness.gate("tls", "no certificate yet");
    let certificate = Certificate::start(&args.tls, gate, &metrics)?;
    let webhook_port = bind(Listener::Webhook, args.serve.listen).await?;
    let admin_port = bind(Listener::Admin, args.serve.admin_listen).await?;
    let client = cluster::connect().await?;

    let mut background = Background::new(shutdown.clone());
    let (served, kept) = certificate.keep(&client, &metrics, shutdown.stopping().clone());
    let tls = certs::server_config(served)?;
    background.spawn("certificate", kept);
    let policy = Policy::from(args.policy);
    let watched = watch_cluster(client.clone(), &metrics, &readiness, &mut background);
    if policy.executor == Executor::Cassgate {
        let runs = watched.reconciler(client.clone(), policy.clone(), &metrics);
        let stop = shutdown.stopping().clone();
        let (state, run) = reconciler::keep(&client, runs, metrics.clone(), stop)?;
        let note = readiness.note("lease", state.borrow().to_string());
        background.spawn("note of the lease", show(state, note));
        background.spawn_to_its_end("reconciler", run);
    }
    let admission = watched.admission(policy, &metrics);

    let router = harden(admission::router(Arc::new(admission)), metrics.clone());
    let webhook = https::server(webhook_port, tls, router, Limits::default(), metrics.clone());
    let admin = admin_server(admin_port, &readiness, metrics, log);
    let parts = Parts {
        webhook,
        admin,
        background,
        drain: args.serve.drain_timeout,
    };
    tokio::select! {
        ExitNow = shutdown.clone().conduct(signals, &readiness, args.serve.shutdown_delay) => Ok(ExitCode::FAILURE),
        code = parts.run(&shutdown) => Ok(code),
    }
}

/// Who keeps the certificate.
enum Certificate {
    /// It is there from the start, and looked after this often.
    Kept(Keeper, Duration),
    /// It comes once the API server has answered.
    Own(SelfOptions, Gate),
}

impl Certificate {
    fn start(tls: &TlsArgs, gate: Gate, metrics: &Metrics) -> Result<Self, AppError> {
        Ok(match tls.choice()? {
            TlsChoice::Pair(source) => {
                let keeper = Keeper::start(source, gate, metrics.clone(), Timestamp::now())?;
                Self::Kept(keeper, tls.tls_reload_interval)
            }
            TlsChoice::SelfSigned(options) => Self::Own(options, gate),
        })
    }

    /// What handshakes get, and what has to run for it.
    fn keep(
        self,
        client: &Client,
        metrics: &Metrics,
        stop: CancellationToken,
    ) -> (Arc<Served>, BoxFuture<'static, ()>) {
        match self {
            Self::Kept(keeper, every) => (keeper.served(), Box::pin(keeper.run(every, Timestamp::now, stop))),
            Self::Own(options, gate) => {
                let namespace = options
                    .namespace
                    .as_deref()
                    .unwrap_or_else(|| client.default_namespace());
                let store =
                    KubernetesStore::new(client.clone(), namespace, &options.secret, &options.webhooks);
                let keeper = SelfKeeper::new(&options, namespace, store, gate, metrics.clone());
                (keeper.served(), Box::pin(keeper.run(Timestamp::now, stop)))
            }
        }
    }
}

fn admin_server(port: Bound, readiness: &Readiness, metrics: Metrics, log: LogControl) -> Server {
    let router = admin::router(readiness.clone(), metrics.clone(), log);
    admin::server(port, router, Limits::admin(), metrics)
}

/// What follows the Kubernetes cluster.
struct Watched {
    facts: Arc<ClusterFacts>,
    subresources: watch::Receiver<StatusSubresources>,
}

impl Watched {
    fn admission(&self, policy: Policy, metrics: &Metrics) -> Admission {
        Admission {
            facts: self.facts.clone(),
            policy,
            metrics: metrics.clone(),
            status_is_subresource: self.status_is_subresource(),
            now: Timestamp::now,
        }
    }

    fn reconciler(&self, client: Client, policy: Policy, metrics: &Metrics) -> Reconciler<HttpSidecars> {
        Reconciler {
            client,
            sidecars: HttpSidecars::new(metrics.clone()),
            judge: Arc::new(StoredJudge {
                facts: self.facts.clone(),
                policy,
                now: Timestamp::now,
            }),
            metrics: metrics.clone(),
            status_is_subresource: self.status_is_subresource(),
            namespace: None,
            now: Timestamp::now,
        }
    }

    fn status_is_subresource(&self) -> Box<dyn Fn(Kinds) -> Option<bool> + Send + Sync> {
        let subresources = self.subresources.clone();
        Box::new(move |kind| match kind {
            Kinds::Restore => subresources.borrow().restores,
            _ => subresources.borrow().backups,
        })
    }
}

/// Starts the caches and everything that follows the Kubernetes cluster.
fn watch_cluster(
    client: Client,
    metrics: &Metrics,
    readiness: &Readiness,
    background: &mut Background,
) -> Watched {
    let mut caches = Caches {
        client: client.clone(),
        metrics: metrics.clone(),
        readiness,
        background,
    };
    let readers = Readers {
        clusters: caches.start::<CassandraCluster>("cache:cassandraclusters"),
        backups: caches.start::<CassandraBackup>("cache:cassandrabackups"),
        restores: caches.start::<CassandraRestore>("cache:cassandrarestores"),
        namespaces: caches.start::<Namespace>("cache:namespaces"),
    };
    let facts = Arc::new(ClusterFacts::new(client.clone(), readers, metrics.clone()));

    let (known, subresources) = watch::channel(StatusSubresources::default());
    background.spawn("discovery", cluster::follow_status_subresources(client, known));
    Watched { facts, subresources }
}

/// Shows how this replica stands to the lease.
async fn show(mut state: watch::Receiver<LeaseState>, note: Note) {
    loop {
        note.say(state.borrow_and_update().to_string());
        if state.changed().await.is_err() {
            return std::future::pending().await;
        }
    }
}

/// Starts caches, each with a gate of readiness.
struct Caches<'a> {
    client: Client,
    metrics: Metrics,
    readiness: &'a Readiness,
    background: &'a mut Background,
}

impl Caches<'_> {
    fn start<K: Kind>(&mut self, name: &'static str) -> Cached<K> {
        let cache = Cache::<K>::new(self.client.clone(), self.metrics.clone());
        let reader = cache.reader();
        let gate = self.readiness.gate(name, "not listed yet");
        self.background
            .spawn("gate of a cache", follow(cache.state(), gate));
        self.background.spawn(name, cache.run());
        reader
    }
}

/// Opens and closes a gate as a cache stands.
async fn follow(mut state: watch::Receiver<CacheState>, gate: Gate) {
    loop {
        match state.borrow_and_update().unready() {
            Some(reason) => gate.close(reason),
            None => gate.open(),
        }
        if state.changed().await.is_err() {
            return;
        }
    }
}

/// What runs until the end.
struct Parts {
    webhook: Server,
    admin: Server,
    background: Background,
    drain: Duration,
}

impl Parts {
    /// The webhook ends first, then what it rests on, then the admin port: probes are answered to the last.
    async fn run(self, shutdown: &Shutdown) -> ExitCode {
        let stop_background = self.background.stop.clone();
        let stop_admin = CancellationToken::new();
        let webhook = async {
            let drained = self.webhook.run(shutdown.stopping().clone(), self.drain).await;
            stop_background.cancel();
            drained
        };
        let background = async {
            let intact = self.background.supervise().await;
            stop_admin.cancel();
            intact
        };
        let admin = self.admin.run(stop_admin.clone(), ADMIN_DRAIN);
        let (drained, intact, _) = tokio::join!(webhook, background, admin);
        match drained {
            Drained::Finished if intact => {
                tracing::info!("bye");
                ExitCode::SUCCESS
            }
            Drained::Finished => ExitCode::FAILURE,
            Drained::Cut { connections } => {
                tracing::warn!(connections, "the drain took too long; connections were cut");
                ExitCode::FAILURE
            }
        }
    }
}

/// Named tasks, all of them owned, none of which should end before it is told to.
struct Background {
    tasks: JoinSet<()>,
    names: HashMap<task::Id, &'static str>,
    stop: CancellationToken,
    shutdown: Shutdown,
}

impl Background {
    fn new(shutdown: Shutdown) -> Self {
        Self {
            tasks: JoinSet::new(),
            names: HashMap::new(),
            stop: CancellationToken::new(),
            shutdown,
        }
    }

    fn spawn(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        let spawned = self.tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = task => {}
            }
        });
        self.names.insert(spawned.id(), name);
    }

    /// For what ends by itself when the shutdown begins, and has something to put away first.
    fn spawn_to_its_end(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let spawned = self.tasks.spawn(task);
        self.names.insert(spawned.id(), name);
    }

    /// Waits for the end of all; false when one ended before the shutdown began.
    async fn supervise(mut self) -> bool {
        let mut intact = true;
        while let Some(ended) = self.tasks.join_next_with_id().await {
            if self.shutdown.draining().is_cancelled() {
                continue;
            }
            let id = match &ended {
                Ok((id, ())) => *id,
                Err(error) => error.id(),
            };
            let part = self.names.get(&id).copied().unwrap_or_default();
            match ended {
                Ok(_) => tracing::error!(part, "a part of cassgate ended by itself; shutting down"),
                Err(error) => tracing::error!(part, %error, "a part of cassgate failed; shutting down"),
            }
            intact = false;
            self.shutdown.begin();
        }
        intact
    }
}

#[cfg(test)]
mod tests {
    use super::{Background, Shutdown};

    #[tokio::test]
    async fn a_part_that_ends_by_itself_begins_the_shutdown() {
        let shutdown = Shutdown::new();
        let mut background = Background::new(shutdown.clone());
        background.spawn("short", async {});
        assert!(!background.supervise().await);
        assert!(shutdown.draining().is_cancelled());
    }

    #[tokio::test]
    async fn a_part_that_panics_begins_the_shutdown() {
        let shutdown = Shutdown::new();
        let mut background = Background::new(shutdown.clone());
        background.spawn("broken", async { panic!("on purpose") });
        assert!(!background.supervise().await);
        assert!(shutdown.draining().is_cancelled());
    }

    #[tokio::test]
    async fn parts_that_are_told_to_end_leave_it_intact() {
        let shutdown = Shutdown::new();
        let mut background = Background::new(shutdown.clone());
        background.spawn("long", std::future::pending());
        shutdown.begin();
        background.stop.cancel();
        assert!(background.supervise().await);
    }
}
