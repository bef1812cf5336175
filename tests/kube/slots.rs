//! Schedules through a year of simulated time on a real kube-apiserver: every slot once, by an independent oracle.

pub(crate) mod adoption;
mod clock;
pub(crate) mod crowd;
mod fleet;
mod oracle;
pub(crate) mod restarts;
mod rings;
mod world;
pub(crate) mod year;

use fastrand::Rng;

/// Set to the seed that a failed test printed, to repeat its random choices.
const SEED: &str = "CASSGATE_TEST_SEED";

/// Set to any value for the large runs of `make soak-slots`.
const ALL: &str = "CASSGATE_TEST_ALL_SLOTS";

/// Returns a random number generator and prints its seed.
fn random(test: &str) -> Rng {
    let seed = std::env::var(SEED).map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap());
    println!("{test}: {SEED}={seed}");
    Rng::with_seed(seed)
}

fn is_soak() -> bool {
    std::env::var_os(ALL).is_some()
}
