//! The connections of one listener, and the choice of one to evict when the limit is reached.
//!
//! Without eviction, a client that opens every connection and sends nothing would lock out all other clients. So for a
//! new connection, the one with the least progress is closed, and first one of an address that has many.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
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

/// The time that a connection has before it can be evicted. 50 ms: a `ClientHello` mostly arrives with the connection.
const EVICTION_GRACE: Duration = Duration::from_millis(50);

/// The time that a body may be arriving before its connection can be evicted. 500 ms: kube-apiserver sends a body in one
/// piece.
const BODY_GRACE: Duration = Duration::from_millis(500);

/// The number of evicted connections that may be closing while new ones take their places.
const CLOSING: usize = 64;

/// The part of all connections that one address may have before its connections are evicted first: one in 16.
const SHARES: usize = 16;

/// The smallest share of an address, in connections.
const SMALLEST_SHARE: usize = 4;

/// The connections of one listener, bounded in number.
#[derive(Debug)]
pub(super) struct Peers {
    max_connections: usize,
    /// One permit for each connection, those that are evicted and still closing included.
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
    address: IpAddr,
    /// The time since which its task reads from it; `None` while the task waits for a thread.
    reading_since: Mutex<Option<Instant>>,
    hello_received: AtomicBool,
    speaks_http1: AtomicBool,
    requests_started: AtomicU64,
    requests_in_flight: AtomicUsize,
    /// The begin of each body that has not arrived completely, by the number of its request.
    arriving: Mutex<BTreeMap<u64, Instant>>,
    /// The time of the last response; `None` before the first one.
    last_response: Mutex<Option<Instant>>,
    evicted: CancellationToken,
}

/// One request in flight. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct RequestInFlight(Arc<Peer>);

/// A body that has not arrived completely. It has arrived when this is dropped.
#[derive(Debug)]
pub(super) struct ArrivingBody {
    peer: Arc<Peer>,
    id: u64,
}

/// Eviction order: least progress first, and among equals the one that has waited longest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Progress {
    /// No `ClientHello` since this time.
    NoHello(Instant),
    /// No response since this time. A body may be arriving slowly.
    NoResponse(Instant),
    /// A body that arrives slowly since this time, on a connection that has been answered before.
    SlowBody(Instant),
    /// No request since the last response at this time.
    Idle(Instant),
}

impl Progress {
    /// Returns the time at which the connection can be evicted.
    fn evictable_from(self) -> Instant {
        match self {
            Self::NoHello(since) | Self::NoResponse(since) | Self::Idle(since) => since + EVICTION_GRACE,
            Self::SlowBody(since) => since + BODY_GRACE,
        }
    }
}

impl Peers {
    pub(super) fn new(max_connections: usize) -> Self {
        Self {
            max_connections,
            slots: Arc::new(Semaphore::new(max_connections + CLOSING)),
            connected: Arc::default(),
        }
    }

    /// Returns a slot for a new connection, and evicts another connection if none is free. Waits without a limit while
    /// no connection can be evicted: each is busy with a request that has arrived.
    ///
    /// # Guarantees
    /// While an address has more than its share of the connections, one of the address with the most is evicted. So
    /// many connections from few addresses do not evict those from others.
    pub(super) async fn slot(&self, address: IpAddr) -> Slot {
        loop {
            match self.evict_for_one_more() {
                Ok(()) => {}
                Err(evictable_from) => {
                    let wait = evictable_from.saturating_duration_since(Instant::now());
                    sleep(wait.clamp(Duration::from_millis(1), EVICTION_GRACE)).await;
                    continue;
                }
            }
            // The semaphore is never closed, so this is always a permit.
            if let Ok(permit) = Arc::clone(&self.slots).acquire_owned().await {
                return self.connect(address, permit);
            }
        }
    }

    /// Returns the number of connections with a request in flight.
    pub(super) fn busy(&self) -> usize {
        let connected = lock(&self.connected);
        connected.peers.values().filter(|peer| !peer.is_idle()).count()
    }

