//! Server-side apply by several managers.

use serde_json::Value;

use crate::support::{
    kubectl::{Answer, Kubectl},
    objects::{backup, cluster, documents, secret},
    servers::Crds,
    stage::Guarded,
};

fn apply_as(kubectl: &Kubectl, manager: &str, manifest: &str) -> Answer {
    let manager = format!("--field-manager={manager}");
    kubectl.run_with(&["apply", "--server-side", &manager, "-f", "-"], manifest)
}

/// Which manager owns a field, by what the API server keeps of it.
fn owners(object: &Value, path: &[&str]) -> Vec<String> {
    let managers = object["metadata"]["managedFields"].as_array().unwrap();
    let owns = |entry: &&Value| {
        path.iter()
            .try_fold(&entry["fieldsV1"], |fields, name| fields.get(format!("f:{name}")))
            .is_some()
    };
    managers
        .iter()
        .filter(owns)
        .map(|entry| entry["manager"].as_str().unwrap().to_owned())
        .collect()
}

pub(crate) fn two_managers_share_one_backup() {
    let here = Guarded::new(Crds::Ours, &["--executor=none"]);
    let kubectl = here.kubectl();
    kubectl.apply(&documents(&[cluster(), secret()])).succeeds();
    apply_as(kubectl, "team", &backup("b1", "")).says("cassandrabackup.db.orange.com/b1 serverside-applied");
    let labels = "apiVersion: db.orange.com/v2\nkind: CassandraBackup\nmetadata:\n  name: b1\n  labels: {team: data}\n";
    apply_as(kubectl, "argocd", labels).says("cassandrabackup.db.orange.com/b1 serverside-applied");
    let speed = "apiVersion: db.orange.com/v2\nkind: CassandraBackup\nmetadata:\n  name: b1\nspec:\n  bandwidth: 10M\n";
    apply_as(kubectl, "operations", speed).says("cassandrabackup.db.orange.com/b1 serverside-applied");

    let stored: Value = serde_json::from_str(
        &kubectl
            .run(&[
                "get",
                "cassandrabackup",
                "b1",
                "--output=json",
                "--show-managed-fields",
            ])
            .succeeds()
            .stdout,
    )
    .unwrap();
    assert_eq!(stored["spec"]["bandwidth"], "10M");
    assert_eq!(stored["spec"]["storageLocation"], "s3://bucket");
    assert_eq!(owners(&stored, &["spec", "storageLocation"]), ["team"]);
    assert_eq!(owners(&stored, &["spec", "bandwidth"]), ["operations"]);
    assert_eq!(owners(&stored, &["metadata", "labels", "team"]), ["argocd"]);
}

pub(crate) fn the_merged_object_is_judged_whoever_applies() {
    let here = Guarded::new(Crds::Ours, &["--executor=none"]);
    let kubectl = here.kubectl();
    kubectl.apply(&documents(&[cluster(), secret()])).succeeds();
    apply_as(kubectl, "team", &backup("b1", "")).succeeds();
    let wrong = "apiVersion: db.orange.com/v2\nkind: CassandraBackup\nmetadata:\n  name: b1\nspec:\n  datacenter: dc9\n";
    apply_as(kubectl, "operations", wrong)
        .refused_with(&["spec.datacenter: Not found: \"dc9\"", "[datacenter-unknown]"]);
}

/// Whoever leaves a field to cassgate may apply the same file for ever.
pub(crate) fn what_was_filled_in_belongs_to_nobody_and_stays() {
    let here = Guarded::new(Crds::Ours, &["--executor=none"]);
    let kubectl = here.kubectl();
    kubectl.apply(&documents(&[cluster(), secret()])).succeeds();
    for _ in 0..3 {
        apply_as(kubectl, "team", &backup("b1", ""))
            .says("cassandrabackup.db.orange.com/b1 serverside-applied");
    }
    let stored = kubectl.get("cassandrabackup", "b1");
    assert_eq!(stored["spec"]["concurrentConnections"], 10);
    assert_eq!(
        stored["metadata"]["generation"], 1,
        "applying it again changed nothing"
    );
}
