//! Operations that hang or fail, and the parts of snapshots and tables that a test compares afterwards.

use std::collections::{BTreeMap, BTreeSet};

use cassgate::domain::entities::Table;
use cassgate::icarus::{OperationRequest, RestorePhase};

use super::disk::{Key, merged};
use super::store::checksum;
use super::{Ring, State};

/// The kinds of operations that fail together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FailingOperation {
    /// Uploads.
    Backup,
    /// One phase of restores.
    Restore(RestorePhase),
    /// Listings.
    List,
    /// Removals.
    Remove,
}

impl FailingOperation {
    fn is_kind_of(self, request: &OperationRequest) -> bool {
        match (self, request) {
            (Self::Backup, OperationRequest::Backup(_))
            | (Self::List, OperationRequest::List(_))
            | (Self::Remove, OperationRequest::RemoveBackup(_)) => true,
            (Self::Restore(phase), OperationRequest::Restore(restore)) => restore.phase == phase,
            _ => false,
        }
    }
}

/// The rows of each table.
type Tables = BTreeMap<String, BTreeSet<Key>>;

impl Ring {
    /// Makes the operations of a sidecar stay at `RUNNING`, or continues them.
    pub(crate) fn set_hanging(&self, node: usize, hangs: bool) {
        self.state().nodes[node].hangs = hangs;
    }

    /// Lets the next operations of a kind fail with this message, before their first step.
    pub(crate) fn fail_operations(&self, kind: FailingOperation, message: &str, times: usize) {
        self.state().failing = Some((kind, message.to_owned(), times));
    }

    /// Lets no operation fail any more.
    pub(crate) fn fail_none(&self) {
        self.state().failing = None;
    }

    /// Returns true if the sidecar of a node runs, and if the node is in the ring.
    pub(crate) fn is_present(&self, node: usize) -> (bool, bool) {
        let state = self.state();
        (state.nodes[node].sidecar_up, state.nodes[node].in_ring)
    }

    /// Returns the number of the node with this host id.
    pub(crate) fn node_of(&self, host: &str) -> Option<usize> {
        let state = self.state();
        state.nodes.iter().position(|node| node.host.as_str() == host)
    }

    /// Returns the rows of a node's own tables.
    pub(crate) fn tables_of(&self, node: usize) -> Tables {
        let state = self.state();
        let tables = state.replicas.keys();
        let rows = tables.map(|table| {
            let rows = merged(state.nodes[node].disk.live(table));
            (table.to_string(), alive(&rows))
        });
        rows.collect()
    }

    /// Returns the rows of a node's part of a snapshot, in every bucket; `None` if a file is absent or not whole.
    pub(crate) fn part(&self, node: usize, snapshot: &str) -> Option<Tables> {
        let state = self.state();
        let host = state.nodes[node].host.as_str();
        let mut shares = state.store.shares.iter();
        let (_, share) = shares
            .find(|(location, share)| location.ends_with(host) && share.manifests.contains_key(snapshot))?;
        let mut files = BTreeMap::<&Table, Vec<_>>::new();
        for file in share.manifests.get(snapshot)? {
            let stored = share.files.get(file)?;
            if !stored.whole || checksum(&stored.rows) != file.2 {
                return None;
            }
            files.entry(&file.0).or_default().push(&stored.rows);
        }
        let tables = state.replicas.keys().map(|table| {
            let rows = merged(files.get(table).into_iter().flatten().copied());
            (table.to_string(), alive(&rows))
        });
        Some(tables.collect())
    }
}

fn alive(rows: &super::Rows) -> BTreeSet<Key> {
    let alive = rows.iter().filter(|(_, cell)| cell.alive);
    alive.map(|(key, _)| *key).collect()
}

impl State {
    /// Returns the message with which an operation fails before its first step.
    pub(super) fn failure(&mut self, request: &OperationRequest) -> Option<String> {
        let (kind, message, times) = self.failing.as_mut()?;
        if !kind.is_kind_of(request) || *times == 0 {
            return None;
        }
        *times = times.saturating_sub(1);
        Some(message.clone())
    }
}
