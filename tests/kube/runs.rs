//! The reconciler on a real kube-apiserver with a model of the sidecars: what users see of a run.

pub(crate) mod disturbances;
pub(crate) mod kills;
pub(crate) mod needs;
pub(crate) mod other_executors;
pub(crate) mod unsettled_ring;
pub(crate) mod wire;
pub(crate) mod world;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use cassgate::api::Kind;
use cassgate::evaluate::Judge;
use cassgate::reconcile::Reconciler;
use cassgate::reconcile::lease::{ApiServerLease, Clocks, LeaseKeeper, LeaseOptions, Timing};
use cassgate::reconcile::plan::NO_PROGRESS_TIMEOUT;
use cassgate::rules::finding::Findings;
use cassgate::telemetry::metrics::Metrics;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::stand_in::Ring;
use crate::support::{
    manifests,
    objects::{backup, cluster, documents, restore, secret},
    pods,
    servers::Crds,
    stage::Stage,
};

/// Timeout for a run.
pub(crate) const TIMEOUT: Duration = Duration::from_mins(3);

/// Rules that admit everything: the rules have tests of their own.
pub(crate) struct NoRules;

impl Judge for NoRules {
    fn judge<'a>(
        &'a self,
        _: Kind,
        _: &'a Value,
    ) -> std::pin::Pin<Box<dyn Future<Output = Findings> + Send + 'a>> {
        Box::pin(std::future::ready(Findings::default()))
    }
}

/// A namespace with a cluster, its pods as API objects, and the sidecars in this process.
pub(crate) struct Lab {
    pub(crate) stage: Stage,
    pub(crate) ring: Ring,
    metrics: Metrics,
    /// The kubeconfig of the account that reconciles.
    kubeconfig: std::path::PathBuf,
    ticking: Arc<AtomicBool>,
    clock: Option<thread::JoinHandle<()>>,
}

impl Lab {
    pub(crate) fn new() -> Self {
        Self::still().ticks()
    }

    /// Returns a lab whose ring only the test advances.
    fn still() -> Self {
        Self::on(Stage::new(Crds::Ours))
    }

    /// The same, on this stage.
    pub(crate) fn on(stage: Stage) -> Self {
        Self::of(Ring::new("2.0.4", 2, &[("k1.t1", 1), ("k1.t2", 2)]), stage)
    }

    /// The same, with this ring.
    pub(crate) fn of(ring: Ring, stage: Stage) -> Self {
        stage.kubectl.apply(&documents(&[cluster(), secret()])).succeeds();
        let lab = Self::bare(ring, stage);
        for node in 0..lab.ring.size() {
            pods::create(&lab.stage.kubectl, node);
            lab.report(node);
        }
        lab
    }

    /// The same, with a ring that the API server has no objects for.
    pub(crate) fn bare(ring: Ring, stage: Stage) -> Self {
        Self {
            ticking: Arc::new(AtomicBool::new(true)),
            clock: None,
            metrics: Metrics::new(),
            kubeconfig: stage.servers.admin_kubeconfig(),
            stage,
            ring,
        }
    }

    /// Reconciles with the rights of the executor's service account, and no others.
    fn with_the_executors_rights(mut self) -> Self {
        let (kubectl, namespace) = (&self.stage.kubectl, &self.stage.namespace);
        let mut rights = manifests::overlay(kubectl, "executor");
        rights.retain(|object| {
            let kind = object["kind"].as_str().unwrap();
            kind == "Namespace" || kind == "ServiceAccount" || kind.contains("Role")
        });
        // The lease of this lab is in its own namespace, with the same rights there.
        let mut lease = rights.clone();
        lease.retain(|object| matches!(object["kind"].as_str(), Some("Role" | "RoleBinding")));
        assert_eq!(lease.len(), 2);
        for object in &mut lease {
            object["metadata"]["namespace"] = json!(namespace);
        }
        let system = kubectl.in_namespace("cassgate-system");
        system.apply_server_side(&manifests::list(rights)).succeeds();
        kubectl.apply_server_side(&manifests::list(lease)).succeeds();
        self.kubeconfig = self.stage.servers.kubeconfig_of("cassgate-system", "cassgate");
        self
    }

    /// Advances the ring as real time passes.
    fn ticks(mut self) -> Self {
        let (ring, ticking) = (self.ring.clone(), self.ticking.clone());
        self.clock = Some(thread::spawn(move || {
            while ticking.load(Ordering::Relaxed) {
                ring.tick();
                ring.advance(50);
                thread::sleep(Duration::from_millis(50));
            }
        }));
        self
    }

