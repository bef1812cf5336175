//! Failures of a node in a phase: the restore is given up because of them, or reports them and their remedy.

use jiff::SignedDuration;

use super::{RestorePlanner, STALLED_AFTER_ATTEMPTS};
use crate::api::{ABANDON_ANNOTATION, NodeStatus, Phase, Reason};
use crate::icarus::NodeFailure;
use crate::reconcile::plan::node;
use crate::reconcile::plan::timing::add;
use crate::reconcile::plan::wait::Wait;

/// The place of the steps after which Cassandra forgets a node that left the ring. A rolling restart is none of them: each
/// node learns of it again from the others (observed).
const FORGET: &str = "docs/recovery.md, \"The failure detector remembers the node\",";

/// The time after which a ring with a node that is down is reported as stalled. A restart of a node takes less.
const DOWN_STALLED_AFTER: SignedDuration = SignedDuration::from_mins(15);

/// The interval at which a phase is tried again that is refused because a node is down, after the first minute. It may
/// take days until the others forget the node.
const DOWN_RETRY_INTERVAL: SignedDuration = SignedDuration::from_mins(2);

/// The time in which such a phase is tried again more often.
const DOWN_FIRST_MINUTE: SignedDuration = SignedDuration::from_mins(1);

/// Maximum number of such attempts that count as attempts at the phase.
const MAX_COUNTED_WHILE_DOWN: i32 = 2;

