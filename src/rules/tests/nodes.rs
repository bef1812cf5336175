//! The nodes of a restore, and descriptions of a bucket.

use std::sync::Arc;

use super::*;
use crate::api::{CassandraBackup, CassandraCluster, RunNode};
use crate::rules::facts::RecordedRun;

const A: &str = "9da86270-7a5c-4a0b-9e9b-0f6d3f0c2a11";
const B: &str = "3c1f5f4e-2b7d-4f5e-8a6c-1d2e3f405162";
const C: &str = "5e0a7c31-6d42-4b9f-9c55-7f8091a2b3c4";

/// Returns a backup of the nodes A and B with a completed run, an older one of A alone, and one without a record of its nodes.
fn recorded() -> StoredBackup {
    let node = |host: &str, pod: &str| json!({"hostId": host, "datacenter": "dc1", "pod": pod});
    let run = |snapshot: &str, ring: i64| {
        json!({"snapshot": snapshot, "outcome": "COMPLETED", "cassandraCluster": "c1", "clusterName": "c1",
               "entities": "k1.t1,k2.t3", "ring": ring})
    };
    let backup: CassandraBackup = serde_json::from_value(json!({
        "apiVersion": "db.orange.com/v2", "kind": "CassandraBackup", "metadata": {"name": "b1"},
        "spec": {"cassandraCluster": "c1", "storageLocation": "s3://bk", "snapshotTag": "t1", "secret": "s3",
                 "entities": "k1.t1,k2.t3"},
        "status": {
            "condition": {"type": "COMPLETED"},
            "history": [
                run("t1-b-2", 2),
                run("t1-a-1", 1),
                {"snapshot": "t1-0-0", "outcome": "COMPLETED"},
            ],
            "rings": [
                {"id": 2, "nodes": [node(A, "c1-dc1-rack1-0"), node(B, "c1-dc1-rack1-1")]},
                {"id": 1, "nodes": [node(A, "c1-dc1-rack1-0")]},
            ],
        },
    }))
    .unwrap();
    StoredBackup::from(&backup)
}

/// Sets the nodes of the newest run.
fn set_nodes(backup: &mut StoredBackup, nodes: Vec<RunNode>) {
    backup.history[0].record = Some(Arc::new(RecordedRun {
        nodes: nodes.into(),
        ..RecordedRun::clone(backup.history[0].record.as_ref().unwrap())
    }));
}

/// Returns a cluster of one datacenter and one rack, whose status has these nodes by the number of their pod.
fn cluster_of(nodes: &[(usize, &str)]) -> Cluster {
    let status: serde_json::Map<String, Value> = nodes
        .iter()
        .map(|(number, host)| {
            (
                format!("c1-dc1-rack1-{number}"),
                json!({"hostId": host, "nodeIp": "10.0.0.1"}),
            )
        })
        .collect();
    let cluster: CassandraCluster = serde_json::from_value(json!({
        "metadata": {"name": "c1"},
        "spec": {"nodesPerRacks": 2, "topology": {"dc": [{"name": "dc1", "rack": [{"name": "rack1"}]}]}},
        "status": {"cassandraNodeStatus": status},
    }))
    .unwrap();
    Cluster::from(&cluster)
}

fn facts_of(backup: StoredBackup, cluster: Cluster) -> Facts {
    Facts {
        backup: Some(Reference::Found(backup)),
        cluster: Some(Reference::Found(cluster)),
        ..facts()
    }
}

/// Returns the findings of a restore with this change, with cassgate as executor.
fn judged(change: &Value, backup: StoredBackup, cluster: Cluster) -> Findings {
    judge(
        &restore(change),
        &facts_of(backup, cluster),
        &acting(Executor::Cassgate),
    )
}

/// Returns the texts of the findings.
fn texts(findings: &Findings) -> Vec<String> {
    findings
        .iter()
        .map(|finding| format!("{}: {}", finding.path, finding.text()))
        .collect()
}

