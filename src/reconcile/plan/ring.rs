//! The ring: the nodes of the cluster as the sidecars report them, and the check at the begin of a run that no node is
//! missing.
//!
//! A sidecar reports the ring as its own Cassandra node sees it. A node that this Cassandra does not know would be left
//! out of a backup without an error. So two sidecars have to agree, and every running pod has to be in the ring.

use std::collections::BTreeSet;

use jiff::SignedDuration;

use super::builder::PlanBuilder;
use super::observation::{Answer, PodMember, Question, RingView};
use super::timing::{add, whole_seconds};
use super::wait::Wait;
use crate::api::{BackRestStatus, Reason};
use crate::icarus::{NodeMode, RingNode, Topology};

/// The time after which a person should look at an unsettled ring, and a scheduled run begins without what is missing.
/// A restart of a pod takes less.
const UNSETTLED_TIMEOUT: SignedDuration = SignedDuration::from_mins(15);

/// Maximum number of differences that a message names.
const MAX_NAMED_DIFFERENCES: usize = 5;

/// The part of a cluster that a run covers.
#[derive(Debug, Clone, Copy)]
pub(super) struct RingScope<'s> {
    /// The name of the `CassandraCluster`, with which the names of its pods begin.
    pub(super) cluster: &'s str,
    /// The one datacenter of the run; `None`: all of them.
    pub(super) datacenter: Option<&'s str>,
}

/// The state of the ring at the begin of a run.
pub(super) enum RingCheck {
    /// The sidecars agree, and no node is missing.
    Settled,
    /// A node is missing, or the sidecars do not agree.
    Unsettled {
        /// The pods and nodes that the ring lacks, by name.
        missing: Vec<String>,
        /// The reason to wait. It is stalled if the ring has been unsettled for 15 minutes.
        wait: Wait,
    },
}

/// The differences between the ring and the pods, or between two views of the ring.
#[derive(Default)]
struct Differences {
    /// The pods and nodes that the ring lacks, by name.
    missing: Vec<String>,
    /// A clause for each difference.
    clauses: Vec<String>,
}

