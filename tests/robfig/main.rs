//! Compares cassgate with the Go library robfig/cron on random schedules: both must give the same answers.
//!
//! The Go program in this folder has the same input and output as `cassgate schedule - --format json` and uses the zone
//! data that is compiled into cassgate. `ROBFIG_SEED` sets the seed of the schedules, `ROBFIG_CASES` their number.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

mod oracle;
mod random;

use std::collections::BTreeMap;
use std::env;

use oracle::{Answer, Request};
use random::Random;

/// The number of schedules. About half of them are valid and have a clock change within three days.
const CASES: usize = 44_000;

const SEED: u64 = 20_261_124;

/// The zones whose clock skips midnight, or does not change by exactly one hour. There robfig loses a run or moves it to a
/// time that does not match the schedule, whereas cassgate always fires when the wall clock shows the time. Names of the
/// same zone are adjacent.
const DIFFERENT_ZONES: [&str; 13] = [
    "Africa/Cairo",
    "Egypt",
    "America/Havana",
    "Cuba",
    "America/Santiago",
    "Chile/Continental",
    "Antarctica/Troll",
    "Asia/Beirut",
    "Atlantic/Azores",
    "Australia/Lord_Howe",
    "Australia/LHI",
    "Pacific/Chatham",
    "NZ-CHAT",
];

/// A known reason for different answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Exception {
    /// The zone is one of [`DIFFERENT_ZONES`].
    Zone,
    /// robfig panics on a zone prefix without a schedule.
    Panic,
}

fn exception(request: &Request, ours: &Answer, theirs: &Answer) -> Option<Exception> {
    let zone = request.effective_zone();
    let fails_with =
        |answer: &Answer, word| answer.error.as_ref().is_some_and(|error| error.starts_with(word));
    if fails_with(theirs, "panic: ") && fails_with(ours, "no schedule follows the time zone in ") {
        Some(Exception::Panic)
    } else if ours.valid && theirs.valid && DIFFERENT_ZONES.contains(&zone) {
        Some(Exception::Zone)
    } else {
        None
    }
}

fn setting<T: std::str::FromStr>(name: &str, default: T) -> T {
    env::var(name).map_or(default, |text| {
        text.parse().ok().unwrap_or_else(|| panic!("{name} is {text}"))
    })
}

#[test]
fn random_schedules_have_the_same_runs_as_in_robfig() {
    let seed = setting("ROBFIG_SEED", SEED);
    let cases = setting("ROBFIG_CASES", CASES);
    let mut random = Random::new(seed);
    let requests: Vec<Request> = (0..cases).map(|_| random.request()).collect();
    let (ours, theirs) = oracle::ask_both(&requests);

    let mut exceptions: BTreeMap<Exception, usize> = BTreeMap::new();
    let (mut valid, mut near, mut runs) = (0, 0, 0);
    for ((request, ours), theirs) in requests.iter().zip(&ours).zip(&theirs) {
        valid += usize::from(theirs.valid);
        near += usize::from(theirs.valid && request.near_change);
        runs += theirs.next.len();
        if ours != theirs {
            let Some(exception) = exception(request, ours, theirs) else {
                panic!("{request:?}:\ncassgate {ours:?}\nrobfig   {theirs:?}\nROBFIG_SEED={seed}");
            };
            *exceptions.entry(exception).or_default() += 1;
        }
    }
    // robfig is wrong next to a few clock changes of a few zones, and nowhere else.
    let different = exceptions.get(&Exception::Zone).copied().unwrap_or_default();
    assert!(
        different * 500 < cases,
        "{different} of {cases} differ in an excepted zone: ROBFIG_SEED={seed}"
    );
    println!(
        "{cases} schedules, {valid} of them valid, {near} of these near a clock change; {runs} runs; {exceptions:?}"
    );
    assert!(
        valid * 10 > cases * 6 && valid * 10 < cases * 9,
        "{valid} of {cases} are valid: ROBFIG_SEED={seed}"
    );
    assert!(
        near * 3 > cases,
        "{near} of {cases} are near a clock change: ROBFIG_SEED={seed}"
    );
}

#[test]
fn the_go_library_uses_the_zones_of_cassgate() {
    let request = Request {
        expr: format!("TZ={} 0 12 * * *", oracle::ONLY_HERE),
        from: 1_800_000_000,
        zone: "UTC".to_owned(),
        count: 1,
        near_change: false,
    };
    let answers = oracle::ask_robfig(&[request]);
    assert!(answers.iter().all(|answer| answer.valid), "{answers:?}");
}
