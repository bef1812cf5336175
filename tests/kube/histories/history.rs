//! A history: backups and restores of one cluster, its ring, and the processes of cassgate that reconcile them.

mod effects;

use std::cell::{Cell, RefCell};
use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use cassgate::api::{ABANDON_ANNOTATION, CassandraBackup, CassandraCluster, CassandraRestore};
use cassgate::reconcile::Reconciler;
use cassgate::reconcile::lease::Timing;
use cassgate::reconcile::plan::NO_PROGRESS_TIMEOUT;
use cassgate::telemetry::metrics::Metrics;
use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::NamespaceResourceScope;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::ApiResource;
use kube::{Api, Client, Config, Resource};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::{advance, sleep};

use self::effects::Due;
use super::event::{At, Delayed, generate};
use super::nodes::Nodes;
use super::objects;
use super::progress::{BOUND, Standing, reason, standing, summary};
use super::record::{Record, Stored};
use super::safety::Safety;
use super::sidecars::Sidecars;
use crate::runs::wire::{Sidecars as Tapped, Wire};
use crate::runs::world::{Lease, begin_at, behind, config, now, run, world_time};
use crate::runs::{Lab, NoRules};
use crate::stand_in::Ring;
use crate::support::servers::Crds;
use crate::support::stage::Stage;

const BACKUP: &str = "CassandraBackup";
const RESTORE: &str = "CassandraRestore";

/// The first backup.
const NIGHTLY: &str = "nightly";

/// The time between two checks, in which every timer fires.
const BEAT: SignedDuration = SignedDuration::from_secs(3);

/// Maximum time that is skipped at once while nothing is written, and while the same is tried again and again. All timers of
/// that time fire late.
const MAX_SKIP: SignedDuration = SignedDuration::from_mins(40);
const MAX_BUSY_SKIP: SignedDuration = SignedDuration::from_mins(10);

/// Maximum number of beats of a history.
const MAX_BEATS: usize = 6_000;

/// The time of this lease does not end while time is skipped, so that only an event can take it away.
const TIMING: Timing = Timing {
    duration: Duration::from_hours(24 * 3650),
    renew: Duration::from_secs(10),
    retry: Duration::from_secs(2),
    margin: Duration::from_secs(3),
    answer: Duration::from_secs(4),
    longest_request: Duration::from_secs(10),
};

/// A history that broke a property.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) seed: u64,
    pub(super) error: String,
    /// The events and the last statuses.
    pub(super) log: Vec<String>,
}

impl Failure {
    pub(super) fn panicked(seed: u64) -> Self {
        Self {
            seed,
            error: "panicked: see above".to_owned(),
            log: Vec::new(),
        }
    }
}

/// The size of histories.
#[derive(Debug, Default)]
pub(super) struct Played {
    events: usize,
    kills: usize,
    writes: usize,
    snapshots: usize,
    restores: usize,
    beats: usize,
}

impl Played {
    pub(super) fn add(&mut self, other: &Self) {
        self.events += other.events;
        self.kills += other.kills;
        self.writes += other.writes;
        self.snapshots += other.snapshots;
        self.restores += other.restores;
        self.beats += other.beats;
    }
}

impl fmt::Display for Played {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            events,
            kills,
            writes,
            snapshots,
            restores,
            beats,
        } = self;
        write!(
            formatter,
            "{events} events, {kills} kills of cassgate, {writes} writes, {snapshots} good snapshots, {restores} good \
             restores, {beats} beats"
        )
    }
}

struct History {
    lab: Lab,
    nodes: Nodes,
    wire: Wire,
    lease: Lease,
    record: Arc<Record>,
    client: Client,
    config: Config,
    /// The version of the sidecars.
    version: &'static str,
    /// Kills the process at this instant.
    cut: Notify,
    /// The time that the next killed process is away.
    away: Cell<Duration>,
    kills: Cell<usize>,
    beats: Cell<usize>,
    due: RefCell<Vec<(Timestamp, Due)>>,
    keys: RefCell<u32>,
    log: RefCell<Vec<String>>,
}

/// Plays the history of a seed.
#[expect(
    clippy::unwrap_in_result,
    reason = "an error is a violated property, and a panic is a mistake of the test"
)]
pub(super) fn play(seed: u64) -> Result<Played, Failure> {
    let mut random = Rng::with_seed(seed);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    let outcome = runtime.block_on(async {
        begin_at(Timestamp::from_second(Timestamp::now().as_second()).unwrap());
        let nodes = random.usize(1..=3);
        let events = generate(&mut random, nodes);
        let history = History::new(&mut random, nodes).await;
        let outcome = history.supervise(history.judge(&events, &mut random)).await;
        history.wire.arm(None);
        outcome
            .map_err(|error| history.failure(seed, error))
            .map(|()| Played {
                events: events.len(),
                kills: history.kills.get(),
                writes: history.record.activity().writes,
                snapshots: history.record.completed().0,
                restores: history.record.completed().1,
                beats: history.beats.get(),
            })
    });
    runtime.shutdown_background();
    outcome
}

