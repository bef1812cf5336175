use serde_json::{Value, json};

use super::*;

fn now() -> Timestamp {
    "2028-02-29T12:00:00Z".parse().unwrap()
}

fn backup(spec: &Value, status: &Value) -> CassandraBackup {
    let mut backup = json!({
        "apiVersion": "db.orange.com/v2", "kind": "CassandraBackup",
        "metadata": { "name": "nightly", "generation": 1, "creationTimestamp": "2028-02-01T00:00:00Z" },
        "spec": { "cassandraCluster": "c1", "storageLocation": "s3://b" },
        "status": status,
    });
    backup["spec"]
        .as_object_mut()
        .unwrap()
        .extend(spec.as_object().unwrap().clone());
    serde_json::from_value(backup).unwrap()
}

#[test]
fn only_what_runs_or_would_begin_or_remove_asks_for_the_nodes_of_its_cluster() {
    let armed =
        |next: &str| json!({ "schedule": "0 3 * * *", "nextScheduleTime": next, "observedGeneration": 1 });
    let runs = json!({
        "schedule": "0 3 * * *", "nextScheduleTime": "2028-03-01T03:00:00Z", "observedGeneration": 1,
        "condition": { "type": "RUNNING" },
    });
    let nightly = json!({ "schedule": "0 3 * * *" });
    let table = [
        ("new, one-shot", json!({}), Value::Null, true),
        ("new, owed a run", nightly.clone(), Value::Null, true),
        ("at rest", nightly.clone(), armed("2028-03-01T03:00:00Z"), false),
        ("due", nightly.clone(), armed("2028-02-29T03:00:00Z"), true),
        ("at work", nightly.clone(), runs, true),
        (
            "suspended",
            json!({ "schedule": "0 3 * * *", "suspend": true }),
            armed("2028-02-29T03:00:00Z"),
            false,
        ),
        (
            "no schedule at all",
            json!({ "schedule": "61 * * * *" }),
            Value::Null,
            false,
        ),
    ];
    for (what, spec, status, expected) in table {
        let backup = backup(&spec, &status);
        assert_eq!(backup.is_after_nodes(now()), expected, "{what}");
    }
    let judged = json!({ "schedule": "0 3 * * *", "retention": { "keepLast": 1 } });
    let past = |tag: &str| {
        json!({
            "snapshot": format!("{tag}-168d568b-d346-3f61-968f-a2716307a6e4-1835431200123"), "outcome": "COMPLETED",
        })
    };
    let mut two = armed("2028-03-01T03:00:00Z");
    two["condition"] = json!({ "type": "COMPLETED" });
    two["history"] = json!([past("b"), past("a")]);
    assert!(backup(&judged, &two).is_after_nodes(now()), "one too many");
    two["history"] = json!([past("b")]);
    assert!(!backup(&judged, &two).is_after_nodes(now()), "all of them stay");
}
