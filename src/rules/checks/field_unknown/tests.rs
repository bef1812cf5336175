//! Tests of unknown fields.

use super::check;
use crate::api::Kind;
use serde_json::{Value, json};

fn found(kind: Kind, object: &Value) -> Vec<(String, String)> {
    check(kind, object)
        .iter()
        .map(|finding| (finding.path.clone(), finding.text()))
        .collect()
}

/// Returns the path of the only finding and its text, without the rule.
fn one(kind: Kind, object: &Value) -> (String, String) {
    let found = found(kind, object);
    let [(path, text)] = found.as_slice() else {
        panic!("{object}: {found:?}")
    };
    assert!(text.ends_with(" [cassgate field-unknown]"), "{text}");
    (
        path.clone(),
        text.trim_end_matches(" [cassgate field-unknown]").to_owned(),
    )
}

/// Asserts the path of the only finding of each object, and the end of its text.
fn assert_remedies(cases: impl IntoIterator<Item = (Kind, Value, &'static str, &'static str)>) {
    for (kind, object, path, remedy) in cases {
        let (actual, text) = one(kind, &object);
        assert_eq!(actual, path, "{object}");
        assert!(text.ends_with(remedy), "{object}: {text}");
    }
}

#[test]
fn a_misspelt_field_is_reported_with_the_field_that_was_meant() {
    use Kind::{Backup, Restore};
    assert_remedies([
        (
            Backup,
            json!({"spec": {"shedule": "@daily"}}),
            "spec.shedule",
            "write spec.schedule",
        ),
        (
            Backup,
            json!({"spec": {"entites": "k1"}}),
            "spec.entites",
            "write spec.entities",
        ),
        (
            Backup,
            json!({"spec": {"entity": "k1"}}),
            "spec.entity",
            "write spec.entities",
        ),
        (
            Backup,
            json!({"spec": {"cassandracluster": "c"}}),
            "spec.cassandracluster",
            "write spec.cassandraCluster",
        ),
        (
            Backup,
            json!({"spec": {"storage_location": "c"}}),
            "spec.storage_location",
            "write spec.storageLocation",
        ),
        (
            Backup,
            json!({"schedule": "@daily"}),
            "schedule",
            "write spec.schedule",
        ),
        (
            Backup,
            json!({"spec": {"keepLast": 3}}),
            "spec.keepLast",
            "write spec.retention.keepLast",
        ),
        (
            Backup,
            json!({"spec": {"retention": {"keeplast": 3}}}),
            "spec.retention.keeplast",
            "write spec.retention.keepLast",
        ),
        (
            Backup,
            json!({"spec": {"location": "s3://b"}}),
            "spec.location",
            "write spec.storageLocation",
        ),
        (
            Restore,
            json!({"spec": {"concurrentConnections": 3}}),
            "spec.concurrentConnections",
            "write spec.concurrentConnection",
        ),
        (
            Restore,
            json!({"spec": {"backup": "b"}}),
            "spec.backup",
            "write spec.cassandraBackup",
        ),
        (
            Backup,
            json!({"spec": {"concurrentConnection": 3}}),
            "spec.concurrentConnection",
            "write spec.concurrentConnections",
        ),
        (
            Backup,
            json!({"spec": {"cluster": "c"}}),
            "spec.cluster",
            "write spec.cassandraCluster",
        ),
        (
            Restore,
            json!({"spec": {"clusterName": "c"}}),
            "spec.clusterName",
            "write spec.cassandraCluster",
        ),
        (
            Backup,
            json!({"spec": {"snapshot": "t"}}),
            "spec.snapshot",
            "write spec.snapshotTag",
        ),
    ]);
}

#[test]
fn a_misplaced_field_is_reported_with_its_place_or_its_replacement() {
    use Kind::{Backup, Restore};
    assert_remedies([
        (
            Backup,
            json!({"metadata": {"label": {}}}),
            "metadata.label",
            "write metadata.labels",
        ),
        (
            Restore,
            json!({"spec": {"storageLocation": "s3://b"}}),
            "spec.storageLocation",
            "it is a field of a CassandraBackup; remove it from this object",
        ),
        (
            Backup,
            json!({"spec": {"cassandraBackup": "b"}}),
            "spec.cassandraBackup",
            "it is a field of a CassandraRestore; remove it from this object",
        ),
        (
            Backup,
            json!({"spec": {"exactSchemaVersion": true}}),
            "spec.exactSchemaVersion",
            "it is a field of a CassandraRestore; remove it from this object",
        ),
        (
            Restore,
            json!({"spec": {"snapshotTag": "t"}}),
            "spec.snapshotTag",
            "spec.snapshot names one run of a scheduled backup",
        ),
        (
            Restore,
            json!({"spec": {"keyspaces": ["k1"]}}),
            "spec.keyspaces",
            "write the keyspaces as spec.entities: k1,k2",
        ),
        (
            Backup,
            json!({"spec": {"tables": ["k1.t1"]}}),
            "spec.tables",
            "write the tables as spec.entities: k1.t1,k1.t2",
        ),
        (
            Backup,
            json!({"spec": {"zzz": "b"}}),
            "spec.zzz",
            "the command kubectl explain cassandrabackup lists the fields",
        ),
    ]);
}

#[test]
fn known_fields_and_free_keys_have_no_finding() {
    let backup = json!({
        "apiVersion": "db.orange.com/v2", "kind": "CassandraBackup",
        "metadata": {"name": "b", "labels": {"any": ""}, "annotations": {"any": ""}, "managedFields": [{"x": 1}]},
        "spec": {"cassandraCluster": "c", "suspend": true, "retention": {"keepDays": 1}, "nodes": [{"hostId": "h"}]},
        "status": {"condition": {"type": "COMPLETED"}, "progress": "100%"},
    });
    assert_eq!(found(Kind::Backup, &backup), []);
    let restore = json!({"spec": {"rename": {"k1.t1": "k1.t2"}, "cassandraBackup": "b"}});
    assert_eq!(found(Kind::Restore, &restore), []);
    let nested = json!({"spec": {"nodes": [{"hostId": "h"}, {"hostID": "h"}]}});
    assert_eq!(one(Kind::Backup, &nested).0, "spec.nodes[1].hostID");
}

#[test]
fn only_the_outermost_unknown_field_is_reported_and_no_value_is_repeated() {
    let object = json!({"spec": {"zzz": {"yyy": {"topsecret": 1}}}});
    let [(path, text)] = &found(Kind::Backup, &object)[..] else {
        panic!()
    };
    assert_eq!(path, "spec.zzz");
    assert!(!text.contains("topsecret"), "{text}");
    let line = json!({"awssecretaccesskey=topsecret": null});
    assert_eq!(one(Kind::Backup, &line).0, "awssecretaccesskey…");
}