impl History {
    async fn new(random: &mut Rng, nodes: usize) -> Self {
        let version = ["2.0.4", "2.0.4", "1.1.3", "3.0.0"][random.usize(0..4)];
        let tables = [("k1.t1", 1), ("k1.t2", nodes.min(2))];
        let ring = Ring::new(version, nodes, &tables);
        ring.advance_to(world_time());
        if random.bool() {
            ring.upload_manifests_early();
        }
        let pace = SignedDuration::from_secs([1, 1, 4, 40][random.usize(0..4)]);
        let record = Arc::new(Record::new(ring.clone()));
        let lab = Lab::bare(ring.clone(), Stage::new(Crds::Ours));
        let mut config = config(&lab, &lab.stage.servers.admin_kubeconfig()).await;
        // A client that retries by itself would wait for a time that waits for it.
        config.default_retry = false;
        let client = behind(&Wire::with_listener(record.clone()), &config);
        let sidecars = Sidecars::new(ring.clone(), pace);
        let wire = Wire::with_listener(record.clone());
        let history = Self {
            nodes: Nodes::new(ring, sidecars, client.clone(), &lab.stage.namespace),
            lab,
            lease: Lease::free(&wire),
            wire,
            record,
            client,
            config,
            version,
            cut: Notify::new(),
            away: Cell::default(),
            kills: Cell::default(),
            beats: Cell::default(),
            due: RefCell::default(),
            keys: RefCell::new(0),
            log: RefCell::default(),
        };
        history.begin(random, nodes, pace).await;
        history
    }

    /// Creates the cluster and the first backup.
    async fn begin(&self, random: &mut Rng, nodes: usize, pace: SignedDuration) {
        self.create::<CassandraCluster>(&objects::cluster(self.version))
            .await;
        for node in 0..nodes {
            self.nodes.report(node).await;
        }
        self.write();
        let mut more = json!({});
        if random.u8(0..3) > 0 {
            more["schedule"] = json!("@every 18h");
            if random.bool() {
                more["retention"] = json!({ "keepLast": random.i32(1..3) });
            }
        }
        let version = self.version;
        self.note(&format!(
            "{nodes} nodes with Icarus {version}, a step takes {pace:#}, backup {more}"
        ));
        self.create::<CassandraBackup>(&objects::backup(NIGHTLY, &more))
            .await;
    }

    fn note(&self, line: &str) {
        self.log.borrow_mut().push(format!("{:.3}  {line}", world_time()));
    }

    fn failure(&self, seed: u64, error: String) -> Failure {
        let mut log = self.log.borrow().clone();
        log.push(format!("{:.3}  {error}", world_time()));
        log.extend(self.record.all().iter().map(|stored| summary(&stored.object)));
        let acts = self.wire.acts();
        let last = acts.len().saturating_sub(20);
        log.push(format!("the last acts: {:#?}", &acts[last..]));
        let submitted = self.nodes.ring.submitted();
        let last = submitted.len().saturating_sub(20);
        for (node, request) in &submitted[last..] {
            let request = request.to_json();
            let phase = &request["restorationPhase"];
            log.push(format!(
                "node {node} was sent {} {phase} {}",
                request["type"], request["snapshotTag"]
            ));
        }
        Failure { seed, error, log }
    }

    /// Runs one process of cassgate after another while the test runs.
    async fn supervise<T>(&self, test: impl Future<Output = T>) -> T {
        let mut test = pin!(test);
        loop {
            let cut = async {
                self.cut.notified().await;
                self.wire.answered().await;
            };
            tokio::select! {
                biased;
                () = self.wire.stopped() => {}
                () = cut => {}
                () = self.process() => panic!("cassgate ended by itself"),
                done = &mut test => return done,
            }
            self.wire.start_next();
            self.kills.set(self.kills.get() + 1);
            self.note("cassgate is killed");
            tokio::select! {
                biased;
                () = sleep(self.away.get()) => {}
                done = &mut test => return done,
            }
            self.note("cassgate starts");
        }
    }

    async fn process(&self) {
        // The former process is known to have ended.
        self.lease.release_of("one");
        let sidecars = Tapped {
            ring: self.nodes.sidecars.clone(),
            wire: self.wire.clone(),
        };
        let reconciler = Reconciler {
            client: behind(&self.wire, &self.config),
            sidecars,
            judge: Arc::new(NoRules),
            status_is_subresource: Box::new(|_| Some(true)),
            namespace: Some(self.lab.stage.namespace.clone()),
            no_progress_timeout: NO_PROGRESS_TIMEOUT,
            now,
            metrics: Metrics::new(),
        };
        run(reconciler, self.lease.clone(), ("one", TIMING), &self.wire).await;
    }

    fn api<K: Resource<DynamicType = (), Scope = NamespaceResourceScope>>(&self) -> Api<K> {
        Api::namespaced(self.client.clone(), &self.lab.stage.namespace)
    }

