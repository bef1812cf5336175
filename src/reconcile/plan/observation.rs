//! The input of a planner: the state of the cluster, and what the sidecars answered.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::needs::Needs;
use super::wait::Wait;
use crate::api::{NodeContainers, Phase};
use crate::domain::sidecar::Sidecar;
use crate::icarus::{NodeMode, OperationError, OperationState, Topology};

/// The state of the world at one reconcile.
#[derive(Debug, Clone)]
pub struct Observation<'a> {
    /// The time of the reconcile.
    pub now: Timestamp,
    /// The pods of the Cassandra cluster.
    pub members: &'a [PodMember],
    /// An object that the object names and that does not exist; `None`: all exist.
    pub missing: Option<Wait>,
    /// The reason why a run may not begin although everything exists, such as the rules or the queue; `None`: it may.
    pub wait: Option<Wait>,
    /// The verdict of the rules on an object that has not begun; `None`: it has begun, or it was not judged.
    pub needs: Option<Needs>,
    /// The reason why nothing may be sent at all, even for a run under way: another executor acts, or the CRDs do not
    /// fit.
    pub stop: Option<Wait>,
    /// The sidecar that the pods run.
    pub sidecar: Sidecar,
    /// True if the `CassandraCluster` does not exist any more.
    pub cluster_gone: bool,
    /// The time without progress after which a run under way is reported as stalled.
    pub no_progress_timeout: SignedDuration,
    /// The parts of other backups of the cluster that may have left a file cut short; empty for a restore.
    pub unproven_elsewhere: Vec<UnprovenPart>,
    /// The answers to the questions of this reconcile so far.
    pub answers: &'a Answers,
}

/// A part of a backup that may have left a file cut short in its directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnprovenPart {
    /// `spec.storageLocation` of its run.
    pub storage_location: String,
    /// The host id of its node; `None`: the part of any node.
    pub host_id: Option<String>,
}

impl Observation<'_> {
    /// Returns the answer to a question; `None` if it was not asked yet.
    pub(super) fn answer(&self, question: &Question) -> Option<&Answer> {
        self.answers.get(question)
    }

    /// Returns the containers of a pod; `None` if the pod does not exist or its containers are unknown.
    pub(super) fn containers(&self, pod: &str) -> Option<&NodeContainers> {
        let member = self.members.iter().find(|member| member.pod == pod)?;
        member.containers.as_ref()
    }
}

/// A pod of a Cassandra cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodMember {
    /// Its name.
    pub pod: String,
    /// Its address, once it has one.
    pub address: Option<String>,
    /// Its current containers; `None` if they are unknown.
    pub containers: Option<NodeContainers>,
}

/// The ring as the sidecar of one pod reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RingView {
    /// The pod.
    pub pod: String,
    /// The ring.
    pub ring: Topology,
}

/// A question to a sidecar that a planner cannot do without.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Question {
    /// The nodes and the schema version of the ring, from any sidecar of the cluster.
    Ring,
    /// The ring from the sidecars of two pods, or of one if no other answers.
    RingViews,
    /// The mode of the Cassandra node of this pod, as the node sees itself.
    Mode {
        /// The pod.
        pod: String,
    },
    /// The operations that run on the sidecar of this pod, sent by any client.
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
    /// The operations of the same kind that other executors sent to this sidecar after cassgate's first operation for
    /// this object:
    /// any restore, or a backup under the same tag.
    Others {
        /// The pod.
        pod: String,
    },
    /// Every operation of this object and phase that the sidecar knows. Finds the operation of a request whose
    /// response was lost.
    Sent {
        /// The pod.
        pod: String,
        /// The phase.
        phase: Phase,
    },
    /// The presence of a snapshot in the node's folder of the bucket.
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
    /// The number of files in the node's part of the backup.
    Files {
        /// The pod.
        pod: String,
        /// Cassandra's id of the node.
        host_id: String,
    },
}

/// The answer of a sidecar.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// There is no answer, for this reason. Nothing may be concluded from it.
    Unavailable(String),
    /// The ring as Cassandra sees it, with its schema version.
    Ring(Topology),
    /// The ring as several Cassandra nodes see it.
    RingViews {
        /// One view for each sidecar that answered: one or two.
        views: Vec<RingView>,
        /// The pods whose sidecars did not answer, with the error.
        silent: Vec<(String, String)>,
    },
    /// The mode of a Cassandra node.
    Mode(NodeMode),
    /// The requested operations. Empty if the sidecar knows none.
    Operations(Vec<OperationReport>),
    /// The files of the node's part of a backup.
    Files {
        /// The number of files.
        count: u64,
        /// Their size in bytes.
        bytes: u64,
    },
    /// True if the share has the snapshot.
    Stored(bool),
    /// The sidecar is too old for the question.
    Unsupported,
}

/// Answers by their questions.
pub type Answers = BTreeMap<Question, Answer>;

/// An operation as a sidecar reports it.
#[derive(Debug, Clone, PartialEq)]
pub struct OperationReport {
    /// The id that the sidecar gave it.
    pub id: String,
    /// A phrase for people: what it does, and what is known of its sender.
    pub description: String,
    /// Its state.
    pub state: OperationState,
    /// Its progress, 0 to 1.
    pub progress: f64,
    /// The time at which it was created, by the clock of the sidecar.
    pub created: Timestamp,
    /// Its errors.
    pub errors: Vec<OperationError>,
}

impl OperationReport {
    /// Returns true if the operation may still be under way. An unknown state counts as running.
    pub(super) fn is_active(&self) -> bool {
        !self.state.is_terminal()
    }
}