    /// Reports a pod's status as a kubelet does.
    fn report(&self, node: usize) {
        let (sidecar, cassandra) = self.ring.restarts(node);
        let address = self.ring.address(node).ip();
        pods::report(&self.stage.kubectl, node, address, (cassandra, sidecar));
    }

    /// Runs the reconciler while `test` runs.
    pub(crate) fn reconciled(&self, test: impl FnOnce()) {
        let stop = CancellationToken::new();
        let ends = stop.clone();
        let (ring, namespace) = (self.ring.clone(), self.stage.namespace.clone());
        let (kubeconfig, metrics) = (self.kubeconfig.clone(), self.metrics.clone());
        let running = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(run(ring, namespace, kubeconfig, metrics, ends));
        });
        test();
        stop.cancel();
        running.join().unwrap();
    }

    /// Waits until an object satisfies `wanted`, and returns it.
    pub(crate) fn waits_until(&self, kind: &str, name: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        loop {
            let object = self.stage.kubectl.get(kind, name);
            if wanted(&object) {
                return object;
            }
            assert!(
                begun.elapsed() < TIMEOUT,
                "{kind} {name} is not as it should be: {:#}",
                object["status"]
            );
            thread::sleep(Duration::from_millis(200));
        }
    }

    fn patches(&self, name: &str, spec: &Value) {
        let patch = json!({ "spec": spec }).to_string();
        let arguments = ["patch", "cassandrabackup", name, "--type=merge", "-p", &patch];
        self.stage.kubectl.run(&arguments).succeeds();
    }

    /// Waits until the finalizer of a restore is removed: the last write.
    fn waits_until_released(&self, name: &str) {
        self.waits_until("cassandrarestore", name, |restore| {
            restore["metadata"]["finalizers"] == Value::Null
        });
    }

    pub(crate) fn waits_for(&self, kind: &str, name: &str, state: &str) -> Value {
        self.waits_until(kind, name, |object| {
            object["status"]["condition"]["type"] == state
        })
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.ticking.store(false, Ordering::Relaxed);
        if let Some(clock) = self.clock.take() {
            drop(clock.join());
        }
    }
}

async fn run(
    ring: Ring,
    namespace: String,
    kubeconfig: std::path::PathBuf,
    metrics: Metrics,
    stop: CancellationToken,
) {
    let kubeconfig = kube::config::Kubeconfig::read_from(kubeconfig).unwrap();
    let options = kube::config::KubeConfigOptions::default();
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options);
    let client = kube::Client::try_from(config.await.unwrap()).unwrap();
    let reconciler = Arc::new(Reconciler {
        client: client.clone(),
        sidecars: ring,
        judge: Arc::new(NoRules),
        metrics: metrics.clone(),
        status_is_subresource: Box::new(|_| Some(true)),
        namespace: Some(namespace.clone()),
        no_progress_timeout: NO_PROGRESS_TIMEOUT,
        now: Timestamp::now,
    });
    let store = ApiServerLease::new(client, &namespace, "cassgate", ToString::to_string);
    let options = LeaseOptions {
        identity: "test".to_owned(),
        timing: Timing::standard(Duration::from_secs(1)),
    };
    let keeper = LeaseKeeper::new(options, store, Clocks::system(), metrics).unwrap();
    keeper
        .run(stop, |leadership| reconciler.clone().run(leadership))
        .await;
}

