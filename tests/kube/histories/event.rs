//! The random events of a history.

use std::fmt;

use cassgate::icarus::RestorePhase;
use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};

use crate::runs::wire::Fault;
use crate::stand_in::{FailingOperation, Torn};

/// A fault of one request to a sidecar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RequestFault {
    /// The sidecar refuses the connection.
    RefuseConnection,
    /// The request does not arrive, and no answer comes.
    DropRequest,
    /// The request is performed, and no answer comes.
    DropResponse,
    /// The request arrives this many seconds later, and no answer comes.
    Delay(u64),
}

/// The presence of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    Present,
    /// Its pod runs, and the ring does not have it.
    OutsideRing,
    /// Its pod is gone, and the ring still has it.
    PodGone,
    /// Its pod is gone, and the ring has forgotten it.
    LeftRing,
}

/// The silence of a sidecar whose container runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Silence {
    /// It answers.
    None,
    /// No request arrives.
    DropsRequests,
    /// Requests are performed, and no answer comes back.
    DropsResponses,
}

/// An event of a history.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Event {
    /// cassgate is killed at this instant, and starts again after so many milliseconds.
    Kill(u64),
    /// An act of cassgate has this fault: so many acts from now. A killed cassgate starts again after so many milliseconds.
    Act(usize, Fault, u64),
    /// Another replica takes the lease for so many seconds.
    LoseLease(i64),
    /// The API server is unreachable for so many seconds.
    LoseApiServer(i64),
    /// The clock of cassgate is wrong by so many hours, for so many seconds.
    ClockError(i64, i64),
    /// The next request for an operation has this fault.
    Request(RequestFault),
    /// A sidecar is killed, and starts again after so many seconds.
    RestartSidecar(usize, Torn, i64),
    /// A Cassandra is killed, and starts again after so many seconds.
    RestartCassandra(usize, i64),
    /// A sidecar never answers, or answers again.
    Silence(usize, Silence),
    /// The operations of a sidecar stay at `RUNNING`.
    Hang(usize),
    /// The next operations of a kind fail, so many of them.
    Failing(FailingOperation, &'static str, usize),
    /// A node leaves or comes back.
    Presence(usize, Presence),
    /// The pod of a node gets another address.
    Move(usize),
    /// One node does not see another one in the ring.
    Unseen(usize, usize),
    /// The cluster is deleted with its pods.
    DeleteCluster,
    /// Every cause is removed.
    Heal,
    /// Users write and delete rows.
    Write,
    /// A one-shot backup is created.
    CreateBackup,
    /// A restore is created.
    CreateRestore,
    /// The newest restore is abandoned.
    Abandon,
    /// The newest restore is deleted.
    DeleteRestore,
    /// The first backup is deleted.
    DeleteBackup,
    /// `spec.suspend` of the first backup changes.
    Suspend(bool),
}

/// An event with its delay after the one before.
pub(super) type Delayed = (SignedDuration, Event);

/// The number of kinds of events.
const KINDS: u8 = 26;

/// A restore has about four times as many acts.
const ACTS: usize = 8;

/// Minimum number of kills of cassgate in a history.
const MIN_KILLS: usize = 2;

/// Returns the events of a history. They are of a few kinds, so that the same ones meet more often, and between them cassgate is
/// killed.
pub(super) fn generate(random: &mut Rng, nodes: usize) -> Vec<Delayed> {
    let mut events = Vec::new();
    if random.u8(0..4) > 0 {
        let after = SignedDuration::from_secs(random.i64(0..900));
        events.push((after, Event::CreateRestore));
        // Somewhere in the restore.
        let after = SignedDuration::from_millis(random.i64(0..120_000));
        events.push((after, kill(random)));
    }
    let kinds: Vec<u8> = (0..random.usize(1..=5)).map(|_| random.u8(0..KINDS)).collect();
    for _ in 0..random.usize(3..=10) {
        let event = if random.u8(0..5) < 2 {
            kill(random)
        } else {
            let kind = kinds[random.usize(0..kinds.len())];
            event(random, kind, nodes)
        };
        events.push((delay(random), event));
    }
    let kills = events.iter().filter(|(_, event)| event.kills()).count();
    for _ in kills..MIN_KILLS {
        events.insert(random.usize(0..events.len()), (delay(random), kill(random)));
    }
    events
}

