//! Serialization of backups and restores.

mod earlier;
mod upgrade;

use kube::Resource;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::*;

/// Deserializes an object and checks that its serialization is the same object.
fn round_trip<T: DeserializeOwned + Serialize>(object: &Value) -> T {
    let read: T = serde_json::from_value(object.clone()).unwrap();
    assert_eq!(&serde_json::to_value(&read).unwrap(), object);
    read
}

/// Returns the path and the text of the error for an object.
fn error<T: DeserializeOwned>(object: Value) -> (String, String) {
    match serde_path_to_error::deserialize::<_, T>(object) {
        Ok(_) => panic!("the object is valid"),
        Err(error) => (error.path().to_string(), error.inner().to_string()),
    }
}

fn conditions() -> Value {
    json!([{
        "type": "Ready", "status": "True", "reason": "Scheduled", "message": "next run at two",
        "lastTransitionTime": "2026-11-22T21:38:38Z", "observedGeneration": 3,
    }])
}

#[test]
fn a_backup_with_every_field_is_unchanged_by_a_round_trip() {
    let backup: CassandraBackup = round_trip(&json!({
        "apiVersion": "db.orange.com/v2",
        "kind": "CassandraBackup",
        "metadata": { "name": "nightly", "namespace": "prod", "annotations": { CONFIRM_ANNOTATION: "a,b" } },
        "spec": {
            "cassandraCluster": "c1", "datacenter": "dc1", "storageLocation": "s3://bucket",
            "schedule": "0 2 * * *", "snapshotTag": "nightly", "duration": "1h30m", "bandwidth": "50M",
            "concurrentConnections": 5, "entities": "k1,k2", "secret": "s3-access", "suspend": false,
            "timeZone": "Europe/Paris", "concurrencyPolicy": "Forbid", "startingDeadlineSeconds": 3600,
            "retention": { "keepLast": 14, "keepDays": 30 },
        },
        "status": {
            "timeCreated": "2026-11-22T21:38:38.725305366Z", "timeStarted": "2026-11-22T21:38:38.727869736Z",
            "timeCompleted": "2026-11-22T21:38:58.879336995Z", "progress": "100%", "id": "d8bbb89e",
            "coordinatorMember": "c1-dc1-rack1-0",
            "condition": { "type": "COMPLETED", "lastTransitionTime": "Sun, 22 Nov 2026 21:38:58 GMT" },
            "observedGeneration": 3, "conditions": conditions(),
            "nodes": [{
                "hostId": "6f8b0a1c", "pod": "c1-dc1-rack1-0", "phase": "BACKUP", "operation": "d8bbb89e",
                "state": "COMPLETED", "progress": "100%",
            }],
            "snapshotTag": "nightly-168d568b-1795383523776", "missedRuns": 1,
            "lastScheduleTime": "2026-11-22T02:00:00Z", "nextScheduleTime": "2026-11-23T02:00:00Z",
            "history": [{
                "snapshot": "nightly-168d568b-1795383523776", "outcome": "COMPLETED", "size": 4096,
                "started": "2026-11-22T21:38:38Z", "completed": "2026-11-22T21:38:58Z",
            }],
        },
    }));
    assert!(backup.spec.is_scheduled() && backup.has_started() && backup.is_terminal());
    assert_eq!(backup.spec.concurrency_policy, Some(ConcurrencyPolicy::Forbid));
    assert_eq!(
        backup.spec.retention,
        Some(Retention {
            keep_last: Some(14),
            keep_days: Some(30)
        })
    );
    let status = backup.status.unwrap();
    assert_eq!(
        ConditionType::parse(&status.history[0].outcome),
        ConditionType::Completed
    );
    assert_eq!(status.common.nodes[0].phase.as_deref(), Some("BACKUP"));
}

