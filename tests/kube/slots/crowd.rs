//! Many scheduled backups in many namespaces, with the same names in each, and most of them due at the same instants:
//! every slot once, one run of a cluster at a time, in the order of their turns, and nobody gets what another is owed.

use std::time::Instant;

use cassgate::icarus::{BackupRequest, ListRequest, OperationRequest, Store};
use fastrand::Rng;
use futures::{StreamExt, stream};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::clock::{Take, time};
use super::fleet::{AT_ONCE, Fleet};
use super::oracle::{Account, Form, Plan, Wall};
use super::world::{World, in_leaps_of};
use super::year::complaints;
use super::{is_soak, random};
use crate::runs::wire::Blow;
use crate::runs::world::now;
use crate::support::servers::{Alone, Crds};

/// The backups of each cluster.
const OF_A_CLUSTER: usize = 5;

/// How long others of its cluster may keep a backup waiting.
const PATIENCE: SignedDuration = SignedDuration::from_mins(5);

/// Zones whose clocks do not change, each with minutes or hours of its own.
const ZONES: [&str; 6] = [
    "UTC",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "America/Sao_Paulo",
    "Africa/Lagos",
    "Pacific/Kiritimati",
];

/// When most of them are due: twice, a day apart.
#[derive(Debug, Clone, Copy)]
struct Instants {
    begin: Timestamp,
    first: Timestamp,
    second: Timestamp,
    end: Timestamp,
}

impl Instants {
    /// Behind today's time: it begins after everything has been created, by the clock of the API server.
    fn soon(random: &mut Rng) -> Self {
        let hour = SignedDuration::from_hours(1);
        let begin = Timestamp::from_second((Timestamp::now().as_second() / 3_600 + 2) * 3_600).unwrap();
        let first = begin + hour + SignedDuration::from_mins(random.i64(0..60));
        Self {
            begin: begin + SignedDuration::from_millis(250),
            first,
            second: first + 24 * hour,
            end: first + 27 * hour,
        }
    }
}

/// Each day when the clocks of a zone show what they show now.
fn daily(instant: Timestamp, zone: &'static str) -> Plan {
    let shown = instant.to_zoned(TimeZone::get(zone).unwrap());
    let wall = Wall {
        minutes: vec![shown.minute()],
        hours: vec![shown.hour()],
        ..Wall::default()
    };
    Plan::of(Form::Wall(wall), zone)
}

/// The backups of a cluster: three of them are due at one instant, or four in a busy one.
fn plans(instants: Instants, busy: bool, random: &mut Rng) -> [Plan; OF_A_CLUSTER] {
    let mut zone = || ZONES[random.usize(..ZONES.len())];
    let mut plans = [
        daily(instants.first, "UTC"),
        daily(instants.first, zone()),
        daily(instants.first, zone()),
        daily(instants.first, zone()),
        Plan::of(Form::Every(43_200), "UTC"),
    ];
    plans[1].policy = "Forbid";
    plans[2].policy = "Replace";
    plans[2].prefixed = random.bool();
    // Whoever is away at the second instant comes back in time for the one, and too late for the other.
    plans[2].deadline = Some([3_600, 600][random.usize(..2)]);
    if !busy {
        let later = SignedDuration::from_mins(25 * random.i64(1..5));
        plans[3] = daily(instants.first + later, plans[3].zone);
    }
    plans
}

/// The backups of all clusters, in the order in which somebody creates them: none.
fn accounts(fleet: Fleet, instants: Instants, random: &mut Rng) -> Vec<(Account, Plan)> {
    let mut accounts = Vec::new();
    for lab in 0..fleet.namespaces * fleet.clusters {
        let first = lab % fleet.clusters * OF_A_CLUSTER;
        for (number, plan) in (first..).zip(plans(instants, first == 0, random)) {
            let account = Account {
                namespace: lab,
                name: format!("nightly-{number}"),
                owed_since: None,
                plans: Vec::new(),
                patience: PATIENCE,
            };
            accounts.push((account, plan));
        }
    }
    random.shuffle(&mut accounts);
    accounts
}

/// The bucket of a cluster: nobody else has anything to do there.
fn bucket(world: &World, fleet: Fleet, lab: usize) -> String {
    format!("s3://{}-{}", world.labs[lab].stage.namespace, fleet.cluster(lab))
}

/// Creates backups, which are owed every time from then on.
async fn create(world: &World, fleet: Fleet, accounts: &mut [(Account, Plan)]) {
    let written = now();
    let created = accounts.iter().map(|(account, plan)| async {
        let mut spec = plan.spec();
        spec["cassandraCluster"] = json!(fleet.cluster(account.namespace));
        spec["storageLocation"] = json!(bucket(world, fleet, account.namespace));
        world.post(account.namespace, &account.name, &spec).await;
    });
    stream::iter(created)
        .for_each_concurrent(AT_ONCE, |one| one)
        .await;
    let stories = world.stories();
    for (account, plan) in accounts {
        let object = &stories[&world.key(account.namespace, &account.name)].object;
        account.owed_since = time(&object["metadata"]["creationTimestamp"]);
        account.note(written, 1, plan.clone());
    }
}

