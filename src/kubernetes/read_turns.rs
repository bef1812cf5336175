//! The limit on concurrent reads, and its shares.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    sync::oneshot,
    time::{Duration, Instant},
};

/// The maximum number of concurrent reads. kube speaks HTTP/1.1, where each read needs its own connection; hundreds of
/// applies at once must not open hundreds of connections.
pub(super) const MAX_READS: usize = 40;

/// The maximum number of concurrent reads of one namespace. The others are left for the first reads of other namespaces.
pub(super) const MAX_READS_OF_NAMESPACE: usize = 32;

/// The time for which a late turn counts. No review takes longer: the API server waits at most 30 s for a webhook.
const LONGEST_REVIEW: Duration = Duration::from_secs(30);

/// The turns of reads. A clone shares the same limit.
///
/// # Guarantees
/// A free turn goes to the namespace with the fewest reads, and there to the read that waits longest.
#[derive(Debug, Clone, Default)]
pub(super) struct ReadTurns(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// The reads under way of each namespace that has any.
    running: HashMap<String, usize>,
    /// Ordered by arrival.
    waiting: Vec<Waiting>,
    /// The time of the last answer of the API server.
    answered: Option<Instant>,
    /// The time of the last late turn of each namespace, at most [`LONGEST_REVIEW`] ago.
    late: HashMap<String, Instant>,
}

#[derive(Debug)]
struct Waiting {
    namespace: String,
    since: Instant,
    /// True if no turn was free when the read arrived.
    is_delayed: bool,
    turn: oneshot::Sender<Turn>,
}

/// The permission for one read, until it is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    turns: ReadTurns,
    namespace: String,
    /// True if the read waited for this turn while the API server answered others. If such a read has no answer in time, the
    /// limit took its time.
    pub(super) is_late: bool,
}

impl ReadTurns {
    /// Waits for the turn of a read of this namespace.
    pub(super) async fn wait(&self, namespace: &str) -> Option<Turn> {
        let (turn, granted) = oneshot::channel();
        self.lock().waiting.push(Waiting {
            namespace: namespace.to_owned(),
            since: Instant::now(),
            is_delayed: false,
            turn,
        });
        self.grant();
        // The sender is dropped only with a turn.
        granted.await.ok()
    }

    /// Records that the API server has answered a read.
    pub(super) fn answered(&self) {
        self.lock().answered = Some(Instant::now());
    }

    /// Returns true if the API server has answered a read since `time`. If it has not, it is slow, and the limit only shows
    /// it.
    pub(super) fn answered_since(&self, time: Instant) -> bool {
        self.lock().answered.is_some_and(|answered| answered >= time)
    }

    /// Returns true if the limit takes time from reads of this namespace while the API server answers others: one of them waits,
    /// or had a late turn within the last [`LONGEST_REVIEW`]. A review has several reads one after the other, so the delay of the
    /// first one counts for the last one.
    pub(super) fn are_short(&self, namespace: &str) -> bool {
        let state = self.lock();
        let mut own = state
            .waiting
            .iter()
            .filter(|waiting| waiting.namespace == namespace);
        own.any(|waiting| state.answered >= Some(waiting.since))
            || state
                .late
                .get(namespace)
                .is_some_and(|late| late.elapsed() <= LONGEST_REVIEW)
    }

    /// Gives the free turns to reads that wait.
    fn grant(&self) {
        // A turn that cannot be delivered is dropped after the lock, and then grants the next one itself.
        let mut undelivered = Vec::new();
        let mut state = self.lock();
        while let Some(waiting) = state.next() {
            let is_late = waiting.is_delayed && state.answered >= Some(waiting.since);
            if is_late {
                state.record_late(&waiting.namespace);
            }
            let turn = Turn {
                turns: self.clone(),
                namespace: waiting.namespace,
                is_late,
            };
            undelivered.extend(waiting.turn.send(turn).err());
        }
        for waiting in &mut state.waiting {
            waiting.is_delayed = true;
        }
        drop(state);
    }

    /// Locks the state, also after a panic of a holder: each change of it is complete.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Removes and counts the read that is next; `None` if no turn is free or no read may have it.
    fn next(&mut self) -> Option<Waiting> {
        self.waiting.retain(|waiting| !waiting.turn.is_closed());
        if self.running.values().sum::<usize>() >= MAX_READS {
            return None;
        }
        let running = |waiting: &Waiting| self.running.get(&waiting.namespace).copied().unwrap_or(0);
        let counted = self.waiting.iter().map(running).enumerate();
        let (position, _) = counted
            .filter(|(_, running)| *running < MAX_READS_OF_NAMESPACE)
            .min_by_key(|(position, running)| (*running, *position))?;
        let next = self.waiting.remove(position);
        *self.running.entry(next.namespace.clone()).or_default() += 1;
        Some(next)
    }

    /// Records a late turn, and drops the records that no review needs any more.
    fn record_late(&mut self, namespace: &str) {
        let now = Instant::now();
        self.late
            .retain(|_, late| now.saturating_duration_since(*late) <= LONGEST_REVIEW);
        self.late.insert(namespace.to_owned(), now);
    }

