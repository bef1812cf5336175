//! The reasons why a ring and a backup cannot be paired, with the remedy. Pure.

use std::collections::BTreeMap;

use super::pairing::PairingInput;
use crate::api::{NodeStatus, Reason, RestoreNode, RestoreSource, RunNode};

/// Maximum length of a list of nodes in a message, in characters. A condition keeps the first 1024 of a message, and the
/// remedy stands after the list.
const MAX_LIST_LENGTH: usize = 230;

/// The reason why a ring and a backup cannot be paired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mismatch {
    /// The reason of the condition.
    pub(super) reason: Reason,
    /// A sentence for people: the facts, the consequence and the remedy.
    pub(super) message: String,
    /// A proposal for `spec.nodes` of a new restore. Empty if there is none.
    pub(super) proposed: Vec<RestoreNode>,
}

impl Mismatch {
    pub(super) fn new(reason: Reason, message: String) -> Self {
        Self {
            reason,
            message,
            proposed: Vec::new(),
        }
    }
}

/// Builds the mismatch for parts of the backup whose nodes are not in the ring.
///
/// `spare`: the nodes of the ring without a part. The node that runs in the pod of a missing node is probably its
/// replacement; `DOWNLOAD` compares their tokens.
pub(super) fn missing_nodes(
    input: &PairingInput<'_>,
    parts: &[RunNode],
    missing: &[&RunNode],
    spare: &[&NodeStatus],
) -> Mismatch {
    let successor = |part: &RunNode| {
        let mut spare = spare.iter();
        spare.find(|node| node.pod.is_some() && node.pod == part.pod)
    };
    let proposed: Vec<_> = missing
        .iter()
        .filter_map(|part| {
            Some(RestoreNode {
                host_id: part.host_id.clone(),
                pod: successor(part)?.pod.clone(),
            })
        })
        .collect();
    let names = list(missing.iter().map(|part| part_name(part)));
    let (are, their) = if missing.len() == 1 {
        ("is", "its")
    } else {
        ("are", "their")
    };
    let of_bytes = share_of_bytes(parts, missing, input.sizes);
    let mut message = format!(
        "{} of {} nodes of the backup{of_bytes} {are} not in the ring, and {their} rows would not come back: {names}",
        missing.len(),
        parts.len()
    );
    if proposed.is_empty() {
        message.push_str(
            "; if another node has the same tokens, name its pod in spec.nodes of a new restore (hostId: the one of the \
             backup, pod: the one of today)",
        );
    } else {
        let entries = proposed.iter().map(|entry| {
            let pod = entry.pod.as_deref().unwrap_or_default();
            format!("{{hostId: {}, pod: {pod}}}", entry.host_id)
        });
        message.push_str(
            "; if the node that runs in the same pod today has the same tokens, write into spec.nodes of a new restore \
             what status.proposedNodes says: ",
        );
        message.push_str(&list(entries));
    }
    message.push_str(
        "; an entry without pod leaves the part out, which needs the confirmation restore-incomplete",
    );
    Mismatch {
        proposed,
        ..Mismatch::new(Reason::RingChanged, message)
    }
}

/// Builds the mismatch for nodes of the ring that have no part in the backup.
pub(super) fn nodes_without_part(source: &RestoreSource, spare: &[&NodeStatus]) -> Mismatch {
    let names = list(spare.iter().map(|node| node_name(node)));
    let covered = source.datacenter.as_deref().or_else(|| common_datacenter(source));
    let elsewhere = covered.filter(|covered| {
        spare
            .iter()
            .all(|node| node.datacenter.as_deref() != Some(*covered))
    });
    let message = match elsewhere {
        Some(covered) => format!(
            "the backup covers only datacenter {covered}, and has no part for nodes of the ring in another one: {names}; \
             set spec.datacenter to {covered}"
        ),
        None => format!(
            "the backup has no part for nodes of the ring, which are younger than the backup or were left out of it: \
             {names}; decommission them and restore again, or, if one replaced a node of the backup, name its pod in \
             spec.nodes of a new restore; an entry with its own hostId and no pod leaves it without rows, which needs the \
             confirmation restore-incomplete"
        ),
    };
    Mismatch::new(Reason::NodeNotInBackup, message)
}

