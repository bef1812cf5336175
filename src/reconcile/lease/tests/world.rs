//! An API server that completes requests even if their clients are gone, and replicas that record their actions.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use crate::reconcile::lease::{
    BootTime, Clocks, Leadership, LeaseKeeper, LeaseOptions, LeaseState, LeaseStore, LeaseStoreError, Record,
    Stored, Timing, Written,
};
use crate::telemetry::metrics::Metrics;

pub(super) const LONGEST_REQUEST: Duration = Duration::from_secs(10);

pub(super) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A fault of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    None,
    /// It rejects every request.
    RejectRequests,
    /// It carries out the request and drops the response.
    DropResponses,
}

#[derive(Debug)]
struct Lease {
    stored: Option<Stored>,
    version: u64,
    fault: Fault,
    writes: usize,
    /// The time from a request to its effect, and from there to the response.
    delays: (Duration, Duration),
}

/// The API server.
#[derive(Debug, Clone)]
pub(super) struct Server(Arc<Mutex<Lease>>);

impl Server {
    pub(super) fn new() -> Self {
        Self::with_delays(Duration::from_millis(3), Duration::from_millis(3))
    }

    pub(super) fn with_delays(request: Duration, response: Duration) -> Self {
        Self(Arc::new(Mutex::new(Lease {
            stored: None,
            version: 0,
            fault: Fault::None,
            writes: 0,
            delays: (request, response),
        })))
    }

    fn lease(&self) -> MutexGuard<'_, Lease> {
        self.0.lock().unwrap()
    }

    pub(super) fn set_fault(&self, fault: Fault) {
        self.lease().fault = fault;
    }

    pub(super) fn writes(&self) -> usize {
        self.lease().writes
    }

    pub(super) fn record(&self) -> Record {
        self.lease().stored.clone().unwrap().record
    }

    pub(super) fn holder(&self) -> Option<String> {
        self.lease().stored.clone()?.record.holder
    }

    pub(super) fn delete(&self) {
        self.lease().stored = None;
    }

    /// Changes the Lease as another client does, whatever its version.
    pub(super) fn change(&self, change: impl FnOnce(&mut Record)) {
        let mut lease = self.lease();
        lease.version += 1;
        let version = lease.version.to_string();
        let stored = lease.stored.as_mut().unwrap();
        stored.version = version;
        change(&mut stored.record);
    }

    /// Carries out a request, even if its client stops waiting for the response.
    async fn request<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut Lease) -> T + Send + 'static,
    ) -> Result<T, LeaseStoreError> {
        let (server, (request, response)) = (self.clone(), self.lease().delays);
        let task = tokio::spawn(async move {
            sleep(request).await;
            let fault = server.lease().fault;
            if fault == Fault::RejectRequests {
                return Err(LeaseStoreError("no etcd".to_owned()));
            }
            let answer = act(&mut server.lease());
            if fault == Fault::DropResponses {
                std::future::pending::<()>().await;
            }
            sleep(response).await;
            Ok(answer)
        });
        task.await.unwrap()
    }
}

impl LeaseStore for Server {
    async fn read(&self) -> Result<Option<Stored>, LeaseStoreError> {
        self.request(|lease| lease.stored.clone()).await
    }

    async fn write(&self, record: &Record, over: Option<&str>) -> Result<Written, LeaseStoreError> {
        let (record, over) = (record.clone(), over.map(str::to_owned));
        self.request(move |lease| {
            if lease.stored.as_ref().map(|stored| &stored.version) != over.as_ref() {
                return Written::Conflict;
            }
            lease.version += 1;
            lease.writes += 1;
            let version = lease.version.to_string();
            let stored = Stored { version, record };
            lease.stored = Some(stored.clone());
            Written::Stored(stored)
        })
        .await
    }
}

/// One action of a replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Act {
    pub(super) replica: &'static str,
    pub(super) term: u32,
    pub(super) at: Duration,
}

/// All actions in order, by a clock that no machine shares.
#[derive(Debug, Clone)]
pub(super) struct Acts(Arc<Mutex<Vec<Act>>>, Instant);

impl Acts {
    pub(super) fn new() -> Self {
        Self(Arc::default(), Instant::now())
    }