/// What a run came to, and whose turn it was.
struct Turn {
    slot: Timestamp,
    created: Timestamp,
    name: String,
    take: Take,
}

/// What is wrong with the order in which the backups of each cluster had their turns.
fn disorder(world: &World, accounts: &[(Account, Plan)]) -> Vec<String> {
    let mut turns: Vec<Vec<Turn>> = world.labs.iter().map(|_| Vec::new()).collect();
    let mut stories = world.stories();
    for (account, _) in accounts {
        let story = stories
            .remove(&world.key(account.namespace, &account.name))
            .unwrap();
        turns[account.namespace].extend(story.takes.into_iter().map(|take| Turn {
            slot: take.slot,
            created: account.owed_since.unwrap(),
            name: account.name.clone(),
            take,
        }));
    }
    let mut complaints = Vec::new();
    for turns in &mut turns {
        turns.sort_by_key(|turn| turn.take.at);
        for pair in turns.windows(2) {
            let [one, other] = pair else { continue };
            let place = |turn: &Turn| (turn.slot, turn.created, turn.name.clone());
            if place(one) > place(other) {
                complaints.push(format!(
                    "{} came before {}: {:?}",
                    one.name,
                    other.name,
                    [&one.take, &other.take]
                ));
            }
            if one.take.ended.is_none_or(|ended| ended > other.take.at) {
                complaints.push(format!(
                    "{} and {} ran at once: {:?}",
                    one.name,
                    other.name,
                    [&one.take, &other.take]
                ));
            }
        }
    }
    complaints
}

/// What a sidecar was asked of another cluster's bucket.
fn strays(world: &World, fleet: Fleet) -> Vec<String> {
    let mut strays = Vec::new();
    for (place, lab) in world.labs.iter().enumerate() {
        let own = format!("{}/", bucket(world, fleet, place));
        let is_own = |store: &Store| store.location.as_str().starts_with(&own);
        for (_, request) in lab.ring.submitted() {
            match &request {
                OperationRequest::Backup(BackupRequest { store, .. })
                | OperationRequest::List(ListRequest { store, .. })
                    if is_own(store) => {}
                _ => strays.push(format!("{own} was asked for {request:?}")),
            }
        }
    }
    strays
}

/// Lets both instants pass: at the first one the reconciler is stopped in the middle of what it does, and a while
/// before the second one until a while after.
async fn pass(world: &World, instants: Instants, random: &mut Rng) {
    let minute = SignedDuration::from_mins(1);
    world
        .pass(instants.first - SignedDuration::from_millis(750))
        .await;
    let acts = world.labs.len() * 2;
    world.wire.arm(Some((random.usize(..acts), Blow::StopAfter)));
    world.pass(instants.first + minute).await;
    assert!(!world.is_up(), "it did nothing for {acts} acts");
    world
        .pass(now() + SignedDuration::from_millis(random.i64(300..60_000)))
        .await;
    world.be_up(true).await;
    world.pass(instants.second - minute).await;
    world.be_up(false).await;
    world.pass(instants.second + 20 * minute).await;
    world.be_up(true).await;
    world.pass(instants.end).await;
    world.rest().await;
}

pub(crate) fn of_backups_of_the_same_names_in_many_namespaces_every_slot_is_run_once() {
    let mut random = random("the crowd");
    let (namespaces, clusters) = if is_soak() { (100, 20) } else { (20, 5) };
    let fleet = Fleet { namespaces, clusters };
    let servers = Alone::start(Crds::Ours, "crowd");
    let (instants, begun) = (Instants::soon(&mut random), Instant::now());
    in_leaps_of(fleet.labs(servers.0), instants.begin, async |world| {
        fleet.create(world).await;
        let mut accounts = accounts(fleet, instants, &mut random);
        let half = accounts.len() / 2;
        create(world, fleet, &mut accounts[..half]).await;
        world.be_up(true).await;
        create(world, fleet, &mut accounts[half..]).await;
        world.rest().await;
        pass(world, instants, &mut random).await;
        let stories = world.stories();
        let takes = || stories.values().flat_map(|story| &story.takes);
        println!(
            "the crowd: {} backups, {} runs, {} of them at one instant and {} at another, in {:?}",
            accounts.len(),
            takes().count(),
            takes().filter(|take| take.slot == instants.first).count(),
            takes().filter(|take| take.slot == instants.second).count(),
            begun.elapsed()
        );
        for (account, plan) in &accounts {
            let owed = plan.times(account.owed_since.unwrap(), now());
            assert!(owed.len() > 1, "{}: {plan:?}", account.name);
        }
        let mut wrong = complaints(world, accounts.iter().map(|(account, _)| account));
        wrong.extend(disorder(world, &accounts));
        wrong.extend(strays(world, fleet));
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    });
}
