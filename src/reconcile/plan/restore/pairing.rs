//! The pairs of the nodes of the ring and the parts of a backup. Pure.
//!
//! A backup has one part for each node of its ring. A part can be restored only on a node with the same tokens, which the
//! sidecars compare in `DOWNLOAD`; neither they nor Cassandra notice a part that no node restores.

use std::collections::{BTreeMap, BTreeSet};

use super::mismatch::{self, Mismatch};
use crate::api::{NodeStatus, RestoreNode, RestoreSource, RunNode};

/// The input of a pairing.
pub(super) struct PairingInput<'a> {
    /// The backup. Without nodes in it, the nodes of the run are unknown.
    pub(super) source: &'a RestoreSource,
    /// The nodes of the ring that the restore may use, with their pods.
    pub(super) ring: &'a [NodeStatus],
    /// `spec.datacenter` of the restore.
    pub(super) datacenter: Option<&'a str>,
    /// `spec.nodes` of the restore.
    pub(super) listed: &'a [RestoreNode],
    /// The sizes of the parts in bytes, by host id, where they are known.
    pub(super) sizes: &'a BTreeMap<String, i64>,
}

/// The part that each node of the ring receives.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Pairing {
    /// The nodes of the ring that receive a part, in the order of the input.
    pub(super) receivers: Vec<NodeStatus>,
    /// The parts that no node receives, because `spec.nodes` leaves them out.
    pub(super) left_out: Vec<RunNode>,
}

/// Pairs the nodes of the ring with the parts of the backup.
///
/// An entry of `spec.nodes` decides about its part; every other part belongs to its own node. If the nodes of the run are
/// unknown, every node of the ring that no entry names is taken to have a part of its own.
///
/// # Errors
/// Returns the first mismatch that would cost rows or fail later: an entry that cannot be followed, a part without a
/// node, or a node without a part. A node may be without one only if `spec.nodes` names it, or if the part of a node that is
/// gone is left out for it: then it is a replacement with other tokens. More such nodes than parts would be younger nodes,
/// whose rows would be lost.
pub(super) fn pair(input: &PairingInput<'_>) -> Result<Pairing, Mismatch> {
    let parts = parts(input);
    let mut assigned: BTreeMap<&str, &RunNode> = BTreeMap::new();
    let (mut left_out, mut missing) = (Vec::new(), Vec::new());
    let entries = entries(input, &parts)?;
    for part in &parts {
        let target = match entries.get(&part.host_id) {
            Some(None) => {
                left_out.push(part.clone());
                continue;
            }
            Some(Some(node)) => Some(*node),
            None => input.ring.iter().find(|node| node.host_id == part.host_id),
        };
        match target {
            None => missing.push(part),
            Some(node) => {
                if let Some(other) = assigned.insert(&node.host_id, part) {
                    return Err(mismatch::two_parts(node, other, part));
                }
            }
        }
    }
    let is_assigned = |node: &&NodeStatus| assigned.contains_key(node.host_id.as_str());
    let spare: Vec<_> = input.ring.iter().filter(|node| !is_assigned(node)).collect();
    if !missing.is_empty() {
        return Err(mismatch::missing_nodes(input, &parts, &missing, &spare));
    }
    let has_node = |host_id: &str| input.ring.iter().any(|node| node.host_id == host_id);
    let gone = left_out.iter().filter(|part| !has_node(&part.host_id));
    let gone = gone.count();
    let is_named = |node: &&&NodeStatus| left_out.iter().any(|part| part.host_id == node.host_id);
    let unnamed: Vec<_> = spare.iter().filter(|node| !is_named(node)).copied().collect();
    if unnamed.len() > gone {
        return Err(mismatch::nodes_without_part(input.source, &unnamed));
    }
    if assigned.is_empty() {
        return Err(mismatch::nothing_to_restore());
    }
    let receiver = |node: &NodeStatus| {
        let part = assigned.get(node.host_id.as_str())?;
        Some(receiver(node, part, input.sizes))
    };
    Ok(Pairing {
        receivers: input.ring.iter().filter_map(receiver).collect(),
        left_out,
    })
}

