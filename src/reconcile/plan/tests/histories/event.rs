//! The random events of a history, and their effect.

use std::fmt;

use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};

use super::history::History;
use crate::reconcile::plan::tests::Kill;
use crate::reconcile::plan::tests::world::archive::Listing;
use crate::reconcile::plan::tests::world::disruption::Silence;
use crate::reconcile::plan::tests::world::{Fault, NODES_DOWN, Presence};
use crate::reconcile::plan::{Phase, Task};

/// An event of a history.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Event {
    /// The next request has this fault.
    Fault(Fault),
    /// cassgate is killed at the next plan with requests.
    Kill(Kill),
    /// A sidecar is killed, and is back after this many seconds.
    Restart(usize, i64),
    /// A sidecar is killed in the middle of a reconcile: after its pod was read, and before it answers.
    RestartDuringLook(usize),
    /// A sidecar ceases to answer, or answers again.
    Silence(usize, Silence),
    /// The operations of a sidecar stay at `RUNNING`.
    Hang(usize),
    /// Another client cancels the operations of a sidecar.
    Cancel(usize),
    /// The operations of a phase fail with this error, this many times.
    Failing(Phase, &'static str, usize),
    /// The nodes consider one to be down, or none any more.
    NodesDown(bool),
    /// `TRUNCATE` cannot empty a table, or can again.
    KeepTable(bool),
    /// The presence of a node changes.
    Presence(usize, Presence),
    /// One node does not see another one in the ring.
    Unseen(usize, usize),
    /// A node is replaced: with the former tokens, or with new ones.
    Replace(usize, bool),
    /// A node joins.
    Join,
    /// Two pods swap their addresses.
    SwapAddresses(usize, usize),
    /// The ring learns the addresses of all pods.
    SettleAddresses,
    /// The cluster is deleted.
    DeleteCluster,
    /// A cluster of the same name is made again.
    MakeClusterAgain,
    /// The cluster, its sidecars and the bucket are as at first.
    Heal,
    /// The clock of cassgate is wrong by this many hours at the next reconcile.
    ClockError(i64),
    /// The listings of the bucket change.
    Listing(Listing),
    /// A restore is created; with `true` it leaves out the parts of nodes that are not in the ring.
    CreateRestore(bool),
    /// Another backup of the cluster is created.
    CreateBackup,
    /// `CassKop` begins a backup on this node.
    CassKopRun(usize),
    /// `CassKop` sends a backup to this node for an object that cassgate does not see; where the bucket is a directory,
    /// another client sends a removal.
    CassKopSends(usize),
    /// The newest restore is abandoned.
    Abandon,
    /// The newest restore is deleted.
    DeleteRestore,
    /// The backup is deleted.
    DeleteBackup,
    /// `spec.suspend` of the backup changes.
    Suspend(bool),
}

/// An event with its delay after the one before.
pub(super) type Delayed = (SignedDuration, Event);

/// The number of kinds of events.
const KINDS: u8 = 33;

/// Returns the events of a history. They are of a few kinds, so that the same ones meet more often.
pub(super) fn generate(random: &mut Rng, nodes: usize) -> Vec<Delayed> {
    let mut events = Vec::new();
    if random.u8(0..4) > 0 {
        // The first run of the backup takes up to 20 minutes.
        let after = SignedDuration::from_mins(random.i64(0..25));
        events.push((after, Event::CreateRestore(random.bool())));
    }
    let kinds: Vec<u8> = (0..random.usize(1..=6)).map(|_| random.u8(0..KINDS)).collect();
    for _ in 0..random.usize(1..=7) {
        let kind = kinds[random.usize(0..kinds.len())];
        events.push((delay(random), event(random, kind, nodes)));
    }
    events
}

fn delay(random: &mut Rng) -> SignedDuration {
    match random.u8(0..10) {
        0..5 => SignedDuration::from_secs(random.i64(0..40)),
        5..9 => SignedDuration::from_secs(random.i64(25..1200)),
        _ => SignedDuration::from_mins(random.i64(20..400)),
    }
}

fn event(random: &mut Rng, kind: u8, nodes: usize) -> Event {
    let node = random.usize(0..nodes);
    let other = random.usize(0..nodes);
    match kind {
        0 | 1 => Event::Fault(fault(random)),
        2 => Event::Kill(if random.bool() {
            Kill::BeforeSending
        } else {
            Kill::AfterSending
        }),
        3 | 4 => Event::Restart(node, random.i64(1..1800)),
        5 => Event::Silence(node, Silence::DropsRequests),
        6 => Event::Silence(node, Silence::DropsResponses),
        7 => Event::Silence(node, Silence::None),
        8 => Event::Hang(node),
        9 => Event::Cancel(node),
        10 => failing(random),
        11 => Event::NodesDown(random.u8(0..3) > 0),
        12 => Event::KeepTable(random.u8(0..3) > 0),
        13 => Event::Presence(node, Presence::LeftRing),
        14 => Event::Presence(node, Presence::PodGone),
        15 => Event::Presence(node, Presence::OutsideRing),
        16 => Event::Presence(node, Presence::Present),
        17 => Event::Unseen(node, other),
        18 => Event::Replace(node, random.bool()),
        19 => Event::Join,
        20 => Event::SwapAddresses(node, other),
        21 => Event::SettleAddresses,
        22 => match random.u8(0..3) {
            0 => Event::DeleteCluster,
            1 => Event::MakeClusterAgain,
            _ => Event::Heal,
        },
        23 => Event::ClockError([480, -24, 26, -1][random.usize(0..4)]),
        24 => listing(random),
        25 => Event::CreateRestore(random.bool()),
        26 => Event::Abandon,
        27 => Event::DeleteRestore,
        28 => Event::RestartDuringLook(node),
        29 => Event::CreateBackup,
        30 => Event::CassKopRun(node),
        31 => Event::CassKopSends(node),
        _ => match random.u8(0..4) {
            0 => Event::DeleteBackup,
            1 => Event::Suspend(true),
            _ => Event::Suspend(false),
        },
    }
}

