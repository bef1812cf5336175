//! The memory that the bodies of all requests take together.
//!
//! One body is bounded, and so is the number of connections; but many bodies at once would still be more than a
//! container has. So the largest of them is given up when they grow over a limit: a review is a few kilobytes.

use std::{
    cmp::Reverse,
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio_util::sync::CancellationToken;

/// What has come of all bodies whose requests are under way. A clone is another handle to the same.
#[derive(Debug, Clone)]
pub(super) struct Bodies {
    limit: usize,
    held: Arc<Mutex<Held>>,
}

#[derive(Debug, Default)]
struct Held {
    next: u64,
    total: usize,
    /// By arrival; those that were given up are not in it.
    shares: BTreeMap<u64, (usize, CancellationToken)>,
}

/// What has come of one body. It is held until this is dropped.
#[derive(Debug)]
pub(super) struct Share {
    bodies: Bodies,
    number: u64,
    given_up: CancellationToken,
}

impl Bodies {
    /// At most `limit` bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            held: Arc::default(),
        }
    }

    /// Nothing has come of it yet.
    pub(super) fn share(&self) -> Share {
        let given_up = CancellationToken::new();
        let mut held = self.now();
        let number = held.next;
        held.next += 1;
        held.shares.insert(number, (0, given_up.clone()));
        drop(held);
        Share {
            bodies: self.clone(),
            number,
            given_up,
        }
    }

    /// What a panicked holder left is at worst a wrong sum for as long as its share lives.
    fn now(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn give_up_largest(&mut self) -> bool {
        let sizes = self
            .shares
            .iter()
            .map(|(number, (size, _))| (*size, Reverse(*number)));
        // Of those that are alike the one that has been coming for longest.
        let Some((_, Reverse(largest))) = sizes.max() else {
            return false;
        };
        if let Some((size, given_up)) = self.shares.remove(&largest) {
            self.total -= size;
            given_up.cancel();
        }
        true
    }
}

impl Share {
    /// So much more has come. Whoever has most is given up when it is too much for all.
    pub(super) fn grow(&self, bytes: usize) {
        let mut held = self.bodies.now();
        let Some((size, _)) = held.shares.get_mut(&self.number) else {
            return;
        };
        *size += bytes;
        held.total += bytes;
        while held.total > self.bodies.limit {
            if !held.give_up_largest() {
                return;
            }
        }
    }

    /// Cancelled when the body has to be let go of.
    pub(super) fn given_up(&self) -> &CancellationToken {
        &self.given_up
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut held = self.bodies.now();
        if let Some((size, _)) = held.shares.remove(&self.number) {
            held.total -= size;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given_up(shares: &[Share]) -> Vec<bool> {
        shares
            .iter()
            .map(|share| share.given_up().is_cancelled())
            .collect()
    }

    #[test]
    fn the_largest_is_given_up_whoever_made_it_too_much() {
        let bodies = Bodies::new(100);
        let shares = [bodies.share(), bodies.share(), bodies.share()];
        shares[0].grow(30);
        shares[1].grow(60);
        shares[2].grow(10);
        assert_eq!(given_up(&shares), [false, false, false]);
        shares[2].grow(1);
        assert_eq!(given_up(&shares), [false, true, false]);
    }

    #[test]
    fn of_equals_the_one_that_came_first_is_given_up() {
        let bodies = Bodies::new(100);
        let shares = [bodies.share(), bodies.share()];
        shares[1].grow(50);
        shares[0].grow(50);
        assert_eq!(given_up(&shares), [false, false]);
        let last = bodies.share();
        last.grow(1);
        assert_eq!(given_up(&shares), [true, false]);
        assert!(!last.given_up().is_cancelled());
    }

    #[test]
    fn what_is_dropped_or_given_up_counts_no_longer() {
        let bodies = Bodies::new(100);
        for _ in 0..10 {
            bodies.share().grow(90);
        }
        let alone = bodies.share();
        alone.grow(101);
        assert!(alone.given_up().is_cancelled());
        alone.grow(1000);
        let next = bodies.share();
        next.grow(100);
        assert!(!next.given_up().is_cancelled());
        drop(alone);
        next.grow(1);
        assert!(next.given_up().is_cancelled());
        drop(next);
        assert_eq!(bodies.now().total, 0);
    }
}