#[test]
fn a_restore_with_every_field_is_unchanged_by_a_round_trip() {
    let restore: CassandraRestore = round_trip(&json!({
        "apiVersion": "db.orange.com/v2",
        "kind": "CassandraRestore",
        "metadata": { "name": "r1", "namespace": "prod", "finalizers": [RESTORE_FINALIZER] },
        "spec": {
            "cassandraBackup": "nightly", "cassandraCluster": "c1", "datacenter": "dc1",
            "concurrentConnection": 10, "cassandraDirectory": "/var/lib/cassandra", "noDeleteTruncates": true,
            "schemaVersion": "168d568b-d346-3f61-968f-a2716307a6e4", "exactSchemaVersion": true,
            "entities": "k1.t1", "rename": { "k1.t1": "k2.t1" }, "secret": "s3-access",
            "snapshot": "nightly-168d568b-1795383523776",
        },
        "status": {
            "progress": "20%", "condition": { "type": "RUNNING" }, "observedGeneration": 1,
            "conditions": conditions(),
            "source": {
                "backupUid": "7b1d", "storageLocation": "s3://bucket", "snapshotTag": "nightly-168d568b-1795383523776",
                "entities": "k1.t1", "secret": "s3-access", "rename": { "k1.t1": "k2.t1" },
            },
        },
    }));
    assert!(restore.has_started() && !restore.is_terminal());
    assert_eq!(restore.spec.concurrent_connection, Some(10));
}

#[test]
fn a_backup_requires_two_fields_from_its_user() {
    let backup: CassandraBackup = round_trip(&json!({
        "apiVersion": "db.orange.com/v2", "kind": "CassandraBackup", "metadata": { "name": "b1" },
        "spec": { "cassandraCluster": "c1", "storageLocation": "s3://bucket" },
    }));
    assert_eq!(backup.spec.snapshot_tag, None);
    assert!(!backup.spec.is_scheduled() && !backup.has_started() && !backup.is_terminal());
}

#[test]
fn null_counts_as_absent() {
    let backup: CassandraBackup = serde_json::from_value(json!({
        "metadata": { "name": "b1" },
        "spec": { "cassandraCluster": "c1", "storageLocation": "s3://b", "schedule": null, "retention": null },
        "status": { "condition": null, "conditions": null, "nodes": null, "history": null },
    }))
    .unwrap();
    assert!(!backup.spec.is_scheduled() && !backup.has_started());
    assert_eq!(backup.status, Some(BackupStatus::default()));
    assert_eq!(serde_json::to_value(&backup).unwrap()["status"], json!({}));
}

#[test]
fn an_empty_schedule_counts_as_absent_as_in_casskop() {
    let scheduled = |schedule: &str| {
        CassandraBackupSpec {
            schedule: Some(schedule.to_owned()),
            ..CassandraBackupSpec::default()
        }
        .is_scheduled()
    };
    assert!(!scheduled(""));
    assert!(scheduled("@daily"));
    assert!(
        scheduled(" "),
        "CassKop takes a blank for a schedule and fails on it"
    );
}

#[test]
fn the_error_for_a_malformed_field_has_its_path() {
    let backup = |field: &str, value: Value| {
        let mut object = json!({
            "metadata": { "name": "b1" }, "spec": { "cassandraCluster": "c1", "storageLocation": "s3://b" },
        });
        object["spec"][field] = value;
        error::<CassandraBackup>(object)
    };
    let refused = backup("concurrentConnections", json!("10"));
    assert_eq!(refused.0, "spec.concurrentConnections");
    assert_eq!(refused.1, "invalid type: string \"10\", expected i32");
    let refused = backup("concurrencyPolicy", json!("forbid"));
    assert_eq!(refused.0, "spec.concurrencyPolicy");
    assert_eq!(
        refused.1,
        "unknown variant `forbid`, expected one of `Allow`, `Forbid`, `Replace`"
    );
    let refused = backup("retention", json!({ "keepLast": 1.5 }));
    assert_eq!(refused.0, "spec.retention.keepLast");
    let refused = error::<CassandraRestore>(json!({
        "metadata": { "name": "r1" },
        "spec": { "cassandraBackup": "b1", "cassandraCluster": "c1", "rename": { "k1.t1": 2 } },
    }));
    assert_eq!(refused.0, "spec.rename.k1.t1");
}