fn fault(random: &mut Rng) -> Fault {
    match random.u8(0..8) {
        0 => Fault::RefuseConnection,
        1 => Fault::DropResponse,
        2 => Fault::DropRequest,
        3 => Fault::Delay(random.i64(1..40)),
        4 => Fault::Reject("Service Unavailable"),
        5 => Fault::Fail("Access Denied"),
        6 => Fault::Last(random.i64(3600..72_000)),
        _ => Fault::None,
    }
}

fn failing(random: &mut Rng) -> Event {
    let phases = [
        Phase::Backup,
        Phase::Download,
        Phase::Truncate,
        Phase::Import,
        Phase::Cleanup,
    ];
    let errors = [
        "Access Denied",
        NODES_DOWN,
        "There are nodes with different schemas: {}",
        "Unable to download files successfully: data/k1/t1/nb-5-big-Data.db",
        "Some local files were corrupted or they are missing, please consult the logs",
        "Hardlinking phase finished with errors",
    ];
    let times = if random.bool() {
        usize::MAX
    } else {
        random.usize(1..8)
    };
    Event::Failing(phases[random.usize(0..5)], errors[random.usize(0..6)], times)
}

fn listing(random: &mut Rng) -> Event {
    Event::Listing(match random.u8(0..4) {
        0 => Listing::Partial,
        1 => Listing::Stale(std::collections::BTreeMap::default()),
        2 => Listing::Endless,
        _ => Listing::Complete,
    })
}

impl Event {
    /// Applies the event to a history.
    pub(super) fn apply(&self, history: &mut History) {
        let world = &mut history.world;
        match self {
            Self::Fault(fault) => world.faults.push(*fault),
            Self::Kill(kill) => history.kills.push(*kill),
            Self::Restart(node, seconds) => world.restart(*node, *seconds),
            Self::RestartDuringLook(node) => world.restart_during_look(*node),
            Self::Silence(node, silence) => world.nodes[*node].silence = *silence,
            Self::Hang(node) => world.nodes[*node].hangs = true,
            Self::Cancel(node) => world.cancel(*node),
            Self::Failing(phase, error, times) => world.failing = Some((*phase, error, *times)),
            Self::NodesDown(down) => world.nodes_down = *down,
            Self::KeepTable(true) => world.kept_tables = vec!["k1.t2"],
            Self::KeepTable(false) => world.kept_tables.clear(),
            Self::Presence(node, presence) if !world.cluster_gone => world.set_presence(*node, *presence),
            Self::Unseen(node, other) => world.nodes[*node].unseen.push(*other),
            Self::Replace(node, keeps_tokens) => {
                history.is_replaced = true;
                world.replace(*node, *keeps_tokens);
            }
            Self::Join if world.nodes.len() < 4 && !world.cluster_gone => {
                history.is_replaced = true;
                world.join();
            }
            Self::Presence(..) | Self::Join => {}
            Self::SwapAddresses(one, other) => world.swap_addresses(*one, *other),
            Self::SettleAddresses => world.settle_addresses(),
            Self::DeleteCluster => world.delete_cluster(),
            Self::MakeClusterAgain => {
                history.is_replaced = true;
                world.make_cluster_again();
            }
            Self::Heal => world.heal(),
            Self::ClockError(hours) => history.clock_errors.push(SignedDuration::from_hours(*hours)),
            Self::Listing(Listing::Stale(_)) => {
                world.listing = Listing::Stale(world.archive.clone().unwrap_or_default());
            }
            Self::Listing(listing) => world.listing = listing.clone(),
            Self::CreateRestore(leaves_out) => history.create_restore(*leaves_out),
            Self::CreateBackup => history.create_backup(),
            Self::CassKopRun(node) => history.begin_casskop_run(*node),
            Self::CassKopSends(node) => {
                // The files that its upload would cut short in a directory are unknown to cassgate.
                let is_directory = history.backup.object.spec.storage_location.starts_with("file:");
                let task = if is_directory {
                    Task::Remove
                } else {
                    Task::Backup { with_topology: true }
                };
                world.begin_foreign(*node, task);
            }
            Self::Abandon => history.abandon(),
            Self::DeleteRestore => history.delete_restore(),
            Self::DeleteBackup => history.delete_backup(),
            Self::Suspend(suspend) => history.suspend(*suspend),
        }
    }
}

/// An event at its time, for people.
pub(super) struct At<'a>(pub(super) Timestamp, pub(super) &'a Event);

impl fmt::Display for At<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:.0}  {:?}", self.0, self.1)
    }
}
