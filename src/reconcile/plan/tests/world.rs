//! A model of a ring with its sidecars, small enough for thousands of restores in a second.
//!
//! It answers requests as Icarus 2.0.4 did on real rings: a restore operation excludes another one in the same sidecar
//! only; `TRUNCATE` checks nothing and empties all nodes; a restarted sidecar has forgotten everything; an import over
//! links that another content left loads nothing.

mod answers;
pub(super) mod archive;
mod clock;
pub(super) mod disruption;
mod fault;
mod operations;
pub(super) mod parts;
mod ring;

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::uploads::Uploads;
use crate::api::NodeContainers;
use crate::domain::sidecar::Sidecar;
use crate::icarus::NodeMode;
use crate::reconcile::plan::{
    Answers, NO_PROGRESS_TIMEOUT, Observation, OperationReport, Phase, PodMember, Task, UnprovenPart,
};
use archive::{Archive, Listing};
use disruption::Silence;
use operations::Operation;

pub(super) use fault::Fault;
pub(super) use operations::NODES_DOWN;

/// The rows in the tables of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rows {
    /// Those that the users wrote.
    Users,
    /// None.
    None,
    /// Those of the backup.
    Backup,
}

/// The downloaded files of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Downloaded {
    Nothing,
    /// Some files, one of them truncated.
    Partial,
    All,
}

/// The presence of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    Present,
    /// Its pod runs, and the ring does not have it.
    OutsideRing,
    /// Its pod is gone for good.
    PodGone,
    /// The ring has forgotten it, too.
    LeftRing,
}

/// A Cassandra node with its sidecar.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) rows: Rows,
    pub(super) downloaded: Downloaded,
    /// True if the copies of the users' rows are still there.
    pub(super) copies: bool,
    /// True if its part of the backup is in the bucket.
    pub(super) uploaded: bool,
    /// The operations that others sent to its sidecar.
    pub(super) others: Vec<OperationReport>,
    pub(super) presence: Presence,
    /// The mode that it reports.
    pub(super) mode: NodeMode,
    /// The nodes that it does not know to be in the ring.
    pub(super) unseen: Vec<usize>,
    /// Its host id.
    pub(super) host: String,
    /// Its tokens, as one number.
    pub(super) tokens: u32,
    /// The folder of the part that it was told to restore.
    pub(super) folder: Option<String>,
    /// The folders of the parts that it imported since the tables were last emptied.
    pub(super) imported: Vec<String>,
    /// The number of its pod's address.
    address: usize,
    /// The number of the address that the ring knows.
    ring_address: usize,
    pub(super) silence: Silence,
    /// True while its operations stay at `RUNNING`.
    pub(super) hangs: bool,
    restarts: u32,
    /// True if the next look at the pods does not show its last restart.
    hides_restart: Cell<bool>,
    down_until: Timestamp,
    operations: Vec<Operation>,
}