#[test]
fn a_status_of_casskop_is_deserialized() {
    let failed: CassandraRestore = round_trip(&json!({
        "apiVersion": "db.orange.com/v2", "kind": "CassandraRestore", "metadata": { "name": "r1" },
        "spec": { "cassandraBackup": "b1", "cassandraCluster": "c1" },
        "status": {
            "timeCreated": "2020-11-09T11:49:16.485Z", "timeStarted": "2020-11-09T11:49:16.491Z",
            "timeCompleted": "2020-11-09T11:49:18.485Z", "progress": "100%",
            "id": "d668d300-f2b7-4ab8-a2a2-d5b4e6c0b9f0", "coordinatorMember": "c1-dc1-rack1-2",
            "condition": {
                "type": "FAILED", "lastTransitionTime": "Mon, 9 Nov 2020 11:49:18 GMT",
                "failureCause": [
                    { "source": "c1-dc1-rack1-0.c1", "message": "There is no manifest requested found." },
                    { "source": "vm" },
                ],
            },
        },
    }));
    assert!(failed.has_started() && failed.is_terminal());
    let status = failed.status.unwrap();
    assert_eq!(status.source, None);
    assert_eq!(status.common.state(), Some(ConditionType::Failed));
    let causes = status.common.condition.unwrap().failure_cause;
    assert_eq!(
        causes[0].message.as_deref(),
        Some("There is no manifest requested found.")
    );
    assert_eq!(causes[1].message, None);
}

#[test]
fn a_status_that_casskop_has_cleared_has_not_started() {
    for status in [
        json!(null),
        json!({}),
        json!({ "coordinatorMember": "c1-dc1-rack1-0" }),
    ] {
        let backup: CassandraBackup = serde_json::from_value(json!({
            "metadata": { "name": "b1" }, "status": status,
            "spec": { "cassandraCluster": "c1", "storageLocation": "s3://b" },
        }))
        .unwrap();
        assert!(!backup.has_started() && !backup.is_terminal(), "{status}");
    }
}

#[test]
fn every_state_is_parsed_and_an_unknown_one_is_kept() {
    let read = |text| {
        let state = ConditionType::parse(text);
        (state, state.is_active(), state.is_terminal())
    };
    assert_eq!(read("REQUIRED"), (ConditionType::Required, true, false));
    assert_eq!(read("PENDING"), (ConditionType::Pending, true, false));
    assert_eq!(read("RUNNING"), (ConditionType::Running, true, false));
    assert_eq!(read("COMPLETED"), (ConditionType::Completed, false, true));
    assert_eq!(read("FAILED"), (ConditionType::Failed, false, true));
    assert_eq!(read("CANCELLED"), (ConditionType::Cancelled, false, true));
    assert_eq!(read("CANCELED"), (ConditionType::Cancelled, false, true));
    assert_eq!(
        read("Completed"),
        (ConditionType::Unknown("Completed"), false, false)
    );
    for text in [
        "REQUIRED",
        "PENDING",
        "RUNNING",
        "COMPLETED",
        "FAILED",
        "CANCELLED",
        "Melting",
        "",
    ] {
        assert_eq!(ConditionType::parse(text).as_str(), text);
    }
    let status = json!({ "condition": { "type": "CANCELED" } });
    assert_eq!(
        round_trip::<RestoreStatus>(&status).common.state(),
        Some(ConditionType::Cancelled)
    );
}

#[test]
fn the_kinds_have_the_paths_of_casskops_crds() {
    assert_eq!(API_VERSION, format!("{GROUP}/{VERSION}"));
    assert_eq!(CassandraBackup::api_version(&()), API_VERSION);
    assert_eq!(CassandraRestore::api_version(&()), API_VERSION);
    assert_eq!(
        CassandraBackup::url_path(&(), None),
        "/apis/db.orange.com/v2/cassandrabackups"
    );
    assert_eq!(
        CassandraRestore::url_path(&(), None),
        "/apis/db.orange.com/v2/cassandrarestores"
    );
}
