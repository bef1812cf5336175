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

/// Returns the managers that own a field, by `managedFields`.
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

pub(crate) fn the_merged_object_is_judged_for_every_manager() {
    let here = Guarded::new(Crds::Ours, &["--executor=none"]);
    let kubectl = here.kubectl();
    kubectl.apply(&documents(&[cluster(), secret()])).succeeds();
    apply_as(kubectl, "team", &backup("b1", "")).succeeds();
    let wrong = "apiVersion: db.orange.com/v2\nkind: CassandraBackup\nmetadata:\n  name: b1\nspec:\n  datacenter: dc9\n";
    apply_as(kubectl, "operations", wrong).refused_with(&[
        "spec.datacenter: Not found: \"dc9\"",
        "[cassgate datacenter-unknown]",
    ]);
}

/// A user who leaves a field to cassgate can apply the same file again and again.
pub(crate) fn defaulted_fields_have_no_owner_and_stay() {
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
