//! The nodes of a restore, and the description of a bucket in a backup.
//!
//! A restore sends the part of each node of the backup to one node of the ring. `spec.nodes` of the restore names the pods
//! for the parts whose own node is not in the ring.

use std::collections::BTreeSet;

use crate::api::{BackupNode, CONFIRM_ANNOTATION};
use crate::domain::host_id::HostId;
use crate::domain::node_location::Segment;
use crate::domain::object_name::is_object_name;

use super::text_key::TextKey;
use crate::rules::catalogue::{DESCRIPTION_NOT_SUSPENDED, NODES_MALFORMED, RESTORE_INCOMPLETE};
use crate::rules::facts::Facts;
use crate::rules::finding::{Cause, Finding, Findings};
use crate::rules::policy::Context;
use crate::rules::subject::{Backup, Restore};

const NODES: &str = "spec.nodes";
const CLUSTER_NAME: &str = "spec.clusterName";

/// Number of host ids that a message names.
const NAMED_NODES: usize = 2;

/// Denies a malformed description of a bucket, and one in a backup that runs.
///
/// Host id, datacenter and cluster name become folders in the bucket.
pub(super) fn check_backup(backup: &Backup, context: &Context, findings: &mut Findings) {
    // CassKop ignores the fields, which `field-needs-executor` reports.
    if context.casskop_acts() {
        return;
    }
    findings.extend(not_suspended(backup));
    if let Some(name) = &backup.spec.cluster_name {
        findings.extend(not_a_folder(CLUSTER_NAME.to_owned(), name, "shop"));
    }
    let mut seen = Seen::new("hostId");
    for (index, BackupNode { host_id, datacenter }) in backup.spec.nodes.iter().enumerate() {
        findings.extend(seen.host_id(index, host_id));
        findings.extend(not_a_folder(field(index, "datacenter"), datacenter, "dc1"));
    }
}

/// Denies `nodes` and `clusterName` of a backup that runs. They have no effect there.
fn not_suspended(backup: &Backup) -> Option<Finding> {
    let spec = &backup.spec;
    let path = match (spec.nodes.is_empty(), &spec.cluster_name) {
        _ if spec.describes_bucket() => return None,
        (false, _) => NODES,
        (true, Some(_)) => CLUSTER_NAME,
        (true, None) => return None,
    };
    let remedy = if spec.is_scheduled() {
        "leave the field out, or describe the bucket in another backup without a schedule"
    } else {
        "write suspend: true, or leave the field out"
    };
    let message = format!(
        "only a suspended backup without a schedule describes a bucket; this one runs, and its nodes are those of the \
         ring; {remedy}"
    );
    let finding = Finding::deny(&DESCRIPTION_NOT_SUSPENDED, path, Cause::Forbidden, message);
    Some(finding.related_fields(&["spec.suspend", "spec.schedule"]))
}

fn not_a_folder(path: String, text: &str, example: &str) -> Option<Finding> {
    if text.is_empty() {
        let message =
            format!("the name of a folder in the bucket is missing; write it, for example {example}");
        return Some(Finding::deny(&NODES_MALFORMED, path, Cause::Required, message));
    }
    let error = Segment::parse(text).err()?;
    let message = format!("{error}; write the name of the folder in the bucket, for example {example}");
    Some(Finding::deny(&NODES_MALFORMED, path, Cause::Invalid, message).value(text))
}

/// Denies malformed nodes of a restore, nodes that its backup or its cluster cannot have, and parts that are left out.
pub(super) fn check_restore(restore: &Restore, facts: &Facts, context: &Context, findings: &mut Findings) {
    // CassKop ignores the field, which `field-needs-executor` reports.
    if context.casskop_acts() {
        return;
    }
    let nodes = &restore.spec.nodes;
    let mut hosts = Seen::new("hostId");
    let mut pods = Seen::new("pod");
    let run = (!nodes.is_empty())
        .then(|| RunNodes::of(restore, facts))
        .flatten();
    let names = (!nodes.is_empty())
        .then(|| PodNames::of(restore, facts))
        .flatten();
    for (index, node) in nodes.iter().enumerate() {
        let host_id = &node.host_id;
        findings.extend(
            hosts
                .host_id(index, host_id)
                // Without a pod, the entry may name a node of the ring that has no part.
                .or_else(|| {
                    node.receiver()
                        .and_then(|_| run.as_ref()?.without(index, host_id))
                }),
        );
        if let Some(pod) = node.receiver() {
            findings.extend(
                pods.pod(index, pod)
                    .or_else(|| names.as_ref()?.without(index, pod)),
            );
        }
    }
    findings.extend(incomplete(restore));
}