impl<'a> PlanBuilder<'a> {
    /// Returns the ring. `None` if it has to be asked for, or if no sidecar answers; then the run waits.
    pub(super) fn ring(&mut self) -> Option<&'a Topology> {
        let answers = self.observation.answers;
        let answer = answers
            .get(&Question::RingViews)
            .or_else(|| answers.get(&Question::Ring));
        match answer {
            Some(Answer::Ring(ring)) => Some(ring),
            Some(Answer::RingViews { views, .. }) => self.widest(views).map(|view| &view.ring),
            Some(Answer::Unavailable(error)) => {
                let message = format!("no sidecar reports the ring: {error}");
                self.wait_for(Wait::new(Reason::SidecarUnreachable, message));
                None
            }
            Some(_) => None,
            None => {
                self.questions.insert(Question::Ring);
                None
            }
        }
    }

    /// Returns the ring once it is settled. `None` if the run has to wait, or if questions are open.
    ///
    /// The ring is settled if the sidecars of two pods report the same nodes and every running pod is in it, unless its
    /// Cassandra is joining or decommissioned. One view is enough for a ring, or a datacenter, of one node. After 15
    /// minutes the wait is stalled.
    pub(super) fn settled_ring(
        &mut self,
        common: &mut BackRestStatus,
        scope: RingScope<'_>,
    ) -> Option<&'a Topology> {
        match self.check_ring(common, scope)? {
            RingCheck::Settled => self.ring(),
            RingCheck::Unsettled { wait, .. } => {
                self.wait_for(wait);
                None
            }
        }
    }

    /// Returns true if the sidecars that answer report the same nodes, or if none answers. False if they have to be asked, or
    /// if they differ; then the run waits.
    pub(super) fn views_agree(&mut self, scope: RingScope<'_>) -> bool {
        let hosts = |view: &RingView| {
            let nodes = view.ring.nodes.iter().filter(|node| scope.covers_node(node));
            nodes.map(|node| node.host.clone()).collect::<BTreeSet<_>>()
        };
        let views = match self.observation.answers.get(&Question::RingViews) {
            None => {
                self.questions.insert(Question::RingViews);
                return false;
            }
            Some(Answer::RingViews { views, .. }) => views,
            Some(_) => return true,
        };
        let mut others = views.iter().skip(1);
        let first = views.first();
        let other = first.and_then(|first| others.find(|other| hosts(first) != hosts(other)));
        let (Some(first), Some(other)) = (first, other) else {
            return true;
        };
        let message = format!(
            "the sidecars of {} and {} report different rings: the restore continues when they agree; compare `nodetool \
             status` on these pods",
            first.pod, other.pod
        );
        self.wait_for(Wait::new(Reason::RingUnsettled, message));
        false
    }

    /// Checks the ring as [`settled_ring`](Self::settled_ring) does, and records since when it is unsettled. `None` if no
    /// sidecar answers, or if questions are open.
    pub(super) fn check_ring(
        &mut self,
        common: &mut BackRestStatus,
        scope: RingScope<'_>,
    ) -> Option<RingCheck> {
        if !self.observation.answers.contains_key(&Question::RingViews) {
            self.questions.insert(Question::RingViews);
            return None;
        }
        let ring = self.ring()?;
        let differences = self.differences(ring, scope)?;
        if differences.clauses.is_empty() {
            common.ring_unsettled_since = None;
            return Some(RingCheck::Settled);
        }
        let now = self.observation.now;
        let since = common
            .ring_unsettled_since
            .get_or_insert_with(|| whole_seconds(now));
        let stalled = add(since, UNSETTLED_TIMEOUT) <= now;
        let message = format!(
            "{}; the run begins when two sidecars report the same ring and every running pod is in it: compare \
             `nodetool status` on these pods",
            differences.summary()
        );
        Some(RingCheck::Unsettled {
            missing: differences.missing,
            wait: Wait {
                stalled,
                ..Wait::new(Reason::RingUnsettled, message)
            },
        })
    }

    /// Returns the view with the most nodes that have a pod.
    fn widest(&self, views: &'a [RingView]) -> Option<&'a RingView> {
        let located = |view: &RingView| {
            let nodes = view.ring.nodes.iter();
            nodes.filter(|node| self.member_of(node).is_some()).count()
        };
        // Of equally wide views, the first.
        views.iter().rev().max_by_key(|view| located(view))
    }

    /// Returns the pod that has the address of the node.
    fn member_of(&self, node: &RingNode) -> Option<&'a PodMember> {
        let address = node.address.to_string();
        let mut members = self.observation.members.iter();
        members.find(|member| member.address.as_ref() == Some(&address))
    }

    /// Returns what speaks against the ring; `None` while questions are open.
    fn differences(&mut self, ring: &'a Topology, scope: RingScope<'_>) -> Option<Differences> {
        let Some(Answer::RingViews { views, silent }) = self.observation.answer(&Question::RingViews) else {
            return None;
        };
        let mut differences = Differences::default();
        self.compare_views(ring, views, scope, &mut differences);
        self.compare_pods(ring, scope, &mut differences);
        let nodes = ring.nodes.iter().filter(|node| scope.covers_node(node));
        if let ([view], Some((pod, error))) = (views.as_slice(), silent.first())
            && nodes.count() > 1
        {
            differences.add(
                pod.clone(),
                format!(
                    "only the sidecar of {} reports the ring; that of {pod}: {error}",
                    view.pod
                ),
            );
        }
        self.questions.is_empty().then_some(differences)
    }

    /// Finds the nodes that only some of the views have.
    fn compare_views(
        &mut self,
        ring: &'a Topology,
        views: &'a [RingView],
        scope: RingScope<'_>,
        differences: &mut Differences,
    ) {
        for view in views {
            for other in views.iter().filter(|other| other.pod != view.pod) {
                let nodes = view.ring.nodes.iter().filter(|node| scope.covers_node(node));
                for node in nodes.filter(|node| !other.ring.nodes.contains(node)) {
                    let member = self.member_of(node);
                    if member.is_some_and(|member| !self.belongs_in_ring(member)) {
                        continue;
                    }
                    let clause = format!(
                        "node {} ({}) is in the ring that the sidecar of {} reports, and not in that of {}",
                        node.host, node.address, view.pod, other.pod
                    );
                    if ring.nodes.contains(node) {
                        differences.clauses.push(clause);
                    } else {
                        let name =
                            member.map_or_else(|| format!("node {}", node.host), |member| member.pod.clone());
                        differences.add(name, clause);
                    }
                }
            }
        }
    }

    /// Finds the running pods that the ring lacks.
    fn compare_pods(&mut self, ring: &'a Topology, scope: RingScope<'_>, differences: &mut Differences) {
        let addresses: Vec<_> = ring.nodes.iter().map(|node| node.address.to_string()).collect();
        for member in self.observation.members {
            let is_missing = member
                .address
                .as_ref()
                .is_some_and(|address| !addresses.contains(address));
            if !is_missing || member.containers.is_none() || !scope.covers_pod(&member.pod) {
                continue;
            }
            if self.belongs_in_ring(member) && !differences.missing.contains(&member.pod) {
                let clause = format!(
                    "pod {} runs and is not in the ring ({})",
                    member.pod,
                    self.mode_text(member)
                );
                differences.add(member.pod.clone(), clause);
            }
        }
    }

    /// Returns true if the node of a pod should be in the ring. Asks for its state if that is unknown; a pod that does
    /// not tell counts.
    fn belongs_in_ring(&mut self, member: &PodMember) -> bool {
        let question = Question::Mode {
            pod: member.pod.clone(),
        };
        match self.observation.answer(&question) {
            None => {
                self.questions.insert(question);
                false
            }
            Some(Answer::Mode(mode)) => !matches!(mode, NodeMode::Joining | NodeMode::Decommissioned),
            Some(_) => true,
        }
    }

    fn mode_text(&self, member: &PodMember) -> String {
        let question = Question::Mode {
            pod: member.pod.clone(),
        };
        match self.observation.answer(&question) {
            Some(Answer::Mode(mode)) => format!("its Cassandra node is {mode}"),
            Some(Answer::Unavailable(error)) => format!("its sidecar reports no state: {error}"),
            _ => "its state is unknown".to_owned(),
        }
    }
}

