//! A reconciler on the real kube-apiserver in simulated time: time stands still while a request to the API server is
//! pending, and otherwise runs some hundred times faster than real time.

use std::cell::Cell;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use cassgate::api::Kind;
use cassgate::api::{CassandraBackup, CassandraRestore};
use cassgate::evaluate::{Judge, StoredJudge};
use cassgate::icarus::SidecarApi;
use cassgate::kubernetes::{StatusSubresources, cached_facts, follow_status_subresources};
use cassgate::reconcile::Reconciler;
use cassgate::reconcile::lease::{
    BootTime, Clocks, LeaseKeeper, LeaseOptions, LeaseStore, LeaseStoreError, Record, Stored, Timing, Written,
};
use cassgate::reconcile::plan::NO_PROGRESS_TIMEOUT;
use cassgate::rules::policy::{Executor, Policy};
use cassgate::telemetry::metrics::Metrics;
use jiff::Timestamp;
use kube::api::PostParams;
use kube::client::ClientBuilder;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use serde_json::{Value, json};
use tokio::runtime::Builder;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, advance, sleep};
use tokio_util::sync::CancellationToken;

use super::wire::{Sidecars, Tapped, Wire};
use super::{Lab, NoRules};
use crate::stand_in::Ring;

/// The step of simulated time, and the real time that it takes.
const STRIDE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_millis(2));

/// After this many ticks an answer is not pending any more: the client pauses before its next attempt.
const LONGEST_ANSWER: usize = 500;

/// Timeout for a run, in simulated time.
const TIMEOUT: Duration = Duration::from_hours(2);

thread_local! {
    /// The simulated time: its beginning in both clocks, and the number of seconds by which the clock was set.
    static BEGINNING: Cell<Option<(Timestamp, Instant)>> = const { Cell::new(None) };
    static SET_BY: Cell<i64> = const { Cell::new(0) };
}

fn elapsed() -> Duration {
    BEGINNING
        .get()
        .map_or(Duration::ZERO, |(_, begun)| begun.elapsed())
}

/// Starts the simulated time.
pub(crate) fn begin_at(beginning: Timestamp) {
    BEGINNING.set(Some((beginning, Instant::now())));
    set_clock_by(0);
}

/// Returns the time by the clock of the reconciler.
pub(crate) fn now() -> Timestamp {
    let (beginning, _) = BEGINNING.get().unwrap();
    let set_by = jiff::SignedDuration::from_secs(SET_BY.get());
    beginning + elapsed() + set_by
}

/// Returns the time of the world, however the clock of the reconciler is set.
pub(crate) fn world_time() -> Timestamp {
    let (beginning, _) = BEGINNING.get().unwrap();
    beginning + elapsed()
}

/// Sets the clock of the reconciler forward or back.
pub(crate) fn set_clock_by(seconds: i64) {
    SET_BY.set(seconds);
}

/// A ring, a namespace, and a wire between a reconciler and both.
pub(super) struct World {
    pub(super) lab: Lab,
    pub(super) ring: Ring,
    pub(super) wire: Wire,
    /// The wire of a second replica, or of another program.
    pub(super) second: Wire,
    /// A client outside of all wires.
    client: Client,
    config: Config,
    /// The rules that the reconciler uses.
    judge: Arc<dyn Judge>,
    /// The discovered owner of the CRDs, in tests that need discovery.
    found: Option<watch::Receiver<StatusSubresources>>,
}

/// Runs a test in simulated time.
pub(super) fn in_simulated_time<F: Future<Output = ()>>(test: impl FnOnce(World) -> F) {
    in_simulated_time_on(Lab::still(), test);
}

/// The same, in this lab.
pub(super) fn in_simulated_time_on<F: Future<Output = ()>>(lab: Lab, test: impl FnOnce(World) -> F) {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    let (over, pulse) = (Arc::new(AtomicBool::new(false)), Arc::new(Notify::new()));
    let outcome = runtime.block_on(async {
        let (ends, beats) = (Arc::clone(&over), Arc::clone(&pulse));
        // While this task runs, tokio does not advance its clock by itself.
        let heart = tokio::task::spawn_blocking(move || {
            while !ends.load(Ordering::Relaxed) {
                thread::sleep(STRIDE.1);
                beats.notify_one();
            }
        });
        begin_at(Timestamp::now());
        let world = World::new(lab).await;
        let (ring, wire, second) = (world.ring.clone(), world.wire.clone(), world.second.clone());
        let time = async {
            let mut busy = 0;
            loop {
                pulse.notified().await;
                busy = if wire.is_busy() || second.is_busy() {
                    busy + 1
                } else {
                    0
                };
                if busy == 0 || busy > LONGEST_ANSWER {
                    busy = 0;
                    advance(STRIDE.0).await;
                    ring.tick();
                }
            }
        };
        let test = std::panic::AssertUnwindSafe(test(world));
        let outcome = tokio::select! {
            outcome = futures::FutureExt::catch_unwind(test) => outcome,
            () = time => Ok(()),
        };
        over.store(true, Ordering::Relaxed);
        heart.await.unwrap();
        outcome
    });
    if let Err(panicked) = outcome {
        std::panic::resume_unwind(panicked);
    }
}

