//! Tests of unknown fields.

use super::{Schema, check};
use crate::api::{Kind, crds};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::env;
use std::fs;

/// Returns the schema of a kind from its CRD.
fn of_crd(kind: Kind) -> Schema {
    let all = crds()
        .into_iter()
        .filter(|crd| crd.spec.names.kind == kind.as_str());
    let mut fields = BTreeMap::new();
    for version in all.flat_map(|crd| crd.spec.versions) {
        let Schema::Fields(own) = of_props(&version.schema.unwrap().open_api_v3_schema.unwrap()) else {
            panic!("{kind:?} has no fields");
        };
        fields.extend(own);
    }
    Schema::Fields(fields)
}

fn of_props(props: &JSONSchemaProps) -> Schema {
    if props.x_kubernetes_preserve_unknown_fields == Some(true) {
        return Schema::Any;
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &props.additional_properties {
        return Schema::Values(Box::new(of_props(values)));
    }
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &props.items {
        return Schema::Values(Box::new(of_props(items)));
    }
    match &props.properties {
        Some(properties) => Schema::Fields(
            properties
                .iter()
                .map(|(name, props)| (name.clone(), of_props(props)))
                .collect(),
        ),
        None => Schema::Any,
    }
}

/// Returns the paths of the fields that contain no other field.
fn paths(schema: &Schema, path: &str) -> Vec<String> {
    match schema {
        Schema::Any => vec![path.to_owned()],
        Schema::Values(inner) => paths(inner, &format!("{path}[]")),
        Schema::Fields(fields) => {
            let dot = if path.is_empty() { "" } else { "." };
            let below = |(name, inner): (&String, &Schema)| paths(inner, &format!("{path}{dot}{name}"));
            fields.iter().flat_map(below).collect()
        }
    }
}

#[test]
fn the_list_has_the_fields_of_the_crds() {
    let kinds = [Kind::Backup, Kind::Restore];
    let of_kind = |kind: Kind| {
        let paths = paths(&of_crd(kind), "");
        paths
            .into_iter()
            .map(move |path| format!("{} {path}\n", kind.as_str()))
    };
    let expected: String = kinds.into_iter().flat_map(of_kind).collect();
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/src/rules/checks/field_unknown/fields.txt"
    );
    if env::var_os("UPDATE_PAGES").is_some() {
        fs::write(file, &expected).unwrap();
    }
    assert_eq!(
        fs::read_to_string(file).unwrap(),
        expected,
        "UPDATE_PAGES=1 writes the list"
    );
    for kind in kinds {
        assert_eq!(Schema::listed(&expected, kind), of_crd(kind));
    }
}

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
