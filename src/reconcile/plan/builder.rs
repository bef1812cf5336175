//! A plan in the making: what both kinds need to make one.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::conditions;
use super::conflict::{self, ConflictEvidence};
use super::{
    Actions, Answer, Event, Finalizer, LOOK_AGAIN, Observation, OperationReport, POLL, Plan, Question,
    Request, Ring, RingNode, State, Task, Wait, node,
};
use crate::api::{BackRestStatus, NodeStatus, Reason};

/// What was found out and decided so far.
pub(super) struct PlanBuilder<'a> {
    pub(super) look: &'a Observation<'a>,
    pub(super) ask: BTreeSet<Question>,
    pub(super) requests: Vec<Request>,
    pub(super) events: Vec<Event>,
    pub(super) finalizer: Finalizer,
    /// Whether what others wrote to the status becomes ours.
    pub(super) take_over: bool,
    /// What a sidecar was sent by somebody else.
    pub(super) sign: Option<ConflictEvidence>,
    /// Until when a human has looked at what others did.
    pub(super) cleared: Option<Timestamp>,
    /// Why it does not go on by itself, where that is so.
    pub(super) wait: Option<Wait>,
    pub(super) again: Option<SignedDuration>,
}

impl<'a> PlanBuilder<'a> {
    pub(super) fn new(look: &'a Observation<'a>, meta: &ObjectMeta) -> Self {
        Self {
            look,
            cleared: conflict::cleared(meta),
            ask: BTreeSet::new(),
            requests: Vec::new(),
            events: Vec::new(),
            finalizer: Finalizer::Keep,
            take_over: false,
            sign: None,
            wait: None,
            again: None,
        }
    }

    /// The plan, with this as the status.
    pub(super) fn plan<S>(self, status: S) -> Plan<S> {
        if !self.ask.is_empty() {
            return Plan::Ask(self.ask);
        }
        Plan::Do(Actions {
            finalizer: self.finalizer,
            take_over: self.take_over,
            status,
            requests: self.requests,
            events: self.events,
            again: self.again,
        })
    }

    pub(super) fn look_again(&mut self, after: SignedDuration) {
        self.again = Some(self.again.map_or(after, |again| again.min(after)));
    }

    /// It does not go on by itself; the first reason is told.
    pub(super) fn hold(&mut self, wait: Wait) {
        if self.wait.is_none() {
            self.wait = Some(wait);
        }
        self.look_again(LOOK_AGAIN);
    }

    pub(super) fn say(&mut self, warning: bool, reason: Reason, message: String) {
        self.events.push(Event {
            warning,
            reason,
            message,
            repeated: false,
        });
    }

    /// Warns of what every look finds anew.
    pub(super) fn warn_again(&mut self, reason: Reason, message: String) {
        self.events.push(Event {
            warning: true,
            reason,
            message,
            repeated: true,
        });
    }

    /// It is over: nothing more is asked, sent or waited for.
    pub(super) fn close(&mut self) {
        self.wait = None;
        self.again = None;
        self.requests.clear();
        self.ask.clear();
    }

    /// Whether everything is there that an object names, and it is its turn. What is missing is written down.
    pub(super) fn may_begin(&mut self, common: &mut BackRestStatus, generation: Option<i64>) -> bool {
        let look = self.look;
        let unchecked = look.needs.as_ref().and_then(|needs| needs.unchecked.first());
        match (&look.missing, unchecked) {
            (None, Some((_, why))) => conditions::unresolved(common, generation, why, look.now),
            (missing, _) => conditions::resolved(common, generation, missing.as_ref(), look.now),
        }
        let wait = look.missing.as_ref().or(look.wait.as_ref());
        if let Some(wait) = wait {
            self.hold(wait.clone());
        }
        wait.is_none()
    }

