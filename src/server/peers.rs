//! The connections of one listener, and the choice of one to evict when the limit is reached.
//!
//! Without eviction, a client that opens every connection and sends nothing would lock out all other clients. So for a
//! new connection, the one with the least progress is closed.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

/// The time that a connection has before it can be evicted. 500 ms: a `ClientHello` mostly arrives with the connection,
/// and otherwise within a round trip.
const EVICTION_GRACE: Duration = Duration::from_millis(500);

/// The connections of one listener, bounded in number.
#[derive(Debug)]
pub(super) struct Peers {
    slots: Arc<Semaphore>,
    connected: Arc<Mutex<Connected>>,
}

#[derive(Debug, Default)]
struct Connected {
    next_id: u64,
    /// Ordered by arrival.
    peers: BTreeMap<u64, Arc<Peer>>,
}

/// The slot of one connection. It is free again once this is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    peer: Arc<Peer>,
    id: u64,
    connected: Arc<Mutex<Connected>>,
    _permit: OwnedSemaphorePermit,
}

/// The progress of one connection.
#[derive(Debug)]
pub(super) struct Peer {
    /// The time since which its task reads from it; `None` while the task waits for a thread.
    reading_since: Mutex<Option<Instant>>,
    hello_received: AtomicBool,
    requests_started: AtomicU64,
    requests_in_flight: AtomicUsize,
    /// The time of the last response; `None` before the first one.
    last_response: Mutex<Option<Instant>>,
    evicted: CancellationToken,
}

/// One request in flight. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct RequestInFlight(Arc<Peer>);

/// Eviction order: least progress first, and among equals the one that has waited longest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Progress {
    /// No `ClientHello` since this time.
    NoHello(Instant),
    /// No response since this time. A body may be arriving slowly.
    NoResponse(Instant),
    /// No request since the last response at this time.
    Idle(Instant),
}

impl Progress {
    fn since(self) -> Instant {
        match self {
            Self::NoHello(since) | Self::NoResponse(since) | Self::Idle(since) => since,
        }
    }
}

impl Peers {
    pub(super) fn new(max_connections: usize) -> Self {
        Self {
            slots: Arc::new(Semaphore::new(max_connections)),
            connected: Arc::default(),
        }
    }

    /// Returns a slot for a new connection, and evicts another connection if none is free. Waits without a limit while
    /// every connection is busy with a request and has been answered before.
    pub(super) async fn slot(&self) -> Slot {
        loop {
            let free = Arc::clone(&self.slots).acquire_owned();
            let permit = tokio::select! {
                biased;
                permit = free => permit,
                () = self.evict_one() => continue,
            };
            // The semaphore is never closed, so this is always a permit.
            if let Ok(permit) = permit {
                return self.connect(permit);
            }
        }
    }

    fn connect(&self, permit: OwnedSemaphorePermit) -> Slot {
        let peer = Arc::new(Peer {
            reading_since: Mutex::default(),
            hello_received: AtomicBool::new(false),
            requests_started: AtomicU64::new(0),
            requests_in_flight: AtomicUsize::new(0),
            last_response: Mutex::default(),
            evicted: CancellationToken::new(),
        });
        let mut connected = lock(&self.connected);
        let id = connected.next_id;
        connected.next_id += 1;
        connected.peers.insert(id, Arc::clone(&peer));
        drop(connected);
        Slot {
            peer,
            id,
            connected: Arc::clone(&self.connected),
            _permit: permit,
        }
    }

    /// Evicts the connection with the least progress once its grace has passed, and gives it time to close.
    async fn evict_one(&self) {
        let Some((progress, peer)) = self.least_progress() else {
            // Every connection is busy. One of them may become idle during the pause.
            return sleep(EVICTION_GRACE).await;
        };
        let remaining = (progress.since() + EVICTION_GRACE).saturating_duration_since(Instant::now());
        if remaining.is_zero() {
            peer.evicted.cancel();
            return sleep(EVICTION_GRACE).await;
        }
        sleep(remaining).await;
    }

    fn least_progress(&self) -> Option<(Progress, Arc<Peer>)> {
        let connected = lock(&self.connected);
        let candidates = connected
            .peers
            .values()
            .filter_map(|peer| Some((peer.progress()?, peer)));
        let least = candidates.min_by_key(|(progress, _)| *progress);
        least.map(|(progress, peer)| (progress, Arc::clone(peer)))
    }
}

impl Slot {
    pub(super) fn peer(&self) -> &Arc<Peer> {
        &self.peer
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        lock(&self.connected).peers.remove(&self.id);
    }
}

impl Peer {
    /// Returns a token that is cancelled when the connection is evicted.
    pub(super) fn evicted(&self) -> &CancellationToken {
        &self.evicted
    }

    /// Records that the task of the connection reads from it from now on.
    pub(super) fn record_reading(&self) {
        *lock(&self.reading_since) = Some(Instant::now());
    }

    /// Records a readable `ClientHello`.
    pub(super) fn record_hello(&self) {
        self.hello_received.store(true, Ordering::Release);
    }

    /// Records the start of a request. It is in flight until the result is dropped.
    pub(super) fn start_request(self: &Arc<Self>) -> RequestInFlight {
        self.requests_started.fetch_add(1, Ordering::AcqRel);
        self.requests_in_flight.fetch_add(1, Ordering::AcqRel);
        RequestInFlight(Arc::clone(self))
    }

