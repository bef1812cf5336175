//! `cassgate check`, offline and with a Kubernetes cluster to ask.

use std::process::ExitCode;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use tokio::runtime;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::api::{CassandraBackup, CassandraCluster, CassandraRestore};
use crate::check::report::Outcome;
use crate::cli::{self, CheckArgs, CheckCommandError};
use crate::cluster::{self, Cache, CacheState, Cached, ClusterFacts, ConnectError, Kind, Readers};
use crate::observe::metrics::Metrics;
use crate::serve::certs;

/// How long the lists of clusters, backups, restores and namespaces may take. Without them only what an object names
/// is known, and not what it gets in the way of.
const LISTS: Duration = Duration::from_secs(10);

/// Why there are no verdicts.
#[derive(Debug, thiserror::Error)]
enum CheckError {
    /// No Kubernetes configuration.
    #[error(transparent)]
    Kubernetes(#[from] ConnectError),
    /// The command itself.
    #[error(transparent)]
    Command(#[from] CheckCommandError),
}

/// Judges manifests. 0: nothing is refused; 1: something is; 2: something could not be read or asked.
#[must_use]
pub fn check(args: &CheckArgs) -> ExitCode {
    let mut builder = runtime::Builder::new_current_thread();
    if args.live() {
        builder.enable_all();
    }
    let runtime = match builder.build() {
        Ok(runtime) => runtime,
        Err(error) => {
            cli::tell(&error);
            return ExitCode::from(2);
        }
    };
    match runtime.block_on(judged(args)) {
        Ok(Outcome::Good) => ExitCode::SUCCESS,
        Ok(Outcome::Denied) => ExitCode::FAILURE,
        Ok(Outcome::Unusable) => ExitCode::from(2),
        Err(error) => {
            cli::tell(&error);
            ExitCode::from(2)
        }
    }
}

async fn judged(args: &CheckArgs) -> Result<Outcome, CheckError> {
    let now = Timestamp::now();
    if !args.live() {
        return Ok(cli::check(args, now, None).await?);
    }
    certs::install_default_provider();
    let client = cluster::connect_to(args.context()).await?;
    let metrics = Metrics::new();
    let mut caches = Caches {
        client: client.clone(),
        metrics: metrics.clone(),
        tasks: JoinSet::new(),
        states: Vec::new(),
    };
    let readers = Readers {
        clusters: caches.start::<CassandraCluster>(),
        backups: caches.start::<CassandraBackup>(),
        restores: caches.start::<CassandraRestore>(),
        namespaces: caches.start::<Namespace>(),
    };
    drop(timeout(LISTS, caches.listed()).await);
    let facts = ClusterFacts::new(client, readers, metrics);
    Ok(cli::check(args, now, Some(&facts)).await?)
}

/// Caches that live as long as this.
struct Caches {
    client: kube::Client,
    metrics: Metrics,
    tasks: JoinSet<()>,
    states: Vec<watch::Receiver<CacheState>>,
}

impl Caches {
    fn start<K: Kind>(&mut self) -> Cached<K> {
        let cache = Cache::<K>::new(self.client.clone(), self.metrics.clone());
        let reader = cache.reader();
        self.states.push(cache.state());
        self.tasks.spawn(cache.run());
        reader
    }

    /// Waits until each has listed what there is. It may be for ever: who asks may not be allowed to.
    async fn listed(&mut self) {
        for state in &mut self.states {
            while state.borrow_and_update().unready().is_some() {
                if state.changed().await.is_err() {
                    break;
                }
            }
        }
    }
}
