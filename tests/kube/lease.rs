//! The lease on a real API server: resource versions, validation and merging of writes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use cassgate::{
    reconcile::lease::{
        ApiServerLease, Clocks, Leadership, LeaseKeeper, LeaseOptions, LeaseState, LeaseStore, Record,
        Timing, Written, identity,
    },
    telemetry::metrics::Metrics,
    tls::install_default_provider,
};
use jiff::Timestamp;
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use tokio::{
    runtime::Runtime,
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::support::{servers::Crds, stage::Stage};

/// The shortest lease that a busy machine can keep.
const TIMING: Timing = Timing {
    duration: Duration::from_secs(8),
    renew: Duration::from_secs(1),
    retry: Duration::from_millis(200),
    margin: Duration::from_secs(1),
    answer: Duration::from_secs(5),
    longest_request: Duration::from_secs(1),
};

/// Timeout against hanging only.
const TIMEOUT: Duration = Duration::from_secs(90);

async fn lease(stage: &Stage) -> ApiServerLease {
    let kubeconfig = Kubeconfig::read_from(stage.servers.admin_kubeconfig()).unwrap();
    let options = KubeConfigOptions::default();
    let config = Config::from_custom_kubeconfig(kubeconfig, &options)
        .await
        .unwrap();
    let client = Client::try_from(config).unwrap();
    ApiServerLease::new(client, &stage.namespace, "cassgate", ToString::to_string)
}

struct Replica {
    state: watch::Receiver<LeaseState>,
    confirmed: Arc<AtomicUsize>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Replica {
    fn start(name: &str, lease: &ApiServerLease) -> Self {
        let options = LeaseOptions {
            identity: identity(name, 7),
            timing: TIMING,
        };
        let keeper = LeaseKeeper::new(options, lease.clone(), Clocks::system(), Metrics::new()).unwrap();
        let (state, stop, confirmed) = (
            keeper.state(),
            CancellationToken::new(),
            Arc::new(AtomicUsize::new(0)),
        );
        let count = Arc::clone(&confirmed);
        let work = move |leadership: Leadership| {
            let count = Arc::clone(&count);
            async move {
                loop {
                    assert!(leadership.confirm().await.unwrap().holds());
                    count.fetch_add(1, Ordering::Relaxed);
                    sleep(Duration::from_millis(50)).await;
                }
            }
        };
        Self {
            state,
            confirmed,
            task: tokio::spawn(keeper.run(stop.clone(), work)),
            stop,
        }
    }

    async fn leads(&mut self) {
        let leads = self
            .state
            .wait_for(|state| matches!(state, LeaseState::Leads { .. }));
        timeout(TIMEOUT, leads).await.unwrap().unwrap();
    }

    async fn confirms(&self) {
        let before = self.confirmed.load(Ordering::Relaxed);
        let confirmed = async {
            while self.confirmed.load(Ordering::Relaxed) < before + 5 {
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(TIMEOUT, confirmed).await.unwrap();
    }

    fn follows(&self, holder: &str) -> bool {
        let holder = identity(holder, 7);
        *self.state.borrow() == LeaseState::Follows { holder }
    }
}

pub(crate) fn the_second_replica_takes_over_at_once_after_a_release_and_later_after_silence() {
    install_default_provider();
    let stage = Stage::new(Crds::Ours);
    Runtime::new().unwrap().block_on(async {
        let lease = lease(&stage).await;
        let mut one = Replica::start("one", &lease);
        one.leads().await;
        one.confirms().await;
        let mut two = Replica::start("two", &lease);
        let mut follows = two.state.clone();
        let follows = follows.wait_for(|state| matches!(state, LeaseState::Follows { .. }));
        timeout(TIMEOUT, follows).await.unwrap().unwrap();
        sleep(TIMING.duration + Duration::from_secs(2)).await;
        assert!(two.follows("one"), "{:?}", two.state.borrow());
        assert_eq!(two.confirmed.load(Ordering::Relaxed), 0);

        one.stop.cancel();
        timeout(TIMEOUT, one.task).await.unwrap().unwrap();
        let released = Instant::now();
        two.leads().await;
        // A release is followed at once, without the wait that follows silence.
        assert!(released.elapsed() < TIMING.duration, "{:?}", released.elapsed());
        two.confirms().await;
        let stored = stage.kubectl.get("lease", "cassgate");
        assert_eq!(stored["spec"]["holderIdentity"], "two_0000000000000007");
        assert_eq!(stored["spec"]["leaseDurationSeconds"], 8);
        assert_eq!(stored["spec"]["leaseTransitions"], 1);

        let mut three = Replica::start("three", &lease);
        two.task.abort();
        assert!(two.task.await.unwrap_err().is_cancelled());
        let silent = Instant::now();
        three.leads().await;
        let shortest = TIMING.duration + TIMING.longest_request;
        assert!(silent.elapsed() >= shortest, "{:?}", silent.elapsed());
        three.confirms().await;
        let stored = stage.kubectl.get("lease", "cassgate");
        assert_eq!(stored["spec"]["leaseTransitions"], 2);
        three.stop.cancel();
        timeout(TIMEOUT, three.task).await.unwrap().unwrap();
        let stored = stage.kubectl.get("lease", "cassgate");
        assert_eq!(stored["spec"]["holderIdentity"], "");
    });
}

pub(crate) fn fields_of_the_lease_outside_its_spec_are_kept_and_an_old_version_is_rejected() {
    install_default_provider();
    let stage = Stage::new(Crds::Ours);
    Runtime::new().unwrap().block_on(async {
        let lease = lease(&stage).await;
        assert_eq!(lease.read().await.unwrap(), None);
        let record = Record::taken("one", None, TIMING.duration, Timestamp::now());
        let written = |answer: Written| match answer {
            Written::Stored(stored) => stored,
            Written::Conflict => panic!("a conflict"),
        };
        let first = written(lease.write(&record, None).await.unwrap());
        assert_eq!(first.record, record);
        assert_eq!(lease.write(&record, None).await.unwrap(), Written::Conflict);

        // Another field manager changes the label and the holder.
        let change = r#"{"metadata":{"labels":{"team":"a"}},"spec":{"holderIdentity":"human"}}"#;
        stage
            .kubectl
            .run(&["patch", "lease", "cassgate", "--type=merge", "-p", change])
            .succeeds();
        let renewed = record.renewed(TIMING.duration, Timestamp::now());
        let refused = lease.write(&renewed, Some(&first.version)).await.unwrap();
        assert_eq!(refused, Written::Conflict);
        let found = lease.read().await.unwrap().unwrap();
        assert_eq!(found.record.holder.as_deref(), Some("human"));

        let released = renewed.released(Timestamp::now());
        let emptied = written(lease.write(&released, Some(&found.version)).await.unwrap());
        assert_eq!(emptied.record, released);
        assert!(emptied.record.is_released());
        let taken = Record::taken("two", Some(&emptied.record), TIMING.duration, Timestamp::now());
        let taken = written(lease.write(&taken, Some(&emptied.version)).await.unwrap());
        assert_eq!(
            (taken.record.holder.as_deref(), taken.record.transitions),
            (Some("two"), 1)
        );
        let stored = stage.kubectl.get("lease", "cassgate");
        assert_eq!(stored["metadata"]["labels"]["team"], "a");

        stage.kubectl.run(&["delete", "lease", "cassgate"]).succeeds();
        let gone = lease.write(&renewed, Some(&taken.version)).await.unwrap();
        assert_eq!(gone, Written::Conflict);
        assert_eq!(lease.read().await.unwrap(), None);
    });
}