    async fn create<K: Resource<DynamicType = ()>>(&self, object: &Value) {
        let resource = ApiResource::erase::<K>(&());
        let namespace = &self.lab.stage.namespace;
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), namespace, &resource);
        let object = serde_json::from_value(object.clone()).unwrap();
        api.create(&PostParams::default(), &object).await.unwrap();
    }

    /// Changes an object, unless it does not exist any more.
    async fn patch<K>(&self, name: &str, patch: &Value)
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + std::fmt::Debug
            + serde::de::DeserializeOwned,
    {
        let api = self.api::<K>();
        drop(
            api.patch(name, &PatchParams::default(), &Patch::Merge(patch))
                .await,
        );
    }

    async fn delete<K>(&self, name: &str)
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + std::fmt::Debug
            + serde::de::DeserializeOwned,
    {
        drop(self.api::<K>().delete(name, &DeleteParams::default()).await);
    }

    /// Plays the events and checks every property.
    async fn judge(&self, events: &[Delayed], random: &mut Rng) -> Result<(), String> {
        for (delay, event) in events {
            self.pass(*delay).await?;
            self.log.borrow_mut().push(At(world_time(), event).to_string());
            self.nodes.sidecars.advance();
            self.apply(event, random).await;
        }
        // Nothing changes any more: each object ends, advances or says what a person has to do.
        self.pass(BOUND).await?;
        self.note("every cause is removed");
        self.heal().await;
        self.pass(BOUND).await?;
        for name in self.record.names(RESTORE) {
            self.end_restore(&name).await?;
        }
        if !self
            .record
            .names(BACKUP)
            .iter()
            .all(|name| self.is_at_rest(BACKUP, name))
        {
            // A backup waits for the restores.
            self.pass(BOUND).await?;
        }
        for name in self.record.names(BACKUP) {
            if !self.is_at_rest(BACKUP, &name) {
                return Err(format!(
                    "a backup does not continue: {}",
                    reason(&self.object(BACKUP, &name))
                ));
            }
            Safety::check_files(&self.nodes.ring, &self.object(BACKUP, &name))?;
        }
        self.record.check()
    }

    fn object(&self, kind: &str, name: &str) -> Value {
        self.record
            .get(kind, name)
            .map(|stored| stored.object)
            .unwrap_or_default()
    }

    fn is_at_rest(&self, kind: &str, name: &str) -> bool {
        let stored = self.record.get(kind, name);
        stored
            .is_none_or(|Stored { object, is_gone, .. }| is_gone || standing(&object) == Ok(Standing::AtRest))
    }

    /// Ends a restore that still waits as its message says, and checks that it ends.
    async fn end_restore(&self, name: &str) -> Result<(), String> {
        if self.is_at_rest(RESTORE, name) {
            return Ok(());
        }
        let restore = self.object(RESTORE, name);
        if standing(&restore)? == Standing::UnderWay {
            return Err(format!("a restore does not continue: {}", reason(&restore)));
        }
        if restore["status"]["source"].is_null() {
            self.note(&format!(
                "{name} is deleted, because it says {}",
                reason(&restore)
            ));
            self.delete::<CassandraRestore>(name).await;
        } else {
            self.note(&format!(
                "{name} is abandoned, because it says {}",
                reason(&restore)
            ));
            self.patch::<CassandraRestore>(name, &Nodes::annotation(ABANDON_ANNOTATION, "yes"))
                .await;
        }
        self.pass(BOUND).await?;
        if self.is_at_rest(RESTORE, name) {
            return Ok(());
        }
        Err(format!(
            "an abandoned restore does not end: {}",
            reason(&self.object(RESTORE, name))
        ))
    }

    /// Lets time pass. While nothing happens, it is skipped.
    async fn pass(&self, time: SignedDuration) -> Result<(), String> {
        let end = world_time().checked_add(time).unwrap();
        let mut skip = SignedDuration::ZERO;
        loop {
            self.end_due().await;
            self.record.check()?;
            let due = self.due.borrow().iter().map(|(time, _)| *time).min();
            let next = due.unwrap_or(end).min(end);
            let left = |next: Timestamp| next.duration_since(world_time()).max(SignedDuration::ZERO);
            if left(end).is_zero() {
                return Ok(());
            }
            self.beats.set(self.beats.get() + 1);
            if self.beats.get() > MAX_BEATS {
                return Err("reconciles in a loop".to_owned());
            }
            let before = self.record.activity();
            sleep(BEAT.min(left(next)).unsigned_abs()).await;
            let after = self.record.activity();
            skip = if after.advances > before.advances {
                SignedDuration::ZERO
            } else if after.writes > before.writes {
                (skip + BEAT).min(MAX_BUSY_SKIP)
            } else {
                (skip * 2).clamp(BEAT, MAX_SKIP)
            };
            if skip > BEAT && !self.wire.is_busy() {
                advance(skip.min(left(next)).unsigned_abs()).await;
            }
        }
    }
}
