//! A reconciler that is stopped again and again, at random instants and acts.

use std::time::Instant;

use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};

use super::oracle::{Form, Plan, Wall};
use super::world::{World, in_skipping_time};
use super::year::{create, leap_year, violations};
use super::{is_soak, random};
use crate::runs::wire::Fault;
use crate::runs::world::now;
use crate::support::servers::{self, Crds};

/// More acts than a run has, including its events.
const ACTS: usize = 12;

fn plans() -> Vec<Plan> {
    let daily = |minute: i8, hours: Vec<i8>| {
        Form::Wall(Wall {
            minutes: vec![minute],
            hours,
            ..Wall::default()
        })
    };
    let mut plans = vec![
        Plan::of(daily(7, (0..24).step_by(3).collect()), "Asia/Tehran"),
        Plan::of(daily(37, vec![1, 7, 13, 19]), "America/St_Johns"),
        Plan::of(daily(37, vec![2, 14]), "UTC"),
        Plan::of(Form::Every(5 * 3_600), "UTC"),
    ];
    plans[1].policy = "Forbid";
    plans[2].policy = "Replace";
    plans[2].deadline = Some(3_600);
    plans
}

/// Returns the time of the next slot.
fn next_slot(world: &World) -> Timestamp {
    let histories = world.histories();
    let times = histories
        .values()
        .filter_map(|history| super::clock::time(&history.object["status"]["nextScheduleTime"]));
    times.min().unwrap()
}

/// Stops the reconciler once, at an act or at an instant near a slot, and starts it again.
async fn stop(world: &World, random: &mut Rng) {
    if random.bool() {
        let fault = if random.bool() {
            Fault::StopBefore
        } else {
            Fault::StopAfter
        };
        world.wire.arm(Some((random.usize(..ACTS), fault)));
        world.pass(now() + SignedDuration::from_hours(1_000)).await;
        assert!(!world.is_up(), "it did nothing for {ACTS} acts");
    } else {
        let offset = SignedDuration::from_millis(random.i64(-3_000..12_000));
        world.pass(next_slot(world) + offset).await;
        world.set_running(false).await;
    }
    let away = [300, 5_000, 50_000, 600_000, 14_400_000][random.usize(..5)] + random.i64(0..999);
    world.pass(now() + SignedDuration::from_millis(away)).await;
    world.set_running(true).await;
}

pub(crate) fn a_reconciler_that_stops_at_random_instants_runs_every_slot_once() {
    let mut random = random("the restarts");
    let stops = if is_soak() { 1_000 } else { 50 };
    let begun = Instant::now();
    in_skipping_time(servers::with(Crds::Ours), 1, leap_year().begin, async |world| {
        let mut accounts = Vec::new();
        for (place, plan) in plans().iter().enumerate() {
            accounts.push(create(world, 0, &format!("nightly-{place}"), plan).await);
        }
        world.set_running(true).await;
        world.rest().await;
        for (account, plan) in accounts.iter_mut().zip(plans()) {
            let written = now();
            let generation = world.edit(0, &account.name, &plan.spec()).await;
            account.note(written, generation, plan);
        }
        for _ in 0..stops {
            stop(world, &mut random).await;
        }
        world.rest().await;
        let runs: usize = world
            .histories()
            .values()
            .map(|history| history.takes.len())
            .sum();
        println!("{stops} restarts in {runs} runs, in {:?}", begun.elapsed());
        let violations = violations(world, &accounts);
        assert!(violations.is_empty(), "{}", violations.join("\n"));
    });
}