    /// The ring, asked for when it is not known yet. `None`: it has to be asked for, or nobody answers.
    pub(super) fn ring(&mut self) -> Option<&'a Ring> {
        match self.look.answers.get(&Question::Ring) {
            Some(Answer::Ring(ring)) => Some(ring),
            Some(Answer::Silence(why)) => {
                let message = format!("no sidecar tells who is in the ring: {why}");
                self.hold(Wait::new(Reason::SidecarUnreachable, message));
                None
            }
            Some(_) => None,
            None => {
                self.ask.insert(Question::Ring);
                None
            }
        }
    }

    /// The nodes of the ring, or of the one datacenter. `None`: that is not known yet, or there are none.
    pub(super) fn ring_of(&mut self, datacenter: Option<&str>) -> Option<Vec<&'a RingNode>> {
        let ring = self.ring()?;
        let asked = datacenter.filter(|asked| !asked.is_empty());
        let nodes: Vec<_> = ring
            .nodes
            .iter()
            .filter(|node| asked.is_none_or(|asked| node.datacenter == asked))
            .collect();
        if nodes.is_empty() {
            let asked = asked.unwrap_or_default();
            let message = format!("the ring has no node in datacenter {asked:?}; correct spec.datacenter");
            self.hold(Wait::stalled(Reason::DatacenterNotFound, message));
            return None;
        }
        Some(nodes)
    }

    /// Who takes part: those nodes, each with its pod, when none of them has anything else to do.
    pub(super) fn taking_part(&mut self, datacenter: Option<&str>) -> Option<Vec<NodeStatus>> {
        let nodes = self.ring_of(datacenter)?;
        let mut parts = Vec::new();
        for node in nodes {
            let (pod, _) = self.whereabouts(&node.host_id)?;
            parts.push(NodeStatus {
                host_id: node.host_id.clone(),
                pod: Some(pod),
                datacenter: Some(node.datacenter.clone()),
                ..NodeStatus::default()
            });
        }
        parts.sort_by(|a, b| a.pod.cmp(&b.pod));
        let mut idle = true;
        for node in &parts {
            // All are asked at once, so none is left out after the first that is busy.
            idle &= self.is_idle(node);
        }
        idle.then_some(parts)
    }

    /// The pod of a node and its address, which the ring and Kubernetes have to agree on.
    fn whereabouts(&mut self, host_id: &str) -> Option<(String, String)> {
        let ring = self.ring()?;
        let Some(node) = ring.node(host_id) else {
            let message = format!("node {host_id} is not in the ring; it goes on when the node is back");
            self.hold(Wait::new(Reason::NodeNotFound, message));
            return None;
        };
        let mut members = self.look.members.iter();
        let member = members.find(|member| member.address.as_ref() == Some(&node.address));
        if member.is_none() {
            let message = format!(
                "node {host_id} of the ring has the address {}, which no pod of the cluster has; \
                 it goes on when the pod is back",
                node.address
            );
            self.hold(Wait::new(Reason::PodNotFound, message));
        }
        member.map(|member| (member.pod.clone(), node.address.clone()))
    }

    /// Whether the sidecar has nothing else to do, by anybody's order.
    pub(super) fn is_idle(&mut self, node: &NodeStatus) -> bool {
        let pod = node.pod.clone().unwrap_or_default();
        let question = Question::Busy { pod: pod.clone() };
        match self.look.answers.get(&question) {
            Some(Answer::Operations(known)) => {
                let busy = known.iter().find(|said| said.state.is_active());
                if let Some(said) = busy {
                    let message = format!(
                        "the sidecar of {pod} is at work on operation {} ({}); it begins when that is over",
                        said.id,
                        node::percent(said.progress)
                    );
                    self.hold(Wait::new(Reason::SidecarBusy, message));
                }
                busy.is_none()
            }
            Some(Answer::Silence(why)) => {
                let message = format!("the sidecar of {pod} does not answer: {why}");
                self.hold(Wait::new(Reason::SidecarUnreachable, message));
                false
            }
            Some(_) => false,
            None => {
                self.ask.insert(question);
                false
            }
        }
    }

    /// Whether nobody else sent the sidecar anything since we did: before the first request it was asked whether it is
    /// idle. From silence nothing is concluded; the request will tell. What is over and older than a human's word, by
    /// the sidecar's own clock, is known: the sidecar remembers it for an hour, and it would stop the run again and again.
    fn is_alone(&mut self, pod: &str, node: &NodeStatus) -> bool {
        if node.operation.is_none() && node.past_operations.is_empty() {
            return true;
        }
        let question = Question::Others { pod: pod.to_owned() };
        match self.look.answers.get(&question) {
            None => {
                self.ask.insert(question);
                false
            }
            Some(Answer::Operations(others)) => {
                let is_new = |other: &&OperationReport| {
                    other.state.is_active() || self.cleared.is_none_or(|cleared| other.created > cleared)
                };
                let sign = others.iter().find(is_new).map(|other| ConflictEvidence::Sent {
                    pod: pod.to_owned(),
                    id: other.id.clone(),
                });
                let alone = sign.is_none();
                self.sign = self.sign.take().or(sign);
                alone
            }
            Some(_) => true,
        }
    }

    /// Sends what the node has to do now, when its time has come, to the pod that the ring confirms. The node's
    /// status says so first.
    pub(super) fn send(&mut self, node: &mut NodeStatus, task: Task) {
        let now = self.look.now;
        let due = node::due(node);
        if now < due {
            self.look_again(due.duration_since(now));
            return;
        }
        let Some((pod, address)) = self.whereabouts(&node.host_id) else {
            node::unreachable(node, now);
            return;
        };
        if !self.is_alone(&pod, node) {
            return;
        }
        node::about_to_send(node, now);
        node.pod = Some(pod.clone());
        self.requests.push(Request {
            pod,
            address,
            host_id: node.host_id.clone(),
            task,
        });
        self.look_again(POLL);
    }
}

impl State {
    /// Whether it is not over.
    pub(super) fn is_active(self) -> bool {
        matches!(self, Self::Pending | Self::Running)
    }
}
