//! The plan under construction, which the planners of all operations share.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::actions::{Actions, Event, Plan, Request, Task};
use super::conditions;
use super::conflict::evidence::{self, ConflictEvidence};
use super::finalizer::Finalizer;
use super::node;
use super::observation::{Answer, Observation, OperationReport, Question};
use super::timing::{POLL_INTERVAL, REQUEUE_INTERVAL};
use super::wait::Wait;
use crate::api::{BackRestStatus, NodeStatus, Reason};
use crate::icarus::{RingNode, Topology};

/// Collects questions, requests, events and waits, and builds the plan from them.
pub(super) struct PlanBuilder<'a> {
    pub(super) observation: &'a Observation<'a>,
    pub(super) questions: BTreeSet<Question>,
    pub(super) requests: Vec<Request>,
    pub(super) events: Vec<Event>,
    pub(super) finalizer: Finalizer,
    /// True if cassgate takes over the fields that others own in the status.
    pub(super) take_over: bool,
    /// An operation that another executor sent to a sidecar.
    pub(super) conflict: Option<ConflictEvidence>,
    /// The time up to which a person has reviewed the acts of another executor.
    pub(super) reviewed_until: Option<Timestamp>,
    /// The reason why the run waits.
    pub(super) wait: Option<Wait>,
    pub(super) requeue_after: Option<SignedDuration>,
}

impl<'a> PlanBuilder<'a> {
    pub(super) fn new(observation: &'a Observation<'a>, meta: &ObjectMeta) -> Self {
        Self {
            observation,
            reviewed_until: evidence::reviewed_until(meta),
            questions: BTreeSet::new(),
            requests: Vec::new(),
            events: Vec::new(),
            finalizer: Finalizer::Keep,
            take_over: false,
            conflict: None,
            wait: None,
            requeue_after: None,
        }
    }

    /// Builds the plan with `status` as the new status. Open questions come before all actions.
    pub(super) fn build<S>(self, status: S) -> Plan<S> {
        if !self.questions.is_empty() {
            return Plan::Ask(self.questions);
        }
        Plan::Do(Actions {
            finalizer: self.finalizer,
            take_over: self.take_over,
            status,
            requests: self.requests,
            events: self.events,
            requeue_after: self.requeue_after,
        })
    }

    /// Requeues the object after this time, or earlier if an earlier time was asked for.
    pub(super) fn requeue(&mut self, after: SignedDuration) {
        self.requeue_after = Some(self.requeue_after.map_or(after, |earlier| earlier.min(after)));
    }

    /// Makes the run wait. The status reports the first wait of a plan that is stalled, or else the first one.
    pub(super) fn wait_for(&mut self, wait: Wait) {
        let is_reported = self
            .wait
            .as_ref()
            .is_none_or(|first| wait.stalled && !first.stalled);
        if is_reported {
            self.wait = Some(wait);
        }
        self.requeue(REQUEUE_INTERVAL);
    }

    /// Publishes a `Normal` event.
    pub(super) fn notify(&mut self, reason: Reason, message: String) {
        self.publish(false, reason, message);
    }

    /// Publishes a `Warning` event.
    pub(super) fn warn(&mut self, reason: Reason, message: String) {
        self.publish(true, reason, message);
    }

    fn publish(&mut self, warning: bool, reason: Reason, message: String) {
        self.events.push(Event {
            warning,
            reason,
            message,
            repeated: false,
        });
    }

    /// Publishes a `Warning` event that every reconcile publishes again.
    pub(super) fn warn_repeatedly(&mut self, reason: Reason, message: String) {
        self.events.push(Event {
            warning: true,
            reason,
            message,
            repeated: true,
        });
    }

    /// Drops all questions, requests and waits, because the run ends or is given up. Events stay.
    pub(super) fn close(&mut self) {
        self.wait = None;
        self.requeue_after = None;
        self.requests.clear();
        self.questions.clear();
    }