    fn release(&mut self, namespace: &str) {
        let Some(running) = self.running.get_mut(namespace) else {
            return;
        };
        *running = running.saturating_sub(1);
        if *running == 0 {
            self.running.remove(namespace);
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.turns.lock().release(&self.namespace);
        self.turns.grant();
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use tokio::time::{Duration, Instant, advance};

    use super::{LONGEST_REVIEW, MAX_READS, MAX_READS_OF_NAMESPACE, ReadTurns, Turn};

    fn take(turns: &ReadTurns, namespace: &str, count: usize) -> Vec<Turn> {
        let taken = (0..count).map(|_| turns.wait(namespace).now_or_never().flatten().unwrap());
        taken.collect()
    }

    #[test]
    fn a_namespace_leaves_turns_to_the_others() {
        let turns = ReadTurns::default();
        let held = take(&turns, "a", MAX_READS_OF_NAMESPACE);
        let mut waiting = Box::pin(turns.wait("a"));
        assert!(waiting.as_mut().now_or_never().is_none());
        assert!(!turns.are_short("a"), "the API server has answered nothing");
        turns.answered();
        assert!(turns.are_short("a") && !turns.are_short("b"));
        let others = take(&turns, "b", MAX_READS - MAX_READS_OF_NAMESPACE);
        assert!(turns.wait("c").now_or_never().is_none());
        drop(held);
        assert!(waiting.now_or_never().flatten().is_some());
        drop(others);
        assert!(turns.0.lock().unwrap().running.is_empty());
    }

    #[test]
    fn a_free_turn_goes_to_the_namespace_with_the_fewest_reads() {
        let turns = ReadTurns::default();
        let mut held = take(&turns, "a", 20);
        held.extend(take(&turns, "b", MAX_READS - 20));
        let mut first = Box::pin(turns.wait("a"));
        let mut second = Box::pin(turns.wait("b"));
        let mut third = Box::pin(turns.wait("c"));
        assert!(first.as_mut().now_or_never().is_none());
        assert!(second.as_mut().now_or_never().is_none());
        assert!(third.as_mut().now_or_never().is_none());
        held.pop();
        let granted = third.now_or_never().flatten().unwrap();
        assert!(second.as_mut().now_or_never().is_none());
        drop(granted);
        assert!(second.now_or_never().flatten().is_some());
        assert!(
            first.now_or_never().flatten().is_some(),
            "the turn of the second is free again"
        );
    }

    #[test]
    fn a_cancelled_read_takes_no_turn() {
        let turns = ReadTurns::default();
        let mut held = take(&turns, "a", MAX_READS_OF_NAMESPACE);
        held.extend(take(&turns, "b", MAX_READS - MAX_READS_OF_NAMESPACE));
        let mut cancelled = Box::pin(turns.wait("c"));
        assert!(cancelled.as_mut().now_or_never().is_none());
        drop(cancelled);
        let mut next = Box::pin(turns.wait("d"));
        assert!(next.as_mut().now_or_never().is_none());
        held.pop();
        assert!(next.now_or_never().flatten().is_some());
        drop(held);
        // A turn that was granted and never taken is free again.
        let mut granted = Box::pin(turns.wait("a"));
        drop(take(&turns, "a", MAX_READS_OF_NAMESPACE));
        assert!(granted.as_mut().now_or_never().is_some());
        assert!(turns.0.lock().unwrap().running.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_is_late_only_if_the_api_server_answered_others_meanwhile() {
        for answers in [false, true] {
            let turns = ReadTurns::default();
            let mut held = take(&turns, "a", MAX_READS_OF_NAMESPACE);
            assert!(held.iter().all(|turn| !turn.is_late));
            let mut waiting = Box::pin(turns.wait("a"));
            assert!(waiting.as_mut().now_or_never().is_none());
            advance(Duration::from_secs(1)).await;
            if answers {
                turns.answered();
            }
            held.pop();
            let turn = waiting.now_or_never().flatten().unwrap();
            assert_eq!(
                (turn.is_late, turns.are_short("a"), turns.are_short("b")),
                (answers, answers, false)
            );
            drop((turn, held));
            assert_eq!(turns.are_short("a"), answers, "the review may have further reads");
            advance(LONGEST_REVIEW + Duration::from_secs(1)).await;
            assert!(!turns.are_short("a"));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_late_turn_is_remembered_no_longer_than_a_review_takes() {
        let turns = ReadTurns::default();
        for namespace in ["a", "b"] {
            let mut held = take(&turns, namespace, MAX_READS_OF_NAMESPACE);
            let mut waiting = Box::pin(turns.wait(namespace));
            assert!(waiting.as_mut().now_or_never().is_none());
            turns.answered();
            held.pop();
            assert!(waiting.now_or_never().flatten().unwrap().is_late);
            drop(held);
            assert_eq!(turns.0.lock().unwrap().late.len(), 1, "{namespace}");
            advance(LONGEST_REVIEW + Duration::from_secs(1)).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_counts_from_its_time() {
        let turns = ReadTurns::default();
        let before = Instant::now();
        assert!(!turns.answered_since(before));
        advance(Duration::from_secs(1)).await;
        turns.answered();
        assert!(turns.answered_since(before) && turns.answered_since(Instant::now()));
        advance(Duration::from_secs(1)).await;
        assert!(!turns.answered_since(Instant::now()));
    }
}
