use serde_json::{Value, json};

use super::*;

const NOW: &str = "2026-11-23T12:00:00Z";

fn backup(name: &str, spec: &Value, status: &Value) -> Box<CassandraBackup> {
    let mut object = json!({
        "apiVersion": "db.orange.com/v2", "kind": "CassandraBackup",
        "metadata": { "namespace": "ns", "name": name, "creationTimestamp": "2026-11-01T00:00:00Z" },
        "spec": { "cassandraCluster": "c1", "storageLocation": "s3://bk" },
        "status": status,
    });
    object["spec"]
        .as_object_mut()
        .unwrap()
        .extend(spec.as_object().unwrap().clone());
    Box::new(serde_json::from_value(object).unwrap())
}

fn count(backups: &[Box<CassandraBackup>]) -> Census {
    census(
        backups,
        &Vec::<Box<CassandraRestore>>::new(),
        NOW.parse().unwrap(),
    )
}

fn waiting(reason: &str, stalled: bool) -> Value {
    let condition = |type_: &str| {
        json!({ "type": type_, "status": "True", "reason": reason, "message": "",
            "lastTransitionTime": NOW })
    };
    let mut conditions = vec![condition("Reconciling")];
    if stalled {
        conditions.push(condition("Stalled"));
    }
    json!({ "conditions": conditions })
}

#[test]
fn open_runs_are_counted_by_state() {
    let running = json!({ "condition": { "type": "RUNNING" } });
    let finished = json!({ "condition": { "type": "FAILED" } });
    let all = [
        backup("a", &json!({}), &waiting("Queued", false)),
        backup("b", &json!({}), &waiting("SecretNotFound", false)),
        backup("c", &json!({}), &waiting("Refused", true)),
        backup("d", &json!({}), &waiting("Suspended", false)),
        backup("e", &json!({}), &running),
        backup("f", &json!({}), &finished),
        backup("g", &json!({}), &Value::Null),
    ];
    let one_of_each = RunState::ALL.iter().map(|&state| ((RunKind::Backup, state), 1));
    assert_eq!(count(&all).open, one_of_each.collect());
}

#[test]
fn the_age_counts_from_the_last_success_or_else_from_the_creation() {
    let history = json!({ "history": [
        { "snapshot": "c", "outcome": "FAILED", "started": "2026-11-23T03:00:00Z", "completed": "2026-11-23T03:10:00Z" },
        { "snapshot": "b", "outcome": "COMPLETED", "started": "2026-11-22T03:00:00Z", "completed": "2026-11-22T03:10:00Z" },
        { "snapshot": "a", "outcome": "COMPLETED", "started": "2026-11-21T03:00:00Z", "completed": "2026-11-21T03:10:00Z" },
    ], "missedRuns": 4, "nextScheduleTime": "2026-11-23T11:59:00Z" });
    let nightly = json!({ "schedule": "0 3 * * *" });
    let census = count(&[
        backup("one", &nightly, &history),
        backup("new", &nightly, &Value::Null),
        backup("once", &json!({}), &Value::Null),
    ]);
    assert_eq!((census.scheduled, census.lag), (2, 60));
    let [new, one] = census.backups.as_slice() else {
        panic!("{census:?}")
    };
    assert_eq!(
        (new.name.as_str(), new.last_success, new.missed),
        ("new", None, 0)
    );
    assert_eq!(new.age, Some(22 * 86_400 + 12 * 3_600));
    let completed: Timestamp = "2026-11-22T03:10:00Z".parse().unwrap();
    assert_eq!(one.last_success, Some(completed.as_second()));
    assert_eq!(
        (one.age, one.interval, one.missed),
        (Some(32 * 3_600 + 50 * 60), Some(86_400), 4)
    );
}

#[test]
fn a_weekend_without_slots_lengthens_the_interval() {
    // Friday the 20th, then Monday and Tuesday.
    let friday = json!({ "history": [
        { "snapshot": "a", "outcome": "COMPLETED", "started": "2026-11-20T03:00:00Z", "completed": "2026-11-20T03:10:00Z" },
    ] });
    let census = count(&[backup("b", &json!({ "schedule": "0 3 * * 1-5" }), &friday)]);
    assert_eq!(census.backups[0].interval, Some(2 * 86_400));
    let every = count(&[backup("b", &json!({ "schedule": "@every 6h" }), &friday)]);
    assert_eq!(every.backups[0].interval, Some(6 * 3_600));
}

#[test]
fn a_suspended_schedule_has_no_lag_and_no_age() {
    let suspended = json!({ "schedule": "0 3 * * *", "suspend": true });
    let status = json!({ "nextScheduleTime": "2026-11-20T03:00:00Z" });
    let census = count(&[backup("b", &suspended, &status)]);
    assert_eq!(census.lag, 0);
    assert_eq!((census.backups[0].age, census.backups[0].interval), (None, None));
}

#[test]
fn a_schedule_is_ready_if_its_next_run_can_start() {
    let nightly = json!({ "schedule": "0 3 * * *" });
    let lacks = |reason: &str, stalled: bool| {
        let condition = |type_: &str, status: &str| json!({ "type": type_, "status": status, "reason": reason, "message": "", "lastTransitionTime": NOW });
        let mut conditions = vec![condition("Ready", "False")];
        if stalled {
            conditions.push(condition("Stalled", "True"));
        }
        json!({ "condition": { "type": "COMPLETED" }, "conditions": conditions })
    };
    for (status, ready) in [
        (Value::Null, true),
        (lacks("SecretNotFound", false), false),
        (lacks("Refused", true), false),
        (lacks("ScheduleInvalid", true), false),
        (lacks("Uploading", false), true),
        (lacks("Queued", false), true),
    ] {
        let census = count(&[backup("b", &nightly, &status)]);
        assert_eq!(census.backups[0].ready, Some(ready), "{status}");
    }
    let suspended = json!({ "schedule": "0 3 * * *", "suspend": true });
    let census = count(&[backup("b", &suspended, &lacks("Suspended", false))]);
    assert_eq!(census.backups[0].ready, None);
}