#[test]
fn a_ring_with_the_nodes_of_the_run_has_no_findings() {
    for nodes in [&[(0, A), (1, B)][..], &[(0, B), (1, A)], &[]] {
        assert_eq!(
            brief(&judged(&json!({}), recorded(), cluster_of(nodes))),
            [""; 0],
            "{nodes:?}"
        );
    }
    let unrecorded = json!({"snapshot": "t1-0-0"});
    assert_eq!(
        brief(&judged(&unrecorded, recorded(), cluster_of(&[(0, C)]))),
        ["warn run-not-recorded spec.snapshot"]
    );
    let upper = A.to_uppercase();
    assert_eq!(
        brief(&judged(
            &json!({}),
            recorded(),
            cluster_of(&[(0, &upper), (1, B)])
        )),
        [""; 0]
    );
}

#[test]
fn a_replaced_node_is_reported_with_its_pod() {
    let findings = judged(&json!({}), recorded(), cluster_of(&[(0, A), (1, C)]));
    assert_eq!(
        texts(&findings),
        [format!(
            "spec.nodes: \"{B}\": is in the backup and not in CassKop's node status (may be stale); if pod \
             c1-dc1-rack1-1 took over its tokens, add this host id with this pod [cassgate ring-changed]"
        )]
    );
    let named = json!({"nodes": [{"hostId": B, "pod": "c1-dc1-rack1-1"}]});
    assert_eq!(
        brief(&judged(&named, recorded(), cluster_of(&[(0, A), (1, C)]))),
        [""; 0]
    );
}

#[test]
fn a_node_that_is_gone_and_a_younger_one_are_reported() {
    // CassKop keeps the entry of a pod that a scale-down removed: the pod has the number 2 of two.
    let findings = judged(&json!({}), recorded(), cluster_of(&[(0, A), (2, B)]));
    assert_eq!(
        texts(&findings),
        [format!(
            "spec.nodes: \"{B}\": is in the backup (pod c1-dc1-rack1-1) and not in CassKop's node status (may \
             be stale); add it with the pod that has its tokens, or leave it out [cassgate ring-changed]"
        )]
    );
    let findings = judged(
        &json!({"snapshot": "t1-a-1"}),
        recorded(),
        cluster_of(&[(0, A), (1, B)]),
    );
    assert_eq!(
        texts(&findings),
        [format!(
            "spec.nodes: \"{B}\": runs in pod c1-dc1-rack1-1 and is not in the backup (CassKop's node status, \
             may be stale); decommission it first, or name the pod here if it replaced a node [cassgate ring-changed]"
        )]
    );
}

#[test]
fn a_node_without_a_part_is_no_finding_if_a_part_is_left_out() {
    let change = json!({"nodes": [{"hostId": B}]});
    let findings = judged(&change, recorded(), cluster_of(&[(0, A), (1, C)]));
    assert_eq!(brief(&findings), ["deny restore-incomplete spec.nodes"]);
}

#[test]
fn many_changed_nodes_are_counted() {
    let mut backup = recorded();
    let nodes: Vec<_> = (0..6)
        .map(|number| crate::api::RunNode {
            host_id: format!("9da86270-7a5c-4a0b-9e9b-0f6d3f0c2a1{number}"),
            ..crate::api::RunNode::default()
        })
        .collect();
    set_nodes(&mut backup, nodes);
    let findings = judged(
        &json!({}),
        backup,
        cluster_of(&[(0, "9da86270-7a5c-4a0b-9e9b-0f6d3f0c2a15")]),
    );
    let texts = texts(&findings);
    assert_eq!(texts.len(), 4, "{texts:?}");
    assert!(
        texts[3].ends_with("2 more nodes of the backup are not in CassKop's status [cassgate ring-changed]"),
        "{texts:?}"
    );
}

