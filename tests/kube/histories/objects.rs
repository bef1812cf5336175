//! The API objects of a history.

use cassgate::domain::image::Version;
use serde_json::{Value, json};

const API_VERSION: &str = "db.orange.com/v2";

/// Returns the cluster `c1`, whose sidecars have this version.
pub(super) fn cluster(version: &str) -> Value {
    assert!(Version::parse(version).is_some());
    json!({
        "apiVersion": API_VERSION, "kind": "CassandraCluster",
        "metadata": { "name": "c1" },
        "spec": {
            "nodesPerRacks": 1,
            "dataCapacity": "1Gi",
            "topology": { "dc": [{ "name": "dc1", "rack": [{ "name": "rack1" }] }] },
            "backRestSidecar": { "image": format!("ghcr.io/cscetbon/instaclustr-icarus:{version}") },
        },
    })
}

/// Returns a backup of the keyspace `k1` with these additional fields.
pub(super) fn backup(name: &str, more: &Value) -> Value {
    let mut spec = json!({
        "cassandraCluster": "c1", "storageLocation": "s3://bucket", "snapshotTag": name, "secret": "s3",
        "entities": "k1",
    });
    for (field, value) in more.as_object().unwrap() {
        spec[field] = value.clone();
    }
    json!({ "apiVersion": API_VERSION, "kind": "CassandraBackup", "metadata": { "name": name }, "spec": spec })
}

/// Returns a restore of a backup.
pub(super) fn restore(name: &str, backup: &str) -> Value {
    json!({
        "apiVersion": API_VERSION, "kind": "CassandraRestore", "metadata": { "name": name },
        "spec": { "cassandraCluster": "c1", "cassandraBackup": backup },
    })
}

/// Returns the status of a pod whose sidecar does not run.
pub(super) fn without_sidecar(mut reported: Value) -> Value {
    let sidecar = &mut reported["status"]["containerStatuses"][1];
    sidecar["state"] = json!({ "waiting": { "reason": "CrashLoopBackOff" } });
    sidecar["ready"] = json!(false);
    reported
}
