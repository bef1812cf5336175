//! An API server that goes on whatever its clients do, and candidates that say when they act.

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

/// How the server behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    Good,
    /// It refuses everything.
    Refuses,
    /// It does what it is asked, and the answer gets lost.
    LosesAnswers,
}

#[derive(Debug)]
struct Lease {
    stored: Option<Stored>,
    version: u64,
    mood: Mood,
    writes: usize,
    /// From a request to its effect, and from there to the answer.
    ways: (Duration, Duration),
}

/// The API server.
#[derive(Debug, Clone)]
pub(super) struct Server(Arc<Mutex<Lease>>);

impl Server {
    pub(super) fn new() -> Self {
        Self::with_ways(Duration::from_millis(3), Duration::from_millis(3))
    }

    pub(super) fn with_ways(there: Duration, back: Duration) -> Self {
        Self(Arc::new(Mutex::new(Lease {
            stored: None,
            version: 0,
            mood: Mood::Good,
            writes: 0,
            ways: (there, back),
        })))
    }

    fn now(&self) -> MutexGuard<'_, Lease> {
        self.0.lock().unwrap()
    }

    pub(super) fn mood(&self, mood: Mood) {
        self.now().mood = mood;
    }

    pub(super) fn writes(&self) -> usize {
        self.now().writes
    }

    pub(super) fn record(&self) -> Record {
        self.now().stored.clone().unwrap().record
    }

    pub(super) fn holder(&self) -> Option<String> {
        self.now().stored.clone()?.record.holder
    }

    pub(super) fn delete(&self) {
        self.now().stored = None;
    }

    /// What somebody else writes, without asking for a version.
    pub(super) fn meddle(&self, change: impl FnOnce(&mut Record)) {
        let mut lease = self.now();
        lease.version += 1;
        let version = lease.version.to_string();
        let stored = lease.stored.as_mut().unwrap();
        stored.version = version;
        change(&mut stored.record);
    }

    /// The request goes its way even when whoever sent it does not wait any more, or cannot.
    async fn ask<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut Lease) -> T + Send + 'static,
    ) -> Result<T, LeaseStoreError> {
        let (server, (there, back)) = (self.clone(), self.now().ways);
        let answer = tokio::spawn(async move {
            sleep(there).await;
            let mood = server.now().mood;
            if mood == Mood::Refuses {
                return Err(LeaseStoreError("no etcd".to_owned()));
            }
            let answer = act(&mut server.now());
            if mood == Mood::LosesAnswers {
                std::future::pending::<()>().await;
            }
            sleep(back).await;
            Ok(answer)
        });
        answer.await.unwrap()
    }
}

impl LeaseStore for Server {
    async fn read(&self) -> Result<Option<Stored>, LeaseStoreError> {
        self.ask(|lease| lease.stored.clone()).await
    }

    async fn write(&self, record: &Record, over: Option<&str>) -> Result<Written, LeaseStoreError> {
        let (record, over) = (record.clone(), over.map(str::to_owned));
        self.ask(move |lease| {
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

/// Something that was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Act {
    pub(super) who: &'static str,
    pub(super) term: u32,
    pub(super) at: Duration,
}

/// Everything that was done, in order, by a clock of nobody's machine.
#[derive(Debug, Clone)]
pub(super) struct Acts(Arc<Mutex<Vec<Act>>>, Instant);

impl Acts {
    pub(super) fn new() -> Self {
        Self(Arc::default(), Instant::now())
    }

    pub(super) fn done(&self, who: &'static str, term: u32) {
        let at = self.1.elapsed();
        self.0.lock().unwrap().push(Act { who, term, at });
    }

    pub(super) fn all(&self) -> Vec<Act> {
        self.0.lock().unwrap().clone()
    }

    /// When each began and ended to act.
    pub(super) fn spans(&self) -> BTreeMap<&'static str, (Duration, Duration)> {
        let mut spans = BTreeMap::new();
        for act in self.all() {
            spans.entry(act.who).or_insert((act.at, act.at)).1 = act.at;
        }
        spans
    }
}

/// The clocks of one machine. They start anywhere; the wall clock jumps an hour or two at every look.
#[derive(Debug, Clone)]
pub(super) struct Machine {
    begin: Instant,
    up: Duration,
    /// How long it slept, in which no timer of it went on.
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

/// One replica that is not running yet.
pub(super) struct Replica {
    pub(super) name: &'static str,
    pub(super) keeper: LeaseKeeper<Server>,
    pub(super) metrics: Metrics,
    pub(super) stop: CancellationToken,
}

/// One that runs.
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

    /// Runs it, and lets it act every second.
    pub(super) fn acting(self, acts: &Acts) -> Running {
        let (name, acts) = (self.name, acts.clone());
        self.doing(move |leadership| act(name, leadership, acts.clone()))
    }

    pub(super) fn doing<W, F>(self, work: W) -> Running
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
    pub(super) fn shows(&self) -> String {
        self.state.borrow().to_string()
    }

    pub(super) fn counts(&self, series: &str) -> u64 {
        let text = self.metrics.encode();
        let line = text.lines().find_map(|line| line.strip_prefix(series));
        line.unwrap_or_else(|| panic!("{series} is not in\n{text}"))
            .trim()
            .parse()
            .unwrap()
    }
}

/// What is done by its holder: confirmed each time, as before a request to a sidecar.
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