pub(super) struct World {
    pub(super) now: Timestamp,
    pub(super) nodes: Vec<Node>,
    /// The parts of the backup in the bucket: the tokens by the folder. `None`: every node has a part with its tokens.
    pub(super) bucket: Option<BTreeMap<String, u32>>,
    /// The folders that the next requests name, by host id.
    pub(super) folders: BTreeMap<String, String>,
    pub(super) faults: Vec<Fault>,
    /// The operations of this phase fail with this error, this many times.
    pub(super) failing: Option<(Phase, &'static str, usize)>,
    /// True while the nodes consider one to be down: `DOWNLOAD`, `TRUNCATE` and `IMPORT` fail their health check.
    pub(super) nodes_down: bool,
    /// The tables that `TRUNCATE` cannot empty. It empties all others.
    pub(super) kept_tables: Vec<&'static str>,
    /// True if the last `TRUNCATE` kept tables.
    partly_emptied: bool,
    /// The number of times that `TRUNCATE` emptied tables since the last restore began.
    pub(super) truncated: usize,
    /// The version of the sidecars.
    pub(super) sidecar: Sidecar,
    /// True while the `CassandraCluster` does not exist.
    pub(super) cluster_gone: bool,
    /// The parts of other backups that may be cut short.
    pub(super) unproven_elsewhere: Vec<UnprovenPart>,
    pub(super) uploads: Uploads,
    /// The time until which the bucket answers no sidecar.
    pub(super) unlisted_until: Timestamp,
    /// The parts of all snapshots; `None`: [`uploads`](Self::uploads) and [`bucket`](Self::bucket) model one snapshot.
    pub(super) archive: Option<Archive>,
    pub(super) listing: Listing,
    /// The factor of the length of every operation.
    pub(super) slowness: i64,
    /// The object that sends the next requests.
    pub(super) owner: String,
    /// The difference of the planner's clock from the time of the world.
    pub(super) clock_error: SignedDuration,
    /// The broken guarantees.
    pub(super) violations: Vec<String>,
    /// The number of listings of a share for a removal.
    pub(super) listings: Cell<usize>,
    /// The number of listings that might never end.
    pub(super) endless_listings: Cell<usize>,
    /// Every request that arrived, with the index of its node.
    pub(super) arrived: Vec<(usize, Task)>,
    /// The number of requests, also of those that did not arrive.
    pub(super) sent: usize,
    /// The host id, the object and the tag of every request that reached a sidecar.
    reached: BTreeSet<(String, String, String)>,
    delayed: Vec<(Timestamp, usize, Task)>,
    next_id: u32,
    /// The number of nodes that joined.
    joined: usize,
}

impl World {
    pub(super) fn new(nodes: usize) -> Self {
        let node = |index: usize| Node {
            rows: Rows::Users,
            downloaded: Downloaded::Nothing,
            copies: false,
            uploaded: false,
            others: Vec::new(),
            presence: Presence::Present,
            mode: NodeMode::Normal,
            unseen: Vec::new(),
            host: host_id(index),
            tokens: u32::try_from(index).unwrap(),
            folder: None,
            imported: Vec::new(),
            address: index,
            ring_address: index,
            silence: Silence::None,
            hangs: false,
            restarts: 0,
            hides_restart: Cell::new(false),
            down_until: Timestamp::MIN,
            operations: Vec::new(),
        };
        Self {
            now: "2028-02-29T10:00:00.123456Z".parse().unwrap(),
            nodes: (0..nodes).map(node).collect(),
            bucket: None,
            folders: BTreeMap::new(),
            faults: Vec::new(),
            failing: None,
            nodes_down: false,
            kept_tables: Vec::new(),
            partly_emptied: false,
            truncated: 0,
            sidecar: Sidecar::from_image("icarus:2.0.4"),
            cluster_gone: false,
            unproven_elsewhere: Vec::new(),
            uploads: Uploads::default(),
            unlisted_until: Timestamp::MIN,
            archive: None,
            listing: Listing::Complete,
            slowness: 1,
            owner: String::new(),
            clock_error: SignedDuration::ZERO,
            violations: Vec::new(),
            listings: Cell::new(0),
            endless_listings: Cell::new(0),
            arrived: Vec::new(),
            sent: 0,
            reached: BTreeSet::new(),
            delayed: Vec::new(),
            next_id: 0,
            joined: 0,
        }
    }

    /// Returns an observation in which every object exists and the run has its turn.
    pub(super) fn observation<'a>(&self, members: &'a [PodMember], answers: &'a Answers) -> Observation<'a> {
        Observation {
            now: self.now.checked_add(self.clock_error).unwrap(),
            members,
            missing: None,
            wait: None,
            needs: None,
            stop: None,
            sidecar: self.sidecar.clone(),
            cluster_gone: self.cluster_gone,
            no_progress_timeout: NO_PROGRESS_TIMEOUT,
            unproven_elsewhere: self.unproven_elsewhere.clone(),
            answers,
        }
    }

    pub(super) fn members(&self) -> Vec<PodMember> {
        let member = |(index, node): (usize, &Node)| PodMember {
            pod: format!("c1-dc1-rack1-{index}"),
            address: Some(format!("10.0.0.{}", node.address)),
            containers: (self.now >= node.down_until).then(|| NodeContainers {
                cassandra: format!("containerd://c{index}#0"),
                sidecar: format!(
                    "containerd://s{index}#{}",
                    node.restarts - u32::from(node.hides_restart.take())
                ),
            }),
        };
        let present = self.nodes.iter().enumerate().filter(|(_, node)| node.runs());
        present.map(member).collect()
    }

    /// Returns the number of requests of each phase that arrived.
    pub(super) fn counts(&self) -> BTreeMap<Phase, usize> {
        let mut counts = BTreeMap::new();
        for (_, task) in &self.arrived {
            *counts.entry(task.phase()).or_default() += 1;
        }
        counts
    }
}

impl Node {
    /// Returns true if its pod exists.
    fn runs(&self) -> bool {
        matches!(self.presence, Presence::Present | Presence::OutsideRing)
    }
}

/// Returns the host id of a node.
pub(super) fn host_id(index: usize) -> String {
    format!("9da86270-7a5c-4a0b-9e9b-{index:012}")
}

fn index(pod: &str) -> usize {
    pod.rsplit('-').next().unwrap().parse().unwrap()
}
