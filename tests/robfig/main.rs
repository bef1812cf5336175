//! The real Go library reads and counts random schedules, and so does cassgate: the same answers to the same lines.
//!
//! The Go program beside this file speaks the protocol of `cassgate schedule - --format json` and reads the zone data
//! that is compiled into cassgate. `ROBFIG_SEED` makes other schedules, `ROBFIG_CASES` more of them.

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

/// About half of them are valid and have a clock change within three days.
const CASES: usize = 44_000;

const SEED: u64 = 20_261_124;

/// The zones whose clock skips midnight, or changes by no whole hour or by two. There robfig loses a run or moves it
/// to a time that the schedule does not say; cassgate fires when the wall clock shows the time, without exception.
/// Names of the same zone stand together.
const DIFFERENT: [&str; 13] = [
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

/// What cassgate answers otherwise, for a reason that has a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Exception {
    /// One of [`DIFFERENT`].
    Zone,
    /// A zone prefix with nothing behind it: robfig panics.
    Panic,
}

fn exception(request: &Request, ours: &Answer, theirs: &Answer) -> Option<Exception> {
    let zone = request.effective_zone();
    let panics = |answer: &Answer, word| answer.error.as_ref().is_some_and(|error| error.starts_with(word));
    if panics(theirs, "panic: ") && panics(ours, "no schedule follows the time zone in ") {
        Some(Exception::Panic)
    } else if ours.valid && theirs.valid && DIFFERENT.contains(&zone) {
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
fn random_schedules_are_read_and_counted_as_robfig_does() {
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
    // robfig goes astray next to a few changes of a few clocks, and nowhere else.
    let astray = exceptions.get(&Exception::Zone).copied().unwrap_or_default();
    assert!(
        astray * 500 < cases,
        "{astray} of {cases} differ in an excepted zone: ROBFIG_SEED={seed}"
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
fn the_go_library_reads_the_zones_of_cassgate() {
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
