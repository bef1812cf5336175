//! The history of a backup: its ended runs, what each covered, and the bounds of both. Pure.
//!
//! A ring of nodes, or a long list of entities, that several runs share stands once in the status, and the runs refer to
//! it by number.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Serialize;

use super::node_texts::{self, Limits};
use crate::api::{BackupStatus, EntityList, PastRun, RunNode, RunRing};
use crate::domain::resolved_tag::ResolvedTag;

/// Maximum number of runs in the history.
const MAX_RUNS: usize = 20;

/// Maximum number of runs in the history with `spec.retention`, which removes only snapshots of runs in the history. A
/// year of daily runs fits.
const MAX_RUNS_WITH_RETENTION: usize = 400;

/// The number of runs, from the newest on, that keep the size of each node's part.
const RUNS_WITH_SIZES: usize = 20;

/// Maximum size of the whole status, in bytes of JSON.
///
/// The API server rejects objects above 1.5 MiB. The rest of the object is the spec, twice, and the managed fields.
const MAX_BYTES: usize = 400 * 1024;

/// The limits of the texts of all nodes of the last run, and of a removal. The rest of a node's status has about 400
/// bytes.
const NODE_TEXTS: Limits = Limits {
    messages: 24 * 1024,
    operations: 16 * 1024,
};

/// Minimum length of a list of entities that stands in `status.entityLists` and not in the run, in bytes.
const LONG_LIST: usize = 256;

/// Adds an ended run on `nodes` to the head of the history.
///
/// `nodes` are ordered by host id. `has_retention`: true if the backup has `spec.retention`.
///
/// # Guarantees
/// The number of runs and the size of the status are bounded. The newest completed run stays, with its ring and its
/// entities. To save space, the sizes of the oldest runs are dropped first, then their rings, then the runs.
pub(super) fn record_end(
    status: &mut BackupStatus,
    mut run: PastRun,
    nodes: Vec<RunNode>,
    has_retention: bool,
) {
    run.ring = (!nodes.is_empty()).then(|| ring_id(status, &run, nodes));
    let list = run.entities.take_if(|entities| entities.len() >= LONG_LIST);
    run.entity_list = list.map(|entities| list_id(status, &run, entities));
    status.history.insert(0, run);
    let max = if has_retention {
        MAX_RUNS_WITH_RETENTION
    } else {
        MAX_RUNS
    };
    while status.history.len() > max && drop_oldest(status).is_some() {}
    for run in status.history.iter_mut().skip(RUNS_WITH_SIZES) {
        drop_sizes(run);
    }
    drop_unused(status);
    fit(status);
}

/// Drops parts of the status until it has at most [`MAX_BYTES`]: first the ends of errors and the oldest ids of earlier
/// operations, if the nodes have many, then parts of the history, the oldest first.
///
/// # Guarantees
/// The newest completed run stays, with its ring and its entities.
pub(super) fn fit(status: &mut BackupStatus) {
    node_texts::fit(&mut status.common, NODE_TEXTS);
    if let Some(retention) = &mut status.retention {
        node_texts::fit_nodes(&mut retention.nodes, NODE_TEXTS);
    }
    drop_until_it_fits(status);
}

/// Puts a run whose snapshot could not be removed back to its place in the history.
///
/// `gone` has the host ids of the nodes whose parts are no longer in the bucket. Without them a completed run is partial,
/// so that a restore takes it only by its name.
pub(super) fn put_back(status: &mut BackupStatus, mut run: PastRun, gone: &BTreeSet<&str>) {
    if !gone.is_empty() {
        if run.is_completed() {
            PastRun::PARTIAL.clone_into(&mut run.outcome);
        }
        drop_sizes(&mut run);
        run.size = None;
        let known = status.rings.iter().find(|ring| Some(ring.id) == run.ring);
        let mut left = known.map(|ring| ring.nodes.clone()).unwrap_or_default();
        left.retain(|node| !gone.contains(node.host_id.as_str()));
        run.ring = (!left.is_empty()).then(|| ring_id(status, &run, left));
    }
    let time = time_of(&run);
    let mut history = status.history.iter();
    let place = history.position(|other| time_of(other) < time);
    let place = place.unwrap_or(status.history.len());
    status.history.insert(place, run);
    drop_unused(status);
    fit(status);
}

/// Drops the rings and the lists of entities to which no run refers. Returns their size in bytes of JSON.
pub(super) fn drop_unused(status: &mut BackupStatus) -> usize {
    let rings = std::mem::take(&mut status.rings);
    let is_used = |ring: &RunRing| runs(status).any(|run| run.ring == Some(ring.id));
    let (rings, unused_rings): (Vec<_>, Vec<_>) = rings.into_iter().partition(is_used);
    let lists = std::mem::take(&mut status.entity_lists);
    let is_used = |list: &EntityList| runs(status).any(|run| run.entity_list == Some(list.id));
    let (lists, unused_lists): (Vec<_>, Vec<_>) = lists.into_iter().partition(is_used);
    status.rings = rings;
    status.entity_lists = lists;
    json_len(&unused_rings).saturating_add(json_len(&unused_lists))
}

