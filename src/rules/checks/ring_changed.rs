//! The nodes of the backup, compared with the nodes of the cluster.
//!
//! The webhook sees no ring. It compares with `status.cassandraNodeStatus` of the CassandraCluster. CassKop writes an entry
//! when a pod becomes ready and never removes one, so the rule only warns. The executor compares the live ring.

use std::collections::{BTreeMap, BTreeSet};

use crate::api::RunNode;

use super::text_key::TextKey;

use crate::rules::catalogue::RING_CHANGED;
use crate::rules::facts::{ClusterNode, Facts};
use crate::rules::finding::{Cause, Finding, Findings};
use crate::rules::policy::Context;
use crate::rules::subject::{Restore, non_empty};

const NODES: &str = "spec.nodes";

/// Maximum number of missing and of younger nodes that are reported one by one.
const NAMED_NODES: usize = 3;

/// The nodes that the backup and the cluster do not have in common, without those that `spec.nodes` names.
struct Difference<'a> {
    /// Nodes of the backup that the cluster no longer has, each with the pod that it ran in if another node that is not in
    /// the backup runs there.
    missing: Vec<(&'a RunNode, Option<&'a str>)>,
    /// Nodes of the cluster that the backup does not have, and that run in no pod named with a missing one.
    younger: Vec<&'a ClusterNode>,
}

/// Warns if the backup and the cluster have different nodes. Reports nothing if the nodes of one of them are unknown.
pub(super) fn check(restore: &Restore, facts: &Facts, context: &Context, findings: &mut Findings) {
    let (Some(backup), Some(cluster)) = (facts.found_backup(), facts.found_cluster()) else {
        return;
    };
    // CassKop ignores `snapshot`.
    let snapshot = restore.snapshot().filter(|_| !context.casskop_acts());
    let run = backup.nodes_of(snapshot);
    if run.is_empty() || cluster.nodes.is_empty() {
        return;
    }
    let coverage = backup.coverage(snapshot);
    let datacenter = non_empty(restore.spec.datacenter.as_deref()).or_else(|| coverage.datacenter());
    let difference = Difference::of(restore, datacenter, &run, &cluster.nodes);
    let casskop = context.casskop_acts();
    let missing = difference.missing.iter().take(NAMED_NODES);
    findings.extend(missing.map(|(node, pod)| missing_node(node, *pod, casskop)));
    findings.extend(more(
        difference.missing.len(),
        "nodes of the backup are not in CassKop's status",
    ));
    let younger = difference.younger.iter().take(NAMED_NODES);
    let remedy = |node: &ClusterNode| {
        if casskop {
            return "its sidecar finds no part, and the restore fails".to_owned();
        }
        match common_datacenter(&run).filter(|datacenter| **datacenter != *node.datacenter) {
            Some(datacenter) => {
                format!("the backup has only datacenter {datacenter}: set spec.datacenter to it")
            }
            None if coverage.run.is_some_and(|run| run.partial) => {
                "the run is PARTIAL and left it out: restore a COMPLETED one".to_owned()
            }
            None => "decommission it first, or name the pod here if it replaced a node".to_owned(),
        }
    };
    findings.extend(younger.map(|node| younger_node(node, &remedy(node))));
    findings.extend(more(
        difference.younger.len(),
        "pods run nodes that are not in the backup",
    ));
}

