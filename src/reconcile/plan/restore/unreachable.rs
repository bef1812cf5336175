//! Nodes out of reach: what a restore does without them, and what it reports.

use super::RestorePlanner;
use super::ring::RingComparison;
use crate::api::{ABANDON_ANNOTATION, NodeContainers, Phase, Reason};
use crate::reconcile::plan::builder::find_node;
use crate::reconcile::plan::node;
use crate::reconcile::plan::wait::Wait;

impl RestorePlanner<'_> {
    /// Returns true if the restore continues its phase without this unfinished node. Otherwise, if the node cannot be
    /// reached, may give the restore up or report it as stalled.
    ///
    /// Only work that cannot cost a row is skipped: cleanup, and, in a restore that is given up, the import of a node
    /// that is no longer in the ring.
    pub(super) fn continues_without(&mut self, host_id: &str) -> bool {
        // A node that gets a request now is back.
        let sent = self
            .plan
            .requests
            .iter()
            .any(|request| request.host_id == host_id);
        if sent || !self.is_out_of_reach(host_id) {
            return false;
        }
        let phase = self.status.phase();
        if phase == Some(Phase::Cleanup) {
            return true;
        }
        let given_up = self.status.giving_up.is_some();
        let left = (!self.may_have_emptied() || given_up) && self.has_left_ring(host_id);
        if left && !given_up {
            self.give_up_because_of_left_node(host_id);
        } else if !left {
            self.report_node_away(host_id);
        }
        left && given_up && phase == Some(Phase::Import)
    }

    /// Gives the restore up because a node left the ring before a table was emptied. Where the backup says which nodes it
    /// covers, the comparison with the ring has the remedy.
    fn give_up_because_of_left_node(&mut self, host_id: &str) {
        let source = self.status.source.as_ref();
        let known = source.is_some_and(|source| !source.nodes.is_empty());
        if !known || self.compare_ring() == RingComparison::Same {
            let when = if self.status.phase() == Some(Phase::Truncate) {
                "before the tables were emptied"
            } else {
                "while the files were downloaded"
            };
            let message = format!("node {host_id} left the ring {when}");
            self.give_up(Reason::RingChanged, message, None);
        }
    }

    /// Returns true if a restore that is given up continues without this node, which left the ring.
    pub(super) fn is_skipped(&mut self, host_id: &str) -> bool {
        self.status.giving_up.is_some() && self.is_out_of_reach(host_id) && self.has_left_ring(host_id)
    }

    /// Returns true if the node's sidecar has not been reached for longer than a restart of its pod takes.
    pub(super) fn is_out_of_reach(&self, host_id: &str) -> bool {
        let mut nodes = self.status.common.nodes.iter();
        let node = nodes.find(|node| node.host_id == host_id);
        node.is_some_and(|node| node::is_out_of_reach(node, self.observation.now))
    }

    /// Returns the containers of a node that is done with its phase, or of one that is about to begin another. `None` if they
    /// are unknown: then the node counts as out of reach, and the restore waits.
    pub(super) fn observe_containers(&mut self, host_id: &str) -> Option<NodeContainers> {
        let observation = self.observation;
        let node = self.node_mut(host_id)?;
        let pod = node.pod.clone().unwrap_or_default();
        if let Some(containers) = observation.containers(&pod) {
            if node.is_completed() {
                node.silent_since = None;
                node.message = None;
            }
            return Some(containers.clone());
        }
        let message = format!(
            "the containers of {pod} are not known, so a restart of one could not be noticed; the restore continues when the \
             pod is running"
        );
        node::record_unreachable(node, observation.now);
        if node.message.is_none() {
            node.message = Some(format!("the containers of {pod} do not run"));
        }
        if self.is_out_of_reach(host_id) {
            self.report_node_away(host_id);
        } else {
            self.plan.wait_for(Wait::new(Reason::PodNotRunning, message));
        }
        None
    }

    /// Returns true if the ring is known and does not have the node.
    fn has_left_ring(&mut self, host_id: &str) -> bool {
        let ring = self.plan.ring();
        ring.is_some_and(|ring| find_node(ring, host_id).is_none())
    }

    /// Reports the restore as stalled because it waits for a node.
    pub(super) fn report_node_away(&mut self, host_id: &str) {
        let (pod, error) = self.name_and_message(host_id);
        let error =
            error.unwrap_or_else(|| "the node is not in the ring, or no pod has its address".to_owned());
        let remedy = if self.observation.members.is_empty() {
            "no pod of the cluster exists; the restore continues when they are back; if they never come back, delete the \
             CassandraCluster, then the restore ends"
                .to_owned()
        } else if self.may_have_emptied() {
            format!(
                "the restore continues when the node is back; if it never comes back, remove it from the ring and \
                 set the annotation {ABANDON_ANNOTATION}"
            )
        } else {
            "the restore continues when the node is back; delete the restore to give it up: no table was touched"
                .to_owned()
        };
        let message = format!("{pod} has not been reached for 15 minutes: {error}; {remedy}");
        self.plan.wait_for(Wait::stalled(Reason::NodeAway, message));
    }
}
