//! Random histories of the real reconciler on the real kube-apiserver: cassgate is killed at random instants while the ring
//! loses nodes, sidecars, answers and time.
//!
//! The properties are those of the planner's histories (`src/reconcile/plan/tests/histories`): in 24 hours every object ends,
//! advances or says what a person has to do; when the cause is gone, it continues by itself; and no row and no file is lost in
//! silence. Each history has a namespace, a ring, a reconciler and a clock of its own, so its seed replays it alone.

mod event;
mod history;
mod nodes;
mod objects;
mod progress;
mod record;

mod safety;
mod sidecars;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use history::{Failure, Played};

/// The number of histories; `make soak-histories` plays 200.
const HISTORIES: u64 = 20;

/// Set to the seed of a failed history, to replay it alone.
const SEED: &str = "CASSGATE_SEED";

/// Set to another number of histories.
const NUMBER: &str = "CASSGATE_TEST_KUBE_HISTORIES";

/// The histories of a core at the same time. They wait for the API server half of the time.
const THREADS_PER_CORE: usize = 3;

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

/// Plays the histories of these seeds on several threads.
fn play_all(first: u64, count: u64) -> (Played, Vec<Failure>) {
    let next = AtomicU64::new(0);
    let results = Mutex::new((Played::default(), Vec::new()));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores * THREADS_PER_CORE {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return;
                    }
                    let seed = first.wrapping_add(number);
                    let outcome = catch_unwind(AssertUnwindSafe(|| history::play(seed)));
                    let outcome = outcome.unwrap_or_else(|_| Err(Failure::panicked(seed)));
                    let mut results = results.lock().unwrap();
                    match outcome {
                        Ok(played) => results.0.add(&played),
                        Err(failure) => results.1.push(failure),
                    }
                }
            });
        }
    });
    results.into_inner().unwrap()
}

pub(crate) fn every_object_ends_advances_or_says_what_to_do_wherever_cassgate_is_killed() {
    let seed = setting(SEED);
    let count = seed.map_or_else(|| setting(NUMBER).unwrap_or(HISTORIES), |_| 1);
    let begun = Instant::now();
    let (played, mut failures) = play_all(seed.unwrap_or(0), count);
    println!("{count} histories, {played}, in {:?}", begun.elapsed());
    failures.sort_by_key(|failure| failure.seed);
    let mut kinds = BTreeMap::<String, (usize, u64)>::new();
    for failure in &failures {
        let kind: String = failure.error.split(": ").take(2).collect::<Vec<_>>().join(": ");
        kinds.entry(kind).or_insert((0, failure.seed)).0 += 1;
    }
    for (kind, (count, seed)) in kinds {
        println!("{count} times, first with {SEED}={seed}: {kind}");
    }
    if let Some(first) = failures.first() {
        panic!("{SEED}={}: {}\n{}", first.seed, first.error, first.log.join("\n"));
    }
}
