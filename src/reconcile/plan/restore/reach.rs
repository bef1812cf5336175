//! Nodes that nobody reaches any more: what a restore does without them, and what a human is told.

use super::super::{Phase, Wait, node};
use super::RestorePlanner;
use super::phases::CALL_A_HUMAN;
use crate::api::{ABANDON_ANNOTATION, Reason};
use crate::icarus::NodeFailure;

impl RestorePlanner<'_> {
    /// Whether the ring is through with a phase without this node, which is not.
    ///
    /// Only what can cost nobody a row is left out: tidying up; and, of a restore that was given up, the import of a
    /// node that the ring no longer has.
    pub(super) fn goes_on_without(&mut self, host_id: &str) -> bool {
        // Whoever is sent something now is there again.
        let sent = self
            .making
            .requests
            .iter()
            .any(|request| request.host_id == host_id);
        if sent || !self.is_out_of_reach(host_id) {
            return false;
        }
        let phase = self.status.phase.as_deref().and_then(Phase::read);
        if phase == Some(Phase::Cleanup) {
            return true;
        }
        let given_up = self.status.giving_up.is_some();
        let left = (self.status.truncation.is_none() || given_up) && self.has_left(host_id);
        if left && !given_up {
            let message = format!("node {host_id} left the ring while the files were fetched");
            self.give_up(Reason::NodesChanged, message, None);
        } else if !left {
            self.call_for(host_id);
        }
        left && given_up && phase == Some(Phase::Import)
    }

    /// Whether it is a node that a given up restore does without.
    pub(super) fn is_left_behind(&mut self, host_id: &str) -> bool {
        self.status.giving_up.is_some() && self.is_out_of_reach(host_id) && self.has_left(host_id)
    }

    /// Whether nobody has reached its sidecar for a while.
    pub(super) fn is_out_of_reach(&self, host_id: &str) -> bool {
        let mut nodes = self.status.common.nodes.iter();
        let node = nodes.find(|node| node.host_id == host_id);
        node.is_some_and(|node| node::is_out_of_reach(node, self.look.now))
    }

    /// Whether the ring is known, and the node is not in it.
    fn has_left(&mut self, host_id: &str) -> bool {
        let ring = self.making.ring();
        ring.is_some_and(|ring| ring.node(host_id).is_none())
    }

    /// Something has to succeed on this node and does not.
    pub(super) fn call_a_human(&mut self, host_id: &str, phase: Phase) {
        let node = self
            .node_mut(host_id)
            .map(|node| (node.pod.clone(), node.message.clone()));
        let (pod, message) = node.unwrap_or_default();
        let pod = pod.unwrap_or_else(|| host_id.to_owned());
        let message = message.unwrap_or_default();
        let next = if NodeFailure::of_message(&message) == NodeFailure::CorruptCannotImport {
            format!(
                "delete the files of that table in the data directory of {pod} that Cassandra has not loaded, \
                 then the restore goes on"
            )
        } else {
            "it is tried again and again".to_owned()
        };
        let wait = Wait::stalled(
            Reason::NodeFails,
            format!("{} on {pod}: {message}; {next}", phase.as_str()),
        );
        self.making.hold(wait);
    }

    /// Each round leaves another copy of the tables on every node.
    pub(super) fn call_a_human_for_rounds(&mut self) {
        let rounds = self
            .status
            .truncation
            .as_ref()
            .map_or(0, |truncation| truncation.rounds);
        if rounds <= CALL_A_HUMAN || self.status.giving_up.is_some() {
            return;
        }
        let message = format!(
            "the tables were emptied {rounds} times, and each import was disturbed or failed: read the events and the \
             logs of the sidecars; it is tried again and again, until it is given up by the annotation \
             {ABANDON_ANNOTATION}"
        );
        self.making.hold(Wait::stalled(Reason::RestoreRepeats, message));
    }

    /// The restore waits for a node that has not been reached for long.
    fn call_for(&mut self, host_id: &str) {
        let Some(node) = self.node_mut(host_id) else {
            return;
        };
        let (pod, words) = (
            node::name(node).to_owned(),
            node.message
                .clone()
                .unwrap_or_else(|| "its pod is away".to_owned()),
        );
        let next = if self.status.truncation.is_some() {
            format!(
                "it goes on when the node is back; where it never comes back, remove it from the ring and set the \
                 annotation {ABANDON_ANNOTATION}"
            )
        } else {
            "it goes on when the node is back; delete the restore to give it up: no table was touched"
                .to_owned()
        };
        let message = format!("{pod} has not been reached for 15 minutes: {words}; {next}");
        self.making.hold(Wait::stalled(Reason::NodeAway, message));
    }
}
