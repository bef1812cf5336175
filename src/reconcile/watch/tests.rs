use kube::runtime::watcher::Event;
use serde_json::json;

use super::*;

fn cluster(name: &str, spec: &Value) -> Guarded {
    let object = json!({
        "apiVersion": "db.orange.com/v2", "kind": "CassandraCluster",
        "metadata": { "namespace": "ns", "name": name }, "spec": spec,
    });
    serde_json::from_value(object).unwrap()
}

fn with(sidecar: &Value) -> Guarded {
    cluster("c1", &json!({ "backRestSidecar": sidecar }))
}

fn listed(clusters: &mut Clusters, all: impl IntoIterator<Item = Guarded>) {
    clusters.take(Event::Init);
    for cluster in all {
        clusters.take(Event::InitApply(cluster));
    }
    clusters.take(Event::InitDone);
}

fn changed(clusters: &mut Clusters) -> Vec<String> {
    let mut names: Vec<_> = clusters.changed().into_iter().map(|(_, name)| name).collect();
    names.sort();
    names
}

#[test]
fn a_cluster_that_changes_for_the_rules_is_looked_at_twice_and_then_rests() {
    let mut clusters = Clusters::default();
    listed(&mut clusters, [with(&json!({}))]);
    assert_eq!(changed(&mut clusters), [""; 0], "the first list is no change");
    for sidecar in [
        json!({ "enabled": false }),
        json!({}),
        json!({ "image": "icarus:2.0.4" }),
        json!({ "enabled": "no" }),
    ] {
        clusters.take(Event::Apply(with(&sidecar)));
        clusters.take(Event::Apply(with(&sidecar)));
        assert_eq!(changed(&mut clusters), ["c1"], "{sidecar}");
        assert_eq!(changed(&mut clusters), ["c1"], "{sidecar}");
        assert_eq!(changed(&mut clusters), [""; 0], "{sidecar}");
    }
    clusters.take(Event::Delete(with(&json!({}))));
    assert_eq!(changed(&mut clusters), ["c1"]);
}

#[test]
fn what_casskop_does_to_a_cluster_is_no_change() {
    let mut clusters = Clusters::default();
    listed(&mut clusters, [with(&json!({}))]);
    let object = json!({
        "apiVersion": "db.orange.com/v2", "kind": "CassandraCluster",
        "metadata": { "namespace": "ns", "name": "c1" }, "spec": { "backRestSidecar": {} },
        "status": { "phase": "Pending", "lastClusterAction": "ScaleUp", "lastClusterActionStatus": "Ongoing" },
    });
    clusters.take(Event::Apply(serde_json::from_value(object).unwrap()));
    assert_eq!(changed(&mut clusters), [""; 0]);
}

#[test]
fn what_came_or_went_while_the_watch_was_broken_is_a_change() {
    let mut clusters = Clusters::default();
    let named = |name| cluster(name, &json!({}));
    listed(&mut clusters, [named("gone"), named("same"), named("other")]);
    let other = cluster("other", &json!({ "backRestSidecar": { "enabled": false } }));
    // A list that breaks off says nothing.
    clusters.take(Event::Init);
    clusters.take(Event::InitApply(named("same")));
    listed(&mut clusters, [named("same"), other, named("new")]);
    assert_eq!(changed(&mut clusters), ["gone", "new", "other"]);
}

#[test]
fn the_rules_see_what_they_look_at_and_no_status() {
    let mut backup = CassandraBackup::new("nightly", crate::api::CassandraBackupSpec::default());
    backup.metadata.namespace = Some("ns".to_owned());
    backup.metadata.annotations = Some([("a".to_owned(), "b".to_owned())].into());
    backup.spec.secret = Some("s3".to_owned());
    backup.status = Some(crate::api::BackupStatus::default());
    let judged = judged(&backup);
    assert_eq!(
        judged["metadata"],
        json!({ "namespace": "ns", "name": "nightly", "annotations": { "a": "b" } })
    );
    assert_eq!(judged["spec"]["secret"], "s3");
    assert_eq!(judged.get("status"), None);
}
