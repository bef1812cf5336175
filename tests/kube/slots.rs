//! Schedules through a year of made up time on a real kube-apiserver: every slot once, by an oracle of our own.

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

/// Set to a number: what is random is as it was when a test told this number.
const SEED: &str = "CASSGATE_TEST_SEED";

/// Set to anything: as much as `make soak-slots` has time for.
const ALL: &str = "CASSGATE_TEST_ALL_SLOTS";

/// Random numbers, by a seed that is told.
fn random(test: &str) -> Rng {
    let seed = std::env::var(SEED).map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap());
    println!("{test}: {SEED}={seed}");
    Rng::with_seed(seed)
}

fn is_soak() -> bool {
    std::env::var_os(ALL).is_some()
}
