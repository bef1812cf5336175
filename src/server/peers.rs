//! Who is connected, and who has to go when there is no place left.
//!
//! Connections are bounded. Whoever holds them all and sends nothing would keep everybody else out: so the one that
//! has come to the least goes for one that has just come.

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

/// Nobody has to go sooner after we began to listen to it. 500 ms: a greeting is mostly there by then, and it comes
/// within a round trip.
const GRACE: Duration = Duration::from_millis(500);

/// The places of one listener.
#[derive(Debug)]
pub(super) struct Peers {
    places: Arc<Semaphore>,
    present: Arc<Mutex<Present>>,
}

#[derive(Debug, Default)]
struct Present {
    next: u64,
    /// By arrival.
    peers: BTreeMap<u64, Arc<Peer>>,
}

/// A place that is taken; dropping it makes it free.
#[derive(Debug)]
pub(super) struct Place {
    peer: Arc<Peer>,
    number: u64,
    present: Arc<Mutex<Present>>,
    _permit: OwnedSemaphorePermit,
}

/// What one peer has come to.
#[derive(Debug)]
pub(super) struct Peer {
    /// Since when we have listened to it; nothing while its task waits for a thread.
    heard: Mutex<Option<Instant>>,
    greeted: AtomicBool,
    begun: AtomicU64,
    running: AtomicUsize,
    /// When the last answer was given; nothing before the first.
    answered: Mutex<Option<Instant>>,
    leave: CancellationToken,
}

/// One request under way.
#[derive(Debug)]
pub(super) struct Running(Arc<Peer>);

/// How little a peer has come to. The least goes first, and of those that are alike the one that has waited longest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    /// No greeting (`ClientHello`) yet, since then.
    Silent(Instant),
    /// No answer yet, since then. A body may be coming, slowly.
    Unanswered(Instant),
    /// Nothing asked any more, since then.
    Resting(Instant),
}

impl Standing {
    fn since(self) -> Instant {
        match self {
            Self::Silent(since) | Self::Unanswered(since) | Self::Resting(since) => since,
        }
    }
}

impl Peers {
    pub(super) fn new(places: usize) -> Self {
        Self {
            places: Arc::new(Semaphore::new(places)),
            present: Arc::default(),
        }
    }

    /// A place for one that has just come. It waits until there is one: for ever, while each peer is being answered.
    pub(super) async fn place(&self) -> Place {
        loop {
            let free = Arc::clone(&self.places).acquire_owned();
            let permit = tokio::select! {
                biased;
                permit = free => permit,
                () = self.make_room() => continue,
            };
            // The semaphore is never closed.
            if let Ok(permit) = permit {
                return self.taken(permit);
            }
        }
    }

    fn taken(&self, permit: OwnedSemaphorePermit) -> Place {
        let peer = Arc::new(Peer {
            heard: Mutex::default(),
            greeted: AtomicBool::new(false),
            begun: AtomicU64::new(0),
            running: AtomicUsize::new(0),
            answered: Mutex::default(),
            leave: CancellationToken::new(),
        });
        let mut present = now(&self.present);
        let number = present.next;
        present.next += 1;
        present.peers.insert(number, Arc::clone(&peer));
        drop(present);
        Place {
            peer,
            number,
            present: Arc::clone(&self.present),
            _permit: permit,
        }
    }

    /// Asks one to leave as soon as one may be asked, and gives it a while to do so.
    async fn make_room(&self) {
        let Some((standing, peer)) = self.least() else {
            // Each one is being answered. It may have come to its end a moment later.
            return sleep(GRACE).await;
        };
        let patience = (standing.since() + GRACE).saturating_duration_since(Instant::now());
        if patience.is_zero() {
            peer.leave.cancel();
            return sleep(GRACE).await;
        }
        sleep(patience).await;
    }

    fn least(&self) -> Option<(Standing, Arc<Peer>)> {
        let present = now(&self.present);
        let candidates = present
            .peers
            .values()
            .filter_map(|peer| Some((peer.standing()?, peer)));
        let least = candidates.min_by_key(|(standing, _)| *standing);
        least.map(|(standing, peer)| (standing, Arc::clone(peer)))
    }
}

impl Place {
    pub(super) fn peer(&self) -> &Arc<Peer> {
        &self.peer
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        now(&self.present).peers.remove(&self.number);
    }
}

impl Peer {
    /// Cancelled when somebody else needs the place.
    pub(super) fn leave(&self) -> &CancellationToken {
        &self.leave
    }

    /// We listen to it from now on.
    pub(super) fn heard(&self) {
        *now(&self.heard) = Some(Instant::now());
    }

    /// It has sent a greeting that can be read.
    pub(super) fn greeted(&self) {
        self.greeted.store(true, Ordering::Release);
    }