    /// Returns true if everything exists that the object names and nothing keeps the run from beginning. Writes
    /// `ReferencesResolved`, and waits otherwise.
    pub(super) fn may_begin(&mut self, common: &mut BackRestStatus, generation: Option<i64>) -> bool {
        let observation = self.observation;
        let unchecked = observation
            .needs
            .as_ref()
            .and_then(|needs| needs.unchecked.first());
        match (&observation.missing, unchecked) {
            (None, Some((_, wait))) => {
                conditions::set_references_unknown(common, generation, wait, observation.now);
            }
            (missing, _) => {
                conditions::set_references_resolved(common, generation, missing.as_ref(), observation.now);
            }
        }
        let wait = observation.missing.as_ref().or(observation.wait.as_ref());
        if let Some(wait) = wait {
            self.wait_for(wait.clone());
        }
        wait.is_none()
    }

    /// Returns the nodes of the ring, or those of one datacenter. `None` if they are not known yet, or if there are
    /// none.
    pub(super) fn ring_nodes(&mut self, datacenter: Option<&str>) -> Option<Vec<&'a RingNode>> {
        let ring = self.ring()?;
        let datacenter = datacenter.filter(|datacenter| !datacenter.is_empty());
        let nodes: Vec<_> = ring
            .nodes
            .iter()
            .filter(|node| datacenter.is_none_or(|datacenter| node.datacenter.as_str() == datacenter))
            .collect();
        if nodes.is_empty() {
            let datacenter = datacenter.unwrap_or_default();
            let message =
                format!("the ring has no node in datacenter {datacenter:?}; correct spec.datacenter");
            self.wait_for(Wait::stalled(Reason::DatacenterNotFound, message));
            return None;
        }
        Some(nodes)
    }

    /// Returns the nodes of a run that begins, each with its pod, ordered by pod. `None` unless every one of them is
    /// idle.
    pub(super) fn participants(&mut self, datacenter: Option<&str>) -> Option<Vec<NodeStatus>> {
        let participants = self.located_nodes(datacenter)?;
        self.are_idle(&participants).then_some(participants)
    }

    /// Returns the nodes of the ring, or those of one datacenter, each with its pod, ordered by pod. `None` unless every
    /// one of them has a pod.
    pub(super) fn located_nodes(&mut self, datacenter: Option<&str>) -> Option<Vec<NodeStatus>> {
        let nodes = self.ring_nodes(datacenter)?;
        let mut participants = Vec::new();
        for node in nodes {
            let (pod, _) = self.locate(node.host.as_str())?;
            participants.push(NodeStatus {
                host_id: node.host.as_str().to_owned(),
                pod: Some(pod),
                datacenter: Some(node.datacenter.as_str().to_owned()),
                ..NodeStatus::default()
            });
        }
        participants.sort_by(|a, b| a.pod.cmp(&b.pod));
        Some(participants)
    }

    /// Returns true if the sidecars of all these nodes answer and run no operation of any client, and no other sidecar of
    /// the cluster reports one: a `TRUNCATE` empties the tables on every node, whichever sidecar runs it.
    pub(super) fn are_idle(&mut self, nodes: &[NodeStatus]) -> bool {
        let mut idle = true;
        for node in nodes {
            // Every node is asked at once, so the loop does not stop at the first busy one.
            idle &= self.is_idle(node);
        }
        let takes_part: BTreeSet<_> = nodes.iter().filter_map(|node| node.pod.as_deref()).collect();
        let members = self.observation.members.iter();
        for member in members.filter(|member| !takes_part.contains(&*member.pod)) {
            idle &= self.reports_nothing(&member.pod);
        }
        idle
    }

    /// Returns the pod of a node and its address, on which the ring and Kubernetes have to agree.
    fn locate(&mut self, host_id: &str) -> Option<(String, String)> {
        let ring = self.ring()?;
        let Some(node) = find_node(ring, host_id) else {
            let message =
                format!("node {host_id} is not in the ring; the run continues when the node is back");
            self.wait_for(Wait::new(Reason::NodeNotFound, message));
            return None;
        };
        let address = node.address.to_string();
        let mut members = self.observation.members.iter();
        let member = members.find(|member| member.address.as_ref() == Some(&address));
        if member.is_none() {
            let message = format!(
                "node {host_id} of the ring has the address {address}, which no pod of the cluster has; \
                 the run continues when the pod is back"
            );
            self.wait_for(Wait::new(Reason::PodNotFound, message));
        }
        member.map(|member| (member.pod.clone(), address))
    }

    /// Returns true if the node's sidecar runs no operation of any client.
    pub(super) fn is_idle(&mut self, node: &NodeStatus) -> bool {
        let pod = node.pod.clone().unwrap_or_default();
        let question = Question::Busy { pod: pod.clone() };
        if let Some(Answer::Unavailable(error)) = self.observation.answers.get(&question) {
            let message = format!("the sidecar of {pod} does not answer: {error}");
            self.wait_for(Wait::new(Reason::SidecarUnreachable, message));
            return false;
        }
        self.reports_nothing(&pod)
    }

    /// Returns true unless the sidecar of this pod reports an operation that is under way, of any client, or has not been
    /// asked yet. Waits for such an operation.
    fn reports_nothing(&mut self, pod: &str) -> bool {
        let question = Question::Busy { pod: pod.to_owned() };
        let Some(answer) = self.observation.answers.get(&question) else {
            self.questions.insert(question);
            return false;
        };
        let Answer::Operations(operations) = answer else {
            return true;
        };
        let active = operations.iter().find(|operation| operation.is_active());
        if let Some(operation) = active {
            let message = format!(
                "the sidecar of {pod} runs operation {} ({}; {}), which this run did not send; nothing is sent beside it, and \
                 the run continues when the operation is over",
                operation.id,
                operation.description,
                node::percent(operation.progress)
            );
            self.wait_for(Wait::new(Reason::SidecarBusy, message));
        }
        active.is_none()
    }

    /// Returns true unless the sidecar reports an operation of another executor that no person has reviewed.
    ///
    /// Before the first request to a node its sidecar has to be idle: the begin of the run asked for it, or this does, if the
    /// request is sent later than that. Returns true if the sidecar does not answer: the request then fails too. A finished
    /// operation that was created before the review, by the sidecar's clock, is ignored: the sidecar reports it for an hour,
    /// and it would stop the resumed run again.
    fn has_no_conflict(&mut self, pod: &str, node: &NodeStatus) -> bool {
        if node.operation.is_none() && node.past_operations.is_empty() {
            return self.reports_nothing(pod);
        }
        let question = Question::Others { pod: pod.to_owned() };
        match self.observation.answers.get(&question) {
            None => {
                self.questions.insert(question);
                false
            }
            Some(Answer::Operations(others)) => {
                let is_new = |other: &&OperationReport| {
                    other.is_active()
                        || self
                            .reviewed_until
                            .is_none_or(|reviewed| other.created > reviewed)
                };
                let conflict = others.iter().find(is_new).map(|other| ConflictEvidence::Sent {
                    pod: pod.to_owned(),
                    id: other.id.clone(),
                });
                let alone = conflict.is_none();
                self.conflict = self.conflict.take().or(conflict);
                alone
            }
            Some(_) => true,
        }
    }

    /// Sends a task to the node if its next attempt is due, to the pod that the ring confirms. The node's status
    /// records the request first. Returns false if the node has no known address.
    pub(super) fn send(&mut self, node: &mut NodeStatus, task: Task) -> bool {
        let now = self.observation.now;
        let due = node::next_attempt(node);
        if now < due {
            self.requeue(due.duration_since(now));
            return true;
        }
        let Some((pod, address)) = self.locate(&node.host_id) else {
            // An open question may give the address.
            if !self.questions.is_empty() {
                return true;
            }
            node::record_unreachable(node, now);
            return false;
        };
        if !self.has_no_conflict(&pod, node) {
            return true;
        }
        node::record_request(node, now);
        node.pod = Some(pod.clone());
        self.requests.push(Request {
            pod,
            address,
            host_id: node.host_id.clone(),
            task,
        });
        self.requeue(POLL_INTERVAL);
        true
    }
}

/// Returns the node of the ring with this id; `None` if the ring does not have it, or no longer.
pub(super) fn find_node<'a>(ring: &'a Topology, host_id: &str) -> Option<&'a RingNode> {
    ring.nodes.iter().find(|node| node.host.as_str() == host_id)
}