    fn connect(&self, address: IpAddr, permit: OwnedSemaphorePermit) -> Slot {
        let peer = Arc::new(Peer {
            address,
            reading_since: Mutex::default(),
            hello_received: AtomicBool::new(false),
            speaks_http1: AtomicBool::new(false),
            requests_started: AtomicU64::new(0),
            requests_in_flight: AtomicUsize::new(0),
            arriving: Mutex::default(),
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

    /// Evicts one connection if all slots are taken.
    ///
    /// # Errors
    /// Returns the time at which the next connection can be evicted if none can be evicted yet.
    fn evict_for_one_more(&self) -> Result<(), Instant> {
        let connected = lock(&self.connected);
        let open = connected
            .peers
            .values()
            .filter(|peer| !peer.evicted.is_cancelled());
        if open.clone().count() < self.max_connections {
            return Ok(());
        }
        let now = Instant::now();
        let largest = self.address_over_its_share(open.clone());
        let mut candidates: Vec<(Progress, &Arc<Peer>)> = open
            .filter(|peer| largest.is_none_or(|address| peer.address == address))
            .filter_map(|peer| Some((peer.progress()?, peer)))
            .collect();
        candidates.sort_by_key(|(progress, _)| *progress);
        let least = candidates
            .iter()
            .find(|(progress, _)| progress.evictable_from() <= now);
        let earliest = candidates
            .iter()
            .map(|(progress, _)| progress.evictable_from())
            .min();
        let (_, peer) = least.ok_or_else(|| earliest.unwrap_or(now + EVICTION_GRACE))?;
        peer.evicted.cancel();
        Ok(())
    }

    /// Returns the address with the most connections if it has more than its share.
    fn address_over_its_share<'a>(&self, peers: impl Iterator<Item = &'a Arc<Peer>>) -> Option<IpAddr> {
        let mut connections: HashMap<IpAddr, usize> = HashMap::new();
        for peer in peers {
            *connections.entry(peer.address).or_default() += 1;
        }
        let share = (self.max_connections / SHARES).max(SMALLEST_SHARE);
        let (address, most) = connections.into_iter().max_by_key(|(_, number)| *number)?;
        (most > share).then_some(address)
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

    /// Records that the client speaks HTTP/1.1.
    pub(super) fn record_http1(&self) {
        self.speaks_http1.store(true, Ordering::Release);
    }

    /// Returns true if the client speaks HTTP/1.1; false also before it is known.
    pub(super) fn speaks_http1(&self) -> bool {
        self.speaks_http1.load(Ordering::Acquire)
    }

    /// Records the start of a request. It is in flight until the result is dropped.
    pub(super) fn start_request(self: &Arc<Self>) -> RequestInFlight {
        self.requests_started.fetch_add(1, Ordering::AcqRel);
        self.requests_in_flight.fetch_add(1, Ordering::AcqRel);
        RequestInFlight(Arc::clone(self))
    }

    /// Records the start of a body. It arrives until the result is dropped.
    pub(super) fn start_body(self: &Arc<Self>) -> ArrivingBody {
        let id = self.requests_started();
        lock(&self.arriving).insert(id, Instant::now());
        ArrivingBody {
            peer: Arc::clone(self),
            id,
        }
    }

    /// Returns the number of requests that have started.
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

    /// Returns true if a body has not arrived completely.
    pub(super) fn has_arriving_body(&self) -> bool {
        !lock(&self.arriving).is_empty()
    }

    /// Returns the progress for the eviction order.
    ///
    /// Returns `None` for a connection that cannot be evicted: it is busy with requests that have arrived and has been
    /// answered before, or its task has not started, or it is evicted already.
    fn progress(&self) -> Option<Progress> {
        if self.evicted.is_cancelled() {
            return None;
        }
        let reading_since = (*lock(&self.reading_since))?;
        let last_response = *lock(&self.last_response);
        let slow_body = lock(&self.arriving).values().next().copied();
        match (last_response, slow_body) {
            (None, _) if self.hello_received.load(Ordering::Acquire) => {
                Some(Progress::NoResponse(reading_since))
            }
            (None, _) => Some(Progress::NoHello(reading_since)),
            (Some(_), Some(begun)) => Some(Progress::SlowBody(begun)),
            (Some(time), None) => self.is_idle().then_some(Progress::Idle(time)),
        }
    }
}

impl Drop for RequestInFlight {
    fn drop(&mut self) {
        *lock(&self.0.last_response) = Some(Instant::now());
        self.0.requests_in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Drop for ArrivingBody {
    fn drop(&mut self) {
        lock(&self.peer.arriving).remove(&self.id);
    }
}

/// Locks a mutex, also after a panic of a holder: each change is one assignment, so the state is consistent.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::time::timeout;

    use super::*;

    const LONG: Duration = Duration::from_hours(1);

    fn address(number: u8) -> IpAddr {
        Ipv4Addr::new(10, 0, 0, number).into()
    }

    /// Takes every slot, each connection from an address of its own.
    async fn full(max_connections: u8) -> (Peers, Vec<Slot>) {
        let peers = Peers::new(max_connections.into());
        let mut slots = Vec::new();
        for number in 0..max_connections {
            slots.push(connected(&peers, address(number)).await);
        }
        sleep(EVICTION_GRACE).await;
        (peers, slots)
    }

    async fn connected(peers: &Peers, address: IpAddr) -> Slot {
        let slot = peers.slot(address).await;
        slot.peer().record_reading();
        slot
    }

    /// Answers one request of a connection.
    fn answered(slot: &Slot) {
        slot.peer().record_hello();
        drop(slot.peer().start_request());
    }

    /// Returns the index of the connection that a new one evicts.
    async fn evicted(peers: &Peers, slots: &[Slot]) -> Option<usize> {
        drop(timeout(EVICTION_GRACE / 2, peers.slot(address(200))).await);
        slots.iter().position(|slot| slot.peer().evicted().is_cancelled())
    }

    #[tokio::test(start_paused = true)]
    async fn a_free_slot_is_used_at_once_without_an_eviction() {
        let peers = Peers::new(2);
        let first = peers.slot(address(1)).await;
        drop(peers.slot(address(1)).await);
        let _second = peers.slot(address(1)).await;
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
    async fn then_a_connection_with_a_slow_body_is_evicted_although_it_was_answered_before() {
        let (peers, slots) = full(3).await;
        slots.iter().for_each(answered);
        let _in_flight = (slots[1].peer().start_request(), slots[1].peer().start_body());
        let _busy = slots[2].peer().start_request();
        sleep(BODY_GRACE).await;
        answered(&slots[0]);
        sleep(EVICTION_GRACE).await;
        assert_eq!(evicted(&peers, &slots).await, Some(1));
    }

    #[tokio::test(start_paused = true)]
    async fn then_the_connection_that_has_been_idle_longest_is_evicted() {
        let (peers, slots) = full(3).await;
        for slot in [&slots[2], &slots[0], &slots[1]] {
            answered(slot);
            sleep(EVICTION_GRACE).await;
        }
        assert_eq!(evicted(&peers, &slots).await, Some(2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_busy_connection_that_was_answered_before_is_not_evicted() {
        let (peers, slots) = full(2).await;
        slots.iter().for_each(answered);
        let in_flight = [slots[0].peer().start_request(), slots[1].peer().start_request()];
        assert!(timeout(LONG, peers.slot(address(200))).await.is_err());
        assert_eq!(evicted(&peers, &slots).await, None);
        drop(in_flight);
        sleep(EVICTION_GRACE).await;
        assert_eq!(evicted(&peers, &slots).await, Some(0));
    }

    #[tokio::test(start_paused = true)]
    async fn no_connection_is_evicted_before_its_grace_has_passed() {
        let peers = Peers::new(1);
        let slot = peers.slot(address(1)).await;
        assert!(timeout(LONG, peers.slot(address(2))).await.is_err());
        assert!(!slot.peer().evicted().is_cancelled(), "its task has not started");
        slot.peer().record_reading();
        assert!(timeout(EVICTION_GRACE / 2, peers.slot(address(2))).await.is_err());
        assert!(!slot.peer().evicted().is_cancelled());
        assert!(timeout(EVICTION_GRACE, peers.slot(address(2))).await.is_ok());
        assert!(slot.peer().evicted().is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn one_connection_is_evicted_for_one_new_connection() {
        let (peers, slots) = full(3).await;
        let _fourth = connected(&peers, address(4)).await;
        let evicted = slots.iter().filter(|slot| slot.peer().evicted().is_cancelled());
        assert_eq!(evicted.count(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn new_connections_do_not_wait_for_each_other_while_many_silent_ones_are_evicted() {
        let (peers, silent) = full(200).await;
        let begun = Instant::now();
        let mut honest = Vec::new();
        for _ in 0..CLOSING {
            honest.push(connected(&peers, address(201)).await);
        }
        assert_eq!(begun.elapsed(), Duration::ZERO);
        assert!(
            silent
                .iter()
                .take(CLOSING)
                .all(|slot| slot.peer().evicted().is_cancelled())
        );
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_with_more_than_its_share_loses_its_own_connections_first() {
        let peers = Peers::new(16);
        let api_server = connected(&peers, address(1)).await;
        answered(&api_server);
        let mut flood = Vec::new();
        for _ in 0..200 {
            let slot = connected(&peers, address(2)).await;
            answered(&slot);
            sleep(EVICTION_GRACE).await;
            // The task of an evicted connection ends.
            flood.retain(|slot: &Slot| !slot.peer().evicted().is_cancelled());
            flood.push(slot);
        }
        assert!(!api_server.peer().evicted().is_cancelled());
        assert!(timeout(EVICTION_GRACE, peers.slot(address(1))).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn addresses_within_their_share_lose_the_connection_with_the_least_progress() {
        let peers = Peers::new(64);
        let mut slots = Vec::new();
        for number in 0..64 {
            slots.push(connected(&peers, address(number / 4)).await);
        }
        slots.iter().take(8).for_each(answered);
        sleep(EVICTION_GRACE).await;
        assert_eq!(evicted(&peers, &slots).await, Some(8));
    }
}