pub(crate) fn a_backup_and_a_restore_return_the_rows_and_report_their_progress() {
    let lab = Lab::new();
    lab.ring.write("k1.t1", 0..100);
    lab.ring.write("k1.t2", 0..100);
    lab.reconciled(|| {
        let kubectl = &lab.stage.kubectl;
        kubectl.apply(&backup("nightly", "entities: k1")).succeeds();
        let done = lab.waits_for("cassandrabackup", "nightly", "COMPLETED");
        let tag = done["status"]["snapshotTag"].as_str().unwrap().to_owned();
        assert!(
            tag.starts_with("tag-168d568b-d346-3f61-968f-a2716307a6e4-"),
            "{tag}"
        );
        for node in 0..2 {
            assert!(lab.ring.stored(node).contains(&tag), "node {node}");
        }
        lab.ring.delete("k1.t1", 0..50);
        lab.ring.write("k1.t2", 100..150);
        kubectl
            .apply(&restore("monday", "cassandraBackup: nightly"))
            .succeeds();
        let done = lab.waits_for("cassandrarestore", "monday", "COMPLETED");
        assert_eq!(done["status"]["progress"], "100%");
        assert_eq!(done["status"]["source"]["snapshotTag"], tag);
        lab.waits_until_released("monday");
        assert_eq!(lab.ring.rows("k1.t1").len(), 100);
        assert_eq!(lab.ring.rows("k1.t2").len(), 100);
        assert_eq!(lab.ring.violations(), Vec::<String>::new());
        let events = kubectl.run(&["get", "events", "-o", "jsonpath={range .items[*]}{.reason} {end}"]);
        for reason in [
            "BackupInitiated",
            "BackupCompleted",
            "RestoreInitiated",
            "RestoreCompleted",
        ] {
            assert!(events.stdout.contains(reason), "{reason}: {}", events.stdout);
        }
        let backup = kubectl.get("cassandrabackup", "nightly");
        assert_eq!(
            backup["metadata"]["annotations"]["cassgate.db.orange.com/last-restore"],
            "monday"
        );
        let past = &backup["metadata"]["annotations"]["cassgate.db.orange.com/restores"];
        assert!(past.as_str().unwrap().contains(r#""name":"monday""#), "{past}");
        for kind in ["backup", "restore"] {
            let line = format!(r#"cassgate_runs_finished_total{{kind="{kind}",outcome="completed"}} 1"#);
            let text = lab.metrics.encode();
            assert!(
                text.lines().any(|reported| reported == line),
                "{line} is not in\n{text}"
            );
        }
        kubectl
            .run(&[
                "wait",
                "--for=condition=Complete",
                "cassandrarestore/monday",
                "--timeout=5s",
            ])
            .succeeds();
    });
}

pub(crate) fn the_rights_of_the_executors_service_account_are_sufficient() {
    let lab = Lab::new().with_the_executors_rights();
    lab.ring.write("k1.t1", 0..10);
    lab.reconciled(|| {
        let kubectl = &lab.stage.kubectl;
        kubectl
            .apply(&restore("monday", "cassandraBackup: nightly"))
            .succeeds();
        kubectl.apply(&backup("nightly", "entities: k1")).succeeds();
        lab.waits_for("cassandrabackup", "nightly", "COMPLETED");
        lab.waits_for("cassandrarestore", "monday", "COMPLETED");
        lab.waits_until_released("monday");
        let backup = kubectl.get("cassandrabackup", "nightly");
        let annotations = &backup["metadata"]["annotations"];
        assert_eq!(annotations["cassgate.db.orange.com/last-restore"], "monday");
        let events = kubectl.run(&["get", "events", "-o", "jsonpath={range .items[*]}{.reason} {end}"]);
        for reason in ["BackupCompleted", "RestoreCompleted"] {
            assert!(events.stdout.contains(reason), "{reason}: {}", events.stdout);
        }
    });
    assert_eq!(lab.ring.rows("k1.t1").len(), 10);
    // The service account lacks every right that is not in the role.
    let account = "--as=system:serviceaccount:cassgate-system:cassgate";
    for what in [
        "delete cassandrarestores",
        "update leases/cassgate",
        "patch secrets",
    ] {
        let words: Vec<_> = ["auth", "can-i", account]
            .into_iter()
            .chain(what.split(' '))
            .collect();
        let answer = lab.stage.kubectl.run(&words);
        assert_eq!(answer.stdout.trim(), "no", "{what}");
    }
}

pub(crate) fn a_run_waits_for_missing_references() {
    let lab = Lab::new();
    lab.ring.write("k1.t1", 0..10);
    lab.reconciled(|| {
        let kubectl = &lab.stage.kubectl;
        kubectl
            .apply(&restore("early", "cassandraBackup: late"))
            .succeeds();
        lab.waits_until("cassandrarestore", "early", |object| {
            is_ready(object, "False", "BackupNotFound")
        });
        assert_eq!(lab.ring.submitted(), []);
        // Several reconciles later there is still one event.
        thread::sleep(Duration::from_secs(12));
        let reported = kubectl.run(&[
            "get",
            "events",
            "-o",
            "jsonpath={range .items[?(@.reason=='Waiting')]}{.type} {.message}{'\\n'}{end}",
        ]);
        assert_eq!(reported.stdout.lines().count(), 1, "{}", reported.stdout);
        assert!(
            reported.stdout.starts_with("Normal BackupNotFound: "),
            "{}",
            reported.stdout
        );
        kubectl.apply(&backup("late", "entities: k1")).succeeds();
        lab.waits_for("cassandrabackup", "late", "COMPLETED");
        lab.waits_for("cassandrarestore", "early", "COMPLETED");
        assert_eq!(lab.ring.rows("k1.t1").len(), 10);
    });
}

pub(crate) fn a_restarted_reconciler_resumes() {
    let lab = Lab::new();
    lab.ring.write("k1.t1", 0..100);
    lab.reconciled(|| {
        lab.stage
            .kubectl
            .apply(&backup("nightly", "entities: k1"))
            .succeeds();
        lab.waits_for("cassandrabackup", "nightly", "COMPLETED");
        lab.ring.delete("k1.t1", 0..100);
        lab.stage
            .kubectl
            .apply(&restore("monday", "cassandraBackup: nightly"))
            .succeeds();
        lab.waits_for("cassandrarestore", "monday", "RUNNING");
    });
    lab.reconciled(|| {
        lab.waits_for("cassandrarestore", "monday", "COMPLETED");
    });
    assert_eq!(lab.ring.rows("k1.t1").len(), 100);
    assert_eq!(lab.ring.violations(), Vec::<String>::new());
}

fn history(object: &Value) -> Vec<Value> {
    object["status"]["history"]
        .as_array()
        .cloned()
        .unwrap_or_default()
}

fn is_ready(object: &Value, status: &str, reason: &str) -> bool {
    let conditions = object["status"]["conditions"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    conditions
        .iter()
        .any(|one| one["type"] == "Ready" && one["status"] == status && one["reason"] == reason)
}

pub(crate) fn a_scheduled_backup_runs_is_edited_suspended_resumed_and_restored_from_its_second_run() {
    let lab = Lab::new();
    lab.ring.write("k1.t1", 0..10);
    lab.reconciled(|| {
        let kubectl = &lab.stage.kubectl;
        let spec = "entities: k1\nschedule: '@every 3s'\nconcurrencyPolicy: Allow";
        kubectl.apply(&backup("often", spec)).succeeds();
        let first = lab.waits_until("cassandrabackup", "often", |object| history(object).len() == 1);
        assert!(first["status"]["lastScheduleTime"].is_string(), "{first:#}");
        lab.ring.write("k1.t1", 10..20);
        let three = lab.waits_until("cassandrabackup", "often", |object| history(object).len() >= 3);
        lab.patches("often", &json!({ "suspend": true }));
        let rested = lab.waits_until("cassandrabackup", "often", |object| {
            is_ready(object, "False", "Suspended")
        });
        assert_eq!(rested["status"]["nextScheduleTime"], Value::Null);
        let runs = history(&rested);
        assert!(runs.iter().all(|run| run["outcome"] == "COMPLETED"), "{runs:#?}");
        let second = history(&three)[history(&three).len() - 2]["snapshot"].clone();
        lab.patches("often", &json!({ "suspend": false, "schedule": "@yearly" }));
        let armed = lab.waits_until("cassandrabackup", "often", |object| {
            is_ready(object, "True", "Scheduled")
        });
        assert_eq!(armed["status"]["schedule"], "@yearly");
        assert_eq!(history(&armed).len(), runs.len(), "none while it was suspended");
        assert_eq!(
            armed["status"]["observedGeneration"],
            armed["metadata"]["generation"]
        );
        for node in 0..2 {
            let stored = lab.ring.stored(node);
            for run in &runs {
                assert!(
                    stored.iter().any(|stored| run["snapshot"] == stored.as_str()),
                    "{run}"
                );
            }
        }
        lab.ring.delete("k1.t1", 0..20);
        let spec = format!("cassandraBackup: often\nsnapshot: {}", second.as_str().unwrap());
        kubectl.apply(&restore("monday", &spec)).succeeds();
        let done = lab.waits_for("cassandrarestore", "monday", "COMPLETED");
        assert_eq!(done["status"]["source"]["snapshotTag"], second);
        assert!(lab.ring.rows("k1.t1").len() >= 10);
        lab.patches("often", &json!({ "schedule": "@every 3s" }));
        lab.waits_until("cassandrabackup", "often", |object| {
            history(object).len() > runs.len()
        });
        assert_eq!(lab.ring.violations(), Vec::<String>::new());
        let finalizer =
            json!({ "metadata": { "finalizers": ["kubernetes.io/unschedule-needed"] } }).to_string();
        let arguments = [
            "patch",
            "cassandrabackup",
            "often",
            "--type=merge",
            "-p",
            &finalizer,
        ];
        kubectl.run(&arguments).succeeds();
        kubectl
            .run(&["delete", "cassandrabackup", "often", "--timeout=60s"])
            .succeeds();
    });
}
