//! A leap year of schedules in ten zones with clock changes, with outages and with edits at every point.

use std::time::{Duration, Instant};

use fastrand::Rng;
use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::oracle::{Account, Form, Plan, Times, Wall};
use super::world::{World, in_skipping_time};
use super::{is_soak, random};
use crate::runs::world::now;
use crate::support::servers::{Alone, Crds};

/// Zones with clock changes within a year: by half an hour, an hour or two, at midnight, on weekdays.
const CHANGING: [&str; 10] = [
    "America/New_York",
    "Europe/Berlin",
    "Australia/Lord_Howe",
    "America/St_Johns",
    "Pacific/Chatham",
    "America/Santiago",
    "Africa/Cairo",
    "Asia/Beirut",
    "Antarctica/Troll",
    "Asia/Jerusalem",
];

/// Zones without clock changes.
const STEADY: [&str; 3] = ["Africa/Casablanca", "America/Sao_Paulo", "Pacific/Apia"];

/// Maximum time that the other backups of a cluster delay one.
const TIMEOUT: SignedDuration = SignedDuration::from_mins(10);

/// The number of namespaces with many backups; one more has a single backup whose runs take longer than its
/// schedule's interval.
const CROWDS: usize = 4;

/// From the evening before a leap year to the noon after it. Whole seconds belong to the schedules.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) begin: Timestamp,
    pub(super) end: Timestamp,
}

/// An event during the year.
enum Event {
    Edit(usize, Plan),
    Power(bool),
    Slow(Option<Duration>),
}

/// Returns the first leap year that begins after today.
pub(super) fn leap_year() -> Span {
    let today = Timestamp::now().to_zoned(TimeZone::UTC).date();
    let mut year = today.year() + 1;
    while !date(year, 1, 1).in_leap_year() {
        year += 1;
    }
    let at = |day: Date, hour: i8| {
        let time = day.at(hour, 0, 0, 250_000_000).to_zoned(TimeZone::UTC);
        time.unwrap().timestamp()
    };
    Span {
        begin: at(date(year - 1, 12, 31), 20),
        end: at(date(year + 1, 1, 1), 12),
    }
}

fn minutes(number: i64) -> SignedDuration {
    SignedDuration::from_mins(number)
}

/// Returns `all` in long runs and `some` in short ones.
fn scaled<T>(all: T, some: T) -> T {
    if is_soak() { all } else { some }
}

/// Returns schedules for the days of a zone's clock changes, in each hour around the change.
fn around_the_changes(zone: &'static str, span: Span, random: &mut Rng) -> Plan {
    let mut wall = Wall {
        minutes: vec![random.i8(0..30)],
        ..Wall::default()
    };
    let rules = TimeZone::get(zone).unwrap();
    let changes = rules
        .following(span.begin)
        .take_while(|change| change.timestamp() < span.end);
    for change in changes {
        for offset in scaled(&[-3_601, -1, 0, 3_599][..], &[-1, 0]) {
            let shown = (change.timestamp() + SignedDuration::from_secs(*offset)).to_zoned(rules.clone());
            wall.days.push(shown.day());
            wall.months.push(shown.month());
            wall.hours.push(shown.hour());
            // A skipped local time is shown by no clock.
            wall.hours.push((shown.hour() + i8::from(*offset == -1)) % 24);
        }
    }
    for list in [&mut wall.days, &mut wall.months, &mut wall.hours] {
        list.sort_unstable();
        list.dedup();
    }
    assert!(
        !wall.days.is_empty(),
        "the clocks of {zone} do not change any more"
    );
    Plan::of(Form::Wall(wall), zone)
}

fn wall(minute: i8, hour: i8, days: &[i8], months: &[i8], weekdays: &[i8]) -> Form {
    Form::Wall(Wall {
        minutes: vec![minute],
        hours: vec![hour],
        days: days.to_vec(),
        months: months.to_vec(),
        weekdays: weekdays.to_vec(),
    })
}

