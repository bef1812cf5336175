//! A reconciler on the real kube-apiserver in simulated time that skips intervals in which it is idle.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use cassgate::api::CassandraBackup;
use cassgate::icarus::OperationRequest;
use cassgate::reconcile::Reconciler;
use cassgate::reconcile::lease::Timing;
use cassgate::reconcile::plan::NO_PROGRESS_TIMEOUT;
use cassgate::telemetry::metrics::Metrics;
use jiff::{SignedDuration, Timestamp};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client, Config};
use serde_json::{Value, json};
use tokio::runtime::Builder;
use tokio::sync::watch;
use tokio::time::{advance, sleep};

use super::clock::{History, Record};
use super::rings::Rings;
use crate::runs::wire::{Sidecars, Wire};
use crate::runs::world::{Lease, begin_at, behind, behind_as, config, now, run};
use crate::runs::{Lab, NoRules};
use crate::stand_in::Ring;
use crate::support::servers::Servers;
use crate::support::stage::Stage;

/// Time before the next due time at which skipping ends and time advances from timer to timer.
const LEAD: SignedDuration = SignedDuration::from_secs(5);

/// Longer than the work of one wake-up, and shorter than the next timer.
const INSTANT: Duration = Duration::from_millis(5);

/// Simulated time after which a busy reconciler counts as hung.
const TIMEOUT: SignedDuration = SignedDuration::from_hours(8);

/// The lease has tests of its own; here it is renewed only for a request.
const TIMING: Timing = Timing {
    duration: Duration::from_hours(24 * 3650),
    renew: Duration::from_hours(24 * 1800),
    retry: Duration::from_secs(2),
    margin: Duration::from_secs(3),
    answer: Duration::from_secs(4),
    longest_request: Duration::from_secs(10),
};

/// Namespaces with a cluster and its ring each, and a reconciler for all of them.
pub(super) struct World {
    pub(super) labs: Vec<Lab>,
    pub(super) rings: Rings,
    pub(super) wire: Wire,
    pub(super) client: Client,
    record: Arc<Record>,
    config: Config,
    power: watch::Sender<bool>,
    /// Starts and stops of the reconciler.
    turns: RefCell<Vec<(Timestamp, bool)>>,
}

/// Runs a test in its own namespaces on these servers. The reconciler also watches all other namespaces, unless there
/// is only one.
pub(super) fn in_skipping_time(
    servers: &'static Servers,
    namespaces: u16,
    beginning: Timestamp,
    test: impl AsyncFnOnce(&World),
) {
    let lab = |number| {
        let ring = Ring::new("2.0.4", 2, &[("k1.t1", 1), ("k1.t2", 2)]).in_network(number);
        ring.write("k1.t1", 0..10);
        ring.write("k1.t2", 0..10);
        Lab::of(ring, Stage::on(servers))
    };
    in_skipping_time_of((1..=namespaces).map(lab).collect(), beginning, test);
}

/// The same, in these labs, of which several may share a namespace.
pub(super) fn in_skipping_time_of(labs: Vec<Lab>, beginning: Timestamp, test: impl AsyncFnOnce(&World)) {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        begin_at(beginning);
        let world = World::new(labs).await;
        world.supervise(test(&world)).await;
    });
}

impl World {
    async fn new(labs: Vec<Lab>) -> Self {
        let record = Arc::new(Record::default());
        let config = config(&labs[0], &labs[0].stage.servers.admin_kubeconfig()).await;
        Self {
            rings: Rings::new(labs.iter().map(|lab| lab.ring.clone()).collect()),
            wire: Wire::with_listener(record.clone()),
            client: behind(&Wire::with_listener(record.clone()), &config),
            record,
            config,
            power: watch::Sender::new(false),
            turns: RefCell::default(),
            labs,
        }
    }

    /// Runs the reconciler whenever it has power, while the test runs.
    async fn supervise(&self, test: impl Future<Output = ()>) {
        let mut test = pin!(test);
        let mut power = self.power.subscribe();
        loop {
            if !*power.borrow_and_update() {
                tokio::select! {
                    biased;
                    _ = power.changed() => continue,
                    () = &mut test => return,
                }
            }
            self.turn(true);
            let over = tokio::select! {
                biased;
                () = self.wire.stopped() => false,
                () = self.is_cut_off(power.clone()) => false,
                () = self.process() => panic!("the reconciler ended by itself"),
                () = &mut test => true,
            };
            self.turn(false);
            if over {
                return;
            }
            self.power.send_replace(false);
            self.wire.start_next();
        }
    }

    /// Returns when the power is off, at an instant without pending answers. A client's request waits for its own
    /// task before it is counted, so the test cannot choose that instant.
    async fn is_cut_off(&self, mut power: watch::Receiver<bool>) {
        drop(power.changed().await);
        self.wire.answered().await;
    }

    fn turn(&self, up: bool) {
        self.turns.borrow_mut().push((now(), up));
    }