impl<'a> Difference<'a> {
    /// Compares the nodes of a run with those of a cluster, both restricted to a datacenter if one is given.
    fn of(restore: &'a Restore, only: Option<&str>, run: &'a [RunNode], cluster: &'a [ClusterNode]) -> Self {
        let covers = |datacenter: Option<&str>| {
            only.is_none_or(|only| datacenter.is_none_or(|datacenter| datacenter == only))
        };
        let named: BTreeMap<TextKey<'_>, Option<&str>> = restore
            .spec
            .nodes
            .iter()
            .map(|node| (TextKey::of_host_id(&node.host_id), node.receiver()))
            .collect();
        let named_pods: BTreeSet<TextKey<'_>> =
            named.values().copied().flatten().map(TextKey::exact).collect();
        let in_run: BTreeSet<TextKey<'_>> = run
            .iter()
            .map(|node| TextKey::of_host_id(&node.host_id))
            .collect();
        let in_cluster: BTreeSet<TextKey<'_>> = cluster
            .iter()
            .map(|node| TextKey::of_host_id(&node.host_id))
            .collect();
        let is_younger = |node: &&ClusterNode| {
            covers(Some(&node.datacenter))
                && !in_run.contains(&TextKey::of_host_id(&node.host_id))
                && !named_pods.contains(&TextKey::exact(&node.pod))
        };
        let mut younger: Vec<&ClusterNode> = cluster.iter().filter(is_younger).collect();
        let younger_pods: BTreeMap<TextKey<'_>, &str> = younger
            .iter()
            .map(|node| (TextKey::exact(&node.pod), &*node.pod))
            .collect();
        let missing: Vec<_> = run
            .iter()
            .filter(|node| {
                let host_id = TextKey::of_host_id(&node.host_id);
                covers(node.datacenter.as_deref())
                    && !in_cluster.contains(&host_id)
                    && !named.contains_key(&host_id)
            })
            .map(|node| {
                let pod = node.pod.as_deref().map(TextKey::exact);
                (node, pod.and_then(|pod| younger_pods.get(&pod).copied()))
            })
            .collect();
        // A node without a part is allowed if the restore leaves a part out: it took the place of a lost node with new
        // tokens.
        let leaves_out = named.values().any(Option::is_none);
        let taken: BTreeSet<TextKey<'_>> = missing
            .iter()
            .filter_map(|(_, pod)| pod.map(TextKey::exact))
            .collect();
        younger.retain(|node| !leaves_out && !taken.contains(&TextKey::exact(&node.pod)));
        Self { missing, younger }
    }
}

fn missing_node(node: &RunNode, same_pod: Option<&str>, casskop: bool) -> Finding {
    let pod = node
        .pod
        .as_deref()
        .map(|pod| format!(" (pod {pod})"))
        .unwrap_or_default();
    let fact = match same_pod {
        Some(_) => "is in the backup and not in CassKop's node status (may be stale)".to_owned(),
        None => format!("is in the backup{pod} and not in CassKop's node status (may be stale)"),
    };
    let remedy = match (same_pod, casskop) {
        (_, true) => "its rows would be missing; use cassgate as executor".to_owned(),
        (Some(pod), false) => format!("if pod {pod} took over its tokens, add this host id with this pod"),
        (None, false) => "add it with the pod that has its tokens, or leave it out".to_owned(),
    };
    warning(format!("{fact}; {remedy}")).value(&node.host_id)
}

/// Returns the datacenter of all nodes of a run; `None` if there are several, or one is unknown.
fn common_datacenter(run: &[RunNode]) -> Option<&str> {
    let first = run.first()?.datacenter.as_deref()?;
    let is_common = run.iter().all(|node| node.datacenter.as_deref() == Some(first));
    is_common.then_some(first)
}

fn younger_node(node: &ClusterNode, remedy: &str) -> Finding {
    let message = format!(
        "runs in pod {} and is not in the backup (CassKop's node status, may be stale); {remedy}",
        node.pod
    );
    warning(message).value(&*node.host_id)
}

/// Returns a finding about the nodes that are not reported one by one.
fn more(count: usize, what: &str) -> Option<Finding> {
    let rest = count.checked_sub(NAMED_NODES).filter(|rest| *rest > 0)?;
    Some(warning(format!("{rest} more {what}")))
}

fn warning(message: String) -> Finding {
    Finding::warn(&RING_CHANGED, NODES, Cause::Invalid, message)
}