/// Returns the path of a field of a node.
fn field(index: usize, name: &str) -> String {
    format!("{NODES}[{index}].{name}")
}

/// The values of one field of all nodes so far. Each may occur once.
struct Seen<'a> {
    field: &'static str,
    values: BTreeSet<TextKey<'a>>,
}

impl<'a> Seen<'a> {
    fn new(field: &'static str) -> Self {
        Self {
            field,
            values: BTreeSet::new(),
        }
    }

    /// Returns a finding if the text is no host id, or one that an earlier node has.
    fn host_id(&mut self, index: usize, text: &str) -> Option<Finding> {
        match HostId::parse(text) {
            Ok(host_id) => self.again(
                index,
                TextKey::of_host_id(text),
                host_id.as_str(),
                "each part is restored once; name each host id once",
            ),
            Err(error) => {
                let message = format!(
                    "{error}; write the name of the node's folder in the bucket, such as \
                     9da86270-7a5c-4a0b-9e9b-0f6d3f0c2a11"
                );
                let path = field(index, self.field);
                Some(Finding::deny(&NODES_MALFORMED, path, Cause::Invalid, message).value(text))
            }
        }
    }

    /// Returns a finding if the text is no name of a pod, or one that an earlier node has.
    fn pod(&mut self, index: usize, text: &'a str) -> Option<Finding> {
        if is_object_name(text) {
            return self.again(
                index,
                TextKey::exact(text),
                text,
                "a node has its own tokens and takes one part only; name another pod",
            );
        }
        let message = "is not a valid name of a pod; name the pod that has the node's tokens, or leave the field out to \
                       leave the part out";
        let path = field(index, self.field);
        Some(Finding::deny(&NODES_MALFORMED, path, Cause::Invalid, message).value(text))
    }

    fn again(&mut self, index: usize, key: TextKey<'a>, value: &str, message: &str) -> Option<Finding> {
        if self.values.insert(key) {
            return None;
        }
        let finding = Finding::deny(
            &NODES_MALFORMED,
            field(index, self.field),
            Cause::Duplicate,
            message,
        );
        Some(finding.value(value))
    }
}

/// The nodes of the run that is restored.
struct RunNodes<'a> {
    backup: &'a str,
    host_ids: BTreeSet<TextKey<'a>>,
    /// The first host ids, for messages.
    named: Vec<String>,
}

impl<'a> RunNodes<'a> {
    /// Returns the nodes of the run. Nothing is known of a run that an earlier version recorded.
    fn of(restore: &Restore, facts: &'a Facts) -> Option<Self> {
        let backup = facts.found_backup()?;
        let nodes = backup.nodes_of(restore.snapshot());
        let named = nodes
            .iter()
            .take(NAMED_NODES)
            .map(|node| (*node.host_id).to_owned());
        (!nodes.is_empty()).then(|| Self {
            backup: &backup.name,
            host_ids: nodes
                .iter()
                .map(|node| TextKey::of_host_id(&node.host_id))
                .collect(),
            named: named.collect(),
        })
    }

    /// Denies a node that the run does not have.
    fn without(&self, index: usize, host_id: &str) -> Option<Finding> {
        if self.host_ids.contains(&TextKey::of_host_id(host_id)) {
            return None;
        }
        let more = match self.host_ids.len().saturating_sub(self.named.len()) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let message = format!(
            "is not a node of backup {}, whose nodes are {}{more}; name a node of the backup",
            self.backup,
            self.named.join(", ")
        );
        let finding = Finding::deny(&NODES_MALFORMED, field(index, "hostId"), Cause::NotFound, message);
        Some(
            finding
                .value(host_id)
                .related_object("CassandraBackup", self.backup),
        )
    }
}