    /// A request has begun, until what is returned is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> Running {
        self.begun.fetch_add(1, Ordering::AcqRel);
        self.running.fetch_add(1, Ordering::AcqRel);
        Running(Arc::clone(self))
    }

    /// How many requests have begun so far.
    pub(super) fn begun(&self) -> u64 {
        self.begun.load(Ordering::Acquire)
    }

    /// Whether no request is under way.
    pub(super) fn is_resting(&self) -> bool {
        self.running.load(Ordering::Acquire) == 0
    }

    /// Whether a request was ever answered.
    pub(super) fn is_answered(&self) -> bool {
        now(&self.answered).is_some()
    }

    /// Nothing for one that is to stay: it was answered before and is being answered now; or that was not heard yet;
    /// or that is leaving already.
    fn standing(&self) -> Option<Standing> {
        if self.leave.is_cancelled() {
            return None;
        }
        let heard = (*now(&self.heard))?;
        let answered = *now(&self.answered);
        match answered {
            None if self.greeted.load(Ordering::Acquire) => Some(Standing::Unanswered(heard)),
            None => Some(Standing::Silent(heard)),
            Some(when) => self.is_resting().then_some(Standing::Resting(when)),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        *now(&self.0.answered) = Some(Instant::now());
        self.0.running.fetch_sub(1, Ordering::AcqRel);
    }
}

/// What a panicked holder left is whole: each change is one assignment.
fn now<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    const LONG: Duration = Duration::from_hours(1);

    async fn full(places: usize) -> (Peers, Vec<Place>) {
        let peers = Peers::new(places);
        let mut taken = Vec::new();
        for _ in 0..places {
            let place = peers.place().await;
            place.peer().heard();
            taken.push(place);
        }
        tokio::time::sleep(GRACE).await;
        (peers, taken)
    }

    /// Which of these is asked to leave for one that comes now.
    async fn asked(peers: &Peers, taken: &[Place]) -> Option<usize> {
        drop(timeout(GRACE / 2, peers.place()).await);
        taken.iter().position(|place| place.peer().leave().is_cancelled())
    }

    #[tokio::test(start_paused = true)]
    async fn a_free_place_is_taken_at_once_and_nobody_goes() {
        let peers = Peers::new(2);
        let first = peers.place().await;
        drop(peers.place().await);
        let _second = peers.place().await;
        assert!(!first.peer().leave().is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_waited_longest_without_a_greeting_goes_first() {
        let (peers, taken) = full(3).await;
        taken[0].peer().greeted();
        assert_eq!(asked(&peers, &taken).await, Some(1));
    }

    #[tokio::test(start_paused = true)]
    async fn then_whoever_was_never_answered_though_a_body_is_coming() {
        let (peers, taken) = full(3).await;
        for place in &taken {
            place.peer().greeted();
        }
        drop(taken[0].peer().begin());
        let _coming = taken[1].peer().begin();
        assert_eq!(asked(&peers, &taken).await, Some(1));
    }

    #[tokio::test(start_paused = true)]
    async fn then_whoever_has_rested_longest() {
        let (peers, taken) = full(3).await;
        for place in [&taken[2], &taken[0], &taken[1]] {
            place.peer().greeted();
            drop(place.peer().begin());
            tokio::time::sleep(GRACE).await;
        }
        assert_eq!(asked(&peers, &taken).await, Some(2));
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_is_being_answered_again_stays() {
        let (peers, taken) = full(2).await;
        for place in &taken {
            place.peer().greeted();
            drop(place.peer().begin());
        }
        let under_way = [taken[0].peer().begin(), taken[1].peer().begin()];
        assert!(timeout(LONG, peers.place()).await.is_err());
        assert_eq!(asked(&peers, &taken).await, None);
        drop(under_way);
        tokio::time::sleep(GRACE).await;
        assert_eq!(asked(&peers, &taken).await, Some(0));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_goes_before_its_time() {
        let peers = Peers::new(1);
        let place = peers.place().await;
        assert!(timeout(LONG, peers.place()).await.is_err());
        assert!(!place.peer().leave().is_cancelled(), "it was not heard yet");
        place.peer().heard();
        assert!(timeout(GRACE / 2, peers.place()).await.is_err());
        assert!(!place.peer().leave().is_cancelled());
        assert!(timeout(GRACE, peers.place()).await.is_err());
        assert!(place.peer().leave().is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn one_goes_for_one_that_comes() {
        let (peers, mut taken) = full(3).await;
        let leaves = taken[0].peer().leave().clone();
        let first = taken.remove(0);
        tokio::spawn(async move {
            leaves.cancelled().await;
            drop(first);
        });
        let _fourth = peers.place().await;
        assert!(taken.iter().all(|place| !place.peer().leave().is_cancelled()));
    }
}