/// Returns a schedule for each week of some months.
fn weekly(zone: &'static str, random: &mut Rng) -> Plan {
    let month = random.i8(1..10);
    let months = [month, month + 3, month + 1];
    let form = wall(
        random.i8(0..60),
        random.i8(0..24),
        &[],
        &months[..scaled(3, 2)],
        &[random.i8(0..7)],
    );
    Plan::of(form, zone)
}

fn mix(span: Span, random: &mut Rng) -> Vec<Plan> {
    let mut plans: Vec<_> = CHANGING
        .iter()
        .map(|zone| around_the_changes(zone, span, random))
        .collect();
    plans.extend(STEADY.iter().map(|zone| weekly(zone, random)));
    let mut more = |form, zone| plans.push(Plan::of(form, zone));
    // Sundays in repeated or skipped hours.
    more(wall(30, 2, &[], &[3, 10], &[0]), "Europe/Berlin");
    if is_soak() {
        more(wall(30, 1, &[], &[3, 11], &[0]), "America/New_York");
        more(wall(45, 1, &[], &[4, 10], &[0]), "Australia/Lord_Howe");
    }
    more(wall(0, 0, &[31], &[], &[]), "UTC");
    more(wall(15, 4, &[29], &[2], &[]), "Asia/Tehran");
    let (minute, around_the_end) = (random.i8(0..60), [28, 29, 30, 31, 1, 2]);
    more(
        wall(minute, 23, &around_the_end, scaled(&[], &[1, 2, 3, 12]), &[]),
        "Europe/Berlin",
    );
    more(Form::Every(random.i64(400_000..500_000) * scaled(1, 4)), "UTC");
    for plan in &mut plans {
        plan.prefixed = random.bool();
    }
    plans
}

/// Returns the same backup after an edit.
fn edited(plan: &Plan, random: &mut Rng) -> Plan {
    let mut plan = plan.clone();
    match random.u8(0..6) {
        0 => plan.form = weekly(plan.zone, random).form,
        1 => plan.zone = CHANGING[random.usize(..CHANGING.len())],
        2 => plan.suspend = true,
        3 => plan.form = Form::Broken("61 * * * *"),
        4 => plan.form = Form::Every(random.i64(300_000..900_000) * scaled(1, 3)),
        _ => {
            plan.deadline = Some(random.i64(1_800..7_200));
            plan.policy = ["Forbid", "Replace"][random.usize(..2)];
        }
    }
    plan.prefixed = random.bool();
    plan
}

/// Returns edits of a backup through the year: shortly before a slot, when its run begins, during the run, at its
/// end, and at other times.
fn edits(plan: &Plan, span: Span, random: &mut Rng) -> Vec<(Timestamp, Plan)> {
    let (mut plan, mut edits) = (plan.clone(), Vec::new());
    let mut time = span.begin + SignedDuration::from_hours(24 * random.i64(10..150));
    loop {
        let offsets = [
            -1_750,
            -750,
            250,
            1_250,
            2_250,
            30_250,
            random.i64(1..90_000) * 1_000 + 250,
        ];
        let Some(slot) = plan.times(time, span.end).first().copied() else {
            return edits;
        };
        time = slot + SignedDuration::from_millis(offsets[random.usize(..offsets.len())]);
        let before = plan.clone();
        plan = edited(&before, random);
        edits.push((time, plan.clone()));
        if plan.suspend || matches!(plan.form, Form::Broken(_)) {
            time += SignedDuration::from_secs(random.i64(60..2_000_000));
            plan = before;
            edits.push((time, plan.clone()));
        }
        time += SignedDuration::from_hours(24 * random.i64(30..200));
        if time > span.end - minutes(20_000) {
            edits.retain(|(time, _)| *time < span.end);
            return edits;
        }
    }
}

