//! The memory limit for the bodies of all requests together.
//!
//! The size of one body and the number of connections are limited, but many large bodies at once would still exceed the
//! memory of a container. So the largest body is cancelled when the total exceeds a limit. A usual review has a few
//! kilobytes.

use std::{
    cmp::Reverse,
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio_util::sync::CancellationToken;

/// The bytes that have been received of the bodies of all requests. A clone is another handle to the same limit.
#[derive(Debug, Clone)]
pub(super) struct BodyLimit {
    max_bytes: usize,
    received: Arc<Mutex<Received>>,
}

#[derive(Debug, Default)]
struct Received {
    next_id: u64,
    total: usize,
    /// Ordered by arrival, without cancelled bodies.
    bodies: BTreeMap<u64, (usize, CancellationToken)>,
}

/// One body. Its bytes count until this is dropped.
#[derive(Debug)]
pub(super) struct TrackedBody {
    limit: BodyLimit,
    id: u64,
    cancelled: CancellationToken,
}

impl BodyLimit {
    /// Returns a limit of `max_bytes` for all bodies together.
    pub(super) fn new(max_bytes: usize) -> Self {
        Self {
            max_bytes,
            received: Arc::default(),
        }
    }

    /// Registers a body of which nothing has been received yet.
    pub(super) fn track(&self) -> TrackedBody {
        let cancelled = CancellationToken::new();
        let mut received = self.lock();
        let id = received.next_id;
        received.next_id += 1;
        received.bodies.insert(id, (0, cancelled.clone()));
        drop(received);
        TrackedBody {
            limit: self.clone(),
            id,
            cancelled,
        }
    }

    /// Locks the state, also after a panic of a holder: at worst the total is wrong until its body is dropped.
    fn lock(&self) -> MutexGuard<'_, Received> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Received {
    /// Cancels the largest body, and the oldest among equals. Returns false if there is none.
    fn cancel_largest(&mut self) -> bool {
        let sizes = self.bodies.iter().map(|(id, (size, _))| (*size, Reverse(*id)));
        let Some((_, Reverse(largest))) = sizes.max() else {
            return false;
        };
        if let Some((size, cancelled)) = self.bodies.remove(&largest) {
            self.total -= size;
            cancelled.cancel();
        }
        true
    }
}

impl TrackedBody {
    /// Adds `bytes` to the total; over the limit, cancels the largest body.
    pub(super) fn add(&self, bytes: usize) {
        let mut received = self.limit.lock();
        let Some((size, _)) = received.bodies.get_mut(&self.id) else {
            return;
        };
        *size += bytes;
        received.total += bytes;
        while received.total > self.limit.max_bytes {
            if !received.cancel_largest() {
                return;
            }
        }
    }

    /// Returns a token that is cancelled when the body must be dropped.
    pub(super) fn cancelled(&self) -> &CancellationToken {
        &self.cancelled
    }
}

impl Drop for TrackedBody {
    fn drop(&mut self) {
        let mut received = self.limit.lock();
        if let Some((size, _)) = received.bodies.remove(&self.id) {
            received.total -= size;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cancelled(bodies: &[TrackedBody]) -> Vec<bool> {
        bodies
            .iter()
            .map(|body| body.cancelled().is_cancelled())
            .collect()
    }

    #[test]
    fn the_largest_body_is_cancelled_whichever_exceeds_the_limit() {
        let limit = BodyLimit::new(100);
        let bodies = [limit.track(), limit.track(), limit.track()];
        bodies[0].add(30);
        bodies[1].add(60);
        bodies[2].add(10);
        assert_eq!(cancelled(&bodies), [false, false, false]);
        bodies[2].add(1);
        assert_eq!(cancelled(&bodies), [false, true, false]);
    }

    #[test]
    fn of_equal_bodies_the_oldest_is_cancelled() {
        let limit = BodyLimit::new(100);
        let bodies = [limit.track(), limit.track()];
        bodies[1].add(50);
        bodies[0].add(50);
        assert_eq!(cancelled(&bodies), [false, false]);
        let last = limit.track();
        last.add(1);
        assert_eq!(cancelled(&bodies), [true, false]);
        assert!(!last.cancelled().is_cancelled());
    }

    #[test]
    fn dropped_and_cancelled_bodies_count_no_longer() {
        let limit = BodyLimit::new(100);
        for _ in 0..10 {
            limit.track().add(90);
        }
        let alone = limit.track();
        alone.add(101);
        assert!(alone.cancelled().is_cancelled());
        alone.add(1000);
        let next = limit.track();
        next.add(100);
        assert!(!next.cancelled().is_cancelled());
        drop(alone);
        next.add(1);
        assert!(next.cancelled().is_cancelled());
        drop(next);
        assert_eq!(limit.lock().total, 0);
    }
}