#[test]
fn another_datacenter_is_not_compared() {
    let two: CassandraCluster = serde_json::from_value(json!({
        "metadata": {"name": "c1"},
        "spec": {"topology": {"dc": [{"name": "dc1"}, {"name": "dc2"}]}},
        "status": {"cassandraNodeStatus": {"c1-dc1-rack1-0": {"hostId": A}, "c1-dc2-rack1-0": {"hostId": C}}},
    }))
    .unwrap();
    let change = json!({"datacenter": "dc1", "snapshot": "t1-a-1"});
    let findings = judged(&change, recorded(), Cluster::from(&two));
    assert_eq!(
        brief(&findings),
        ["warn restore-partial-datacenter spec.datacenter"]
    );
}

#[test]
fn a_node_of_a_datacenter_that_the_backup_does_not_have_is_not_to_be_decommissioned() {
    let two: CassandraCluster = serde_json::from_value(json!({
        "metadata": {"name": "c1"},
        "spec": {"nodesPerRacks": 2, "topology": {"dc": [{"name": "dc1"}, {"name": "dc2"}]}},
        "status": {"cassandraNodeStatus": {
            "c1-dc1-rack1-0": {"hostId": A}, "c1-dc1-rack1-1": {"hostId": B}, "c1-dc2-rack1-0": {"hostId": C},
        }},
    }))
    .unwrap();
    let findings = judged(&json!({}), recorded(), Cluster::from(&two));
    assert_eq!(
        texts(&findings),
        [format!(
            "spec.nodes: \"{C}\": runs in pod c1-dc2-rack1-0 and is not in the backup (CassKop's node status, \
             may be stale); the backup has only datacenter dc1: set spec.datacenter to it [cassgate ring-changed]"
        )]
    );
}

#[test]
fn a_node_that_a_partial_run_left_out_is_not_to_be_decommissioned() {
    let mut backup = recorded();
    for run in &mut backup.history {
        run.partial = run.name.as_ref() == "t1-a-1";
        run.good &= !run.partial;
    }
    let findings = judged(
        &json!({"snapshot": "t1-a-1"}),
        backup,
        cluster_of(&[(0, A), (1, B)]),
    );
    let texts = texts(&findings);
    let remedy = "the run is PARTIAL and left it out: restore a COMPLETED one [cassgate ring-changed]";
    assert!(texts.iter().any(|text| text.ends_with(remedy)), "{texts:?}");
}

#[test]
fn a_warning_about_a_node_is_shorter_than_the_limit() {
    let mut backup = recorded();
    let mut nodes = backup.coverage(None).nodes().unwrap().to_vec();
    nodes[1].pod = Some("cassandra-production-paris-rack1-10".to_owned());
    set_nodes(&mut backup, nodes);
    for cluster in [cluster_of(&[(0, A), (1, C)]), cluster_of(&[(0, A)])] {
        for finding in judged(&json!({}), backup.clone(), cluster).iter() {
            let length = format!("{}: {}", finding.path, finding.text()).chars().count() + "cassgate ".len();
            assert!(length <= 256, "{length}: {}", finding.text());
        }
    }
}

#[test]
fn casskop_has_no_way_to_restore_the_part_of_another_node() {
    let facts = facts_of(recorded(), cluster_of(&[(0, A), (1, C)]));
    assert_eq!(
        only(&found(&restore(&json!({})), &facts)).message,
        "is in the backup and not in CassKop's node status (may be stale); its rows would be missing; use cassgate as \
         executor"
    );
}

