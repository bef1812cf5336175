//! The comparison of the ring with the nodes of the backup, before `INIT` and again before a table is emptied.

use std::collections::{BTreeMap, BTreeSet};

use super::RestorePlanner;
use super::mismatch::{self, Mismatch};
use super::pairing::{Pairing, PairingInput, pair};
use crate::api::{NodeStatus, Reason, RestoreSource, RunNode};
use crate::reconcile::plan::observation::{Answer, Question};
use crate::reconcile::plan::ring::RingScope;

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

impl<'a> RestorePlanner<'a> {
    /// Returns the part of the cluster that the restore covers.
    pub(super) fn scope(&self) -> RingScope<'a> {
        RingScope {
            cluster: &self.restore.spec.cassandra_cluster,
            datacenter: self.restore.spec.datacenter.as_deref(),
        }
    }

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
        if !self.plan.views_agree(self.scope()) {
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

    /// Records the nodes that have joined the ring since the tables were emptied. Returns false if the ring is not known yet.
    ///
    /// Such a node takes over ranges of others while their rows are imported: these then own some of their rows no longer.
    pub(super) fn record_joined_nodes(&mut self) -> bool {
        let Some(others) = self.nodes_without_part() else {
            return false;
        };
        if let Some(truncation) = &mut self.status.truncation {
            let known = &truncation.other_nodes;
            truncation.joined_nodes = others
                .into_iter()
                .filter(|host_id| !known.contains(host_id))
                .collect();
        }
        true
    }

    /// Returns the host ids of the nodes in any view of the ring that receive no part. `None` if no sidecar reports the ring;
    /// then the restore waits.
    pub(super) fn nodes_without_part(&mut self) -> Option<Vec<String>> {
        let views = match self.observation.answer(&Question::RingViews) {
            Some(Answer::RingViews { views, .. }) => views,
            Some(_) => {
                self.plan.ring();
                return None;
            }
            None => {
                self.plan.questions.insert(Question::RingViews);
                return None;
            }
        };
        let datacenter = self
            .restore
            .spec
            .datacenter
            .as_deref()
            .filter(|datacenter| !datacenter.is_empty());
        let nodes = views.iter().flat_map(|view| &view.ring.nodes);
        let nodes =
            nodes.filter(|node| datacenter.is_none_or(|datacenter| node.datacenter.as_str() == datacenter));
        let host_ids: BTreeSet<_> = nodes.map(|node| node.host.as_str().to_owned()).collect();
        let receives = |host_id: &String| {
            self.status
                .common
                .nodes
                .iter()
                .any(|node| node.host_id == *host_id)
        };
        Some(
            host_ids
                .into_iter()
                .filter(|host_id| !receives(host_id))
                .collect(),
        )
    }

    /// Returns the warning of a restore during which nodes joined the ring; `None` if none did.
    pub(super) fn joined_warning(&self) -> Option<String> {
        let joined = &self.status.truncation.as_ref()?.joined_nodes;
        (!joined.is_empty()).then(|| {
            format!(
                "the nodes {} joined the ring while the rows were imported, and rows whose place they took may be missing: run \
                 nodetool repair on every node, and nodetool cleanup on none before; where a keyspace has one replica, \
                 decommission them first",
                mismatch::list(joined.iter().cloned())
            )
        })
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
