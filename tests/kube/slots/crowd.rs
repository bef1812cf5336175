//! Many scheduled backups in many namespaces, with the same names in each, most of them due at the same instants:
//! every slot runs once, one run of a cluster at a time, in queue order, and no backup gets the run of another.

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
use super::world::{World, in_skipping_time_of};
use super::year::violations;
use super::{is_soak, random};
use crate::runs::wire::Fault;
use crate::runs::world::now;
use crate::support::servers::{Alone, Crds};

/// Backups per cluster.
const OF_A_CLUSTER: usize = 5;

/// Maximum time that the other backups of a cluster delay one.
const TIMEOUT: SignedDuration = SignedDuration::from_mins(5);

/// Zones without clock changes, with different offsets in minutes or hours.
const ZONES: [&str; 6] = [
    "UTC",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "America/Sao_Paulo",
    "Africa/Lagos",
    "Pacific/Kiritimati",
];

/// The two instants, a day apart, at which most backups are due.
#[derive(Debug, Clone, Copy)]
struct Instants {
    begin: Timestamp,
    first: Timestamp,
    second: Timestamp,
    end: Timestamp,
}

impl Instants {
    /// Returns instants later today: after all objects have been created, by the clock of the API server.
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

/// Returns a daily schedule for the local time that the clocks of a zone show at `instant`.
fn daily(instant: Timestamp, zone: &'static str) -> Plan {
    let shown = instant.to_zoned(TimeZone::get(zone).unwrap());
    let wall = Wall {
        minutes: vec![shown.minute()],
        hours: vec![shown.hour()],
        ..Wall::default()
    };
    Plan::of(Form::Wall(wall), zone)
}

/// Returns the schedules of a cluster: three backups are due at one instant, or four in a busy cluster.
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
    // A backup that is suspended at the second instant resumes in time for one deadline and too late for the other.
    plans[2].deadline = Some([3_600, 600][random.usize(..2)]);
    if !busy {
        let later = SignedDuration::from_mins(25 * random.i64(1..5));
        plans[3] = daily(instants.first + later, plans[3].zone);
    }
    plans
}

/// Returns the backups of all clusters in random order of creation.
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
                patience: TIMEOUT,
            };
            accounts.push((account, plan));
        }
    }
    random.shuffle(&mut accounts);
    accounts
}

/// Returns the bucket of a cluster, which no other cluster uses.
fn bucket(world: &World, fleet: Fleet, lab: usize) -> String {
    format!("s3://{}-{}", world.labs[lab].stage.namespace, fleet.cluster(lab))
}

/// Creates the backups; every later slot is then due.
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
    let histories = world.histories();
    for (account, plan) in accounts {
        let object = &histories[&world.key(account.namespace, &account.name)].object;
        account.owed_since = time(&object["metadata"]["creationTimestamp"]);
        account.note(written, 1, plan.clone());
    }
}

/// The outcome of a run, and its position in the queue.
struct Turn {
    slot: Timestamp,
    created: Timestamp,
    name: String,
    take: Take,
}

/// Returns the violations of the queue order of each cluster.
fn queue_violations(world: &World, accounts: &[(Account, Plan)]) -> Vec<String> {
    let mut turns: Vec<Vec<Turn>> = world.labs.iter().map(|_| Vec::new()).collect();
    let mut histories = world.histories();
    for (account, _) in accounts {
        let history = histories
            .remove(&world.key(account.namespace, &account.name))
            .unwrap();
        turns[account.namespace].extend(history.takes.into_iter().map(|take| Turn {
            slot: take.slot,
            created: account.owed_since.unwrap(),
            name: account.name.clone(),
            take,
        }));
    }
    let mut violations = Vec::new();
    for turns in &mut turns {
        turns.sort_by_key(|turn| turn.take.at);
        for pair in turns.windows(2) {
            let [one, other] = pair else { continue };
            let place = |turn: &Turn| (turn.slot, turn.created, turn.name.clone());
            if place(one) > place(other) {
                violations.push(format!(
                    "{} came before {}: {:?}",
                    one.name,
                    other.name,
                    [&one.take, &other.take]
                ));
            }
            if one.take.ended.is_none_or(|ended| ended > other.take.at) {
                violations.push(format!(
                    "{} and {} ran at once: {:?}",
                    one.name,
                    other.name,
                    [&one.take, &other.take]
                ));
            }
        }
    }
    violations
}

/// Returns the requests that named another cluster's bucket.
fn requests_to_foreign_buckets(world: &World, fleet: Fleet) -> Vec<String> {
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

/// Lets both instants pass. The reconciler is stopped in the middle of the first one, and from shortly before until
/// shortly after the second one.
async fn pass(world: &World, instants: Instants, random: &mut Rng) {
    let minute = SignedDuration::from_mins(1);
    world
        .pass(instants.first - SignedDuration::from_millis(750))
        .await;
    let acts = world.labs.len() * 2;
    world.wire.arm(Some((random.usize(..acts), Fault::StopAfter)));
    world.pass(instants.first + minute).await;
    assert!(!world.is_up(), "it did nothing for {acts} acts");
    world
        .pass(now() + SignedDuration::from_millis(random.i64(300..60_000)))
        .await;
    world.set_running(true).await;
    world.pass(instants.second - minute).await;
    world.set_running(false).await;
    world.pass(instants.second + 20 * minute).await;
    world.set_running(true).await;
    world.pass(instants.end).await;
    world.rest().await;
}

pub(crate) fn backups_with_the_same_names_in_many_namespaces_run_every_slot_once() {
    let mut random = random("the crowd");
    let (namespaces, clusters) = if is_soak() { (100, 20) } else { (20, 5) };
    let fleet = Fleet { namespaces, clusters };
    let servers = Alone::start(Crds::Ours, "crowd");
    let (instants, begun) = (Instants::soon(&mut random), Instant::now());
    in_skipping_time_of(fleet.labs(servers.0), instants.begin, async |world| {
        fleet.create(world).await;
        let mut accounts = accounts(fleet, instants, &mut random);
        let half = accounts.len() / 2;
        create(world, fleet, &mut accounts[..half]).await;
        world.set_running(true).await;
        create(world, fleet, &mut accounts[half..]).await;
        world.rest().await;
        pass(world, instants, &mut random).await;
        let histories = world.histories();
        let takes = || histories.values().flat_map(|history| &history.takes);
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
        let mut wrong = violations(world, accounts.iter().map(|(account, _)| account));
        wrong.extend(queue_violations(world, &accounts));
        wrong.extend(requests_to_foreign_buckets(world, fleet));
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    });
}