#[test]
fn the_nodes_of_a_restore_are_checked_one_by_one() {
    let ring = || cluster_of(&[(0, A), (1, C)]);
    let nodes = json!([
        {"hostId": "n1", "pod": "c1-dc1-rack1-0"},
        {"hostId": B, "pod": "c1-dc1-rack1-0"},
        {"hostId": B.to_uppercase(), "pod": "C1"},
        {"hostId": C, "pod": "c2-dc1-rack1-0"},
        {"hostId": A, "pod": "c1-dc9-rack1-0"},
    ]);
    let findings = judged(&json!({"nodes": nodes}), recorded(), ring());
    assert_eq!(
        texts(&findings),
        [
            "spec.nodes[0].hostId: Invalid value: \"n1\": is not a host id, which is a UUID of 36 characters; write the name \
             of the node's folder in the bucket, such as 9da86270-7a5c-4a0b-9e9b-0f6d3f0c2a11 [cassgate nodes-malformed]"
                .to_owned(),
            "spec.nodes[1].pod: Duplicate value: \"c1-dc1-rack1-0\": a node has its own tokens and takes one part only; name \
             another pod [cassgate nodes-malformed]"
                .to_owned(),
            format!(
                "spec.nodes[2].hostId: Duplicate value: \"{B}\": each part is restored once; name each host id once \
                 [cassgate nodes-malformed]"
            ),
            "spec.nodes[2].pod: Invalid value: \"C1\": is not a valid name of a pod; name the pod that has the node's \
             tokens, or leave the field out to leave the part out [cassgate nodes-malformed]"
                .to_owned(),
            format!(
                "spec.nodes[3].hostId: Not found: \"{C}\": is not a node of backup b1, whose nodes are {A}, {B}; name a node \
                 of the backup [cassgate nodes-malformed]"
            ),
            "spec.nodes[3].pod: Not found: \"c2-dc1-rack1-0\": cluster c1 cannot have a pod of this name; name one of its \
             pods, such as c1-dc1-rack1-0 [cassgate nodes-malformed]"
                .to_owned(),
            "spec.nodes[4].pod: Not found: \"c1-dc9-rack1-0\": cluster c1 cannot have a pod of this name; name one of its \
             pods, such as c1-dc1-rack1-0 [cassgate nodes-malformed]"
                .to_owned(),
            format!(
                "spec.nodes: \"{C}\": runs in pod c1-dc1-rack1-1 and is not in the backup (CassKop's node \
                 status, may be stale); decommission it first, or name the pod here if it replaced a node [cassgate ring-changed]"
            ),
        ]
    );
    let unknown = json!({"snapshot": "t1-0-0", "nodes": [{"hostId": C, "pod": "c1-dc1-rack1-1"}]});
    assert_eq!(
        brief(&judged(&unknown, recorded(), ring())),
        ["warn run-not-recorded spec.snapshot"]
    );
}

#[test]
fn a_part_that_is_left_out_is_denied_unless_it_is_confirmed() {
    // An empty name counts as absent.
    let change = json!({"nodes": [{"hostId": A, "pod": "c1-dc1-rack1-0"}, {"hostId": B, "pod": ""}]});
    let facts = facts_of(recorded(), cluster_of(&[(0, A)]));
    let context = acting(Executor::Cassgate);
    let finding = only(&judge(&restore(&change), &facts, &context));
    assert_eq!(
        finding.text(),
        format!(
            "Invalid value: \"{B}\": the part of this node is left out: rows whose replicas were all there are lost, and the \
             others need nodetool repair; name the pod that has the node's tokens, or annotate \
             cassgate.db.orange.com/confirm: restore-incomplete [cassgate restore-incomplete]"
        )
    );
    let Subject::Restore(mut confirmed) = restore(&change) else {
        unreachable!()
    };
    confirmed.meta.confirms = Some("restore-incomplete".to_owned());
    let finding = only(&judge(&Subject::Restore(confirmed), &facts, &context));
    assert_eq!(finding.severity, Severity::Warn);
    assert_eq!(
        finding.message,
        "the part of this node is left out: rows whose replicas were all there are lost; run nodetool repair afterwards"
    );
}

/// Returns the texts about a backup that describes a bucket, with this change.
fn described(change: &Value) -> Vec<String> {
    let base = json!({"schedule": null, "datacenter": null, "suspend": true, "clusterName": "production",
                      "nodes": [{"hostId": A, "datacenter": "dc1"}, {"hostId": B, "datacenter": "paris"}]});
    let subject = backup(&merged(base, change));
    texts(&judge(&subject, &facts(), &acting(Executor::Cassgate)))
}

