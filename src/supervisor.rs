//! Background tasks of `cassgate run`: start order, supervision and shutdown order.
//!
//! Every task beside the two servers is a named member of one set. A task that ends before the shutdown starts the
//! shutdown, and the process exits with 1.

mod authority;
mod reconciler;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use jiff::Timestamp;
use kube::Client;
use tokio::sync::watch;
use tokio::task::{self, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::admission::{self, Admission};
use crate::api::Kind;
use crate::evaluate::StoredJudge;
use crate::icarus::client::HttpSidecars;
use crate::kubernetes::{self, CacheState, ClusterFacts, ConnectError, StatusSubresources};
use crate::reconcile::Reconciler;
use crate::reconcile::lease::{LeaseOptionsError, LeaseState};
use crate::rules::policy::{Executor, Policy};
use crate::server::accept::{Drained, Server};
use crate::server::harden::harden;
use crate::server::limits::Limits;
use crate::server::listen::{BindError, Bound, bind};
use crate::server::readiness::{Gate, Note, Readiness};
use crate::server::shutdown::{ExitNow, Shutdown, SignalError, Signals};
use crate::server::{admin, https};
use crate::telemetry::log::LogControl;
use crate::telemetry::metrics::{Listener, Metrics};
use crate::tls::{self, ConfigError, Keeper, SelfKeeper, SelfOptions, Served, StartError, TlsChoice};

use authority::KubernetesStore;
pub use authority::MARK as AUTHORITY_LABEL;

/// How long the admin port may take to answer its last probe.
pub const ADMIN_DRAIN: Duration = Duration::from_secs(1);

/// The configuration of one process, as the command line gives it.
#[derive(Debug)]
pub struct Options {
    /// The address of the webhook, over TLS.
    pub listen: SocketAddr,
    /// The address of the admin server, over plain HTTP.
    pub admin_listen: SocketAddr,
    /// The time between SIGTERM and the end of the accept loop, in which the API server learns of the shutdown.
    pub shutdown_delay: Duration,
    /// The time that requests in flight then have to finish.
    pub drain_timeout: Duration,
    /// The source of the certificate.
    pub tls: TlsChoice,
    /// The interval at which certificate files are read again.
    pub tls_reload_interval: Duration,
    /// The policy of the rules.
    pub policy: Policy,
}

/// The way in which a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "an unclean end is worth an exit code"]
pub enum Ended {
    /// After a shutdown in which every request was answered.
    Cleanly,
    /// A task ended by itself, requests were cut, or a second signal came.
    Uncleanly,
}

/// An error that prevents the start.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// No certificate can be served.
    #[error(transparent)]
    Certificate(#[from] StartError),
    /// rustls accepts the certificate, but not the settings.
    #[error(transparent)]
    Tls(#[from] ConfigError),
    /// A port cannot be bound.
    #[error(transparent)]
    Port(#[from] BindError),
    /// The Kubernetes configuration is missing or unusable.
    #[error(transparent)]
    Kubernetes(#[from] ConnectError),
    /// The durations of the lease contradict each other.
    #[error(transparent)]
    Lease(#[from] LeaseOptionsError),
    /// The signal handlers cannot be installed.
    #[error(transparent)]
    Signals(#[from] SignalError),
}

/// Serves until a signal arrives or a task ends.
///
/// # Errors
/// Returns an error if the process cannot start.
pub async fn run(options: Options, log: LogControl) -> Result<Ended, RunError> {
    let signals = Signals::install()?;
    tls::install_default_provider();
    let (readiness, metrics, shutdown) = (Readiness::new(), Metrics::new(), Shutdown::new());

    let gate = readiness.gate("tls", "no certificate yet");
    let certificate = Certificate::start(options.tls, options.tls_reload_interval, gate, &metrics)?;
    let webhook_port = bind(Listener::Webhook, options.listen).await?;
    let admin_port = bind(Listener::Admin, options.admin_listen).await?;
    let client = kubernetes::connect().await?;

    let mut background = Background::new(shutdown.clone());
    let (served, kept) = certificate.keep(&client, &metrics, shutdown.stopping().clone());
    let server_config = tls::server_config(served)?;
    background.spawn("certificate", kept);
    let policy = options.policy;
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
    let webhook = https::server(
        webhook_port,
        server_config,
        router,
        Limits::default(),
        metrics.clone(),
    );
    let admin = admin_server(admin_port, &readiness, metrics, log);
    let parts = Parts {
        webhook,
        admin,
        background,
        drain: options.drain_timeout,
    };
    tokio::select! {
        ExitNow = shutdown.clone().conduct(signals, &readiness, options.shutdown_delay) => Ok(Ended::Uncleanly),
        ended = parts.run(&shutdown) => Ok(ended),
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
    fn start(choice: TlsChoice, every: Duration, gate: Gate, metrics: &Metrics) -> Result<Self, RunError> {
        Ok(match choice {
            TlsChoice::Pair(source) => {
                let keeper = Keeper::start(source, gate, metrics.clone(), Timestamp::now())?;
                Self::Kept(keeper, every)
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

    fn status_is_subresource(&self) -> Box<dyn Fn(Kind) -> Option<bool> + Send + Sync> {
        let subresources = self.subresources.clone();
        Box::new(move |kind| match kind {
            Kind::Restore => subresources.borrow().restores,
            Kind::Backup => subresources.borrow().backups,
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
    let (facts, caches) = kubernetes::cached_facts(&client, metrics);
    for cache in caches {
        let gate = readiness.gate(cache.name, "not listed yet");
        background.spawn("gate of a cache", follow(cache.state, gate));
        background.spawn(cache.name, cache.run);
    }
    let facts = Arc::new(facts);

    let (known, subresources) = watch::channel(StatusSubresources::default());
    background.spawn("discovery", kubernetes::follow_status_subresources(client, known));
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
    async fn run(self, shutdown: &Shutdown) -> Ended {
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
                Ended::Cleanly
            }
            Drained::Finished => Ended::Uncleanly,
            Drained::Cut { connections } => {
                tracing::warn!(connections, "the drain took too long; connections were cut");
                Ended::Uncleanly
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