/// Returns the client configuration for the API server of a lab with these rights.
pub(crate) async fn config(lab: &Lab, kubeconfig: &Path) -> Config {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).unwrap();
    let options = KubeConfigOptions::default();
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &options)
        .await
        .unwrap();
    // The API server lives in real time, so these timeouts would fire too early in simulated time.
    config.connect_timeout = None;
    config.read_timeout = None;
    config.write_timeout = None;
    config.default_namespace.clone_from(&lab.stage.namespace);
    config
}

/// Returns a client whose requests go through this wire.
pub(crate) fn behind(wire: &Wire, config: &Config) -> Client {
    let wire = wire.clone();
    let layer = tower::layer::layer_fn(move |server| Tapped {
        server,
        wire: wire.clone(),
    });
    let untapped = ClientBuilder::try_from(config.clone()).unwrap();
    untapped.with_layer(&layer).build()
}

/// The same for another program, with its own user agent.
pub(crate) fn behind_as(program: &'static str, wire: &Wire, config: &Config) -> Client {
    let mut config = config.clone();
    let name = http::HeaderValue::from_static(program);
    config.headers.push((http::header::USER_AGENT, name));
    behind(wire, &config)
}

/// Runs a reconciler as a process that holds this lease, for as long as the wire lets it.
pub(crate) async fn run<S: SidecarApi + 'static>(
    reconciler: Reconciler<S>,
    lease: Lease,
    (identity, timing): (&str, Timing),
    wire: &Wire,
) {
    let reconciler = Arc::new(reconciler);
    let options = LeaseOptions {
        identity: identity.to_owned(),
        timing,
    };
    let clocks = Clocks {
        boot: Arc::new(|| BootTime(elapsed())),
        wall: Arc::new(now),
    };
    let keeper = LeaseKeeper::new(options, lease, clocks, Metrics::new()).unwrap();
    let process = keeper.run(CancellationToken::new(), |leadership| {
        reconciler.clone().run(leadership)
    });
    wire.run(process).await;
}

impl World {
    async fn new(lab: Lab) -> Self {
        let own = config(&lab, &lab.kubeconfig).await;
        let admin = config(&lab, &lab.stage.servers.admin_kubeconfig()).await;
        Self {
            ring: lab.ring.clone(),
            wire: Wire::default(),
            second: Wire::default(),
            client: Client::try_from(admin).unwrap(),
            config: own,
            judge: Arc::new(NoRules),
            found: None,
            lab,
        }
    }

    /// Gives the reconcilers cassgate's rules with its caches, for as long as this future is polled.
    pub(super) fn rules(&mut self) -> impl Future<Output = ()> + use<> {
        let (client, metrics) = (self.behind(&self.wire), Metrics::new());
        let (facts, caches) = cached_facts(&client, &metrics);
        self.judge = Arc::new(StoredJudge {
            facts: Arc::new(facts),
            policy: Policy {
                executor: Executor::Cassgate,
                ..Policy::default()
            },
            now,
        });
        async {
            futures::future::join_all(caches.map(|cache| cache.run)).await;
        }
    }

    fn behind(&self, wire: &Wire) -> Client {
        behind(wire, &self.config)
    }

    /// Lets the reconcilers discover the owner of the CRDs, as cassgate does, for as long as this future is polled.
    pub(super) fn discovery(&mut self) -> impl Future<Output = ()> + use<> {
        let (known, found) = watch::channel(StatusSubresources::default());
        self.found = Some(found);
        follow_status_subresources(self.behind(&self.second), known)
    }

    /// Returns whether the status of restores was discovered as a subresource.
    pub(super) fn found(&self) -> Option<bool> {
        self.found.as_ref().and_then(|found| found.borrow().restores)
    }

    /// Returns the client of another program with its own user agent. Simulated time stands still while it waits for
    /// an answer, or a node could end a phase meanwhile.
    pub(super) fn known_as(&self, program: &'static str) -> Client {
        behind_as(program, &self.second, &self.config)
    }

    pub(super) fn backups(&self) -> Api<CassandraBackup> {
        Api::default_namespaced(self.client.clone())
    }

    pub(super) fn restores(&self) -> Api<CassandraRestore> {
        Api::default_namespaced(self.client.clone())
    }

    /// Creates a backup of all entities.
    pub(super) async fn back_up(&self, name: &str) {
        let backup = json!({
            "apiVersion": "db.orange.com/v2", "kind": "CassandraBackup",
            "metadata": { "name": name },
            "spec": {
                "cassandraCluster": "c1", "storageLocation": "s3://bucket", "snapshotTag": name,
                "secret": "s3", "entities": "k1",
            },
        });
        let backup = serde_json::from_value(backup).unwrap();
        self.backups()
            .create(&PostParams::default(), &backup)
            .await
            .unwrap();
    }

