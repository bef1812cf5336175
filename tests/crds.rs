//! The CRDs in `manifests/crds`: they are generated from the types, and accept every object that CassKop's CRDs accept.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use cassgate::api;
use serde_json::{Map, Value};

/// The keywords that contain subschemas. All other keywords constrain the value itself.
const NESTED: [&str; 3] = ["properties", "items", "additionalProperties"];

fn yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap()
}

fn in_repository(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Returns cassgate's and CassKop's CRD of each judged kind.
fn pairs() -> Vec<(Value, Value)> {
    let ours = api::crd_files().unwrap();
    assert_eq!(ours.len(), 2);
    ours.iter()
        .map(|file| {
            (
                yaml(&file.text),
                yaml(&in_repository(&format!("tests/casskop/crds/{}", file.name))),
            )
        })
        .collect()
}

/// Returns every schema in the only version of a CRD by its path (`.spec.retention`, `.status.nodes[]`, `.spec.rename{}`).
fn schemas(crd: &Value) -> BTreeMap<String, Map<String, Value>> {
    let mut found = BTreeMap::new();
    collect(
        "",
        &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"],
        &mut found,
    );
    found
}

fn collect(path: &str, schema: &Value, found: &mut BTreeMap<String, Map<String, Value>>) {
    found.insert(
        path.to_owned(),
        schema
            .as_object()
            .unwrap_or_else(|| panic!("{path} is no schema"))
            .clone(),
    );
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        collect(&format!("{path}.{name}"), property, found);
    }
    for (key, mark) in [("items", "[]"), ("additionalProperties", "{}")] {
        if let Some(nested) = schema.get(key) {
            collect(&format!("{path}{mark}"), nested, found);
        }
    }
}

/// Returns the constraints of a schema on the value itself: type, format, required names and limits.
fn constraints(schema: &Map<String, Value>) -> BTreeMap<&str, Value> {
    let own = schema
        .iter()
        .filter(|(key, _)| *key != "description" && !NESTED.contains(&key.as_str()));
    own.map(|(key, value)| {
        (
            key.as_str(),
            if key == "required" {
                sorted(value)
            } else {
                value.clone()
            },
        )
    })
    .collect()
}

fn sorted(names: &Value) -> Value {
    let names: BTreeSet<_> = names
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    serde_json::json!(names)
}

#[test]
fn manifests_crds_is_generated_from_the_types() {
    let files = api::crd_files().unwrap();
    for file in &files {
        let path = format!("manifests/crds/{}", file.name);
        assert!(
            in_repository(&path) == file.text,
            "{path} is not what src/api generates: run `make crds` (cassgate crds --dir manifests/crds) and commit it"
        );
    }
    let folder = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests/crds")).unwrap();
    let there: BTreeSet<_> = folder
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let generated = files.into_iter().map(|file| file.name);
    let with_kustomize: BTreeSet<_> = generated.chain(["kustomization.yaml".to_owned()]).collect();
    assert_eq!(
        there, with_kustomize,
        "manifests/crds has the generated files and their kustomization, and nothing else"
    );
}

#[test]
fn every_field_of_casskops_schema_is_in_ours_with_the_same_type_and_without_a_limit() {
    for (ours, theirs) in pairs() {
        let (ours, theirs) = (schemas(&ours), schemas(&theirs));
        assert!(
            theirs.len() > 25,
            "CassKop's schema has more fields than these: {theirs:?}"
        );
        for (path, theirs) in &theirs {
            let ours = ours
                .get(path)
                .unwrap_or_else(|| panic!("{path} of CassKop's schema is not in ours"));
            assert_eq!(constraints(ours), constraints(theirs), "{path}");
        }
    }
}

#[test]
fn the_names_are_the_same_as_in_casskops_crds() {
    for (ours, theirs) in pairs() {
        assert_eq!(ours["metadata"]["name"], theirs["metadata"]["name"]);
        for key in ["group", "scope"] {
            assert_eq!(ours["spec"][key], theirs["spec"][key], "{key}");
        }
        for (key, name) in theirs["spec"]["names"].as_object().unwrap() {
            assert_eq!(&ours["spec"]["names"][key], name, "{key}");
        }
        assert_eq!(ours["spec"]["versions"].as_array().unwrap().len(), 1);
        for key in ["name", "served", "storage"] {
            assert_eq!(
                ours["spec"]["versions"][0][key], theirs["spec"]["versions"][0][key],
                "{key}"
            );
        }
    }
}