/// Returns outages of the reconciler: minutes around slots of these schedules, and days, one of them across clock
/// changes.
fn outages(plans: &[Plan], span: Span, random: &mut Rng) -> Vec<(Timestamp, Timestamp)> {
    let mut outages: Vec<(Timestamp, Timestamp)> = Vec::new();
    for _ in 0..10 {
        let slots =
            plans[random.usize(..plans.len())].times(span.begin + minutes(3_000), span.end - minutes(9_000));
        if !slots.is_empty() {
            let from =
                slots[random.usize(..slots.len())] - SignedDuration::from_millis(random.i64(0..1_500_000));
            outages.push((
                from,
                from + SignedDuration::from_millis(random.i64(120_000..3_000_000)),
            ));
        }
    }
    let berlin = TimeZone::get("Europe/Berlin").unwrap();
    let change = berlin.following(span.begin).next().unwrap().timestamp() - minutes(1_000);
    outages.push((change, change + minutes(random.i64(2_000..4_000))));
    for _ in 0..2 {
        let from = span.begin + minutes(random.i64(20_000..480_000));
        outages.push((from, from + minutes(random.i64(1_000..6_000))));
    }
    outages.sort();
    let mut last = span.begin;
    outages.retain(|(from, to)| {
        let apart = *from > last + minutes(60);
        if apart {
            last = *to;
        }
        apart
    });
    outages
}

/// Returns a time a quarter of a second after a whole one: slots are on whole seconds.
fn off_the_second(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap() + SignedDuration::from_millis(250)
}

/// Creates a suspended backup, whose slots are not due before it is resumed.
pub(super) async fn create(world: &World, namespace: usize, name: &str, plan: &Plan) -> Account {
    let rests = Plan {
        suspend: true,
        ..plan.clone()
    };
    world.create(namespace, name, &rests.spec()).await;
    Account {
        namespace,
        name: name.to_owned(),
        owed_since: None,
        plans: vec![(now(), 1, rests)],
        patience: TIMEOUT,
    }
}

/// Returns a backup whose runs last two and a half minutes and are due each minute, and its edits: each policy for a
/// day.
fn overlapping_schedule(span: Span, place: usize) -> (Plan, Vec<(Timestamp, Event)>) {
    let year = span.end.to_zoned(TimeZone::UTC).year() - 1;
    let mut plan = Plan::of(
        Form::Wall(Wall {
            minutes: (0..scaled(10, 6)).collect(),
            hours: vec![5],
            days: vec![10, 11, 12],
            months: vec![6],
            weekdays: Vec::new(),
        }),
        "UTC",
    );
    let mut events = Vec::new();
    for (day, policy) in (10..).zip(["Allow", "Forbid", "Replace"]) {
        let time = date(year, 6, day)
            .at(4, 0, 0, 250_000_000)
            .to_zoned(TimeZone::UTC);
        let time = time.unwrap().timestamp();
        plan.policy = policy;
        events.push((time, Event::Slow(Some(Duration::from_secs(150)))));
        events.push((time, Event::Edit(place, plan.clone())));
        events.push((time + minutes(120), Event::Slow(None)));
    }
    (plan, events)
}

/// Creates all backups and returns their events.
async fn prepare(world: &World, span: Span, random: &mut Rng) -> (Vec<Account>, Vec<(Timestamp, Event)>) {
    let copies = if is_soak() { 3 } else { 1 };
    let plans: Vec<_> = (0..copies).flat_map(|_| mix(span, random)).collect();
    let away = outages(&plans, span, random);
    let turn = |(from, to): &(Timestamp, Timestamp)| {
        let (from, to) = (off_the_second(*from), off_the_second(*to));
        [(from, Event::Power(false)), (to, Event::Power(true))]
    };
    let mut events: Vec<_> = away.iter().flat_map(turn).collect();
    let mut accounts = Vec::new();
    let begins = span.begin + minutes(10);
    for (place, plan) in plans.iter().enumerate() {
        // The same names in each namespace.
        let name = format!("nightly-{}", place / CROWDS);
        accounts.push(create(world, place % CROWDS, &name, plan).await);
        events.push((begins, Event::Edit(place, plan.clone())));
        let edits = edits(plan, span, random).into_iter();
        events.extend(edits.map(|(time, plan)| (off_the_second(time), Event::Edit(place, plan))));
    }
    let (plan, more) = overlapping_schedule(span, accounts.len());
    accounts.push(Account {
        patience: SignedDuration::from_secs(15),
        ..create(world, CROWDS, "impatient", &plan).await
    });
    events.extend(more);
    accounts.push(owed(world).await);
    events.sort_by_key(|(time, _)| *time);
    (accounts, events)
}