/// Returns the parts of the backup that the restore is about, with their host ids in lower case.
fn parts(input: &PairingInput<'_>) -> Vec<RunNode> {
    let is_listed = |host_id: &str| {
        let mut listed = input.listed.iter();
        listed.any(|entry| entry.host_id.eq_ignore_ascii_case(host_id))
    };
    let has_node = |host_id: &str| input.ring.iter().any(|node| node.host_id == host_id);
    if !input.source.nodes.is_empty() {
        let in_datacenter = |part: &RunNode| match (input.datacenter, &part.datacenter) {
            (Some(wanted), Some(datacenter)) if !wanted.is_empty() => wanted == datacenter,
            _ => true,
        };
        let normalized = input.source.nodes.iter().map(|part| RunNode {
            host_id: part.host_id.to_ascii_lowercase(),
            ..part.clone()
        });
        let mut parts: Vec<_> = normalized
            .filter(|part| in_datacenter(part) || is_listed(&part.host_id) || has_node(&part.host_id))
            .collect();
        let without_part = nodes_named_without_part(input, &parts);
        parts.extend(without_part);
        return parts;
    }
    let named = |host_id: &str| RunNode {
        host_id: host_id.to_ascii_lowercase(),
        ..RunNode::default()
    };
    let receives_another = |node: &NodeStatus| {
        let mut listed = input.listed.iter();
        listed.any(|entry| entry.pod.is_some() && entry.pod == node.pod)
    };
    let own = input.ring.iter().filter(|node| !receives_another(node));
    let own = own.filter(|node| !is_listed(&node.host_id));
    let listed = input.listed.iter().map(|entry| named(&entry.host_id));
    listed.chain(own.map(|node| named(&node.host_id))).collect()
}

/// Returns the nodes of the ring that have no part in the backup and that `spec.nodes` names without a pod: they are to
/// receive none. A run that is `PARTIAL` has no part of some nodes.
fn nodes_named_without_part(input: &PairingInput<'_>, parts: &[RunNode]) -> Vec<RunNode> {
    let has_part = |node: &NodeStatus| parts.iter().any(|part| part.host_id == node.host_id);
    let is_named = |node: &NodeStatus| {
        let mut listed = input.listed.iter();
        listed.any(|entry| entry.receiver().is_none() && entry.host_id.eq_ignore_ascii_case(&node.host_id))
    };
    let named = input.ring.iter().filter(|node| !has_part(node) && is_named(node));
    named
        .map(|node| RunNode {
            host_id: node.host_id.clone(),
            datacenter: node.datacenter.clone(),
            pod: node.pod.clone(),
        })
        .collect()
}

/// Returns the entries of `spec.nodes` by host id: the node that receives the part, or `None` if the part is left out.
fn entries<'a>(
    input: &PairingInput<'a>,
    parts: &[RunNode],
) -> Result<BTreeMap<String, Option<&'a NodeStatus>>, Mismatch> {
    let known: BTreeSet<_> = parts.iter().map(|part| part.host_id.as_str()).collect();
    let mut entries = BTreeMap::new();
    for entry in input.listed {
        let host_id = entry.host_id.to_ascii_lowercase();
        if !known.contains(host_id.as_str()) {
            return Err(mismatch::unknown_part(&entry.host_id, parts));
        }
        let node = match entry.receiver() {
            None => None,
            Some(pod) => {
                let mut ring = input.ring.iter();
                let node = ring.find(|node| node.pod.as_deref() == Some(pod));
                Some(node.ok_or_else(|| mismatch::unknown_pod(&entry.host_id, pod, input.ring))?)
            }
        };
        if entries.insert(host_id, node).is_some() {
            return Err(mismatch::listed_twice(&entry.host_id));
        }
    }
    Ok(entries)
}

/// Returns the status of a node that receives a part. What differs from the node's own part is recorded.
fn receiver(node: &NodeStatus, part: &RunNode, sizes: &BTreeMap<String, i64>) -> NodeStatus {
    let other = Some(&part.host_id).filter(|host_id| **host_id != node.host_id);
    let other_datacenter = part.datacenter.as_ref();
    let other_datacenter =
        other_datacenter.filter(|datacenter| node.datacenter.as_ref() != Some(*datacenter));
    NodeStatus {
        source_host_id: other.cloned(),
        source_datacenter: other_datacenter.cloned(),
        bytes: sizes.get(&part.host_id).copied(),
        ..node.clone()
    }
}
