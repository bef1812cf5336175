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

/// The time that a connection has for its next step before it can be evicted: the `ClientHello`, the first response, the
/// rest of a body, another request. 500 ms: each takes a round trip, and a busy machine takes a part of a second.
const EVICTION_GRACE: Duration = Duration::from_millis(500);

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
    /// The number of connections of each address that has any.
    of_address: HashMap<IpAddr, Arc<AddressCount>>,
}

/// The number of connections of one address.
#[derive(Debug, Default)]
struct AddressCount {
    open: AtomicUsize,
    without_hello: AtomicUsize,
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
    of_address: Arc<AddressCount>,
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
        let (Self::NoHello(since) | Self::NoResponse(since) | Self::SlowBody(since) | Self::Idle(since)) =
            self;
        since + EVICTION_GRACE
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
    /// Returns `None` if no slot is free and the address has more than its share, each connection with a `ClientHello`:
    /// the connection has to be closed. A handshake for each new connection of such an address would take all CPU time.
    ///
    /// # Guarantees
    /// While an address has more than its share of the connections, one of the address with the most is evicted. So
    /// many connections from few addresses do not evict those from others.
    pub(super) async fn slot(&self, address: IpAddr) -> Option<Slot> {
        loop {
            if self.is_full_of(address) {
                return None;
            }
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
                return Some(self.connect(address, permit));
            }
        }
    }

    /// Returns the number of connections with a request in flight.
    pub(super) fn busy(&self) -> usize {
        let connected = lock(&self.connected);
        connected.peers.values().filter(|peer| !peer.is_idle()).count()
    }

    fn connect(&self, address: IpAddr, permit: OwnedSemaphorePermit) -> Slot {
        let mut connected = lock(&self.connected);
        let of_address = Arc::clone(connected.of_address.entry(address).or_default());
        of_address.open.fetch_add(1, Ordering::AcqRel);
        of_address.without_hello.fetch_add(1, Ordering::AcqRel);
        let peer = Arc::new(Peer {
            address,
            of_address,
            reading_since: Mutex::default(),
            hello_received: AtomicBool::new(false),
            speaks_http1: AtomicBool::new(false),
            requests_started: AtomicU64::new(0),
            requests_in_flight: AtomicUsize::new(0),
            arriving: Mutex::default(),
            last_response: Mutex::default(),
            evicted: CancellationToken::new(),
        });
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

    /// Returns true if no slot is free and the address has more than its share, each connection with a `ClientHello`.
    fn is_full_of(&self, address: IpAddr) -> bool {
        let connected = lock(&self.connected);
        let Some(count) = connected.of_address.get(&address) else {
            return false;
        };
        connected.peers.len() >= self.max_connections
            && count.open.load(Ordering::Acquire) > self.share()
            && count.without_hello.load(Ordering::Acquire) == 0
    }

    /// Returns the number of connections that an address may have before its own are evicted first.
    fn share(&self) -> usize {
        (self.max_connections / SHARES).max(SMALLEST_SHARE)
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
        let (address, most) = connections.into_iter().max_by_key(|(_, number)| *number)?;
        (most > self.share()).then_some(address)
    }
}

impl Slot {
    pub(super) fn peer(&self) -> &Arc<Peer> {
        &self.peer
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut connected = lock(&self.connected);
        connected.peers.remove(&self.id);
        // A peer that never sent a ClientHello stops to count as one.
        self.peer.record_hello();
        if self.peer.of_address.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            connected.of_address.remove(&self.peer.address);
        }
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
        if !self.hello_received.swap(true, Ordering::AcqRel) {
            self.of_address.without_hello.fetch_sub(1, Ordering::AcqRel);
        }
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
mod tests;
