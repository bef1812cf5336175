//! A stand-in for a Service: new connections go to ready replicas in turn, and established ones stay.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::sleep,
};
use tokio_util::task::AbortOnDropHandle;

use super::{
    gate::Gate,
    http::{runtime, try_get},
};

/// Interval of the readiness probes. Its ratio to the shutdown delay of these tests (one second) is that of the
/// shipped probe (two seconds) to the shipped delay (five).
const PROBE: Duration = Duration::from_millis(100);

/// A port that leads to the ready replicas.
pub(crate) struct Balancer {
    /// The address of the port.
    pub(crate) address: SocketAddr,
    replicas: Replicas,
    _accepting: AbortOnDropHandle<()>,
}

type Replicas = Arc<Mutex<Vec<Replica>>>;

struct Replica {
    webhook: SocketAddr,
    ready: Arc<AtomicBool>,
    _probed: AbortOnDropHandle<()>,
}

impl Balancer {
    /// Starts a balancer without replicas, which closes every connection.
    pub(crate) fn start() -> Self {
        let listener = runtime().block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let replicas = Replicas::default();
        let accepting = runtime().spawn(accept(listener, Arc::clone(&replicas)));
        Self {
            address,
            replicas,
            _accepting: AbortOnDropHandle::new(accepting),
        }
    }

    /// Adds a replica and follows its readiness.
    pub(crate) fn follow(&self, gate: &Gate) {
        let ready = Arc::new(AtomicBool::new(false));
        let probed = runtime().spawn(probe(gate.admin, Arc::clone(&ready)));
        self.replicas().push(Replica {
            webhook: gate.webhook,
            ready,
            _probed: AbortOnDropHandle::new(probed),
        });
    }

    /// Returns true if new connections go to this replica.
    pub(crate) fn leads_to(&self, gate: &Gate) -> bool {
        let replicas = self.replicas();
        let mut ready = replicas
            .iter()
            .filter(|replica| replica.ready.load(Ordering::Relaxed));
        ready.any(|replica| replica.webhook == gate.webhook)
    }

    fn replicas(&self) -> std::sync::MutexGuard<'_, Vec<Replica>> {
        self.replicas.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn probe(admin: SocketAddr, ready: Arc<AtomicBool>) {
    loop {
        let answer = try_get(admin, "/readyz").await;
        ready.store(answer.is_ok_and(|reply| reply.status == 200), Ordering::Relaxed);
        sleep(PROBE).await;
    }
}

async fn accept(listener: TcpListener, replicas: Replicas) {
    let mut connections = JoinSet::new();
    for turn in 0.. {
        let (mut client, _) = listener.accept().await.unwrap();
        while connections.try_join_next().is_some() {}
        let ready: Vec<SocketAddr> = {
            let replicas = replicas.lock().unwrap_or_else(PoisonError::into_inner);
            let ready = replicas
                .iter()
                .filter(|replica| replica.ready.load(Ordering::Relaxed));
            ready.map(|replica| replica.webhook).collect()
        };
        let Some(&chosen) = ready.get(turn % ready.len().max(1)) else {
            continue;
        };
        connections.spawn(async move {
            // A Service does not try another endpoint either.
            if let Ok(mut replica) = TcpStream::connect(chosen).await {
                let _ = copy_bidirectional(&mut client, &mut replica).await;
            }
        });
    }
}