fn delay(random: &mut Rng) -> SignedDuration {
    match random.u8(0..10) {
        0..5 => SignedDuration::from_millis(random.i64(0..40_000)),
        5..9 => SignedDuration::from_millis(random.i64(25_000..1_200_000)),
        _ => SignedDuration::from_mins(random.i64(20..400)),
    }
}

fn kill(random: &mut Rng) -> Event {
    let away = [300, 5_000, 50_000, 600_000][random.usize(..4)] + random.u64(0..999);
    match random.u8(0..3) {
        0 => Event::Kill(away),
        1 => Event::Act(random.usize(..ACTS), Fault::StopBefore, away),
        _ => Event::Act(random.usize(..ACTS), Fault::StopAfter, away),
    }
}

fn event(random: &mut Rng, kind: u8, nodes: usize) -> Event {
    let node = random.usize(0..nodes);
    let other = random.usize(0..nodes);
    match kind {
        0 => kill(random),
        1 => Event::Act(random.usize(..ACTS), Fault::FailBefore, 0),
        2 => Event::Act(random.usize(..ACTS), Fault::FailAfter, 0),
        3 => Event::LoseLease(random.i64(1..3_600)),
        4 => Event::LoseApiServer(random.i64(1..3_600)),
        5 => Event::ClockError([480, -24, 26, -1][random.usize(0..4)], random.i64(1..60)),
        6 => Event::Request(RequestFault::RefuseConnection),
        7 => Event::Request(RequestFault::DropRequest),
        8 => Event::Request(RequestFault::DropResponse),
        9 => Event::Request(RequestFault::Delay(random.u64(1..40))),
        10 | 11 => {
            let torn = if random.bool() { Torn::Half } else { Torn::Nothing };
            Event::RestartSidecar(node, torn, random.i64(1..1_800))
        }
        12 => Event::RestartCassandra(node, random.i64(1..1_800)),
        13 => Event::Silence(node, Silence::DropsRequests),
        14 => Event::Silence(node, Silence::DropsResponses),
        15 => Event::Silence(node, Silence::None),
        16 => Event::Hang(node),
        17 => failing(random),
        18 => match random.u8(0..4) {
            0 => Event::Presence(node, Presence::LeftRing),
            1 => Event::Presence(node, Presence::PodGone),
            2 => Event::Presence(node, Presence::OutsideRing),
            _ => Event::Presence(node, Presence::Present),
        },
        19 => Event::Move(node),
        20 => Event::Unseen(node, other),
        21 => [Event::DeleteCluster, Event::Heal][random.usize(0..2)].clone(),
        22 => [Event::Write, Event::CreateBackup][random.usize(0..2)].clone(),
        23 => Event::CreateRestore,
        24 => [Event::Abandon, Event::DeleteRestore][random.usize(0..2)].clone(),
        _ => match random.u8(0..4) {
            0 => Event::DeleteBackup,
            1 => Event::Suspend(true),
            _ => Event::Suspend(false),
        },
    }
}

fn failing(random: &mut Rng) -> Event {
    let mut kinds = vec![
        FailingOperation::Backup,
        FailingOperation::List,
        FailingOperation::Remove,
    ];
    kinds.extend(RestorePhase::ALL.map(FailingOperation::Restore));
    let errors = [
        "Access Denied",
        "Failure detector of this node reports that 1 node(s) in a cluster are down!",
        "There are nodes with different schemas: {}",
        "Unable to download files successfully: data/k1/t1/nb-5-big-Data.db",
        "Some local files were corrupted or they are missing, please consult the logs",
    ];
    let times = if random.bool() {
        usize::MAX
    } else {
        random.usize(1..8)
    };
    Event::Failing(
        kinds[random.usize(0..kinds.len())],
        errors[random.usize(0..errors.len())],
        times,
    )
}

impl Event {
    /// Returns true if it kills cassgate.
    fn kills(&self) -> bool {
        matches!(
            self,
            Self::Kill(_) | Self::Act(_, Fault::StopBefore | Fault::StopAfter, _)
        )
    }
}

/// An event at its time, for people.
pub(super) struct At<'a>(pub(super) Timestamp, pub(super) &'a Event);

impl fmt::Display for At<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:.3}  {:?}", self.0, self.1)
    }
}
