use jiff::Timestamp;
use serde_json::{Value, json};

use super::cached::trim;
use super::{Plannable, ReconciledObject};
use crate::api::CassandraBackup;
use crate::reconcile::plan::{self, needs};
use crate::reconcile::queue::order::Queued;

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
fn a_backup_needs_the_nodes_of_its_cluster_only_to_run_or_to_prune() {
    let armed =
        |next: &str| json!({ "schedule": "0 3 * * *", "nextScheduleTime": next, "observedGeneration": 1 });
    let running = json!({
        "schedule": "0 3 * * *", "nextScheduleTime": "2028-03-01T03:00:00Z", "observedGeneration": 1,
        "condition": { "type": "RUNNING" },
    });
    let nightly = json!({ "schedule": "0 3 * * *" });
    let table = [
        ("new, one-shot", json!({}), Value::Null, true),
        ("new, scheduled", nightly.clone(), Value::Null, true),
        ("armed", nightly.clone(), armed("2028-03-01T03:00:00Z"), false),
        ("due", nightly.clone(), armed("2028-02-29T03:00:00Z"), true),
        ("running", nightly.clone(), running, true),
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
    for (case, spec, status, expected) in table {
        let backup = backup(&spec, &status);
        assert_eq!(backup.needs_nodes(now()), expected, "{case}");
    }
    let with_retention = json!({ "schedule": "0 3 * * *", "retention": { "keepLast": 1 } });
    let past = |tag: &str| {
        json!({
            "snapshot": format!("{tag}-168d568b-d346-3f61-968f-a2716307a6e4-1835431200123"), "outcome": "COMPLETED",
        })
    };
    let mut two = armed("2028-03-01T03:00:00Z");
    two["condition"] = json!({ "type": "COMPLETED" });
    two["history"] = json!([past("b"), past("a")]);
    assert!(
        backup(&with_retention, &two).needs_nodes(now()),
        "one snapshot too many"
    );
    two["history"] = json!([past("b")]);
    assert!(
        !backup(&with_retention, &two).needs_nodes(now()),
        "every snapshot stays"
    );
}

/// Returns everything that is concluded from a cached object.
fn conclusions(backup: &CassandraBackup) -> String {
    let common = &backup.status.as_ref().unwrap().common;
    format!(
        "{:?} {:?} {:?} {:?} {} {} {}",
        backup.next_wake(now()),
        backup.queue_entry(now()),
        needs::recorded(common),
        plan::waiting_condition(common).map(|condition| &condition.reason),
        common.true_condition("Stalled").is_some(),
        backup.is_contested(),
        backup.run_has_started(),
    )
}

#[test]
fn a_trimmed_object_leads_to_the_same_conclusions() {
    let condition = |type_: &str, status: &str, reason: &str| {
        json!({
            "type": type_, "status": status, "reason": reason, "message": "in many words, one after the other",
            "lastTransitionTime": "2028-02-29T03:00:00Z",
        })
    };
    let usual = [
        condition("ReferencesResolved", "True", "Resolved"),
        condition("Complete", "True", "Completed"),
        condition("Failed", "False", "Completed"),
        condition("Stalled", "False", "Scheduled"),
        condition("Reconciling", "False", "Scheduled"),
        condition("Ready", "True", "Scheduled"),
    ];
    let with = |other: Value| {
        let mut all = usual.to_vec();
        all.retain(|one| one["type"] != other["type"]);
        all.push(other);
        all
    };
    let table = [
        (usual.to_vec(), 1),
        (with(condition("Ready", "False", "SecretNotFound")), 2),
        (with(condition("Ready", "Unknown", "Scheduled")), 2),
        (
            with(condition("ReferencesResolved", "False", "SecretNotFound")),
            2,
        ),
        (with(condition("Failed", "True", "BackupFailed")), 2),
        (with(condition("Stalled", "True", "AnotherExecutor")), 2),
        (with(condition("Reconciling", "True", "Queued")), 6),
    ];
    for ((conditions, kept), schedule) in table
        .into_iter()
        .flat_map(|row| [(row.clone(), None), (row, Some("0 3 * * *"))])
    {
        let status = json!({
            "schedule": schedule, "nextScheduleTime": schedule.map(|_| "2028-03-01T03:00:00Z"),
            "observedGeneration": 1, "snapshotTag": "a", "condition": { "type": "COMPLETED" },
            "nodes": [{ "hostId": "1" }, { "hostId": "2" }],
            "history": [{ "snapshot": "a", "outcome": "COMPLETED" }],
            "conditions": &conditions,
        });
        let mut backup = backup(&json!({ "schedule": schedule }), &status);
        let before = conclusions(&backup);
        trim(&mut backup);
        assert_eq!(conclusions(&backup), before, "{conditions:?}");
        let common = &backup.status.unwrap().common;
        assert_eq!(common.conditions.len(), kept, "{conditions:?}");
        assert!(common.nodes.is_empty());
    }
}
