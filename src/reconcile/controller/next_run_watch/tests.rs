use kube::runtime::watcher::Event;
use serde_json::json;

use super::*;

fn cluster(name: &str, spec: &Value) -> GuardedCluster {
    let object = json!({
        "apiVersion": "db.orange.com/v2", "kind": "CassandraCluster",
        "metadata": { "namespace": "ns", "name": name }, "spec": spec,
    });
    serde_json::from_value(object).unwrap()
}

fn with(sidecar: &Value) -> GuardedCluster {
    cluster("c1", &json!({ "backRestSidecar": sidecar }))
}

fn list(clusters: &mut Clusters, all: impl IntoIterator<Item = GuardedCluster>) {
    clusters.apply(Event::Init);
    for cluster in all {
        clusters.apply(Event::InitApply(cluster));
    }
    clusters.apply(Event::InitDone);
}

fn changed(clusters: &mut Clusters) -> Vec<String> {
    let mut names: Vec<_> = clusters
        .take_changed()
        .into_iter()
        .map(|(_, name)| name)
        .collect();
    names.sort();
    names
}

#[test]
fn a_change_that_matters_to_the_rules_causes_two_judgements() {
    let mut clusters = Clusters::default();
    list(&mut clusters, [with(&json!({}))]);
    assert_eq!(changed(&mut clusters), [""; 0], "the first list is not a change");
    for sidecar in [
        json!({ "enabled": false }),
        json!({}),
        json!({ "image": "icarus:2.0.4" }),
        json!({ "enabled": "no" }),
    ] {
        clusters.apply(Event::Apply(with(&sidecar)));
        clusters.apply(Event::Apply(with(&sidecar)));
        assert_eq!(changed(&mut clusters), ["c1"], "{sidecar}");
        assert_eq!(changed(&mut clusters), ["c1"], "{sidecar}");
        assert_eq!(changed(&mut clusters), [""; 0], "{sidecar}");
    }
    clusters.apply(Event::Delete(with(&json!({}))));
    assert_eq!(changed(&mut clusters), ["c1"]);
}

#[test]
fn the_progress_of_casskop_is_not_a_change() {
    let mut clusters = Clusters::default();
    list(&mut clusters, [with(&json!({}))]);
    let object = json!({
        "apiVersion": "db.orange.com/v2", "kind": "CassandraCluster",
        "metadata": { "namespace": "ns", "name": "c1" }, "spec": { "backRestSidecar": {} },
        "status": { "phase": "Pending", "lastClusterAction": "ScaleUp", "lastClusterActionStatus": "Ongoing" },
    });
    clusters.apply(Event::Apply(serde_json::from_value(object).unwrap()));
    assert_eq!(changed(&mut clusters), [""; 0]);
}

#[test]
fn a_difference_between_two_lists_is_a_change() {
    let mut clusters = Clusters::default();
    let named = |name| cluster(name, &json!({}));
    list(&mut clusters, [named("gone"), named("same"), named("other")]);
    let other = cluster("other", &json!({ "backRestSidecar": { "enabled": false } }));
    // An incomplete list has no effect.
    clusters.apply(Event::Init);
    clusters.apply(Event::InitApply(named("same")));
    list(&mut clusters, [named("same"), other, named("new")]);
    assert_eq!(changed(&mut clusters), ["gone", "new", "other"]);
}

#[test]
fn the_rules_get_metadata_and_spec_without_status() {
    let mut backup = CassandraBackup::new("nightly", crate::api::CassandraBackupSpec::default());
    backup.metadata.namespace = Some("ns".to_owned());
    backup.metadata.annotations = Some([("a".to_owned(), "b".to_owned())].into());
    backup.spec.secret = Some("s3".to_owned());
    backup.status = Some(crate::api::BackupStatus::default());
    let value = judged_value(&backup);
    assert_eq!(
        value["metadata"],
        json!({ "namespace": "ns", "name": "nightly", "annotations": { "a": "b" } })
    );
    assert_eq!(value["spec"]["secret"], "s3");
    assert_eq!(value.get("status"), None);
}