    async fn process(&self) {
        let sidecars = Sidecars {
            ring: self.rings.clone(),
            wire: self.wire.clone(),
        };
        let only = (self.labs.len() == 1).then(|| self.labs[0].stage.namespace.clone());
        // A client that retries by itself after 429 would wait for a time that waits for it.
        let mut config = self.config.clone();
        config.default_retry = false;
        let reconciler = Reconciler {
            client: behind(&self.wire, &config),
            sidecars,
            judge: Arc::new(NoRules),
            status_is_subresource: Box::new(|_| Some(true)),
            namespace: only,
            no_progress_timeout: NO_PROGRESS_TIMEOUT,
            now,
            metrics: Metrics::new(),
        };
        run(reconciler, Lease::free(&self.wire), ("one", TIMING), &self.wire).await;
    }

    /// Starts or stops the reconciler, at an instant without pending answers.
    pub(super) async fn set_running(&self, up: bool) {
        self.power.send_replace(up);
        sleep(INSTANT).await;
    }

    /// Returns true if it runs.
    pub(super) fn is_up(&self) -> bool {
        *self.power.borrow()
    }

    /// Returns the times of its starts and stops.
    pub(super) fn turns(&self) -> Vec<(Timestamp, bool)> {
        self.turns.borrow().clone()
    }

    /// Returns what was written to each backup, by `NAMESPACE/NAME`.
    pub(super) fn histories(&self) -> BTreeMap<String, History> {
        self.record.histories()
    }

    /// Returns a backup's key in the histories.
    pub(super) fn key(&self, namespace: usize, name: &str) -> String {
        format!("{}/{name}", self.labs[namespace].stage.namespace)
    }

    /// Returns the client of another program with its own user agent.
    pub(super) fn known_as(&self, program: &'static str) -> Client {
        behind_as(program, &Wire::with_listener(self.record.clone()), &self.config)
    }

    fn backups(&self, namespace: usize) -> Api<CassandraBackup> {
        Api::namespaced(self.client.clone(), &self.labs[namespace].stage.namespace)
    }

    /// Creates a backup with these additional fields, and waits until the reconciler has received it, if it runs.
    pub(super) async fn create(&self, namespace: usize, name: &str, more: &Value) {
        self.post(namespace, name, more).await;
        sleep(INSTANT).await;
    }

    /// Creates a backup with these additional fields.
    pub(super) async fn post(&self, namespace: usize, name: &str, more: &Value) {
        let mut spec = json!({
            "cassandraCluster": "c1", "storageLocation": "s3://bucket", "snapshotTag": name, "secret": "s3",
            "entities": "k1",
        });
        for (field, value) in more.as_object().unwrap() {
            spec[field] = value.clone();
        }
        let backup = json!({
            "apiVersion": "db.orange.com/v2", "kind": "CassandraBackup", "metadata": { "name": name }, "spec": spec,
        });
        let backup = serde_json::from_value(backup).unwrap();
        let parameters = PostParams::default();
        self.backups(namespace)
            .create(&parameters, &backup)
            .await
            .unwrap();
    }

    /// Changes a backup, waits until the reconciler has received it, if it runs, and returns the generation.
    pub(super) async fn edit(&self, namespace: usize, name: &str, spec: &Value) -> i64 {
        let patch = Patch::Merge(json!({ "spec": spec }));
        let backups = self.backups(namespace);
        let edited = backups
            .patch(name, &PatchParams::default(), &patch)
            .await
            .unwrap();
        sleep(INSTANT).await;
        edited.metadata.generation.unwrap()
    }

    /// Advances time to `until` with everything that falls due meanwhile, or until the reconciler stops.
    pub(super) async fn pass(&self, until: Timestamp) {
        let (up, mut busy) = (self.is_up(), None);
        while now() < until && self.is_up() == up {
            let rest = if up { self.record.rest() } else { Ok(None) };
            let next = match rest {
                Ok(next) => next.map_or(until, |next| next.min(until)),
                Err(who) => {
                    let since = *busy.get_or_insert_with(now);
                    assert!(
                        now().duration_since(since) < TIMEOUT,
                        "it hangs at {}: {who}",
                        now()
                    );
                    sleep(Duration::from_secs(1)).await;
                    continue;
                }
            };
            busy = None;
            let left = next.duration_since(now());
            if left > LEAD {
                advance((left - LEAD).unsigned_abs()).await;
            } else {
                sleep(left.unsigned_abs()).await;
            }
        }
    }

    /// Advances time until the reconciler is idle.
    pub(super) async fn rest(&self) {
        while self.record.rest().is_err() {
            let soon = now().checked_add(SignedDuration::from_secs(1)).unwrap();
            self.pass(soon).await;
        }
    }

    /// Counts the requests for each snapshot to each node of a namespace.
    pub(super) fn sent(&self, namespace: usize) -> BTreeMap<(String, usize), usize> {
        let mut sent = BTreeMap::new();
        for (node, request) in self.labs[namespace].ring.submitted() {
            if let OperationRequest::Backup(backup) = request {
                *sent.entry((backup.snapshot.to_string(), node)).or_default() += 1;
            }
        }
        sent
    }
}
