//! What to do next for a backup or a restore, and what its status says meanwhile. Pure.
//!
//! A plan is made of the object and of one [`Observation`] at the world. Where the look does not suffice, the plan is a list
//! of questions ([`Plan::Ask`]); with their answers it is made again, from the beginning. Otherwise it is what to do
//! ([`Plan::Do`]), in this order: the finalizer, the status, the requests, the events. A request goes out only after
//! the status that speaks of it was written, so that nobody who reads the status later sends it a second time blindly.

pub mod backup;
mod builder;
mod conditions;
pub(super) mod conflict;
mod foreign;
pub mod needs;
mod node;
pub mod prune;
pub mod restore;
pub mod schedule;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};

use crate::api::{NodeContainers, Reason};

pub use conditions::{awaited, condense, newly_awaited};
pub use node::{Outcome, record};

/// How often a sidecar is asked how far an operation is.
pub const POLL: SignedDuration = SignedDuration::from_secs(2);

/// How often something is looked at again that nobody reports by itself.
pub const LOOK_AGAIN: SignedDuration = SignedDuration::from_secs(10);

/// How long after it was sent a request may still arrive. Only what is older, and unknown to the sidecar, is lost.
pub const IN_FLIGHT: SignedDuration = SignedDuration::from_secs(45);

/// Whether an object carries this finalizer.
#[must_use]
pub fn is_held_by(finalizer: &str, meta: &ObjectMeta) -> bool {
    let finalizers = meta.finalizers.as_deref().unwrap_or_default();
    finalizers.iter().any(|held| held == finalizer)
}

/// A time as a status has it: Kubernetes writes whole seconds, and a plan has to find again what it wrote.
fn moment(time: Timestamp) -> Time {
    Time(Timestamp::from_second(time.as_second()).unwrap_or(time))
}

/// What a node does; the same words as in the status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// It uploads a snapshot.
    Backup,
    /// It looks whether the snapshot is there.
    Init,
    /// It fetches the snapshot's files beside Cassandra's own.
    Download,
    /// It empties the tables, on all nodes.
    Truncate,
    /// It takes the files into the emptied tables.
    Import,
    /// It makes Cassandra take in files that an `Import` left half done.
    Refresh,
    /// It deletes the files that were fetched.
    Cleanup,
    /// It takes an old snapshot out of its share of the bucket.
    Remove,
}

impl Phase {
    /// Every phase.
    pub const ALL: [Self; 8] = [
        Self::Backup,
        Self::Init,
        Self::Download,
        Self::Truncate,
        Self::Import,
        Self::Refresh,
        Self::Cleanup,
        Self::Remove,
    ];

    /// As it is written in the status.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Backup => "BACKUP",
            Self::Init => "INIT",
            Self::Download => "DOWNLOAD",
            Self::Truncate => "TRUNCATE",
            Self::Import => "IMPORT",
            Self::Refresh => "REFRESH",
            Self::Cleanup => "CLEANUP",
            Self::Remove => "REMOVE",
        }
    }

    /// What a status says; `None` when it is none of our words.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.as_str() == text)
    }
}

/// What the world looks like.
#[derive(Debug, Clone)]
pub struct Observation<'a> {
    /// When.
    pub now: Timestamp,
    /// The pods of the Cassandra cluster.
    pub members: &'a [PodMember],
    /// What the object names and is not there. `None`: everything is.
    pub missing: Option<Wait>,
    /// Why nothing may begin yet though everything is there: the rules, the queue. `None`: it may.
    pub wait: Option<Wait>,
    /// What the rules say of an object that has not begun; `None`: it has, or nobody has asked them.
    pub needs: Option<needs::Needs>,
    /// Why nothing may be sent at all, whatever is under way: another executor acts, the CRDs do not fit.
    pub stop: Option<Wait>,
    /// Whether the `CassandraCluster` is gone: there is nobody left to do anything.
    pub cluster_gone: bool,
    /// What was asked and answered since the look began.
    pub answers: &'a Answers,
}

impl Observation<'_> {
    fn answer(&self, question: &Question) -> Option<&Answer> {
        self.answers.get(question)
    }

    fn member(&self, pod: &str) -> Option<&PodMember> {
        self.members.iter().find(|member| member.pod == pod)
    }
}

/// A pod of a Cassandra cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodMember {
    /// Its name.
    pub pod: String,
    /// Its address, once it has one.
    pub address: Option<String>,
    /// Which containers it has now; `None` when that is not known.
    pub containers: Option<NodeContainers>,
}

/// What is asked of a sidecar, when a plan cannot be made without.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Question {
    /// Who is in the ring, and which schema it has: of any sidecar of the cluster.
    Ring,
    /// What the sidecar of this pod is doing now, by anybody's order.
    Busy {
        /// The pod.
        pod: String,
    },
    /// An operation by its id.
    Operation {
        /// The pod whose sidecar has it.
        pod: String,
        /// The id.
        id: String,
    },
    /// What the sidecar was sent by others since it was sent something of this object: operations of the same kind
    /// that are not ours. Who restores whatever, or backs up under the same tag.
    Others {
        /// The pod.
        pod: String,
    },
    /// Every operation of this object and phase that the sidecar knows: what became of a request without an answer.
    Sent {
        /// The pod.
        pod: String,
        /// The phase.
        phase: Phase,
    },
    /// Whether the node's share of the bucket has this snapshot.
    Stored {
        /// The pod.
        pod: String,
        /// Cassandra's id of the node.
        host_id: String,
        /// Its datacenter.
        datacenter: String,
        /// The full name of the snapshot.
        snapshot: String,
    },
    /// How many files the node's part of a backup has.
    Files {
        /// The pod.
        pod: String,
        /// Cassandra's id of the node.
        host_id: String,
    },
}