    pub(super) fn done(&self, replica: &'static str, term: u32) {
        let at = self.1.elapsed();
        self.0.lock().unwrap().push(Act { replica, term, at });
    }

    pub(super) fn all(&self) -> Vec<Act> {
        self.0.lock().unwrap().clone()
    }

    /// Returns the times of the first and the last action of each replica.
    pub(super) fn spans(&self) -> BTreeMap<&'static str, (Duration, Duration)> {
        let mut spans = BTreeMap::new();
        for act in self.all() {
            spans.entry(act.replica).or_insert((act.at, act.at)).1 = act.at;
        }
        spans
    }
}

/// The clocks of one machine. The boot clock starts at any time; the wall clock jumps by an hour at every read.
#[derive(Debug, Clone)]
pub(super) struct Machine {
    begin: Instant,
    up: Duration,
    /// The seconds that the machine slept.
    slept: Arc<AtomicU64>,
}

impl Machine {
    pub(super) fn up_for(up: Duration) -> Self {
        Self {
            begin: Instant::now(),
            up,
            slept: Arc::default(),
        }
    }

    pub(super) fn sleep(&self, seconds: u64) {
        self.slept.fetch_add(seconds, Ordering::Relaxed);
    }

    pub(super) fn clocks(&self) -> Clocks {
        let (machine, jumps) = (self.clone(), AtomicI64::new(0));
        Clocks {
            boot: Arc::new(move || {
                let slept = seconds(machine.slept.load(Ordering::Relaxed));
                BootTime(machine.up + slept + machine.begin.elapsed())
            }),
            wall: Arc::new(move || {
                let jump = jumps.fetch_add(1, Ordering::Relaxed) % 3 - 1;
                Timestamp::from_second(1_800_000_000 + jump * 3_600).unwrap()
            }),
        }
    }
}

/// A replica that is not running yet.
pub(super) struct Replica {
    pub(super) name: &'static str,
    pub(super) keeper: LeaseKeeper<Server>,
    pub(super) metrics: Metrics,
    pub(super) stop: CancellationToken,
}

/// A replica that runs.
pub(super) struct Running {
    pub(super) state: tokio::sync::watch::Receiver<LeaseState>,
    pub(super) metrics: Metrics,
    pub(super) stop: CancellationToken,
    pub(super) task: JoinHandle<()>,
}

impl Replica {
    pub(super) fn new(name: &'static str, server: &Server) -> Self {
        Self::on(name, server, &Machine::up_for(seconds(1_000)))
    }

    pub(super) fn on(name: &'static str, server: &Server, machine: &Machine) -> Self {
        let metrics = Metrics::new();
        let options = LeaseOptions {
            identity: name.to_owned(),
            timing: Timing::standard(LONGEST_REQUEST),
        };
        let keeper = LeaseKeeper::new(options, server.clone(), machine.clocks(), metrics.clone());
        Self {
            name,
            keeper: keeper.unwrap(),
            metrics,
            stop: CancellationToken::new(),
        }
    }

    /// Runs the replica with work that acts every second.
    pub(super) fn run_acting(self, acts: &Acts) -> Running {
        let (name, acts) = (self.name, acts.clone());
        self.run(move |leadership| act(name, leadership, acts.clone()))
    }

    pub(super) fn run<W, F>(self, work: W) -> Running
    where
        W: FnMut(Leadership) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let (state, stop) = (self.keeper.state(), self.stop.clone());
        Running {
            state,
            metrics: self.metrics,
            stop: self.stop,
            task: tokio::spawn(self.keeper.run(stop, work)),
        }
    }
}

impl Running {
    pub(super) fn state_text(&self) -> String {
        self.state.borrow().to_string()
    }

    pub(super) fn metric(&self, series: &str) -> u64 {
        let text = self.metrics.encode();
        let line = text.lines().find_map(|line| line.strip_prefix(series));
        line.unwrap_or_else(|| panic!("{series} is not in\n{text}"))
            .trim()
            .parse()
            .unwrap()
    }
}

/// Acts every second, after a confirmation as before a request to a sidecar.
pub(super) async fn act(name: &'static str, leadership: Leadership, acts: Acts) {
    loop {
        if let Ok(confirmation) = leadership.confirm().await
            && confirmation.holds()
        {
            acts.done(name, leadership.term());
        }
        sleep(seconds(1)).await;
    }
}