impl Differences {
    fn add(&mut self, missing: String, clause: String) {
        if !self.missing.contains(&missing) {
            self.missing.push(missing);
        }
        self.clauses.push(clause);
    }

    fn summary(&self) -> String {
        let named: Vec<_> = self
            .clauses
            .iter()
            .take(MAX_NAMED_DIFFERENCES)
            .map(String::as_str)
            .collect();
        let more = self.clauses.len().saturating_sub(named.len());
        let named = named.join("; ");
        if more > 0 {
            format!("{named}; and {more} more differences")
        } else {
            named
        }
    }
}

impl RingScope<'_> {
    fn datacenter(&self) -> Option<&str> {
        self.datacenter.filter(|datacenter| !datacenter.is_empty())
    }

    fn covers_node(&self, node: &RingNode) -> bool {
        self.datacenter()
            .is_none_or(|datacenter| node.datacenter.as_str() == datacenter)
    }

    /// Returns true if a pod belongs to the datacenter. CassKop names pods `CLUSTER-DATACENTER-RACK-NUMBER`, and the name
    /// of a datacenter has no hyphen.
    pub(super) fn covers_pod(&self, pod: &str) -> bool {
        let datacenter = pod
            .strip_prefix(self.cluster)
            .and_then(|rest| rest.strip_prefix('-'))
            .and_then(|rest| rest.split('-').next());
        self.datacenter()
            .is_none_or(|wanted| datacenter.is_none_or(|datacenter| datacenter == wanted))
    }
}