/// What a sidecar answered.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// Nothing, for this reason. Nothing may be concluded from it.
    Silence(String),
    /// Who is in the ring.
    Ring(Ring),
    /// The operations that were asked for; none: the sidecar knows of none.
    Operations(Vec<OperationReport>),
    /// What a part of a backup names.
    Files {
        /// How many files.
        count: u64,
        /// Their size in bytes.
        bytes: u64,
    },
    /// Whether it is there.
    Stored(bool),
    /// The sidecar is too old for the question.
    Unsupported,
}

/// Answers by their questions.
pub type Answers = BTreeMap<Question, Answer>;

/// What a sidecar says of an operation.
#[derive(Debug, Clone, PartialEq)]
pub struct OperationReport {
    /// The id that the sidecar gave it.
    pub id: String,
    /// How it stands.
    pub state: State,
    /// How far it is, 0 to 1.
    pub progress: f64,
    /// When it was created, by the clock of the sidecar.
    pub created: Timestamp,
    /// What went wrong: who says so, and what.
    pub errors: Vec<(Option<String>, Option<String>)>,
}

/// How an operation of a sidecar stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It has not begun.
    Pending,
    /// It goes on.
    Running,
    /// It ended well.
    Completed,
    /// It ended with errors.
    Failed,
    /// Somebody stopped it.
    Cancelled,
}

/// The ring as Cassandra sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ring {
    /// Cassandra's name of the cluster.
    pub cluster_name: String,
    /// The version of the schema, which all nodes share.
    pub schema_version: String,
    /// The nodes.
    pub nodes: Vec<RingNode>,
}

impl Ring {
    /// The node with this id; `None`: the ring does not know it, or no more.
    #[must_use]
    pub fn node(&self, host_id: &str) -> Option<&RingNode> {
        self.nodes.iter().find(|node| node.host_id == host_id)
    }
}

/// A node of the ring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RingNode {
    /// Cassandra's id of it, which stays when the node moves.
    pub host_id: String,
    /// Its datacenter.
    pub datacenter: String,
    /// Its address: that of its pod.
    pub address: String,
}

/// Why something waits. What it waits for comes by itself or by a human; nobody has to start it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wait {
    /// In one word for programs. Example: `ClusterNotFound`.
    pub reason: Reason,
    /// In a sentence for people: what it waits for, and what to do if that never comes.
    pub message: String,
    /// Whether it goes on only when a human does something.
    pub stalled: bool,
}

impl Wait {
    /// For something that comes by itself.
    #[must_use]
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            stalled: false,
        }
    }

    /// For something that a human has to do.
    #[must_use]
    pub fn stalled(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            stalled: true,
            ..Self::new(reason, message)
        }
    }
}

/// What comes next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan<S> {
    /// These answers are needed first. Nothing else is done.
    Ask(BTreeSet<Question>),
    /// This is to be done.
    Do(Actions<S>),
}

/// What is to be done, in the order of the fields; the requests all at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actions<S> {
    /// What becomes of our finalizer before the status is written.
    pub finalizer: Finalizer,
    /// Whether what others wrote to the status becomes ours before it is written.
    pub take_over: bool,
    /// What the status says from now on. Equal to the stored one: nothing is written.
    pub status: S,
    /// What is sent after the status was written.
    pub requests: Vec<Request>,
    /// What is told.
    pub events: Vec<Event>,
    /// When to look again at the latest; `None`: only when the object or what it names changes.
    pub again: Option<SignedDuration>,
}

impl<S: PartialEq> Actions<S> {
    /// Whether nothing is to be done but to look again, where the status is this one.
    #[must_use]
    pub fn is_nothing(&self, status: &S) -> bool {
        let Self {
            finalizer,
            take_over,
            status: next,
            requests,
            events,
            again: _,
        } = self;
        *finalizer == Finalizer::Keep
            && !take_over
            && next == status
            && requests.is_empty()
            && events.is_empty()
    }
}

/// What becomes of our finalizer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finalizer {
    /// It stays as it is.
    Keep,
    /// The object needs it from now on, before anything else is done.
    Add,
    /// The object may go, after everything else was done.
    Release,
}

/// Something for a sidecar to do. What is not here stands in the object and in its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The pod whose sidecar gets it.
    pub pod: String,
    /// The address of that pod, as the ring has it too.
    pub address: String,
    /// Cassandra's id of the node.
    pub host_id: String,
    /// What it shall do.
    pub task: Task,
}

/// What a sidecar shall do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Task {
    /// Upload a snapshot; one node adds who was in the ring, for third parties.
    Backup {
        /// Whether it is this one.
        with_topology: bool,
    },
    /// A phase of a restore.
    Phase(Phase),
    /// The last phase of a restore.
    Cleanup {
        /// Whether the copies that Cassandra made of the emptied tables stay.
        keep_truncated: bool,
    },
    /// Take in what an import left in the folder of this table.
    Refresh {
        /// The table, `KEYSPACE.TABLE`.
        table: String,
    },
    /// Take the snapshot out of the node's share that the status speaks of.
    Remove,
}

impl Task {
    /// The phase that it belongs to.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match self {
            Self::Backup { .. } => Phase::Backup,
            Self::Phase(phase) => *phase,
            Self::Cleanup { .. } => Phase::Cleanup,
            Self::Refresh { .. } => Phase::Refresh,
            Self::Remove => Phase::Remove,
        }
    }
}

/// What is told of an object: a Kubernetes event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Whether somebody should look at it.
    pub warning: bool,
    /// In one word, CassKop's where it has one.
    pub reason: Reason,
    /// In a sentence.
    pub message: String,
    /// Whether every look tells it anew, since it cannot be written down: one event with a count for people.
    pub repeated: bool,
}
