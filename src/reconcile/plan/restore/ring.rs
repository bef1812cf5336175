//! The comparison of the ring with the nodes of the backup, before `INIT` and again before a table is emptied.

use std::collections::BTreeMap;

use super::RestorePlanner;
use super::mismatch::{self, Mismatch};
use super::pairing::{Pairing, PairingInput, pair};
use crate::api::{NodeStatus, Reason, RestoreSource, RunNode};

/// The outcome of a comparison of the ring with the nodes of the restore.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RingComparison {
    /// Every part of the backup is still restored on the node that it was assigned to.
    Same,
    /// The ring does not fit any more, and the restore is given up.
    GivenUp,
    /// The ring is not known yet: the plan asks for it or waits.
    Unknown,
}

impl RestorePlanner<'_> {
    /// Pairs the nodes of the ring with the parts of the backup. `None` if the ring is not known yet.
    pub(super) fn pair_with_ring(&mut self, source: &RestoreSource) -> Option<Result<Pairing, Mismatch>> {
        let spec = &self.restore.spec;
        let datacenter = spec.datacenter.as_deref();
        let ring = self.plan.located_nodes(datacenter)?;
        let mut sizes = self.inputs.part_sizes.clone();
        let nodes = self.status.common.nodes.iter();
        sizes.extend(nodes.filter_map(|node| Some((node.bucket_host_id().to_owned(), node.bytes?))));
        Some(pair(&PairingInput {
            source,
            ring: &ring,
            datacenter,
            listed: &spec.nodes,
            sizes: &sizes,
        }))
    }

    /// Compares the ring with the nodes of the restore, and gives the restore up if they differ.
    ///
    /// Needed before each `TRUNCATE` until one may have emptied a table: the ring can change while the files are
    /// downloaded, and a `TRUNCATE` empties nodes that receive no part, too. Where two sidecars answer they must agree: one
    /// view may lack a node that has joined, or be that of a node that has just started.
    pub(super) fn compare_ring(&mut self) -> RingComparison {
        if !self.plan.views_agree(self.restore.spec.datacenter.as_deref()) {
            return RingComparison::Unknown;
        }
        let source = self.status.source.clone().unwrap_or_default();
        match self.pair_with_ring(&source) {
            None => RingComparison::Unknown,
            Some(Ok(pairing))
                if assignments(&pairing.receivers) == assignments(&self.status.common.nodes) =>
            {
                RingComparison::Same
            }
            Some(Ok(pairing)) => {
                let message = format!(
                    "the nodes of the ring changed while the files were downloaded: there were {}, now there are {}",
                    host_ids(&self.status.common.nodes),
                    host_ids(&pairing.receivers)
                );
                self.give_up(Reason::RingChanged, message, None);
                RingComparison::GivenUp
            }
            Some(Err(mismatch)) => {
                self.give_up_because_of_ring(mismatch);
                RingComparison::GivenUp
            }
        }
    }

    /// Gives the restore up because the ring does not fit the backup.
    pub(super) fn give_up_because_of_ring(&mut self, mismatch: Mismatch) {
        self.status.proposed_nodes = mismatch.proposed;
        self.give_up(mismatch.reason, mismatch.message, None);
    }

    /// Returns the warning of a restore that leaves parts of the backup out; `None` if it leaves none out.
    pub(super) fn incomplete_warning(&self) -> Option<String> {
        let source = self.status.source.as_ref()?;
        let nodes = &self.status.common.nodes;
        let is_restored = |host_id: &str| {
            let mut nodes = nodes.iter();
            nodes.any(|node| node.bucket_host_id().eq_ignore_ascii_case(host_id))
        };
        let listed = self.restore.spec.nodes.iter();
        let mut left_out: Vec<_> = listed
            .filter(|entry| entry.receiver().is_none() && !is_restored(&entry.host_id))
            .map(|entry| {
                let mut known = source.nodes.iter();
                let known = known.find(|part| part.host_id.eq_ignore_ascii_case(&entry.host_id));
                known.cloned().unwrap_or_else(|| RunNode {
                    host_id: entry.host_id.clone(),
                    ..RunNode::default()
                })
            })
            .collect();
        left_out.sort();
        left_out.dedup();
        (!left_out.is_empty()).then(|| left_out_warning(&left_out))
    }
}

/// Returns what a restore without these parts of the backup lacks.
pub(super) fn left_out_warning(left_out: &[RunNode]) -> String {
    format!(
        "the restore leaves out the parts of the nodes {}: rows whose replicas were all there are lost, and in a keyspace \
         with one replica also those of a node of the ring that gets no part; run nodetool repair on every node",
        mismatch::list(left_out.iter().map(mismatch::part_name))
    )
}

/// Returns the part of each node.
fn assignments(nodes: &[NodeStatus]) -> BTreeMap<&str, (&str, Option<&str>)> {
    let mut assignments = BTreeMap::new();
    for node in nodes {
        assignments.insert(
            node.host_id.as_str(),
            (node.bucket_host_id(), node.bucket_datacenter()),
        );
    }
    assignments
}

fn host_ids(nodes: &[NodeStatus]) -> String {
    let mut host_ids: Vec<_> = nodes.iter().map(|node| node.host_id.clone()).collect();
    host_ids.sort();
    mismatch::list(host_ids.into_iter())
}
