//! Disruptions that last: sidecars that do not answer, operations that do not end, addresses that swap, and clusters that
//! are deleted.

use jiff::{SignedDuration, Timestamp};

use super::archive::Listing;
use super::{Downloaded, Presence, Rows, Task, World};

/// The time in which every sidecar is back after its disruption ends.
const RECOVERY: SignedDuration = SignedDuration::from_mins(1);

/// The silence of a sidecar whose container runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Silence {
    /// It answers.
    None,
    /// Nothing arrives.
    DropsRequests,
    /// Requests arrive, and no response comes back.
    DropsResponses,
}

impl World {
    /// Swaps the addresses of the pods of two nodes. The nodes of the ring know the former ones until
    /// [`settle_addresses`](Self::settle_addresses).
    pub(in super::super) fn swap_addresses(&mut self, one: usize, other: usize) {
        let address = self.nodes[one].address;
        self.nodes[one].address = self.nodes[other].address;
        self.nodes[other].address = address;
    }

    /// Makes the ring know the addresses of all pods.
    pub(in super::super) fn settle_addresses(&mut self) {
        for node in &mut self.nodes {
            node.ring_address = node.address;
        }
    }

    /// Deletes the cluster with its pods. The volumes stay.
    pub(in super::super) fn delete_cluster(&mut self) {
        self.cluster_gone = true;
        for index in 0..self.nodes.len() {
            self.restart(index, 0);
            if self.nodes[index].presence != Presence::LeftRing {
                self.nodes[index].presence = Presence::PodGone;
            }
        }
    }

    /// Makes a cluster of the same name and size again, with new nodes on empty volumes.
    pub(in super::super) fn make_cluster_again(&mut self) {
        self.delete_cluster();
        self.cluster_gone = false;
        for index in 0..self.nodes.len() {
            self.replace(index, false);
        }
    }

    /// Removes the causes of every disruption that an engineer can remove: nodes, sidecars, the bucket and the cluster are
    /// back. Nodes that were replaced stay replaced.
    pub(in super::super) fn heal(&mut self) {
        let hung: Vec<_> = (0..self.nodes.len())
            .filter(|index| self.nodes[*index].hangs)
            .collect();
        for index in hung {
            self.restart(index, 30);
        }
        for index in 0..self.nodes.len() {
            self.set_presence(index, Presence::Present);
        }
        for node in &mut self.nodes {
            node.silence = Silence::None;
            node.unseen.clear();
            node.others.clear();
            node.down_until = node.down_until.min(self.now.checked_add(RECOVERY).unwrap());
        }
        self.settle_addresses();
        self.uploads.cut.clear();
        self.cluster_gone = false;
        self.nodes_down = false;
        self.kept_tables.clear();
        self.failing = None;
        self.faults.clear();
        self.listing = Listing::Complete;
        self.unlisted_until = Timestamp::MIN;
    }

    /// Changes the presence of a node. A pod that is back is a new one.
    pub(in super::super) fn set_presence(&mut self, index: usize, presence: Presence) {
        let ran = matches!(
            self.nodes[index].presence,
            Presence::Present | Presence::OutsideRing
        );
        let runs = matches!(presence, Presence::Present | Presence::OutsideRing);
        if ran != runs {
            self.restart(index, 0);
        }
        self.nodes[index].presence = presence;
    }

    /// Begins a restore: its downloads have folders of their own.
    pub(in super::super) fn begin_restore(&mut self) {
        self.truncated = 0;
        for node in &mut self.nodes {
            node.downloaded = Downloaded::Nothing;
            node.folder = None;
            node.imported.clear();
        }
    }

    /// Ends a restore: from now on the tables have what the users write.
    pub(in super::super) fn end_restore(&mut self) {
        self.partly_emptied = false;
        for node in &mut self.nodes {
            node.rows = Rows::Users;
            node.copies = false;
        }
    }

    /// Returns true if the sidecars refuse what needs a healthy ring.
    pub(super) fn is_unhealthy(&self) -> bool {
        let is_down = |presence: Presence| presence == Presence::PodGone;
        self.nodes_down || (self.archive.is_some() && self.nodes.iter().any(|node| is_down(node.presence)))
    }

    /// Returns true if a `TRUNCATE` now would empty tables before every file is downloaded. With an archive, only the first
    /// one of a restore is judged, because a restore that is given up after an import empties them once more.
    pub(super) fn may_not_empty(&self) -> bool {
        let judges = self.archive.is_none() || self.truncated == 0;
        judges && self.participants().any(|node| node.downloaded != Downloaded::All)
    }

    /// Returns true if an operation of this task runs, or its request may still arrive.
    pub(in super::super) fn is_pending(&self, task: &Task) -> bool {
        let delayed = self.delayed.iter().any(|(_, _, delayed)| delayed == task);
        let mut operations = self.nodes.iter().flat_map(|node| &node.operations);
        delayed || operations.any(|operation| operation.is_running() && operation.task == *task)
    }
}