#[test]
fn only_our_crds_have_a_status_subresource() {
    for (ours, theirs) in pairs() {
        assert_eq!(
            ours["spec"]["versions"][0]["subresources"],
            serde_json::json!({ "status": {} })
        );
        assert_eq!(theirs["spec"]["versions"][0].get("subresources"), None);
    }
}

#[test]
fn the_clusters_crd_of_the_tests_has_casskops_short_names_and_keeps_unknown_fields() {
    let crd = yaml(&in_repository("tests/casskop/crds/cassandraclusters.yaml"));
    assert_eq!(
        crd["spec"]["names"]["shortNames"],
        serde_json::json!(["cassc", "casscs"])
    );
    assert_eq!(
        crd["spec"]["versions"][0]["subresources"],
        serde_json::json!({ "status": {} })
    );
    assert_eq!(
        schemas(&crd)[".spec"]["x-kubernetes-preserve-unknown-fields"],
        true
    );
    assert_eq!(schemas(&crd)[""].get("required"), None);
}

#[test]
fn the_fields_that_cassgate_adds_are_these() {
    let own = |ours: &Value, theirs: &Value, part: &str| -> Vec<String> {
        let theirs = schemas(theirs);
        let depth = part.matches('.').count() + 1;
        let fields = schemas(ours)
            .into_keys()
            .filter(|path| path.starts_with(part) && path.matches('.').count() == depth);
        fields
            .filter(|path| !theirs.contains_key(path) && !path.ends_with("[]"))
            .collect()
    };
    let pairs = pairs();
    let (backup, restore) = (&pairs[0], &pairs[1]);
    assert_eq!(
        own(&backup.0, &backup.1, ".spec"),
        [
            ".spec.clusterName",
            ".spec.concurrencyPolicy",
            ".spec.nodes",
            ".spec.retention",
            ".spec.startingDeadlineSeconds",
            ".spec.suspend",
            ".spec.timeZone"
        ]
    );
    assert_eq!(
        own(&restore.0, &restore.1, ".spec"),
        [".spec.nodes", ".spec.snapshot"]
    );
    assert_eq!(
        own(&backup.0, &backup.1, ".status"),
        [
            ".status.clusterName",
            ".status.conditions",
            ".status.entityLists",
            ".status.history",
            ".status.lastScheduleTime",
            ".status.missedRuns",
            ".status.nextScheduleTime",
            ".status.noProgressSince",
            ".status.nodes",
            ".status.observedGeneration",
            ".status.resumedSince",
            ".status.retention",
            ".status.ringUnsettledSince",
            ".status.rings",
            ".status.run",
            ".status.schedule",
            ".status.snapshotTag",
            ".status.waitingSince"
        ]
    );
    assert_eq!(
        own(&restore.0, &restore.1, ".status"),
        [
            ".status.clusterGoneSince",
            ".status.clusterName",
            ".status.conditions",
            ".status.givingUp",
            ".status.noProgressSince",
            ".status.nodes",
            ".status.observedGeneration",
            ".status.phase",
            ".status.proposedNodes",
            ".status.resumedSince",
            ".status.ringUnsettledSince",
            ".status.source",
            ".status.truncation",
            ".status.waitingSince"
        ]
    );
}

#[test]
fn the_schema_has_no_defaults_and_no_nullable_fields() {
    for (crd, _) in pairs() {
        for (path, schema) in schemas(&crd) {
            for key in [
                "nullable", "default", "title", "anyOf", "oneOf", "allOf", "not", "$ref",
            ] {
                assert_eq!(schema.get(key), None, "{key} of {path}");
            }
            let format = schema.get("format").and_then(Value::as_str);
            assert!(
                matches!(format, None | Some("int32" | "int64" | "date-time")),
                "{path}: {format:?}"
            );
        }
    }
}

