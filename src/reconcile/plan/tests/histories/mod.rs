//! Random histories: a backup and its restores in a ring that loses nodes, sidecars, answers and time.
//!
//! Three properties hold in each: in 24 hours every object ends, advances or says what a person has to do; when the cause is
//! gone, it continues by itself; and no row and no file is lost in silence.

#![expect(
    clippy::unwrap_in_result,
    reason = "an error is a violated property, and a panic is a mistake in the model"
)]

mod casskop;
mod event;
mod history;
mod others;
mod progress;
mod safety;
mod switch;
mod user;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use fastrand::Rng;
use kube::ResourceExt;

use crate::reconcile::object::ReconciledObject;
use crate::reconcile::plan::conflict::RunStatus;
use history::{History, SCHEDULE_INTERVAL, Subject, Subjected};
use progress::{BOUND, Standing, reason, standing};

/// The number of histories.
const HISTORIES: u64 = 10_000;

/// A history that broke a property.
#[derive(Debug)]
struct Failure {
    seed: u64,
    error: String,
    log: Vec<String>,
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

/// Plays the history of a seed. Returns its number of reconciles.
fn play(seed: u64) -> Result<usize, Failure> {
    let mut random = Rng::with_seed(seed);
    let nodes = random.usize(1..=3);
    let events = event::generate(&mut random, nodes);
    let mut history = History::new(&mut random, nodes);
    let spec = &history.backup.object.spec;
    let spec = format!(
        "{nodes} nodes, {:?}, backup to {}, schedule {:?}, {:?}, retention {:?}",
        history.world.sidecar, spec.storage_location, spec.schedule, spec.concurrency_policy, spec.retention
    );
    let outcome = judge(&mut history, &events);
    outcome.map(|()| history.steps).map_err(|error| {
        let mut log = std::mem::take(&mut history.log);
        log.insert(0, spec);
        log.push(format!("{:.0}  {error}", history.world.now));
        log.push(summary(&history.backup.object));
        log.extend(history.restores.iter().map(|restore| summary(&restore.object)));
        log.extend(history.others.iter().map(|other| summary(&other.object)));
        Failure { seed, error, log }
    })
}

/// Returns the status of an object for people.
fn summary<K: ReconciledObject>(object: &K) -> String {
    let name = object.name_any();
    let Some(status) = object.status() else {
        return format!("{name} has no status");
    };
    let common = status.common();
    let state = common.condition.as_ref().map(|condition| condition.type_.clone());
    let mut lines = vec![format!("{name}: {}", state.unwrap_or_default())];
    for condition in common
        .conditions
        .iter()
        .filter(|condition| condition.status == "True")
    {
        lines.push(format!(
            "  {}: {}: {}",
            condition.type_, condition.reason, condition.message
        ));
    }
    for node in &common.nodes {
        lines.push(format!("  {}", serde_json::to_string(node).unwrap()));
    }
    lines.join("\n")
}

fn judge(history: &mut History, events: &[event::Delayed]) -> Result<(), String> {
    history.play(events)?;
    // Nothing changes any more: each object ends, advances or says what a person has to do.
    history.run(BOUND)?;
    history
        .log
        .push(format!("{:.0}  every cause is removed", history.world.now));
    history.world.heal();
    history.kills.clear();
    history.clock_errors.clear();
    history.wake();
    history.run(BOUND)?;
    for index in 0..history.restores.len() {
        end_restore(history, index)?;
    }
    // The backup waits for the restores.
    if !is_at_rest(&history.backup) || !history.others.iter().all(is_at_rest) {
        history.wake();
        history.run(BOUND)?;
    }
    if !is_at_rest(&history.backup) {
        let (reason, message) = reason(&history.backup.object);
        return Err(format!("the backup does not continue: {reason}: {message}"));
    }
    if let Some(other) = history.others.iter().find(|other| !is_at_rest(other)) {
        let (reason, message) = reason(&other.object);
        return Err(format!("another backup does not continue: {reason}: {message}"));
    }
    check_schedule(history)?;
    safety::check_files(history)
}

/// Checks that the next run of the schedule is due in time, however wrong the clock was.
fn check_schedule(history: &History) -> Result<(), String> {
    let backup = &history.backup;
    let is_armed = !backup.is_gone && backup.object.spec.is_scheduled();
    if !is_armed || backup.object.spec.suspend == Some(true) {
        return Ok(());
    }
    let status = backup.object.status.as_ref();
    let next = status.and_then(|status| status.next_schedule_time.as_ref());
    let latest = history.world.now.checked_add(SCHEDULE_INTERVAL).unwrap();
    match next {
        Some(next) if next.0 <= latest => Ok(()),
        next => Err(format!("the schedule rests until {next:?}")),
    }
}

/// Ends a restore that still waits as its message says, and checks that it ends.
fn end_restore(history: &mut History, index: usize) -> Result<(), String> {
    let restore = &history.restores[index];
    if is_at_rest(restore) {
        return Ok(());
    }
    let standing = standing(&restore.object)?;
    if standing == Standing::UnderWay && !history.is_replaced {
        let (reason, message) = reason(&restore.object);
        return Err(format!("a restore does not continue: {reason}: {message}"));
    }
    history.abandon_or_delete(index);
    history.wake();
    history.run(BOUND)?;
    if is_at_rest(&history.restores[index]) {
        return Ok(());
    }
    let (reason, message) = reason(&history.restores[index].object);
    Err(format!("an abandoned restore does not end: {reason}: {message}"))
}

/// Returns true if an object does not exist any more, is over, or waits for the next time of its schedule.
fn is_at_rest<K: Subjected>(subject: &Subject<K>) -> bool {
    subject.is_gone || standing(&subject.object) == Ok(Standing::AtRest)
}

/// Plays histories until the number of them, or of reconciles, is reached.
fn play_all(first: u64, histories: u64, steps: usize) -> (u64, usize, Vec<Failure>) {
    let (next, played) = (AtomicU64::new(0), AtomicUsize::new(0));
    let failures = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= histories && played.load(Ordering::Relaxed) >= steps {
                        next.fetch_sub(1, Ordering::Relaxed);
                        return;
                    }
                    match play(first.wrapping_add(number)) {
                        Ok(steps) => {
                            played.fetch_add(steps, Ordering::Relaxed);
                        }
                        Err(failure) => failures.lock().unwrap().push(failure),
                    }
                }
            });
        }
    });
    (
        next.into_inner(),
        played.into_inner(),
        failures.into_inner().unwrap(),
    )
}

#[test]
fn every_object_ends_advances_or_says_what_to_do_and_loses_nothing() {
    let seed = setting("CASSGATE_SEED");
    let histories = setting("CASSGATE_TEST_HISTORIES").unwrap_or(HISTORIES);
    let steps = setting("CASSGATE_TEST_HISTORY_STEPS").unwrap_or(0);
    let histories = if seed.is_some() { 1 } else { histories };
    let (played, steps, mut failures) =
        play_all(seed.unwrap_or(0), histories, usize::try_from(steps).unwrap());
    println!("{played} histories, {steps} reconciles");
    failures.sort_by_key(|failure| failure.seed);
    let mut kinds = BTreeMap::<String, (usize, u64)>::new();
    for failure in &failures {
        let kind: String = failure.error.split(": ").take(2).collect::<Vec<_>>().join(": ");
        kinds.entry(kind).or_insert((0, failure.seed)).0 += 1;
    }
    if let Some(first) = failures.first() {
        for (kind, (count, seed)) in kinds {
            println!("{count} times, first with CASSGATE_SEED={seed}: {kind}");
        }
        panic!(
            "CASSGATE_SEED={}: {}\n{}",
            first.seed,
            first.error,
            first.log.join("\n")
        );
    }
}