/// Returns the datacenter of all nodes of the backup; `None` if there are several, or one is unknown.
fn common_datacenter(source: &RestoreSource) -> Option<&str> {
    let first = source.nodes.first()?.datacenter.as_deref()?;
    let mut nodes = source.nodes.iter();
    nodes
        .all(|node| node.datacenter.as_deref() == Some(first))
        .then_some(first)
}

/// Builds the mismatch for a node that would receive two parts.
pub(super) fn two_parts(node: &NodeStatus, one: &RunNode, other: &RunNode) -> Mismatch {
    let message = format!(
        "two parts of the backup would go to {}: those of the nodes {} and {}; name another pod for one of them in \
         spec.nodes of a new restore",
        node_name(node),
        one.host_id,
        other.host_id
    );
    Mismatch::new(Reason::RingChanged, message)
}

/// Builds the mismatch for an entry of `spec.nodes` whose part the backup does not have.
pub(super) fn unknown_part(host_id: &str, parts: &[RunNode]) -> Mismatch {
    let names = list(parts.iter().map(part_name));
    let message = format!(
        "spec.nodes names the host id {host_id:?}, and the backup has no part of such a node; its parts are those of: {names}"
    );
    Mismatch::new(Reason::NodeNotInBackup, message)
}

/// Builds the mismatch for an entry of `spec.nodes` whose pod runs no node of the ring.
pub(super) fn unknown_pod(host_id: &str, pod: &str, ring: &[NodeStatus]) -> Mismatch {
    let names = list(ring.iter().map(node_name));
    let message = format!(
        "spec.nodes gives the part of node {host_id} to pod {pod:?}, which runs no node of the ring that the restore \
         covers; these are: {names}"
    );
    Mismatch::new(Reason::RingChanged, message)
}

/// Builds the mismatch for a host id that two entries of `spec.nodes` name.
pub(super) fn listed_twice(host_id: &str) -> Mismatch {
    let message = format!("spec.nodes names the host id {host_id} twice; name it once in a new restore");
    Mismatch::new(Reason::RingChanged, message)
}

/// Builds the mismatch for a restore of which every part is left out.
pub(super) fn nothing_to_restore() -> Mismatch {
    let message =
        "spec.nodes leaves every part of the backup out, so the tables would be emptied and not refilled";
    Mismatch::new(Reason::RingChanged, message.to_owned())
}

/// Returns the share of the missing parts in the size of the backup; empty if the size of a part is unknown.
fn share_of_bytes(parts: &[RunNode], missing: &[&RunNode], sizes: &BTreeMap<String, i64>) -> String {
    let sum = |parts: &mut dyn Iterator<Item = &RunNode>| {
        let mut sizes = parts.map(|part| sizes.get(&part.host_id).copied());
        sizes.try_fold(0_i64, |sum, size| Some(sum.saturating_add(size?.max(0))))
    };
    let (all, gone) = (sum(&mut parts.iter()), sum(&mut missing.iter().copied()));
    match (all, gone) {
        (Some(all), Some(gone)) if all > 0 => {
            let percent = i128::from(gone).saturating_mul(100) / i128::from(all);
            format!(" (with {gone} of its {all} bytes, {percent}%)")
        }
        _ => String::new(),
    }
}

/// Returns the name of a part for people: the host id, and the pod at the time of the run.
pub(super) fn part_name(part: &RunNode) -> String {
    match &part.pod {
        Some(pod) => format!("{} (then {pod})", part.host_id),
        None => part.host_id.clone(),
    }
}

fn node_name(node: &NodeStatus) -> String {
    match &node.pod {
        Some(pod) => format!("{pod} ({})", node.host_id),
        None => node.host_id.clone(),
    }
}

/// Joins the names of nodes, as many as fit into a message.
pub(super) fn list(names: impl Iterator<Item = String>) -> String {
    let (mut text, mut more) = (String::new(), 0_usize);
    for name in names {
        if text.is_empty() {
            text = name;
        } else if more == 0 && text.len().saturating_add(name.len()) < MAX_LIST_LENGTH {
            text.push_str(", ");
            text.push_str(&name);
        } else {
            more += 1;
        }
    }
    if more > 0 {
        text = format!("{text} and {more} more");
    }
    text
}