#[test]
fn a_description_names_folders_of_the_bucket() {
    assert_eq!(described(&json!({})), [""; 0]);
    let change = json!({"clusterName": "a b", "nodes": [
        {"hostId": A, "datacenter": ""}, {"hostId": A, "datacenter": "dc/1"}, {"hostId": "", "datacenter": "dc1"}]});
    let folder = "cannot be a part of a path in the bucket: it is empty, too long, a dot, or has a slash, a blank or a \
                  control character; write the name of the folder in the bucket, for example";
    assert_eq!(
        described(&change),
        [
            format!("spec.clusterName: Invalid value: \"a b\": {folder} shop [cassgate nodes-malformed]"),
            "spec.nodes[0].datacenter: Required value: the name of a folder in the bucket is missing; write it, for example \
             dc1 [cassgate nodes-malformed]"
                .to_owned(),
            format!(
                "spec.nodes[1].hostId: Duplicate value: \"{A}\": each part is restored once; name each host id once \
                 [cassgate nodes-malformed]"
            ),
            format!("spec.nodes[1].datacenter: Invalid value: \"dc/1\": {folder} dc1 [cassgate nodes-malformed]"),
            "spec.nodes[2].hostId: Invalid value: \"\": is not a host id, which is a UUID of 36 characters; write the name \
             of the node's folder in the bucket, such as 9da86270-7a5c-4a0b-9e9b-0f6d3f0c2a11 [cassgate nodes-malformed]"
                .to_owned(),
        ]
    );
}

#[test]
fn a_backup_that_runs_describes_no_bucket() {
    let message = |remedy: &str, path: &str| {
        format!(
            "{path}: Forbidden: only a suspended backup without a schedule describes a bucket; this one runs, and its nodes \
             are those of the ring; {remedy} [cassgate description-not-suspended]"
        )
    };
    let suspend = "write suspend: true, or leave the field out";
    assert_eq!(
        described(&json!({"suspend": null})),
        [message(suspend, "spec.nodes")]
    );
    assert_eq!(
        described(&json!({"suspend": false, "nodes": null})),
        [message(suspend, "spec.clusterName")]
    );
    let another = "leave the field out, or describe the bucket in another backup without a schedule";
    assert_eq!(
        described(&json!({"schedule": "@daily"})),
        [message(another, "spec.nodes")]
    );
}

/// Returns the findings of a restore into cluster c2 of a backup with this change.
fn into_another_cluster(change: &Value) -> Findings {
    let base =
        json!({"cassandraCluster": "c1", "storageLocation": "s3://bk", "snapshotTag": "t1", "secret": "s3"});
    let mut backup = stored("");
    backup.run = Run::Never;
    backup.spec = serde_json::from_value(merged(base, change)).unwrap();
    let nodes = json!([{"hostId": A, "pod": "c2-dc1-rack1-0"}, {"hostId": B, "pod": "c2-dc1-rack1-1"}]);
    judged(
        &json!({"cassandraCluster": "c2", "nodes": nodes}),
        backup,
        cluster_of(&[]),
    )
}

#[test]
fn a_description_of_a_bucket_is_restored_into_another_cluster() {
    let nodes = json!([{"hostId": A, "datacenter": "dc1"}, {"hostId": B, "datacenter": "dc1"}]);
    let described = json!({"suspend": true, "clusterName": "production", "nodes": nodes});
    assert_eq!(brief(&into_another_cluster(&described)), [""; 0]);
    let own = merged(described, &json!({"cassandraCluster": "c2"}));
    assert_eq!(brief(&into_another_cluster(&own)), [""; 0]);
}

#[test]
fn a_description_without_the_name_of_the_folder_is_of_its_own_cluster() {
    assert_eq!(
        of_rule(
            &into_another_cluster(&json!({"suspend": true})),
            "cluster-mismatch"
        )
        .message,
        "backup b1 is of cluster c1; a sidecar finds only backups of its own cluster; write clusterName in backup b1, the \
         name of the cluster's folder in the bucket"
    );
}