#[test]
fn every_field_has_a_description_for_kubectl_explain() {
    for (crd, _) in pairs() {
        for (path, schema) in schemas(&crd) {
            let described = schema
                .get("description")
                .and_then(Value::as_str)
                .unwrap_or_default();
            // The API server has its own description of `metadata` and rejects another. A list of strings or numbers has one
            // description.
            let is_plain_item =
                path.ends_with("[]") && (schema["type"] == "string" || schema["type"] == "integer");
            let undescribed = path == ".metadata" || path.ends_with("{}") || is_plain_item;
            assert_eq!(described.ends_with('.'), !undescribed, "{path}: {described:?}");
            let lines = described.lines();
            assert!(
                lines.clone().all(|line| line.len() <= 72 || !line.contains(' ')),
                "{path}: {described}"
            );
        }
    }
}

#[test]
fn the_concurrency_policy_is_an_enum_and_its_field_describes_the_values() {
    let (backup, _) = &pairs()[0];
    let policy = &schemas(backup)[".spec.concurrencyPolicy"];
    assert_eq!(policy["enum"], serde_json::json!(["Allow", "Forbid", "Replace"]));
    assert!(
        policy["description"]
            .as_str()
            .unwrap()
            .starts_with("The policy for a run that is due")
    );
}

#[test]
fn kubectl_get_shows_the_most_important_columns_first() {
    let columns = |crd: &Value| -> Vec<String> {
        let columns = crd["spec"]["versions"][0]["additionalPrinterColumns"]
            .as_array()
            .unwrap();
        let line = |column: &Value| {
            let wide = if column["priority"] == 1 { " (wide)" } else { "" };
            format!(
                "{}{wide} {}",
                column["name"].as_str().unwrap(),
                column["jsonPath"].as_str().unwrap()
            )
        };
        columns.iter().map(line).collect()
    };
    let pairs = pairs();
    assert_eq!(
        columns(&pairs[0].0),
        [
            "Cluster .spec.cassandraCluster",
            "Datacenter (wide) .spec.datacenter",
            "Schedule .spec.schedule",
            "Tag (wide) .spec.snapshotTag",
            "State .status.condition.type",
            "Progress .status.progress",
            "Last Run .status.timeStarted",
            "Age .metadata.creationTimestamp",
        ]
    );
    assert_eq!(
        columns(&pairs[1].0),
        [
            "Cluster .spec.cassandraCluster",
            "Backup .spec.cassandraBackup",
            "Datacenter (wide) .spec.datacenter",
            "State .status.condition.type",
            "Progress .status.progress",
            "Age .metadata.creationTimestamp",
        ]
    );
}

#[test]
fn every_column_shows_a_field_that_exists() {
    for (crd, _) in pairs() {
        let known = schemas(&crd);
        for column in crd["spec"]["versions"][0]["additionalPrinterColumns"]
            .as_array()
            .unwrap()
        {
            let path = column["jsonPath"].as_str().unwrap();
            assert!(
                known.contains_key(path) || path == ".metadata.creationTimestamp",
                "{path}"
            );
        }
    }
}

#[test]
fn the_kinds_have_additional_short_names_and_a_category() {
    let names = |crd: &Value| {
        (
            crd["spec"]["names"]["shortNames"].clone(),
            crd["spec"]["names"]["categories"].clone(),
        )
    };
    let pairs = pairs();
    assert_eq!(
        names(&pairs[0].0),
        (
            serde_json::json!(["cassb", "cassbs"]),
            serde_json::json!(["cassandra"])
        )
    );
    assert_eq!(
        names(&pairs[1].0),
        (
            serde_json::json!(["cassr", "cassrs"]),
            serde_json::json!(["cassandra"])
        )
    );
}

#[test]
fn the_generated_text_names_its_origin_and_parses_as_the_crds() {
    let stream = api::crds_yaml().unwrap();
    assert!(
        stream.starts_with("# Generated from src/api by `make crds`"),
        "{stream:.80}"
    );
    let read: Vec<Value> = serde_saphyr::from_multiple(&stream).unwrap();
    let crds: Vec<Value> = api::crds()
        .iter()
        .map(|crd| serde_json::to_value(crd).unwrap())
        .collect();
    assert_eq!(read, crds);
}
