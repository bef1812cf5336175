//! The actions of a plan.

use std::collections::BTreeSet;

use jiff::SignedDuration;

use super::finalizer::Finalizer;
use super::observation::Question;
use crate::api::{Phase, Reason};

/// The next step of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan<S> {
    /// The planner needs the answers to these questions first. Nothing is done.
    Ask(BTreeSet<Question>),
    /// The actions to execute.
    Do(Actions<S>),
}

/// The actions of one step, in the order of the fields. The requests are sent at the same time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actions<S> {
    /// The change to the finalizer before the status is written.
    pub finalizer: Finalizer,
    /// True if cassgate takes over the fields that others own in the status before it writes the status.
    pub take_over: bool,
    /// The new status. Nothing is written if it equals the stored one.
    pub status: S,
    /// The requests to send after the status was written.
    pub requests: Vec<Request>,
    /// The events to publish.
    pub events: Vec<Event>,
    /// The time after which the object is reconciled again at the latest; `None`: only when the object changes, or
    /// one that it names.
    pub requeue_after: Option<SignedDuration>,
}

impl<S: PartialEq> Actions<S> {
    /// Returns true if the actions change nothing where the stored status is `status`.
    #[must_use]
    pub fn is_empty(&self, status: &S) -> bool {
        let Self {
            finalizer,
            take_over,
            status: next,
            requests,
            events,
            requeue_after: _,
        } = self;
        *finalizer == Finalizer::Keep
            && !take_over
            && next == status
            && requests.is_empty()
            && events.is_empty()
    }
}

/// A request to a sidecar. Everything else that the request needs is in the object and its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The pod whose sidecar gets it.
    pub pod: String,
    /// The address of that pod, which the ring confirms.
    pub address: String,
    /// Cassandra's id of the node.
    pub host_id: String,
    /// The task of the sidecar.
    pub task: Task,
}

/// A task of a sidecar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Task {
    /// Upload a snapshot.
    Backup {
        /// True on the one node that also uploads the topology of the ring, for third parties.
        with_topology: bool,
    },
    /// A phase of a restore.
    Phase(Phase),
    /// The last phase of a restore.
    Cleanup {
        /// True if the copies that Cassandra made of the emptied tables stay.
        keep_truncated: bool,
    },
    /// Load the files that an import left in the folder of this table.
    Refresh {
        /// The table, `KEYSPACE.TABLE`.
        table: String,
    },
    /// Remove the snapshot that `status.retention` names from the node's share.
    Remove,
}

impl Task {
    /// Returns true if the task deletes the copies of emptied tables, of every restore.
    #[must_use]
    pub fn deletes_copies(&self) -> bool {
        matches!(
            self,
            Self::Cleanup {
                keep_truncated: false
            }
        )
    }

    /// Returns the phase that the task belongs to.
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

/// A Kubernetes event of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// True for the type `Warning`, false for `Normal`.
    pub warning: bool,
    /// The reason of the event, CassKop's where it has one.
    pub reason: Reason,
    /// A sentence for people.
    pub message: String,
    /// True if every reconcile publishes the event again, because the status cannot record that it was published.
    /// Kubernetes shows one event with a count.
    pub repeated: bool,
}