/// The names that the pods of a cluster can have: CassKop names a pod `CLUSTER-DATACENTER-RACK-NUMBER`.
struct PodNames<'a> {
    cluster: &'a str,
    datacenters: BTreeSet<TextKey<'a>>,
    /// One of the datacenters, for messages.
    example: &'a str,
}

impl<'a> PodNames<'a> {
    /// Returns the names of the pods of the cluster; `None` if its datacenters are not known.
    fn of(restore: &'a Restore, facts: &'a Facts) -> Option<Self> {
        let datacenters = &facts.found_cluster()?.datacenters;
        Some(Self {
            cluster: &restore.spec.cassandra_cluster,
            datacenters: datacenters.iter().map(|name| TextKey::exact(name)).collect(),
            example: datacenters.first()?,
        })
    }

    /// Denies a pod whose name no pod of the cluster can have.
    fn without(&self, index: usize, pod: &str) -> Option<Finding> {
        if self.contains(pod) {
            return None;
        }
        let Self { cluster, example, .. } = self;
        let message = format!(
            "cluster {cluster} cannot have a pod of this name; name one of its pods, such as {cluster}-{example}-rack1-0"
        );
        let finding = Finding::deny(&NODES_MALFORMED, field(index, "pod"), Cause::NotFound, message);
        Some(finding.value(pod).related_object("CassandraCluster", cluster))
    }

    fn contains(&self, pod: &str) -> bool {
        let rest = pod
            .strip_prefix(self.cluster)
            .and_then(|rest| rest.strip_prefix('-'));
        let Some((rest, number)) = rest.and_then(|rest| rest.rsplit_once('-')) else {
            return false;
        };
        let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        // A rack can contain hyphens.
        is_number
            && rest.match_indices('-').any(|(at, _)| {
                let (datacenter, rack) = rest.split_at(at);
                rack.len() > 1 && self.datacenters.contains(&TextKey::exact(datacenter))
            })
    }
}

/// Denies a restore that leaves out the part of a node, unless its author confirms it.
///
/// The rows of a part that is left out come back only from replicas in other parts, by a repair.
fn incomplete(restore: &Restore) -> Option<Finding> {
    let left_out: Vec<&str> = restore
        .spec
        .nodes
        .iter()
        .filter(|node| node.receiver().is_none())
        .map(|node| &*node.host_id)
        .collect();
    let first = left_out.first()?;
    let others = match left_out.len() {
        1 => String::new(),
        count => format!("the parts of this node and of {} more are", count - 1),
    };
    let what = if others.is_empty() {
        "the part of this node is"
    } else {
        &others
    };
    let rule = &RESTORE_INCOMPLETE;
    let message = if restore.meta.confirms(rule) {
        format!(
            "{what} left out: rows whose replicas were all there are lost; run nodetool repair afterwards"
        )
    } else {
        format!(
            "{what} left out: rows whose replicas were all there are lost, and the others need nodetool repair; name the \
             pod that has the node's tokens, or annotate {CONFIRM_ANNOTATION}: {}",
            rule.id
        )
    };
    Some(Finding::deny(rule, NODES, Cause::Invalid, message).value(*first))
}

#[cfg(test)]
mod tests {
    use super::{PodNames, TextKey};
    use crate::api::datacenter_of_pod;

    #[test]
    fn the_names_of_pods_are_those_of_casskop() {
        let datacenters = ["dc1", "dc", "a-b", ""];
        let names = PodNames {
            cluster: "c1",
            datacenters: datacenters.into_iter().map(TextKey::exact).collect(),
            example: "dc1",
        };
        for pod in [
            "c1-dc1-rack1-0",
            "c1-dc-rack-1-7",
            "c1-a-b-r-12",
            "c1-a-b-0",
            "c1--rack1-0",
            "c1-dc2-rack1-0",
            "c1-dc1-0",
            "c1-dc1--0",
            "c1-dc1-rack1-",
            "c1-dc1-rack1-x",
            "c1-dc1-rack1",
            "c2-dc1-rack1-0",
            "c1",
            "c1-",
            "",
        ] {
            let expected = datacenter_of_pod("c1", datacenters.into_iter(), pod).is_some();
            assert_eq!(names.contains(pod), expected, "{pod}");
        }
    }
}