/// Drops what the runs covered, which only a reconcile of the backup or of a restore needs.
pub(super) fn condense(status: &mut BackupStatus) {
    status.rings = Vec::new();
    status.entity_lists = Vec::new();
    for run in &mut status.history {
        drop_sizes(run);
        *run = PastRun {
            cassandra_cluster: None,
            cluster_name: None,
            datacenter: None,
            entities: None,
            entity_list: None,
            ring: None,
            schema_version: None,
            ..std::mem::take(run)
        };
    }
}

/// Returns the runs of the status: the history, newest first, and the run whose snapshot is being removed.
fn runs(status: &BackupStatus) -> impl Iterator<Item = &PastRun> {
    let removing = status.retention.as_ref();
    let removing = removing.and_then(|retention| retention.removing.as_ref());
    status.history.iter().chain(removing)
}

fn runs_mut(status: &mut BackupStatus) -> impl Iterator<Item = &mut PastRun> {
    let removing = status.retention.as_mut();
    let removing = removing.and_then(|retention| retention.removing.as_mut());
    status.history.iter_mut().chain(removing)
}

/// Returns the id of the ring with these nodes, which is added if it is new.
fn ring_id(status: &mut BackupStatus, run: &PastRun, nodes: Vec<RunNode>) -> i64 {
    if let Some(known) = status.rings.iter().find(|ring| ring.nodes == nodes) {
        return known.id;
    }
    let id = new_id(run, status.rings.iter().map(|ring| ring.id).max());
    status.rings.push(RunRing { id, nodes });
    id
}

/// Returns the id of this list of entities, which is added if it is new.
fn list_id(status: &mut BackupStatus, run: &PastRun, entities: String) -> i64 {
    if let Some(known) = status.entity_lists.iter().find(|list| list.entities == entities) {
        return known.id;
    }
    let id = new_id(run, status.entity_lists.iter().map(|list| list.id).max());
    status.entity_lists.push(EntityList { id, entities });
    id
}

/// Returns the id of a new ring or list: the time in milliseconds in the name of the first run that has it.
///
/// Such a number is not reused, although nothing remembers the ids of dropped entries: the runs of a backup begin at
/// different times.
fn new_id(run: &PastRun, greatest: Option<i64>) -> i64 {
    let time = time_of(run).map_or(0, Timestamp::as_millisecond);
    greatest.map_or(time, |greatest| time.max(greatest.saturating_add(1)))
}

/// Returns the time in the name of the run's snapshot.
fn time_of(run: &PastRun) -> Option<Timestamp> {
    ResolvedTag::parse(&run.snapshot).ok()?.time()
}

fn drop_sizes(run: &mut PastRun) {
    run.node_bytes = Vec::new();
    run.node_files = Vec::new();
}

/// Removes the oldest run that is not the newest completed one; `None` if there is none.
fn drop_oldest(status: &mut BackupStatus) -> Option<PastRun> {
    let newest_completed = newest_completed(status);
    let last = status.history.len().checked_sub(1)?;
    let oldest = if Some(last) == newest_completed {
        last.checked_sub(1)?
    } else {
        last
    };
    // The run that was just added stays.
    (oldest > 0).then(|| status.history.remove(oldest))
}

fn newest_completed(status: &BackupStatus) -> Option<usize> {
    status.history.iter().position(PastRun::is_completed)
}

/// Drops sizes, rings and runs, the oldest first, until the rest has at most [`MAX_BYTES`].
fn drop_until_it_fits(status: &mut BackupStatus) {
    let mut excess = json_len(status).saturating_sub(MAX_BYTES);
    for run in status.history.iter_mut().rev() {
        if excess == 0 {
            return;
        }
        let before = json_len(run);
        drop_sizes(run);
        excess = excess.saturating_sub(before.saturating_sub(json_len(run)));
    }
    while excess > 0 {
        let Some(id) = oldest_ring(status) else { break };
        excess = excess.saturating_sub(drop_ring(status, id));
    }
    while excess > 0 {
        let Some(run) = drop_oldest(status) else { break };
        let freed = json_len(&run).saturating_add(drop_unused(status));
        excess = excess.saturating_sub(freed);
    }
}

/// Returns the ring whose last run is the oldest one; `None` if only the ring of the newest completed run is left.
fn oldest_ring(status: &BackupStatus) -> Option<i64> {
    let kept = newest_completed(status)
        .and_then(|newest| status.history.get(newest))
        .and_then(|run| run.ring);
    let last_use = |id: i64| runs(status).position(|run| run.ring == Some(id));
    let ids = status.rings.iter().map(|ring| ring.id);
    ids.filter(|id| Some(*id) != kept).max_by_key(|id| last_use(*id))
}

/// Drops a ring, so that the nodes of its runs are unknown. Returns its size in bytes of JSON.
fn drop_ring(status: &mut BackupStatus, id: i64) -> usize {
    for run in runs_mut(status).filter(|run| run.ring == Some(id)) {
        run.ring = None;
        drop_sizes(run);
    }
    drop_unused(status)
}

fn json_len(value: &impl Serialize) -> usize {
    serde_json::to_vec(value).map_or(0, |json| json.len())
}