/// Returns a backup that was created months ago and never reconciled: all of its slots are due.
async fn owed(world: &World) -> Account {
    let plan = Plan::of(wall(0, 6, &[1], &[], &[]), "Asia/Kolkata");
    let mut account = create(world, 0, "owed", &plan).await;
    world.edit(0, "owed", &plan.spec()).await;
    account.plans = vec![(now(), 2, plan)];
    let object = &world.histories()[&world.key(0, "owed")].object;
    account.owed_since = super::clock::time(&object["metadata"]["creationTimestamp"]);
    account
}

/// Returns all violations: of slots, of requests to the sidecars, and of the buckets.
pub(super) fn violations<'a>(world: &World, accounts: impl IntoIterator<Item = &'a Account>) -> Vec<String> {
    let accounts: Vec<_> = accounts.into_iter().collect();
    let times = Times {
        turns: world.turns(),
        end: now(),
    };
    let histories = world.histories();
    let mut violations: Vec<String> = Vec::new();
    for (namespace, lab) in world.labs.iter().enumerate() {
        let mut sent = world.sent(namespace);
        for account in accounts.iter().filter(|account| account.namespace == namespace) {
            let history = &histories[&world.key(namespace, &account.name)];
            violations.extend(account.violations(history, &times));
            for take in &history.takes {
                for node in 0..lab.ring.size() {
                    let asked = sent.remove(&(take.snapshot.clone(), node)).unwrap_or(0);
                    let stored = lab.ring.stored(node).contains(&take.snapshot);
                    let repeated = take.unproven.iter().any(|attempt| {
                        let asked = sent.remove(&(attempt.clone(), node)).unwrap_or(0);
                        asked > 1
                    });
                    if asked != 1 || !stored || repeated || take.unproven.len() > 3 {
                        violations.push(format!(
                            "{take:?}: node {node} was asked {asked} times; stored: {stored}"
                        ));
                    }
                }
            }
        }
        violations.extend(
            sent.keys()
                .map(|strange| format!("unexpected request: {strange:?}")),
        );
        violations.extend(lab.ring.violations());
    }
    violations
}

pub(crate) fn in_a_leap_year_every_slot_is_run_once_or_counted() {
    let mut random = random("the year");
    let servers = Alone::start(Crds::Ours, "year");
    let (span, begun) = (leap_year(), Instant::now());
    let namespaces = u16::try_from(CROWDS + 1).unwrap();
    in_skipping_time(servers.0, namespaces, span.begin, async |world| {
        let (mut accounts, events) = prepare(world, span, &mut random).await;
        let edits = events.len();
        world.set_running(true).await;
        world.rest().await;
        for (time, event) in events {
            world.pass(time).await;
            match event {
                Event::Power(up) => world.set_running(up).await,
                Event::Slow(slow) => world.rings.slow_down(slow.map(|pace| (CROWDS, pace))),
                Event::Edit(place, plan) => {
                    let account = &mut accounts[place];
                    let written = now();
                    let generation = world.edit(account.namespace, &account.name, &plan.spec()).await;
                    account.note(written, generation, plan);
                }
            }
        }
        world.pass(span.end).await;
        world.rest().await;
        let runs: usize = world
            .histories()
            .values()
            .map(|history| history.takes.len())
            .sum();
        println!(
            "the year: {} backups, {runs} runs, {} writes and requests, {edits} edits and outages, in {:?}",
            accounts.len(),
            world.wire.acts().len(),
            begun.elapsed()
        );
        assert!(runs > scaled(250, 120), "only {runs} runs");
        let violations = violations(world, &accounts);
        assert!(violations.is_empty(), "{}", violations.join("\n"));
    });
}