    /// Creates a restore of a backup.
    pub(super) async fn restore(&self, name: &str, backup: &str) {
        let restore = json!({
            "apiVersion": "db.orange.com/v2", "kind": "CassandraRestore",
            "metadata": { "name": name },
            "spec": { "cassandraCluster": "c1", "cassandraBackup": backup },
        });
        let restore = serde_json::from_value(restore).unwrap();
        self.restores()
            .create(&PostParams::default(), &restore)
            .await
            .unwrap();
    }

    /// Runs a reconciler as a process that leads at once: the previous leader is known to have ended.
    pub(super) async fn process(&self) {
        let lease = Lease::free(&self.wire);
        self.process_with(lease, "one", &self.wire).await;
    }

    /// The same, with this lease and wire.
    pub(super) async fn process_with(&self, lease: Lease, identity: &str, wire: &Wire) {
        let sidecars = Sidecars {
            ring: self.ring.clone(),
            wire: wire.clone(),
        };
        let (crds, found) = (wire.clone(), self.found.clone());
        let is_subresource = move |_: Kind| {
            let found = found.as_ref().map(|found| found.borrow().restores);
            found.unwrap_or_else(|| Some(!crds.is_foreign()))
        };
        let reconciler = Reconciler {
            client: self.behind(wire),
            sidecars,
            judge: Arc::clone(&self.judge),
            status_is_subresource: Box::new(is_subresource),
            namespace: Some(self.lab.stage.namespace.clone()),
            no_progress_timeout: NO_PROGRESS_TIMEOUT,
            now,
            metrics: Metrics::new(),
        };
        let timing = Timing::standard(Duration::from_secs(10));
        run(reconciler, lease, (identity, timing), wire).await;
    }

    /// Runs one process after another, as many as needed, while `test` runs.
    pub(super) async fn while_it_runs<T>(&self, test: impl Future<Output = T>) -> T {
        let mut test = Box::pin(test);
        loop {
            let done = tokio::select! {
                biased;
                () = self.wire.stopped() => None,
                () = self.process() => panic!("a process ended by itself"),
                done = &mut test => Some(done),
            };
            match done {
                Some(done) => return done,
                None => self.wire.start_next(),
            }
        }
    }

    /// Waits until a request of this phase is sent.
    pub(super) async fn until_sent(&self, phase: &str) {
        while !self.wire.acts().iter().any(|act| act.starts_with(phase)) {
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// Waits until an object satisfies `so`, and returns it.
    pub(super) async fn until<K>(&self, api: &Api<K>, name: &str, so: impl Fn(&Value) -> bool) -> Value
    where
        K: Clone + std::fmt::Debug + serde::de::DeserializeOwned + serde::Serialize,
    {
        let begun = Instant::now();
        loop {
            let object = serde_json::to_value(api.get_opt(name).await.unwrap()).unwrap();
            if so(&object) {
                return object;
            }
            assert!(
                begun.elapsed() < TIMEOUT,
                "{name} hangs: {:#}\nacts: {:#?}",
                object["status"],
                self.wire.acts()
            );
            sleep(Duration::from_secs(1)).await;
        }
    }

    /// Waits until a restore is over and released, and returns it.
    pub(super) async fn until_over(&self, name: &str) -> Value {
        self.until(&self.restores(), name, |restore| {
            restore["status"]["timeCompleted"].is_string() && restore["metadata"]["finalizers"].is_null()
        })
        .await
    }
}

/// A lease in memory, reached through the wire like the API server.
#[derive(Clone)]
pub(crate) struct Lease(Arc<Mutex<(u32, Record)>>, Wire);

impl Lease {
    /// Returns a lease that its holder released.
    pub(crate) fn free(wire: &Wire) -> Self {
        let held = Record::taken("nobody", None, Duration::from_secs(15), now());
        Self(Arc::new(Mutex::new((0, held.released(now())))), wire.clone())
    }
}

impl Lease {
    /// Lets another replica take the lease.
    pub(crate) fn take(&self) {
        self.store(|record| Record::taken("another", Some(record), Duration::from_hours(1), now()));
    }

    /// Releases the lease for a holder that has ended, if it holds the lease.
    pub(crate) fn release_of(&self, holder: &str) {
        self.store(|record| {
            if record.is_held_by(holder) {
                record.released(now())
            } else {
                record.clone()
            }
        });
    }

    fn store(&self, next: impl FnOnce(&Record) -> Record) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *kept = (kept.0 + 1, next(&kept.1));
    }

    fn reach(&self) -> Result<(), LeaseStoreError> {
        if self.1.is_gone() {
            return Err(LeaseStoreError("connection refused".to_owned()));
        }
        Ok(())
    }
}

impl LeaseStore for Lease {
    async fn read(&self) -> Result<Option<Stored>, LeaseStoreError> {
        self.reach()?;
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(Some(Stored {
            version: kept.0.to_string(),
            record: kept.1,
        }))
    }

    async fn write(&self, record: &Record, over: Option<&str>) -> Result<Written, LeaseStoreError> {
        self.reach()?;
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if over != Some(&kept.0.to_string()) {
            return Ok(Written::Conflict);
        }
        *kept = (kept.0 + 1, record.clone());
        Ok(Written::Stored(Stored {
            version: kept.0.to_string(),
            record: record.clone(),
        }))
    }
}