impl RestorePlanner<'_> {
    /// Gives the restore up because an operation of a node failed, before any table was emptied.
    pub(super) fn give_up_because_of(&mut self, host_id: &str, failure: &NodeFailure) {
        let (name, message) = self.name_and_message(host_id);
        let message = message.unwrap_or_default();
        let (reason, remedy) = match failure {
            NodeFailure::NoManifest => (Reason::SnapshotNotFound, None),
            NodeFailure::TokensDiffer => (Reason::TokensDiffer, Some(self.tokens_remedy(host_id))),
            NodeFailure::TableMissing => {
                let remedy = self.missing_table_remedy(host_id, &message);
                (Reason::TableMissing, Some(remedy))
            }
            _ => (Reason::OperationFailed, None),
        };
        let remedy = remedy.map(|remedy| format!(": {remedy}")).unwrap_or_default();
        self.give_up(reason, format!("{message}{remedy}"), Some(name));
    }

    /// Names the pair whose tokens differ.
    fn tokens_remedy(&self, host_id: &str) -> String {
        let (part, pod) = self.node(host_id).map_or((host_id, host_id), |node| {
            (node.bucket_host_id(), node::name(node))
        });
        format!(
            "the part of host id {part} from the backup has other tokens than the node of pod {pod}; name in spec.nodes \
             the pod whose node has the tokens of that part"
        )
    }

    /// Names the table that is missing, and the file that has its definition.
    fn missing_table_remedy(&self, host_id: &str, message: &str) -> String {
        let tables = NodeFailure::tables(message);
        let table = tables.first().map_or("the table", String::as_str);
        let source = self.status.source.as_ref();
        let tag = source.and_then(|source| source.snapshot_tag.as_deref());
        let cluster = source.and_then(|source| source.cluster_name.as_deref());
        let cluster = cluster.or(self.status.common.cluster_name.as_deref());
        let node = self.node(host_id);
        let datacenter = node.and_then(NodeStatus::bucket_datacenter);
        format!(
            "make {table} again; its CREATE TABLE is in manifests/{}.json, in the folder {}/{}/{} of the bucket",
            tag.unwrap_or_default(),
            cluster.unwrap_or_default(),
            datacenter.unwrap_or_default(),
            node.map_or(host_id, NodeStatus::bucket_host_id),
        )
    }

    /// Reports that the sidecars refuse the phase because Cassandra considers a node to be down, from the first such
    /// failure until another outcome: as stalled after 15 minutes.
    pub(super) fn report_nodes_down(&mut self, host_id: &str, phase: Phase) {
        let Some(node) = self.node(host_id) else {
            return;
        };
        let (Some(since), Some(error)) = (&node.failing_since, &node.message) else {
            return;
        };
        if NodeFailure::of_message(error) != NodeFailure::NodesDown {
            return;
        }
        let remedy = if error.contains("different schemas") {
            "nodetool describecluster shows the schema of each node: start the nodes that it cannot reach, and restart those \
             that differ".to_owned()
        } else {
            format!(
                "start every Cassandra node; the others remember a node that was decommissioned or removed for three days, \
                 also after a rolling restart: {FORGET} says how they forget it, or wait"
            )
        };
        let message = format!(
            "{} on {}: {error}; {remedy}; then the restore continues",
            phase.as_str(),
            node::name(node)
        );
        let stalled = add(since, DOWN_STALLED_AFTER) <= self.observation.now;
        let wait = Wait::new(Reason::NodesDown, message);
        self.plan.wait_for(Wait { stalled, ..wait });
    }

    /// Tries a phase again that the sidecar refused because a node is down. Most of these attempts do not count: they say
    /// nothing about the phase, and the stop of all nodes, which is a remedy, causes other failures.
    pub(super) fn retry_while_nodes_are_down(&mut self, host_id: &str, phase: Phase) {
        let now = self.observation.now;
        let Some(node) = self.node_mut(host_id) else {
            return;
        };
        node.attempts = Some(node::attempts(node).min(MAX_COUNTED_WHILE_DOWN));
        let since = node.failing_since.as_ref();
        let is_recent = since.is_none_or(|since| now < add(since, DOWN_FIRST_MINUTE));
        let due = node.sent.as_ref().map(|sent| add(sent, DOWN_RETRY_INTERVAL));
        match due.filter(|due| !is_recent && now < *due) {
            Some(due) => self.plan.requeue(due.duration_since(now)),
            None => self.send_task(host_id, phase),
        }
    }

    /// Reports another attempt at what failed or was lost many times as stalled too, until it advances: otherwise the
    /// restore would seem to be well while each attempt is under way.
    pub(super) fn report_next_attempt(&mut self, host_id: &str, phase: Phase) {
        let is_next = self.node(host_id).is_some_and(|node| {
            let is_reported = node::attempts(node) > STALLED_AFTER_ATTEMPTS && node.message.is_some();
            is_reported && node.failing_since.is_some() && node::progress(node) <= 0.0
        });
        if is_next {
            self.report_failing_node(host_id, phase);
        }
    }

    /// Reports the restore as stalled because of a node on which an operation fails that has to succeed.
    pub(super) fn report_failing_node(&mut self, host_id: &str, phase: Phase) {
        let (pod, message) = self.name_and_message(host_id);
        let message = message.unwrap_or_default();
        let remedy = match NodeFailure::of_message(&message) {
            NodeFailure::CorruptCannotImport => format!(
                "delete the files of that table in the data directory of {pod} that Cassandra has not loaded, \
                 then the restore continues"
            ),
            NodeFailure::TableMissing => {
                let remedy = self.missing_table_remedy(host_id, &message);
                format!("{remedy}; then the restore continues")
            }
            NodeFailure::TwoRestores => format!(
                "the sidecar runs another restore operation; wait for its end, or restart the container backrest-sidecar of \
                 {pod}, which ends it; the operation is retried until then, and {}",
                self.way_to_end()
            ),
            _ => format!(
                "read the log of the container backrest-sidecar of {pod}; the operation is retried, in the end every 30 minutes, \
                 and {}",
                self.way_to_end()
            ),
        };
        let message = format!("{} on {pod}: {message}; {remedy}", phase.as_str());
        self.plan.wait_for(Wait::stalled(Reason::NodeFails, message));
    }

    /// Returns what ends the restore before it completed.
    fn way_to_end(&self) -> String {
        if self.status.giving_up.is_some() {
            "the restore ends when it succeeds".to_owned()
        } else if self.may_have_emptied() {
            format!("the annotation {ABANDON_ANNOTATION} ends the restore")
        } else {
            "delete the restore to give it up: no table was touched".to_owned()
        }
    }

    /// Returns the node's name for people, and its last error.
    pub(super) fn name_and_message(&self, host_id: &str) -> (String, Option<String>) {
        let node = self.node(host_id);
        let name = node.map_or(host_id, node::name).to_owned();
        (name, node.and_then(|node| node.message.clone()))
    }

    fn node(&self, host_id: &str) -> Option<&NodeStatus> {
        let mut nodes = self.status.common.nodes.iter();
        nodes.find(|node| node.host_id == host_id)
    }
}