    /// Returns the number of requests that have started so far.
    pub(super) fn requests_started(&self) -> u64 {
        self.requests_started.load(Ordering::Acquire)
    }

    /// Returns true if no request is in flight.
    pub(super) fn is_idle(&self) -> bool {
        self.requests_in_flight.load(Ordering::Acquire) == 0
    }

    /// Returns true if a request has been answered.
    pub(super) fn has_been_answered(&self) -> bool {
        lock(&self.last_response).is_some()
    }

    /// Returns the progress for the eviction order.
    ///
    /// Returns `None` for a connection that cannot be evicted: it is busy and has been answered before, or its task has
    /// not started, or it is evicted already.
    fn progress(&self) -> Option<Progress> {
        if self.evicted.is_cancelled() {
            return None;
        }
        let reading_since = (*lock(&self.reading_since))?;
        let last_response = *lock(&self.last_response);
        match last_response {
            None if self.hello_received.load(Ordering::Acquire) => Some(Progress::NoResponse(reading_since)),
            None => Some(Progress::NoHello(reading_since)),
            Some(time) => self.is_idle().then_some(Progress::Idle(time)),
        }
    }
}

impl Drop for RequestInFlight {
    fn drop(&mut self) {
        *lock(&self.0.last_response) = Some(Instant::now());
        self.0.requests_in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Locks a mutex, also after a panic of a holder: each change is one assignment, so the state is consistent.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    const LONG: Duration = Duration::from_hours(1);

    async fn full(max_connections: usize) -> (Peers, Vec<Slot>) {
        let peers = Peers::new(max_connections);
        let mut slots = Vec::new();
        for _ in 0..max_connections {
            let slot = peers.slot().await;
            slot.peer().record_reading();
            slots.push(slot);
        }
        tokio::time::sleep(EVICTION_GRACE).await;
        (peers, slots)
    }

    /// Returns the index of the connection that a new one evicts.
    async fn evicted(peers: &Peers, slots: &[Slot]) -> Option<usize> {
        drop(timeout(EVICTION_GRACE / 2, peers.slot()).await);
        slots.iter().position(|slot| slot.peer().evicted().is_cancelled())
    }

    #[tokio::test(start_paused = true)]
    async fn a_free_slot_is_used_at_once_without_an_eviction() {
        let peers = Peers::new(2);
        let first = peers.slot().await;
        drop(peers.slot().await);
        let _second = peers.slot().await;
        assert!(!first.peer().evicted().is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn the_connection_that_has_waited_longest_without_a_hello_is_evicted_first() {
        let (peers, slots) = full(3).await;
        slots[0].peer().record_hello();
        assert_eq!(evicted(&peers, &slots).await, Some(1));
    }

    #[tokio::test(start_paused = true)]
    async fn then_a_connection_without_a_response_is_evicted_although_a_body_arrives() {
        let (peers, slots) = full(3).await;
        for slot in &slots {
            slot.peer().record_hello();
        }
        drop(slots[0].peer().start_request());
        let _arriving = slots[1].peer().start_request();
        assert_eq!(evicted(&peers, &slots).await, Some(1));
    }

    #[tokio::test(start_paused = true)]
    async fn then_the_connection_that_has_been_idle_longest_is_evicted() {
        let (peers, slots) = full(3).await;
        for slot in [&slots[2], &slots[0], &slots[1]] {
            slot.peer().record_hello();
            drop(slot.peer().start_request());
            tokio::time::sleep(EVICTION_GRACE).await;
        }
        assert_eq!(evicted(&peers, &slots).await, Some(2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_busy_connection_that_was_answered_before_is_not_evicted() {
        let (peers, slots) = full(2).await;
        for slot in &slots {
            slot.peer().record_hello();
            drop(slot.peer().start_request());
        }
        let in_flight = [slots[0].peer().start_request(), slots[1].peer().start_request()];
        assert!(timeout(LONG, peers.slot()).await.is_err());
        assert_eq!(evicted(&peers, &slots).await, None);
        drop(in_flight);
        tokio::time::sleep(EVICTION_GRACE).await;
        assert_eq!(evicted(&peers, &slots).await, Some(0));
    }

    #[tokio::test(start_paused = true)]
    async fn no_connection_is_evicted_before_its_grace_has_passed() {
        let peers = Peers::new(1);
        let slot = peers.slot().await;
        assert!(timeout(LONG, peers.slot()).await.is_err());
        assert!(!slot.peer().evicted().is_cancelled(), "its task has not started");
        slot.peer().record_reading();
        assert!(timeout(EVICTION_GRACE / 2, peers.slot()).await.is_err());
        assert!(!slot.peer().evicted().is_cancelled());
        assert!(timeout(EVICTION_GRACE, peers.slot()).await.is_err());
        assert!(slot.peer().evicted().is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn one_connection_is_evicted_for_one_new_connection() {
        let (peers, mut slots) = full(3).await;
        let evicted = slots[0].peer().evicted().clone();
        let first = slots.remove(0);
        tokio::spawn(async move {
            evicted.cancelled().await;
            drop(first);
        });
        let _fourth = peers.slot().await;
        assert!(slots.iter().all(|slot| !slot.peer().evicted().is_cancelled()));
    }
}
